/**
 * One request's life with its session, without any framework: opened from what the request carries, committed before
 * the headers of the answer are sent. Every door translates its framework's request and answer to this, and does
 * nothing else.
 */

import type { Duration } from '../duration.ts'
import { Locked } from '../errors.ts'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { OldArrival } from '../sessions/adopting.ts'
import type { Client } from '../sessions/facts.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Visit } from '../sessions/visit.ts'
import type { Awaitable } from '../store/contract.ts'
import { never } from '../store/record.ts'
import { type AdoptOptions, OldCookie } from './adopting.ts'
import {
  type CookieChange,
  type CookieOptions,
  cookieSettings,
  cookieValue,
  credentialIn,
  type CookieSettings,
  longestAge,
  readCookie,
  writeCookie,
} from './cookie.ts'
import { allowedOrigins, checkOrigin } from './origin.ts'
import { refusal, withStatus } from './refusal.ts'

export type { AdoptOptions } from './adopting.ts'

/** A request, as far as sessions look at it. */
export interface WebRequest {
  readonly method: string
  /** With the query, such as `/basket?item=1`. */
  readonly url: string
  /** Whether it came over TLS, also where a proxy took that off. */
  readonly isSecure: boolean
  /** Where it came from. */
  readonly address?: string | undefined
  /** @param name In lower case. */
  header(name: string): string | undefined
}

/** Settings of every door. */
export interface WebOptions {
  /** The cookie; false: none, only a bearer header. @default a `__Host-` cookie for this host */
  readonly cookie?: CookieOptions | false
  /**
   * Also takes credentials from `Authorization: Bearer`. What the client must carry from then on is sent in the header
   * `Session-Credential`. @default false
   */
  readonly bearer?: boolean
  /** 'lazy': nothing is read before the application awaits `session.load()`. @default 'eager' */
  readonly load?: 'eager' | 'lazy'
  /** Whether a request counts as a use of the session. One that only looks for news may not. @default all do */
  readonly keepAlive?: (request: WebRequest) => boolean
  /** How long a request waits for others of the same session that have the lock. @default no request has a lock */
  readonly lock?: (request: WebRequest) => Duration | undefined
  /**
   * What is done while the store is down: 'fail' answers 503; 'continue' goes on with an empty session, and leaves the
   * cookie alone. What is put into it is lost, and what would begin, store or end one fails. @default 'fail'
   */
  readonly whenDown?: 'fail' | 'continue' | ((request: WebRequest) => 'fail' | 'continue')
  /**
   * Refuses what would change something and comes with the cookie from a page of another site, and what would begin a
   * session there, such as a login. Origins may be named that are allowed to, such as `https://app.example`.
   * @default true
   */
  readonly checkOrigin?: boolean | { readonly allow: readonly string[] }
  /** Addresses and user agents are compared and kept where the sessions are told to. @default what the door sees */
  readonly client?: (request: WebRequest) => Client
  /** Goes on with the sessions that another library has stored, when their clients come. @default none */
  readonly adopt?: AdoptOptions
}

/** What the answer must carry. */
export interface Carried {
  /** A `Set-Cookie` header, to be added to others. */
  readonly cookie?: string
  /** For the header `Session-Credential`: what a bearer carries from now on; empty where its session has ended. */
  readonly credential?: string
  /** The answer depends on who asks. */
  readonly vary: readonly string[]
}

const plainVisit: Visit = {}

/** For how long a request whose client has hung up keeps its lock, in milliseconds. */
const lockedBeyondHangUp = 30_000

/** What a door is given: opens an exchange for each request. */
export class Exchanges<Data extends object = JsonObject> {
  readonly sessions: Sessions<Data>
  readonly options: WebOptions
  readonly cookie: CookieSettings | undefined
  readonly allowed: readonly string[] | undefined
  /** The cookie of the library whose sessions are adopted. */
  readonly oldCookie: OldCookie | undefined
  /** What is carried where nothing but the reading of the session makes the answer depend on who asks. */
  readonly depending: Carried
  readonly #visit: Visit

  /**
   * @param visit How all requests come.
   * @throws {InvalidOption}
   */
  constructor(sessions: Sessions<Data>, options: WebOptions = {}, visit: Visit = plainVisit) {
    const { cookie, checkOrigin: check = true, adopt } = options
    this.sessions = sessions
    this.options = options
    this.#visit = visit
    this.cookie = cookie === false ? undefined : cookieSettings(cookie)
    this.allowed = allowedOrigins(check)
    const isBearer = options.bearer === true || !this.cookie
    this.oldCookie = adopt && this.#adopting(adopt)
    this.depending = { vary: [...(this.cookie ? ['Cookie'] : []), ...(isBearer ? ['Authorization'] : [])] }
  }

  /**
   * Opens the session of a request; at hand without a promise where the store's answer is.
   *
   * @throws {CrossSiteRequest}
   * @throws {StoreUnavailable} and the store's other errors, unless the route goes on without.
   */
  open(request: WebRequest): Awaitable<Exchange<Data>> {
    const exchange = new Exchange(this, request, this.#presented(request))
    if (this.options.load === 'lazy') return exchange
    const loaded = exchange.session.load()
    return loaded instanceof Promise ? loaded.then(() => exchange) : exchange
  }

  /** The session of what a request brought, not loaded yet. @param old The cookie of the library that is adopted. */
  sessionOf(credential: string | undefined, visit: Visit, old: OldArrival | undefined): Session<Data> {
    if (old) return this.sessions.openOrAdopt(old, credential, visit)
    return this.sessions.open(credential, visit)
  }

  /**
   * What the client must be told of a session. Nothing while it carries what it must: an answer that comes late must
   * not undo a later one.
   *
   * @param before What it sent.
   */
  changeOf(session: Session<Data>, before: string | undefined): CookieChange | undefined {
    if (!session.isLoaded) return undefined
    const { carried } = session
    if (carried === undefined) return session.isDestroyed && before !== undefined ? 'deleted' : undefined
    return carried === before && !session.hasOtherEnd ? undefined : this.#kept(session)
  }

  /** A `Set-Cookie` header for a session, whether it is needed or not. @throws {TypeError} where there is no cookie. */
  cookieOf(session: Session<Data>, isSecure: boolean): string {
    if (!this.cookie) throw new TypeError('these sessions have no cookie')
    return writeCookie(this.cookie, session.isNew ? 'deleted' : this.#kept(session), isSecure)
  }

  #kept(session: Session<Data>): Exclude<CookieChange, 'deleted'> {
    const { credential = '', endsAt = 0 } = session
    const value = this.cookie ? cookieValue(this.cookie, credential) : credential
    if (session.endsWithBrowser) return { value }
    const seconds = endsAt === never ? longestAge : Math.ceil((endsAt - this.sessions.now) / 1_000)
    return { value, maxAge: Math.max(Math.min(seconds, longestAge), 1) }
  }

  /** The credential in a cookie; where it was tampered with there is none, and an event. */
  credentialIn(value: string): string | undefined {
    const credential = this.cookie && credentialIn(this.cookie, value)
    if (credential === undefined) this.sessions.tellTampered()
    return credential
  }

  /** How a request comes, as far as that matters. */
  visitOf(request: WebRequest): Visit {
    const { keepAlive, lock } = this.options
    const { looksAtClients } = this.sessions
    if (!keepAlive && !lock && !looksAtClients) return this.#visit
    const patience = lock?.(request)
    return {
      ...this.#visit,
      ...(keepAlive ? { keepAlive: keepAlive(request) } : {}),
      ...(patience === undefined ? {} : { lock: patience }),
      ...(looksAtClients ? { client: this.#clientOf(request) } : {}),
    }
  }

  #clientOf(request: WebRequest): Client {
    const { client } = this.options
    if (client) return client(request)
    const agent = request.header('user-agent')
    return {
      ...(request.address === undefined ? {} : { address: request.address }),
      ...(agent === undefined ? {} : { agent }),
    }
  }

  #presented(request: WebRequest): Presented {
    const header = this.cookie && request.header('cookie')
    const cookie = this.cookie && readCookie(header, this.cookie.name)
    const old = this.oldCookie?.in(header)
    if (cookie !== undefined && cookie !== '') {
      if (this.allowed) checkOrigin(request, this.allowed)
      return { by: 'cookie', credential: this.credentialIn(cookie), old }
    }
    if (this.options.bearer === true || !this.cookie) {
      const [, bearer] = /^bearer +([^ ]+)$/i.exec(request.header('authorization') ?? '') ?? []
      if (bearer !== undefined || !this.cookie) return { by: 'bearer', credential: bearer, old: undefined }
    }
    // It logs in as ours does.
    if (old && this.allowed) checkOrigin(request, this.allowed)
    return { by: 'cookie', credential: undefined, old }
  }

  #adopting(adopt: AdoptOptions): OldCookie {
    this.sessions.checkAdopting()
    return new OldCookie(adopt, this.cookie?.name, () => {
      this.sessions.tellTampered()
    })
  }

  /** Whether a request goes on where the store could not be asked. */
  goesOnWithout(request: WebRequest, error: unknown): boolean {
    const { whenDown = 'fail' } = this.options
    // Who waited for the lock in vain found the store up, and its route must not run without.
    const isDown = refusal(error).status === 503 && !(error instanceof Locked)
    const policy = typeof whenDown === 'function' ? whenDown(request) : whenDown
    return isDown && policy === 'continue'
  }
}

const independent: Carried = { vary: [] }

/** What a request brought, and how. */
interface Presented {
  readonly by: 'cookie' | 'bearer'
  readonly credential: string | undefined
  /** Of the library that is adopted. */
  readonly old: OldArrival | undefined
}

/** One request with its session. */
export class Exchange<Data extends object = JsonObject> {
  readonly request: WebRequest
  /** Whether it may hold the lock of its session, which others wait for. */
  readonly mayLock: boolean
  readonly #exchanges: Exchanges<Data>
  readonly #presented: Presented
  readonly #session: Session<Data>
  #isCommitted = false
  /** The answer tells of an error: what could not be stored is not tried again behind it. */
  #hasFailed = false

  constructor(exchanges: Exchanges<Data>, request: WebRequest, presented: Presented) {
    this.request = request
    this.#exchanges = exchanges
    this.#presented = presented
    const visit = exchanges.visitOf(request)
    this.mayLock = visit.lock !== undefined
    this.#session = exchanges.sessionOf(presented.credential, visit, presented.old)
    // What the application's own calls throw ends in the framework's error handler too.
    this.#session.tellErrors(withStatus)
    const { whenDown = 'fail' } = exchanges.options
    if (whenDown !== 'fail') this.#session.goOnWithout((error) => exchanges.goesOnWithout(request, error))
  }

  get session(): Session<Data> {
    return this.#session
  }

  /** Whether the answer was asked for: what is changed from now on must be saved by the application. */
  get isCommitted(): boolean {
    return this.#isCommitted
  }

  /**
   * Stores what was changed, and tells what the answer must carry. To be awaited before the headers are sent. What was
   * changed is not stored where the answer is a server's error: nobody knows what it was worth.
   *
   * @param status Of the answer.
   * @throws {CrossSiteRequest} where another site would be who begins the session.
   * @throws {SessionGone} @throws {ConflictingChange} @throws {StoreUnavailable} and others, as `session.save`.
   */
  commit(status: number): Awaitable<Carried> {
    this.#isCommitted = true
    const session = this.#session
    const isDue = session.isLoaded && session.isRotationDue
    const stores = status < 500 && (session.modified || isDue)
    const { by, credential, old } = this.#presented
    // What came with a cookie was looked at when it came.
    const isNobody = by === 'cookie' && credential === undefined && !old
    if (isNobody && (stores ? !session.isEmpty : session.carried !== undefined)) {
      const refused = this.#refusedToBegin()
      if (refused) return refused
    }
    if (!stores && !session.isLocked) return this.#carried()
    return this.#stored(stores, isDue)
  }

  /** What must be done to the cookie, for frameworks that write it themselves. To be asked when it is committed. */
  get cookieChange(): CookieChange | undefined {
    const { by, credential } = this.#presented
    return by === 'cookie' ? this.#exchanges.changeOf(this.#session, credential) : undefined
  }

  /**
   * Stores what was changed since the headers were sent. To be awaited before the end of the answer is sent. A session
   * that only begins now is not stored: its cookie would come too late, and nobody could ever come back to it.
   */
  commitRest(status: number): Promise<void> | undefined {
    const session = this.#session
    if (status >= 500 || this.#hasFailed || !session.modified) return undefined
    return session.isLoaded ? this.#saveRest() : Promise.resolve(session.load()).then(() => this.#saveRest())
  }

  /** For what is never answered: lets go of what the request holds. */
  async abandon(): Promise<void> {
    await this.#session.release()
  }

  /**
   * The same where the client has hung up. The application may be under way all the same, and the next request of an
   * impatient client must not overtake it: until it answers it has its lock, and for a while where it never does.
   */
  hungUp(): void {
    if (!this.#isCommitted) this.#session.releaseIn(lockedBeyondHangUp)
  }

  #saveRest(): Promise<void> | undefined {
    return this.#session.isNew ? undefined : this.#session.save()
  }

  /** A user would be logged in unasked, as whoever the other site likes. What was stored by now, by a login, is ended. */
  #refusedToBegin(): Promise<never> | undefined {
    const { allowed } = this.#exchanges
    try {
      if (allowed) checkOrigin(this.request, allowed)
      return undefined
    } catch (error) {
      this.#hasFailed = true
      const ended = this.#session.isNew ? Promise.resolve() : this.#session.destroy()
      return ended.then(() => {
        throw error
      })
    }
  }

  async #stored(stores: boolean, isDue: boolean): Promise<Carried> {
    try {
      if (stores && isDue) await this.#session.rotateDue()
      else if (stores) await this.#session.save()
    } catch (error) {
      this.#hasFailed = true
      if (!this.#goesOnWithout(error)) throw error
    } finally {
      await this.#session.release()
    }
    return this.#carried()
  }

  /** What there is no session for is lost while the store is down, whether the request came with a cookie or not. */
  #goesOnWithout(error: unknown): boolean {
    const { isLoaded, isNew, isDestroyed } = this.#session
    return isLoaded && isNew && !isDestroyed && this.#exchanges.goesOnWithout(this.request, error)
  }

  #carried(): Carried {
    const { cookie: settings, depending } = this.#exchanges
    const { by, credential: before } = this.#presented
    const change = this.#exchanges.changeOf(this.#session, before)
    if (change === undefined) return this.#session.accessed ? depending : independent
    const { vary } = depending
    if (by === 'cookie' && settings) {
      return { vary, cookie: writeCookie(settings, change, this.request.isSecure) }
    }
    if (change === 'deleted') return before === undefined ? { vary } : { vary, credential: '' }
    return { vary, credential: this.#session.credential ?? '' }
  }
}
