/** The hook of SvelteKit beside other hooks, by events of SvelteKit's form. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import type { CookieAttributes } from '../../packages/holdfast/src/web/cookie.ts'
import { type SvelteKitEvent, svelteKitSession } from '../../packages/holdfast/src/web/sveltekit.ts'
import { Stage } from '../sessions/stage.ts'
import { sessionOf } from './served.ts'

type SetCookie = readonly [name: string, value: string, options: CookieAttributes]

/** What `redirect(303, '/')` throws has these, and is no error. */
const redirection = Object.assign(new Error('a redirect'), { status: 303, location: '/' })

/** A request that another hook answers, behind ours. */
async function hooked(
  stage: Stage,
  hook: (session: Session) => unknown,
  { credential, url = 'https://app.example/' }: { credential?: string | undefined; url?: string } = {},
) {
  const cookies: SetCookie[] = []
  const event: SvelteKitEvent = {
    request: new Request(url, { headers: credential ? { cookie: `__Host-session=${credential}` } : {} }),
    locals: {},
    cookies: { set: (...given: SetCookie) => cookies.push(given) },
    getClientAddress: () => '192.0.2.7',
  }
  const handle = svelteKitSession(stage.sessions)
  const resolve = async (): Promise<Response> => {
    await hook(sessionOf(event.locals))
    return new Response('nobody threw')
  }
  return { cookies, answer: handle({ event, resolve }) }
}

describe('another hook of SvelteKit', () => {
  it('that throws a redirect has answered: what was changed is stored, and the cookie is set', async () => {
    const stage = new Stage()
    const { cookies, answer } = await hooked(stage, async (session) => {
      session.set('returnTo', '/account')
      await session.login('ada')
      session.set('later', 'yes')
      throw redirection
    })
    await assert.rejects(answer, (error) => error === redirection)
    assert.equal(cookies.length, 1)
    const [name, credential, { maxAge = 0, ...attributes }] = cookies[0]!
    assert.equal(name, '__Host-session')
    assert.deepEqual(attributes, { httpOnly: true, secure: true, sameSite: 'lax', path: '/' })
    assert.ok(maxAge > 0)
    const { user, data } = await stage.sessions.load(credential)
    assert.deepEqual([user, data], ['ada', { returnTo: '/account', later: 'yes' }])
    const out = await hooked(
      stage,
      async (session) => {
        await session.destroy()
        throw redirection
      },
      { credential },
    )
    await assert.rejects(out.answer, (error) => error === redirection)
    assert.deepEqual(
      out.cookies.map(([, value, options]) => [value, options.maxAge]),
      [['', 0]],
    )
  })

  it('that throws a redirect which can’t be stored has the failure answered in its place', async () => {
    const stage = new Stage()
    stage.plan = ({ writes }) => (writes ? 'fail' : undefined)
    const { cookies, answer } = await hooked(stage, (session) => {
      session.set('returnTo', '/account')
      throw redirection
    })
    assert.equal((await answer).status, 503)
    assert.deepEqual(cookies, [])
  })

  it('that fails has stored nothing', async () => {
    const stage = new Stage()
    const failure = new Error('the hook fails on purpose')
    const { cookies, answer } = await hooked(stage, (session) => {
      session.set('a', 1)
      throw failure
    })
    await assert.rejects(answer, (error) => error === failure)
    assert.deepEqual([await stage.records(), cookies], [[], []])
  })
})
