/** What h3 is told of a failure, and Nitro, which answers 500 to every error that is not h3's own. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { H3, HTTPError } from 'h3'
import { HoldfastError, openStore, Sessions } from 'holdfast'
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
