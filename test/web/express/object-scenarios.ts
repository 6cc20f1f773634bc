/* eslint-disable @typescript-eslint/no-deprecated -- What express-session has deprecated works all the same. */
/** What applications make of the objects of express-session, and stores that are written in other ways, as scenarios. */

import { callbackify } from 'node:util'
import type { Express, Request } from 'express'
import type { SessionData, Store } from 'express-session'
import { type Library, type Scenario, values } from './playing.ts'

const minute = 60_000

type Data = Record<string, unknown>

/** A deep copy as lodash makes it: with the prototype, and with what is enumerable. */
function cloned(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  const entries = Object.entries(value).map(([name, each]) => [name, cloned(each)] as const)
  return Object.assign(Object.create(Object.getPrototypeOf(value) as object), Object.fromEntries(entries))
}

/** A login that takes a copy of the old session along. */
function loginWith(copy: (session: object) => object): Pick<Scenario, 'app' | 'options' | 'steps'> {
  return {
    options: { cookie: { maxAge: minute } },
    app: (app) => {
      app.get('/login', (req, res, next) => {
        const before = copy(req.session)
        req.session.regenerate((error: unknown) => {
          if (error) {
            next(error)
            return
          }
          Object.assign(req.session, before, { user: 'ada' })
          res.send('in')
        })
      })
    },
    steps: ['/set?a=1', '/login', '/show', '/cookie'],
  }
}

/** A session that is made anew of what is stored, and destroyed. */
function destroyed(
  make: (library: Library, req: Request, stored: SessionData) => object,
): NonNullable<Scenario['app']> {
  return (app, library) => {
    app.get('/again', (req, res) => {
      const { sessionStore, sessionID } = req
      sessionStore.get(sessionID, (_error, stored) => {
        const again = make(library, req, stored!) as Request['session']
        again.destroy(() => sessionStore.get(sessionID, (_none, left) => res.send(typeof left)))
      })
    })
  }
}

/** What holds a session of a request for `load`. */
function holder({ sessionID, sessionStore }: Request): never {
  return { sessionID, sessionStore } as never
}

/** Prolongs a record by a copy of what it holds. */
function touching(app: Express, originalMaxAge: number): void {
  const lasting = (ms: number): never =>
    ({ cookie: { path: '/', originalMaxAge, expires: new Date(Date.now() + ms) }, a: 1 }) as never
  app.get('/prolong', (req, res) => {
    const { sessionStore: store } = req
    store.set('another', lasting(minute), () => {
      store.touch!('another', structuredClone(lasting(10 * minute)), () => {
        store.get('another', (_error, found) => {
          const left = new Date(found!.cookie.expires!).valueOf() - Date.now()
          res.json([Math.round(left / minute), (found as unknown as Data)['a']])
        })
      })
    })
  })
}

export const ofCopies: readonly Scenario[] = [
  {
    name: 'a copy by JSON in the next session',
    ...loginWith((session) => JSON.parse(JSON.stringify(session)) as object),
  },
  {
    name: 'a deep copy in the next session',
    ...loginWith((session) => cloned(session) as object),
  },
  { name: 'the old session in the next session', ...loginWith((session) => session) },
  {
    name: 'a proxy of the session in its place',
    app: (app) => {
      app.use((req, _res, next) => {
        req.session = new Proxy(req.session, {})
        next()
      })
    },
    steps: ['/set?a=1', '/show', '/save', '/reload', '/regenerate', '/set?b=1', '/destroy', '/show'],
  },
  {
    name: 'an object over the session',
    app: (app) => {
      app.get('/over', (req, res) => {
        const over = Object.create(req.session) as Request['session']
        res.json([over.id === req.sessionID, Reflect.get(over, 'req') === req, over.touch() === over])
      })
    },
    steps: ['/over'],
  },
  {
    name: 'what is a session’s own',
    app: (app) => {
      app.get('/own', (req, res) => {
        const { session } = req
        res.json([Object.keys(session), Object.hasOwn(session, 'id'), Object.hasOwn(session, 'req')])
      })
    },
    steps: ['/set?a=1', '/own'],
  },
  {
    name: 'settings in the place of the cookie',
    app: (app) => {
      app.get('/replace', (req, res) => {
        values(req)['a'] = 1
        values(req)['cookie'] = { maxAge: minute }
        res.send('replaced')
      })
    },
    steps: ['/replace', '/show', '/cookie'],
  },
  {
    name: 'copies of a cookie',
    options: { cookie: { maxAge: 10 * minute } },
    app: (app, library) => {
      const { Cookie } = library as unknown as { Cookie: new (given: object) => Request['session']['cookie'] }
      app.get('/copies', (req, res) => {
        const { cookie } = req.session
        const made = new Cookie(cookie)
        const { _expires } = Object.assign({ _expires: new Date(0) }, cookie)
        const times = [made.maxAge!, _expires.valueOf() - Date.now()]
        res.json([Object.keys(cookie).sort(), times.map((ms) => Math.round(ms / minute))])
      })
    },
    steps: ['/copies'],
  },
  {
    name: 'destroy of a session that is made of a copy',
    app: destroyed((_library, req, stored) =>
      req.sessionStore.createSession(holder(req), JSON.parse(JSON.stringify(stored)) as never),
    ),
    steps: ['/set?a=1', '/again', '/show'],
  },
  {
    name: 'destroy of a session that is made of its id',
    app: destroyed((library, req) => {
      const { Session } = library as unknown as { Session: new (req: object) => object }
      return new Session(holder(req))
    }),
    steps: ['/set?a=1', '/again', '/show'],
  },
  { name: 'touch with a copy', app: (app) => touching(app, 10 * minute), steps: ['/prolong'] },
  {
    name: 'touch with a copy that has other settings',
    app: (app) => touching(app, 9 * minute),
    steps: ['/prolong'],
  },
  {
    name: 'set of what is frozen, and all without a callback',
    stores: ['memory'],
    app: (app) => {
      app.get('/frozen', (req, res) => {
        const { sessionStore: store } = req
        store.set('another', Object.freeze({ cookie: { path: '/' }, a: 1 }) as never, () => {
          ;(store as unknown as { all(): void }).all()
          store.get('another', (_error, found) => res.json((found as unknown as Data)['a']))
        })
      })
    },
    steps: ['/frozen'],
  },
  {
    name: 'a session of 300 kB',
    app: (app) => {
      app.get('/large', (req, res) => {
        values(req)['large'] = 'x'.repeat(300_000)
        res.send('large')
      })
      app.get('/length', (req, res) => void res.json((values(req)['large'] as string).length))
    },
    steps: ['/large', '/length'],
    isOfMemoryStore: true,
  },
]

/** What a store answers with and is told. */
type Callback = (error?: unknown, found?: unknown) => void

/** Makes a store of methods. */
function storeOf(library: Library, methods: object): { readonly store: Store } {
  class Own extends (library.Store as unknown as new () => object) {}
  Object.assign(Own.prototype, methods)
  return { store: new Own() as unknown as Store }
}

const onlyCallbacks = { stores: ['callbacks'] } as const
const texts = (): {
  readonly get: (sid: string, done: Callback) => void
  readonly set: (sid: string, session: object, done: Callback) => void
  readonly destroy: (sid: string, done: Callback) => void
} => {
  const all = new Map<string, string>()
  return {
    get: (sid, done) => setImmediate(done, null, all.has(sid) ? JSON.parse(all.get(sid)!) : null),
    set: (sid, session, done) => {
      all.set(sid, JSON.stringify(session))
      setImmediate(done)
    },
    destroy: (sid, done) => {
      all.delete(sid)
      setImmediate(done)
    },
  }
}

export const ofOtherStores: readonly Scenario[] = [
  {
    ...onlyCallbacks,
    name: 'a store of functions that were made of promises',
    options: (library) => {
      const all = new Map<string, string>()
      return storeOf(library, {
        get: callbackify((sid: string) =>
          Promise.resolve(all.has(sid) ? (JSON.parse(all.get(sid)!) as object) : null),
        ),
        set: callbackify((sid: string, data: object) => Promise.resolve(all.set(sid, JSON.stringify(data)))),
        destroy: callbackify((sid: string) => Promise.resolve(all.delete(sid))),
        touch: callbackify(() => Promise.resolve()),
      })
    },
    steps: ['/set?a=1', '/regenerate', '/show', '/set?b=1', '/destroy', '/show'],
  },
  {
    ...onlyCallbacks,
    name: 'a store that keeps the objects themselves',
    options: (library) => {
      const all = new Map<string, object>()
      return {
        cookie: { maxAge: minute },
        ...storeOf(library, {
          get: (sid: string, done: Callback) => done(null, all.get(sid)),
          set: (sid: string, session: object, done: Callback) => {
            all.set(sid, session)
            done()
          },
          destroy: (sid: string, done: Callback) => {
            all.delete(sid)
            done()
          },
        }),
      }
    },
    steps: ['/set?a=1', '/cookie', '/set?b=1', '/show', '/cookie'],
  },
  {
    ...onlyCallbacks,
    name: 'a store that writes into the session while it stores it',
    options: (library) => {
      const { get, set, destroy } = texts()
      const noting = (sid: string, data: Data, done: Callback): void => {
        data['stored'] = Number(data['stored'] ?? 0) + 1
        set(sid, data, done)
      }
      return { resave: true, cookie: { maxAge: minute }, ...storeOf(library, { get, set: noting, destroy }) }
    },
    steps: ['/set?a=1', '/nothing'],
    differs: 'what a store puts into a session while it stores it is no change',
  },
  {
    ...onlyCallbacks,
    name: 'a store with a createSession of its own',
    options: (library) => {
      const own = storeOf(library, texts())
      const createSession = own.store.createSession.bind(own.store)
      const helper = { helper: 'of the store' }
      return Object.assign(own, {
        store: Object.assign(own.store, {
          createSession: (req: never, data: never) => Object.assign(createSession(req, data), helper),
        }),
      })
    },
    app: (app) => {
      app.get('/again', (req, res) => void req.session.reload(() => res.json(values(req)['helper'])))
    },
    steps: ['/set?a=1', '/show', '/again'],
  },
  {
    ...onlyCallbacks,
    name: 'a store whose ENOENT is no Error of this realm',
    options: (library) =>
      storeOf(library, {
        ...texts(),
        get: (_sid: string, done: Callback) => setImmediate(done, { code: 'ENOENT' }),
      }),
    steps: ['/set?a=1', '/nothing'],
  },
]
