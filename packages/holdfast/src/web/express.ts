/**
 * A drop-in for express-session: the same options, methods, properties and exports, with a response that never comes
 * before its session.
 *
 * ```ts
 * import session from 'holdfast/express'
 * app.use(session({ secret, resave: false, saveUninitialized: false, store: await openStore('sqlite:sessions.db') }))
 * ```
 *
 * With a Holdfast store underneath nothing that two requests change is lost, and nothing that was destroyed comes back.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { StoreUnavailable } from '../errors.ts'
import { Cookie, type CookieOptions } from './express/cookie.ts'
import { MemoryStore } from './express/memory-store.ts'
import { type SessionOptions, sessionSettings, type SessionSettings } from './express/options.ts'
import { pathOf } from './express/request.ts'
import { type Done, Session, type SessionData, type SessionRequest } from './express/session.ts'
import type { Secret } from './express/signature.ts'
import { Store } from './express/store.ts'
import { Call, generate, Visit } from './express/visit.ts'
import { withStatus } from './refusal.ts'

export type { CookieData, CookieOptions, CookieSetting } from './express/cookie.ts'
export type { HoldfastStoreOptions } from './express/holdfast-store.ts'
export type { SessionOptions } from './express/options.ts'
export type { CallbackStore, Done, SessionData, SessionHolder, SessionRequest } from './express/session.ts'
export type { Secret } from './express/signature.ts'
export type { StoreConstructor, StoredSession } from './express/store.ts'

/** What Express and Connect call. */
export type SessionMiddleware = (req: IncomingMessage, res: ServerResponse, next: Done) => void

/**
 * Makes the middleware.
 *
 * @throws {TypeError} for an option that express-session refuses too.
 * @throws {InvalidOption} when an option can't be honoured.
 */
function session(options?: SessionOptions | null): SessionMiddleware {
  const settings = sessionSettings(options ?? {})
  const { store } = settings
  let isConnected = true
  store.generate = (req: SessionRequest) => {
    generate(req, settings)
  }
  store.on?.('disconnect', () => {
    isConnected = false
  })
  store.on?.('connect', () => {
    isConnected = true
  })
  return (given, res, next) => {
    const req: SessionRequest = given
    if (req.session || !isAskedFor(req, settings)) {
      next()
      return
    }
    if (!isConnected) {
      if (settings.outage === 'continue') next()
      else next(withStatus(new StoreUnavailable('the store of sessions is disconnected')))
      return
    }
    const secrets = secretsFor(req, settings)
    if (secrets) new Visit(new Call(req, res, next), settings, secrets).begin()
    else next(new Error('secret option required for sessions'))
  }
}

/** Whether the cookie is for this path. */
function isAskedFor(req: SessionRequest, { cookieFor }: SessionSettings): boolean {
  return pathOf(req).startsWith(cookieFor(req).path || '/')
}

function secretsFor(req: SessionRequest, { secrets }: SessionSettings): readonly Secret[] | undefined {
  return secrets ?? (req.secret ? [req.secret] : undefined)
}

session.Store = Store
session.Session = Session
session.Cookie = Cookie
session.MemoryStore = MemoryStore

/** Within the namespace their names would speak of themselves. */
type Types = {
  Cookie: Cookie
  CookieOptions: CookieOptions
  MemoryStore: MemoryStore
  Session: Session
  SessionData: SessionData
  SessionOptions: SessionOptions
  Store: Store
}

// eslint-disable-next-line @typescript-eslint/no-namespace -- So are the types of express-session called.
declare namespace session {
  type Cookie = Types['Cookie']
  type CookieOptions = Types['CookieOptions']
  type MemoryStore = Types['MemoryStore']
  type Session = Types['Session']
  type SessionData = Types['SessionData']
  type SessionOptions = Types['SessionOptions']
  type Store = Types['Store']
}

export { Cookie, MemoryStore, Session, session, Store }
// For `import session from`, and for `const session = require(…)`.
export { session as default, session as 'module.exports' }
