/** One session, as one request sees it. */

import { assemble } from '../credentials/credential.ts'
import type { JsonObject } from '../records/envelope.ts'
import { applied, type Changes, type KeyChange, storable } from '../records/saving.ts'
import type { Instant, Label } from '../store/record.ts'
import type { Held, Login, Storing } from './storing.ts'

/** What a session needs of the `Sessions` that it came from. */
export interface SessionHome {
  readonly storing: Storing
  begin(principal: { readonly user: string }): Promise<Login>
  check(login: Login): void
}

const noKeys: ReadonlyMap<string, KeyChange> = new Map()

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
  #keys: ReadonlyMap<string, KeyChange> = noKeys
  #cleared = false
  #labels: readonly Label[] = []
  #saving: Promise<unknown> | undefined

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
    return assemble(this.#home.storing.settings.prefix, { id: entry.record.key.id, secret })
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
    this.#keys = noKeys
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
      const held = this.#held
      if (held) await this.#stored((changes) => this.#home.storing.save(held, changes))
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
      const { entry, answer } = await this.#home.storing.update(held, (data) => change(data as Partial<Data>))
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
    const { storing } = this.#home
    this.#home.check(begun)
    await this.#inTurn(async () => {
      if (!this.#held) {
        await this.#create(begun)
        return
      }
      const held = this.#held
      await this.#stored((changes) => storing.login(held, begun, changes))
      try {
        await storing.keepLogin(this.#held)
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
      const held = this.#held
      if (held) await this.#stored((changes) => this.#home.storing.rotate(held, changes))
    })
  }

  /** Gives the client a new secret and ends all earlier ones at once. For every change of privilege. */
  async cycleKey(): Promise<void> {
    await this.#inTurn(async () => {
      const held = this.#held
      if (held) await this.#stored((changes) => this.#home.storing.cycleKey(held, changes))
    })
  }

  /** Destroys it: no request, however late, brings it back. The object is an empty new session afterwards. */
  async destroy(): Promise<void> {
    await this.#inTurn(async () => {
      const { records } = this.#home.storing
      const id = this.#held?.entry.record.key.id
      if (id !== undefined) {
        await records.bury(id, 'destroyed')
        await records.acknowledge([id])
      }
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
    await this.#stored((changes) => this.#home.storing.create({ login, labels: this.#labels, changes }))
  }

  /** Takes up what was stored. What could not be stored is unsaved again. */
  async #stored(store: (changes: Changes) => Promise<Held>): Promise<void> {
    const taken = this.#take()
    try {
      this.#hold(await store(taken))
    } catch (error) {
      this.#putBack(taken)
      throw error
    }
  }

  // ── changes that are not saved yet ────────────────────────────────────────────────────────────────────────

  #change(name: string, change: KeyChange): void {
    this.#keys = new Map(this.#keys).set(name, change)
    this.#view = applied(this.#view, { cleared: false, keys: new Map([[name, change]]) })
  }

  #changes(): Changes {
    return { cleared: this.#cleared, keys: this.#keys }
  }

  #take(): Changes {
    const taken = this.#changes()
    this.#keys = noKeys
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
    this.#keys = noKeys
    this.#cleared = false
    this.#view = {}
  }

  /** Saves of one session object wait for each other, so that `save` never answers before all is stored. */
  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#saving ? this.#saving.then(task) : task()
    this.#saving = turn.catch(() => undefined)
    return await turn
  }
}
