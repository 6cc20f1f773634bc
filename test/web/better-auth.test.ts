import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { openStore } from '../../packages/holdfast/src/store/open.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { betterAuthStorage } from '../../packages/holdfast/src/web/better-auth.ts'
import { freshNamespace } from '../drivers/redis/targets.ts'
import { holding } from './holding-store.ts'
import { opened, stores } from './opened-stores.ts'

const tokenOf = (n: number): string => `${n}`.padStart(32, 'a')
const sessionOf = (token: string, more: object = {}): string =>
  JSON.stringify({ session: { token, userId: 'ada', ...more }, user: { id: 'ada' } })

/** better-auth with users in memory, and its sessions in the store. */
function application(store: Store, options: object = {}) {
  const storage = betterAuthStorage(store)
  const tables: Record<string, Record<string, unknown>[]> = {
    ...{ user: [], account: [], session: [], verification: [] },
  }
  const auth = betterAuth({
    baseURL: 'http://localhost:3000',
    secret: 'a secret that is long enough for anyone',
    database: memoryAdapter(tables),
    secondaryStorage: storage,
    emailAndPassword: {
      enabled: true,
      // Hashing as it should be takes longer than all else here.
      password: {
        hash: (password) => Promise.resolve(`hashed ${password}`),
        verify: ({ hash, password }) => Promise.resolve(hash === `hashed ${password}`),
      },
    },
    rateLimit: { enabled: false },
    logger: { disabled: true },
    telemetry: { enabled: false },
    ...options,
  })
  return { auth, storage, tables }
}

type Auth = ReturnType<typeof application>['auth']

/** A browser. */
class Browser {
  readonly #auth: Auth
  #cookie = ''

  constructor(auth: Auth) {
    this.#auth = auth
  }

  async call(path: string, body?: object): Promise<{ status: number; body: Record<string, unknown> | null }> {
    const request = new Request(`http://localhost:3000/api/auth${path}`, {
      method: body ? 'POST' : 'GET',
      headers: {
        cookie: this.#cookie,
        origin: 'http://localhost:3000',
        'content-type': 'application/json',
        'x-forwarded-for': '192.0.2.7',
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const response = await this.#auth.handler(request)
    for (const set of response.headers.getSetCookie()) this.#cookie = set.split(';')[0] ?? ''
    const text = await response.text()
    const parsed: unknown = text ? JSON.parse(text) : null
    return { status: response.status, body: parsed as Record<string, unknown> | null }
  }

  async signIn(): Promise<string> {
    const { status, body } = await this.call('/sign-in/email', { email: 'ada@example.org', password })
    assert.equal(status, 200, JSON.stringify(body))
    return body!['token'] as string
  }

  async user(): Promise<unknown> {
    const { body } = await this.call('/get-session')
    return (body?.['user'] as { email?: string } | undefined)?.email
  }
}

const password = 'correct horse battery staple'

for (const [name, url] of stores) {
  const skip = url ? false : `the URL of ${name} is not set: run this by \`npm test\``
  describe(`the secondary storage of better-auth over ${name}`, { skip }, () => {
    it('keeps texts, each as long as it is to live', async (t) => {
      const storage = betterAuthStorage(await opened(t, url!))
      await storage.set('a', 'x')
      await storage.set('b', '{"y":1}', 2)
      await storage.set('a', 'z')
      assert.deepEqual([await storage.get('a'), await storage.get('b')], ['z', '{"y":1}'])
      assert.equal(await storage.get('c'), null)
      await new Promise((resolve) => setTimeout(resolve, 2_050))
      assert.deepEqual([await storage.get('a'), await storage.get('b')], ['z', null])
      await storage.set('b', 'again', 60)
      await storage.delete('a')
      await storage.delete('nothing')
      assert.deepEqual([await storage.get('a'), await storage.get('b')], [null, 'again'])
      await storage.set('a', 'back', 60)
      assert.equal(await storage.get('a'), 'back')
    })

    it('gives what is taken away to one of many, and counts every one', async (t) => {
      const storage = betterAuthStorage(await opened(t, url!))
      await storage.set('code', 'x', 60)
      const taken = await Promise.all(Array.from({ length: 8 }, () => storage.getAndDelete('code')))
      assert.deepEqual(taken.filter(Boolean), ['x'])
      const counts = await Promise.all(Array.from({ length: 12 }, () => storage.increment('hits', 60)))
      assert.deepEqual(
        counts.sort((a, b) => a - b),
        Array.from({ length: 12 }, (_, i) => i + 1),
      )
      await storage.increment('brief', 2)
      await storage.increment('brief', 60)
      await new Promise((resolve) => setTimeout(resolve, 2_050))
      assert.equal(await storage.increment('brief', 1), 1)
    })

    it('lists the sessions of a user, also when many sign in at once', async (t) => {
      const storage = betterAuthStorage(await opened(t, url!))
      const tokens = Array.from({ length: 10 }, (_, n) => tokenOf(n))
      await Promise.all(tokens.map((token, n) => storage.set(token, sessionOf(token), 60 + n)))
      await storage.set('active-sessions-ada', '[]', 60)
      const list = JSON.parse((await storage.get('active-sessions-ada'))!) as { token: string }[]
      assert.deepEqual(
        list.map(({ token }) => token),
        tokens,
      )
      assert.equal(await storage.get('active-sessions-eve'), null)
      assert.equal(await storage.sessions.revoke({ user: 'ada' }), 10)
      assert.equal(await storage.get(tokens[0]!), null)
    })

    it('brings no session back that was signed out', async (t) => {
      const store = await opened(t, url!)
      const storage = betterAuthStorage(store)
      const [one, two] = [tokenOf(1), tokenOf(2)]
      await storage.set(one, sessionOf(one), 60)
      await storage.delete(one)
      await storage.set(one, sessionOf(one, { late: true }), 60)
      assert.equal(await storage.get(one), null)
      const three = tokenOf(3)
      await storage.set(three, sessionOf(three), 60)
      assert.equal(await storage.getAndDelete(three), sessionOf(three))
      await storage.set(three, sessionOf(three), 60)
      assert.equal(await storage.get(three), null)
      const { held, arrived, open } = holding(store)
      const signingIn = betterAuthStorage(held).set(two, sessionOf(two), 60)
      await arrived
      await storage.delete(two)
      open()
      await signingIn
      assert.equal(await storage.get(two), null)
    })

    it('signs up, in, and out', async (t) => {
      const { auth } = application(await opened(t, url!))
      const [phone, laptop] = [new Browser(auth), new Browser(auth)]
      const signedUp = await phone.call('/sign-up/email', { email: 'ada@example.org', password, name: 'Ada' })
      assert.equal(signedUp.status, 200, JSON.stringify(signedUp.body))
      assert.equal(await phone.user(), 'ada@example.org')
      const token = await laptop.signIn()
      const listed = (await phone.call('/list-sessions')).body as unknown as { token: string }[]
      assert.equal(listed.length, 2)
      assert.equal((await phone.call('/revoke-session', { token })).status, 200)
      assert.deepEqual([await laptop.user(), await phone.user()], [undefined, 'ada@example.org'])
      await Promise.all(Array.from({ length: 6 }, () => new Browser(auth).signIn()))
      const all = (await phone.call('/list-sessions')).body as unknown as unknown[]
      assert.equal(all.length, 7)
      assert.equal((await phone.call('/revoke-other-sessions', {})).status, 200)
      assert.equal(((await phone.call('/list-sessions')).body as unknown as unknown[]).length, 1)
      assert.equal((await phone.call('/sign-out', {})).status, 200)
      assert.equal(await phone.user(), undefined)
    })
  })
}

describe('better-auth over the secondary storage', () => {
  const memcached = process.env['HOLDFAST_TEST_MEMCACHED']
  const skip = memcached ? false : 'HOLDFAST_TEST_MEMCACHED is not set: run this by `npm test`'
  it('lists sessions as better-auth does where the store cannot list', { skip }, async (t) => {
    const store = await openStore(memcached!, { namespace: freshNamespace() })
    t.after(() => store.close())
    const { auth } = application(store)
    const browser = new Browser(auth)
    await browser.call('/sign-up/email', { email: 'ada@example.org', password, name: 'Ada' })
    await new Browser(auth).signIn()
    assert.equal(((await browser.call('/list-sessions')).body as unknown as unknown[]).length, 2)
    await browser.call('/sign-out', {})
    assert.equal(await browser.user(), undefined)
  })

  it('stays signed out where its session is updated meanwhile', async (t) => {
    const store = await opened(t, 'memory:')
    const { auth, storage } = application(store)
    const browser = new Browser(auth)
    await browser.call('/sign-up/email', { email: 'ada@example.org', password, name: 'Ada' })
    const token = await browser.signIn()
    // What an update does: it reads, and writes it all when the session is gone.
    const before = await storage.get(token)
    await browser.call('/sign-out', {})
    await storage.set(token, before!, 60)
    assert.equal(await storage.get(token), null)
    assert.equal(await browser.user(), undefined)
  })

  it('fails where the store fails: an outage is no answer', async () => {
    const store = await openStore('memory:')
    const storage = betterAuthStorage(store)
    await store.close()
    const asks = [() => storage.get('a'), () => storage.set('a', 'b'), () => storage.delete(tokenOf(1))]
    for (const ask of [...asks, () => storage.getAndDelete('a'), () => storage.increment('a', 1)]) {
      await assert.rejects(ask, /StoreClosed/)
    }
  })

  it('limits how often one may try', async (t) => {
    const rateLimit = { enabled: true, storage: 'secondary-storage', window: 60, max: 3 }
    const { auth } = application(await opened(t, 'memory:'), { rateLimit })
    const browser = new Browser(auth)
    const tries = await Promise.all(Array.from({ length: 8 }, () => browser.call('/list-sessions')))
    const statuses = tries.map(({ status }) => status).sort()
    assert.equal(statuses.filter((status) => status === 429).length, 5, String(statuses))
  })

  it('takes a token to reset a password once', async (t) => {
    let sent = ''
    const { auth } = application(await opened(t, 'memory:'), {
      emailAndPassword: {
        enabled: true,
        sendResetPassword: ({ token }: { token: string }) => {
          sent = token
          return Promise.resolve()
        },
      },
    })
    const browser = new Browser(auth)
    await browser.call('/sign-up/email', { email: 'ada@example.org', password, name: 'Ada' })
    await browser.call('/request-password-reset', { email: 'ada@example.org', redirectTo: '/reset' })
    const newPassword = 'another battery staple'
    const resets = await Promise.all(
      [1, 2, 3].map(() => browser.call('/reset-password', { token: sent, newPassword })),
    )
    assert.deepEqual(resets.map(({ status }) => status).sort(), [200, 400, 400])
  })
})
