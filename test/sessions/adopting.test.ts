/** What another library has stored, once it was adopted: how its times count. How a door adopts is in test/web. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { adoptedParts } from '../../packages/holdfast/src/credentials/adopted.ts'
import type { OldArrival } from '../../packages/holdfast/src/sessions/adopting.ts'
import type { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import type { Visit } from '../../packages/holdfast/src/sessions/visit.ts'
import { hour, minute, Stage } from './stage.ts'

const options = { retention: '90d', idle: '30m', absolute: '8h' } as const

/** The other library's cookie of ada, whose row there lives so long. */
function arrival(stage: Stage, left: number, sid = 'sid'): OldArrival {
  const rows = new Map([[sid, { data: { basket: ['pear'] }, expiresAt: stage.clock.now() + left }]])
  const from = {
    description: 'rows of the test',
    read: (each: string) => Promise.resolve(rows.get(each)),
    remove: (each: string) => {
      rows.delete(each)
      return Promise.resolve()
    },
  }
  return {
    adoption: { from, user: () => 'ada', data: (data) => data },
    credential: () => ({ sid, parts: adoptedParts(sid, 'signature') }),
  }
}

async function adopted(sessions: Sessions, old: OldArrival, visit: Visit = {}): Promise<Session> {
  return await sessions.openOrAdopt(old, undefined, visit).load()
}

describe('an adopted session', () => {
  it('is not fresh before its user has proved something here', async () => {
    const stage = new Stage(options)
    const session = await adopted(stage.sessions, arrival(stage, hour))
    assert.deepEqual([session.user, session.isFresh('5m'), session.authenticatedAt], ['ada', false, 0])
    assert.equal((await stage.sessions.list({ user: 'ada' })).sessions[0]?.authenticatedAt, 0)
    await session.rotate()
    assert.equal(session.isFresh('5m'), false)
    await session.stepUp('otp')
    assert.deepEqual([session.isFresh('5m'), session.isFresh('5m', 'otp')], [true, true])
    const other = await adopted(stage.sessions, arrival(stage, hour, 'other'))
    await other.login('ada')
    assert.deepEqual([other.isFresh('5m'), other.authenticatedAt], [true, stage.clock.now()])
  })

  it('is prolonged by the request that it is adopted by, but not by a poll, nor cut by it', async () => {
    const used = new Stage(options)
    const { expiresAt } = await adopted(used.sessions, arrival(used, minute))
    assert.equal(expiresAt, used.clock.now() + 33 * minute)
    for (const [left, ends] of [
      [minute, minute],
      [2 * hour, 33 * minute],
    ] as const) {
      const stage = new Stage(options)
      const polled = await adopted(stage.sessions, arrival(stage, left), { keepAlive: false })
      assert.deepEqual([polled.user, polled.expiresAt], ['ada', stage.clock.now() + ends])
      stage.clock.advance(minute / 2)
      const again = await stage.sessions.load(polled.credential, { keepAlive: false })
      assert.equal(again.expiresAt, polled.expiresAt)
    }
    const stage = new Stage(options)
    const old = arrival(stage, minute)
    const { credential } = await adopted(stage.sessions, old, { keepAlive: false })
    stage.clock.advance(minute / 2)
    assert.equal((await stage.sessions.load(credential)).expiresAt, stage.clock.now() + 33 * minute)
    const other = await adopted(stage.sessions, arrival(stage, minute, 'other'), { keepAlive: false })
    stage.clock.advance(minute)
    assert.equal((await stage.sessions.load(other.credential)).isNew, true)
  })

  it('is adopted where its user has as many as `limit` allows, and counts at the next login', async () => {
    for (const over of ['refuse', 'oldest'] as const) {
      const stage = new Stage({ ...options, limit: { perUser: 2, over } })
      const first = await stage.sessions.start({ user: 'ada' })
      stage.clock.advance(minute)
      for (const sid of ['one', 'two']) await adopted(stage.sessions, arrival(stage, hour, sid))
      assert.equal((await stage.sessions.list({ user: 'ada' })).sessions.length, 3, 'nobody is logged out')
      if (over === 'refuse') {
        await assert.rejects(stage.sessions.start({ user: 'ada' }), { code: 'HOLDFAST_TOO_MANY_SESSIONS' })
      } else {
        const { id } = await stage.sessions.start({ user: 'ada' })
        const left = (await stage.sessions.list({ user: 'ada' })).sessions.map((each) => each.id)
        assert.deepEqual(left.toSorted(), [first.id, id].toSorted(), 'the adopted are the oldest')
      }
    }
  })

  it('has its absolute timeout from the adoption on', async () => {
    const stage = new Stage(options)
    const { credential, endsAt } = await adopted(stage.sessions, arrival(stage, hour))
    assert.equal(endsAt, stage.clock.now() + 8 * hour)
    for (let used = 0; used < 15; used++) {
      stage.clock.advance(30 * minute)
      assert.equal((await stage.sessions.load(credential)).user, 'ada')
    }
    const shortened = stage.process({ absolute: '7h' })
    assert.equal((await shortened.load(credential)).isNew, true)
    stage.clock.advance(30 * minute)
    assert.equal((await stage.sessions.load(credential)).isNew, true)
  })
})
