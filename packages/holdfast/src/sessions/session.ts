/** One session, as one request sees it. */

import { assemble, mintSecret } from '../credentials/credential.ts'
import { digestOf } from '../credentials/digest.ts'
import { ConflictingChange, SessionGone } from '../errors.ts'
import { create, kept } from '../records/creating.ts'
import { type Epochs, type JsonObject, labelsOf, type Living } from '../records/envelope.ts'
import type { Decision, Entry, Found, Records } from '../records/records.ts'
import { cycled, recognise, rotated } from '../records/rotation.ts'
import {
  applied,
  type Changes,
  type KeyChange,
  onceOnly,
  reapplied,
  storable,
  storableData,
} from '../records/saving.ts'
import type { Instant, Label } from '../store/record.ts'
import { absoluteEnd, expiryOf, type SessionSettings } from './options.ts'

/** A login that has begun: made by `sessions.begin` before the credential is checked. Plain data, may be stored. */
export interface Login {
  readonly user: string
  /** The epochs of the user's marks when it began. */
  readonly epochs: Epochs
  /** When it began, milliseconds since 1970 UTC. */
  readonly at: number
  /** The other labels whose epochs were read. @default [] */
  readonly labels?: readonly Label[]
}

/** What a session needs of the `Sessions` that it came from. */
export interface SessionHome {
  readonly records: Records
  readonly settings: SessionSettings
  begin(principal: { readonly user: string }): Promise<Login>
  check(login: Login): void
}

/** A session's record and the secret that its client carries from now on. */
export interface Held {
  readonly entry: Entry
  readonly secret: string
}

/** What a save came to. */
type Saved = 'gone' | Held | { readonly conflicts: readonly string[] }

/** Puts a new secret into an envelope. */
type SecretChange = (envelope: Living, id: string, current: string, next: string) => Living

/**
 * A dictionary of JSON values that lives in the store. Reading and changing it is synchronous; nothing is stored
 * before {@link save}. An empty new session that nobody writes to never reaches the store.
 *
 * A value that you take out and change inside is not noticed: `set` it again.
 *
 * @typeParam Data The keys and their types. All are optional: a session begins empty.
 */
export class Session<Data extends object = JsonObject> {
  readonly #home: SessionHome
  #held: Held | undefined
  /** What is stored, with the changes applied. Replaced, never changed, where it is the entry's own object. */
  #view: JsonObject
  #keys = new Map<string, KeyChange>()
  #cleared = false
  #labels: readonly Label[] = []
  #saving: Promise<unknown> = Promise.resolve()

  /** Made by `Sessions`: use `sessions.load` or `sessions.start`. */
  constructor(home: SessionHome, held: Held | undefined) {
    this.#home = home
    this.#held = held
    this.#view = held?.entry.envelope.data ?? {}
  }

  /** The public id, by which it is listed and revoked; `undefined` before it is stored. */
  get id(): string | undefined {
    return this.#held?.entry.record.key.id
  }

  /**
   * What the client must carry from now on; `undefined` before the session is stored. Send it whenever it differs
   * from what the client sent. Secret.
   */
  get credential(): string | undefined {
    if (!this.#held) return undefined
    const { entry, secret } = this.#held
    return assemble(this.#home.settings.prefix, { id: entry.record.key.id, secret })
  }

  /** Whether it isn't stored yet, or was destroyed. */
  get isNew(): boolean {
    return this.#held === undefined
  }

  /** Who is logged in. */
  get user(): string | undefined {
    return this.#held?.entry.envelope.user
  }

  /** When it was created, milliseconds since 1970 UTC; `undefined` before it is stored. */
  get createdAt(): number | undefined {
    return this.#held?.entry.envelope.createdAt
  }

  /** When its user last logged in, milliseconds since 1970 UTC; its creation where nobody did. */
  get authenticatedAt(): number | undefined {
    return this.#held?.entry.envelope.authenticatedAt
  }

  /** When it ends unless it is used again, milliseconds since 1970 UTC or `never`. */
  get expiresAt(): Instant | undefined {
    if (!this.#held) return undefined
    const { record, envelope } = this.#held.entry
    return Math.min(record.expiresAt, envelope.absolute)
  }

  /** Whether there are changes that are not saved. */
  get modified(): boolean {
    return this.#cleared || this.#keys.size > 0
  }

  /** A copy of everything in it. */
  get data(): Partial<Data> {
    return structuredClone(this.#view) as Partial<Data>
  }

  /** The value of a key: a copy. */
  get<K extends keyof Data & string>(name: K): Data[K] | undefined {
    if (!Object.hasOwn(this.#view, name)) return undefined
    const value = this.#view[name]
    // A copy, so that what the application does to it is not stored by accident with another key's change.
    return (typeof value === 'object' ? structuredClone(value) : value) as Data[K]
  }

  has(name: keyof Data & string): boolean {
    return Object.hasOwn(this.#view, name)
  }

  keys(): readonly (keyof Data & string)[] {
    return Object.keys(this.#view) as (keyof Data & string)[]
  }

  /**
   * @throws {InvalidValue} when the value is not JSON, or the name is `__proto__`. What JSON leaves out inside of a
   *   value (functions, `undefined`) is left out.
   */
  set<K extends keyof Data & string>(name: K, value: Data[K]): void {
    this.#change(name, { to: storable(name, value) })
  }

  delete(name: keyof Data & string): void {
    if (this.has(name) || this.#keys.has(name)) this.#change(name, 'deleted')
  }

  /** Drops everything, also what other requests add before this is saved. The session and its user stay. */
  clear(): void {
    this.#cleared = true
    this.#keys.clear()
    this.#view = {}
  }

  /**
   * Stores what was changed. Other requests' changes of other keys are kept. Does nothing where nothing was changed,
   * nor for a new session that is empty.
   *
   * @throws {SessionGone} when it was destroyed, has expired, or was taken over by a login since it was loaded.
   * @throws {ConflictingChange} when another request changed the same keys; your changes stay unsaved.
   * @throws {OutcomeUnknown} when it can't be told whether a merge of `conflicts` was stored.
   */
  async save(): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.modified) return
      if (this.#held) await this.#store(this.#held)
      else if (this.keys().length === 0) this.#take()
      else await this.#create(undefined)
    })
  }

  /**
   * Changes the stored data by a function that gets the newest copy; it is run again when another request was
   * faster, so it must not do anything else. Unsaved changes are saved first.
   *
   * @returns what the function returned when its change was stored.
   * @throws {SessionGone}
   * @throws {OutcomeUnknown} when it can't be told whether the change happened.
   */
  async update<R>(change: (data: Partial<Data>) => R): Promise<R> {
    await this.save()
    return await this.#inTurn(async () => {
      if (!this.#held) await this.#create(undefined)
      const held = this.#held!
      const { entry, answer } = await this.#amend(held, false, (fresh) => {
        const data = structuredClone(fresh.envelope.data)
        const answer = change(data as Partial<Data>)
        if (answer instanceof Promise) throw new TypeError('the function of update must not be asynchronous')
        return { envelope: { ...fresh.envelope, data: storableData(data) }, answer }
      })
      this.#hold({ entry, secret: held.secret })
      return answer
    })
  }

  /**
   * Logs a user in: the session gets a new secret, and from now on nothing that was known before opens it. Unsaved
   * changes are stored with it.
   *
   * @param login From `sessions.begin`, called before the credential was checked; or the user's name, where nothing
   *   is checked that a revocation in the meantime could concern.
   * @throws {RevokedMeanwhile} when everything of the user was revoked since the login began.
   * @throws {SessionGone}
   */
  async login(login: Login | string): Promise<void> {
    const begun = typeof login === 'string' ? await this.#home.begin({ user: login }) : login
    this.#home.check(begun)
    await this.#inTurn(async () => {
      if (!this.#held) {
        await this.#create(begun)
        return
      }
      await this.#refuseStruck(this.#held.entry)
      const now = this.#home.records.now
      await this.#changeSecret(this.#held, begun, (envelope, _id, _current, next) => ({
        ...cycled(envelope, next, now),
        user: begun.user,
        authenticatedAt: now,
        absolute: absoluteEnd(this.#home.settings, now),
        epochs: epochsAfter(begun, envelope.epochs),
      }))
      try {
        await kept(this.#home.records, this.#held.entry)
      } catch (error) {
        this.#forget()
        throw error
      }
    })
  }

  /**
   * Gives the client a new secret. The old one is accepted for the grace window, which begins when the new one is
   * first presented, so that requests under way and lost answers cost nothing. Where another request rotated since
   * this one was loaded, its successor is taken over instead. Unsaved changes are stored with it.
   */
  async rotate(): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#held) return
      const { settings, records } = this.#home
      const windows = { grace: settings.grace, cap: settings.graceCap }
      const rotate: SecretChange = (envelope, id, current, next) =>
        rotated(envelope, id, { current, next }, windows, records.now)
      await this.#changeSecret(this.#held, undefined, rotate, { adopts: true })
    })
  }

  /** Gives the client a new secret and ends all earlier ones at once. For every change of privilege. */
  async cycleKey(): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#held) return
      await this.#changeSecret(this.#held, undefined, (envelope, _id, _current, next) =>
        cycled(envelope, next, this.#home.records.now),
      )
    })
  }

  /** Destroys it: no request, however late, brings it back. The object is an empty new session afterwards. */
  async destroy(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#held) await this.#home.records.bury(this.#held.entry.record.key.id, 'destroyed')
      this.#forget()
    })
  }

  /** Stores a new session. @internal */
  async start(login: Login | undefined, labels: readonly Label[]): Promise<void> {
    this.#labels = labels
    await this.#inTurn(() => this.#create(login))
  }

  // ── storing ───────────────────────────────────────────────────────────────────────────────────────────────

  async #create(login: Login | undefined): Promise<void> {
    const { records, settings } = this.#home
    const now = records.now
    const secret = mintSecret()
    const absolute = absoluteEnd(settings, now)
    const labels = labelsOf(login?.user, this.#labels)
    const envelope: Living = {
      state: 'live',
      digest: digestOf(secret),
      past: [],
      createdAt: now,
      authenticatedAt: now,
      absolute,
      latest: 0,
      epochs: await this.#epochs(labels, login),
      data: applied({}, this.#changes()),
      ...(login ? { user: login.user } : {}),
    }
    const taken = this.#take()
    try {
      const entry = await create(records, { envelope, labels, expiresAt: expiryOf(settings, absolute, now) })
      this.#hold({ entry, secret })
    } catch (error) {
      this.#putBack(taken)
      throw error
    }
  }

  /** The epochs of all its labels: those of the login as they were when it began. */
  async #epochs(labels: readonly Label[], login: Login | undefined): Promise<Epochs> {
    const known = login ? labelsOf(login.user, login.labels ?? []) : []
    const others = labels.filter((each) => !known.includes(each))
    return { ...(others.length > 0 ? await this.#home.records.marks.epochs(others) : {}), ...login?.epochs }
  }

  /** A login must not bring back a session that was revoked and isn't buried yet. @throws {SessionGone} */
  async #refuseStruck(entry: Entry): Promise<void> {
    const { record, envelope } = entry
    const marked = { id: record.key.id, labels: record.labels, epochs: envelope.epochs }
    if (await this.#home.records.marks.strikesStrictly(marked)) throw gone(entry)
  }

  async #store(held: Held): Promise<void> {
    const { records } = this.#home
    const { entry: base } = held
    const taken = this.#take()
    let saved: Saved
    try {
      saved = await records.amend<Saved>(
        base.record.key.id,
        base,
        (found, uncertain) => this.#decideSave(found, held, taken, uncertain),
        { repeatable: true },
      )
    } catch (error) {
      this.#putBack(taken)
      throw error
    }
    if (saved !== 'gone' && 'entry' in saved) {
      this.#hold(saved)
      return
    }
    this.#putBack(taken)
    if (saved === 'gone') throw gone(base)
    throw conflicting(saved.conflicts)
  }

  #decideSave(found: Found, held: Held, changes: Changes, uncertain: boolean): Decision<Saved> {
    const fresh = this.#mine(found, held)
    if (!fresh) return { stop: 'gone' }
    const merged = this.#merged(fresh, held, changes, uncertain)
    if (merged.conflicts) return { stop: merged }
    return {
      write: { envelope: { ...fresh.envelope, data: merged.data }, expiresAt: this.#expiry(fresh.envelope) },
      answer: (entry) => ({ entry, secret: held.secret }),
    }
  }

  /** My changes on the newest copy. */
  #merged(
    fresh: Entry,
    { entry: base }: Held,
    changes: Changes,
    uncertain: boolean,
  ): ReturnType<typeof reapplied> {
    if (fresh.record.version === base.record.version) return { data: applied(fresh.envelope.data, changes) }
    const { conflicts } = this.#home.settings
    return reapplied(
      base.envelope.data,
      fresh.envelope.data,
      changes,
      uncertain ? onceOnly(conflicts) : conflicts,
    )
  }

  async #changeSecret(
    held: Held,
    login: Login | undefined,
    change: SecretChange,
    { adopts = false }: { readonly adopts?: boolean } = {},
  ): Promise<void> {
    const { id } = held.entry.record.key
    const next = mintSecret()
    const digest = digestOf(next)
    const taken = this.#take()
    const decide = (found: Found, uncertain: boolean): Decision<Saved> => {
      const fresh = this.#mine(found, { ...held, secret: isHolding(found, digest) ? next : held.secret })
      if (!fresh) return { stop: 'gone' }
      // A write whose answer was lost has happened after all: the new secret is there.
      if (fresh.envelope.digest === digest) return { stop: { entry: fresh, secret: next } }
      const recognition = recognise(fresh.envelope, id, held.secret, this.#home.records.now)
      if (!('secret' in recognition)) return { stop: 'gone' }
      // Many requests that rotate at once must not push each other's secrets out of the record's memory.
      if (adopts && recognition.as === 'predecessor') {
        const adopted = { ...held, secret: recognition.secret }
        if (isEmpty(taken)) return { stop: { entry: fresh, secret: adopted.secret } }
        return this.#decideSave(found, adopted, taken, uncertain)
      }
      const merged = this.#merged(fresh, held, taken, uncertain)
      if (merged.conflicts) return { stop: merged }
      const envelope = { ...change(fresh.envelope, id, recognition.secret, next), data: merged.data }
      return {
        write: {
          envelope,
          expiresAt: this.#expiry(envelope),
          ...(login ? { labels: labelsOf(login.user, fresh.record.labels) } : {}),
        },
        answer: (entry) => ({ entry, secret: next }),
      }
    }
    try {
      const saved = await this.#home.records.amend<Saved>(id, held.entry, decide, { repeatable: true })
      if (saved === 'gone') throw gone(held.entry)
      if ('conflicts' in saved) throw conflicting(saved.conflicts)
      this.#hold(saved)
    } catch (error) {
      this.#putBack(taken)
      throw error
    }
  }

  async #amend<R>(
    held: Held,
    repeatable: boolean,
    change: (fresh: Entry) => { readonly envelope: Living; readonly answer: R },
  ): Promise<{ readonly entry: Entry; readonly answer: R }> {
    const amended = await this.#home.records.amend<{ entry: Entry; answer: R } | undefined>(
      held.entry.record.key.id,
      // What the function decides, to throw perhaps, must be decided on what is there now.
      undefined,
      (found) => {
        const fresh = this.#mine(found, held)
        if (!fresh) return { stop: undefined }
        const { envelope, answer } = change(fresh)
        return {
          write: { envelope, expiresAt: this.#expiry(envelope) },
          answer: (entry) => ({ entry, answer }),
        }
      },
      { repeatable },
    )
    if (!amended) throw gone(held.entry)
    return amended
  }

  /** The newest copy, if it is still the session that this request was let into: same secret, same principal. */
  #mine(found: Found, { entry, secret }: Held): Entry | undefined {
    if (found.state !== 'live') return undefined
    const { record, envelope } = found.entry
    if (record.version === entry.record.version) return found.entry
    if (envelope.user !== entry.envelope.user && envelope.digest !== digestOf(secret)) return undefined
    const recognition = recognise(envelope, record.key.id, secret, this.#home.records.now)
    return 'secret' in recognition ? found.entry : undefined
  }

  #expiry(envelope: Living): Instant {
    return expiryOf(this.#home.settings, envelope.absolute, this.#home.records.now)
  }

  // ── changes that are not saved yet ────────────────────────────────────────────────────────────────────────

  #change(name: string, change: KeyChange): void {
    this.#keys.set(name, change)
    this.#view = applied(this.#view, { cleared: false, keys: new Map([[name, change]]) })
  }

  #changes(): Changes {
    return { cleared: this.#cleared, keys: this.#keys }
  }

  #take(): Changes {
    const taken = this.#changes()
    this.#keys = new Map()
    this.#cleared = false
    return taken
  }

  /** What could not be saved is unsaved again, beneath what was changed since. */
  #putBack(taken: Changes): void {
    if (this.#cleared) return
    this.#cleared = taken.cleared
    this.#keys = new Map([...taken.keys, ...this.#keys])
  }

  #hold(held: Held): void {
    this.#held = held
    this.#view = this.modified ? applied(held.entry.envelope.data, this.#changes()) : held.entry.envelope.data
  }

  #forget(): void {
    this.#held = undefined
    this.#keys = new Map()
    this.#cleared = false
    this.#view = {}
  }

  /** Saves of one session object wait for each other, so that `save` never answers before all is stored. */
  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#saving.then(task)
    this.#saving = turn.catch(() => undefined)
    return await turn
  }
}

/** What the login is about begins anew with it; an epoch that the session had before must not make up for it. */
function epochsAfter({ user, labels = [], epochs }: Login, before: Epochs): Epochs {
  const renewed = labelsOf(user, labels)
  const kept = Object.entries(before).filter(([each]) => !renewed.includes(each))
  return { ...Object.fromEntries(kept), ...epochs }
}

function isEmpty({ cleared, keys }: Changes): boolean {
  return !cleared && keys.size === 0
}

function isHolding(found: Found, digest: string): boolean {
  return found.state === 'live' && found.entry.envelope.digest === digest
}

function gone({ record }: Entry): SessionGone {
  return new SessionGone(`session ${record.key.id} was destroyed, has expired or was taken over by a login`)
}

function conflicting(keys: readonly string[]): ConflictingChange {
  return new ConflictingChange(
    `another request changed ${keys.map((each) => JSON.stringify(each)).join(', ')}`,
    keys,
  )
}
