/**
 * One request's session: read before the application runs, and stored before its response is let go.
 *
 * Whether something was changed is found by comparing the text of the session with what it was, so that nested changes
 * count too. The cookie is not part of that text.
 */

import type { ServerResponse } from 'node:http'
import { refusal, withStatus } from '../refusal.ts'
import { Cookie, setCookie } from './cookie.ts'
import { type Commit, holdResponse } from '../held-response.ts'
import type { SessionSettings } from './options.ts'
import { isSecure, sentId } from './request.ts'
import {
  createSessionBy,
  type Done,
  isSession,
  Session,
  type SessionRequest,
  type SessionWatcher,
  setUnstored,
  watchSession,
} from './session.ts'
import { type Secret, signed } from './signature.ts'

/** What a session was: its id, and the text of its values. */
interface Snapshot {
  readonly id: string
  readonly text: string
}

/**
 * A request with its response, and what comes after the middleware. A class: what V8 makes of an object literal it may
 * come to place among the old, and one that is there keeps the whole request alive long after its end.
 */
export class Call {
  readonly req: SessionRequest
  readonly res: ServerResponse
  readonly next: Done

  constructor(req: SessionRequest, res: ServerResponse, next: Done) {
    this.req = req
    this.res = res
    this.next = next
  }
}

/** Begins a new session. Also what `regenerate` calls. */
export function generate(
  req: SessionRequest,
  { generateId, drawsIds, cookieFor, proxy }: SessionSettings,
): Session {
  req.sessionID = generateId(req)
  const session = new Session(req)
  if (drawsIds) setUnstored(session)
  const options = cookieFor(req)
  session.cookie = new Cookie(options)
  if (options.secure === 'auto') session.cookie.secure = isSecure(req, proxy)
  if (options.sameSite === 'auto') session.cookie.sameSite = isSecure(req, proxy) ? 'none' : 'lax'
  req.session = session
  return session
}

export class Visit implements Commit, SessionWatcher {
  readonly #call: Call
  readonly #settings: SessionSettings
  readonly #secrets: readonly Secret[]
  /** The id that the client has sent, if its signature was right. */
  readonly #sentId: string | undefined
  /** What the session was when the application got it. */
  #original: Snapshot | undefined
  /** What was stored last, by the application itself perhaps. */
  #saved: Snapshot | undefined
  /** The settings of the cookie that the application itself has saved. */
  #savedSettings: string | undefined
  #isTouched = false
  #isUnset = false
  #setCookie: string | undefined
  /** What went wrong and holds nothing up. */
  #late: unknown

  constructor(call: Call, settings: SessionSettings, secrets: readonly Secret[]) {
    this.#call = call
    this.#settings = settings
    this.#secrets = secrets
    this.#sentId = sentId(call.req, settings.name, secrets)
  }

  /** Reads the session or begins a new one, and goes on to the application. */
  begin(): void {
    const { req, res, next } = this.#call
    req.sessionStore = this.#settings.store
    req.sessionID = this.#sentId
    watchSession(req, this)
    holdResponse(res, this)
    if (this.#sentId === undefined) {
      this.#generate()
      next()
      return
    }
    this.#settings.store.get(this.#sentId, (error, data) => this.#found(error, data))
  }

  /** The application saves by itself. */
  saving(session: Session): void {
    this.#saved = snapshotOf(session)
    if (!this.#isFromClient) this.#savedSettings = settingsOf(session)
  }

  beforeHeaders(): Promise<void> | undefined {
    const session = this.#call.req.session as Session | null | undefined
    if (!session) return this.#unset()
    if (!this.#isTouched) session.touch()
    this.#isTouched = true
    const now = snapshotOf(session)
    if (this.#setsCookie(session, now)) this.#setCookie = this.#cookieOf(session)
    if (this.#mustSave(now) || this.#hasOtherSettings(session)) return this.#save(session)
    return this.#isFromClient && this.#hasId ? this.#touch(session) : undefined
  }

  beforeEnd(): Promise<void> | undefined {
    const session = this.#call.req.session as Session | null | undefined
    if (!session) return this.#unset()
    return this.#mustSave(snapshotOf(session)) ? this.#save(session) : undefined
  }

  get addsHeaders(): boolean {
    return this.#setCookie !== undefined || this.#late !== undefined
  }

  onHeaders(): void {
    if (this.#setCookie !== undefined) addCookie(this.#call.res, this.#setCookie)
    if (this.#late) this.onFailure(this.#late, true)
    this.#late = undefined
  }

  onFailure(error: unknown, isSent: boolean): void {
    // Where there is nothing left to answer it is told afterwards, for whoever logs errors.
    if (isSent) setImmediate(this.#call.next, error)
    else this.#call.next(withStatus(error))
  }

  #found(error: unknown, data: object | null | undefined): void {
    const { req, next } = this.#call
    const isMissing = codeOf(error) === 'ENOENT'
    if (error && !isMissing) {
      if (this.#settings.outage === 'continue' && refusal(error).status === 503) this.#goWithout()
      else next(withStatus(error))
      return
    }
    try {
      if (isMissing || !isSession(data)) this.#generate()
      else {
        this.#original = snapshotOf(createSessionBy(this.#settings.store, req, data))
        if (!this.#settings.resave) this.#saved = this.#original
      }
    } catch (cause) {
      next(cause)
      return
    }
    next()
  }

  /** The store can't be asked, and the application can do without: nothing is stored, and no cookie is set. */
  #goWithout(): void {
    this.#call.req.sessionID = undefined
    this.#call.next()
  }

  #generate(): void {
    this.#original = snapshotOf(generate(this.#call.req, this.#settings))
  }

  // ── storing ───────────────────────────────────────────────────────────────────────────────────────────────

  #save(session: Session): Promise<void> | undefined {
    return settled((done) => {
      session.save((error) => {
        // Somebody has logged out meanwhile. The response is what it is, and nothing comes back.
        const isGone = codeOf(error) === 'HOLDFAST_SESSION_GONE'
        if (isGone) this.#setCookie = undefined
        done(isGone ? undefined : error)
      })
    })
  }

  #touch(session: Session): Promise<void> | undefined {
    const { store } = this.#settings
    if (!store.touch) return undefined
    return settled((done) => {
      store.touch?.(this.#call.req.sessionID!, session, (error) => {
        // The session was read: that it could not be prolonged is no reason to turn its user away.
        this.#late = error
        done()
      })
    })
  }

  /** The application has deleted `req.session`. */
  #unset(): Promise<void> | undefined {
    const { sessionID, session } = this.#call.req
    // Where the session could not be read the application had none to delete.
    if (!this.#original) return undefined
    if (!sessionID || !this.#settings.unsetDestroys || session || this.#isUnset) return undefined
    const mayBeStored = sessionID === this.#sentId || !this.#settings.drawsIds
    const isStored = mayBeStored || sessionID === this.#saved?.id
    this.#isUnset = true
    return isStored ? settled((done) => this.#settings.store.destroy(sessionID, done)) : undefined
  }

  // ── what there is to do ───────────────────────────────────────────────────────────────────────────────────

  get #isFromClient(): boolean {
    return this.#sentId === this.#call.req.sessionID
  }

  /** Without an id that is a text there is nothing that could be stored or sent. */
  get #hasId(): boolean {
    return typeof this.#call.req.sessionID === 'string'
  }

  #mustSave(now: Snapshot): boolean {
    if (!this.#hasId) return false
    const isUninitialized = !this.#settings.saveUninitialized && !this.#saved && !this.#isFromClient
    return isUninitialized ? !isSame(this.#original, now) : !isSame(this.#saved, now)
  }

  /** A login that has saved its new session may say only then how long it lasts: nothing else would tell the store. */
  #hasOtherSettings(session: Session): boolean {
    if (this.#savedSettings === undefined || this.#isFromClient || !this.#hasId) return false
    return this.#savedSettings !== settingsOf(session)
  }

  #setsCookie({ cookie }: Session, now: Snapshot): boolean {
    if (!this.#hasId) return false
    const { rolling, saveUninitialized, proxy } = this.#settings
    if (cookie.secure && !isSecure(this.#call.req, proxy)) return false
    const isModified = !isSame(this.#original, now)
    if (!this.#isFromClient) return saveUninitialized || isModified
    return rolling || (isModified && cookie.expires !== null && cookie.expires !== undefined)
  }

  #cookieOf({ cookie }: Session): string {
    const value = signed(this.#call.req.sessionID!, this.#secrets)
    // What an application has put in its place has no settings, but those that it is stored with.
    return setCookie(this.#settings.name, value, (cookie as Partial<Cookie>).data ?? {})
  }
}

function addCookie(res: ServerResponse, cookie: string): void {
  const { appendHeader } = res as Partial<ServerResponse>
  if (appendHeader) Reflect.apply(appendHeader, res, ['Set-Cookie', cookie])
  else res.setHeader('Set-Cookie', [res.getHeader('Set-Cookie') ?? [], cookie].flat() as string[])
}

function snapshotOf(session: Session): Snapshot {
  const values: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(session)) if (name !== 'cookie') values[name] = value
  return { id: session.id, text: JSON.stringify(values) }
}

/** The settings of its cookie as a text, without the time at which it ends where that follows from `maxAge`. */
function settingsOf({ cookie }: Session): string {
  const isReset = typeof cookie.originalMaxAge === 'number'
  return JSON.stringify(cookie, (name, value: unknown) => (isReset && name === 'expires' ? undefined : value))
}

function isSame(a: Snapshot | undefined, b: Snapshot): boolean {
  return a?.id === b.id && a.text === b.text
}

/** A promise of what a callback will be told, or nothing where it was told at once. */
function settled(work: (done: Done) => void): Promise<void> | undefined {
  let told: { readonly error: unknown } | undefined
  let tell: (error: unknown) => void = (error) => {
    told ??= { error }
  }
  work((error) => tell(error))
  if (told?.error) throw told.error as Error
  if (told) return undefined
  return new Promise<unknown>((resolve) => {
    tell = resolve
  }).then((error) => {
    if (error) throw error as Error
  })
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code
}
