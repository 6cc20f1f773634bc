/** The door for handlers of `Request` and `Response`, where the suite of all doors doesn't look. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { fetchSessions } from '../../packages/holdfast/src/web/fetch.ts'
import { Stage } from '../sessions/stage.ts'

describe('a handler that answers nothing, as Bun’s do behind an upgrade', () => {
  it('has its way, stores nothing, and lets its lock go', async () => {
    const stage = new Stage()
    const withSession = fetchSessions(stage.sessions, { lock: () => '5s' })
    const { credential = '' } = await stage.sessions.start({ user: 'ada' })
    const request = new Request('https://app.example/', {
      headers: { cookie: `__Host-session=${credential}` },
    })
    let seen: Session | undefined
    const upgrading = withSession((_request, session, answers: boolean): Response | undefined => {
      seen = session
      session.set('half', 'done')
      return answers ? new Response(session.user) : undefined
    })
    assert.equal(await upgrading(request, false), undefined)
    assert.equal(seen?.isLocked, false)
    assert.deepEqual((await stage.sessions.load(credential)).data, {})
    assert.equal(await (await upgrading(request, true))?.text(), 'ada')
  })
})
