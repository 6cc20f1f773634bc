/** The door for React Router: the answers of its own session storage, and its own request handler in front. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import {
  createContext,
  createCookieSessionStorage,
  createMemorySessionStorage,
  createRequestHandler,
  createStaticHandler,
  isSession,
  type LoaderFunctionArgs,
  type MiddlewareFunction,
  redirect,
  RouterContextProvider,
  type ServerBuild,
} from 'react-router'
import { InvalidOption, SessionGone } from '../../packages/holdfast/src/errors.ts'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { WebStore } from '../../packages/holdfast/src/testing/web-suite.ts'
import {
  type RouterSession,
  routerSession,
  sessionStorage,
} from '../../packages/holdfast/src/web/react-router.ts'
import { probedStores } from './served.ts'

/** What the three kinds of storage have in common. */
interface AnySession {
  readonly data: unknown
  has(name: string): boolean
  get(name: string): unknown
  set(name: string, value: unknown): void
  flash(name: string, value: unknown): void
  unset(name: string): void
}

interface AnyStorage<S extends AnySession> {
  getSession(cookie?: string | null): Promise<S>
  commitSession(session: S): Promise<string>
  destroySession(session: S): Promise<string>
}

/** One request: what it does with the session, and how it ends. */
interface Step {
  readonly does: (session: AnySession) => unknown
  readonly then: 'commit' | 'destroy' | 'nothing'
}

/** A visit, with all that React Router's documentation does with a session. */
const visit: readonly Step[] = [
  { does: (session) => [session.data, session.has('user'), session.get('user')], then: 'nothing' },
  { does: (session) => session.set('user', 'ada'), then: 'commit' },
  { does: (session) => [session.has('user'), session.get('user'), session.data], then: 'nothing' },
  { does: (session) => session.set('lost', 'never committed'), then: 'nothing' },
  { does: (session) => [session.has('lost'), session.get('lost')], then: 'commit' },
  { does: (session) => session.flash('message', 'welcome'), then: 'commit' },
  { does: (session) => [session.has('message'), session.data], then: 'nothing' },
  {
    does: (session) => [session.get('message'), session.get('message'), session.has('message')],
    then: 'nothing',
  },
  {
    does: (session) => [session.get('message'), session.get('message'), session.has('message')],
    then: 'commit',
  },
  { does: (session) => [session.get('message'), session.data], then: 'commit' },
  { does: (session) => session.flash('user', 'hidden'), then: 'commit' },
  { does: (session) => [session.get('user'), session.get('user')], then: 'commit' },
  { does: (session) => session.unset('user'), then: 'commit' },
  { does: (session) => [session.has('user'), session.get('user')], then: 'commit' },
  { does: (session) => session.unset('missing'), then: 'commit' },
  { does: (session) => session.set('basket', { books: ['one', { two: null }], n: 1.5 }), then: 'commit' },
  { does: (session) => [session.get('basket'), session.data], then: 'destroy' },
  { does: (session) => [session.data, session.has('basket')], then: 'nothing' },
  { does: (session) => session.set('again', true), then: 'commit' },
  { does: (session) => session.data, then: 'nothing' },
]

/** Pays the visit, and tells what was answered. */
async function paid<S extends AnySession>(storage: AnyStorage<S>): Promise<readonly unknown[]> {
  let cookie: string | null = null
  const answers: unknown[] = []
  for (const { does, then } of visit) {
    const session: S = await storage.getSession(cookie)
    assert.ok(isSession(session))
    answers.push(structuredClone(does(session)))
    if (then === 'commit') cookie = kept(await storage.commitSession(session))
    if (then === 'destroy') cookie = kept(await storage.destroySession(session))
    answers.push(cookie === null ? 'no cookie' : 'a cookie')
  }
  return answers
}

/** What a browser sends from now on. */
function kept(setCookie: string): string | null {
  if (/; (Max-Age=0|Expires=Thu, 01 Jan 1970)/.test(setCookie)) return null
  return setCookie.split(';')[0]!
}

function ours(): ReturnType<typeof sessionStorage> {
  return sessionStorage(new Sessions(memoryStore()))
}

describe('sessionStorage', () => {
  it('answers as createMemorySessionStorage and createCookieSessionStorage do', async () => {
    const cookie = { name: 'session', secrets: ['for this test'] }
    const theirs = await paid(createMemorySessionStorage({ cookie }))
    assert.deepEqual(await paid(createCookieSessionStorage({ cookie })), theirs)
    assert.deepEqual(await paid(ours()), theirs)
  })

  it('gives the cookie of every door', async () => {
    const storage = ours()
    const session = await storage.getSession()
    session.set('user', 'ada')
    assert.match(
      await storage.commitSession(session),
      /^__Host-session=hfs_\S+; Path=\/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax$/,
    )
    assert.match(await storage.destroySession(session), /^__Host-session=; Path=\/; Max-Age=0; /)
  })

  it('gives one for plain HTTP where it is told to, and refuses to be told by a request that it never sees', async () => {
    const sessions = new Sessions(memoryStore())
    const storage = sessionStorage(sessions, { cookie: { secure: false } })
    const session = await storage.getSession()
    session.set('user', 'ada')
    assert.doesNotMatch(await storage.commitSession(session), /Secure/)
    assert.throws(
      () => sessionStorage(sessions, { cookie: { secure: 'auto' } }),
      (error) => error instanceof InvalidOption && error.message.includes('process.env.NODE_ENV'),
    )
  })

  it('stores nothing of an untouched session, where createMemorySessionStorage stores an empty one', async () => {
    const sessions = new Sessions(memoryStore())
    const storage = sessionStorage(sessions)
    assert.equal(kept(await storage.commitSession(await storage.getSession())), null)
    assert.deepEqual((await sessions.list()).sessions, [])
  })

  it('has all that a session of ours can do', async () => {
    const storage = ours()
    const session = await storage.getSession()
    await session.stored.login('ada')
    const cookie = kept(await storage.commitSession(session))
    const later = await storage.getSession(cookie)
    assert.equal(later.stored.user, 'ada')
    assert.equal(later.stored.isFresh('5m'), true)
    assert.equal(later.id, later.stored.id)
  })
})

for (const place of [{ name: 'memory', make: () => memoryStore() }, ...probedStores]) {
  describe(`React Router’s request handler over ${place.name}`, () => {
    it('logs in, keeps 20 changes at once, and logs out for good', async (t) => {
      const app = await application(t, place)
      const cookie = await app.login()
      assert.deepEqual(await app.me(cookie), { user: 'ada', data: {} })
      const keys = Array.from({ length: 20 }, (_, i) => `key${i}`)
      const answers = await Promise.all(keys.map((key) => app.post(`/set?key=${key}`, cookie)))
      assert.deepEqual(
        answers.map(({ status }) => status),
        keys.map(() => 204),
      )
      assert.deepEqual(await app.me(cookie), {
        user: 'ada',
        data: Object.fromEntries(keys.map((key) => [key, 'set'])),
      })
      const logout = await app.post('/logout', cookie)
      assert.equal(kept(logout.headers.get('set-cookie')!), null)
      assert.deepEqual(await app.me(cookie), { user: null, data: {} })
    })

    it('stays logged out where a change was under way', async (t) => {
      const app = await application(t, place)
      const cookie = await app.login()
      const late = app.post('/set-later?key=late', cookie)
      await app.arrived
      await app.post('/logout', cookie)
      app.goOn()
      const answer = await late
      assert.equal(answer.status, 400)
      assert.equal(answer.headers.get('set-cookie'), null)
      assert.deepEqual(await app.me(cookie), { user: null, data: {} })
    })
  })
}

describe('the middleware and the storage in one application', () => {
  it('have the same sessions, under the same cookie', async () => {
    const { ask, cookies } = both()
    const answer = await ask(async ({ kept }) => {
      await kept.stored.login('ada')
      return true
    })
    const [cookie = '', ...others] = cookies(answer)
    assert.deepEqual(others, [])
    assert.deepEqual(await (await ask(() => false, cookie)).json(), { user: 'ada', data: {} })
    const [deleted = ''] = cookies(
      await ask(async ({ session }) => {
        await session.destroy()
        return false
      }, cookie),
    )
    assert.equal(deleted, '__Host-session=')
    const late = await ask(({ kept }) => kept.stored.user === undefined, cookie)
    assert.deepEqual(await late.json(), { user: null, data: {} })
  })

  it('keep what both change in one request', async () => {
    const { ask, cookies } = both()
    const [cookie = ''] = cookies(
      await ask(({ session }) => {
        session.set('first', 1)
        return false
      }),
    )
    const answer = await ask(({ session, kept }) => {
      session.set('of the middleware', 2)
      kept.set('of the storage', 3)
      return true
    }, cookie)
    // The storage always tells its cookie.
    assert.deepEqual(cookies(answer), [cookie])
    const { data } = (await (await ask(() => false, cookie)).json()) as { data: object }
    assert.deepEqual(data, { first: 1, 'of the middleware': 2, 'of the storage': 3 })
  })

  it('don’t let a change by the one live on that a logout by the other has ended', async () => {
    const { ask, cookies, sessions } = both()
    const [cookie = ''] = cookies(
      await ask(async ({ session }) => {
        await session.login('ada')
        return false
      }),
    )
    const answer = await ask(async ({ session, kept }) => {
      session.set('late', 'yes')
      await kept.stored.destroy()
      return true
    }, cookie)
    assert.equal(answer.status, 400)
    assert.deepEqual((await sessions.list()).sessions, [])
  })
})

/** An application with both; what is asked of it says whether the storage commits. */
function both() {
  const sessions = new Sessions(memoryStore())
  const storage = sessionStorage(sessions)
  const context = createContext<Session>()
  type Act = (given: { session: Session; kept: RouterSession }) => Promise<boolean> | boolean
  let current: Act = () => false
  const loader = async (given: LoaderFunctionArgs): Promise<Response> => {
    const session = (given.context as Readonly<RouterContextProvider>).get(context)
    const kept = await storage.getSession(given.request.headers.get('cookie'))
    const commits = await current({ session, kept })
    const headers = commits ? { 'set-cookie': await storage.commitSession(kept) } : undefined
    return Response.json({ user: session.user ?? null, data: session.data }, headers ? { headers } : {})
  }
  const middleware = [routerSession(sessions, context)] as MiddlewareFunction[]
  const router = createStaticHandler([{ id: 'root', path: '*', middleware, loader }])
  const ask = async (act: Act, cookie?: string): Promise<Response> => {
    current = act
    const request = new Request('https://app.example/', { headers: cookie === undefined ? {} : { cookie } })
    const answer: unknown = await router.queryRoute(request, {
      requestContext: new RouterContextProvider(),
      generateMiddlewareResponse: async (query) => await query(request),
    })
    assert.ok(answer instanceof Response)
    return answer
  }
  const cookies = ({ headers }: Response) => headers.getSetCookie().map((each) => each.split(';')[0]!)
  return { sessions, ask, cookies }
}

/** An application of resource routes, as React Router's compiler would have made it. */
async function application(t: TestContext, place: Pick<WebStore, 'make'>) {
  const store = await place.make()
  t.after(() => store.close())
  const storage = sessionStorage(new Sessions(store))
  const gate = Promise.withResolvers<undefined>()
  const arrived = Promise.withResolvers<undefined>()
  const sessionOf = (request: Request) => storage.getSession(request.headers.get('cookie'))
  const routes: Readonly<Record<string, object>> = {
    me: {
      loader: async ({ request }: { request: Request }) => {
        const { stored, data } = await sessionOf(request)
        return Response.json({ user: stored.user ?? null, data })
      },
    },
    login: {
      action: async ({ request }: { request: Request }) => {
        const session = await sessionOf(request)
        await session.stored.login('ada')
        return redirect('/me', { headers: { 'set-cookie': await storage.commitSession(session) } })
      },
    },
    set: { action: ({ request }: { request: Request }) => set(request) },
    'set-later': { action: ({ request }: { request: Request }) => set(request, gate.promise) },
    logout: {
      action: async ({ request }: { request: Request }) => {
        return redirect('/me', {
          headers: { 'set-cookie': await storage.destroySession(await sessionOf(request)) },
        })
      },
    },
  }
  const handler = createRequestHandler(buildOf(routes), 'test')
  const ask = (method: string, path: string, cookie: string | null): Promise<Response> =>
    handler(new Request(`https://app.example${path}`, { method, headers: cookie === null ? {} : { cookie } }))

  async function set(request: Request, wait?: Promise<unknown>): Promise<Response> {
    const session = await sessionOf(request)
    arrived.resolve(undefined)
    await wait
    session.set(new URL(request.url).searchParams.get('key')!, 'set')
    try {
      return new Response(null, {
        status: 204,
        headers: { 'set-cookie': await storage.commitSession(session) },
      })
    } catch (error) {
      if (error instanceof SessionGone) return new Response('the session has ended', { status: 400 })
      throw error
    }
  }

  return {
    arrived: arrived.promise,
    goOn: () => gate.resolve(undefined),
    post: (path: string, cookie: string | null) => ask('POST', path, cookie),
    me: async (cookie: string | null): Promise<unknown> => await (await ask('GET', '/me', cookie)).json(),
    async login(): Promise<string> {
      const answer = await ask('POST', '/login', null)
      assert.deepEqual([answer.status, answer.headers.get('location')], [302, '/me'])
      return kept(answer.headers.get('set-cookie')!)!
    },
  }
}

function buildOf(modules: Readonly<Record<string, object>>): ServerBuild {
  const root = { id: 'root', path: '', module: { default: () => null } }
  const routes = Object.entries(modules).map(([path, module]) => [
    path,
    { id: path, parentId: 'root', path, module },
  ])
  const build: Omit<ServerBuild, 'isSpaMode'> = {
    routes: { root, ...(Object.fromEntries(routes) as ServerBuild['routes']) },
    entry: { module: { default: () => new Response('there is no page') } },
    assets: { entry: { module: '', imports: [] }, routes: {}, url: '', version: '1' },
    publicPath: '/',
    assetsBuildDirectory: '',
    future: {} as ServerBuild['future'],
    ssr: true,
    prerender: [],
    routeDiscovery: { mode: 'initial', manifestPath: '/__manifest' },
  }
  return build as ServerBuild
}
