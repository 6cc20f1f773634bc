/** One session, as one request sees it. */

import { assemble, mintSecret } from '../credentials/credential.ts'
import { type Duration, milliseconds } from '../duration.ts'
import { InvalidOption, InvalidValue, SessionGone } from '../errors.ts'
import type { JsonObject } from '../records/envelope.ts'
import type { Awaitable } from '../store/contract.ts'
import type { Instant, Label } from '../store/record.ts'
import { Dictionary } from './dictionary.ts'
import {
  ageFrom,
  endsWithBrowser,
  type Expiry,
  type ExpiryQuestion,
  storedExpiry,
  usualIdle,
} from './expiry.ts'
import { type Device, deviceKept, type FactsChange, factsOf } from './facts.ts'
import { type Arrival, Holding, type SessionHome } from './holding.ts'
import { isAnother, isBegun, isTakenBack, type Login } from './login.ts'
import type { Held } from './held.ts'
import { happening, type Pending, type Storing } from './storing.ts'

/** How a user proved who they are. */
export interface LoginOptions {
  /** The names of RFC 8176, such as `pwd` and `otp`, or your own. @default [] */
  readonly methods?: readonly string[]
  /** The longer timeouts count, and the cookie outlives the browser. @default false */
  readonly remember?: boolean
}

/**
 * A dictionary of JSON values that lives in the store. Reading and changing it is synchronous; nothing is stored
 * before {@link save}. An empty new session that nobody writes to never reaches the store.
 *
 * One that was opened and not loaded yet can be changed, not read: {@link load} it first. What goes to the store loads
 * it by itself.
 *
 * @typeParam Data The keys and their types. All are optional: a session begins empty.
 */
export class Session<Data extends object = JsonObject> extends Dictionary<Data> {
  readonly #holding: Holding
  #flashes = 0

  /** Made by `Sessions`: use `sessions.open`, `sessions.load` or `sessions.start`. */
  constructor(home: SessionHome, arrival: Arrival) {
    super()
    this.#holding = new Holding(home, arrival, this.copy)
  }

  get #storing(): Storing {
    return this.#holding.home.storing
  }

  /** Whether its data was read from the store, or there is none. */
  get isLoaded(): boolean {
    return this.#holding.isLoaded
  }

  /** The public id, by which it is listed and revoked; `undefined` before it is stored. */
  get id(): string | undefined {
    this.copy.accessed = true
    return this.#holding.known?.entry.record.key.id
  }

  /**
   * What the client must carry from now on; `undefined` before the session is stored. Send it whenever it differs
   * from what the client sent. Secret.
   */
  get credential(): string | undefined {
    this.copy.accessed = true
    return this.carried
  }

  /**
   * The same for a door, which compares it with what the client sent: no answer depends on that.
   *
   * @internal
   */
  get carried(): string | undefined {
    const held = this.#holding.known
    if (!held) return undefined
    const { entry, secret } = held
    const { credential, parts } = this.#holding.arrival
    if (parts && parts.secret === secret && parts.id === entry.record.key.id) return credential
    return assemble(this.#storing.settings.prefix, { id: entry.record.key.id, secret })
  }

  /** Whether it isn't stored yet, or was destroyed. */
  get isNew(): boolean {
    this.copy.accessed = true
    return this.#holding.known === undefined
  }

  /** Whether it isn't stored and there is nothing in it. */
  get isEmpty(): boolean {
    this.copy.accessed = true
    return this.isLoaded && this.#holding.held === undefined && this.copy.isEmpty
  }

  /** Whether this request ended it. */
  get isDestroyed(): boolean {
    return this.#holding.isDestroyed
  }

  /** Whether the request holds its lock. */
  get isLocked(): boolean {
    return this.#holding.isLocked
  }

  /** Whether this request gave it another end, so that its cookie must be sent anew. */
  get hasOtherEnd(): boolean {
    return this.#holding.hasOtherEnd
  }

  /** Who is logged in. */
  get user(): string | undefined {
    this.copy.accessed = true
    return this.#holding.known?.entry.envelope.user
  }

  /** When it was created, milliseconds since 1970 UTC; `undefined` before it is stored. */
  get createdAt(): number | undefined {
    this.copy.accessed = true
    return this.#holding.known?.entry.envelope.createdAt
  }

  /**
   * When its user last logged in, milliseconds since 1970 UTC; its creation where nobody did, and 0 where that was in
   * another library and nobody knows when.
   */
  get authenticatedAt(): number | undefined {
    this.copy.accessed = true
    return this.#holding.known?.entry.envelope.authenticatedAt
  }

  /** How its user proved who they are, and when: milliseconds since 1970 UTC by method. */
  get methods(): Readonly<Record<string, number>> {
    this.copy.accessed = true
    return { ...this.#holding.facts.methods }
  }

  /** When it ends unless it is used again, milliseconds since 1970 UTC or `never`. */
  get expiresAt(): Instant | undefined {
    this.copy.accessed = true
    const held = this.#holding.known
    if (!held) return undefined
    const { record, envelope } = held.entry
    return Math.min(record.expiresAt, envelope.absolute)
  }

  /** The end that nothing prolongs, milliseconds since 1970 UTC or `never`. */
  get endsAt(): Instant | undefined {
    this.copy.accessed = true
    return this.#holding.known?.entry.envelope.absolute
  }

  /** What was noted of the device that it is used on, where `devices` has it kept. */
  get device(): Device | undefined {
    this.copy.accessed = true
    const held = this.#holding.known
    const { settings, records } = this.#storing
    return held && deviceKept(held.entry.envelope, settings.devices, records.now)
  }

  /** Whether there are changes that are not saved: also inside of a value that was taken out. */
  get modified(): boolean {
    return this.copy.modified || this.#holding.hasNewFacts
  }

  /**
   * Reads it from the store, once however often it is called; where that failed the next call tries again.
   *
   * @throws {StoreUnavailable} and the store's other errors. @throws {Locked}
   */
  load(): Awaitable<this> {
    const loading = this.#holding.load()
    return loading instanceof Promise ? loading.then(() => this) : this
  }

  // ── its end ───────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Gives it an expiry of its own from the next save on, in place of the idle timeout. It never goes beyond the
   * absolute timeout.
   *
   * @throws {InvalidExpiry} @throws {InvalidDuration}
   */
  setExpiry(expiry: Expiry): void {
    this.copy.accessed = true
    this.#holding.note({ expiry: storedExpiry(expiry), until: undefined })
  }

  /**
   * Milliseconds from a use until it ends by its own expiry, or by the default. Negative where that is over.
   *
   * @throws {SessionNotLoaded} unless the expiry is given.
   */
  expiryAge({ modification, expiry }: ExpiryQuestion = {}): number {
    const { settings, records } = this.#storing
    const from = modification === undefined ? records.now : Number(modification)
    if (expiry !== undefined) return ageFrom(from, storedExpiry(expiry), settings.idle)
    this.copy.accessed = true
    const { facts } = this.#holding
    return ageFrom(from, facts.expiry, usualIdle(settings, facts))
  }

  /** When it ends by its own expiry, or by the default. @throws {SessionNotLoaded} unless the expiry is given. */
  expiryDate(question: ExpiryQuestion = {}): Date {
    const { modification = this.#storing.records.now } = question
    return new Date(Number(modification) + this.expiryAge({ ...question, modification }))
  }

  /** Whether its cookie is to end when the browser closes. */
  get endsWithBrowser(): boolean {
    this.copy.accessed = true
    return endsWithBrowser(this.#storing.settings, this.#holding.facts)
  }

  // ── storing ───────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Stores what was changed. Other requests' changes of other keys are kept. Does nothing where nothing was changed,
   * nor for a new session that is empty.
   *
   * @throws {SessionGone} when it was destroyed, has expired, or was taken over by a login since it was loaded.
   * @throws {ConflictingChange} when another request changed the same keys; your changes stay unsaved.
   * @throws {InvalidData} when the schema refuses what would be stored.
   * @throws {OutcomeUnknown} when it can't be told whether a merge of `conflicts` was stored.
   */
  async save(): Promise<void> {
    // Whoever never looked at it must not be made to wait for a reading.
    if (!this.isLoaded && !this.modified) return
    const holding = this.#holding
    await holding.inTurn(async () => {
      if (!this.modified) return
      const { held } = holding
      if (held) await holding.stored((pending) => this.#storing.save(held, pending))
      else if (this.copy.isEmpty) this.copy.take()
      else await this.#create(undefined)
    })
  }

  /** Sets several keys. @throws {InvalidValue} */
  update(values: Partial<Data>): void
  /**
   * Changes the stored data by a function that gets the newest copy; it is run again when another request was
   * faster, so it must not do anything else. Unsaved changes are saved first.
   *
   * @returns what the function returned when its change was stored.
   * @throws {SessionGone} @throws {InvalidData}
   * @throws {OutcomeUnknown} when it can't be told whether the change happened.
   */
  update<R>(change: (data: Partial<Data>) => R): Promise<R>
  update<R>(change: Partial<Data> | ((data: Partial<Data>) => R)): Promise<R> | undefined {
    if (typeof change === 'function') return this.#updated(change)
    if (typeof change !== 'object' || (change as unknown) === null)
      throw new InvalidValue('update takes an object, or a function')
    for (const [name, value] of Object.entries(change)) this.set(name as never, value as never)
    return undefined
  }

  /**
   * Logs a user in: the session gets a new secret, and from now on nothing that was known before opens it. Unsaved
   * changes are stored with it. What another user left in it is dropped.
   *
   * @param login From `sessions.begin`, called before the credential was checked; or the user's name, where nothing
   *   is checked that a revocation in the meantime could concern.
   * @throws {RevokedMeanwhile} when everything of the user was revoked since the login began.
   * @throws {TooManySessions} when the user has as many sessions as `limit` allows, and it refuses more.
   * @throws {SessionGone} @throws {InvalidOption} when it is neither.
   */
  async login(login: Login | string, { methods = [], remember = false }: LoginOptions = {}): Promise<void> {
    const holding = this.#holding
    const begun = isBegun(login) ? login : await holding.asked(holding.home.begin({ user: login }))
    await holding.inTurn(async () => {
      const { held } = holding
      const store = async (): Promise<Held> => {
        await this.#storeLogin(held, begun, { methods, remember })
        return holding.held!
      }
      try {
        await holding.home.logIn(begun, held, store)
      } catch (error) {
        // Refused before it was stored, it is what it was. One that was there before and whose login can't be checked
        // stays as well, for all that is in it: whoever reads it looks again.
        if (holding.held !== held && (held === undefined || isTakenBack(error))) holding.forget()
        throw error
      }
      this.#tellLogin(methods)
    })
  }

  /**
   * The user has proved once more who they are: the session gets a new secret, and all earlier ones end. The absolute
   * timeout stays. Unsaved changes are stored with it.
   *
   * @param methods How, at least one: the names of RFC 8176, such as `otp`, or your own.
   * @throws {SessionGone} also where nobody is logged in. @throws {InvalidOption} without a method.
   */
  async stepUp(...methods: readonly [string, ...string[]]): Promise<void> {
    if (methods.length === 0) throw new InvalidOption('stepUp is told by which methods: name at least one')
    await this.#holding.inTurn(async () => {
      const { held } = this.#holding
      if (held?.entry.envelope.user === undefined)
        throw new SessionGone('nobody is logged in on this session')
      const { now } = this.#storing.records
      const by = Object.fromEntries(methods.map((each) => [each, now]))
      const facts = { methods: { ...factsOf(held.entry.envelope).methods, ...by } }
      await this.#holding.stored((pending) => this.#storing.cycleKey(held, pending), { facts })
      this.#tellLogin(methods)
    })
  }

  /**
   * Whether its user has proved who they are within a time: at all, or by each of the methods. Before what must not be
   * done by whoever finds the browser open. When the time has passed to the millisecond it isn't fresh any more.
   */
  isFresh(within: Duration, ...methods: readonly string[]): boolean {
    const ms = milliseconds(within, 'within')
    const held = this.#holding.known
    this.copy.accessed = true
    if (held?.entry.envelope.user === undefined) return false
    const { now } = this.#storing.records
    const by = factsOf(held.entry.envelope).methods ?? {}
    if (methods.length > 0) return methods.every((each) => now < (by[each] ?? 0) + ms)
    return now < Math.max(held.entry.envelope.authenticatedAt, ...Object.values(by)) + ms
  }

  /**
   * Gives the client a new secret. The old one is accepted for the grace window, which begins when the new one is
   * first presented, so that requests under way and lost answers cost nothing. Where another request rotated since
   * the client was given the secret that it sent, its successor is taken over instead. Unsaved changes are stored with
   * it.
   */
  async rotate(): Promise<void> {
    const holding = this.#holding
    await this.#changed((held, pending) => this.#storing.rotate(held, pending, holding.hasSuccessor))
  }

  /** Whether it has had its secret for as long as `rotateEvery` allows. */
  get isRotationDue(): boolean {
    const held = this.#holding.known
    if (!held) return false
    const { settings, records } = this.#storing
    const { rotatedAt = held.entry.envelope.createdAt } = factsOf(held.entry.envelope)
    return records.now - rotatedAt >= settings.rotateEvery
  }

  /**
   * Rotates because that is due. It is valid and was read: where nothing is to be stored with it, that it could not be
   * given a new secret is no reason to turn its user away.
   *
   * @internal
   */
  async rotateDue(): Promise<void> {
    const { modified } = this
    try {
      await this.rotate()
    } catch (cause) {
      if (modified) throw cause
      // Another request was faster to change it, and its answer tells the client.
      if (cause instanceof SessionGone) return
      const { records, settings } = this.#storing
      const { collection } = records
      settings.onEvent({ type: 'rotation-failed', collection, id: this.id!, cause: cause as Error })
    }
  }

  /** Gives the client a new secret and ends all earlier ones at once. For every change of privilege. */
  async cycleKey(): Promise<void> {
    await this.#changed((held, pending) => this.#storing.cycleKey(held, pending))
  }

  /**
   * Prolongs it now, not first when it was not used for a while. Unsaved changes are stored with it. The absolute
   * timeout stays.
   *
   * @param duration How long from now on, for this once, shorter too: 0 ends it, with what is unsaved. @default as long as a use prolongs it
   * @throws {SessionGone} @throws {ConflictingChange} @throws {InvalidDuration}
   */
  async refresh(duration?: Duration): Promise<void> {
    const age = duration === undefined ? undefined : milliseconds(duration, 'duration')
    await this.#changed((held, pending) => this.#storing.refresh(held, pending, age))
  }

  /** Destroys it: no request, however late, brings it back. The object is an empty new session afterwards. */
  async destroy(): Promise<void> {
    const holding = this.#holding
    await holding.inTurn(async () => {
      const { records, settings } = this.#storing
      const entry = holding.held?.entry
      const { credential, old } = holding.arrival
      if (entry) {
        const { id } = entry.record.key
        const burial = await records.bury(id, 'destroyed')
        await records.acknowledge([id])
        if (burial === 'buried') settings.onEvent({ ...happening(entry), type: 'revoked', why: 'destroyed' })
      } else if (credential !== undefined && !holding.isDestroyed) {
        // Nobody must stay logged in because a tab sent an old cookie.
        await holding.home.logout(credential)
      }
      // It is still in the browser when ours is deleted, and must not log in again.
      if (old) await holding.home.endOld(old, entry?.record.key.id)
      holding.forget()
      holding.isDestroyed = true
    })
  }

  /** The name that Django's sessions have for {@link destroy}. */
  async flush(): Promise<void> {
    await this.destroy()
  }

  /** The name that Tornado's sessions have for {@link destroy}. */
  async invalidate(): Promise<void> {
    await this.destroy()
  }

  /** Lets go of the lock, where the request came with one. What is saved afterwards is saved out of order. */
  async release(): Promise<void> {
    await this.#holding.release()
  }

  /**
   * Lets go of the lock after a while, unless that was done before: of a request that may be under way, and may never
   * end.
   *
   * @internal
   */
  releaseIn(ms: number): void {
    const { clock } = this.#storing.records.store
    clock.timer(ms, () => {
      this.release().catch(() => undefined)
    })
  }

  /**
   * Has it be empty where it can't be read, for errors that `decide` says so of. Whatever goes to the store fails then.
   *
   * @internal
   */
  goOnWithout(decide: (error: unknown) => boolean): void {
    this.#holding.goesOnWithout = decide
  }

  /** Has what the store's errors become thrown to the application. @internal */
  tellErrors(told: (error: unknown) => unknown): void {
    this.#holding.told = told
  }

  /** Stores a new session. @internal */
  async start(login: Login | undefined, labels: readonly Label[], options: LoginOptions): Promise<void> {
    this.#holding.labels = labels
    if (login) await this.login(login, options)
    else await this.#holding.inTurn(() => this.#create(undefined))
  }

  async #storeLogin(
    held: Held | undefined,
    begun: Login,
    { methods, remember }: Required<LoginOptions>,
  ): Promise<void> {
    const holding = this.#holding
    const { now } = this.#storing.records
    const by = methods.length > 0 ? Object.fromEntries(methods.map((each) => [each, now])) : undefined
    const facts = { methods: by, remembered: remember ? true : undefined }
    if (!held) {
      await this.#create(begun, facts)
      return
    }
    const inside = !isAnother(held.entry.envelope, begun)
    const logIn = (pending: Pending): Promise<Held> => this.#storing.login(held, begun, pending)
    await this.#storing.keepLogin(await holding.stored(logIn, { facts, inside }))
  }

  async #updated<R>(change: (data: Partial<Data>) => R): Promise<R> {
    await this.save()
    const holding = this.#holding
    return await holding.inTurn(async () => {
      if (!holding.held) await this.#create(undefined)
      const { held, answer } = await this.#storing.update(
        holding.held!,
        (data) => change(data as Partial<Data>),
        holding.arrival.visit,
      )
      holding.hold(held)
      return answer
    })
  }

  async #create(login: Login | undefined, facts: FactsChange = {}): Promise<void> {
    const { labels } = this.#holding
    await this.#holding.stored((pending) => this.#storing.create({ login, labels, pending }), { facts })
  }

  /** Changes what is stored; does nothing where nothing is. */
  async #changed(store: (held: Held, pending: Pending) => Promise<Held>): Promise<void> {
    await this.#holding.inTurn(async () => {
      const { held } = this.#holding
      if (held) await this.#holding.stored((pending) => store(held, pending))
    })
  }

  #tellLogin(methods: readonly string[]): void {
    const { entry } = this.#holding.held!
    this.#storing.settings.onEvent({ ...happening(entry), type: 'login', methods })
  }

  protected override stamp(): string {
    const at = this.#storing.records.now.toString(36).padStart(9, '0')
    return `${at}${(this.#flashes++).toString(36).padStart(2, '0')}${mintSecret().slice(0, 8)}`
  }
}
