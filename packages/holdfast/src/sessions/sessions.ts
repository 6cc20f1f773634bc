/** Web sessions over a store. */

import { type CredentialParts, parse } from '../credentials/credential.ts'
import { InvalidOption, RevokedMeanwhile } from '../errors.ts'
import { type Admitted, admit, isAdmitted, mayEnd, type Refused } from '../records/admission.ts'
import { checkOthers, filterLabels, type JsonObject } from '../records/envelope.ts'
import { type Entry, Records } from '../records/records.ts'
import { revokeByLabels } from '../records/revoking.ts'
import { hasUnopenedWindows, opened, recognise } from '../records/rotation.ts'
import type { Awaitable, Cursor } from '../store/contract.ts'
import { type Instant, isId, type Label, label } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { expiryOf, type SessionSettings, sessionSettings, type SessionsOptions } from './options.ts'
import { Session, type SessionHome } from './session.ts'
import { type Held, type Login, Storing } from './storing.ts'

/** A session as its owner or an operator sees it in a list. Holds no secret. */
export interface SessionInfo<Data extends object = JsonObject> {
  readonly id: string
  readonly user?: string
  readonly labels: readonly Label[]
  /** Milliseconds since 1970 UTC, as all instants. */
  readonly createdAt: number
  readonly authenticatedAt: number
  /** When it was last used, as exactly as `touchEvery` has it. */
  readonly touchedAt: number
  readonly expiresAt: Instant
  readonly data: Partial<Data>
}

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
  readonly #records: Records
  readonly #settings: SessionSettings
  readonly #home: SessionHome

  /**
   * @throws {InvalidOption} when an option can't be honoured.
   * @throws {InvalidDuration}
   */
  constructor(store: Store, options: SessionsOptions = {}) {
    const settings = sessionSettings(options)
    this.#settings = settings
    this.#records = new Records(store, {
      collection: settings.collection,
      retention: settings.retention,
      longest: settings.absolute,
      markBound: settings.markBound,
      tombstoneLabels: () => [],
    })
    this.#home = {
      storing: new Storing(this.#records, settings),
      begin: (principal) => this.begin(principal),
      check: (login) => {
        this.#check(login)
      },
    }
  }

  /**
   * Loads the session of a credential. There is always an answer: what is missing, malformed, expired, destroyed,
   * revoked, corrupt or foreign gives an empty new session, of which nothing is stored before it is saved, and which
   * never takes over the id that the client sent.
   *
   * @throws {StoreUnavailable} and the store's other errors: an outage is never answered as "no session".
   */
  async load(credential: string | undefined): Promise<Session<Data>> {
    const parts = parse(this.#settings.prefix, credential)
    const held = parts && this.#held(parts)
    return new Session<Data>(this.#home, held instanceof Promise ? await held : held)
  }

  /**
   * Begins a login: call it before you check the password, and hand the answer to `start` or `session.login`.
   *
   * @param principal.labels The other labels that `start` will be given, so that a revocation by one of them which
   *   happens while the password is checked is noticed too. @default []
   */
  async begin(principal: { readonly user: string; readonly labels?: readonly Label[] }): Promise<Login> {
    const { user, labels = [] } = principal
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
   */
  async start(
    options: {
      readonly user?: string
      readonly login?: Login
      readonly data?: Partial<Data>
      readonly labels?: readonly Label[]
    } = {},
  ): Promise<Session<Data>> {
    const { user, data = {}, labels = [] } = options
    checkOthers(labels)
    const login = options.login ?? (user === undefined ? undefined : await this.begin({ user }))
    if (login && user !== undefined && login.user !== user) {
      throw new InvalidOption('`user` and `login` name different users')
    }
    if (login) this.#check(login)
    const session = new Session<Data>(this.#home, undefined)
    for (const [name, value] of Object.entries(data)) {
      if (value !== undefined) session.set(name as keyof Data & string, value as Data[keyof Data & string])
    }
    await session.start(login, labels)
    return session
  }

  /** A session by its public id, for lists and operators: no secret is needed, so none of its windows open. */
  async get(id: string): Promise<SessionInfo<Data> | undefined> {
    if (!isId(id)) return undefined
    const found = await this.#records.find(id)
    if (found.state !== 'live' || (await this.#isOver(found.entry))) return undefined
    return infoOf<Data>(found.entry)
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
      if (found.state === 'live' && !(await this.#isOver(found.entry)))
        sessions.push(infoOf<Data>(found.entry))
      if (found.state === 'corrupt') this.#tellCorrupt(record.key.id, found.cause)
    }
    return { sessions, ...(page.next === undefined ? {} : { next: page.next }) }
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
    return revoked.length
  }

  async #end(id: string, why: string): Promise<boolean> {
    const burial = await this.#records.bury(id, why)
    // Also where there was nothing left to do: whoever buried it may not have come so far.
    await this.#records.acknowledge([id])
    return burial === 'buried'
  }

  #held(parts: CredentialParts): Awaitable<Held | undefined> {
    const answer = admit(this.#records, parts, this.#settings.onEvent, (entry) => this.#isOutOfTime(entry))
    return answer instanceof Promise ? answer.then((given) => this.#used(given)) : this.#used(answer)
  }

  #used(answer: Admitted | Refused): Awaitable<Held | undefined> {
    if (!isAdmitted(answer)) return undefined
    if (answer.as !== 'current' || !hasUnopenedWindows(answer.entry.envelope)) return this.#prolonged(answer)
    return this.#openWindows(answer).then((held) => held && this.#prolonged(held))
  }

  /** The successor was presented: its predecessors' windows begin to run, before anything is answered. */
  async #openWindows({ entry, secret }: Admitted): Promise<Held | undefined> {
    const { id } = entry.record.key
    return await this.#records.amend<Held | undefined>(
      id,
      entry,
      (found) => {
        if (found.state !== 'live') return { stop: undefined }
        const { envelope } = found.entry
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
            // This write marks the session as used now, so it must prolong it as a touch would.
            expiresAt: expiryOf(this.#settings, envelope.absolute, now),
          },
          answer: (written) => ({ entry: written, secret }),
        }
      },
      { repeatable: true },
    )
  }

  /** Prolongs a session that was not used for a while; at most once per fraction of the idle timeout. */
  #prolonged({ entry, secret }: Held): Awaitable<Held | undefined> {
    const unused = this.#records.now - entry.record.touchedAt
    // Also where the expiry can't move: by `touchedAt` it is judged when the idle timeout is shortened.
    return unused < Math.max(this.#settings.touchAfter, 1)
      ? { entry, secret }
      : this.#touched({ entry, secret })
  }

  async #touched(held: Held): Promise<Held | undefined> {
    const { record, envelope } = held.entry
    const now = this.#records.now
    const expiresAt = Math.max(expiryOf(this.#settings, envelope.absolute, now), record.expiresAt)
    const failed = (cause: unknown): void => {
      const { collection, id } = record.key
      this.#settings.onEvent({ type: 'touch-failed', collection, id, cause: cause as Error })
    }
    try {
      if (!(await this.#records.touchBehind(held.entry, expiresAt, failed))) return undefined
    } catch (cause) {
      // It is valid and was read: that it could not be prolonged is no reason to turn its user away.
      failed(cause)
      return held
    }
    return { ...held, entry: { record: { ...record, expiresAt, touchedAt: now }, envelope } }
  }

  /** Timeouts that were shortened since the session was written count at once. */
  #isOutOfTime({ record, envelope }: Entry): boolean {
    const { idle, touchAfter, absolute } = this.#settings
    const now = this.#records.now
    return now >= record.touchedAt + idle + touchAfter || now >= envelope.authenticatedAt + absolute
  }

  async #isOver(entry: Entry): Promise<boolean> {
    const { record, envelope } = entry
    if (this.#isOutOfTime(entry)) return true
    return await this.#records.marks.strikes({
      id: record.key.id,
      labels: record.labels,
      epochs: envelope.epochs,
    })
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

function infoOf<Data extends object>({ record, envelope }: Entry): SessionInfo<Data> {
  return {
    id: record.key.id,
    labels: record.labels,
    createdAt: envelope.createdAt,
    authenticatedAt: envelope.authenticatedAt,
    touchedAt: record.touchedAt,
    expiresAt: Math.min(record.expiresAt, envelope.absolute),
    data: structuredClone(envelope.data) as Partial<Data>,
    ...(envelope.user === undefined ? {} : { user: envelope.user }),
  }
}
