/**
 * One request's life with its session, without any framework: opened from what the request carries, committed before
 * the headers of the answer are sent. Every door translates its framework's request and answer to this, and does
 * nothing else.
 */

import type { Duration } from '../duration.ts'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { Client } from '../sessions/facts.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Awaitable } from '../store/contract.ts'
import { never } from '../store/record.ts'
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
import { checkOrigin } from './origin.ts'
import { refusal } from './refusal.ts'

/** A request, as far as sessions look at it. */
export interface WebRequest {
  readonly method: string
  /** With the query, such as `/basket?item=1`. */
  readonly url: string
  /** Whether it came over TLS, also where a proxy took that off. */
  readonly isSecure: boolean
  /** Where it came from. */
  readonly address?: string
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
   * What is done while the store is down: 'fail' answers 503; 'continue' goes on with an empty session of which nothing
   * is stored, and leaves the cookie alone. @default 'fail'
   */
  readonly whenDown?: 'fail' | 'continue' | ((request: WebRequest) => 'fail' | 'continue')
  /**
   * Refuses what would change something and comes with the cookie from a page of another site. Origins may be named
   * that are allowed to, such as `https://app.example`. @default true
   */
  readonly checkOrigin?: boolean | { readonly allow: readonly string[] }
  /** Addresses and user agents are compared and kept where the sessions are told to. @default what the door sees */
  readonly client?: (request: WebRequest) => Client
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

/** What a door is given: opens an exchange for each request. */
export class Exchanges<Data extends object = JsonObject> {
  readonly sessions: Sessions<Data>
  readonly options: WebOptions
  readonly cookie: CookieSettings | undefined
  readonly allowed: readonly string[] | undefined

  /** @throws {InvalidOption} */
  constructor(sessions: Sessions<Data>, options: WebOptions = {}) {
    const { cookie, checkOrigin: check = true } = options
    this.sessions = sessions
    this.options = options
    this.cookie = cookie === false ? undefined : cookieSettings(cookie)
    this.allowed = check === true ? [] : check === false ? undefined : check.allow
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
    try {
      const loaded = exchange.session.load()
      if (!(loaded instanceof Promise)) return exchange
      return loaded.then(
        () => exchange,
        (error: unknown) => this.#without(exchange, error),
      )
    } catch (error) {
      return this.#without(exchange, error)
    }
  }

  /**
   * What the client must be told of a session. Nothing while it carries what it must: an answer that comes late must
   * not undo a later one.
   *
   * @param before What it sent.
   */
  changeOf(session: Session<Data>, before: string | undefined): CookieChange | undefined {
    if (!session.isLoaded) return undefined
    if (session.isNew) return session.isDestroyed && before !== undefined ? 'deleted' : undefined
    return session.credential === before && !session.hasOtherEnd ? undefined : this.#kept(session)
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

  #presented(request: WebRequest): Presented {
    const cookie = this.cookie && readCookie(request.header('cookie'), this.cookie.name)
    if (cookie !== undefined && cookie !== '') {
      if (this.allowed) checkOrigin(request, this.allowed)
      return { by: 'cookie', credential: this.credentialIn(cookie) }
    }
    if (this.options.bearer !== true && this.cookie) return { by: 'cookie', credential: undefined }
    const [, bearer] = /^bearer +([^ ]+)$/i.exec(request.header('authorization') ?? '') ?? []
    return bearer === undefined && this.cookie
      ? { by: 'cookie', credential: undefined }
      : { by: 'bearer', credential: bearer }
  }

  #without(exchange: Exchange<Data>, error: unknown): Exchange<Data> {
    const { whenDown = 'fail' } = this.options
    const isDown = refusal(error).status === 503
    const policy = typeof whenDown === 'function' ? whenDown(exchange.request) : whenDown
    if (!isDown || policy === 'fail') throw error
    return exchange.withoutSession()
  }
}

/** What a request brought, and how. */
interface Presented {
  readonly by: 'cookie' | 'bearer'
  readonly credential: string | undefined
}

/** One request with its session. */
export class Exchange<Data extends object = JsonObject> {
  readonly request: WebRequest
  readonly #exchanges: Exchanges<Data>
  readonly #presented: Presented
  #session: Session<Data>
  #isDetached = false
  #isCommitted = false
  /** The answer tells of an error: what could not be stored is not tried again behind it. */
  #hasFailed = false

  constructor(exchanges: Exchanges<Data>, request: WebRequest, presented: Presented) {
    this.request = request
    this.#exchanges = exchanges
    this.#presented = presented
    const { keepAlive, lock, client } = exchanges.options
    const patience = lock?.(request)
    const agent = request.header('user-agent')
    this.#session = exchanges.sessions.open(presented.credential, {
      ...(keepAlive ? { keepAlive: keepAlive(request) } : {}),
      ...(patience === undefined ? {} : { lock: patience }),
      client: client?.(request) ?? {
        ...(request.address === undefined ? {} : { address: request.address }),
        ...(agent === undefined ? {} : { agent }),
      },
    })
  }

  get session(): Session<Data> {
    return this.#session
  }

  /** Whether the store was down and the route goes on without. */
  get isDetached(): boolean {
    return this.#isDetached
  }

  /** Whether the answer was asked for: what is changed from now on must be saved by the application. */
  get isCommitted(): boolean {
    return this.#isCommitted
  }

  /** Goes on with an empty session, of which nothing is stored unless the application does so itself. */
  withoutSession(): this {
    this.#session = this.#exchanges.sessions.open(undefined)
    this.#isDetached = true
    return this
  }

  /**
   * Stores what was changed, and tells what the answer must carry. To be awaited before the headers are sent. What was
   * changed is not stored where the answer is a server's error: nobody knows what it was worth.
   *
   * @param status Of the answer.
   * @throws {SessionGone} @throws {ConflictingChange} @throws {StoreUnavailable} and others, as `session.save`.
   */
  commit(status: number): Awaitable<Carried> {
    this.#isCommitted = true
    const session = this.#session
    const isDue = session.isLoaded && session.isRotationDue
    const stores = status < 500 && !this.#isDetached && (session.modified || isDue)
    if (!stores && !session.isLocked) return this.#carried()
    return this.#stored(stores, isDue)
  }

  /**
   * Stores what was changed since the headers were sent. To be awaited before the end of the answer is sent. A new
   * secret would come too late for them: then nothing is stored.
   */
  commitRest(status: number): Promise<void> | undefined {
    const session = this.#session
    if (status >= 500 || this.#hasFailed || this.#isDetached || !session.modified) return undefined
    return session.save()
  }

  /** For what is never answered: lets go of what the request holds. */
  async abandon(): Promise<void> {
    await this.#session.release()
  }

  async #stored(stores: boolean, isDue: boolean): Promise<Carried> {
    try {
      if (stores && isDue) await this.#session.rotate()
      else if (stores) await this.#session.save()
    } catch (error) {
      this.#hasFailed = true
      throw error
    } finally {
      await this.#session.release()
    }
    return this.#carried()
  }

  #carried(): Carried {
    const { cookie: settings, options } = this.#exchanges
    const { by, credential: before } = this.#presented
    const change = this.#exchanges.changeOf(this.#session, before)
    const vary =
      this.#session.accessed || change !== undefined
        ? [...(settings ? ['Cookie'] : []), ...(settings && options.bearer !== true ? [] : ['Authorization'])]
        : []
    if (change === undefined) return { vary }
    if (by === 'cookie' && settings) {
      return { vary, cookie: writeCookie(settings, change, this.request.isSecure) }
    }
    if (change === 'deleted') return before === undefined ? { vary } : { vary, credential: '' }
    return { vary, credential: this.#session.credential ?? '' }
  }
}
