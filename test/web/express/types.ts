/** That types fit: those of Express, of stores that were written against express-session, and of applications. */

import { RedisStore } from 'connect-redis'
import express, { type Request, type RequestHandler } from 'express'
import type theirs from 'express-session'
import { expectTypeOf } from 'expect-type'
import session, { Cookie, MemoryStore, type SessionData, type SessionOptions, Store } from 'holdfast/express'
import { type JsonObject, KeyedSessions } from 'holdfast'
import { memoryStore } from 'holdfast/memory'

const app = express()

export function uses(store: theirs.Store, redis: never): void {
  app.use(session({ secret: 'x' }))
  app.use(session({ secret: ['x', Buffer.from('y')], store }))
  app.use(session({ secret: 'x', store: new RedisStore({ client: redis }) }))
  app.use(session({ secret: 'x', store: new MemoryStore() }))
  app.use(session({ secret: 'x', store: memoryStore() }))
  app.use(session({ secret: 'x', store: new KeyedSessions(memoryStore()) }))
  app.use(session({ secret: 'x', genid: (req) => req.url ?? '', cookie: (req) => ({ path: req.url }) }))
  app.use(session({ secret: 'x', genid: (req: Request) => req.ip ?? '', cookie: () => ({ secure: 'auto' }) }))
  app.use(session({ secret: 'x', user: (data) => data['user'] as string }))
  // @ts-expect-error -- not what a secret can be
  app.use(session({ secret: 5 }))
  // @ts-expect-error -- no such policy
  app.use(session({ secret: 'x', unset: 'forget' }))
  // @ts-expect-error -- no store
  app.use(session({ secret: 'x', store: {} }))
}

/** A store as applications write them. */
export class OwnStore extends Store {
  get(_sid: string, callback: (error?: unknown, session?: SessionData | null) => void): void {
    callback(null, { cookie: new Cookie({ maxAge: 1 }) })
  }
  set(_sid: string, _session: SessionData, callback?: (error?: unknown) => void): void {
    callback?.()
  }
  destroy(_sid: string, callback?: (error?: unknown) => void): void {
    callback?.()
  }
}

/** A store as it was written against the types of express-session, with a type of what it keeps. */
interface Kept extends theirs.SessionData {
  readonly views?: number
}
export class OldStore extends session.Store {
  override get(_sid: string, callback: (error: unknown, session?: Kept | null) => void): void {
    callback(null)
  }
  set(_sid: string, _session: Kept, callback?: (error?: unknown) => void): void {
    callback?.()
  }
  override destroy(_sid: string, callback?: (error?: unknown) => void): void {
    callback?.()
  }
  override touch(_sid: string, _session: Kept, callback?: () => void): void {
    callback?.()
  }
}

/** Options that are put together piece by piece, and stores by the type that they have in common. */
export function configured(isProduction: boolean): RequestHandler {
  const options: session.SessionOptions = { secret: 'x', cookie: {} }
  if (isProduction) options.cookie = { secure: true }
  options.name = 'sid'
  options.store = new OldStore()
  const store: session.Store = new MemoryStore()
  store.get('x', (_error, found) => found?.cookie.maxAge)
  store.destroy('x')
  options.store = store
  return session(options)
}

app.use(session({ store: new OwnStore() }))
app.use(session({ store: new OldStore() }))
expectTypeOf(session).toBeCallableWith({})
expectTypeOf<ReturnType<typeof session>>().toExtend<RequestHandler>()
expectTypeOf<NonNullable<SessionOptions['user']>>().parameters.toEqualTypeOf<[JsonObject]>()
expectTypeOf(session.Store).toEqualTypeOf<typeof Store>()
