/** What h3 is told of a failure, and Nitro, which answers 500 to every error that is not h3's own. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { H3, HTTPError, HTTPResponse, type Middleware } from 'h3'
import { HoldfastError, openStore, type Session, Sessions } from 'holdfast'
import { h3Session } from '../../packages/holdfast/src/web/h3.ts'

/** An application that logs in, and one that fails, with what its `onError` is given. */
async function application() {
  const store = await openStore('memory:')
  const sessions = new Sessions(store)
  const errors: HTTPError[] = []
  const app = new H3({
    silent: true,
    onError: (error) => {
      errors.push(error)
    },
  })
  app.use(h3Session(sessions))
  app.get('/', () => 'home')
  app.post('/login', async ({ context }) => {
    await (context['session'] as { login(user: string): Promise<void> }).login('ada')
    return 'in'
  })
  app.get('/mistake', ({ context }) => {
    ;(context['session'] as { set(key: string, value: unknown): void }).set('when', 10n)
    return 'never'
  })
  return { store, app, errors }
}

async function loggedIn({ app }: Awaited<ReturnType<typeof application>>): Promise<string> {
  const answer = await app.request('http://app.example/login', { method: 'POST' })
  return answer.headers.getSetCookie()[0]!.split(';')[0]!
}

describe('h3 is told of a failure', () => {
  it('by an error of its own kind, with a message for everybody and the cause for the application', async () => {
    const given = await application()
    const cookie = await loggedIn(given)
    const answer = await given.app.request('http://app.example/login', {
      method: 'POST',
      headers: { cookie, origin: 'https://elsewhere.example' },
    })
    assert.equal(answer.status, 403)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    assert.deepEqual(await answer.json(), {
      error: 'HOLDFAST_CROSS_SITE_REQUEST',
      message: 'the request came from another site',
      status: 403,
    })
    const [error] = given.errors
    assert.ok(HTTPError.isError(error))
    assert.notEqual(error.unhandled, true)
    assert.equal(error.status, 403)
    assert.ok(error.cause instanceof HoldfastError)
    assert.equal(error.cause.code, 'HOLDFAST_CROSS_SITE_REQUEST')
  })

  it('also while the store can’t be asked', async () => {
    const given = await application()
    const cookie = await loggedIn(given)
    await given.store.close()
    const answer = await given.app.request('http://app.example/', { headers: { cookie } })
    assert.equal(answer.status, 503)
    assert.match(await answer.text(), /HOLDFAST_STORE_CLOSED/)
  })

  it('and a mistake in the program stays unhandled, and is told to nobody outside', async () => {
    const given = await application()
    const answer = await given.app.request('http://app.example/mistake')
    assert.equal(answer.status, 500)
    assert.equal(given.errors[0]?.unhandled, true)
    assert.doesNotMatch(await answer.text(), /when|bigint/i)
  })
})

describe('an error of h3’s own kind is an answer', () => {
  it('what it has changed is stored, and what must be carried is sent, thrown or returned', async () => {
    for (const isThrown of [true, false]) {
      const { ask } = await visited((session) => {
        session.set('tries', Number(session.get('tries') ?? 0) + 1)
        const error = new HTTPError({
          status: 401,
          headers: { 'cache-control': 'no-store', vary: 'Accept', 'set-cookie': 'own=1' },
        })
        if (isThrown) throw error
        return error
      })
      const first = await ask('/act')
      assert.equal(first.status, 401)
      assert.equal(first.headers.get('cache-control'), 'no-store')
      assert.equal(first.headers.get('vary'), 'Accept, Cookie')
      const [own, ours = ''] = first.headers.getSetCookie()
      assert.equal(own, 'own=1')
      const cookie = ours.split(';')[0]!
      assert.deepEqual((await ask('/act', cookie)).headers.getSetCookie(), ['own=1'])
      assert.deepEqual(await (await ask('/seen', cookie)).json(), { user: null, data: { tries: 2 } })
    }
  })

  it('a new secret is told with it, whatever its status: nobody is logged out', async () => {
    const endings: readonly (() => unknown)[] = [
      () => {
        throw new HTTPError({ status: 403 })
      },
      () => new HTTPError({ status: 403 }),
      () => {
        throw new Error('the application fails on purpose')
      },
      () => new HTTPResponse('failed', { status: 503 }),
      () => {
        // What h3 takes for a status.
        // eslint-disable-next-line @typescript-eslint/only-throw-error
        throw 404
      },
    ]
    for (const end of endings) {
      const { ask, login } = await visited(async (session) => {
        await session.cycleKey()
        return end()
      })
      const before = await login()
      const answer = await ask('/act', before)
      assert.ok(answer.status >= 400)
      assert.equal(answer.headers.getSetCookie().length, 1)
      const after = answer.headers.getSetCookie()[0]!.split(';')[0]!
      assert.notEqual(after, before)
      assert.deepEqual(await (await ask('/seen', after)).json(), { user: 'ada', data: {} })
    }
  })

  it('what it has changed is not stored where its status is a 5xx', async () => {
    const endings: readonly (() => unknown)[] = [
      () => new HTTPResponse('failed', { status: 500 }),
      () => new HTTPError({ status: 503 }),
      () => {
        throw new HTTPError('failed', { statusCode: 502 })
      },
      () => {
        throw new Error('the application fails on purpose')
      },
    ]
    for (const end of endings) {
      const { ask, login } = await visited((session) => {
        session.set('half', 'done')
        return end()
      })
      const cookie = await login()
      const answer = await ask('/act', cookie)
      assert.ok(answer.status >= 500)
      assert.deepEqual(answer.headers.getSetCookie(), [])
      assert.deepEqual(await (await ask('/seen', cookie)).json(), { user: 'ada', data: {} })
    }
  })

  it('a cookie stays with the answer where middleware in front fails behind it', async () => {
    const { ask, login } = await visited(
      async (session) => {
        await session.cycleKey()
        return 'done'
      },
      async (_event, next) => {
        await next()
        throw new HTTPError({ status: 403 })
      },
    )
    const answer = await ask('/act', await login())
    assert.deepEqual([answer.status, answer.headers.getSetCookie().length], [403, 1])
  })

  it('and is 503 where the store is down meanwhile', async () => {
    const { ask, login, store } = await visited(async (session) => {
      session.set('tries', 1)
      await store.close()
      throw new HTTPError({ status: 401 })
    })
    const answer = await ask('/act', await login())
    assert.equal(answer.status, 503)
    assert.deepEqual(answer.headers.getSetCookie(), [])
  })
})

/** An application whose `/act` does something with the session. */
async function visited(act: (session: Session) => unknown, inFront?: Middleware) {
  const store = await openStore('memory:')
  const app = new H3({ silent: true })
  const sessionIn = (context: object) => (context as { readonly session: Session }).session
  if (inFront) app.use('/act', inFront)
  app.use(h3Session(new Sessions(store)))
  app.get('/login', async ({ context }) => {
    await sessionIn(context).login('ada')
    return 'in'
  })
  app.get('/act', ({ context }) => act(sessionIn(context)))
  app.get('/seen', ({ context }) => {
    const { user = null, data } = sessionIn(context)
    return { user, data }
  })
  const ask = async (path: string, cookie?: string): Promise<Response> =>
    await app.request(`http://app.example${path}`, cookie === undefined ? {} : { headers: { cookie } })
  const login = async () => (await ask('/login')).headers.getSetCookie()[0]!.split(';')[0]!
  return { store, ask, login }
}
