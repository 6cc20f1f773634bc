/** `holdfast store info` on tiers: figures of a probe, because those of a process that has just begun say nothing. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { openStore } from 'holdfast'
import { until } from '../until.ts'
import { clear, connected, freshNamespace } from '../drivers/redis/targets.ts'
import { inTerminal } from './in-terminal.ts'
import { folderFor, type Tree } from './running.ts'
import { cleared, server } from './servers.ts'

const postgres = server('PostgreSQL', 'HOLDFAST_TEST_POSTGRES')
const redis = server('Redis', 'HOLDFAST_TEST_REDIS')
const memcached = server('Memcached', 'HOLDFAST_TEST_MEMCACHED')

/** A truth with some records, and what asks about tiers over it. */
async function stage(t: TestContext, count: number, truth?: string) {
  const folder = await folderFor(t)
  const namespace = freshNamespace()
  const url = truth ?? `sqlite://${folder}/store.db`
  const store = await openStore(url, { namespace })
  t.after(() => cleared(store))
  for (let i = 0; i < count; i++) {
    const key = { collection: 'sessions', id: `id-${i}` }
    await store.create({ key, value: Buffer.from('{}'), expiresAt: Date.now() + 3_600_000 })
  }
  if (redis.url) {
    const client = await connected([redis.url])
    t.after(async () => {
      await clear(client, namespace)
      client.destroy()
    })
  }
  const info = async (tiers: string, ...flags: string[]) => {
    const line = ['store', 'info', '--store', `tiered: ${tiers} ${url}`, '--namespace', namespace, ...flags]
    return await inTerminal(line, { folder })
  }
  const told = async (tiers: string) => {
    const { code, out, err } = await info(tiers, '--json')
    assert.deepEqual([code, err], [0, ''])
    return (JSON.parse(out) as Tree)['tiers']!
  }
  return {
    info,
    tiers: told,
    /** A cache that doesn't keep up on a busy machine is passed by, as it should be: then it is asked again. */
    keepingUp: async (tiers: string) => {
      let answer = await told(tiers)
      await until('the caches keep up', async () => {
        const all = answer['tiers'] as unknown as readonly Tree[]
        const isUsed = all.every(({ hits, fills }) => number(hits) >= 5 || number(fills) >= 5)
        const isWell = isUsed && number(all[0]!['hits']) >= 5 && !all.some(({ errors }) => number(errors) > 0)
        if (!isWell) answer = await told(tiers)
        return isWell
      })
      return answer
    },
  }
}

function number(tree: Tree | undefined): number {
  return tree as unknown as number
}

describe('holdfast store info on tiers', () => {
  it('tells what became of reading a few records twice, and when', async (t) => {
    const { info } = await stage(t, 30)
    const { code, out } = await info('memory:')
    assert.equal(code, 0)
    assert.match(out, /^store +this process’s memory over SQLite /)
    assert.match(out, /\ntiers, tried +by reading 20 records twice just now\n/)
    assert.match(out, /\ntier 1 kind +process\ntier 1 hits +[2-9]\d+\ntier 1 misses +2\d\n/)
    assert.match(out, /\ntier 1 entries +2\d\ntier 1 bytes +\d{4,}\n/)
    assert.match(out, /\ntier 1 feed\.state +live\n/)
  })

  const skip = postgres.skip || redis.skip
  it('shows all three of them, with the lag of the feed', { skip }, async (t) => {
    const { keepingUp } = await stage(t, 5, postgres.url)
    const { read, tiers: all } = await keepingUp(`memory: ${redis.url}`)
    const [top, middle] = all!
    assert.equal(read, 5)
    assert.deepEqual([top!['kind'], top!['feed']!['state']], ['process', 'live'])
    assert.ok(number(top!['feed']!['lagMs']) > 0)
    assert.equal(middle!['kind'], 'shared')
  })

  it('shows what a shared cache by itself does', { skip: redis.skip }, async (t) => {
    const { keepingUp } = await stage(t, 5)
    const { tiers: all } = await keepingUp(redis.url)
    const [{ kind, circuit }] = all as unknown as readonly [Tree]
    assert.deepEqual([kind, circuit!['state']], ['shared', 'closed'])
  })

  it('shows a cache that is down, and ends with 0', async (t) => {
    const { tiers, info } = await stage(t, 5)
    const { tiers: all } = await tiers('redis://127.0.0.1:1')
    const [{ hits, fills, errors, circuit }] = all as unknown as readonly [Tree]
    assert.deepEqual([hits, fills], [0, 0])
    assert.ok(number(errors) > 5)
    assert.ok(['open', 'closed'].includes(String(circuit!['state'])))
    const { out } = await info('redis://127.0.0.1:1')
    assert.match(out, /^store +a cache that can’t be reached over SQLite /)
    assert.match(out, /\ntier 1 circuit\.state +\w+\n/)
  })

  it('says so where there is nothing to read, or no telling what there is', async (t) => {
    const empty = await stage(t, 0)
    assert.match((await empty.info('memory:')).out, /\ntiers, tried +no live record was found\n/)
    if (memcached.skip) return
    const folder = await folderFor(t)
    const line = ['store', 'info', '--store', `tiered: memory: ${memcached.url}`]
    const { code, out } = await inTerminal(line, { folder })
    assert.equal(code, 0)
    assert.match(out, /\ntiers, tried +the store can’t tell what it holds\n/)
  })

  it('has nothing to say of tiers where there are none', async (t) => {
    const folder = await folderFor(t)
    const url = `sqlite://${folder}/one.db`
    await (await openStore(url)).close()
    const { out } = await inTerminal(['store', 'info', '--store', url, '--json'], { folder })
    assert.equal('tiers' in (JSON.parse(out) as Tree), false)
  })
})
