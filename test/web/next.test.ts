/**
 * The door for Next.js. Next.js itself is no dependency of this repository: its cookies are played by objects of their
 * form, `redirect()` and `notFound()` by errors with their digests.
 */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { generateRingKey, KeyRing } from '../../packages/holdfast/src/credentials/key-ring.ts'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { InvalidOption, SessionGone, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Awaitable } from '../../packages/holdfast/src/store/contract.ts'
import type { WebStore } from '../../packages/holdfast/src/testing/web-suite.ts'
import { nextSessions, type NextSessions } from '../../packages/holdfast/src/web/next.ts'
import { minute, Stage } from '../sessions/stage.ts'
import { probedStores } from './served.ts'

type SetCookie = readonly [name: string, value: string, options: { readonly maxAge?: number }]

/** What `cookies()` resolves to in a server action: what was set is seen at once. */
class ActionCookies {
  readonly #jar: Map<string, string>
  readonly sent: SetCookie[] = []

  constructor(jar = new Map<string, string>()) {
    this.#jar = jar
  }

  get(name: string): { readonly name: string; readonly value: string } | undefined {
    const value = this.#jar.get(name)
    return value === undefined ? undefined : { name, value }
  }

  set(...given: SetCookie): this {
    const [name, value, { maxAge }] = given
    this.sent.push(given)
    if (maxAge === 0) this.#jar.delete(name)
    else this.#jar.set(name, value)
    return this
  }
}

/** The same while a server component is rendered. */
class ComponentCookies extends ActionCookies {
  override set(): never {
    throw new Error('Cookies can only be modified in a Server Action or Route Handler.')
  }
}

/** A browser, and the application that it visits. */
class Visit {
  readonly stage: Stage
  readonly jar = new Map<string, string>()
  readonly next: NextSessions<Record<string, string>>

  constructor(stage = new Stage(), options: Parameters<typeof nextSessions>[1] = {}) {
    this.stage = stage
    this.next = nextSessions(stage.sessions, options) as unknown as NextSessions<Record<string, string>>
  }

  actionCookies(): ActionCookies {
    return new ActionCookies(this.jar)
  }

  componentCookies(): ComponentCookies {
    return new ComponentCookies(this.jar)
  }

  async login(): Promise<void> {
    await this.next.actOnSession(this.actionCookies(), (session) => session.login('ada'))
  }

  async seen(): Promise<{ user: string | undefined; data: object }> {
    const { user, data } = await this.next.readSession(this.componentCookies())
    return { user, data }
  }
}

/** Somebody who visits an application over a store. */
async function visited(t: TestContext, place: Pick<WebStore, 'make'>) {
  const store = await place.make()
  t.after(() => store.close())
  const next = nextSessions(new Sessions(store))
  const jar = new Map<string, string>()
  return {
    jar,
    act: (act: (session: Session) => Awaitable<void>, cookies = new ActionCookies(jar)) =>
      next.actOnSession(cookies, act),
    seen: (from = jar) => next.readSession(new ComponentCookies(from)),
  }
}

/** Throws what Next.js knows by its digest. */
function thrown(digest: string | undefined): () => never {
  return () => {
    throw Object.assign(new Error('thrown'), { digest })
  }
}

/** What `redirect('/')` throws. */
function redirection(): Error {
  return Object.assign(new Error('NEXT_REDIRECT'), { digest: 'NEXT_REDIRECT;push;/;307;' })
}

describe('a server action', () => {
  it('logs in and sets the cookie of every door', async () => {
    const visit = new Visit()
    const cookies = visit.actionCookies()
    const answer = await visit.next.actOnSession(cookies, async (session) => {
      await session.login('ada')
      return 'welcome'
    })
    assert.equal(answer, 'welcome')
    const [[name, value, options] = assert.fail('no cookie was set'), ...others] = cookies.sent
    assert.deepEqual(others, [])
    assert.equal(name, '__Host-session')
    assert.match(value, /^hfs_/)
    assert.deepEqual(options, { httpOnly: true, secure: true, sameSite: 'lax', path: '/', maxAge: 43_200 })
    assert.deepEqual(await visit.seen(), { user: 'ada', data: {} })
  })

  it('sets no cookie where nothing was done', async () => {
    const visit = new Visit()
    const cookies = visit.actionCookies()
    await visit.next.actOnSession(cookies, (session) => session.get('theme'))
    assert.deepEqual(cookies.sent, [])
    assert.deepEqual(await visit.stage.records(), [])
  })

  it('sets a cookie for plain HTTP where it is told to', async () => {
    const visit = new Visit(new Stage(), { cookie: { secure: false } })
    const cookies = visit.actionCookies()
    await visit.next.actOnSession(cookies, (session) => session.login('ada'))
    const [[name, , options] = assert.fail('no cookie was set')] = cookies.sent
    assert.deepEqual([name, options], ['session', { ...options, secure: false }])
  })

  it('takes the cookie away at a logout, with the attributes that it was set with', async () => {
    const cookie = {
      name: 'sid',
      domain: 'example.com',
      path: '/app',
      partitioned: true,
      sameSite: 'none',
    } as const
    const visit = new Visit(new Stage(), { cookie })
    await visit.login()
    const cookies = visit.actionCookies()
    await visit.next.actOnSession(cookies, (session) => session.destroy())
    const same = {
      httpOnly: true,
      secure: true,
      sameSite: 'none',
      path: '/app',
      domain: 'example.com',
      partitioned: true,
    }
    assert.deepEqual(cookies.sent, [['sid', '', { ...same, maxAge: 0 }]])
    assert.deepEqual(await visit.seen(), { user: undefined, data: {} })
  })

  it('signs its cookie where there are keys, as route handlers do', async () => {
    const keys = new KeyRing([generateRingKey('k1')])
    const visit = new Visit(new Stage(), { cookie: { keys } })
    await visit.login()
    assert.doesNotMatch(visit.jar.get('__Host-session') ?? '', /^hfs_/)
    assert.equal((await visit.seen()).user, 'ada')
    const GET = visit.next.withSession((_request, session) => new Response(session.user))
    const cookie = [...visit.jar].map((pair) => pair.join('=')).join('; ')
    assert.equal(
      await (await GET(new Request('https://app.example/', { headers: { cookie } }))).text(),
      'ada',
    )
  })

  it('is stored where it ends by redirect(), and not where it fails', async () => {
    const visit = new Visit()
    const redirected = redirection()
    await assert.rejects(
      visit.next.actOnSession(visit.actionCookies(), (session) => {
        session.set('theme', 'dark')
        throw redirected
      }),
      (error) => error === redirected,
    )
    assert.deepEqual((await visit.seen()).data, { theme: 'dark' })
    const failing = visit.actionCookies()
    await assert.rejects(
      visit.next.actOnSession(failing, (session) => {
        session.set('theme', 'light')
        throw new Error('the action failed')
      }),
      /the action failed/,
    )
    assert.deepEqual(failing.sent, [])
    assert.deepEqual((await visit.seen()).data, { theme: 'dark' })
  })

  it('that fails behind a new secret, a login or a logout sets its cookie, and stores nothing else', async () => {
    const steps: readonly [does: (session: Session) => Promise<void>, user: string | undefined][] = [
      [(session) => session.cycleKey(), 'ada'],
      [(session) => session.login('bob'), 'bob'],
      [(session) => session.destroy(), undefined],
    ]
    for (const [does, user] of steps) {
      const visit = new Visit()
      await visit.login()
      const cookies = visit.actionCookies()
      await assert.rejects(
        visit.next.actOnSession(cookies, async (session) => {
          await does(session)
          session.set('theme', 'light')
          throw new Error('the action failed')
        }),
        /the action failed/,
      )
      assert.equal(cookies.sent.length, 1)
      assert.deepEqual(await visit.seen(), { user, data: {} })
    }
  })

  for (const place of [{ name: 'memory', make: () => memoryStore() }, ...probedStores]) {
    it(`keeps what 20 of them change at once, over ${place.name}`, async (t) => {
      const { act, seen } = await visited(t, place)
      await act((session) => session.login('ada'))
      const keys = Array.from({ length: 20 }, (_, i) => `key${i}`)
      await Promise.all(keys.map((key) => act((session) => session.set(key, 'set'))))
      assert.deepEqual((await seen()).data, Object.fromEntries(keys.map((key) => [key, 'set'])))
    })

    it(`that was under way at a logout fails, sets no cookie, and brings nothing back, over ${place.name}`, async (t) => {
      const { act, seen, jar } = await visited(t, place)
      await act((session) => session.login('ada'))
      const { promise: loggedOut, resolve: goOn } = Promise.withResolvers<undefined>()
      const cookies = new ActionCookies(new Map(jar))
      const begun = Promise.withResolvers<undefined>()
      const late = act(async (session) => {
        begun.resolve(undefined)
        await loggedOut
        session.set('late', 'yes')
      }, cookies)
      await begun.promise
      const before = new Map(jar)
      await act((session) => session.destroy())
      goOn(undefined)
      await assert.rejects(late, SessionGone)
      assert.deepEqual(cookies.sent, [])
      assert.equal((await seen(before)).user, undefined)
    })
  }

  it('fails while the store is down, and its cookie stays', async () => {
    const visit = new Visit()
    await visit.login()
    visit.stage.plan = () => 'fail'
    const cookies = visit.actionCookies()
    await assert.rejects(
      visit.next.actOnSession(cookies, () => undefined),
      StoreUnavailable,
    )
    assert.deepEqual(cookies.sent, [])
    visit.stage.plan = () => undefined
    assert.equal((await visit.seen()).user, 'ada')
  })
})

describe('a server component', () => {
  it('reads the session, sets no cookie and rotates nothing, due or not', async () => {
    const visit = new Visit(new Stage({ rotateEvery: '10m' }))
    await visit.login()
    const before = [...visit.jar]
    visit.stage.clock.advance(11 * minute)
    assert.equal((await visit.seen()).user, 'ada')
    assert.equal((await visit.seen()).user, 'ada')
    assert.deepEqual([...visit.jar], before)
    const types = visit.stage.happenings.map(({ type }) => type)
    assert.equal(types.includes('rotated'), false)
  })

  it('that is elsewhere than its session is bound to rotates nothing either: it reads none', async () => {
    const visit = new Visit(new Stage({ binding: { agent: { match: 'exact', policy: 'rotate' } } }))
    await visit.next.actOnSession(visit.actionCookies(), (session) => session.login('ada'), { agent: 'one' })
    const seenBy = async (agent: string) => await visit.next.readSession(visit.componentCookies(), { agent })
    assert.equal((await seenBy('another')).user, undefined)
    assert.equal((await seenBy('one')).user, 'ada')
  })

  it('can’t log anybody in: Next.js refuses the cookie', async () => {
    const visit = new Visit()
    await assert.rejects(
      visit.next.actOnSession(visit.componentCookies(), (session) => session.login('ada')),
      /can only be modified/,
    )
    assert.equal((await visit.seen()).user, undefined)
  })

  it('is told where the store is down, and is not told that nobody is logged in', async () => {
    const visit = new Visit()
    await visit.login()
    visit.stage.plan = () => 'fail'
    await assert.rejects(visit.seen(), StoreUnavailable)
  })
})

describe('a route handler', () => {
  it('is given the session and what Next.js gives it, and what it changed is stored', async () => {
    const visit = new Visit()
    const POST = visit.next.withSession(
      async (request, session, context: { readonly params: Promise<{ readonly key: string }> }) => {
        session.set((await context.params).key, new URL(request.url).search)
        return Response.json(session.data)
      },
    )
    const request = new Request('https://app.example/set?x', { method: 'POST' })
    const response = await POST(request, { params: Promise.resolve({ key: 'theme' }) })
    assert.deepEqual(await response.json(), { theme: '?x' })
    const [pair = ''] = response.headers.getSetCookie()[0]?.split(';') ?? []
    const cookies = new ActionCookies(new Map([pair.split('=') as [string, string]]))
    assert.deepEqual((await visit.next.readSession(cookies)).data, { theme: '?x' })
  })

  it('ends by a response, redirect() or notFound(): what it changed is stored, and its cookie sent', async () => {
    const ends: readonly [end: () => Response, status: number, location: string | null][] = [
      [() => Response.redirect('https://app.example/', 303), 303, 'https://app.example/'],
      [thrown('NEXT_REDIRECT;replace;/a;b?c;307;'), 307, '/a;b?c'],
      [thrown('NEXT_REDIRECT;push;https://elsewhere.example/;308;'), 308, 'https://elsewhere.example/'],
      [thrown('NEXT_HTTP_ERROR_FALLBACK;404'), 404, null],
    ]
    for (const [end, status, location] of ends) {
      const visit = new Visit()
      const handler = visit.next.withSession(async (_request, session) => {
        await session.login('ada')
        session.set('theme', 'dark')
        return end()
      })
      const response = await handler(new Request('https://app.example/'))
      assert.deepEqual([response.status, response.headers.get('location')], [status, location])
      const [pair = ''] = response.headers.getSetCookie()[0]?.split(';') ?? []
      const { user, data } = await visit.stage.sessions.load(pair.split('=')[1])
      assert.deepEqual([user, data], ['ada', { theme: 'dark' }])
    }
  })

  it('that fails in any other way stores nothing, and the error is for Next.js', async () => {
    for (const digest of [undefined, 'DYNAMIC_SERVER_USAGE', 'NEXT_REDIRECT;of another form']) {
      const visit = new Visit()
      const failing = visit.next.withSession((_request, session) => {
        session.set('theme', 'dark')
        return thrown(digest)()
      })
      await assert.rejects(failing(new Request('https://app.example/')), { message: 'thrown', digest })
      assert.deepEqual(await visit.stage.records(), [])
    }
  })
})

describe('nextSessions', () => {
  it('refuses what Next.js has no way for', () => {
    const { sessions } = new Stage()
    assert.throws(() => nextSessions(sessions, { cookie: false }), InvalidOption)
    assert.throws(
      () => nextSessions(sessions, { cookie: { secure: 'auto' } }),
      (error) => error instanceof InvalidOption && error.message.includes('process.env.NODE_ENV'),
    )
  })
})
