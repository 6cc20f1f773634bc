/** The least that a store with callbacks can be, in the manner of old: a function that extends the `Store` it is given. */

import type theirs from 'express-session'
import type { Library } from './playing.ts'

type Done = (error?: unknown) => void

/** Makes one of the library's `Store`. */
export function makeStore(library: Library): theirs.Store {
  const sessions = new Map<string, string>()
  function Plain(this: theirs.Store): void {
    Reflect.apply(library.Store, this, [])
  }
  Object.setPrototypeOf(Plain.prototype as object, library.Store.prototype)
  Object.assign(Plain.prototype as object, {
    get(sid: string, callback: (error: unknown, session?: unknown) => void) {
      const text = sessions.get(sid)
      setImmediate(callback, null, text === undefined ? undefined : JSON.parse(text))
    },
    set(sid: string, session: object, callback?: Done) {
      sessions.set(sid, JSON.stringify(session))
      if (callback) setImmediate(callback)
    },
    touch(sid: string, session: { cookie: unknown }, callback?: Done) {
      const text = sessions.get(sid)
      if (text !== undefined) {
        sessions.set(sid, JSON.stringify({ ...(JSON.parse(text) as object), cookie: session.cookie }))
      }
      if (callback) setImmediate(callback)
    },
    destroy(sid: string, callback?: Done) {
      sessions.delete(sid)
      if (callback) setImmediate(callback)
    },
  })
  return Reflect.construct(Plain, []) as theirs.Store
}
