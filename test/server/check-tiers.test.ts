import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { never } from 'holdfast'
import { fakeClock } from 'holdfast/testing'
import { Subject } from '../../packages/server/src/cli/check/subject.ts'
import { connected, everywhere, freshNamespace } from '../drivers/redis/targets.ts'
import { until } from '../until.ts'
import { inTerminal } from './in-terminal.ts'
import { folderFor, type Tree } from './running.ts'
import { scratchRows } from './scratch-rows.ts'
import { server } from './servers.ts'

const { url: redis, skip: noRedis } = server('Redis', 'HOLDFAST_TEST_REDIS')
const { url: postgres, skip: noPostgres } = server('PostgreSQL', 'HOLDFAST_TEST_POSTGRES')
const { url: memcached, skip: noMemcached } = server('Memcached', 'HOLDFAST_TEST_MEMCACHED')

const seldom = process.env['HOLDFAST_TEST_LONG'] !== '1' && 'like Redis over PostgreSQL: in the long run only'

/** From the top; `FILE` stands for a file of the test's. */
const tiers = [
  {
    name: 'memory over Redis over PostgreSQL',
    of: ['memory:', redis, postgres],
    skip: noRedis || noPostgres,
  },
  { name: 'Memcached over SQLite', of: [memcached, 'FILE'], skip: noMemcached || seldom },
] as const

describe('holdfast store check passes over tiers', { concurrency: 2 }, () => {
  for (const { name, of, skip } of tiers) {
    it(`of ${name}`, { skip }, async (t) => {
      const folder = await folderFor(t)
      const path = `${folder}/store.db`
      const url = `tiered: ${of.join(' ').replace('FILE', `sqlite://${path}`)}`
      const { code, out, err } = await inTerminal(['store', 'check', url, '--json'], { folder })
      assert.equal(code, 0, `${err}\n${out}`)
      const { failed, passed, left, store } = JSON.parse(out) as Tree
      assert.deepEqual([failed, left], [0, []])
      assert.ok((passed as unknown as number) > 150)
      assert.equal(String(store).split(' over ').length, of.length)
      if (of.includes('FILE')) assert.equal(scratchRows(path), 0)
    })
  }

  it('and leaves nothing in the cache, not in its indexes either', { skip: noRedis }, async (t) => {
    const folder = await folderFor(t)
    const client = await connected([redis])
    t.after(() => client.destroy())
    const namespace = freshNamespace()
    const subject = new Subject(`tiered: ${redis} sqlite://${folder}/store.db`)
    const store = await subject.make({ namespace, clock: fakeClock({ start: Date.now() }) })
    const stored = ['things', 'a-name-so-long-that-none-fits-it'].flatMap((collection) =>
      ['a', 'b', 'c'].map((id) => ({ collection, id })),
    )
    for (const key of stored)
      await store.create({ key, value: Buffer.from(key.id), labels: ['user:ada'], expiresAt: never })
    const keys = async () => (await everywhere(client, 'KEYS', `{${namespace}:*`)).flat()
    // A reading doesn't wait for a cache that is still being connected to.
    await until('all are cached', async () => {
      for (const key of stored) await store.read(key)
      return (await keys()).length > 5
    })
    await store.close()
    await subject.clear(namespace)
    assert.deepEqual(await subject.clearAll(), [])
    assert.deepEqual(await keys(), [])
  })
})
