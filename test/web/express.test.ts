/** The drop-in for express-session over Holdfast stores: what it does better, and what it does besides. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { inherits } from 'node:util'
import express, { type Express, type RequestHandler } from 'express'
import theirs from 'express-session'
import session, { type CallbackStore } from 'holdfast/express'
import * as exported from 'holdfast/express'
import { KeyedSessions } from '../../packages/holdfast/src/sessions/keyed.ts'
import { OldRows } from '../sessions/keyed-stage.ts'
import { until } from '../until.ts'
import { makeStore } from './express/map-store.ts'
import { Place } from './express/place.ts'
import type { Library } from './express/playing.ts'
import { appWith, Browser, serve, sessions, site, usual, values } from './express/site.ts'

async function* slowly(): AsyncGenerator<string> {
  for (const piece of ['one', 'two', 'three']) {
    yield piece
    await pause(50)
  }
}

const pause = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('holdfast/express over a Holdfast store', () => {
  it('keeps the change of each of 20 requests at once', async (t) => {
    const { store } = new Place()
    const browser = await site(t, { store }, (app) => {
      usual(app)
      app.get('/slow/:name', async (req, res) => {
        values(req)[req.params.name] = 1
        await pause()
        res.send('set')
      })
    })
    await browser.get('/set?first=1')
    const names = Array.from({ length: 20 }, (_, i) => `k${String(i)}`)
    await Promise.all(names.map((name) => browser.tab().get(`/slow/${name}`)))
    assert.deepEqual(
      await browser.json('/show'),
      Object.fromEntries([['first', '1'], ...names.map((name) => [name, 1])]),
    )
  })

  it('stays logged out after a logout with a write in flight, and the late response ends quietly', async (t) => {
    const { store } = new Place()
    const { promise: arrived, resolve: tell } = Promise.withResolvers<undefined>()
    const { promise: loggedOut, resolve: goOn } = Promise.withResolvers<undefined>()
    const browser = await site(t, { store, rolling: true }, (app) => {
      usual(app)
      app.get('/slow', async (req, res) => {
        values(req)['late'] = 1
        tell(undefined)
        await loggedOut
        res.send('late')
      })
    })
    await browser.get('/set?user=ada')
    const late = browser.tab().get('/slow')
    await arrived
    assert.equal((await browser.get('/logout')).status, 200)
    goOn(undefined)
    const { status, text, headers } = await late
    assert.deepEqual([status, text, headers.getSetCookie()], [200, 'late', []])
    assert.deepEqual(await browser.json('/show'), {})
  })

  it('tells the application that its own save came too late', async (t) => {
    const { store } = new Place()
    const browser = await site(t, { store }, (app) => {
      usual(app)
      app.get('/save', async (req, res) => {
        await new KeyedSessions(store).destroy(req.sessionID)
        values(req)['late'] = 1
        req.session.save((error: { code?: string } | undefined) => res.send(error?.code))
      })
    })
    await browser.get('/set?user=ada')
    assert.equal((await browser.get('/save')).text, 'HOLDFAST_SESSION_GONE')
    assert.deepEqual(await browser.json('/show'), {})
  })

  it('lets no redirect arrive before its session is stored', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store })
    await browser.get('/show')
    const { reached, release } = place.hold()
    let isBack = false
    const redirected = browser.get('/redirect').finally(() => (isBack = true))
    await reached
    await pause(50)
    assert.equal(isBack, false)
    release()
    assert.equal((await redirected).status, 302)
    assert.deepEqual(await browser.json('/show'), { user: 'ada' })
  })

  it('stores the session although the client has hung up', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store })
    await browser.get('/set?a=1')
    const { reached, release } = place.hold()
    const hangUp = new AbortController()
    const asked = browser.get('/set?b=1', { signal: hangUp.signal })
    await reached
    hangUp.abort()
    await assert.rejects(asked)
    release()
    await until('it is stored', async () => 'b' in ((await browser.json('/show')) as object))
    assert.deepEqual(await browser.json('/show'), { a: '1', b: '1' })
  })

  it('sends nothing of a response whose session could not be stored [D60]', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store })
    await browser.get('/show')
    place.plan = ({ writes }) => (writes ? 'fail' : undefined)
    const { status, text, headers } = await browser.get('/redirect')
    assert.equal(status, 503)
    assert.match(text, /HOLDFAST_STORE_UNAVAILABLE/)
    assert.deepEqual([headers.get('location'), headers.getSetCookie()], [null, []])
  })

  it('cuts off a stream whose session could not be stored', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store }, (app) => {
      app.get('/stream', (req, res) => {
        values(req)['a'] = 1
        Readable.from(slowly()).pipe(res)
      })
    })
    place.plan = ({ writes }) => (writes ? 'fail' : undefined)
    await assert.rejects(browser.get('/stream'))
  })

  it('fails while the store is down, and logs nobody out', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store })
    await browser.get('/set?user=ada')
    place.plan = () => 'fail'
    const { status, headers } = await browser.get('/show')
    assert.deepEqual([status, headers.getSetCookie()], [503, []])
    place.plan = () => undefined
    assert.deepEqual(await browser.json('/show'), { user: 'ada' })
  })

  it('leaves nothing in the store for those who never logged in', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store }, (app) => {
      usual(app)
      app.get('/again', (req, res) => {
        req.session.regenerate(() => {
          Reflect.deleteProperty(req, 'session')
          res.send('again')
        })
      })
    })
    await browser.get('/logout')
    await browser.get('/again')
    assert.deepEqual(place.writes(), [])
  })

  it('writes nothing for those who only look, but a touch once in a while', async (t) => {
    for (const [touchEvery, touches] of [
      [undefined, 0],
      [0, 3],
    ] as const) {
      const place = new Place()
      const more = touchEvery === undefined ? {} : { touchEvery }
      const browser = await site(t, { store: place.store, cookie: { maxAge: 60_000 }, ...more })
      await browser.get('/set?a=1')
      place.calls.length = 0
      for (let i = 0; i < 3; i++) {
        await pause(5)
        await browser.get('/show')
      }
      assert.deepEqual(place.writes(), Array.from({ length: touches }).fill('touch'))
    }
  })

  it('keeps a change of the cookie’s settings although nothing else was changed', async (t) => {
    const { store } = new Place()
    const browser = await site(t, { store }, (app) => {
      usual(app)
      app.get('/remember', (req, res) => {
        req.session.cookie.maxAge = 3_600_000
        res.send('remembered')
      })
      app.get('/left', (req, res) => void res.json(req.session.cookie.originalMaxAge))
    })
    await browser.get('/set?a=1')
    await browser.get('/remember')
    assert.equal(await browser.json('/left'), 3_600_000)
  })

  it('saves what is changed while an earlier save is under way', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store }, (app) => {
      usual(app)
      app.get('/both', (req, res) => {
        values(req)['a'] = 1
        void req.session.save()
        values(req)['b'] = 2
        res.send('both')
      })
    })
    const { reached, release } = place.hold()
    const both = browser.get('/both')
    await reached
    release()
    await both
    assert.deepEqual(await browser.json('/show'), { a: 1, b: 2 })
  })

  it('stores the last of two saves last, however long the first one takes', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store }, (app) => {
      usual(app)
      app.get('/twice', (req, res) => {
        values(req)['a'] = 1
        void req.session.save()
        values(req)['a'] = 2
        res.send('twice')
      })
    })
    await browser.get('/show')
    const { reached, release } = place.hold('one')
    const twice = browser.get('/twice')
    await reached
    await pause(50)
    release()
    await twice
    assert.deepEqual(await browser.json('/show'), { a: 2 })
  })

  it('stores what is changed while the response streams, and ends it afterwards', async (t) => {
    const place = new Place()
    const { promise: begun, resolve: tell } = Promise.withResolvers<() => void>()
    const browser = await site(t, { store: place.store }, (app) => {
      usual(app)
      app.get('/slow', (req, res) => {
        values(req)['before'] = 1
        res.write('one ', () => {
          tell(() => {
            values(req)['meanwhile'] = 2
            res.end('two')
          })
        })
      })
    })
    let isBack = false
    const slow = browser.get('/slow').finally(() => (isBack = true))
    const goOn = await begun
    const { reached, release } = place.hold()
    goOn()
    await reached
    await pause(50)
    assert.equal(isBack, false)
    release()
    assert.equal((await slow).text, 'one two')
    assert.deepEqual(await browser.json('/show'), { before: 1, meanwhile: 2 })
  })

  it('waits for a save that the application has not waited for', async (t) => {
    const place = new Place()
    const browser = await site(t, { store: place.store }, (app) => {
      usual(app)
      app.get('/quick', (req, res) => {
        values(req)['a'] = 1
        void req.session.save()
        res.redirect('/show')
      })
    })
    await browser.get('/set?first=1')
    const { reached, release } = place.hold()
    let isBack = false
    const quick = browser.get('/quick').finally(() => (isBack = true))
    await reached
    await pause(50)
    assert.equal(isBack, false)
    release()
    await quick
  })

  it('stores what the application puts there by id, over what is there', async (t) => {
    const { store } = new Place()
    const browser = await site(t, { store }, (app) => {
      usual(app)
      app.get('/put', (req, res) => {
        const { sessionStore, sessionID } = req
        sessionStore.set(sessionID, { cookie: { path: '/' }, put: 1 } as never, () => {
          Reflect.deleteProperty(req, 'session')
          res.send('put')
        })
      })
    })
    await browser.get('/set?a=1')
    await browser.get('/put')
    assert.deepEqual(await browser.json('/show'), { put: 1 })
  })

  it('lists and revokes by the user that `user` names', async (t) => {
    const { store } = new Place()
    const userOf = (data: object): string | undefined => (data as { user?: string }).user
    const one = await site(t, { store, user: userOf })
    const two = one.tab()
    await one.get('/set?user=ada')
    await two.get('/set?user=ada')
    const keyed = new KeyedSessions(store, { userOf })
    const { sessions: listed } = await keyed.list({ user: 'ada' })
    assert.equal(listed.length, 2)
    assert.equal(await keyed.revoke({ user: 'ada' }), 2)
    await pause(5)
    assert.deepEqual(await one.json('/show'), {})
    assert.deepEqual(await two.json('/show'), {})
  })

  it('takes over what another library has stored', async (t) => {
    const { store } = new Place()
    const rows = new OldRows(new Place().store)
    const expiresAt = Date.now() + 60_000
    await rows.put('of-old', {
      data: { user: 'ada' },
      cookie: { originalMaxAge: 60_000, path: '/' },
      expiresAt,
    })
    const browser = await site(t, { store, old: rows, genid: () => 'of-old' })
    // The cookie that the other library has set.
    const made = await site(t, { store: new session.MemoryStore(), genid: () => 'of-old' })
    await made.get('/set?a=1')
    const here = browser.tab()
    here.cookies.set('connect.sid', made.cookies.get('connect.sid')!)
    assert.deepEqual(await here.json('/show'), { user: 'ada' })
    assert.equal(await rows.read('of-old'), undefined)
    await here.get('/logout')
    assert.deepEqual(await here.json('/show'), {})
  })

  it('ends a session in the store when its maxAge is over, later by no more than `touchEvery`', async (t) => {
    const { store } = new Place()
    const browser = await site(t, { store, cookie: { maxAge: 2_500 }, touchEvery: 0 })
    await browser.get('/set?a=1')
    await pause(1_300)
    assert.deepEqual(await browser.json('/show'), { a: '1' })
    await pause(1_300)
    assert.deepEqual(await browser.json('/show'), { a: '1' })
    await pause(2_600)
    assert.deepEqual(await browser.json('/show'), {})
  })
})

describe('a response of holdfast/express', () => {
  it('streams: pieces arrive one by one, and what does not fit waits', async (t) => {
    const place = new Place()
    const piece = 'x'.repeat(64 * 1024)
    let told: boolean[] = []
    const browser = await site(t, { store: place.store }, (app) => {
      app.get('/stream', (req, res) => {
        values(req)['a'] = 1
        told = [res.write('small'), res.write(piece)]
        res.once('drain', () => res.end('after the drain'))
      })
    })
    const { reached, release } = place.hold()
    const answer = browser.get('/stream')
    await reached
    release()
    assert.deepEqual((await answer).text, `small${piece}after the drain`)
    assert.deepEqual(told, [true, false])
  })

  it('tells of room also where what is beneath never had none', async (t) => {
    const place = new Place()
    const app = express()
    app.use((_req, res, next) => {
      // As a middleware does that packs the response: it takes everything, and never has to say that there is room.
      const pieces: Buffer[] = []
      const end = res.end.bind(res) as (chunk: Buffer) => typeof res
      const write = (chunk: string): boolean => pieces.push(Buffer.from(chunk)) > 0
      Object.assign(res, { write, end: (last: string) => end(Buffer.concat([...pieces, Buffer.from(last)])) })
      next()
    })
    app.use(sessions({ store: place.store }))
    app.get('/', (req, res) => {
      values(req)['a'] = 1
      assert.equal(res.write('x'.repeat(100_000)), false)
      res.once('drain', () => res.end('end'))
    })
    const browser = new Browser(await serve(t, app))
    assert.equal((await browser.get('/')).text.length, 100_003)
  })

  it('looks sent to the application while it waits, and is what it was then', async (t) => {
    const place = new Place()
    const seen: unknown[] = []
    const browser = await site(t, { store: place.store }, (app) => {
      app.get('/head', (req, res) => {
        values(req)['a'] = 1
        res.status(201).setHeader('x-early', '1')
        seen.push(res.headersSent)
        res.write('body')
        seen.push(res.headersSent)
        for (const late of [
          () => res.setHeader('x-late', '1'),
          () => res.writeHead(500),
          () => res.removeHeader('x-early'),
        ]) {
          assert.throws(late, { code: 'ERR_HTTP_HEADERS_SENT' })
        }
        res.statusCode = 500
        res.end()
      })
    })
    const { status, text, headers } = await browser.get('/head')
    assert.deepEqual([status, text, headers.get('x-early'), headers.get('x-late')], [201, 'body', '1', null])
    assert.deepEqual(seen, [false, true])
  })
})

describe('what holdfast/express exports', () => {
  it('is a function with properties, by import and by require', () => {
    const required = createRequire(import.meta.url)('holdfast/express') as unknown
    assert.equal(required, session)
    for (const name of ['Store', 'Session', 'Cookie', 'MemoryStore'] as const) {
      assert.equal(session[name], exported[name])
      assert.equal(typeof Reflect.get(theirs, name), 'function')
    }
  })

  it('can be extended, as a class and in the manner of old', (t) => {
    class Modern extends session.Store {
      get(): void {}
      set(): void {}
      destroy(): void {}
    }
    function Old(this: object): void {
      Reflect.apply(session.Store, this, [])
    }
    inherits(Old, session.Store)
    for (const store of [new Modern(), Reflect.construct(Old, []) as InstanceType<typeof session.Store>]) {
      assert.ok(store instanceof session.Store)
      const heard = t.mock.fn()
      store.on('connect', heard)
      store.emit('connect')
      assert.equal(heard.mock.callCount(), 1)
      assert.equal(typeof store.createSession, 'function')
    }
  })

  it('has methods that answer with promises', async (t) => {
    const browser = await site(t, { store: new Place().store }, (app) => {
      app.get('/', async (req, res) => {
        const at = req as unknown as {
          session: InstanceType<typeof session.Session> & Record<string, unknown>
        }
        const { id } = at.session
        at.session['a'] = 1
        await at.session.save()
        at.session['a'] = 2
        await at.session.reload()
        const { a } = at.session
        await at.session.regenerate()
        const isNew = at.session.id !== id
        await at.session.save()
        await at.session.destroy()
        res.json([a, isNew, (at.session as unknown) ?? null])
      })
      app.get('/missing', async (req, res) => {
        const at = req as unknown as { session: InstanceType<typeof session.Session> }
        const error = await at.session.reload().catch((cause: unknown) => cause)
        res.json((error as Error).message)
      })
    })
    assert.deepEqual(await browser.json('/'), [1, true, null])
    assert.equal(await browser.json('/missing'), 'failed to load session')
  })
})

describe('the settings of holdfast/express', () => {
  it('are refused as express-session refuses them', () => {
    const bad = [{ genid: 'x' }, { unset: 'x' }, { secret: [] }]
    for (const library of [session as unknown as Library, theirs]) {
      for (const options of bad) {
        const all = { secret: 'x', resave: false, saveUninitialized: false, ...options }
        assert.throws(() => library(all as never), TypeError)
      }
    }
  })

  it('may be null, as may what express-session takes for none', () => {
    assert.equal(typeof session(null), 'function')
    assert.equal(typeof theirs(null as never), 'function')
  })

  it('are refused where they cannot be honoured', () => {
    const store = makeStore(session as unknown as Library) as CallbackStore
    for (const options of [{ user: () => 'ada' }, { idle: '1h' as const }, { touchEvery: 0.5 }]) {
      assert.throws(() => sessions({ store, ...options }), { code: 'HOLDFAST_INVALID_OPTION' })
    }
    const keyed = new KeyedSessions(new Place().store)
    assert.throws(() => sessions({ store: keyed, user: () => 'ada' }), { code: 'HOLDFAST_INVALID_OPTION' })
    assert.throws(() => sessions({ touchEvery: 2 }), { code: 'HOLDFAST_INVALID_OPTION' })
    assert.throws(() => sessions({ idle: 0 }), { code: 'HOLDFAST_INVALID_OPTION' })
  })

  it('can be `KeyedSessions` for a store', async (t) => {
    const keyed = new KeyedSessions(new Place().store)
    const browser = await site(t, { store: keyed })
    await browser.get('/set?a=1')
    assert.deepEqual(await browser.json('/show'), { a: '1' })
    assert.equal((await keyed.list()).sessions.length, 1)
  })

  it('say whether a route goes on without a session while the store is disconnected', async (t) => {
    for (const [outage, expected] of [
      ['fail', 503],
      ['continue', 200],
    ] as const) {
      const store = makeStore(session as unknown as Library)
      const browser = await site(t, { store, outage }, (app) => {
        app.get('/', (req, res) => void res.send(typeof values(req)))
      })
      store.emit('disconnect')
      assert.equal((await browser.get('/')).status, expected)
      store.emit('connect')
      assert.equal((await browser.get('/')).text, 'object')
    }
  })
})

describe('the setting `outage` with a Holdfast store', () => {
  it('lets a route go on without a session, and nobody is logged out by it', async (t) => {
    const place = new Place()
    const options = { store: place.store, outage: 'continue', unset: 'destroy', rolling: true } as const
    const browser = await site(t, options, (app) => {
      usual(app)
      app.get('/public', (req, res) => void res.send(typeof values(req)))
    })
    await browser.get('/set?user=ada')
    place.plan = () => 'fail'
    const { text, headers } = await browser.get('/public')
    assert.deepEqual([text, headers.getSetCookie()], ['undefined', []])
    place.plan = () => undefined
    assert.deepEqual(await browser.json('/show'), { user: 'ada' })
  })
})

describe('the change from express-session and back', () => {
  it('logs nobody out: the cookie and the store are the same', async (t) => {
    for (const secret of ['keyboard cat', ['keyboard cat', 'older']]) {
      const options = { secret, resave: false, saveUninitialized: false }
      const store = makeStore(theirs)
      const before = appOf(theirs({ ...options, store }))
      const after = appOf(session({ ...options, store }))
      const there = new Browser(await serve(t, before))
      await there.get('/set?a=1')
      const here = there.tab(await serve(t, after))
      assert.deepEqual(await here.json('/show'), { a: '1' })
      await here.get('/set?b=2')
      const back = here.tab(await serve(t, before))
      assert.deepEqual(await back.json('/show'), { a: '1', b: '2' })
      const fresh = new Browser(await serve(t, after))
      await fresh.get('/set?c=3')
      assert.deepEqual(await fresh.tab(await serve(t, before)).json('/show'), { c: '3' })
    }
  })

  it('takes an older secret, and signs with the newest', async (t) => {
    const store = makeStore(theirs)
    const options = { resave: false, saveUninitialized: false, store }
    const there = new Browser(await serve(t, appOf(theirs({ ...options, secret: 'older' }))))
    await there.get('/set?a=1')
    const both = there.tab(
      await serve(t, appOf(session({ ...options, secret: ['newer', 'older'], rolling: true }))),
    )
    assert.deepEqual(await both.json('/show'), { a: '1' })
    assert.notEqual(both.cookies.get('connect.sid'), there.cookies.get('connect.sid'))
    const newer = both.tab(await serve(t, appOf(session({ ...options, secret: 'newer' }))))
    assert.deepEqual(await newer.json('/show'), { a: '1' })
  })
})

/** An application with a middleware of either library. */
function appOf(middleware: unknown): Express {
  return appWith(middleware as RequestHandler, usual)
}
