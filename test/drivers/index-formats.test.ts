/** What other programs and other times left in the place of an index: it is no index, and nobody fails for it. */

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, it } from 'node:test'
import { Layout } from '../../packages/holdfast/src/drivers/redis/layout.ts'
import { reindexRedis } from '../../packages/holdfast/src/drivers/redis.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { Bench as MemcachedBench } from './memcached/bench.ts'
import { targets as memcachedTargets } from './memcached/targets.ts'
import { Bench as RedisBench, command, targets as redisTargets } from './redis/targets.ts'

const collection = 'tokens'
const labels = ['user:ada']

/** Lists of ids as they were kept in 2012 and in 2013, and what is no list at all. */
const formats = ['old,older,oldest', '["old", "older"]', '[["old", "2013-10-25T00:00:00Z"]]', '{]', '\u0000']

for (const { name, servers, skip } of memcachedTargets) {
  describe(`Memcached, other formats of an index, ${name}`, { skip }, () => {
    it('are empty, never grow, and give way to the first write [K72]', async (t) => {
      const bench = new MemcachedBench(t, servers)
      const client = bench.client()
      const store = bench.store({ listing: 'partial' }, client)
      const item = `${bench.namespace}:${collection}:${hash('sha256', labels[0]!, 'base64url')}`
      for (const [i, format] of formats.entries()) {
        await client.set(item, Buffer.from(format, 'latin1'))
        assert.deepEqual(await listed(store), [], format)
        await create(store, `id-${i}`)
        assert.deepEqual(await listed(store), [`id-${i}`], format)
        const [found] = await client.get([item])
        assert.equal(
          Buffer.from(found?.value ?? []).toString(),
          `id-${i} ${never}\n`,
          'nothing of it is left',
        )
      }
    })
  })
}

for (const { name, urls, skip } of redisTargets) {
  describe(`Redis, other formats of an index, ${name}`, { skip }, () => {
    it('list nothing that is not there, and what they hide is found again by indexing anew [K72]', async (t) => {
      const bench = new RedisBench(t, urls)
      const client = await bench.client()
      const store = await bench.store({}, client)
      const { ids } = new Layout(bench.namespace).label(collection, labels[0]!)
      for (const [i, format] of formats.entries()) {
        await command(client, ids, 'DEL', ids)
        await command(client, ids, 'ZADD', ids, '0', format)
        assert.deepEqual(await listed(store), [], format)
        await create(store, `id-${i}`)
        assert.deepEqual(await listed(store), [`id-${i}`], format)
      }
      await reindexRedis(client, { namespace: bench.namespace })
      assert.deepEqual(
        await listed(store),
        formats.map((_, i) => `id-${i}`),
      )
    })
  })
}

async function create(store: Store, id: string): Promise<void> {
  const value = Buffer.from('{}')
  const written = await store.create({ key: { collection, id }, value, labels, expiresAt: never })
  assert.equal(written.status, 'done')
}

/** Listing may tidy up page by page: what is told in the end counts. */
async function listed(store: Store): Promise<readonly string[]> {
  const found: string[] = []
  let after: string | undefined
  do {
    const page = await store.list(collection, { labels, ...(after === undefined ? {} : { after }) })
    found.push(...page.records.map(({ key }) => key.id))
    after = page.next
  } while (after !== undefined)
  return found
}
