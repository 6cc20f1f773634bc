/** What is particular to Redis, over a single server and over a cluster. The common suite is `redis-suite.test.ts`. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { PartialAnswer, RecordCorrupt, StoreCorrupt } from '../../packages/holdfast/src/errors.ts'
import { Layout } from '../../packages/holdfast/src/drivers/redis/layout.ts'
import type { Change, Cursor } from '../../packages/holdfast/src/store/contract.ts'
import { type Key, never } from '../../packages/holdfast/src/store/record.ts'
import type { Store, Written } from '../../packages/holdfast/src/store/store.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { Bench, command, everywhere, intercepted, type Target, targets } from './redis/targets.ts'
import { until } from '../until.ts'

const execute = promisify(execFile)
const minute = 60_000
const value = Buffer.from('{}')

for (const target of targets) describe(`Redis, ${target.name}`, { skip: target.skip }, () => drivers(target))

function session(id: string): Key {
  return { collection: 'sessions', id }
}

function inAMinute(): number {
  return Date.now() + minute
}

async function versionOf(written: Promise<Written>): Promise<string> {
  const result = await written
  assert.equal(result.status, 'done')
  return result.version
}

async function idsOf(store: Store, labels: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  let after: Cursor | undefined
  do {
    const page = await store.list('sessions', {
      labels,
      limit: 10,
      ...(after === undefined ? {} : { after }),
    })
    found.push(...page.records.map(({ key }) => key.id))
    after = page.next
  } while (after !== undefined)
  return found
}

function drivers({ urls }: Target): void {
  it('finds out what it is in front of', async (t) => {
    const bench = new Bench(t, urls)
    const { capabilities, skew, description } = await (await bench.store()).open()
    assert.match(description, urls.length > 1 ? /a cluster of 3 masters/ : /^(Redis|Valkey) \d/)
    assert.ok(Math.abs(skew ?? Infinity) < 3_000)
    const { listing, scanning, durable, atomicBatch, atomicLabels } = capabilities
    assert.deepEqual(
      { listing, scanning, atomicBatch, atomicLabels },
      { listing: 'complete', scanning: true, atomicBatch: false, atomicLabels: false },
    )
    assert.deepEqual(durable, { process: true, machine: false, failover: false })
  })

  it('keeps every byte of a value and every millisecond of an expiry', async (t) => {
    const bench = new Bench(t, urls)
    const store = await bench.store()
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i))
    const given = Buffer.from(bytes)
    const expiries = [Date.now() + 1_234_567, never - 1, never]
    for (const [i, expiresAt] of expiries.entries()) {
      const writing = store.create({
        key: session(`s${i}`),
        value: given,
        labels: ['user:Ada \u{1f600}'],
        expiresAt,
      })
      await writing
      given.fill(0)
      const record = await store.read(session(`s${i}`))
      assert.deepEqual(record?.value, new Uint8Array(bytes))
      assert.equal(record.expiresAt, expiresAt)
      assert.deepEqual(record.labels, ['user:Ada \u{1f600}'])
      given.set(bytes)
    }
  })

  it('has the server drop a record twice the margin after its expiry, and one for ever never [G4 K60]', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const store = await bench.store({ margin: minute }, client)
    const layout = new Layout(bench.namespace)
    const expiresAt = inAMinute()
    const version = await versionOf(store.create({ key: session('a'), value, expiresAt }))
    await store.create({ key: session('b'), value, expiresAt: never })
    const [brief, lasting] = [layout.place(session('a')).record, layout.place(session('b')).record]
    assert.equal(await command(client, brief, 'PEXPIRETIME', brief), expiresAt + 2 * minute)
    assert.equal(await command(client, lasting, 'PTTL', lasting), -1)
    await store.touch([{ key: session('a'), version, expiresAt: expiresAt + 7 }])
    assert.equal(await command(client, brief, 'PEXPIRETIME', brief), expiresAt + 7 + 2 * minute)
    await store.replace({ key: session('a'), expected: version, value, expiresAt: never, setsExpiry: true })
    assert.equal(await command(client, brief, 'PTTL', brief), -1)
  })

  it('reloads its scripts where the server has lost them', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const store = await bench.store({}, client)
    await everywhere(client, 'SCRIPT', 'FLUSH')
    const version = await versionOf(
      store.create({ key: session('a'), value, labels: ['user:ada'], expiresAt: inAMinute() }),
    )
    await everywhere(client, 'SCRIPT', 'FLUSH')
    assert.deepEqual(await store.touch([{ key: session('a'), version, expiresAt: inAMinute() }]), ['done'])
    assert.deepEqual(await idsOf(store, ['user:ada']), ['a'])
  })

  it('calls foreign data corrupt, and leaves it alone', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const store = await bench.store({}, client)
    const name = new Layout(bench.namespace).place(session('a')).record
    await command(client, name, 'SET', name, 'not a record')
    await assert.rejects(async () => store.read(session('a')), RecordCorrupt)
    const made = await store.create({ key: session('a'), value, expiresAt: inAMinute() })
    assert.equal(made.status, 'conflict')
    const swap = { key: session('a'), expected: '1.x', value, expiresAt: inAMinute() }
    assert.equal((await store.replace(swap)).status, 'gone')
    const touched = await store.touch([{ key: session('a'), version: '1.x', expiresAt: inAMinute() }])
    assert.deepEqual(touched, ['gone'])
    assert.equal(String(await command(client, name, 'GET', name)), 'not a record')
    await command(client, name, 'SET', name, '')
    await assert.rejects(async () => store.read(session('a')), RecordCorrupt)
    assert.equal((await store.create({ key: session('a'), value, expiresAt: never })).status, 'conflict')
  })

  it('calls what is not even a string corrupt, wherever it is met, and hides no other behind it', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const store = await bench.store({}, client)
    const ids = Array.from({ length: 40 }, (_, i) => `s${String(i).padStart(2, '0')}`)
    const labels = ['user:ada']
    await Promise.all(ids.map((id) => store.create({ key: session(id), value, labels, expiresAt: never })))
    const key = session('s07')
    const name = new Layout(bench.namespace).place(key).record
    await command(client, name, 'DEL', name)
    // What an unreleased layout had here.
    await command(client, name, 'HSET', name, 'v', '1.x', 'd', '{}', 'l', '', 'e', String(never), 't', '0')
    const swap = { key, expected: '1.x', value, expiresAt: inAMinute() }
    await assert.rejects(async () => store.read(key), StoreCorrupt)
    await assert.rejects(store.create({ key, value, expiresAt: inAMinute() }), StoreCorrupt)
    await assert.rejects(store.replace(swap), StoreCorrupt)
    await assert.rejects(store.touch([{ key, version: '1.x', expiresAt: inAMinute() }]), StoreCorrupt)
    for (const count of [10, ids.length]) {
      const partial = store.readMany(ids.slice(0, count).map(session))
      await assert.rejects(partial, (error) => {
        assert.ok(error instanceof PartialAnswer)
        assert.equal(error.answers.filter((each) => each !== undefined).length, count - 1)
        return true
      })
    }
    const others = ids.filter((id) => id !== 's07')
    for (const values of [true, false]) {
      const listed = await store.list('sessions', { labels, limit: 100, values })
      assert.deepEqual(
        listed.records.map(({ key }) => key.id),
        others,
      )
      assert.ok(listed.records.every((record) => record.value.length === (values ? value.length : 0)))
    }
    assert.equal((await store.scan({ index: 0, of: 1, limit: 100 })).records.length, others.length)
    await store.remove([key])
    assert.equal(await store.read(key), undefined, 'only an operator takes it out')
  })

  it('loses no increment of two processes', async (t) => {
    const bench = new Bench(t, urls)
    const store = await bench.store()
    const key = { collection: 'counters', id: 'shared' }
    await store.create({ key, value: Buffer.from('0'), expiresAt: inAMinute() })
    const script = new URL('./redis/incrementer.ts', import.meta.url).pathname
    const args = [...process.execArgv.filter((each) => !each.startsWith('--test')), script]
    const one = (): Promise<unknown> =>
      execute(process.execPath, [...args, urls.join(','), bench.namespace, '60'])
    await Promise.all([one(), one()])
    assert.equal(Buffer.from((await store.read(key))?.value ?? []).toString(), '120')
  })

  describe('labels', () => labels(urls))
  describe('buckets', () => buckets(urls))
  describe('watching', () => watching(urls))
}

function labels(urls: readonly string[]): void {
  it('leaves the entry of a dropped label behind, and mends it once its promise has lapsed [races: F3]', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const store = await bench.store({ promise: 1_500 }, client)
    const expected = await versionOf(
      store.create({ key: session('a'), value, labels: ['user:ada'], expiresAt: inAMinute() }),
    )
    await store.replace({ key: session('a'), expected, value, labels: [], expiresAt: inAMinute() })
    assert.deepEqual(await idsOf(store, ['user:ada']), [])
    const { ids, stamps } = new Layout(bench.namespace).label('sessions', 'user:ada')
    assert.equal(await command(client, ids, 'ZCARD', ids), 1, 'under promise, so nobody may take it out')
    await until('its promise has lapsed', async () => {
      assert.deepEqual(await idsOf(store, ['user:ada']), [])
      return (await command(client, ids, 'ZCARD', ids)) === 0
    })
    assert.equal(await command(client, stamps, 'HLEN', stamps), 0)
    assert.deepEqual(await idsOf(store, []), ['a'], 'the collection still has it')
  })

  it('finds a record whose writer was slower than its promise, with repairers at work [races: F5]', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    let stalls = 1
    let repaired = false
    const other = await bench.store({ promise: 100 })
    const slow = intercepted(client, async (args) => {
      // The record's script has three names; what has two enters the promise.
      if (!String(args[0]).startsWith('EVAL') || args[2] !== '3' || stalls-- <= 0) return
      await delay(300)
      assert.deepEqual(await idsOf(other, ['user:ada']), [])
      const { ids } = new Layout(bench.namespace).label('sessions', 'user:ada')
      repaired = (await command(client, ids, 'ZCARD', ids)) === 0
    })
    const store = await bench.store({ promise: 100 }, slow)
    await versionOf(store.create({ key: session('a'), value, labels: ['user:ada'], expiresAt: inAMinute() }))
    assert.ok(repaired, 'the repairer took the entry out meanwhile')
    assert.deepEqual(await idsOf(other, ['user:ada']), ['a'])
    assert.deepEqual(await idsOf(other, []), ['a'])
  })

  it('repairs under running writers without losing anything', async (t) => {
    const bench = new Bench(t, urls)
    const writer = await bench.store({ promise: 20 })
    const repairer = await bench.store({ promise: 20 })
    const writing = new AbortController()
    const repairing = (async () => {
      while (!writing.signal.aborted)
        await Promise.all([idsOf(repairer, ['user:ada']), idsOf(repairer, ['user:bob'])])
    })()
    const ids = Array.from({ length: 12 }, (_, i) => `s${String(i).padStart(2, '0')}`)
    const change = async (id: string): Promise<string> => {
      let version = await versionOf(writer.create({ key: session(id), value, expiresAt: inAMinute() }))
      let last = ''
      for (let round = 0; round < 12; round++) {
        last = round % 2 === 0 ? 'user:ada' : 'user:bob'
        version = await versionOf(
          writer.replace({
            key: session(id),
            expected: version,
            value,
            labels: [last],
            expiresAt: inAMinute(),
          }),
        )
        await delay(Math.random() * 30)
      }
      return last
    }
    assert.deepEqual(new Set(await Promise.all(ids.map(change))), new Set(['user:bob']))
    writing.abort()
    await repairing
    await delay(60)
    assert.deepEqual(await idsOf(repairer, ['user:bob']), ids)
    assert.deepEqual(await idsOf(repairer, ['user:ada']), [])
  })

  it('orders a whole collection by bytes, forwards and backwards', async (t) => {
    const bench = new Bench(t, urls)
    const store = await bench.store()
    const ids = Array.from('-059AMZ_amz~').flatMap((first) => [first, `${first}b`, `${first}A`])
    await Promise.all(ids.map((id) => store.create({ key: session(id), value, expiresAt: inAMinute() })))
    const sorted = ids.toSorted((a, b) => (a < b ? -1 : 1))
    assert.deepEqual(await idsOf(store, []), sorted)
    const page = await store.list('sessions', { reverse: true, limit: 1_000 })
    assert.deepEqual(
      page.records.map(({ key }) => key.id),
      sorted.toReversed(),
    )
    assert.equal(await store.count('sessions'), ids.length)
    assert.equal(await store.count('sessions', { atMost: 7 }), 7)
  })

  it('mends what the native expiry left behind', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const store = await bench.store({ promise: 20, margin: 10 }, client)
    await store.create({ key: session('a'), value, labels: ['user:ada'], expiresAt: Date.now() + 100 })
    await delay(300)
    const layout = new Layout(bench.namespace)
    const { record, keys, expiries } = layout.place(session('a'))
    assert.equal(await command(client, record, 'EXISTS', record), 0, 'expiresAt + twice the margin is over')
    assert.deepEqual(await store.sweep(), { removed: [] })
    assert.equal(await command(client, keys, 'EXISTS', keys, expiries), 0)
    assert.deepEqual(await idsOf(store, ['user:ada']), [])
    const { ids } = layout.label('sessions', 'user:ada')
    assert.equal(await command(client, ids, 'EXISTS', ids), 0)
  })
}

function buckets(urls: readonly string[]): void {
  it('sweeps each record for exactly one of several sweepers [C21]', async (t) => {
    const bench = new Bench(t, urls)
    const clock = fakeClock({ start: Date.now() })
    const stores = [
      await bench.store({ clock }),
      await bench.store({ clock }),
      await bench.store({ clock }),
    ] as const
    for (const store of stores) await store.open()
    const ids = Array.from({ length: 60 }, (_, i) => `s${i}`)
    await Promise.all(
      ids.map((id) =>
        stores[0].create({ key: session(id), value, labels: [`user:${id}`], expiresAt: clock.now() + 1_000 }),
      ),
    )
    await stores[0].create({ key: session('alive'), value, expiresAt: never })
    clock.advance(61 * minute)
    const swept = await Promise.all(
      stores.map(async (store) => {
        const mine: string[] = []
        let after: Cursor | undefined
        do {
          const batch = await store.sweep({ limit: 7, ...(after === undefined ? {} : { after }) })
          for (const { key, labels } of batch.removed) {
            assert.deepEqual(labels, [`user:${key.id}`])
            mine.push(key.id)
          }
          after = batch.next
        } while (after !== undefined)
        return mine
      }),
    )
    assert.deepEqual(swept.flat().toSorted(), ids.toSorted())
    assert.ok(await stores[0].read(session('alive')))
  })

  it('does not sweep what was prolonged after it was looked at', async (t) => {
    const bench = new Bench(t, urls)
    const clock = fakeClock({ start: Date.now() })
    const client = await bench.client()
    const plain = await bench.store({ clock, margin: 1_000 })
    const version = await versionOf(
      plain.create({ key: session('a'), value, expiresAt: clock.now() + 1_000 }),
    )
    let prolonged = false
    const late = intercepted(client, async (args) => {
      if (!String(args[0]).startsWith('EVAL') || prolonged) return
      prolonged = true
      // A node whose clock is behind by more than the margin prolongs it in the last instant.
      clock.set(clock.now() - 4_000)
      assert.deepEqual(await plain.touch([{ key: session('a'), version, expiresAt: clock.now() + minute }]), [
        'done',
      ])
    })
    const sweeper = await bench.store({ clock, margin: 1_000 }, late)
    await sweeper.open()
    clock.advance(4_000)
    assert.deepEqual(await sweeper.sweep(), { removed: [] })
    assert.ok(prolonged)
    assert.ok(await plain.read(session('a')))
  })

  it('leaves the index of expiries behind when it prolongs, and never ahead; the sweep catches up', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const clock = fakeClock({ start: Date.now() })
    const store = await bench.store({ clock }, client)
    const key = session('a')
    const { expiries, member } = new Layout(bench.namespace).place(key)
    const entry = async (): Promise<number> =>
      Number(await command(client, expiries, 'ZSCORE', expiries, member))
    const [early, late] = [clock.now() + 1_000, clock.now() + 600 * minute]
    const first = await versionOf(store.create({ key, value, expiresAt: early }))
    await store.touch([{ key, version: first, expiresAt: early + 500 }])
    const second = await versionOf(store.replace({ key, expected: first, value, expiresAt: late }))
    assert.equal(await entry(), early, 'nothing was written for that')
    clock.advance(62 * minute)
    assert.deepEqual((await store.sweep()).removed, [])
    assert.equal(await entry(), late)
    const sooner = clock.now() + 1_000
    await store.replace({ key, expected: second, value, expiresAt: sooner, setsExpiry: true })
    assert.equal(await entry(), sooner, 'what is to die sooner is swept in time')
    clock.advance(62 * minute)
    assert.deepEqual(
      (await store.sweep()).removed.map(({ key, expiresAt }) => [key.id, expiresAt]),
      [['a', sooner]],
    )
  })

  it('scans every record exactly once, in slices and pages, while others come and go', async (t) => {
    const bench = new Bench(t, urls)
    const store = await bench.store()
    const layout = new Layout(bench.namespace)
    // Where three slices of 4,096 buckets meet, so that a bucket that is in two slices or in none is seen.
    const edges = Array.from({ length: 20_000 }, (_, i) => `s-edge${i}`).filter((id) => {
      return [1_364, 1_365, 1_366, 2_729, 2_730, 2_731].includes(layout.place(session(id)).bucket)
    })
    assert.ok(edges.length > 6)
    const ids = [...edges, ...Array.from({ length: 120 }, (_, i) => `s${i}`)]
    await Promise.all(ids.map((id) => store.create({ key: session(id), value, expiresAt: never })))
    const seen: string[] = []
    for (let index = 0; index < 3; index++) {
      let after: Cursor | undefined
      do {
        const page = await store.scan({ index, of: 3, limit: 7, ...(after === undefined ? {} : { after }) })
        seen.push(...page.records.map(({ key }) => key.id).filter((id) => id.startsWith('s')))
        await store.create({ key: session(`new${seen.length}`), value, expiresAt: never })
        if (seen.length % 2 === 0) await store.remove([session(`new${seen.length}`)])
        after = page.next
      } while (after !== undefined)
    }
    assert.deepEqual(seen.toSorted(), ids.toSorted())
  })
}

function watching(urls: readonly string[]): void {
  it('tells one client of what another one changed, before its mark', async (t) => {
    const bench = new Bench(t, urls)
    const clock = fakeClock({ start: Date.now() })
    const [watcher, writer] = [await bench.store({ clock }), await bench.store({ clock })]
    const changes: Change[] = []
    const watch = await watcher.watch((change) => changes.push(change))
    const told = async (): Promise<readonly string[]> => {
      await watch.mark()
      const keys = changes.splice(0).flatMap((change) => (change.type === 'changed' ? change.keys : []))
      return [...new Set(keys.map(({ id }) => id))].toSorted()
    }
    const ids = Array.from({ length: 40 }, (_, i) => `s${i}`)
    const expiresAt = clock.now() + 1_000
    await Promise.all(ids.map((id) => writer.create({ key: session(id), value, expiresAt })))
    assert.deepEqual(await told(), ids.toSorted())
    const version = (await writer.read(session('s1')))?.version ?? ''
    assert.deepEqual(await writer.touch([{ key: session('s1'), version, expiresAt: expiresAt + 1 }]), [
      'done',
    ])
    assert.deepEqual(await told(), [], 'a touch is not told')
    await writer.replace({ key: session('s1'), expected: version, value, expiresAt })
    assert.deepEqual(await told(), ['s1'])
    await writer.remove([session('s2')])
    assert.deepEqual(await told(), ['s2'])
    clock.advance(61 * minute)
    await writer.sweep({ limit: 1_000 })
    assert.deepEqual(await told(), ids.filter((id) => id !== 's2').toSorted())
    await watch.close()
    await writer.create({ key: session('after'), value, expiresAt: never })
    await assert.rejects(async () => watch.mark())
    assert.deepEqual(changes, [])
  })
}
