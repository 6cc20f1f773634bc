/* eslint-disable @typescript-eslint/no-deprecated -- What express-session has deprecated works all the same. */
/** What express-session documents of `req.session`, and of stores, as scenarios. */

import type { Store } from 'express-session'
import { type Scenario, values } from './playing.ts'

const minute = 60_000

type Done = (error?: unknown) => void

/** The methods and properties of `req.session`. */
export const ofSessions: readonly Scenario[] = [
  { name: 'destroy', steps: ['/set?a=1', '/destroy', '/show'] },
  {
    name: 'destroy of what was never stored',
    steps: ['/destroy', '/show'],
  },
  { name: 'destroy, and the cookie sent again', steps: ['/set?a=1', '/destroy', '/set?b=1', '/show'] },
  { name: 'regenerate', steps: ['/set?a=1', '/regenerate', '/show'] },
  {
    name: 'regenerate of what was never stored',
    steps: ['/regenerate', '/show'],
  },
  {
    name: 'regenerate, then a login',
    app: (app) => {
      app.get('/login', (req, res) => {
        req.session.regenerate(() => {
          values(req)['user'] = 'ada'
          res.redirect('/show')
        })
      })
    },
    steps: ['/set?a=1', '/login', '/show'],
  },
  {
    name: 'regenerate and save',
    app: (app) => {
      app.get('/login', (req, res) => {
        req.session.regenerate(() => {
          values(req)['user'] = 'ada'
          req.session.save(() => res.redirect('/show'))
        })
      })
    },
    steps: ['/set?a=1', '/login', '/show'],
    differs: 'what the application has saved is not saved a second time',
  },
  {
    name: 'regenerate and save, and only then how long it lasts',
    app: (app) => {
      app.get('/login', (req, res) => {
        req.session.regenerate(() => {
          values(req)['user'] = 'ada'
          req.session.save(() => {
            req.session.cookie.maxAge = 10 * minute
            res.redirect('/show')
          })
        })
      })
    },
    steps: ['/set?a=1', '/login', '/cookie', '/show'],
  },
  {
    name: 'the id of a session that was regenerated opens nothing',
    app: (app) => {
      app.get('/old', (req, res) => {
        const { id } = req.session
        req.session.regenerate(() => req.sessionStore.get(id, (_error, found) => res.send(typeof found)))
      })
    },
    steps: ['/set?a=1', '/old'],
  },
  { name: 'reload', steps: ['/set?a=1', '/reload', '/show'] },
  { name: 'reload of what is not stored', steps: ['/reload'] },
  {
    name: 'reload of what was destroyed meanwhile',
    app: (app) => {
      app.get('/lost', (req, res) => {
        req.sessionStore.destroy(req.sessionID, () => {
          req.session.reload((error: Error) => res.send(error.message))
        })
      })
    },
    steps: ['/set?a=1', '/lost'],
    stores: ['callbacks'],
  },
  {
    name: 'reload keeps what another request has stored',
    app: (app) => {
      app.get('/other', (req, res) => {
        const { id } = req.session
        req.sessionStore.get(id, (_error, found) => {
          req.sessionStore.set(id, { ...found!, other: 1 } as never, () => {
            req.session.reload(() => res.json(Object.keys(req.session)))
          })
        })
      })
    },
    steps: ['/set?a=1', '/other', '/show'],
    stores: ['callbacks'],
  },
  { name: 'save', steps: ['/save', '/show'] },
  { name: 'save of a session that was there', steps: ['/set?a=1', '/save', '/show'] },
  {
    name: 'save, and a change afterwards',
    app: (app) => {
      app.get('/twice', (req, res) => {
        values(req)['a'] = 1
        req.session.save(() => {
          values(req)['b'] = 1
          res.send('twice')
        })
      })
    },
    steps: ['/twice', '/show'],
  },
  {
    name: 'save without a callback',
    app: (app) => {
      app.get('/quiet', (req, res) => {
        values(req)['a'] = 1
        void req.session.save()
        res.send('quiet')
      })
    },
    steps: ['/quiet', '/show'],
    stores: ['memory'],
  },
  {
    name: 'methods with a callback answer with the session',
    app: (app) => {
      app.get('/chain', (req, res) => {
        const { session } = req
        const same = [session.touch(), session.resetMaxAge(), session.save(() => undefined)]
        res.json(same.map((each) => each === session))
      })
    },
    steps: ['/chain'],
    differs: 'save answers with the session',
  },
  {
    name: 'touch and resetMaxAge',
    options: { cookie: { maxAge: 10 * minute } },
    app: (app) => {
      app.get('/reset', (req, res) => {
        const { cookie } = req.session
        cookie.expires = new Date(Date.now() + minute)
        cookie.originalMaxAge = 10 * minute
        const before = Math.round(cookie.maxAge! / minute)
        req.session.touch()
        res.json([before, Math.round(cookie.maxAge! / minute), cookie.originalMaxAge])
      })
    },
    steps: ['/reset'],
  },
  {
    name: 'id cannot be set',
    app: (app) => {
      app.get('/id', (req, res) => {
        try {
          req.session.id = 'mine'
        } catch (error) {
          res.json([(error as Error).name, req.session.id === req.sessionID, Object.keys(req.session)])
        }
      })
    },
    steps: ['/id'],
  },
  {
    name: 'what JSON makes of a session',
    app: (app) => {
      app.get('/json', (req, res) => void res.json([Object.keys(req.session), req.session]))
    },
    steps: ['/set?a=1', '/json'],
  },
  {
    name: 'values that have the name of a method',
    app: (app) => {
      app.get('/names', (req, res) => {
        Object.assign(values(req), { a: 1, constructor: 1, toString: 1 })
        res.send('named')
      })
    },
    steps: ['/names', '/show'],
    differs: 'what a session cannot hold is no change',
  },
  {
    name: 'a value with a name in it through which prototypes are reached',
    stores: ['memory'],
    app: (app) => {
      app.get('/prototype', (req, res) => {
        values(req)['given'] = JSON.parse('{ "__proto__": { "a": 1 } }')
        res.send('given')
      })
    },
    steps: ['/prototype', '/show'],
    differs: 'a name through which prototypes are reached is refused',
  },
  {
    name: 'what JSON has no word for',
    app: (app) => {
      app.get('/odd', (req, res) => {
        Object.assign(values(req), {
          f: () => 1,
          u: undefined,
          d: new Date(0),
          n: NaN,
          nested: { f: () => 1, a: 1 },
        })
        res.send('odd')
      })
    },
    steps: ['/odd', '/show'],
  },
  {
    name: 'sessionID and sessionStore',
    app: (app, _library, { store }) => {
      app.get('/ids', (req, res) => {
        res.json([req.sessionID === req.session.id, 'createSession' in req.sessionStore, typeof store])
      })
    },
    steps: ['/ids'],
  },
  {
    name: 'values of every kind of JSON',
    app: (app) => {
      app.get('/all', (req, res) => {
        Object.assign(values(req), {
          n: null,
          b: false,
          i: 0.5,
          s: 'ä€😀"',
          l: [1, [2]],
          o: { '': {}, 'a.b': 1 },
        })
        res.send('all')
      })
    },
    steps: ['/all', '/show'],
  },
  { name: 'a login after a session without cookie', steps: [{ path: '/set?a=1', cookie: 'none' }, '/show'] },
]

/** What a store with callbacks may do. */
const broken = (method: keyof Store, code?: string) => (store: Store) => {
  Object.assign(store, {
    [method]: (...given: unknown[]) => {
      const callback = given.findLast((each) => typeof each === 'function') as Done | undefined
      const error = Object.assign(new Error('the store is down'), code === undefined ? {} : { code })
      if (callback) setImmediate(callback, error)
    },
  })
}

/** A route after which the store is broken. */
function breaking(method: keyof Store, code?: string): NonNullable<Scenario['app']> {
  return (app, _library, { store }) => {
    app.get('/break', (_req, res) => {
      res.on('finish', () => broken(method, code)(store))
      res.send('it breaks')
    })
  }
}

const onlyCallbacks = { stores: ['callbacks'] } as const

/** Stores with callbacks: what they must do and may do, and how they fail. */
export const ofStores: readonly Scenario[] = [
  {
    ...onlyCallbacks,
    name: 'a store without touch',
    options: (_library, { store }) => {
      Object.assign(store, { touch: undefined })
      return { store }
    },
    steps: ['/set?a=1', '/nothing', '/show'],
  },
  { ...onlyCallbacks, name: 'get fails', app: breaking('get'), steps: ['/set?a=1', '/break', '/show'] },
  {
    ...onlyCallbacks,
    name: 'get fails with ENOENT',
    app: breaking('get', 'ENOENT'),
    steps: ['/set?a=1', '/break', '/nothing'],
  },
  {
    ...onlyCallbacks,
    name: 'set fails',
    app: breaking('set'),
    steps: ['/set?a=1', '/break', '/set?b=1'],
    differs: 'who is told 200 was stored',
  },
  {
    ...onlyCallbacks,
    name: 'set fails, and the application saves',
    app: breaking('set'),
    steps: ['/set?a=1', '/break', '/save'],
  },
  {
    ...onlyCallbacks,
    name: 'touch fails',
    app: breaking('touch'),
    steps: ['/set?a=1', '/break', '/nothing', '/show'],
  },
  {
    ...onlyCallbacks,
    name: 'destroy fails',
    app: breaking('destroy'),
    steps: ['/set?a=1', '/break', '/destroy'],
  },
  {
    ...onlyCallbacks,
    name: 'destroy fails in regenerate',
    app: breaking('destroy'),
    steps: ['/set?a=1', '/break', '/regenerate'],
  },
  {
    ...onlyCallbacks,
    name: 'destroy fails after the session was unset',
    options: { unset: 'destroy' },
    app: breaking('destroy'),
    steps: ['/set?a=1', '/break', '/delete'],
    differs: 'who is told 200 is logged out',
  },
  {
    ...onlyCallbacks,
    name: 'get fails, and a session that is unset is destroyed',
    options: { unset: 'destroy' },
    app: breaking('get'),
    steps: ['/set?a=1', '/break', '/nothing'],
    differs: 'a session that could not be read is not destroyed',
  },
  {
    ...onlyCallbacks,
    name: 'what is stored is no session',
    app: (app, _library, { store }) => {
      app.get('/spoil', (req, res) => {
        store.set(req.sessionID, { a: 1 } as never, () => {
          delete (req as unknown as Record<string, unknown>)['session']
          res.send('spoilt')
        })
      })
    },
    steps: ['/set?a=1', '/spoil', '/nothing'],
    differs: 'what is stored and is no session is none',
  },
  {
    name: 'disconnect, then connect',
    app: (app, _library, { store }) => {
      app.get('/off', (_req, res) => {
        res.on('finish', () => void store.emit('disconnect'))
        res.send('off')
      })
      app.get(
        '/present',
        (req, res) => void res.json(typeof (req as unknown as Record<string, unknown>)['session']),
      )
    },
    ...onlyCallbacks,
    steps: ['/set?a=1', '/off', '/present'],
    differs: 'an outage is an error, and does not look like a logout',
  },
  {
    ...onlyCallbacks,
    name: 'connect after a disconnect',
    app: (app, _library, { store }) => {
      app.get('/blink', (_req, res) => {
        res.on('finish', () => {
          store.emit('disconnect')
          store.emit('connect')
        })
        res.send('blinked')
      })
    },
    steps: ['/set?a=1', '/blink', '/show'],
  },
  {
    name: 'the store’s load',
    app: (app) => {
      app.get('/load', (req, res) => {
        const { sessionStore, sessionID } = req
        sessionStore.load(sessionID, (_error, found) => {
          const { id } = found as unknown as { id: string }
          sessionStore.load('nobody', (_none, nobody) => {
            res.json([id === sessionID, Object.keys(found!), typeof nobody])
          })
        })
      })
    },
    steps: ['/set?a=1', '/load'],
  },
  {
    name: 'the store’s regenerate and generate',
    app: (app) => {
      app.get('/again', (req, res) => {
        const { id } = req.session
        req.sessionStore.regenerate(req, () => {
          const second = req.session.id
          req.sessionStore.generate(req)
          res.json([id !== second, second !== req.session.id, Object.keys(req.session)])
        })
      })
    },
    steps: ['/set?a=1', '/again'],
  },
  {
    name: 'the store’s createSession',
    app: (app) => {
      app.get('/create', (req, res) => {
        const cookie = {
          originalMaxAge: minute,
          expires: new Date(Date.now() + minute).toISOString(),
          path: '/',
        }
        const made = req.sessionStore.createSession(req, { cookie, b: 1 } as never)
        res.json([made === req.session, made.cookie.expires instanceof Date, Object.keys(made)])
      })
    },
    steps: ['/set?a=1', '/create', '/show'],
  },
  {
    name: 'all and length of MemoryStore',
    stores: ['memory'],
    isOfMemoryStore: true,
    app: (app) => {
      app.get('/count', (req, res) => {
        const { sessionStore: store, sessionID } = req
        store.all!((_error, all) => {
          store.length!((_none, length) => {
            const mine = (all as unknown as Record<string, Record<string, unknown>>)[sessionID]
            res.json([length, Object.keys(all!).length, mine && Object.keys(mine)])
          })
        })
      })
    },
    steps: ['/set?a=1', '/count', { path: '/set?b=1', cookie: 'none' }, '/count'],
  },
  {
    name: 'clear of MemoryStore',
    stores: ['memory'],
    app: (app) => {
      app.get('/clear', (req, res) => {
        req.sessionStore.clear!(() => {
          delete (req as unknown as Record<string, unknown>)['session']
          res.send('cleared')
        })
      })
    },
    steps: ['/set?a=1', '/clear', '/nothing', '/set?b=1', '/show'],
  },
  {
    name: 'destroy and get of the store, by id',
    app: (app) => {
      app.get('/drop', (req, res) => {
        const { sessionStore: store, sessionID } = req
        delete (req as unknown as Record<string, unknown>)['session']
        store.destroy(sessionID, () => store.get(sessionID, (_error, found) => res.json([typeof found])))
      })
    },
    steps: ['/set?a=1', '/drop', '/nothing'],
  },
]
