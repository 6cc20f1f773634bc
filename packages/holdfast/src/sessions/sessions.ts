/** Web sessions over a store. */

import { type CredentialParts, parse } from '../credentials/credential.ts'
import { milliseconds } from '../duration.ts'
import { InvalidOption, RevokedMeanwhile, SessionGone } from '../errors.ts'
import { type Admitted, admit, isAdmitted, mayEnd, type Refused } from '../records/admission.ts'
import { checkOthers, filterLabels, type JsonObject } from '../records/envelope.ts'
import { type Entry, Records } from '../records/records.ts'
import { revokeByLabels } from '../records/revoking.ts'
import { hasUnopenedWindows, opened, recognise } from '../records/rotation.ts'
import type { Awaitable, Cursor } from '../store/contract.ts'
import { type Instant, isId, type Label, label } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { admitHere } from './admitting.ts'
import { Adopting, checkRetention, type OldArrival } from './adopting.ts'
import { expiryOf, isOutOfTime, wasUsed } from './expiry.ts'
import { type Followed, Following } from './following.ts'
import { infoOf, type SessionInfo } from './info.ts'
import { type Counted, withinLimit } from './limit.ts'
import { checkUser, type Login } from './login.ts'
import { longestLife, type SessionSettings, sessionSettings, type SessionsOptions } from './options.ts'
import type { Arrival, Read, SessionHome } from './holding.ts'
import { type LoginOptions, Session } from './session.ts'
import type { Held } from './held.ts'
import { happening, Storing } from './storing.ts'
import { isOutdated, type Visit } from './visit.ts'

/** Which sessions: those that carry the user's label and all the others. At least one must be given. */
export interface SessionFilter {
  readonly user?: string
  readonly labels?: readonly Label[]
}

/** A page of sessions. It may be short while there is a `next`. */
export interface SessionPage<Data extends object> {
  readonly sessions: readonly SessionInfo<Data>[]
  readonly next?: Cursor
}

/**
 * Web sessions: started, loaded by credential, listed and revoked by user.
 *
 * @typeParam Data What a session holds: the keys and their types.
 */
export class Sessions<Data extends object = JsonObject> {
  /** Whether it matters where a request comes from: to compare it, or to keep it. */
  readonly looksAtClients: boolean
  readonly #records: Records
  readonly #settings: SessionSettings
  readonly #home: SessionHome
  readonly #adopting: Adopting
  readonly #listens: boolean
  readonly #isOutOfTime = (entry: Entry): boolean => isOutOfTime(this.#settings, entry, this.#records.now)
  readonly #following: Following

  /**
   * @throws {InvalidOption} when an option can't be honoured.
   * @throws {InvalidDuration}
   */
  constructor(store: Store, options: SessionsOptions<Data> = {}) {
    const settings = sessionSettings(options)
    const { binding, devices } = settings
    this.#settings = settings
    this.looksAtClients = binding.address !== undefined || binding.agent !== undefined || devices > 0
    this.#listens = options.onEvent !== undefined
    this.#records = new Records(store, {
      collection: settings.collection,
      retention: settings.retention,
      // Marks strike what is adopted as well, which may be as old as what is remembered.
      longest: Math.max(longestLife(settings), settings.retention),
      markBound: settings.markBound,
      tombstoneLabels: () => [],
    })
    this.#following = new Following(this.#records, settings.markBound, async (found) => {
      if (found.state !== 'live' || this.#isOutOfTime(found.entry)) return false
      // The process's copy of the marks may hear of a new one later than this does.
      return !(await this.#records.marks.strikesStrictly(found.entry))
    })
    const storing = new Storing(this.#records, settings)
    this.#adopting = new Adopting(storing)
    this.#home = {
      storing,
      begin: (principal) => this.begin(principal),
      read: (parts, visit) => this.#read(parts, visit),
      readOrAdopt: (old, arrival) => this.#readOrAdopt(old, arrival),
      endOld: (old, ended) => this.#adopting.end(old, ended),
      logIn: async (login, held, store) => {
        this.#check(login)
        const counted = this.#counted()
        if (counted) await withinLimit(counted, login.user, held?.entry, async () => (await store()).entry)
        else await store()
      },
      logout: (credential) => this.logout(credential),
    }
  }

  /** The time, milliseconds since 1970 UTC, by the clock of the store. */
  get now(): number {
    return this.#records.now
  }

  /** Tells that a cookie was not signed by us. @internal */
  tellTampered(): void {
    const { onEvent, collection } = this.#settings
    onEvent({ type: 'tampered-cookie', collection })
  }

  /**
   * The session of a credential, not loaded yet: the store is first asked when the session is {@link Session.load}ed,
   * or goes to the store itself, and never where nobody asks.
   *
   * @param visit How the request came.
   */
  open(credential: string | undefined, visit: Visit = {}): Session<Data> {
    const parts = parse(this.#settings.prefix, credential)
    return new Session<Data>(
      this.#home,
      parts && credential !== undefined ? { visit, credential, parts } : { visit },
    )
  }

  /**
   * The same, where the request came with the cookie of another library whose sessions are adopted.
   *
   * @internal
   */
  openOrAdopt(old: OldArrival, credential: string | undefined, visit: Visit = {}): Session<Data> {
    const parts = parse(this.#settings.prefix, credential)
    const ours = parts && credential !== undefined ? { credential, parts } : {}
    return new Session<Data>(this.#home, { visit, old, ...ours })
  }

  /** Whether what another library has stored can be adopted safely. @throws {InvalidOption} @internal */
  checkAdopting(): void {
    checkRetention(this.#settings)
  }

  /**
   * Loads the session of a credential. There is always an answer: what is missing, malformed, expired, destroyed,
   * revoked, corrupt or foreign gives an empty new session, of which nothing is stored before it is saved, and which
   * never takes over the id that the client sent.
   *
   * @param visit How the request came.
   * @throws {StoreUnavailable} and the store's other errors: an outage is never answered as "no session".
   */
  async load(credential: string | undefined, visit: Visit = {}): Promise<Session<Data>> {
    return await this.open(credential, visit).load()
  }

  /**
   * Begins a login: call it before you check the password, and hand the answer to `start` or `session.login`.
   *
   * @param principal.labels Other labels that its session is to carry: a revocation by one of them which happens while
   *   the password is checked is noticed too. @default []
   * @throws {InvalidOption}
   */
  async begin(principal: { readonly user: string; readonly labels?: readonly Label[] }): Promise<Login> {
    const { user, labels = [] } = principal
    checkUser(user)
    checkOthers(labels)
    const at = this.#records.now
    const epochs = await this.#records.marks.epochs([label('user', user), ...labels])
    return { user, epochs, at, ...(labels.length > 0 ? { labels } : {}) }
  }

  /**
   * Starts a session that is stored at once.
   *
   * @param options.login From `begin`, called before the credential was checked.
   * @param options.user In its place, where nothing is checked that a revocation in the meantime could concern.
   * @throws {RevokedMeanwhile} when everything of the user was revoked since the login began.
   * @throws {TooManySessions} when the user has as many sessions as `limit` allows, and it refuses more.
   * @throws {InvalidData} when the schema refuses the data.
   */
  async start(
    options: {
      readonly user?: string
      readonly login?: Login
      readonly data?: Partial<Data>
      readonly labels?: readonly Label[]
    } & LoginOptions &
      Visit = {},
  ): Promise<Session<Data>> {
    const { user, data = {}, labels = [] } = options
    checkOthers(labels)
    const login = options.login ?? (user === undefined ? undefined : await this.begin({ user }))
    if (login && user !== undefined && login.user !== user) {
      throw new InvalidOption('`user` and `login` name different users')
    }
    const session = this.open(undefined, options)
    for (const [name, value] of Object.entries(data)) {
      if (value !== undefined) session.set(name as keyof Data & string, value as Data[keyof Data & string])
    }
    await session.start(login, labels, options)
    return session
  }

  /** A session by its public id, for lists and operators: no secret is needed, so none of its windows open. */
  async get(id: string): Promise<SessionInfo<Data> | undefined> {
    if (!isId(id)) return undefined
    const found = await this.#records.find(id)
    if (found.state !== 'live' || (await this.#isOver(found.entry))) return undefined
    return await this.#info(found.entry)
  }

  /** A page of the live sessions with all the labels, in order of their ids. */
  async list(
    filter: SessionFilter & { readonly after?: Cursor; readonly limit?: number } = {},
  ): Promise<SessionPage<Data>> {
    const { after, limit } = filter
    const page = await this.#records.list(filterLabels(filter), {
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit }),
    })
    const sessions: SessionInfo<Data>[] = []
    for (const record of page.records) {
      const found = this.#records.opened(record)
      if (found.state === 'live' && !(await this.#isOver(found.entry))) {
        sessions.push(await this.#info(found.entry))
      }
      if (found.state === 'corrupt') this.#tellCorrupt(record.key.id, found.cause)
    }
    return { sessions, ...(page.next === undefined ? {} : { next: page.next }) }
  }

  /**
   * Follows a session for as long as something lasts that it was opened for, such as a WebSocket.
   *
   * @param session One that is stored.
   * @throws {SessionGone} when it is not.
   * @throws {StoreUnavailable} and the store's other errors.
   */
  async follow(session: Session<Data>): Promise<Followed> {
    if (session.id === undefined) throw new SessionGone('a session that is not stored can’t be followed')
    return await this.#following.follow(session.id, session.user)
  }

  /** Destroys a session by its public id. Answers whether it was alive. */
  async destroy(id: string): Promise<boolean> {
    return isId(id) && (await this.#end(id, 'destroyed'))
  }

  /**
   * Destroys the session of a credential. Any secret that was ever the session's own will do, the rotated ones too:
   * nobody must stay logged in because a tab sent an old cookie.
   */
  async logout(credential: string): Promise<boolean> {
    const parts = parse(this.#settings.prefix, credential)
    if (!parts) return false
    return (await mayEnd(this.#records, parts)) && (await this.#end(parts.id, 'logged out'))
  }

  /**
   * Ends all sessions that carry the labels: "log out my other devices". Logins that are under way with a password
   * that was checked before don't escape it; who logs in afterwards is not concerned.
   *
   * @param filter.except The id of a session to spare.
   * @returns how many were alive and were ended by this call.
   * @throws {NotSupported} when the store's listings may miss sessions.
   */
  async revoke(filter: SessionFilter & { readonly except?: string }): Promise<number> {
    const labels = filterLabels(filter)
    if (labels.length === 0) throw new InvalidOption('say whose sessions to revoke: a user or labels')
    const revoked = await revokeByLabels(this.#records, labels, {
      end: async (id) => ((await this.#records.bury(id, 'revoked')) === 'buried' ? [id] : []),
      ...(filter.except === undefined ? {} : { except: [filter.except] }),
    })
    const { onEvent, collection } = this.#settings
    onEvent({ type: 'revoked-all', collection, labels, count: revoked.length })
    return revoked.length
  }

  async #info(entry: Entry): Promise<SessionInfo<Data>> {
    const data = await this.#home.storing.shown(entry.envelope.data)
    return infoOf<Data>(entry, data, this.#settings.devices, this.#records.now)
  }

  async #end(id: string, why: string): Promise<boolean> {
    const burial = await this.#records.bury(id, why)
    // Also where there was nothing left to do: whoever buried it may not have come so far.
    await this.#records.acknowledge([id])
    const { onEvent, collection } = this.#settings
    if (burial === 'buried') onEvent({ type: 'revoked', collection, id, why })
    return burial === 'buried'
  }

  #read(parts: CredentialParts, visit: Visit): Awaitable<Read | undefined> {
    if (visit.lock !== undefined) return this.#readLocked(parts, visit, milliseconds(visit.lock, 'lock'))
    const answer = admit(this.#records, parts, this.#settings.onEvent, this.#isOutOfTime)
    return answer instanceof Promise
      ? answer.then((given) => this.#admitted(given, parts, visit))
      : this.#admitted(answer, parts, visit)
  }

  /**
   * Ours counts where it opens something. Otherwise the other library's does, also where ours was sent: it may have
   * timed out, or have been ended, long before its user logged in over there. Nobody is logged in again by that: what
   * was ended in a request that came with the other cookie has ended under that one's id as well.
   */
  async #readOrAdopt(old: OldArrival, { parts, visit }: Arrival): Promise<Read | undefined> {
    const ours = parts && (await this.#read(parts, visit))
    if (ours) return ours
    const adopted = await this.#adopting.adopted(old, visit)
    const read = adopted && (await this.#read(adopted, visit))
    return read && { ...read, presented: adopted.secret }
  }

  /** Whoever only knows an id must not keep its owner waiting, so the secret is looked at before the lock is taken. */
  async #readLocked(parts: CredentialParts, visit: Visit, patience: number): Promise<Read | undefined> {
    const { onEvent, collection } = this.#settings
    const first = await admit(this.#records, parts, onEvent, this.#isOutOfTime)
    if (!isAdmitted(first)) return await this.#admitted(first, parts, visit)
    const release = await this.#records.leases.acquire(`${collection}/${parts.id}`, patience)
    try {
      const newest = await admit(this.#records, parts, onEvent, this.#isOutOfTime, { strict: true })
      const read = await this.#admitted(newest, parts, visit)
      if (read) return { ...read, release }
    } catch (error) {
      await release()
      throw error
    }
    await release()
    return undefined
  }

  #admitted(answer: Admitted | Refused, parts: CredentialParts, visit: Visit): Awaitable<Held | undefined> {
    if (!isAdmitted(answer)) return this.#listens ? this.#turnedAway(parts) : undefined
    const { schema, binding } = this.#settings
    if (schema || binding.address || binding.agent) return this.#examined(answer, visit)
    const used = this.#used(answer, visit)
    return used instanceof Promise ? used.then((held) => held && this.#let(held)) : used && this.#let(used)
  }

  /** Lets a session in, after everything that may keep it out: whoever is refused must not keep it alive. */
  async #examined(answer: Admitted, visit: Visit): Promise<Held | undefined> {
    const here = await admitHere(this.#home.storing, answer, visit)
    // One that was given a new secret just now was used just now.
    const used = here === answer ? await this.#used(answer, visit) : here
    const { schema, onEvent } = this.#settings
    const now = used && schema ? await this.#home.storing.migrate(used, schema) : used
    if (!now) return undefined
    if (now.isHidden === true) onEvent({ ...happening(now.entry), type: 'invalid-data' })
    return this.#let(now)
  }

  #let(held: Held): Held {
    if (this.#listens) this.#settings.onEvent({ ...happening(held.entry), type: 'loaded' })
    return held
  }

  /** Tells of a client who comes back to a session that has timed out. It was answered, so nothing of this may fail. */
  async #turnedAway({ id, secret }: CredentialParts): Promise<undefined> {
    try {
      const record = await this.#records.store.read(this.#records.key(id), { expired: true })
      const found = this.#records.past(record)
      if (!found || !('secret' in recognise(found.envelope, id, secret, this.#records.now))) return
      const ends = Math.min(found.record.expiresAt, found.envelope.absolute)
      if (this.#isOutOfTime(found) || this.#records.now >= ends) {
        this.#settings.onEvent({ ...happening(found), type: 'expired' })
      }
    } catch {
      // Nobody knows then what became of it.
    }
  }

  #used(answer: Admitted, visit: Visit): Awaitable<Held | undefined> {
    if (answer.as !== 'current' || !hasUnopenedWindows(answer.entry.envelope)) {
      return this.#prolonged(answer, visit)
    }
    return this.#openWindows(answer, visit).then((held) => held && this.#prolonged(held, visit))
  }

  /** The successor was presented: its predecessors' windows begin to run, before anything is answered. */
  async #openWindows({ entry, secret }: Admitted, { keepAlive = true }: Visit): Promise<Held | undefined> {
    const { id } = entry.record.key
    return await this.#records.amend<Held | undefined>(
      id,
      entry,
      (found) => {
        if (found.state !== 'live') return { stop: undefined }
        const { envelope, record } = found.entry
        const now = this.#records.now
        const recognition = recognise(envelope, id, secret, now)
        if (!('secret' in recognition)) return { stop: undefined }
        // Rotated again meanwhile: the windows are that successor's to open.
        if (recognition.as !== 'current' || !hasUnopenedWindows(envelope)) {
          return { stop: { entry: found.entry, secret: recognition.secret } }
        }
        return {
          write: {
            envelope: opened(envelope, this.#settings.grace, now),
            // A write that marks the session as used now must prolong it as a touch would.
            expiresAt: keepAlive ? expiryOf(this.#settings, envelope, now) : record.expiresAt,
            touchedAt: keepAlive ? now : record.touchedAt,
          },
          answer: (written) => ({ entry: written, secret }),
        }
      },
      { repeatable: true },
    )
  }

  /** Prolongs a session that was not used for a while; at most once per fraction of the idle timeout. */
  #prolonged(held: Held, visit: Visit): Awaitable<Held | undefined> {
    const { keepAlive = true } = visit
    const isRecent = wasUsed(this.#settings, held.entry, this.#records.now)
    return !keepAlive || isRecent ? held : this.#touched(held, visit)
  }

  async #touched(held: Held, visit: Visit): Promise<Held | undefined> {
    const { record, envelope } = held.entry
    const now = this.#records.now
    const endOf = ({ record: { expiresAt }, envelope: of }: Entry): Instant =>
      Math.max(expiryOf(this.#settings, of, now), expiresAt)
    // Whoever shortened it on purpose meanwhile has used it as well.
    const needed = (newest: Entry): Instant | undefined =>
      wasUsed(this.#settings, newest, now) ? undefined : endOf(newest)
    const expiresAt = endOf(held.entry)
    const failed = (cause: unknown): void => {
      const { collection, id } = record.key
      this.#settings.onEvent({ type: 'touch-failed', collection, id, cause: cause as Error })
    }
    try {
      if (isOutdated(this.#settings, visit, held.entry, now))
        return await this.#home.storing.renew(held, visit)
      if (!(await this.#records.touchBehind(held.entry, expiresAt, failed, needed))) return undefined
    } catch (cause) {
      // It is valid and was read: that it could not be prolonged is no reason to turn its user away.
      failed(cause)
      return held
    }
    return { ...held, entry: { record: { ...record, expiresAt, touchedAt: now }, envelope } }
  }

  async #isOver(entry: Entry): Promise<boolean> {
    return this.#isOutOfTime(entry) || (await this.#records.marks.strikes(entry))
  }

  #counted(): Counted | undefined {
    const { limit } = this.#settings
    if (!limit) return undefined
    return {
      records: this.#records,
      limit,
      isOver: (entry) => this.#isOver(entry),
      end: (id, why) => this.#end(id, why),
    }
  }

  #check(login: Login): void {
    // The marks of that time may have been tidied away.
    if (this.#records.now - login.at > this.#records.store.margin) {
      throw new RevokedMeanwhile('this login began too long ago: begin again')
    }
  }

  #tellCorrupt(id: string, cause: Error): void {
    this.#settings.onEvent({ type: 'corrupt', collection: this.#settings.collection, id, cause })
  }
}
