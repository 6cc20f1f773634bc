/** What is kept of devices for "your sessions" pages: for as long as was said, and not a day longer. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { hour, Stage } from './stage.ts'

const day = 24 * hour
const client = { address: '192.0.2.7', agent: 'Firefox' }
const other = { address: '198.51.100.7', agent: 'Firefox' }
const options = { idle: '60d', absolute: '90d', touchEvery: 0, devices: '30d' } as const

async function stored(stage: Stage): Promise<string> {
  return (await stage.records()).map(({ value }) => Buffer.from(value).toString()).join()
}

async function saved(session: Session): Promise<void> {
  session.set('n', Math.random())
  await session.save()
}

describe('the device of a session', () => {
  it('is not kept unless it was asked for', async () => {
    const stage = new Stage({ ...options, devices: 0 })
    const { credential, id = '' } = await stage.sessions.start({ user: 'ada', client })
    const session = await stage.sessions.load(credential, { client })
    await saved(session)
    await session.login('ada')
    assert.equal(session.device, undefined)
    assert.equal('device' in ((await stage.sessions.get(id)) ?? {}), false)
    assert.doesNotMatch(await stored(stage), /192\.0\.2|Firefox/)
  })

  it('is shown in lists and on the session: where it was opened, and where it was last saved from', async () => {
    const stage = new Stage(options)
    const started = await stage.sessions.start({ user: 'ada', client })
    const at = stage.clock.now()
    assert.deepEqual(started.device, { ...client, at })
    stage.clock.advance(hour)
    await saved(await stage.sessions.load(started.credential, { client }))
    assert.deepEqual(
      (await stage.sessions.list({ user: 'ada' })).sessions[0]?.device,
      { ...client, at },
      'the same',
    )
    const moved = await stage.sessions.load(started.credential, { client: other })
    await saved(moved)
    const expected = { ...other, at: at + hour }
    assert.deepEqual(moved.device, expected)
    assert.deepEqual((await stage.sessions.get(started.id ?? ''))?.device, expected)
  })

  it('is gone from lists when the time has passed to the millisecond, and from the record at the next save', async () => {
    for (const write of ['save', 'update', 'rotate'] as const) {
      const stage = new Stage(options)
      const { credential, id = '' } = await stage.sessions.start({ user: 'ada', client })
      stage.clock.advance(30 * day - 1)
      assert.deepEqual((await stage.sessions.get(id))?.device?.address, client.address)
      stage.clock.advance(1)
      assert.equal((await stage.sessions.get(id))?.device, undefined)
      const session = await stage.sessions.load(credential, { keepAlive: false })
      assert.equal(session.device, undefined)
      assert.match(await stored(stage), /192\.0\.2\.7/)
      if (write === 'save') await saved(session)
      else if (write === 'rotate') await session.rotate()
      else await session.update((data) => (data['n'] = 1))
      assert.doesNotMatch(await stored(stage), /192\.0\.2\.7|Firefox/, write)
    }
  })

  it('is kept no longer in a session that is only read: a use notes it anew, or takes it away', async () => {
    const stage = new Stage({ ...options, devices: '7d' })
    const { credential, id = '' } = await stage.sessions.start({ user: 'ada', client })
    const started = stage.clock.now()
    const calls = await stage.callsOf(async () => {
      for (let days = 0; days < 7; days++) {
        stage.clock.advance(day)
        assert.equal((await stage.sessions.load(credential, { client: other })).user, 'ada')
      }
    })
    assert.equal(calls.filter(({ operation }) => operation === 'replace').length, 1, 'the rest are touches')
    assert.equal(calls.filter(({ operation }) => operation === 'touch').length, 6)
    const at = started + 7 * day
    assert.deepEqual((await stage.sessions.get(id))?.device, { ...other, at })
    assert.doesNotMatch(await stored(stage), /192\.0\.2\.7/)
    assert.deepEqual(
      (await stage.records()).map(({ touchedAt, expiresAt }) => [touchedAt, expiresAt]),
      [[at, at + 60 * day]],
    )
    stage.clock.advance(7 * day)
    assert.equal((await stage.sessions.load(credential)).device, undefined)
    assert.doesNotMatch(await stored(stage), /198\.51\.100|Firefox/)
  })

  it('that could not be put right turns nobody away', async () => {
    const stage = new Stage(options)
    const { credential } = await stage.sessions.start({ user: 'ada', client })
    stage.clock.advance(30 * day)
    stage.plan = ({ writes }) => (writes ? 'fail' : undefined)
    assert.equal((await stage.sessions.load(credential, { client })).user, 'ada')
    assert.deepEqual(
      stage.events.map(({ type }) => type),
      ['touch-failed'],
    )
  })

  it('is noted anew by a save when it was kept for long enough, and goes when it is not kept any more', async () => {
    const stage = new Stage(options)
    const { credential, id = '' } = await stage.sessions.start({ user: 'ada', client })
    stage.clock.advance(30 * day)
    await saved(await stage.sessions.load(credential, { client }))
    assert.deepEqual((await stage.sessions.get(id))?.device, { ...client, at: stage.clock.now() })
    const without = stage.process({ ...options, devices: 0 })
    assert.equal((await without.get(id))?.device, undefined)
    await saved(await without.load(credential, { client }))
    assert.doesNotMatch(await stored(stage), /192\.0\.2\.7/)
  })

  it('is no place to fill the store from', async () => {
    const stage = new Stage(options)
    const { device } = await stage.sessions.start({
      client: { agent: 'x'.repeat(100_000), address: 'y'.repeat(9_000) },
    })
    assert.deepEqual([device?.agent?.length, device?.address?.length], [512, 512])
  })
})
