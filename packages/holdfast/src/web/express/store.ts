/** `Store`: what stores with callbacks extend, as a class or in the manner of old. */

import { EventEmitter } from 'node:events'
import type { Cookie } from './cookie.ts'
import {
  createSession,
  destroyAndGenerate,
  type Done,
  isSession,
  type Session,
  type SessionHolder,
} from './session.ts'

/** A store with callbacks. Whoever extends it writes `get`, `set`, `destroy`, and `touch` if possible. */
export interface Store extends EventEmitter {
  /** Begins a new session for a request: set by the middleware. */
  generate: (req: never) => void
  /** Destroys the session of a request and begins a new one. */
  regenerate(req: SessionHolder, callback: Done): void
  /** Reads a session without a request: for WebSockets, say. */
  load(sid: string, callback: (error?: unknown, session?: Session) => void): void
  /** Makes the session of a request of stored data. */
  createSession(req: SessionHolder, data: { cookie: Cookie | object }): Session
}

/** What there is to call or to extend. */
export interface StoreConstructor {
  new (): Store
  (this: unknown): void
  readonly prototype: Store
}

/** What a store that was written against this brings. */
interface Written extends Store {
  get(sid: string, callback: (error?: unknown, session?: object | null) => void): unknown
  set(sid: string, session: object, callback?: Done): unknown
  destroy(sid: string, callback?: Done): unknown
}

// A function and not a class: old stores call it on themselves, `Store.call(this)`.
function construct(this: unknown): void {
  Reflect.apply(EventEmitter, this, [])
}

Object.defineProperty(construct, 'name', { value: 'Store' })
Object.setPrototypeOf(construct, EventEmitter)
Object.setPrototypeOf(construct.prototype as object, EventEmitter.prototype)

const methods: Pick<Store, 'regenerate' | 'load' | 'createSession'> & ThisType<Written> = {
  regenerate(req, callback) {
    destroyAndGenerate(this, req, callback)
  },
  load(sid, callback) {
    this.get(sid, (error, data) => {
      if (error) callback(error)
      else if (isSession(data))
        callback(null, this.createSession({ sessionID: sid, sessionStore: this }, data as never))
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
