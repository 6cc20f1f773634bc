/** How long sessions live, to the millisecond, and what prolongs them. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { DriverCall } from '../../packages/holdfast/src/testing/faults.ts'
import { hour, minute, Stage } from './stage.ts'

const touches = (calls: readonly DriverCall[]): number =>
  calls.filter(({ operation }) => operation === 'touch').length

describe('the lifetime of a session', () => {
  it('by default: half an hour idle, twelve hours in all [D15]', async () => {
    const { clock, sessions } = new Stage()
    const { credential, expiresAt } = await sessions.start()
    assert.equal(expiresAt, clock.now() + 33 * minute)
    clock.advance(30 * minute)
    assert.equal((await sessions.load(credential)).isNew, false)
    for (let used = 0.5; used < 11.5; used += 0.5) {
      clock.advance(30 * minute)
      assert.equal((await sessions.load(credential)).isNew, false)
    }
    clock.advance(30 * minute)
    assert.equal((await sessions.load(credential)).isNew, true)
  })

  it('it is over at its expiry and not before [K3 K5 D24 T11 C17]', async () => {
    const { clock, sessions } = new Stage({ touchEvery: 1 })
    const { credential, id, expiresAt } = await sessions.start()
    clock.advance(hour - 1)
    assert.notEqual(await sessions.get(id ?? ''), undefined)
    assert.equal((await sessions.list()).sessions.length, 1)
    clock.advance(1)
    assert.equal(clock.now(), expiresAt)
    assert.equal((await sessions.load(credential)).isNew, true)
    assert.equal(await sessions.get(id ?? ''), undefined)
    assert.equal((await sessions.list()).sessions.length, 0)
  })

  it('idle is a minimum: however uses and touches fall, it lives so long after its last use', async () => {
    for (const touchEvery of [0, 0.1, 0.5, 1]) {
      for (const firstUse of [0, 1, 5_999, 6_000, 6_001, 59_999]) {
        const { clock, sessions } = new Stage({ idle: '1m', touchEvery })
        const { credential } = await sessions.start()
        clock.advance(firstUse)
        assert.equal((await sessions.load(credential)).isNew, false)
        clock.advance(minute - 1)
        assert.equal(
          (await sessions.load(credential)).isNew,
          false,
          `touchEvery ${touchEvery}, used at ${firstUse}`,
        )
      }
    }
  })

  it('it is touched at most once per fraction of the idle timeout, and not by those who only look', async () => {
    const stage = new Stage({ idle: '10m', touchEvery: 0.1 })
    const { credential, id } = await stage.sessions.start({ user: 'ada' })
    const calls = await stage.callsOf(async () => {
      for (let i = 0; i < 30; i++) {
        stage.clock.advance(10_000)
        await stage.sessions.load(credential)
        await stage.sessions.get(id ?? '')
        await stage.sessions.list({ user: 'ada' })
      }
    })
    assert.equal(touches(calls), 5)
  })

  it('a touch says when it was last used [C2 C50]', async () => {
    const { clock, sessions } = new Stage()
    const { credential, id } = await sessions.start()
    clock.advance(20 * minute)
    await sessions.load(credential)
    assert.equal((await sessions.get(id ?? ''))?.touchedAt, clock.now())
  })

  it('use does not stretch it beyond the absolute end, and neither does saving [C22]', async () => {
    const { clock, sessions } = new Stage({ idle: '10m', absolute: '25m', touchEvery: 0 })
    const { credential } = await sessions.start({ user: 'ada' })
    const ends = clock.now() + 25 * minute
    clock.advance(9 * minute)
    const used = await sessions.load(credential)
    used.set('a', 1)
    await used.save()
    clock.advance(9 * minute)
    await used.rotate()
    assert.equal(used.expiresAt, ends)
    clock.advance(7 * minute - 1)
    const last = await sessions.load(used.credential)
    assert.equal(last.isNew, false)
    clock.advance(1)
    last.set('late', 1)
    await assert.rejects(last.save(), { code: 'HOLDFAST_SESSION_GONE' })
    assert.equal((await sessions.load(used.credential)).isNew, true)
  })

  it('the absolute end holds even where somebody moved the expiry beside it', async () => {
    const stage = new Stage({ absolute: '1h' })
    const { credential } = await stage.sessions.start()
    const [record] = await stage.records()
    assert.ok(record)
    const far = stage.clock.now() + 100 * hour
    await stage.store.touch([{ key: record.key, version: record.version, expiresAt: far, touchedAt: far }])
    stage.clock.advance(hour)
    assert.equal((await stage.sessions.load(credential)).isNew, true)
  })

  it('timeouts that are shortened count at once, for those who don’t use it and not for those who do [C24]', async () => {
    const stage = new Stage({ idle: '1h', absolute: '10h', touchEvery: 0.1 })
    const unused = await stage.sessions.start()
    const used = await stage.sessions.start()
    const shorter = stage.process({ idle: '10m' })
    for (let i = 0; i < 12; i++) {
      stage.clock.advance(minute)
      if (i < 10) assert.equal((await shorter.load(unused.credential)).isNew, false)
      assert.equal((await shorter.load(used.credential)).isNew, false, `after ${i} minutes`)
      if (i < 10) await shorter.load(unused.credential)
    }
    stage.clock.advance(11 * minute - 1)
    assert.equal((await shorter.load(used.credential)).isNew, false)
    stage.clock.advance(11 * minute)
    assert.equal((await shorter.load(used.credential)).isNew, true)
    const whole = stage.process({ idle: '1h', absolute: '20m' })
    assert.equal((await whole.load(used.credential)).isNew, true)
    assert.equal(await whole.get(used.id ?? ''), undefined)
  })

  it('a secret that is presented for the first time prolongs it as any use does', async () => {
    const { clock, sessions } = new Stage({ idle: '10m' })
    const session = await sessions.start()
    await session.rotate()
    clock.advance(10 * minute)
    assert.equal((await sessions.load(session.credential)).isNew, false)
    clock.advance(10 * minute)
    assert.equal((await sessions.load(session.credential)).isNew, false)
  })

  it('a save does not undo a touch', async () => {
    const { clock, sessions } = new Stage({ idle: '10m', touchEvery: 0 })
    const { credential } = await sessions.start()
    const slow = await sessions.load(credential)
    clock.advance(5 * minute)
    await sessions.load(credential)
    slow.set('a', 1)
    await slow.save()
    clock.advance(10 * minute - 1)
    assert.equal((await sessions.load(credential)).get('a'), 1)
  })

  it('a clock that goes back brings nothing back [C23]', async () => {
    const stage = new Stage()
    const destroyed = await stage.sessions.start()
    const { credential } = destroyed
    await destroyed.destroy()
    const expired = await stage.sessions.start()
    stage.clock.advance(3 * hour)
    const { removed } = await stage.store.sweep()
    assert.equal(removed.length, 2)
    stage.clock.set(stage.clock.now() - 3 * hour)
    assert.equal((await stage.sessions.load(credential)).isNew, true)
    assert.equal((await stage.sessions.load(expired.credential)).isNew, true)
    const alive = await stage.sessions.start()
    stage.clock.set(stage.clock.now() - hour)
    alive.set('a', 1)
    await alive.save()
    assert.equal((await stage.sessions.load(alive.credential)).get('a'), 1)
  })

  it('sweeping takes the expired after the margin, and none that lives [D49 K68 C17]', async () => {
    const stage = new Stage({ touchEvery: 0 })
    const old = await stage.sessions.start()
    stage.clock.advance(30 * minute + hour - 1)
    const young = await stage.sessions.start()
    assert.equal((await stage.store.sweep()).removed.length, 0)
    stage.clock.advance(1)
    assert.deepEqual(
      (await stage.store.sweep()).removed.map(({ key }) => key.id),
      [old.id],
    )
    assert.equal((await stage.sessions.load(young.credential)).isNew, false)
  })

  it('options that can’t be right are refused', () => {
    const wrong = [
      { idle: 0 },
      { absolute: 0 },
      { touchEvery: -0.1 },
      { touchEvery: 1.1 },
      { conflicts: 'merge' as never },
      { conflicts: { basket: 'last' as never } },
      { touchEvery: Number.NaN },
      { prefix: '' },
      { prefix: 'a.b' },
      { idle: '30' as never },
      { idle: -1 },
      { grace: '1 m' as never },
      { revocationBound: 0 },
    ]
    for (const options of wrong) {
      assert.throws(
        () => new Stage(options),
        /HOLDFAST|InvalidOption|InvalidDuration/,
        JSON.stringify(options),
      )
    }
  })

  it('every time zone agrees [K27 T25 D25]', async () => {
    const program = fileURLToPath(new URL('time-zone.ts', import.meta.url))
    const zones = ['Pacific/Pago_Pago', 'UTC', 'Australia/Adelaide', 'Europe/Berlin', 'Pacific/Kiritimati']
    const answers = await Promise.all(
      zones.map(async (TZ) => {
        const { stdout } = await promisify(execFile)(process.execPath, [program], {
          env: { ...process.env, TZ },
        })
        return JSON.parse(stdout) as { zone: string; alive: readonly boolean[] }
      }),
    )
    assert.deepEqual(
      answers.map(({ zone }) => zone),
      zones,
    )
    for (const { alive } of answers) assert.deepEqual(alive, [true, false, true, false])
  })
})
