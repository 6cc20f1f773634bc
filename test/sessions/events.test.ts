/** What an audit hears of sessions: each thing that happens once, with why, and never a secret. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RecordEvent } from '../../packages/holdfast/src/records/events.ts'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import { Stage } from './stage.ts'

const minute = 60_000

/** All events in their order. */
function heard(options: SessionsOptions = {}): { stage: Stage; take: () => readonly RecordEvent[] } {
  const events: RecordEvent[] = []
  const stage = new Stage({ ...options, onEvent: (event) => events.push(event) })
  return { stage, take: () => events.splice(0) }
}

const types = (events: readonly RecordEvent[]): readonly string[] => events.map(({ type }) => type)

describe('the events of a session', () => {
  it('its whole life, once each, with who and why', async () => {
    const { stage, take } = heard({ grace: 0 })
    const session = await stage.sessions.start({ data: { a: 1 } })
    const { id } = session
    const of = { collection: 'sessions', id }
    assert.deepEqual(take(), [{ type: 'created', ...of }])
    const loaded = await stage.sessions.load(session.credential)
    assert.deepEqual(take(), [{ type: 'loaded', ...of }])
    loaded.set('a', 2)
    await loaded.save()
    await loaded.refresh()
    assert.deepEqual(take(), [])
    await loaded.login('ada', { methods: ['pwd'] })
    const ada = { ...of, user: 'ada' }
    assert.deepEqual(take(), [
      { type: 'rotated', ...ada, cycled: true },
      { type: 'login', ...ada, methods: ['pwd'] },
    ])
    await loaded.rotate()
    assert.deepEqual(take(), [{ type: 'rotated', ...ada, cycled: false }])
    await loaded.cycleKey()
    assert.deepEqual(take(), [{ type: 'rotated', ...ada, cycled: true }])
    await loaded.stepUp('otp')
    assert.deepEqual(take(), [
      { type: 'rotated', ...ada, cycled: true },
      { type: 'login', ...ada, methods: ['otp'] },
    ])
    await loaded.destroy()
    assert.deepEqual(take(), [{ type: 'revoked', ...ada, why: 'destroyed' }])
    await loaded.destroy()
    assert.equal(await stage.sessions.destroy(id ?? ''), false)
    assert.deepEqual(take(), [])
  })

  it('a login that starts a session: it was created, and somebody logged in', async () => {
    const { stage, take } = heard()
    await stage.sessions.start({ user: 'ada' })
    assert.deepEqual(types(take()), ['created', 'login'])
    const fresh = await stage.sessions.load(undefined)
    await fresh.login('ada')
    assert.deepEqual(types(take()), ['created', 'login'])
  })

  it('each end has its why', async () => {
    const { stage, take } = heard()
    const whys: unknown[] = []
    const ended = (): void => {
      whys.push(...take().flatMap((event) => (event.type === 'revoked' ? event.why : [])))
    }
    const byId = await stage.sessions.start()
    await stage.sessions.destroy(byId.id ?? '')
    ended()
    const byCredential = await stage.sessions.start()
    await stage.sessions.logout(byCredential.credential ?? '')
    ended()
    const late = await stage.sessions.start()
    const { credential: old } = late
    await late.cycleKey()
    await (await stage.sessions.load(old)).destroy()
    ended()
    const overlapped = await stage.sessions.start()
    const login = await stage.sessions.begin({ user: 'ada' })
    await stage.sessions.revoke({ user: 'ada' })
    await assert.rejects(overlapped.login(login), { code: 'HOLDFAST_REVOKED_MEANWHILE' })
    ended()
    assert.deepEqual(whys, ['destroyed', 'logged out', 'logged out', 'revoked meanwhile'])
  })

  it('a revocation by labels is one event, with how many it ended', async () => {
    const { stage, take } = heard()
    for (let i = 0; i < 3; i++) await stage.sessions.start({ user: 'ada' })
    take()
    await stage.sessions.revoke({ user: 'ada' })
    assert.deepEqual(take(), [
      { type: 'revoked-all', collection: 'sessions', labels: ['user:ada'], count: 3 },
    ])
  })

  it('a client that comes back after the end is told of, its idle and its absolute end, and nobody else', async () => {
    for (const ms of [40 * minute, 13 * 60 * minute]) {
      const { stage, take } = heard()
      const { credential, id } = await stage.sessions.start({ user: 'ada' })
      const other = await stage.sessions.start()
      const forged = `${(credential ?? '').split('.')[0] ?? ''}.${(other.credential ?? '').split('.')[1] ?? ''}`
      stage.clock.advance(ms)
      take()
      await stage.sessions.load(forged)
      assert.deepEqual(take(), [])
      assert.equal((await stage.sessions.load(credential)).isNew, true)
      assert.deepEqual(take(), [{ type: 'expired', collection: 'sessions', id, user: 'ada' }])
    }
  })

  it('by shortened settings, too; a destroyed or revoked one has not expired', async () => {
    const { stage, take } = heard()
    const { credential } = await stage.sessions.start({ user: 'ada' })
    stage.clock.advance(10 * minute)
    const shorter = stage.process({ idle: '5m' })
    take()
    assert.equal((await shorter.load(credential)).isNew, true)
    assert.deepEqual(types(take()), ['expired'])
    await stage.sessions.revoke({ user: 'ada' })
    stage.clock.advance(60 * minute)
    take()
    await stage.sessions.load(credential)
    assert.deepEqual(take(), [])
  })

  it('what an answer does not need never fails it', async () => {
    const { stage, take } = heard()
    const { credential } = await stage.sessions.start()
    stage.clock.advance(60 * minute)
    take()
    let reads = 0
    stage.plan = ({ operation }) => (operation === 'read' && ++reads === 2 ? 'fail' : undefined)
    assert.equal((await stage.sessions.load(credential)).isNew, true)
    assert.equal(reads, 2)
    assert.deepEqual(take(), [])
  })

  it('without a listener nothing is read for them', async () => {
    const stage = new Stage()
    const silent = stage.process({ onEvent: undefined as never })
    const { credential } = await silent.start()
    stage.clock.advance(60 * minute)
    const calls = await stage.callsOf(() => silent.load(credential))
    assert.equal(calls.length, 1)
  })

  it('none has a secret, a digest or an address in it', async () => {
    const events: RecordEvent[] = []
    const stage = new Stage({
      onEvent: (event) => events.push(event),
      binding: { address: { match: 'exact', policy: 'rotate' } },
      devices: '30d',
    })
    const client = { address: '192.0.2.7', agent: 'Firefox' }
    const session = await stage.sessions.start({ user: 'ada', methods: ['pwd'], client })
    const secrets = [session.credential]
    await session.rotate()
    secrets.push(session.credential)
    const moved = await stage.sessions.load(session.credential, { client: { address: '198.51.100.7' } })
    secrets.push(moved.credential)
    await moved.stepUp('otp')
    secrets.push(moved.credential)
    await stage.sessions.load(secrets[0])
    await moved.destroy()
    assert.deepEqual(
      new Set(types(events)),
      new Set(['created', 'login', 'rotated', 'suspicious', 'loaded', 'late-secret', 'revoked']),
    )
    const text = JSON.stringify(events)
    for (const secret of secrets) assert.ok(!text.includes(secret?.split('.')[1] ?? '?'))
    assert.doesNotMatch(text, /192\.0|198\.51|Firefox/)
  })
})
