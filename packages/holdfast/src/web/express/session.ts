/** `req.session`: a plain object of the application's values, with methods. */

import type { IncomingMessage } from 'node:http'
import { Cookie, type CookieOptions } from './cookie.ts'

/**
 * A store with callbacks, as express-session has it: what of it is used here. Those of other packages fit, whether
 * they extend our `Store`, that of express-session, or none.
 */
export interface CallbackStore {
  /** Answers with the session, or with nothing where there is none. */
  get(sid: string, callback: (error?: unknown, session?: object | null) => void): unknown
  /** Stores it, whether it is there or not. */
  set(sid: string, session: object, callback?: Done): unknown
  destroy(sid: string, callback?: Done): unknown
  /** Prolongs it. */
  touch?(sid: string, session: object, callback?: Done): unknown
  /** Destroys the session of a request and begins a new one. */
  regenerate?(req: never, callback: Done): unknown
  /** Begins a new session: set by the middleware. */
  generate?: (req: never) => void
  /** Makes the session of a request of what `get` has answered with. */
  createSession?(req: never, data: never): unknown
  /** `disconnect` and `connect` say whether it can be asked. */
  on?(event: string, listener: () => void): unknown
}

/** What a callback is told: an error, or nothing. */
export type Done = (error?: unknown) => void

/** What a request carries of its session. */
export interface SessionRequest extends IncomingMessage {
  session?: (Session & Partial<SessionData>) | null | undefined
  sessionID?: string | undefined
  sessionStore?: CallbackStore
  /** What Express and cookie-parser put there. */
  readonly secret?: string
  readonly secure?: boolean
  readonly originalUrl?: string
  readonly cookies?: Readonly<Record<string, string | undefined>>
  readonly signedCookies?: Readonly<Record<string, string | false | undefined>>
}

/** What a session needs of its request. */
export type SessionHolder = Pick<SessionRequest, 'session' | 'sessionID' | 'sessionStore'>

/** What is kept in every session. */
export interface SessionData {
  cookie: Cookie
}

/** Hears of what is done with the session of a request. The middleware is one. */
export interface SessionWatcher {
  /** It is about to be saved. */
  saving(session: Session): void
}

// Properties and no weak maps: every request has some, and weak maps are dear to the garbage collector.
const watcher = Symbol('holdfast watcher')
const source = Symbol('holdfast source')

interface Watched {
  [watcher]?: SessionWatcher
}

interface Sourced {
  [source]?: object
}

/** Where a session comes from of whose id nothing can be stored. */
const nowhere = {}

/** A store of ours. It is told which session it is, too; functions of other stores may not bear to be told more. */
interface OwnStore {
  readonly keyed: object
  destroy(sid: string, callback?: Done, session?: object): unknown
}

/** Has the middleware told of what the application does with the sessions of a request. */
export function watchSession(req: SessionHolder & Watched, by: SessionWatcher): void {
  req[watcher] = by
}

/** The session of a request. Its methods take a callback, or answer with a promise. */
export class Session {
  /** The cookie of this session: change it to change the cookie of this visitor. */
  declare cookie: Cookie
  /** The secret id, as in `req.sessionID`. */
  declare readonly id: string
  /** The request. */
  declare readonly req: SessionHolder

  /** @param data Its values. What a method or property of sessions is called is left out. */
  constructor(req: SessionHolder, data?: object | null) {
    // Nothing private: applications put proxies and copies in its place.
    Object.defineProperty(this, 'req', { value: req })
    Object.defineProperty(this, 'id', { value: req.sessionID })
    if (data) take(this as never, data as never)
  }

  /** Sets the expiry of the cookie anew. The middleware does so in every request. */
  touch(): this {
    return this.resetMaxAge()
  }

  /** Sets `cookie.maxAge` to what it originally was. */
  resetMaxAge(): this {
    this.cookie.maxAge = this.cookie.originalMaxAge
    return this
  }

  /** Saves the session, as the middleware does before it lets the response go if anything was changed. */
  save(): Promise<void>
  save(done: Done): this
  save(done?: Done): this | Promise<void> {
    return answer(this, done, (tell) => {
      const req: SessionHolder & Watched = this.req
      req[watcher]?.saving(this)
      storeOf(this).set(this.id, this, tell)
    })
  }

  /** Reads it again: `req.session` is a new object afterwards. */
  reload(): Promise<void>
  reload(done: Done): this
  reload(done?: Done): this | Promise<void> {
    return answer(this, done, (tell) => {
      const store = storeOf(this)
      store.get(this.id, (error, data) => {
        if (error) tell(error)
        else if (!isSession(data)) tell(new Error('failed to load session'))
        else {
          createSessionBy(store, this.req, data)
          tell()
        }
      })
    })
  }

  /** Destroys it: `req.session` is gone at once, and the record of the store before this is answered. */
  destroy(): Promise<void>
  destroy(done: Done): this
  destroy(done?: Done): this | Promise<void> {
    return answer(this, done, (tell) => {
      delete this.req.session
      destroy(storeOf(this), this.id, tell, this)
    })
  }

  /** Destroys it and begins a new one with a new id: after every login. */
  regenerate(): Promise<void>
  regenerate(done: Done): this
  regenerate(done?: Done): this | Promise<void> {
    return answer(this, done, (tell) => {
      regenerate(storeOf(this), this.req, tell)
    })
  }
}

function take(session: Record<string, unknown>, data: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(data)) if (!(name in session)) session[name] = data[name]
}

function storeOf({ req }: Session): CallbackStore {
  return req.sessionStore!
}

/** Does something for a callback, and answers with the session; without one answers with a promise. */
function answer<S>(session: S, done: Done | undefined, work: (tell: Done) => void): S | Promise<void> {
  if (done) {
    work(done)
    return session
  }
  const promise = new Promise<unknown>(work).then((error) => {
    if (error) throw error as Error
  })
  // Who saves without waiting does not want to hear of it; who awaits it is told all the same.
  promise.catch(() => undefined)
  return promise
}

/** Whether a store has answered with a session. What somebody else has put there is none. */
export function isSession(data: object | null | undefined): data is object {
  const { cookie } = (data ?? {}) as { readonly cookie?: unknown }
  return typeof cookie === 'object' && cookie !== null
}

/** Makes the session of a request of what a store has answered with. */
export function createSession(req: SessionHolder, data: object): Session {
  const stored = data as { cookie: CookieOptions & { originalMaxAge?: number | null } }
  const { expires, originalMaxAge } = stored.cookie
  const cookie = new Cookie(stored.cookie)
  if (typeof expires === 'string') cookie.expires = new Date(expires)
  cookie.originalMaxAge = originalMaxAge
  const session = new Session(req, data)
  session.cookie = cookie
  const from = sourceOf(data)
  if (from && from !== nowhere) setSource(session, from)
  req.session = session
  return session
}

/** The same, as the store has it made. What it makes of a class of another library becomes one of ours. */
export function createSessionBy(store: CallbackStore, req: SessionHolder, data: object): Session {
  if (!store.createSession) return createSession(req, data)
  store.createSession(req as never, data as never)
  const session: object | null | undefined = req.session
  return session instanceof Session ? session : createSession(req, session ?? data)
}

/** Destroys the session of a request and begins a new one. */
export function regenerate(store: CallbackStore, req: SessionHolder, done: Done): void {
  if (store.regenerate) store.regenerate(req as never, done)
  else destroyAndGenerate(store, req, done)
}

/** What `regenerate` of a store does unless it knows better. */
export function destroyAndGenerate(store: CallbackStore, req: SessionHolder, done: Done): void {
  const generate = (error?: unknown): void => {
    store.generate?.(req as never)
    done(error)
  }
  destroy(store, req.sessionID as string, generate, req.session ?? undefined)
}

function destroy(store: CallbackStore, sid: string, done: Done, session: object | undefined): void {
  if (isOwn(store)) store.destroy(sid, done, session)
  else store.destroy(sid, done)
}

function isOwn(store: CallbackStore): store is CallbackStore & OwnStore {
  return 'keyed' in store
}

/** What a store remembers of a session that it has read or written, or of the data that becomes one. */
export function sourceOf(session: object & Sourced): object | undefined {
  return session[source]
}

/**
 * Has a session, or the data that will become one, remember where it comes from. It goes with the object, and into
 * nothing that is made of it. What is frozen remembers nothing.
 */
export function setSource(session: object, from: object): void {
  Reflect.defineProperty(session, source, { value: from, configurable: true, writable: true })
}

/** Has a session remember that its id was drawn for it, and that nothing is stored under it. */
export function setUnstored(session: object): void {
  setSource(session, nowhere)
}

/** Whether it still is so. */
export function isUnstored(session: object): boolean {
  return sourceOf(session) === nowhere
}
