/** `Store`: what stores with callbacks extend, as a class or in the manner of old. */

import { EventEmitter } from 'node:events'
import type { CookieOptions } from './cookie.ts'
import {
  createSession,
  destroyAndGenerate,
  type Done,
  isSession,
  type Session,
  type SessionHolder,
} from './session.ts'

/** A store with callbacks. Whoever extends it writes `get`, `set`, `destroy`, and `touch` if possible. */
declare abstract class AbstractStore extends EventEmitter {
  /** Begins a new session for a request: set by the middleware. */
  generate: (req: never) => void
  /** Answers with the session, or with nothing where there is none. */
  abstract get(sid: string, callback: (error?: unknown, session?: StoredSession | null) => void): void
  /** Stores it, whether it is there or not. */
  abstract set(sid: string, session: StoredSession, callback?: Done): void
  abstract destroy(sid: string, callback?: Done): void
  /** Prolongs it. */
  touch?(sid: string, session: StoredSession, callback?: Done): void
  all?(callback: (error?: unknown, sessions?: SessionList | null) => void): void
  length?(callback: (error?: unknown, length?: number) => void): void
  clear?(callback?: Done): void
  /** Destroys the session of a request and begins a new one. */
  regenerate(req: SessionHolder, callback: Done): void
  /** Reads a session without a request: for WebSockets, say. */
  load(sid: string, callback: (error?: unknown, session?: Session) => void): void
  /** Makes the session of a request of stored data. */
  createSession(req: SessionHolder, data: { cookie: object }): Session
}

/** What stores keep of a session: its values, beside the settings of its cookie. */
export interface StoredSession {
  cookie: CookieOptions & { originalMaxAge?: number | null | undefined }
}

/** All sessions; by their ids, where the store knows them. */
type SessionList = readonly StoredSession[] | Readonly<Record<string, StoredSession>>

export type Store = AbstractStore

/** What there is to extend, or to call. */
export type StoreConstructor = typeof AbstractStore & ((this: unknown) => void)

// A function and not a class: old stores call it on themselves, `Store.call(this)`.
function construct(this: unknown): void {
  Reflect.apply(EventEmitter, this, [])
}

Object.defineProperty(construct, 'name', { value: 'Store' })
Object.setPrototypeOf(construct, EventEmitter)
Object.setPrototypeOf(construct.prototype as object, EventEmitter.prototype)

const methods: Pick<Store, 'regenerate' | 'load' | 'createSession'> & ThisType<Store> = {
  regenerate(req, callback) {
    destroyAndGenerate(this, req, callback)
  },
  load(sid, callback) {
    this.get(sid, (error, data) => {
      if (error) callback(error)
      else if (isSession(data))
        callback(null, this.createSession({ sessionID: sid, sessionStore: this }, data))
      else callback()
    })
  },
  createSession(req, data) {
    return createSession(req, data)
  },
}

for (const [name, value] of Object.entries(methods)) {
  Object.defineProperty(construct.prototype, name, { value, configurable: true, writable: true })
}

export const Store = construct as unknown as StoreConstructor
