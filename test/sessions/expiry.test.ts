/** An expiry of a session's own: what it means, to the millisecond, and what it can't do. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { memoryDriver, Memory } from '../../packages/holdfast/src/drivers/memory.ts'
import type { Duration } from '../../packages/holdfast/src/duration.ts'
import type { Expiry } from '../../packages/holdfast/src/sessions/expiry.ts'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { type ProcessMemory, processMemory, tiered } from '../../packages/holdfast/src/store/tiers/tiered.ts'
import { withFaults } from '../../packages/holdfast/src/testing/faults.ts'
import { type FakeClock, fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { hour, minute, Stage } from './stage.ts'

const second = 1_000
const day = 24 * hour

/** Each use counts at once, so that every end is exact. */
const exact: SessionsOptions = { idle: '30m', absolute: '12h', touchEvery: 0 }

async function expiring(stage: Stage, expiry: Expiry): Promise<Session> {
  const session = await stage.sessions.start({ data: { a: 1 } })
  session.setExpiry(expiry)
  await session.save()
  return session
}

async function isAlive(stage: Stage, { credential }: Session): Promise<boolean> {
  return !(await stage.sessions.load(credential, { keepAlive: false })).isNew
}

describe('an expiry of its own', () => {
  it('a number of milliseconds or a duration slides: it is measured from each use [D18 D20 T4]', async () => {
    for (const expiry of [10 * minute, '10m', '600s', '600000ms'] as const) {
      const stage = new Stage(exact)
      const session = await expiring(stage, expiry)
      assert.equal(session.expiryAge(), 10 * minute)
      assert.equal(session.expiresAt, stage.clock.now() + 10 * minute)
      for (let used = 0; used < 5; used++) {
        stage.clock.advance(10 * minute - 1)
        assert.equal((await stage.sessions.load(session.credential)).isNew, false)
      }
      stage.clock.advance(10 * minute - 1)
      assert.equal(await isAlive(stage, session), true)
      stage.clock.advance(1)
      assert.equal(await isAlive(stage, session), false)
    }
  })

  it('a date is fixed: no use moves it, and it survives being stored [D19 D22]', async () => {
    const stage = new Stage(exact)
    const end = new Date(stage.clock.now() + 2 * hour)
    const session = await expiring(stage, end)
    const other = await stage.sessions.load(session.credential)
    assert.deepEqual([other.expiryAge(), other.expiryDate(), other.expiresAt], [2 * hour, end, end.getTime()])
    for (let used = 0; used < 8; used++) {
      stage.clock.advance(15 * minute - 1)
      const again = await stage.sessions.load(session.credential)
      assert.deepEqual([again.isNew, again.expiresAt], [false, end.getTime()])
      again.set('used', used)
      await again.save()
    }
    stage.clock.set(end.getTime() - 1)
    assert.equal(await isAlive(stage, session), true)
    stage.clock.set(end.getTime())
    assert.equal(await isAlive(stage, session), false)
  })

  it('0 ends it with the browser, and its age is the default’s [D17 D23]', async () => {
    for (const expiry of [0, '0s', -0] as const) {
      const stage = new Stage(exact)
      const session = await expiring(stage, expiry)
      const again = await stage.sessions.load(session.credential)
      assert.equal(again.endsWithBrowser, true)
      assert.deepEqual([again.expiryAge(), again.expiresAt], [30 * minute, stage.clock.now() + 30 * minute])
      stage.clock.advance(30 * minute - 1)
      assert.equal(await isAlive(stage, session), true)
      stage.clock.advance(1)
      assert.equal(await isAlive(stage, session), false)
    }
  })

  it('null drops it: the default counts again [D16]', async () => {
    const stage = new Stage(exact)
    for (const expiry of [hour, 0, new Date(stage.clock.now() + hour)] as const) {
      const session = await expiring(stage, expiry)
      session.setExpiry(null)
      assert.deepEqual([session.expiryAge(), session.endsWithBrowser], [30 * minute, false])
      await session.save()
      const again = await stage.sessions.load(session.credential)
      assert.deepEqual([again.expiryAge(), again.expiresAt], [30 * minute, stage.clock.now() + 30 * minute])
    }
  })

  it('what is in the past is over at once, and nothing brings it back [D20 D24 T11]', async () => {
    const stage = new Stage(exact)
    for (const expiry of [-1, -day, new Date(stage.clock.now()), new Date(0), new Date(-day)] as const) {
      const session = await expiring(stage, expiry)
      assert.ok(session.expiryAge() <= 0)
      const next = await stage.sessions.load(session.credential)
      assert.deepEqual([next.isNew, next.data], [true, {}], String(expiry))
      assert.equal(await stage.sessions.get(session.id ?? ''), undefined)
      session.set('late', 1)
      await assert.rejects(session.save(), { code: 'HOLDFAST_SESSION_GONE' })
    }
    const session = stage.sessions.open(undefined)
    session.set('a', 1)
    session.setExpiry(-5)
    await session.save()
    assert.equal(await isAlive(stage, session), false)
  })

  it('what is no expiry is refused [T4]', async () => {
    const session = await new Stage().sessions.start()
    const wrong = [new Date(Number.NaN), '10', 'soon', 1.5, Number.NaN, Infinity, -Infinity, '1 m', '', '-1m']
    for (const expiry of wrong) {
      assert.throws(
        () => session.setExpiry(expiry as never),
        /HOLDFAST_INVALID|Invalid(Expiry|Duration)|must be/,
      )
    }
    assert.equal(session.modified, false)
  })

  it('its age and its date are asked for with both arguments, also before it is loaded [D20 D21 D22]', async () => {
    const stage = new Stage(exact)
    const now = stage.clock.now()
    const { credential } = await expiring(stage, '2h')
    const session = stage.sessions.open(credential)
    const calls = await stage.callsOf(async () => {
      assert.equal(session.expiryAge({ expiry: null }), 30 * minute)
      assert.equal(session.expiryAge({ expiry: 0 }), 30 * minute)
      assert.equal(session.expiryAge({ expiry: '1h' }), hour)
      assert.equal(session.expiryAge({ expiry: -5 }), -5)
      const modification = now - 10 * minute
      assert.equal(session.expiryAge({ expiry: new Date(now), modification }), 10 * minute)
      assert.equal(session.expiryAge({ expiry: new Date(now), modification: new Date(now + day) }), -day)
      assert.deepEqual(session.expiryDate({ expiry: '1h', modification }), new Date(modification + hour))
      assert.deepEqual(session.expiryDate({ expiry: new Date(now + 7) }), new Date(now + 7))
      assert.deepEqual(session.expiryDate({ expiry: null }), new Date(now + 30 * minute))
      assert.throws(() => session.expiryAge({ modification }), { code: 'HOLDFAST_SESSION_NOT_LOADED' })
    })
    assert.deepEqual(calls, [])
    await session.load()
    assert.equal(session.expiryAge(), 2 * hour)
    assert.equal(session.expiryAge({ expiry: null }), 30 * minute)
    assert.deepEqual(session.expiryDate({ modification: new Date(now + 5) }), new Date(now + 5 + 2 * hour))
  })

  it('whether it ends with the browser is its own to say, then the settings’ [D23]', async () => {
    const stage = new Stage({ ...exact, browserClose: true })
    assert.equal((await stage.sessions.start()).endsWithBrowser, true)
    assert.equal((await expiring(stage, null)).endsWithBrowser, true)
    assert.equal((await expiring(stage, hour)).endsWithBrowser, false)
    assert.equal((await expiring(stage, new Date(stage.clock.now() + hour))).endsWithBrowser, false)
    assert.equal((await expiring(new Stage(exact), 0)).endsWithBrowser, true)
    assert.equal((await new Stage(exact).sessions.start()).endsWithBrowser, false)
    assert.equal((await stage.sessions.start({ user: 'ada', remember: true })).endsWithBrowser, false)
  })

  it('never goes beyond the absolute timeout [C22]', async () => {
    for (const expiry of ['30d', new Date(Date.UTC(2026, 5, 1))] as const) {
      const stage = new Stage({ ...exact, absolute: '1h' })
      const session = await expiring(stage, expiry)
      assert.equal(session.expiresAt, stage.clock.now() + hour)
      stage.clock.advance(hour - 1)
      assert.equal((await stage.sessions.load(session.credential)).isNew, false)
      stage.clock.advance(1)
      assert.equal((await stage.sessions.load(session.credential)).isNew, true)
    }
  })

  it('is set together with the data, in one write, and kept for the first save of a new session [D19]', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.load(undefined)
    session.setExpiry('1h')
    await session.save()
    assert.equal(session.isNew, true, 'an expiry alone is nothing to store')
    session.set('a', 1)
    const first = await stage.callsOf(() => session.save())
    assert.equal(first.filter(({ writes }) => writes).length, 1)
    assert.equal(session.expiresAt, stage.clock.now() + hour)
    session.set('a', 2)
    session.setExpiry('2h')
    const second = await stage.callsOf(() => session.save())
    assert.deepEqual(
      second.map(({ operation }) => operation),
      ['replace'],
    )
    assert.equal((await stage.sessions.load(session.credential)).expiresAt, stage.clock.now() + 2 * hour)
  })

  it('that could not be saved is unsaved again', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start()
    session.setExpiry('2h')
    stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
    await assert.rejects(session.save(), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    assert.deepEqual([session.modified, session.expiryAge()], [true, 2 * hour])
    await session.save()
    assert.equal(session.expiresAt, stage.clock.now() + 2 * hour)
  })

  it('holds for other requests too: their saves and touches neither stretch nor undo it', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ data: { a: 1 } })
    const before = await stage.sessions.load(session.credential)
    session.setExpiry('5m')
    await session.save()
    before.set('b', 1)
    await before.save()
    assert.equal(before.expiresAt, stage.clock.now() + 5 * minute)
    stage.clock.advance(4 * minute)
    await stage.sessions.load(session.credential)
    stage.clock.advance(5 * minute)
    assert.equal(await isAlive(stage, session), false)
  })

  it('that is nonsense in the store is no session, and never valid for ever', async () => {
    const stage = new Stage({ ...exact, absolute: 'never' })
    for (const expiry of ['tomorrow', {}, [], [1], true, 'NaN']) {
      const { credential, id } = await expiring(stage, '1h')
      const record = (await stage.records()).find(({ key }) => key.id === id)
      assert.ok(record)
      const stored = JSON.parse(Buffer.from(record.value).toString()) as { facts: object }
      const value = Buffer.from(JSON.stringify({ ...stored, facts: { ...stored.facts, expiry } }))
      const { key, version: expected } = record
      const written = await stage.store.replace({ key, expected, expiresAt: never, value })
      assert.equal(written.status, 'done')
      assert.equal((await stage.sessions.load(credential)).isNew, true, JSON.stringify(expiry))
    }
  })
})

describe('a shortened expiry', () => {
  it('really ends it earlier, and its tombstone outlives the later end', async () => {
    const stage = new Stage({ ...exact, absolute: '10h', retention: '30d' })
    const session = await expiring(stage, '8h')
    const later = stage.clock.now() + 8 * hour
    session.setExpiry('1m')
    await session.save()
    assert.equal(session.expiresAt, stage.clock.now() + minute)
    await session.destroy()
    const [tombstone] = await stage.records()
    assert.equal(tombstone?.expiresAt, later)
  })

  it('ends it in every process that has a copy, as soon as the save is answered', async () => {
    const shared = new Memory()
    const caches: Readonly<Record<string, (clock: FakeClock) => Store | ProcessMemory>> = {
      'the memory of each process': () => processMemory(),
      'a cache that they share': (clock: FakeClock) => guard(memoryDriver({ memory: shared }), { clock }),
    }
    for (const [name, cache] of Object.entries(caches)) {
      const clock = fakeClock({ sleeps: 'instant' })
      const memory = new Memory()
      const processes = await Promise.all(
        [0, 1].map(async () => {
          const truth = withFaults(memoryDriver({ memory }), { declare: { watch: false, shared: true } })
          const store = tiered(cache(clock), guard(truth, { clock }), { bound: '5s' })
          await store.open()
          return new Sessions(store, exact)
        }),
      )
      const [one, two] = processes as [Sessions, Sessions]
      const { credential } = await one.start({ data: { a: 1 } })
      for (const sessions of [one, two, one, two])
        assert.equal((await sessions.load(credential)).isNew, false)
      const session = await one.load(credential)
      session.setExpiry('1m')
      await session.save()
      for (const sessions of [one, two]) {
        const copy = await sessions.load(credential, { keepAlive: false })
        assert.equal(copy.expiresAt, session.expiresAt, name)
      }
      clock.set(Number(session.expiresAt))
      for (const sessions of [one, two]) assert.equal((await sessions.load(credential)).isNew, true, name)
    }
  })
})

describe('refresh', () => {
  it('prolongs at once, and stores the changes in the same write [T6]', async () => {
    const stage = new Stage({ ...exact, touchEvery: 0.5 })
    const session = await stage.sessions.start()
    stage.clock.advance(minute)
    session.set('a', 1)
    const calls = await stage.callsOf(() => session.refresh())
    assert.deepEqual(
      calls.map(({ operation }) => operation),
      ['replace'],
    )
    assert.equal(session.expiresAt, stage.clock.now() + 45 * minute)
    assert.equal((await stage.sessions.load(session.credential)).get('a'), 1)
  })

  it('stores an expiry of its own with it, a shorter one too', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start()
    session.setExpiry('5m')
    await session.refresh()
    assert.equal(session.expiresAt, stage.clock.now() + 5 * minute)
  })

  it('for a while, longer or shorter, for this once; the next use prolongs as ever [T6]', async () => {
    for (const [duration, ms] of [
      ['2h', 2 * hour],
      [5 * minute, 5 * minute],
    ] as readonly (readonly [Duration, number])[]) {
      const stage = new Stage(exact)
      const session = await stage.sessions.start({ data: { a: 1 } })
      await session.refresh(duration)
      assert.equal(session.expiresAt, stage.clock.now() + ms)
      stage.clock.advance(ms - 1)
      const used = await stage.sessions.load(session.credential)
      assert.equal(used.isNew, false)
      stage.clock.advance(30 * minute - 1)
      assert.equal(await isAlive(stage, session), true)
      stage.clock.advance(1)
      assert.equal(await isAlive(stage, session), false)
    }
  })

  it('for a shorter while than a use needs no prolonging: whoever uses it meanwhile keeps it', async () => {
    const stage = new Stage({ idle: '30m' })
    const session = await stage.sessions.start({ data: { a: 1 } })
    await session.refresh('2m')
    for (let uses = 0; uses < 30; uses++) {
      stage.clock.advance(10_000)
      assert.equal((await stage.sessions.load(session.credential)).isNew, false, `use ${uses}`)
    }
    const calls = await stage.callsOf(() => stage.sessions.load(session.credential))
    assert.deepEqual(
      calls.filter(({ writes }) => writes),
      [],
    )
  })

  it('0 ends it, and is not taken for nothing given [T6]', async () => {
    const stage = new Stage(exact)
    for (const duration of [0, '0s'] as const) {
      const session = await stage.sessions.start({ data: { a: 1 } })
      await session.refresh(duration)
      assert.equal(await isAlive(stage, session), false)
      await assert.rejects(session.refresh('1h'), { code: 'HOLDFAST_SESSION_GONE' })
      const ended = stage.happenings.filter(({ type }) => type === 'revoked')
      assert.deepEqual(ended.at(-1), {
        type: 'revoked',
        collection: 'sessions',
        id: session.id,
        why: 'expired at once',
      })
    }
  })

  it('0, or an expiry in the past, ends it for good: a creation that was delayed on its way does not bring it back', async () => {
    const ends: readonly ((session: Session) => Promise<void>)[] = [
      (session) => session.refresh(0),
      (session) => {
        session.setExpiry(-1)
        return session.save()
      },
    ]
    for (const end of ends) {
      const stage = new Stage(exact)
      let creates = 0
      stage.plan = ({ operation }) => (operation === 'create' && ++creates === 1 ? 'late' : undefined)
      const session = await stage.sessions.start({ user: 'ada' })
      await end(session)
      await stage.driver.deliverLate()
      assert.equal(await isAlive(stage, session), false)
      assert.deepEqual((await stage.sessions.list({ user: 'ada' })).sessions, [])
    }
  })

  it('without a duration never shortens what one with a duration has given', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start()
    await session.refresh('2h')
    const { expiresAt } = session
    await session.refresh()
    assert.equal(session.expiresAt, expiresAt)
  })

  it('never goes beyond the absolute timeout, refuses what is no duration, and does nothing for a new session', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start()
    await session.refresh('30d')
    assert.equal(session.expiresAt, session.endsAt)
    await assert.rejects(session.refresh(-1), { code: 'HOLDFAST_INVALID_DURATION' })
    const fresh = stage.sessions.open(undefined)
    await fresh.refresh('1h')
    assert.equal(fresh.isNew, true)
  })
})

describe('who asked to be remembered', () => {
  const options: SessionsOptions = {
    ...exact,
    browserClose: true,
    remember: { idle: '14d', absolute: '30d' },
  }

  it('has the longer timeouts, each from its own limit [C19]', async () => {
    const stage = new Stage(options)
    const short = await stage.sessions.start({ user: 'ada' })
    const long = await stage.sessions.start({ user: 'ada', remember: true })
    assert.deepEqual([short.endsWithBrowser, long.endsWithBrowser], [true, false])
    assert.equal(long.endsAt, stage.clock.now() + 30 * day)
    stage.clock.advance(14 * day - 1)
    assert.deepEqual([await isAlive(stage, short), await isAlive(stage, long)], [false, true])
    await stage.sessions.load(long.credential)
    stage.clock.advance(14 * day - 1)
    await stage.sessions.load(long.credential)
    stage.clock.advance(2 * day + 1)
    assert.equal(await isAlive(stage, long), true)
    stage.clock.advance(1)
    assert.equal(await isAlive(stage, long), false, 'the absolute end')
  })

  it('a login without it ends that, on the same session', async () => {
    const stage = new Stage(options)
    const session = await stage.sessions.start({ user: 'ada', remember: true })
    await session.login('ada')
    assert.deepEqual([session.endsWithBrowser, session.expiryAge()], [true, 30 * minute])
    assert.equal(session.expiresAt, stage.clock.now() + 30 * minute)
    assert.equal(session.endsAt, stage.clock.now() + 12 * hour)
    await session.login('ada', { remember: true })
    assert.deepEqual([session.expiryAge(), session.expiresAt], [14 * day, stage.clock.now() + 14 * day])
  })

  it('shorter settings count for them at once, and the others’ settings never [C24 C19]', async () => {
    const stage = new Stage(options)
    const session = await stage.sessions.start({ user: 'ada', remember: true })
    const shorter = stage.process({ ...options, remember: { idle: '1d', absolute: '30d' } })
    const others = stage.process({ ...options, idle: '1m', absolute: '2m' })
    stage.clock.advance(day - 1)
    assert.equal((await shorter.load(session.credential, { keepAlive: false })).isNew, false)
    stage.clock.advance(1)
    assert.equal((await shorter.load(session.credential, { keepAlive: false })).isNew, true)
    assert.equal((await others.load(session.credential, { keepAlive: false })).isNew, false)
  })

  it('a login that fails leaves nothing of it', async () => {
    const stage = new Stage(options)
    const session = await stage.sessions.start({ data: { a: 1 } })
    stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
    await assert.rejects(session.login('ada', { remember: true, methods: ['pwd'] }), {
      code: 'HOLDFAST_STORE_UNAVAILABLE',
    })
    stage.plan = () => undefined
    assert.deepEqual([session.modified, session.methods, session.endsWithBrowser], [false, {}, true])
    session.set('a', 2)
    await session.save()
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual([again.methods, again.user, again.endsWithBrowser], [{}, undefined, true])
  })
})

describe('a request that is no use', () => {
  const still = { keepAlive: false } as const

  it('keeps nothing alive: not by loading, saving or updating, nor with a new secret', async () => {
    const stage = new Stage({ ...exact, rotateEvery: '5m' })
    const started = await stage.sessions.start({ data: { a: 1 } })
    const { expiresAt } = started
    stage.clock.advance(10 * minute)
    let { credential } = started
    const steps: readonly ((session: Session) => Promise<unknown>)[] = [
      () => Promise.resolve(),
      (session) => {
        session.set('b', 1)
        return session.save()
      },
      (session) =>
        session.update((data) => {
          data['c'] = 1
        }),
      (session) => session.rotate(),
      // The successor is presented for the first time: its predecessor's window opens.
      () => Promise.resolve(),
      (session) => session.cycleKey(),
    ]
    for (const step of steps) {
      stage.clock.advance(second)
      const session = await stage.sessions.load(credential, still)
      await step(session)
      ;({ credential } = session)
      const info = await stage.sessions.get(session.id ?? '')
      assert.deepEqual(
        [info?.expiresAt, info?.touchedAt],
        [expiresAt, Number(expiresAt) - 30 * minute],
        String(step),
      )
    }
    stage.clock.set(Number(expiresAt))
    assert.equal((await stage.sessions.load(credential)).isNew, true)
  })

  it('opens the windows all the same: the old secret ends when the grace is over', async () => {
    const stage = new Stage({ ...exact, grace: '1m' })
    const session = await stage.sessions.start()
    const { credential: old } = session
    await session.rotate()
    await stage.sessions.load(session.credential, still)
    stage.clock.advance(minute - 1)
    assert.equal((await stage.sessions.load(old, still)).credential, session.credential)
    stage.clock.advance(1)
    assert.equal((await stage.sessions.load(old, still)).isNew, true)
  })

  it('may prolong on purpose', async () => {
    const stage = new Stage(exact)
    const { credential } = await stage.sessions.start()
    stage.clock.advance(minute)
    const session = await stage.sessions.load(credential, still)
    await session.refresh()
    assert.equal(session.expiresAt, stage.clock.now() + 30 * minute)
  })
})

describe('every time zone', () => {
  it('has the same ages and ends, over changes of the clocks too [D25 K27 T25]', async () => {
    const program = fileURLToPath(new URL('expiry-zone.ts', import.meta.url))
    const zones = ['Pacific/Pago_Pago', 'UTC', 'Europe/Berlin', 'America/New_York', 'Pacific/Kiritimati']
    const answers = await Promise.all(
      zones.map(async (TZ) => {
        const env = { ...process.env, TZ }
        const { stdout } = await promisify(execFile)(process.execPath, [program], { env })
        return JSON.parse(stdout) as { zone: string; answer: unknown }
      }),
    )
    assert.deepEqual(
      answers.map(({ zone }) => zone),
      zones,
    )
    // Two days over each change of the clocks, in spring and in autumn.
    const expected = { ages: [2 * day, 2 * day], alive: [true, false, true, false] }
    for (const { zone, answer } of answers) assert.deepEqual(answer, expected, zone)
  })
})
