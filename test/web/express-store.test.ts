import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import express from 'express'
import session from 'express-session'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { openStore } from '../../packages/holdfast/src/store/open.ts'
import { type ExpressStoreOptions, holdfastStore } from '../../packages/holdfast/src/web/express-store.ts'
import { type App, kinds } from './express-store-apps.ts'
import { freshNamespace } from '../drivers/redis/targets.ts'
import { opened, stores } from './opened-stores.ts'
import { Browser, serve } from './express/site.ts'

/** Sets one key each: all have read the session before any stores it, half of them one by one, and then all at once. */
async function manyAtOnce(app: App): Promise<void> {
  const ada = app.visitor()
  await ada.call('/set/first/1')
  const names = Array.from({ length: 20 }, (_, i) => `k${i}`)
  const gates = names.map(() => app.gate())
  const answers = names.map((name) => ada.tab().call(`/slow/${name}/${name}`))
  for (const { arrived } of gates) await arrived
  for (const [i, gate] of gates.entries()) {
    gate.open()
    if (i < 10) await Promise.any(answers.slice(i))
  }
  for (const answer of answers) assert.equal((await answer).status, 200)
  const { body } = await ada.call('/get')
  assert.deepEqual(body, { first: '1', ...Object.fromEntries(names.map((name) => [name, name])) })
}

/** Logs out while another request of the same session is at work. */
async function logoutMeanwhile(app: App): Promise<void> {
  const ada = app.visitor()
  await ada.call('/set/user/ada')
  const slow = ada.tab()
  const before = slow.sid
  const gate = app.gate()
  const late = slow.call('/slow/note/late')
  await gate.arrived
  await ada.tab().call('/logout')
  gate.open()
  assert.deepEqual([(await late).status, app.failures], [200, []])
  const { body } = await slow.call('/get')
  assert.deepEqual(body, {})
  assert.ok(before)
}

for (const { name, start } of kinds) {
  for (const [server, url] of stores) {
    const skip = url ? false : `the URL of ${server} is not set: run this by \`npm test\``
    describe(`the store under ${name}, over ${server}`, { skip }, () => {
      it('keeps the key of each of 20 parallel requests', async (t) => {
        await manyAtOnce(await start(t, holdfastStore(await opened(t, url!))))
      })

      it('stays logged out after a logout with a write in flight', async (t) => {
        const store = holdfastStore(await opened(t, url!))
        const app = await start(t, store)
        await logoutMeanwhile(app)
      })
    })
  }

  describe(`the store under ${name}`, () => {
    async function over(t: TestContext, options?: ExpressStoreOptions, settings?: object) {
      const store = memoryStore()
      t.after(() => store.close())
      const under = holdfastStore(store, options)
      return { store, under, app: await start(t, under, settings) }
    }

    it('stores what was deleted and what was changed inside', async (t) => {
      const { app } = await over(t)
      const ada = app.visitor()
      await ada.call('/set/a/1')
      await ada.call('/set/nested/x')
      await ada.call('/set/b/2')
      const slow = ada.tab()
      const gate = app.gate()
      const late = slow.call('/slow/c/3')
      await gate.arrived
      await ada.tab().call('/delete/a')
      gate.open()
      await late
      assert.deepEqual((await ada.call('/get')).body, { nested: 'x', b: '2', c: '3' })
    })

    it('shows the application nothing of its own but what JSON leaves out', async (t) => {
      const { app, store } = await over(t)
      const ada = app.visitor()
      await ada.call('/set/a/1')
      const { body } = await ada.call('/keys')
      const keys = (body as unknown as string[]).filter((key) => key !== '~holdfast')
      assert.deepEqual(keys.sort(), ['a', 'cookie'])
      if (name === 'express-session') assert.equal((body as unknown as string[]).length, 2)
      await ada.call('/set/b/1')
      const [record] = (await store.list('sessions')).records
      assert.doesNotMatch(Buffer.from(record!.value).toString(), /~holdfast/)
    })

    it('keeps nobody logged in under the id from before a login', async (t) => {
      const { app } = await over(t)
      const ada = app.visitor()
      await ada.call('/set/cart/1')
      const before = ada.tab()
      const gate = app.gate()
      const late = before.tab().call('/slow/cart/2')
      await gate.arrived
      await ada.call('/login/ada')
      gate.open()
      await late
      assert.notEqual(ada.sid, before.sid)
      assert.deepEqual((await ada.call('/get')).body, { user: 'ada' })
      assert.deepEqual((await before.call('/get')).body, {})
    })

    it('lists and ends the sessions of a user', async (t) => {
      const userOf = ({ user }: Record<string, unknown>) => (typeof user === 'string' ? user : undefined)
      const { app, under } = await over(t, { userOf })
      const [one, two, eve] = [app.visitor(), app.visitor(), app.visitor()]
      await one.call('/login/ada')
      await two.call('/login/ada')
      await eve.call('/login/eve')
      const { sessions } = await under.sessions.list({ user: 'ada' })
      assert.equal(sessions.length, 2)
      assert.equal(await under.sessions.revoke({ user: 'ada' }), 2)
      assert.deepEqual((await one.call('/get')).body, {})
      assert.deepEqual((await eve.call('/get')).body, { user: 'eve' })
    })

    it('says who asks that a session was gone, and tells the library where it is told to', async (t) => {
      for (const gone of ['ignore', 'fail'] as const) {
        const { app, under } = await over(t, { gone })
        const told = once(under, 'gone')
        const ada = app.visitor()
        await ada.call('/set/a/1')
        const { sid } = ada
        const gate = app.gate()
        const late = ada
          .tab()
          .call('/slow/b/2')
          .catch(() => undefined)
        await gate.arrived
        await ada.tab().call('/logout')
        gate.open()
        await late
        if (gone === 'ignore') assert.deepEqual(await told, [under.sessions.idOf(sid)])
        else assert.match(String(app.failures[0]), /SessionGone/)
      }
    })

    it('prolongs a session that is used and not changed', async (t) => {
      const { app, under } = await over(t, {}, { rolling: true, cookie: { maxAge: 4_000, secure: false } })
      const ada = app.visitor()
      await ada.call('/set/a/1')
      const ends = async () => (await under.sessions.read(ada.sid))?.expiresAt ?? 0
      const first = await ends()
      await new Promise((resolve) => setTimeout(resolve, 600))
      await ada.call('/get')
      assert.ok((await ends()) > first + 300)
    })

    it('writes nothing for what is only read', async (t) => {
      const { app, store } = await over(t, {}, { cookie: { maxAge: 600_000, secure: false } })
      const ada = app.visitor()
      await ada.call('/set/a/1')
      const version = async () => (await store.list('sessions')).records[0]?.version
      const first = await version()
      for (let i = 0; i < 3; i++) await ada.call('/get')
      assert.equal(await version(), first)
      await ada.call('/set/a/2')
      assert.notEqual(await version(), first)
    })

    it('fails the request where the store fails', async (t) => {
      const { app, store } = await over(t)
      const ada = app.visitor()
      await ada.call('/set/a/1')
      await store.close()
      assert.equal((await ada.call('/get')).status, 500)
      assert.match(String(app.failures[0]), /StoreClosed/)
    })
  })
}

describe('the store for express-session', () => {
  function made(t: TestContext, options?: ExpressStoreOptions) {
    const store = memoryStore()
    t.after(() => store.close())
    return holdfastStore(store, options)
  }

  it('is a Store of the session that it is given', (t) => {
    const store = made(t, { session })
    assert.ok(store instanceof session.Store)
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- that it fits is what is tested
    const typed: session.Store = store
    assert.equal(typed, store)
    assert.equal(made(t) instanceof session.Store, false)
  })

  it('prolongs the session of somebody whose cookie is made anew in each request', async (t) => {
    const store = made(t, { session })
    const app = express()
    const options = { secret: 'x', resave: false, saveUninitialized: false, rolling: true }
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- It has all that a Store has.
    app.use(session({ ...options, store }))
    app.get('/{:minutes}', (req, res) => {
      const maxAge = Number(req.params['minutes'] ?? 1) * 60_000
      const { Cookie } = session as unknown as { Cookie: new (given: object) => session.Cookie }
      Object.assign(req.session, { user: 'ada', cookie: new Cookie({ maxAge }) })
      res.send(req.sessionID)
    })
    const browser = new Browser(await serve(t, app))
    const { text: sid } = await browser.get('/1')
    for (const minutes of [5, 60]) {
      await browser.get(`/${String(minutes)}`)
      const left = (await store.sessions.read(sid))!.expiresAt - Date.now()
      assert.ok(left > (minutes - 1) * 60_000, `${String(left)} ms are left of ${String(minutes)} minutes`)
    }
  })

  it('says nothing to the library of a session that was gone when only its cookie was changed', async (t) => {
    const store = made(t, { session })
    const told = once(store, 'gone')
    const failures: unknown[] = []
    const app = express()
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- It has all that a Store has.
    app.use(session({ secret: 'x', resave: false, saveUninitialized: false, store }))
    app.get('/login', (req, res) => {
      Object.assign(req.session, { user: 'ada' })
      res.send(req.sessionID)
    })
    app.get('/cookie', async (req, res) => {
      await store.sessions.destroy(req.sessionID)
      req.session.cookie.sameSite = 'lax'
      res.send('done')
    })
    app.use((error: unknown, _: express.Request, res: express.Response, next: express.NextFunction) => {
      failures.push(error)
      next(error)
    })
    const browser = new Browser(await serve(t, app))
    const { text: sid } = await browser.get('/login')
    const { text } = await browser.get('/cookie')
    assert.deepEqual([text, failures], ['done', []])
    assert.deepEqual(await told, [store.sessions.idOf(sid)])
  })

  it('ends a session that is stored as ended, also by who has not read it', async (t) => {
    const store = made(t)
    const cookie = (life: number) => ({ originalMaxAge: 60_000, expires: new Date(Date.now() + life) })
    const set = (life: number) =>
      new Promise((resolve) => {
        store.set('one', { cookie: cookie(life), user: 'ada' }, resolve)
      })
    assert.equal(await set(60_000), undefined)
    assert.equal((await store.sessions.read('one'))?.data['user'], 'ada')
    assert.equal(await set(-60_000), undefined)
    assert.equal(await store.sessions.read('one'), undefined)
  })

  it('takes sessions that were made elsewhere, and no options of theirs', (t) => {
    const { sessions } = made(t)
    assert.equal(holdfastStore(sessions, { session }).sessions, sessions)
    assert.throws(() => holdfastStore(sessions, { retention: '1h', userOf: () => 'ada' }), {
      name: 'InvalidOption',
      message: /give retention, userOf to the KeyedSessions/,
    })
  })

  it('keeps the keys of all requests over that, too', async (t) => {
    const app = await kinds[0]!.start(t, made(t, { session }))
    await manyAtOnce(app)
    await logoutMeanwhile(app)
  })

  it('gives all sessions, their number, and an end to all', async (t) => {
    const store = made(t, { session })
    const app = await kinds[0]!.start(t, store)
    await app.visitor().call('/set/a/1')
    await app.visitor().call('/set/a/2')
    const asked = <T>(ask: (done: (error: unknown, value?: T) => void) => void) =>
      new Promise<T | undefined>((resolve, reject) => {
        ask((error, value) => {
          if (error instanceof Error) reject(error)
          else resolve(value)
        })
      })
    assert.equal(await asked((done) => store.length(done)), 2)
    const all = await asked<readonly { a?: string }[]>((done) => store.all(done))
    assert.deepEqual(all?.map((each) => each.a).sort(), ['1', '2'])
    await asked((done) => store.clear(done))
    assert.equal(await asked((done) => store.length(done)), 0)
  })

  it('knows the origin of no other session by what was copied to it', async (t) => {
    const store = made(t, { session })
    await kinds[0]!.start(t, store)
    const data = (values: object) => ({ cookie: { originalMaxAge: null }, ...values })
    const set = (sid: string, values: object) =>
      new Promise((resolve, reject) => {
        store.set(sid, values, (error) => (error instanceof Error ? reject(error) : resolve(undefined)))
      })
    const get = (sid: string) =>
      new Promise<object>((resolve) => store.get(sid, (_, found) => resolve(found!)))
    await set('one', data({ a: 1, b: 2 }))
    // As Passport does with keepSessionInfo: all of one session, its cookie too, to another.
    const copy = { ...(await get('one')) }
    await set('two', copy)
    assert.deepEqual(Object.keys(await get('two')).sort(), ['a', 'b', 'cookie'])
  })

  const memcached = process.env['HOLDFAST_TEST_MEMCACHED']
  const skip = memcached ? false : 'HOLDFAST_TEST_MEMCACHED is not set: run this by `npm test`'
  it('refuses what may miss sessions where the store cannot list', { skip }, async (t) => {
    const below = await openStore(memcached!, { namespace: freshNamespace() })
    t.after(() => below.close())
    const store = holdfastStore(below, { session })
    const app = await kinds[0]!.start(t, store)
    const ada = app.visitor()
    await ada.call('/set/a/1')
    assert.deepEqual((await ada.call('/get')).body, { a: '1' })
    for (const ask of ['all', 'length', 'clear'] as const) {
      const error = await new Promise((resolve) => {
        store[ask](resolve)
      })
      assert.match(String(error), /NotSupported.*can't list all sessions/, ask)
    }
  })
})
