/** The driver: how records lie in Memcached, when the server drops them, what is promised and what is refused. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, it } from 'node:test'
import {
  type MemcachedClient,
  type MemcachedServerReport,
  memcachedStore,
  openMemcachedStore,
} from '../../packages/holdfast/src/drivers/memcached.ts'
import {
  ClockSkew,
  InvalidOption,
  NotSupported,
  RecordCorrupt,
  StoreMisconfigured,
  ValueTooLarge,
} from '../../packages/holdfast/src/errors.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { Tokens } from '../../packages/holdfast/src/tokens/tokens.ts'
import { Bench } from './memcached/bench.ts'
import { PrivateServer, privateServer, skipPrivate } from './memcached/servers.ts'
import { targets } from './memcached/targets.ts'
import { atEnd } from './redis/ending.ts'
import { until } from '../until.ts'

const hour = 3_600_000
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('value')
const [single] = targets
const skip = single?.skip ?? 'no target'
const server = new PrivateServer(Number(single?.servers[0]?.split(':')[1]), [])

describe('Memcached, records', { skip }, () => {
  it('are one item each, which the server drops twice the margin after their expiry [K55 K60 T20]', async (t) => {
    const bench = new Bench(t, single?.servers ?? [])
    const store = bench.store({ margin: '90s' })
    /** Seconds until the server drops it. */
    const remaining = async (id: string): Promise<number> =>
      Number(/ t(-?\d+)/.exec(await server.ask(`mg ${bench.namespace}:sessions/${id} t\r\n`))?.[1])
    const now = Date.now()
    // Beyond thirty days Memcached takes a number of seconds for a date, and the other way round.
    for (const [id, days] of Object.entries({ day: 1, month: 31, years: 800 })) {
      await store.create({ key: { ...key, id }, value, expiresAt: now + days * 24 * hour + 5 })
      const expected = days * 24 * 3_600 + 180
      const kept = await remaining(id)
      assert.ok(Math.abs(kept - expected) <= 5, `${id} is kept for ${kept} s, not ${expected}`)
    }
    await store.create({ key: { ...key, id: 'never' }, value, expiresAt: never })
    assert.equal(await remaining('never'), -1)
    // The server counts seconds in 32 bits: what is beyond them must not be dropped at once.
    await store.create({ key: { ...key, id: 'distant' }, value, expiresAt: 2 ** 31 * 1_000 + 1 })
    assert.equal(await remaining('distant'), -1)
    const read = await store.read({ ...key, id: 'day' })
    assert.equal(read?.expiresAt, now + 24 * hour + 5, 'the record itself knows the millisecond')
    await store.touch([{ key: read.key, version: read.version, expiresAt: now + 48 * hour }])
    assert.ok(Math.abs((await remaining('day')) - (48 * 3_600 + 180)) <= 5)
    const shortened = { expected: read.version, value, expiresAt: now + hour, setsExpiry: true }
    await store.replace({ key: read.key, ...shortened })
    assert.ok(Math.abs((await remaining('day')) - (3_600 + 180)) <= 5)
  })

  it('are dropped by the server without a sweep, which has nothing to do [K50 D45 T23]', async (t) => {
    const store = new Bench(t, single?.servers ?? []).store({ margin: 1_000 })
    const expiresAt = Date.now() + 800
    await store.create({ key, value, expiresAt })
    await delay(850)
    assert.equal(await store.read(key), undefined)
    assert.ok(await store.read(key, { expired: true }), 'kept for those who ask for it')
    assert.deepEqual(await store.sweep(), { removed: [] })
    await until('it is dropped', async () => (await store.read(key, { expired: true })) === undefined)
    assert.ok(Date.now() >= expiresAt + 2_000, 'not before twice the margin has passed')
  })

  it('hold labels with line feeds and any other Unicode, and a value that looks like a record', async (t) => {
    const store = new Bench(t, single?.servers ?? []).store()
    const labels = ['a:\n', 'b:\u0001\n\n', 'c:é😀', 'd: x y']
    await store.create({ key, value, labels, expiresAt: never })
    const first = await store.read(key)
    assert.deepEqual(first?.labels, labels)
    const nested = Buffer.from('holdfast1 1.a 5 5 0\n\nx')
    await store.replace({ key, expected: first.version, value: nested, expiresAt: never })
    const second = await store.read(key)
    assert.deepEqual([second?.labels, Buffer.from(second?.value ?? [])], [labels, nested])
  })

  it('that something else has overwritten are corrupt, never valid and never absent [K6 K42]', async (t) => {
    const bench = new Bench(t, single?.servers ?? [])
    const client = bench.client()
    const store = bench.store({}, client)
    const whole = 'holdfast1 1.a 9007199254740991 5 0\nvalue'
    assert.equal(await readAs(whole), 'value')
    const foreign = [
      '',
      'something else',
      '\n',
      whole.replace('holdfast1', 'holdfast2'),
      whole.replace('9007199254740991', ''),
      whole.replace('9007199254740991', '1e3'),
      whole.replace(' 5 0', ' 5'),
      whole.replace(' 5 0', ' 5 0 0'),
      whole.replace(' 0\n', ' 7\n'),
    ]
    for (const item of foreign) await assert.rejects(readAs(item), RecordCorrupt, JSON.stringify(item))

    async function readAs(item: string): Promise<string> {
      await client.set(`${bench.namespace}:sessions/a`, Buffer.from(item))
      return Buffer.from((await store.read(key))?.value ?? []).toString()
    }
  })

  it('keep every change of many writers: touches between saves, and saves of each other [D29]', async (t) => {
    const bench = new Bench(t, single?.servers ?? [])
    const [one, other] = [bench.store(), bench.store()]
    const expiresAt = Date.now() + hour
    await one.create({ key, value: Buffer.from('0'), expiresAt })
    const increment = async (store = one): Promise<void> => {
      for (;;) {
        const found = await store.read(key)
        assert.ok(found)
        const next = Buffer.from(String(Number(Buffer.from(found.value).toString()) + 1))
        const written = await store.replace({ key, expected: found.version, value: next, expiresAt })
        const prolonged = { key, version: found.version, expiresAt: expiresAt + 1 }
        await store.touch([
          written.status === 'done' ? { ...prolonged, version: written.version } : prolonged,
        ])
        if (written.status === 'done') return
      }
    }
    await Promise.all(Array.from({ length: 10 }, (_, i) => increment(i % 2 ? one : other)))
    const found = await one.read(key)
    assert.equal(Buffer.from(found?.value ?? []).toString(), '10')
    assert.equal(found?.expiresAt, expiresAt + 1)
  })

  it('that have expired are taken over by one creator only', async (t) => {
    const bench = new Bench(t, single?.servers ?? [])
    const clock = fakeClock({ start: Date.now() })
    const stores = Array.from({ length: 4 }, () => bench.store({ clock }))
    await Promise.all(stores.map((store) => store.open()))
    await stores[0]?.create({ key, value, expiresAt: clock.now() + 5 })
    clock.advance(5)
    const drafts = stores.map((store) => store.create({ key, value, expiresAt: clock.now() + hour }))
    const statuses = (await Promise.all(drafts)).map(({ status }) => status)
    assert.deepEqual(statuses.toSorted(), ['conflict', 'conflict', 'conflict', 'done'])
  })
})

describe('Memcached, what it promises', { skip }, () => {
  it('warns, as the only store, that it may drop what it holds', async (t) => {
    const bench = new Bench(t, single?.servers ?? [])
    await bench.store({ role: 'cache' }).open()
    const warned = once(process, 'warning') as Promise<[Error & { code: string }]>
    const { description, capabilities } = await bench.store({ role: 'truth' }).open()
    const [warning] = await warned
    assert.equal(warning.code, 'HOLDFAST_MAY_FORGET')
    assert.match(description, /^Memcached 1\.\d+\.\d+ at 127\.0\.0\.1:\d+, a cache that may drop any record$/)
    assert.ok(warning.message.startsWith(description))
    assert.deepEqual(capabilities.durable, { process: true, machine: false, failover: false })
    let again = 0
    const count = (): void => {
      again++
    }
    process.on('warning', count)
    atEnd(t, () => void process.off('warning', count))
    await bench.store({ role: 'truth' }).open()
    await delay(10)
    assert.equal(again, 0, 'once is enough')
  })

  for (const listing of ['none', 'partial'] as const) {
    it(`keeps sessions and tokens, and refuses to revoke by user: listing ${listing}`, async (t) => {
      const bench = new Bench(t, single?.servers ?? [])
      const sessions = new Sessions(bench.store({ listing }))
      const session = await sessions.start({ user: 'ada', data: { cart: 1 } })
      await assert.rejects(sessions.revoke({ user: 'ada' }), NotSupported)
      const loaded = await sessions.load(session.credential)
      assert.equal(loaded.get('cart'), 1, 'a revocation that was refused has revoked nothing')
      assert.equal(await sessions.logout(String(session.credential)), true)
      assert.equal((await sessions.load(session.credential)).get('cart'), undefined)
      const tokens = new Tokens(bench.store({ listing }))
      const { token } = await tokens.issue({ user: 'ada' })
      await assert.rejects(tokens.revokeAll({ user: 'ada' }), NotSupported)
      assert.equal(await tokens.revoke(token.id), true)
    })
  }

  it('refuses a server whose clock is too far off', async (t) => {
    const client = new Bench(t, single?.servers ?? []).client()
    const off = (seconds: number): MemcachedClient => ({
      get: (...all) => client.get(...all),
      set: (...all) => client.set(...all),
      delete: (...all) => client.delete(...all),
      servers: async () =>
        (await client.servers()).map((each): MemcachedServerReport => ({
          ...each,
          time: each.time + seconds,
        })),
    })
    const options = { role: 'cache', margin: '1m' } as const
    for (const seconds of [-70, 70]) {
      await assert.rejects(memcachedStore(off(seconds), options).open(), (error) => {
        assert.ok(error instanceof ClockSkew)
        return Math.abs(error.skew - seconds * 1_000) < 3_000
      })
    }
    const { skew = 0 } = await memcachedStore(off(50), options).open()
    assert.ok(Math.abs(skew - 50_000) < 3_000)
    assert.equal((await memcachedStore(client, options).open()).skew, 0)
  })

  it(
    'refuses servers that are too small for the longest value, and options without sense',
    { skip: skipPrivate },
    async (t) => {
      const small = await privateServer(t, '-I', '64k', '-o', 'slab_chunk_max=32768')
      const bench = new Bench(t, [small.name])
      await assert.rejects(bench.store().open(), (error) => {
        assert.ok(error instanceof StoreMisconfigured)
        return /at most 65536: start it with a greater -I/.test(error.message)
      })
      const fits = bench.store({ maxValue: 60_000 })
      await fits.create({ key, value: Buffer.alloc(60_000), expiresAt: never })
      await assert.rejects(fits.create({ key, value: Buffer.alloc(60_001), expiresAt: never }), ValueTooLarge)
      await assert.rejects(bench.store({ maxValue: 1_000, listing: 'partial' }).open(), StoreMisconfigured)
      assert.throws(() => bench.store({ maxIndex: 100 }), InvalidOption)
    },
  )

  it(
    'opens by URL, closes what it opened, and can be opened again after a failure [T20]',
    { skip: skipPrivate },
    async (t) => {
      const own = await privateServer(t)
      const url = `memcached://${own.name}?role=cache&listing=partial`
      await own.kill()
      const store = openMemcachedStore(url, { circuit: false })
      await assert.rejects(async () => store.open(), /cannot be reached/)
      await own.start()
      assert.equal((await store.open()).capabilities.listing, 'partial')
      await store.create({ key, value, labels: ['user:ada'], expiresAt: never })
      assert.equal((await store.list('sessions', { labels: ['user:ada'] })).records.length, 1)
      const connections = async (): Promise<string | undefined> =>
        /curr_connections (\d+)/.exec(await own.ask('stats\r\n'))?.[1]
      const before = Number(await connections())
      await store.close()
      await until('its connections are closed', async () => Number(await connections()) < before)
    },
  )
})
