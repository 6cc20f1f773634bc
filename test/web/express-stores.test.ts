/** The drop-in over the stores of other packages, and over every kind of store of our own. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import connectPgSimple from 'connect-pg-simple'
import theirs from 'express-session'
import session from 'holdfast/express'
import { Pool } from 'pg'
import sessionFileStore from 'session-file-store'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeyedSessions } from '../../packages/holdfast/src/sessions/keyed.ts'
import { freshSchema, oldKinds, postgresUrl } from '../migration/old-places.ts'
import { openRoom, sharedPlaces } from '../stores/places.ts'
import { makeStore } from './express/map-store.ts'
import { type Library, play, type Scenario } from './express/playing.ts'
import { appWith, Browser, serve, values } from './express/site.ts'

const ours = session as unknown as Library

/** Some of what each store is asked. */
const scenarios: readonly Scenario[] = [
  { name: 'values', steps: ['/set?a=1', '/nested', '/nested', '/unset/a', '/show'] },
  {
    name: 'maxAge',
    options: { cookie: { maxAge: 60_000 } },
    steps: ['/set?a=1', '/cookie', '/set?b=1', '/cookie'],
  },
  {
    name: 'rolling',
    options: { rolling: true, cookie: { maxAge: 60_000 } },
    steps: ['/set?a=1', '/nothing', '/show'],
  },
  { name: 'regenerate', steps: ['/set?a=1', '/regenerate', '/show'] },
  { name: 'reload', steps: ['/set?a=1', '/reload', '/show'] },
  { name: 'destroy', steps: ['/set?a=1', '/destroy', '/show', '/set?b=1', '/show'] },
  { name: 'unset', options: { unset: 'destroy' }, steps: ['/set?a=1', '/delete', '/show'] },
  {
    name: 'resave',
    options: { resave: true, saveUninitialized: true },
    steps: ['/nothing', '/show', '/redirect', '/show'],
  },
]

// Two of them are the same store, read in another way.
for (const { name, skip, open } of oldKinds.filter((kind) => !kind.name.includes('read by'))) {
  describe(`over ${name}`, { skip }, () => {
    for (const scenario of scenarios) {
      it(`${scenario.name}: as express-session does`, async (t) => {
        const [before, after] = [await open(t), await open(t)]
        const expected = await play(scenario, theirs, () => before.store)
        assert.deepEqual(await play(scenario, ours, () => after.store), expected)
      })
    }
  })
}

describe('over stores that are made for express-session', () => {
  it('and hold what is no session: reload fails, and load finds nothing', async (t) => {
    const store = makeStore(ours)
    const app = appWith({ store }, (routes) => {
      routes.get('/set', (req, res) => {
        values(req)['a'] = 1
        res.send('set')
      })
      routes.get('/spoilt', (req, res, next) => {
        store.set(req.sessionID, { a: 1 } as never, () => {
          req.session.reload((error: Error) => {
            store.load(req.sessionID, (failure, found) => {
              if (failure) next(failure)
              else res.json([error.message, typeof found])
            })
          })
        })
      })
    })
    const browser = new Browser(await serve(t, app))
    await browser.get('/set')
    assert.deepEqual(await browser.json('/spoilt'), ['failed to load session', 'undefined'])
  })

  it('with a createSession of their own: what it adds is there, and methods answer with promises', async (t) => {
    const store = makeStore(theirs)
    const createSession = store.createSession.bind(store)
    store.createSession = (req, data) => Object.assign(createSession(req, data), { helper: 'of the store' })
    const app = appWith({ store, secret: 'x', cookie: { maxAge: 60_000 } }, (routes) => {
      routes.get('/set', (req, res) => {
        values(req)['a'] = 1
        res.send('set')
      })
      routes.get('/show', async (req, res) => {
        const { session: found } = req as unknown as { session: InstanceType<typeof session.Session> }
        await found.save()
        const { originalMaxAge, maxAge } = found.cookie
        const { helper, a } = values(req)
        res.json([found instanceof session.Session, helper, a, originalMaxAge, maxAge! > 0])
      })
    })
    const browser = new Browser(await serve(t, app))
    await browser.get('/set')
    assert.deepEqual(await browser.json('/show'), [true, 'of the store', 1, 60_000, true])
  })
})

describe('over stores that are made for the library they are given', () => {
  it('session-file-store', async (t) => {
    const path = await mkdtemp(join(tmpdir(), 'holdfast-files-'))
    t.after(() => rm(path, { recursive: true, force: true }))
    for (const scenario of scenarios) {
      const make = (library: Library) => () =>
        new (sessionFileStore(library))({ path, reapInterval: -1, retries: 0, logFn: () => undefined })
      assert.deepEqual(await play(scenario, ours, make(ours)), await play(scenario, theirs, make(theirs)))
    }
  })

  it('connect-pg-simple', { skip: postgresUrl === '' && 'HOLDFAST_TEST_POSTGRES is not set' }, async (t) => {
    const pool = new Pool({ connectionString: postgresUrl, max: 2 })
    const schemaName = await freshSchema(t, pool)
    for (const scenario of scenarios) {
      const make = (library: Library) => () =>
        new (connectPgSimple(library))({
          pool,
          schemaName,
          createTableIfMissing: true,
          pruneSessionInterval: false,
        })
      assert.deepEqual(await play(scenario, ours, make(ours)), await play(scenario, theirs, make(theirs)))
    }
  })
})

for (const place of sharedPlaces) {
  describe(`over ${place.name}, by two servers`, { skip: place.skip }, () => {
    it('20 requests at once keep their changes, and a logout with a write in flight stays one', async (t) => {
      const room = await place.room()
      const first = await openRoom(room)
      const { capabilities } = await first.open()
      // FerretDB has to be used by one process alone.
      const stores = [first, capabilities.shared ? await openRoom(room) : first]
      t.after(async () => {
        for (const store of new Set(stores)) await store.close()
        await room.remove()
      })
      const { promise: loggedOut, resolve: goOn } = Promise.withResolvers<undefined>()
      const arrived = Promise.withResolvers<undefined>()
      const sites = stores.map((store) =>
        appWith({ store }, (app) => {
          app.get('/set/:name', (req, res) => {
            values(req)[req.params.name] = 1
            res.send('set')
          })
          app.get('/slow', async (req, res) => {
            values(req)['late'] = 1
            arrived.resolve(undefined)
            await loggedOut
            res.send('late')
          })
          app.get('/names', (req, res) => void res.json(Object.keys(req.session)))
          app.get('/logout', async (req, res) => {
            await (req.session.destroy as unknown as () => Promise<void>).call(req.session)
            res.send('out')
          })
        }),
      )
      const browsers: Browser[] = []
      for (const each of sites) browsers.push(new Browser(await serve(t, each)))
      const [here, there] = browsers as [Browser, Browser]
      await here.get('/set/first')
      const follow = (): void => {
        for (const [name, value] of here.cookies) there.cookies.set(name, value)
      }
      follow()
      const names = Array.from({ length: 20 }, (_, i) => `k${String(i)}`)
      await Promise.all(names.map((name, i) => (i % 2 === 0 ? here : there).tab().get(`/set/${name}`)))
      const kept = (await here.json('/names')) as string[]
      assert.deepEqual(kept.sort(), ['cookie', 'first', ...names].sort())
      const late = there.tab().get('/slow')
      await arrived.promise
      assert.equal((await here.get('/logout')).text, 'out')
      goOn(undefined)
      assert.equal((await late).status, 200)
      for (const browser of browsers) assert.deepEqual(await browser.json('/names'), ['cookie'])
      if (capabilities.listing !== 'complete') return
      for (const store of stores) assert.equal((await new KeyedSessions(store).list()).sessions.length, 0)
    })
  })
}
