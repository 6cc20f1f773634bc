import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { Auth, type AuthConfig } from '@auth/core'
import type { Adapter, AdapterUser, VerificationToken } from '@auth/core/adapters'
import { openStore } from '../../packages/holdfast/src/store/open.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { authJsAdapter, authJsSessions } from '../../packages/holdfast/src/web/auth-js.ts'
import { holding } from './holding-store.ts'
import { opened, stores } from './opened-stores.ts'

/** Users and e-mailed tokens in this process: what an adapter of a database has. */
function usersInMemory() {
  const users = new Map<string, AdapterUser>()
  const tokens: VerificationToken[] = []
  const byEmail = (email: string) => [...users.values()].find((user) => user.email === email) ?? null
  return {
    createUser: (user: AdapterUser) => {
      const made = { ...user, id: `u${users.size + 1}` }
      users.set(made.id, made)
      return made
    },
    getUser: (id: string) => users.get(id) ?? null,
    getUserByEmail: byEmail,
    getUserByAccount: () => null,
    updateUser: (user: Partial<AdapterUser> & Pick<AdapterUser, 'id'>) => {
      const made = { ...users.get(user.id)!, ...user }
      users.set(made.id, made)
      return made
    },
    deleteUser: (id: string) => {
      const user = users.get(id) ?? null
      users.delete(id)
      return user
    },
    linkAccount: () => null,
    createVerificationToken: (token: VerificationToken) => {
      tokens.push(token)
      return token
    },
    useVerificationToken: ({ identifier, token }: { identifier: string; token: string }) => {
      const at = tokens.findIndex((each) => each.identifier === identifier && each.token === token)
      return at < 0 ? null : tokens.splice(at, 1)[0]!
    },
  } satisfies Adapter
}

const inAnHour = (): Date => new Date(Date.now() + 3_600_000)

for (const [name, url] of stores) {
  const skip = url ? false : `the URL of ${name} is not set: run this by \`npm test\``
  describe(`the adapter of Auth.js over ${name}`, { skip }, () => {
    async function made(t: TestContext) {
      const store = await opened(t, url!)
      const users = usersInMemory()
      const user = users.createUser({ id: '', email: 'ada@example.org', emailVerified: null })
      const adapter = authJsAdapter(store, users)
      const typed: Adapter = adapter
      assert.ok(typed)
      return { store, users, user, adapter }
    }

    it('creates, gets, updates and deletes a session', async (t) => {
      const { adapter, user } = await made(t)
      const [sessionToken, userId, expires] = ['t1', user.id, inAnHour()]
      const created = await adapter.createSession({ sessionToken, userId, expires })
      assert.deepEqual(created, { sessionToken, userId, expires })
      assert.deepEqual(await adapter.getSessionAndUser('t1'), { session: created, user })
      assert.equal(await adapter.getSessionAndUser('t2'), null)
      const later = new Date(expires.getTime() + 60_000)
      const updated = await adapter.updateSession({ sessionToken, expires: later })
      assert.equal(updated?.expires.getTime(), later.getTime())
      assert.equal((await adapter.getSessionAndUser('t1'))?.session.expires.getTime(), later.getTime())
      assert.equal(await adapter.updateSession({ sessionToken: 't2', expires: later }), null)
      assert.equal((await adapter.deleteSession('t1'))?.userId, user.id)
      assert.equal(await adapter.getSessionAndUser('t1'), null)
      assert.equal(await adapter.deleteSession('t1'), null)
    })

    it('ends a session in time', async (t) => {
      const { adapter, user } = await made(t)
      const expires = new Date(Date.now() + 1_500)
      await adapter.createSession({ sessionToken: 't1', userId: user.id, expires })
      await new Promise((resolve) => setTimeout(resolve, 1_550))
      assert.equal(await adapter.getSessionAndUser('t1'), null)
    })

    it('keeps what an application adds, of all who add at once', async (t) => {
      const { adapter, user } = await made(t)
      await adapter.createSession({ sessionToken: 't1', userId: user.id, expires: inAnHour() })
      const names = Array.from({ length: 20 }, (_, i) => `k${i}`)
      await Promise.all(names.map((each) => adapter.updateSession({ sessionToken: 't1', [each]: each })))
      const { session } = (await adapter.getSessionAndUser('t1'))!
      for (const each of names) assert.equal((session as unknown as Record<string, unknown>)[each], each)
    })

    it('brings no session back that was signed out', async (t) => {
      const { adapter, store, user, users } = await made(t)
      const expires = inAnHour()
      await adapter.createSession({ sessionToken: 't1', userId: user.id, expires })
      const updates = Array.from({ length: 5 }, (_, n) =>
        adapter.updateSession({ sessionToken: 't1', n } as never),
      )
      await Promise.all([...updates, adapter.deleteSession('t1')])
      await adapter.createSession({ sessionToken: 't0', userId: user.id, expires })
      const { held, arrived, open } = holding(store, 'replace')
      const late = authJsAdapter(held, users).updateSession({ sessionToken: 't0', late: true } as never)
      await arrived
      await adapter.deleteSession('t0')
      open()
      assert.equal(await late, null)
      assert.equal(await adapter.getSessionAndUser('t0'), null)
      assert.equal(await adapter.updateSession({ sessionToken: 't1', expires }), null)
      assert.equal(await adapter.getSessionAndUser('t1'), null)
      const again = adapter.createSession({ sessionToken: 't1', userId: user.id, expires })
      await assert.rejects(again, /destroyed or has expired/)
    })

    it('lists and ends the sessions of a user, and all with the user', async (t) => {
      const { adapter, store, user } = await made(t)
      const sessions = authJsSessions(store)
      const create = (sessionToken: string) =>
        adapter.createSession({ sessionToken, userId: user.id, expires: inAnHour() })
      await Promise.all(['t1', 't2', 't3'].map(create))
      assert.equal((await sessions.list({ user: user.id })).sessions.length, 3)
      assert.equal(await sessions.revoke({ user: user.id, except: 't2' }), 2)
      assert.equal(await adapter.getSessionAndUser('t1'), null)
      assert.ok(await adapter.getSessionAndUser('t2'))
      await adapter.deleteUser(user.id)
      assert.equal((await sessions.list({ user: user.id })).sessions.length, 0)
    })
  })
}

it('the adapter of Auth.js fails where the store fails: an outage is no answer', async () => {
  const store = await openStore('memory:')
  const adapter = authJsAdapter(store, usersInMemory())
  await store.close()
  const session = { sessionToken: 't1', userId: 'u1', expires: inAnHour() }
  const asks = [() => adapter.getSessionAndUser('t1'), () => adapter.deleteSession('t1')]
  for (const ask of [...asks, () => adapter.createSession(session), () => adapter.updateSession(session)]) {
    await assert.rejects(ask, /StoreClosed/)
  }
})

it('the adapter of Auth.js needs to find users', async (t) => {
  const store = await opened(t, 'memory:')
  assert.throws(() => authJsAdapter(store, {}), /no getUser/)
  const sessions = authJsSessions(store)
  assert.throws(() => authJsAdapter(sessions, usersInMemory(), { retention: '1h' }), /made already/)
  const adapter = authJsAdapter(sessions, usersInMemory())
  await adapter.createSession({ sessionToken: 't1', userId: 'u1', expires: inAnHour() })
  assert.equal((await sessions.list({ user: 'u1' })).sessions.length, 1)
})

/** Auth.js, with a link that would be mailed, and a browser. */
class Browser {
  readonly #config: AuthConfig
  readonly #jar = new Map<string, string>()
  mailed = ''

  constructor(store: Store) {
    this.#config = {
      adapter: authJsAdapter(store, usersInMemory()),
      session: { strategy: 'database', updateAge: 0 },
      secret: 'a secret',
      trustHost: true,
      basePath: '/auth',
      logger: { error: () => undefined, warn: () => undefined, debug: () => undefined },
      providers: [
        {
          id: 'email',
          type: 'email',
          name: 'Email',
          from: 'us@example.org',
          maxAge: 60,
          options: {},
          sendVerificationRequest: ({ url }) => {
            this.mailed = url
            return Promise.resolve()
          },
        },
      ],
    }
  }

  get cookies(): ReadonlyMap<string, string> {
    return this.#jar
  }

  async call(path: string, form?: Record<string, string>): Promise<Response> {
    const cookie = [...this.#jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const init = form ? { method: 'POST', body: new URLSearchParams(form) } : {}
    const request = new Request(new URL(path, 'http://localhost:3000'), { ...init, headers: { cookie } })
    const response = await Auth(request, this.#config)
    for (const set of response.headers.getSetCookie()) {
      const [name = '', value = ''] = set.split(';')[0]!.split(/=(.*)/)
      if (value) this.#jar.set(name, value)
      else this.#jar.delete(name)
    }
    return response
  }

  async submit(path: string, form: Record<string, string>): Promise<Response> {
    const { csrfToken } = (await (await this.call('/auth/csrf')).json()) as { csrfToken: string }
    return await this.call(path, { ...form, csrfToken })
  }

  async session(): Promise<{ user?: { email: string } } | null> {
    return (await (await this.call('/auth/session')).json()) as { user?: { email: string } } | null
  }
}

describe('Auth.js over the adapter', () => {
  it('signs in by a link, knows who it is, and signs out', async (t) => {
    const store = await opened(t, 'memory:')
    const browser = new Browser(store)
    await browser.submit('/auth/signin/email', { email: 'ada@example.org' })
    await browser.call(browser.mailed)
    assert.equal((await browser.session())?.user?.email, 'ada@example.org')
    const [info] = (await authJsSessions(store).list({ user: 'u1' })).sessions
    assert.ok(info)
    const token = browser.cookies.get('authjs.session-token')!
    assert.equal(authJsSessions(store).idOf(token), info.id)
    await browser.submit('/auth/signout', {})
    assert.equal(await browser.session(), null)
    assert.deepEqual((await authJsSessions(store).list({ user: 'u1' })).sessions, [])
  })

  it('is signed out at once where the sessions of the user are revoked', async (t) => {
    const store = await opened(t, 'memory:')
    const browser = new Browser(store)
    await browser.submit('/auth/signin/email', { email: 'ada@example.org' })
    await browser.call(browser.mailed)
    assert.ok(await browser.session())
    await authJsSessions(store).revoke({ user: 'u1' })
    assert.equal(await browser.session(), null)
  })
})
