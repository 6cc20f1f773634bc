/** A session as a dictionary of JSON values: what Django's sessions offer, typed. Nothing here waits for the store. */

import { InvalidValue, MissingKey } from '../errors.ts'
import type { JsonObject } from '../records/envelope.ts'
import { type Changes, storableData } from '../records/saving.ts'
import type { Json } from '../store/codec.ts'
import { WorkingCopy } from './working-copy.ts'

export type { JsonObject } from '../records/envelope.ts'

/** A message for the next page. */
export interface Flash {
  /** Such as `'error'` or `'info'`. */
  readonly kind: string
  readonly value: Json
}

/** Each message is a key of its own: requests that add some at once keep all of them. */
const flashPrefix = '$flash:'
const testCookie = '$test'

/**
 * @typeParam Data The keys and their types. All are optional: a session begins empty.
 */
export abstract class Dictionary<Data extends object = JsonObject> {
  /** @internal */
  protected readonly copy = new WorkingCopy()

  /** Whether it was read or changed: then the answer depends on who asks, and caches must know. */
  get accessed(): boolean {
    return this.copy.accessed
  }

  /** A copy of everything in it. What you change in it is not noticed. @throws {SessionNotLoaded} @throws {InvalidValue} */
  get data(): Partial<Data> {
    const all = this.copy.all()
    for (const name of Object.keys(all)) if (isReserved(name)) delete all[name]
    return all as Partial<Data>
  }

  /** How many keys it has. @throws {SessionNotLoaded} */
  get size(): number {
    return this.keys().length
  }

  /**
   * The value of a key: a copy, the same one each time. What you change inside of it is saved, like a `set`. Where
   * another request stored another value since, a change inside of the old copy is a conflict.
   *
   * @throws {SessionNotLoaded}
   */
  get<K extends keyof Data & string>(name: K): Data[K] | undefined {
    const value = this.copy.get(name) as Data[K] | undefined
    return isReserved(name) ? undefined : value
  }

  /** @throws {SessionNotLoaded} */
  has(name: keyof Data & string): boolean {
    return Object.hasOwn(this.copy.read(), name) && !isReserved(name)
  }

  /** @throws {SessionNotLoaded} */
  keys(): readonly (keyof Data & string)[] {
    const names = Object.keys(this.copy.read()).filter((name) => !isReserved(name))
    return names as (keyof Data & string)[]
  }

  /** The keys with their values, which are those that `get` answers. @throws {SessionNotLoaded} */
  entries(): readonly (readonly [keyof Data & string, Data[keyof Data & string]])[] {
    return this.keys().map((name) => [name, this.get(name) as Data[keyof Data & string]] as const)
  }

  /**
   * @throws {InvalidValue} when the value is not JSON, or the name is `__proto__` or one that is used for messages.
   *   What JSON leaves out inside of a value (functions, `undefined`) is left out. What has a `toJSON`, such as a
   *   `Date`, is what that makes of it; an object of another class, a `Map` and `NaN` are not JSON.
   */
  set<K extends keyof Data & string>(name: K, value: Data[K]): void {
    if (typeof name === 'string' && isReserved(name))
      throw new InvalidValue(`the key ${JSON.stringify(name)} is used for messages and tests`)
    this.copy.set(name, value)
  }

  delete(name: keyof Data & string): void {
    if (!isReserved(name)) this.copy.delete(name)
  }

  /**
   * Takes a key out.
   *
   * @returns its value; where it isn't there the other value that was given, and then nothing is changed.
   * @throws {MissingKey} when it isn't there and no other value was given.
   * @throws {SessionNotLoaded}
   */
  pop<K extends keyof Data & string>(name: K): Exclude<Data[K], undefined>
  pop<K extends keyof Data & string, Other>(name: K, other: Other): Exclude<Data[K], undefined> | Other
  pop(name: keyof Data & string, ...other: readonly unknown[]): unknown {
    if (!this.has(name)) {
      if (other.length === 0) throw new MissingKey(`the session has no key ${JSON.stringify(name)}`)
      return other[0]
    }
    const value = this.get(name)
    this.delete(name)
    return value
  }

  /** The value of a key, which is set first where it isn't there. @throws {InvalidValue} @throws {SessionNotLoaded} */
  setDefault<K extends keyof Data & string>(name: K, value: Data[K]): Exclude<Data[K], undefined> {
    if (!this.has(name)) this.set(name, value)
    return this.get(name) as Exclude<Data[K], undefined>
  }

  /** Drops everything, also what other requests add before this is saved. The session and its user stay. */
  clear(): void {
    this.copy.clear()
  }

  /** Adds a message for the next page. Messages that several requests add at once are all kept. */
  flash(kind: string, value: Json): void {
    this.copy.set(`${flashPrefix}${this.stamp()}`, { kind, value })
  }

  /** Takes the messages out, in the order in which they came: all, or those of a kind. @throws {SessionNotLoaded} */
  takeFlashes(kind?: string): readonly Flash[] {
    const flashes: Flash[] = []
    const stored = this.copy.read()
    for (const name of Object.keys(stored).filter(isFlash).sort()) {
      const flash = stored[name] as unknown as Flash
      if (kind !== undefined && flash.kind !== kind) continue
      // What is stored may be a cache's own object, and what is handed out is the application's.
      flashes.push(structuredClone(flash))
      this.copy.delete(name)
    }
    return flashes
  }

  /** Puts something in, to see at the next request whether the client keeps cookies. */
  setTestCookie(): void {
    this.copy.set(testCookie, true)
  }

  /** Whether what {@link setTestCookie} put in came back. @throws {SessionNotLoaded} */
  testCookieWorked(): boolean {
    return Object.hasOwn(this.copy.read(), testCookie)
  }

  deleteTestCookie(): void {
    this.copy.delete(testCookie)
  }

  /** A text that orders what is added in time, and that no other request draws. @internal */
  protected abstract stamp(): string
}

/** The keys that are not the application's: they are not shown among its data. */
export function isReserved(name: string): boolean {
  return name === testCookie || isFlash(name)
}

/** The application's data and ours. */
export function parted(data: JsonObject): readonly [own: JsonObject, reserved: JsonObject] {
  const entries = Object.entries(data)
  return [
    Object.fromEntries(entries.filter(([name]) => !isReserved(name))),
    Object.fromEntries(entries.filter(([name]) => isReserved(name))),
  ]
}

/** Whether anything but messages is changed: those are past every schema. */
export function changesOwn({ cleared, keys }: Changes): boolean {
  return cleared || [...keys.keys()].some((name) => !isReserved(name))
}

/** What the function of an update has made. @throws {InvalidValue} */
export function storableOwn(data: JsonObject): JsonObject {
  const [own, reserved] = parted(storableData(data))
  const [name] = Object.keys(reserved)
  if (name === undefined) return own
  throw new InvalidValue(`the key ${JSON.stringify(name)} is used for messages and tests`)
}

function isFlash(name: string): boolean {
  return name.startsWith(flashPrefix)
}
