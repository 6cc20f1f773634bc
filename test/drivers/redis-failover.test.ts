/** A cluster of the test's own, whose masters are killed. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { Layout } from '../../packages/holdfast/src/drivers/redis/layout.ts'
import { slotOf } from '../../packages/holdfast/src/drivers/redis/slot.ts'
import { HoldfastError, PartialAnswer, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { Change, Cursor } from '../../packages/holdfast/src/store/contract.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { glide, ioredis } from './redis/clients.ts'
import { atEnd } from './redis/ending.ts'
import { PrivateCluster, skipPrivate } from './redis/servers.ts'
import { Bench, type ClusterClient, freshNamespace } from './redis/targets.ts'
import { until } from '../until.ts'

const ids = Array.from({ length: 300 }, (_, i) => `s${i}`)
const value = Buffer.from('{}')

describe('Redis, a cluster that loses a master', { skip: skipPrivate }, () => {
  let cluster: PrivateCluster
  before(async () => {
    cluster = await PrivateCluster.start()
  })
  after(() => cluster.stop())

  it('answers in part while a shard is away, scans on after the fail-over, and tells watchers', async (t) => {
    const bench = new Bench(t, cluster.urls)
    const client = (await bench.client()) as ClusterClient
    const store = await bench.store({}, client)
    await Promise.all(
      ids.map((id) =>
        store.create({ key: { collection: 'sessions', id }, value, labels: ['user:ada'], expiresAt: never }),
      ),
    )
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    await watch.mark()
    assert.equal(changes.length, 0)
    await Promise.all(
      client.masters.map(async (node) => (await client.nodeClient(node)).sendCommand(['WAIT', '1', '5000'])),
    )

    const half = await scanned(store, undefined, 150)
    const failingOver = cluster.failOver(client.masters[0]?.address ?? '')
    await assert.rejects(
      store.readMany(ids.map((id) => ({ collection: 'sessions', id }))),
      (error) => error instanceof PartialAnswer || error instanceof StoreUnavailable,
    )
    await failingOver
    await until('the client has found the new master', async () => {
      await store.readMany(ids.map((id) => ({ collection: 'sessions', id })))
      return true
    })

    const rest = await scanned(store, half.after, Infinity)
    assert.deepEqual([...half.ids, ...rest.ids].toSorted(), ids.toSorted(), 'each exactly once')
    assert.equal(await store.count('sessions', { labels: ['user:ada'] }), ids.length)
    await until('the feed is back', () => changes.some(({ type }) => type === 'reset'))
    assert.equal(changes[0]?.type, 'broken')

    await until('every master is watched', async () => {
      await watch.mark()
      return true
    })
    changes.splice(0)
    await Promise.all(
      ids.map(async (id) => {
        const key = { collection: 'sessions', id }
        const expected = (await store.read(key))?.version ?? ''
        await store.replace({ key, expected, value, expiresAt: never })
      }),
    )
    await watch.mark()
    const told = changes.flatMap((change) => (change.type === 'changed' ? change.keys : []))
    assert.deepEqual([...new Set(told.map(({ id }) => id))].toSorted(), ids.toSorted())
    await watch.close()
  })

  it('is not deceived by connections that live on after their master was replaced', async (t) => {
    const bench = new Bench(t, cluster.urls)
    const client = (await bench.client()) as ClusterClient
    const store = await bench.store({}, client)
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    await watch.mark()
    await cluster.handOver()
    await assert.rejects(async () => watch.mark(), StoreUnavailable)
    await until('the feed is back', () => changes.some(({ type }) => type === 'reset'))
    changes.splice(0)
    // The new master refuses writes for a moment.
    await until('all are written', async () => {
      await Promise.all(
        ids.map((id) => store.create({ key: { collection: 'other', id }, value, expiresAt: never })),
      )
      return true
    })
    await watch.mark()
    const told = changes.flatMap((change) => (change.type === 'changed' ? change.keys : []))
    assert.deepEqual([...new Set(told.map(({ id }) => id))].toSorted(), ids.toSorted())
    await watch.close()
  })

  for (const library of [ioredis, glide]) {
    it(`ends every call through ${library.name}, and goes on without a restart`, async (t) => {
      const connection = await library.connect(cluster.urls)
      const store = redisStore(connection.client, { namespace: freshNamespace(), deadline: '2s' })
      const ending = new AbortController()
      atEnd(t, async () => {
        ending.abort()
        await store.close()
        connection.close()
      })
      const changes: Change[] = []
      await store.open()
      if (library.watches) await store.watch((change) => changes.push(change))
      const load = Array.from({ length: 12 }, (_, i) => written(store, `s${i}`, ending.signal))
      await delay(300)
      await cluster.failOver(await cluster.replaceable())
      await until('it reads and writes everywhere', async () => {
        await store.readMany(ids.map((id) => ({ collection: 'load', id })))
        const writing = ids.slice(0, 30).map((id) => {
          return store.create({ key: { collection: 'after', id }, value, expiresAt: never })
        })
        await Promise.all(writing)
        return true
      })
      ending.abort()
      // How many failed depends on how patiently the client looks for the new master. That all ended is the point.
      await Promise.all(load)
      if (library.watches) {
        await until('the feed is back', () => changes.some(({ type }) => type === 'reset'))
        assert.ok(changes.some(({ type }) => type === 'broken'))
      }
    })
  }

  it('waits while the slot of a record is on its way to another master', async (t) => {
    const bench = new Bench(t, cluster.urls)
    const client = (await bench.client()) as ClusterClient
    const store = await bench.store({}, client)
    const key = { collection: 'sessions', id: 'moving' }
    // After the tests before this one a new master may refuse writes for another moment, or an answer may get lost.
    await until('it is written', async () => {
      await store.create({ key, value, expiresAt: never })
      return true
    })
    const version = (await store.read(key))?.version ?? ''
    const { bucket, record, keys, expiries } = new Layout(bench.namespace).place(key)
    const slot = slotOf(new Layout(bench.namespace).tag(bucket))
    const move = await cluster.beginMove(slot)
    await move.carry(record)
    const replacing = store.replace({
      key,
      expected: version,
      value: Buffer.from('moved'),
      expiresAt: never,
    })
    await delay(100)
    await move.carry(keys)
    await move.carry(expiries)
    await move.finish()
    assert.equal((await replacing).status, 'done')
    assert.equal(Buffer.from((await store.read(key))?.value ?? []).toString(), 'moved')
  })
})

/** Writes growing numbers until it is told to end. Whatever fails has a code. */
async function written(store: Store, id: string, ends: AbortSignal): Promise<void> {
  const key = { collection: 'load', id }
  for (let count = 1; !ends.aborted; count++) {
    try {
      const record = await store.read(key)
      const next = Buffer.from(String(count))
      if (record) await store.replace({ key, expected: record.version, value: next, expiresAt: never })
      else await store.create({ key, value: next, labels: ['user:ada'], expiresAt: never })
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String(error))
    }
    await delay(10)
  }
}

/** Scans page by page until at least `enough` were seen. */
async function scanned(
  store: Store,
  from: Cursor | undefined,
  enough: number,
): Promise<{ readonly ids: readonly string[]; readonly after: Cursor | undefined }> {
  const seen: string[] = []
  let after = from
  do {
    const page = await store.scan({ index: 0, of: 1, limit: 20, ...(after === undefined ? {} : { after }) })
    seen.push(...page.records.map(({ key }) => key.id))
    after = page.next
  } while (after !== undefined && seen.length < enough)
  return { ids: seen, after }
}
