/** What the indexes lose, to crashes, evictions, expiry and fail-overs, and how it is found again. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Layout } from '../../packages/holdfast/src/drivers/redis/layout.ts'
import { reindexRedis } from '../../packages/holdfast/src/drivers/redis.ts'
import { HoldfastError, StoreMisconfigured, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { tiered } from '../../packages/holdfast/src/store/tiers/tiered.ts'
import { type Key, never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { privateServer, skipPrivate } from './redis/servers.ts'
import { Bench, command, intercepted, type Target, targets } from './redis/targets.ts'
import { until } from '../until.ts'

const value = Buffer.from('{}')
const hour = 3_600_000

for (const target of targets) {
  describe(`Redis indexes, ${target.name}`, { skip: target.skip }, () => {
    promises(target)
    reindexing(target)
    sweeping(target)
  })
}

function promises({ urls }: Target): void {
  it('finds nothing, and tidies up, after a crash between the promise and the record [races: F2]', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const crashing = intercepted(client, (args) => {
      const writes = String(args[0]).startsWith('EVAL') && args[2] === '3'
      return writes ? Promise.reject(new Error('crashed')) : Promise.resolve()
    })
    const doomed = await bench.store({ promise: 1_500 }, crashing)
    await assert.rejects(
      doomed.create({ key: session('a'), value, labels: ['user:ada'], expiresAt: never }),
      HoldfastError,
    )
    const store = await bench.store({ promise: 1_500 })
    const { ids } = new Layout(bench.namespace).label('sessions', 'user:ada')
    assert.deepEqual(await idsOf(store, 'user:ada'), [])
    assert.equal(await command(client, ids, 'ZCARD', ids), 1, 'the promise')
    await until('it has lapsed and was taken out', async () => {
      assert.deepEqual(await idsOf(store, 'user:ada'), [])
      return (await command(client, ids, 'ZCARD', ids)) === 0
    })
    await store.create({ key: session('a'), value, labels: ['user:ada'], expiresAt: never })
    assert.deepEqual(await idsOf(store, 'user:ada'), ['a'])
  })

  it('keeps the index of a cache within what the cache holds, though nobody lists a cache', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const cache = await bench.store({ promise: 100 })
    const store = tiered(cache, memoryStore(), { patience: '5s' })
    const { ids } = new Layout(bench.namespace).label('cached-sessions', '*i')
    for (let i = 0; i < 1_500; i++) {
      const key = session(`id-${i}`)
      await store.create({ key, value, expiresAt: never })
      await store.read(key)
      await store.remove([key])
    }
    const left = Number(await command(client, ids, 'ZCARD', ids))
    assert.ok(left < 1_000, `${left} of 1,500 entries whose records are gone are left`)
    await store.close()
  })

  it('finds a record all the same after a crash between the record and its answer [races: F1]', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    let crashed = false
    const crashing = new Proxy(client, {
      get(target, name) {
        const found: unknown = Reflect.get(target, name, target)
        if (typeof found !== 'function') return found
        return async (...all: unknown[]): Promise<unknown> => {
          const answer: unknown = await Reflect.apply(found, target, all)
          const args = all.find(Array.isArray) as readonly unknown[] | undefined
          if (name !== 'sendCommand' || args?.[2] !== '3' || crashed) return answer
          crashed = true
          throw new Error('crashed')
        }
      },
    })
    const doomed = await bench.store({}, crashing)
    await doomed.create({ key: session('a'), value, labels: ['user:ada'], expiresAt: never })
    assert.ok(crashed)
    assert.deepEqual(await idsOf(await bench.store(), 'user:ada'), ['a'])
  })
}

function reindexing({ urls }: Target): void {
  it('puts back every entry that was lost, and nothing else', async (t) => {
    const bench = new Bench(t, urls)
    const client = await bench.client()
    const store = await bench.store({}, client)
    const ids = Array.from({ length: 40 }, (_, i) => `s${String(i).padStart(2, '0')}`)
    for (const id of ids)
      await store.create({ key: session(id), value, labels: ['user:ada', `user:${id}`], expiresAt: never })
    const untouched = await reindexRedis(client, { namespace: bench.namespace })
    assert.deepEqual(untouched, { records: ids.length, entered: 0 })

    const layout = new Layout(bench.namespace)
    const lost = [layout.label('sessions', 'user:ada'), layout.label('sessions', 'user:s07')]
    for (const { ids, stamps } of lost) await command(client, ids, 'DEL', ids, stamps)
    const { keys, expiries } = layout.place(session('s03'))
    await command(client, keys, 'DEL', keys, expiries)
    assert.deepEqual(await idsOf(store, 'user:ada'), [])
    const { entered } = await reindexRedis(client, { namespace: bench.namespace })
    assert.ok(entered >= ids.length + 1 + 2, String(entered))
    assert.deepEqual(await idsOf(store, 'user:ada'), ids)
    assert.deepEqual(await idsOf(store, 'user:s07'), ['s07'])
    const scanned = await store.scan({ index: 0, of: 1, limit: 1_000 })
    assert.deepEqual(scanned.records.map(({ key }) => key.id).toSorted(), ids)
    assert.equal((await reindexRedis(client, { namespace: bench.namespace })).entered, 0)
  })
}

function sweeping({ urls }: Target): void {
  it('answers with what it removed although some could not be, and goes on with those [C21]', async (t) => {
    const bench = new Bench(t, urls)
    const clock = fakeClock({ start: Date.now() })
    const plain = await bench.store({ clock })
    const ids = Array.from({ length: 12 }, (_, i) => `s${i}`)
    for (const id of ids) await plain.create({ key: session(id), value, expiresAt: clock.now() + 1_000 })
    const layout = new Layout(bench.namespace)
    let failing = new Set(['s3', 's8'].map((id) => layout.place(session(id)).record))
    const broken = intercepted(await bench.client(), (args) => {
      const [name, , , first] = args.map(String)
      const fails = name?.startsWith('EVAL') === true && first !== undefined && failing.has(first)
      return fails ? Promise.reject(new StoreUnavailable('this shard is away')) : Promise.resolve()
    })
    const store = await bench.store({ clock }, broken)
    await store.open()
    clock.advance(2 * hour)
    const first = await store.sweep({ limit: 100 })
    assert.deepEqual(
      first.removed.map(({ key }) => key.id).toSorted(),
      ids.filter((id) => !['s3', 's8'].includes(id)).toSorted(),
    )
    assert.ok(first.next !== undefined, 'there is more')
    await assert.rejects(store.sweep({ limit: 100 }), StoreUnavailable, 'nothing was removed, so it may fail')
    failing = new Set()
    const rest = await store.sweep({ limit: 100, after: first.next })
    assert.deepEqual(rest.removed.map(({ key }) => key.id).toSorted(), ['s3', 's8'])
  })
}

describe('Redis that evicts', { skip: skipPrivate }, () => {
  for (const policy of ['volatile-lru', 'allkeys-lru']) {
    it(`is refused for listing when its policy becomes ${policy}, and works again when it is set back`, async (t) => {
      const server = await privateServer(t, '--maxmemory-policy', 'noeviction')
      const bench = new Bench(t, [server.url], { clears: false })
      const client = await bench.client()
      const store = await bench.store({}, client)
      for (let i = 0; i < 300; i++) {
        const labels = ['user:ada']
        await store.create({ key: session(`s${i}`), value: Buffer.alloc(500), labels, expiresAt: soon() })
      }
      assert.equal((await idsOf(store, 'user:ada')).length, 300)
      const used = /used_memory:(\d+)/.exec(await server.ask('info', 'memory'))?.[1] ?? ''
      await server.ask('config', 'set', 'maxmemory-policy', policy)
      await server.ask('config', 'set', 'maxmemory', String(Number(used) + 20_000))
      for (let i = 0; i < 200; i++) {
        const each = {
          key: session(`t${i}`),
          value: Buffer.alloc(500),
          labels: ['user:bob'],
          expiresAt: soon(),
        }
        await store.create(each).catch(() => undefined)
      }
      assert.match(await server.ask('info', 'stats'), /evicted_keys:[1-9]/)

      await until('it is noticed', () => noticed(store))
      await assert.rejects(store.count('sessions'), StoreMisconfigured)
      await assert.rejects(store.scan({ index: 0, of: 1 }), StoreMisconfigured)
      await store.read(session('s1'))

      await server.ask('config', 'set', 'maxmemory', '0')
      await reindexRedis(client, { namespace: bench.namespace })
      const alive = await store.readMany(Array.from({ length: 300 }, (_, i) => session(`s${i}`)))
      const ids = alive.flatMap((record) => (record ? [record.key.id] : []))
      assert.deepEqual(await idsOf(store, 'user:ada'), ids.toSorted(), 'every live record is found')
    })
  }
})

/** Whether a listing is refused by now. */
async function noticed(store: Store): Promise<boolean> {
  try {
    await store.list('sessions', { labels: ['user:ada'] })
    return false
  } catch (error) {
    assert.ok(error instanceof StoreMisconfigured)
    assert.match(error.message, /noeviction/)
    return true
  }
}

function session(id: string): Key {
  return { collection: 'sessions', id }
}

function soon(): number {
  return Date.now() + hour
}

async function idsOf(store: Store, label: string): Promise<readonly string[]> {
  const { records } = await store.list('sessions', { labels: [label], limit: 1_000 })
  return records.map(({ key }) => key.id)
}
