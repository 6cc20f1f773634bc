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

app.use(session({ store: new OwnStore() }))
expectTypeOf(session).toBeCallableWith({})
expectTypeOf<ReturnType<typeof session>>().toExtend<RequestHandler>()
expectTypeOf<NonNullable<SessionOptions['user']>>().parameters.toEqualTypeOf<[JsonObject]>()
expectTypeOf(session.Store).toEqualTypeOf<typeof Store>()
