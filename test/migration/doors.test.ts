import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import fastifyCookie from '@fastify/cookie'
import fastifySession, { type FastifySessionOptions } from '@fastify/session'
import express, { type RequestHandler } from 'express'
import theirs from 'express-session'
import { fastify } from 'fastify'
import type { OldSessionReader } from '../../packages/holdfast/src/sessions/keyed.ts'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { sessionFileStoreSessions } from '../../packages/holdfast/src/migration/index.ts'
import { session as ours } from '../../packages/holdfast/src/web/express.ts'
import { holdfastStore } from '../../packages/holdfast/src/web/express-store.ts'
import { filePlace } from './old-places.ts'

const settings = { secret: 'a secret', resave: false, saveUninitialized: false, cookie: { maxAge: 600_000 } }

/** An application that counts visits, and logs out. */
async function started(t: TestContext, middleware: RequestHandler): Promise<string> {
  const app = express()
  app.use(middleware)
  app.get('/visit', (req, res) => {
    const values = req.session as unknown as { visits?: number }
    values.visits = (values.visits ?? 0) + 1
    res.json(values.visits)
  })
  app.get('/logout', (req, res, next) => {
    req.session.destroy((error: unknown) => {
      if (error) next(error)
      else res.json('out')
    })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The first visit: the cookie that it gave. The whole answer is awaited: express-session begins it before it saves. */
async function cookieOf(address: string): Promise<string> {
  const response = await fetch(`${address}/visit`)
  assert.equal(await response.json(), 1)
  return response.headers.getSetCookie()[0]!.split(';')[0]!
}

async function called(url: string, cookie: string): Promise<unknown> {
  const response = await fetch(url, { headers: { cookie } })
  return await response.json()
}

const doors: Readonly<Record<string, (t: TestContext, old: OldSessionReader) => RequestHandler>> = {
  'holdfast/express': (t, old) => {
    const store = memoryStore()
    t.after(() => store.close())
    return ours({ ...settings, store, old })
  },
  'express-session over holdfast/express-store': (t, old) => {
    const store = memoryStore()
    t.after(() => store.close())
    const under = holdfastStore(store, { session: theirs, old })
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- it is made of that class
    return theirs({ ...settings, store: under })
  },
}

for (const [name, door] of Object.entries(doors)) {
  describe(`from session-file-store to ${name}`, () => {
    it('nobody is logged out by the change, and who logs out stays so', async (t) => {
      const { path, store } = await filePlace(t)
      const before = await started(t, theirs({ ...settings, store }))
      const cookie = await cookieOf(before)
      const visit = (address: string): Promise<unknown> => called(`${address}/visit`, cookie)
      assert.equal(await visit(before), 2)
      const [file] = await readdir(path)
      const backup = join(path, '..', 'backup')
      await copyFile(join(path, file!), backup)

      const after = await started(t, door(t, sessionFileStoreSessions(path)))
      assert.deepEqual([await visit(after), await visit(after)], [3, 4])
      assert.deepEqual(await readdir(path), [])
      assert.equal(await called(`${after}/logout`, cookie), 'out')
      await copyFile(backup, join(path, file!))
      assert.equal(await visit(after), 1)
    })

    it('a logout is the first thing that one does', async (t) => {
      const { path, store } = await filePlace(t)
      const before = await started(t, theirs({ ...settings, store }))
      const cookie = await cookieOf(before)
      const after = await started(t, door(t, sessionFileStoreSessions(path)))
      assert.equal(await called(`${after}/logout`, cookie), 'out')
      assert.deepEqual(await readdir(path), [])
      assert.equal(await called(`${after}/visit`, cookie), 1)
    })

    it('an old store that is away is an error, and no logout', async (t) => {
      const { path, store } = await filePlace(t)
      const before = await started(t, theirs({ ...settings, store }))
      const cookie = await cookieOf(before)
      t.mock.method(console, 'error', () => undefined)
      const after = await started(t, door(t, sessionFileStoreSessions(join(path, 'unmounted'))))
      const answer = await fetch(`${after}/visit`, { headers: { cookie } })
      assert.ok(answer.status >= 500, String(answer.status))
      assert.deepEqual(answer.headers.getSetCookie(), [])
      await answer.text()
    })
  })
}

it('a session that never ends there shows when its cookie ends', async (t) => {
  const expires = new Date(Date.now() - 1_000)
  const row = { data: { user: 'ada' }, cookie: { originalMaxAge: 60_000, expires: String(expires) } }
  const old = {
    description: 'connect-redis with disableTTL',
    read: () => Promise.resolve({ ...row, expiresAt: never }),
    remove: () => Promise.resolve(),
  }
  const below = memoryStore()
  t.after(() => below.close())
  const store = holdfastStore(below, { session: theirs, old })
  const shown = await new Promise<{ cookie: { expires: Date } }>((resolve) => {
    store.get('sid', (_, found) => {
      resolve(found!)
    })
  })
  const left = shown.cookie.expires.valueOf() - Date.now()
  assert.ok(left > 0 && left <= 60_000, String(left))
})

describe('from session-file-store to @fastify/session over holdfast/express-store', () => {
  async function site(t: TestContext, store: unknown) {
    const app = fastify()
    t.after(() => app.close())
    await app.register(fastifyCookie)
    await app.register(fastifySession, {
      store: store as NonNullable<FastifySessionOptions['store']>,
      secret: 'a secret with at least 32 characters',
      cookie: { maxAge: 6_000_000, secure: false },
      saveUninitialized: false,
    })
    app.get('/login', (request) => Object.assign(request.session, { user: 'ada' }).user)
    app.get('/user', (request) => ({ user: (request.session as { user?: string }).user ?? 'nobody' }))
    return app
  }

  it('nobody is logged out who comes in the last tenth of a session', async (t) => {
    const { path, store } = await filePlace(t)
    const login = await (await site(t, store)).inject('/login')
    const [{ name, value } = { name: '', value: '' }] = login.cookies
    const file = join(path, (await readdir(path))[0]!)
    const row = JSON.parse(await readFile(file, 'utf8')) as { __lastAccess: number; cookie: object }
    // So long ago was its last use.
    const left = 500_000
    const expires = new Date(Date.now() + left)
    const aged = { ...row, __lastAccess: Date.now() + left - 6_000_000, cookie: { ...row.cookie, expires } }
    await writeFile(file, JSON.stringify(aged))

    const below = memoryStore()
    t.after(() => below.close())
    const after = await site(t, holdfastStore(below, { old: sessionFileStoreSessions(path) }))
    for (let i = 0; i < 2; i++) {
      const { body } = await after.inject({ url: '/user', cookies: { [name]: value } })
      assert.equal(body, '{"user":"ada"}')
    }
  })
})
