/**
 * What one request works on: the data of a session as it is stored, with what the request has changed since. Notices
 * what is changed inside of a value that was handed out, and whether anything was looked at at all.
 */

import { SessionNotLoaded } from '../errors.ts'
import type { JsonObject } from '../records/envelope.ts'
import { applied, type Changes, type KeyChange, own, storable } from '../records/saving.ts'
import type { Json } from '../store/codec.ts'

const noKeys: ReadonlyMap<string, KeyChange> = new Map()
const noneHanded: readonly Handed[] = []

/** An object that was handed out: the application may change it. */
interface Handed {
  readonly name: string
  readonly value: object
  /** The stored value that it is a copy of, as text. */
  base: string
  /** What it was when it was last taken to be saved, as text. Missing where that failed, or never was. */
  taken?: string | undefined
}

export class WorkingCopy {
  /** Whether anything was read or changed: the answer depends on who asks. */
  accessed = false
  #loaded = false
  /** What is stored, with the changes applied. Replaced, never changed: it may be a cache's own object. */
  #view: JsonObject = {}
  #keys: ReadonlyMap<string, KeyChange> = noKeys
  #cleared = false
  /** By name: what `get` answers. */
  #handed: Map<string, Handed> | undefined
  /** Copies of values that another request has replaced since. What is changed inside of them is a conflict. */
  #outdated: readonly Handed[] = noneHanded

  /** Whether there are changes that are not saved. */
  get modified(): boolean {
    return this.#cleared || this.#keys.size > 0 || this.#changedInside().length > 0
  }

  get isEmpty(): boolean {
    return Object.keys(this.#view).length === 0
  }

  /** All of it, without what was changed inside: not a copy. @throws {SessionNotLoaded} */
  read(): JsonObject {
    this.accessed = true
    if (!this.#loaded && !this.#cleared) {
      throw new SessionNotLoaded(
        'this session is not loaded yet: `await session.load()` before you read from it',
      )
    }
    return this.#view
  }

  /** A copy of all of it. @throws {SessionNotLoaded} @throws {InvalidValue} */
  all(): JsonObject {
    const all = structuredClone(this.read())
    for (const { name, value } of this.#changedInside()) all[name] = storable(name, value)
    return all
  }

  /** The value of a key: a copy, the same one each time, so that what is changed inside of it is saved. */
  get(name: string): unknown {
    const value = own(this.read(), name)
    if (typeof value !== 'object' || value === null) return value
    const known = this.#handed?.get(name)
    if (known) return known.value
    const base = JSON.stringify(value)
    const handed: Handed = { name, value: JSON.parse(base) as object, base }
    this.#handed ??= new Map<string, Handed>()
    this.#handed.set(name, handed)
    return handed.value
  }

  set(name: string, value: unknown): void {
    this.accessed = true
    this.#change(name, { to: storable(name, value) })
    this.#letGo(name)
  }

  delete(name: string): void {
    this.accessed = true
    this.#letGo(name)
    const isThere = !this.#loaded || Object.hasOwn(this.#view, name) || this.#keys.has(name)
    if (isThere) this.#change(name, 'deleted')
  }

  clear(): void {
    this.accessed = true
    this.#cleared = true
    this.#keys = noKeys
    this.#handed = undefined
    this.#outdated = noneHanded
    this.#view = {}
  }

  /**
   * What was changed; from now on it counts as saved.
   *
   * @param inside Also what was changed inside of stored values. @default true
   * @throws {InvalidValue} when something handed out is not JSON.
   */
  take(inside = true): Changes {
    if (!inside) return this.#takeOutside()
    for (const handed of this.#changedInside()) {
      const { name, value } = handed
      this.#change(name, { to: storable(name, value), ...this.#origin(handed) })
      handed.taken = textOf(value)
    }
    const taken = { cleared: this.#cleared, keys: this.#keys }
    this.#keys = noKeys
    this.#cleared = false
    return taken
  }

  /** What was set, with what was changed inside of that; but nothing that was made of what is stored. */
  #takeOutside(): Changes {
    for (const handed of this.#changedInside()) {
      const { name, value } = handed
      const origin = this.#origin(handed)
      if ('from' in origin) continue
      this.#change(name, { to: storable(name, value) })
      handed.taken = textOf(value)
    }
    const all = [...this.#keys]
    const taken = { cleared: this.#cleared, keys: new Map(all.filter((each) => !isInside(each))) }
    this.#keys = new Map(all.filter(isInside))
    this.#cleared = false
    return taken
  }

  /** What could not be saved is unsaved again, beneath what was changed since. */
  putBack(taken: Changes): void {
    for (const handed of this.#everyHanded()) handed.taken = undefined
    if (this.#cleared) return
    this.#cleared = taken.cleared
    this.#keys = new Map([...taken.keys, ...this.#keys])
  }

  /** Takes up what is stored now. */
  rebase(data: JsonObject): void {
    this.#loaded = true
    const isChanged = this.#cleared || this.#keys.size > 0
    this.#view = isChanged ? applied(data, { cleared: this.#cleared, keys: this.#keys }) : data
    if (this.#handed) this.#compare(this.#handed, data)
  }

  /** Leaves out what was changed inside of stored values: it holds what somebody else left there. */
  dropChangesInside(): void {
    this.#handed = undefined
    this.#outdated = noneHanded
    this.#keys = new Map([...this.#keys].filter((each) => !isInside(each)))
  }

  /** Nothing is in it, and nothing is unsaved. */
  empty(): void {
    this.#loaded = true
    this.#view = {}
    this.#keys = noKeys
    this.#cleared = false
    this.#handed = undefined
    this.#outdated = noneHanded
  }

  /** Sorts out what was handed out, by what is stored now. */
  #compare(handed: Map<string, Handed>, data: JsonObject): void {
    for (const each of [...handed.values()]) {
      const stored = textOf(own(data, each.name))
      if (stored !== undefined && (stored === each.taken || stored === each.base)) {
        each.base = stored
        each.taken = undefined
        continue
      }
      // Another request's value came in: the next `get` answers with that one.
      handed.delete(each.name)
      // What was saved, and merged with theirs, is no change any more.
      each.base = each.taken ?? each.base
      each.taken = undefined
      this.#outdated = [...this.#outdated, each]
    }
  }

  #changedInside(): readonly Handed[] {
    if (!this.#handed) return noneHanded
    return this.#everyHanded().filter(({ value, base, taken }) => textOf(value) !== (taken ?? base))
  }

  #everyHanded(): readonly Handed[] {
    return [...(this.#handed?.values() ?? noneHanded), ...this.#outdated]
  }

  /** What a change inside of a value was made on. What was set here before was never stored as it was handed out. */
  #origin(handed: Handed): { readonly from?: Json } {
    const { name, base } = handed
    const unsaved = this.#outdated.includes(handed) ? undefined : this.#keys.get(name)
    if (unsaved === undefined) return { from: JSON.parse(base) as Json }
    return unsaved !== 'deleted' && 'from' in unsaved ? { from: unsaved.from } : {}
  }

  #letGo(name: string): void {
    this.#handed?.delete(name)
    this.#outdated = this.#outdated.filter((each) => each.name !== name)
  }

  #change(name: string, change: KeyChange): void {
    this.#keys = new Map(this.#keys).set(name, change)
    this.#view = applied(this.#view, { cleared: false, keys: new Map([[name, change]]) })
  }
}

function isInside([, change]: readonly [string, KeyChange]): boolean {
  return change !== 'deleted' && 'from' in change
}

/** `undefined` where there is no text: the application put something in that is not JSON. */
function textOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
