import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { it, type TestContext } from 'node:test'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import { Strategy } from 'passport-local'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { holdfastStore } from '../../packages/holdfast/src/web/express-store.ts'

/** An application of express-session and Passport, with a cart that survives the login. */
async function started(t: TestContext) {
  const below = memoryStore()
  t.after(() => below.close())
  const store = holdfastStore(below, {
    session,
    userOf: ({ passport: login }) => (login as { user?: string } | undefined)?.user,
  })
  const authenticator = new passport.Passport()
  authenticator.use(new Strategy((name, password, done) => done(null, password === 'x' && { name })))
  authenticator.serializeUser((user, done) => done(null, (user as { name: string }).name))
  authenticator.deserializeUser((name: string, done) => done(null, { name }))
  const app = express()
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- it is made of that class
  app.use(session({ secret: 'a secret', resave: false, saveUninitialized: false, store }))
  app.use(authenticator.session() as express.RequestHandler)
  const json: express.RequestHandler = (req, res) => {
    const { cart } = req.session as unknown as { cart?: string }
    res.json([(req.user as { name?: string } | undefined)?.name ?? null, cart ?? null])
  }
  app.get('/cart', (req, _, next) => {
    Object.assign(req.session, { cart: 'full' })
    next()
  })
  const login = authenticator.authenticate('local', { keepSessionInfo: true }) as express.RequestHandler
  app.post('/login', express.urlencoded(), login)
  app.get('/logout', (req, _, next) => {
    req.logout({ keepSessionInfo: true }, next)
  })
  app.use(json)
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { store, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

it('Passport logs in and out over the store, keeping the cart and no old id', async (t) => {
  const { store, url } = await started(t)
  let cookie = ''
  const call = async (path: string, form?: Record<string, string>, as = cookie): Promise<unknown> => {
    const init = form ? { method: 'POST', body: new URLSearchParams(form) } : {}
    const response = await fetch(url + path, { ...init, headers: { cookie: as } })
    const [set] = response.headers.getSetCookie()
    if (set) cookie = set.split(';')[0] ?? ''
    return response.headers.get('content-type')?.includes('json') ? await response.json() : response.status
  }
  assert.deepEqual(await call('/cart'), [null, 'full'])
  const before = cookie
  assert.equal(await call('/login', { username: 'ada', password: 'wrong' }), 401)
  assert.deepEqual(await call('/login', { username: 'ada', password: 'x' }), ['ada', 'full'])
  assert.notEqual(cookie, before)
  assert.deepEqual(await call('/'), ['ada', 'full'])
  const during = cookie
  assert.deepEqual(await call('/', undefined, before), [null, null])
  assert.equal((await store.sessions.list({ user: 'ada' })).sessions.length, 1)
  cookie = during
  assert.deepEqual(await call('/logout'), [null, 'full'])
  assert.deepEqual(await call('/'), [null, 'full'])
  assert.deepEqual(await call('/', undefined, during), [null, null])
  assert.equal((await store.sessions.list({ user: 'ada' })).sessions.length, 0)
})
