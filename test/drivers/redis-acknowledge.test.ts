/** What must not come back is confirmed by replicas, where that was asked for. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { GlideClusterClient } from '@valkey/valkey-glide'
import { type RedisOptions, redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { InvalidOption, OutcomeUnknown } from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store, Written } from '../../packages/holdfast/src/store/store.ts'
import { glide, ioredis, type Library, nodeRedis, placeOf } from './redis/clients.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { Proxy } from './redis/proxy.ts'
import { PrivateServer, skipPrivate } from './redis/servers.ts'
import { Bench, freshNamespace, targets } from './redis/targets.ts'
import { until } from '../until.ts'

const [, cluster] = targets
const key = { collection: 'sessions', id: 'a' }
const mark = { collection: 'marks', id: 'ada' }
const value = Buffer.from('{}')
const acknowledge = { replicas: 1, timeout: '1500ms' } as const

describe('Redis, acknowledged by replicas', { skip: skipPrivate }, () => {
  let master: PrivateServer
  let replica: PrivateServer
  before(async () => {
    master = await PrivateServer.start('--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1')
    replica = await PrivateServer.start('--replicaof', `127.0.0.1 ${master.port}`)
    await until('the replica follows', async () => {
      const [own, its] = [await master.ask('info', 'replication'), await replica.ask('info', 'replication')]
      const offsets = [/master_repl_offset:(\d+)/.exec(own)?.[1], /state=online,offset=(\d+)/.exec(own)?.[1]]
      return its.includes('master_link_status:up') && offsets[0] === offsets[1] && Number(offsets[0]) > 0
    })
  })
  after(async () => {
    await replica.stop()
    await master.stop()
  })
  const pair = (): Pair => ({ master, replica })

  for (const library of [nodeRedis, ioredis, glide]) {
    describe(library.name, () => acknowledging(library, pair))
  }

  it('answers only when the replica has it, over a proxy that loses the answer of the write itself', async (t) => {
    const proxy = await Proxy.to(t, master.port)
    const store = await storeOver(t, nodeRedis, proxy.url, { acknowledge })
    const first = versionOf(await store.create({ key, value, expiresAt: never }))
    // So that the server knows the script, and the lost answer is that of a write.
    const made = await store.replace({ key, expected: first, value, expiresAt: never })
    await replica.standStill()
    proxy.loseAnswerTo('tombstone')
    await assert.rejects(bury(store, made), OutcomeUnknown)
    assert.equal(proxy.lost, 1)
    replica.goOn()
    const found = await store.read(key, { expired: true, strict: true })
    assert.equal(Buffer.from(found?.value ?? []).toString(), 'tombstone')
  })

  it('refuses what it cannot keep', async () => {
    const server = (options: RedisOptions): unknown =>
      redisStore({ sendCommand: () => Promise.reject(new Error()), duplicate: () => assert.fail() }, options)
    for (const options of [
      { acknowledge: { replicas: 0 } },
      { acknowledge: { replicas: 1.5 } },
      { acknowledge: { replicas: 1, timeout: '3s' } },
      { acknowledge: { replicas: 1 }, deadline: '1s' },
    ] as const)
      assert.throws(() => server(options), InvalidOption)
  })
})

describe('Redis, acknowledged by replicas of a cluster', { skip: cluster?.skip ?? 'no target' }, () => {
  it('buries, marks and removes in each shard', async (t) => {
    const bench = new Bench(t, cluster?.urls ?? [])
    const client = await bench.client()
    const store = await bench.store({ acknowledge: { replicas: 1 } }, client)
    const ids = Array.from({ length: 30 }, (_, i) => `s${i}`)
    await Promise.all(
      ids.map(async (id) => {
        const each = { ...key, id }
        const made = await store.create({ key: each, value, expiresAt: never })
        assert.equal((await bury(store, made, each)).status, 'done')
        assert.equal((await store.create({ key: { ...mark, id }, value, expiresAt: never })).status, 'done')
      }),
    )
    await store.remove(ids.map((id) => ({ ...key, id })))
    assert.equal((await store.readMany(ids.map((id) => ({ ...mark, id })))).filter(Boolean).length, 30)
  })

  it('is unknown, not done, where a shard has too few replicas', async (t) => {
    const bench = new Bench(t, cluster?.urls ?? [])
    const store = await bench.store({ acknowledge: { replicas: 2, timeout: '100ms' } })
    const made = await store.create({ key, value, expiresAt: never })
    await assert.rejects(bury(store, made), OutcomeUnknown)
  })

  it('is refused through a client that keeps to no node', async (t) => {
    const client = await GlideClusterClient.createClient({ addresses: (cluster?.urls ?? []).map(placeOf) })
    atEnd(t, () => {
      client.close()
    })
    assert.throws(() => redisStore(client, { acknowledge }), InvalidOption)
  })
})

/** A master and a replica that follows it. */
interface Pair {
  readonly master: PrivateServer
  readonly replica: PrivateServer
}

function acknowledging(library: Library, pair: () => Pair): void {
  it('is on the replica when it is done, and unknown while there is none', async (t) => {
    const { master, replica } = pair()
    const store = await storeOver(t, library, master.url, { acknowledge })
    const made = await store.create({ key, value, labels: ['user:ada'], expiresAt: never })
    const buried = await bury(store, made)
    assert.equal(buried.status, 'done')
    assert.match(await versions(replica), new RegExp(versionOf(buried)))

    await replica.standStill()
    const expected = versionOf(buried)
    const again = { key, expected, value, expiresAt: never, expired: true }
    await assert.rejects(store.replace(again), (error) => {
      assert.ok(error instanceof OutcomeUnknown)
      assert.match(error.message, /not confirmed by 1 replicas/)
      return true
    })
    await assert.rejects(store.create({ key: mark, value, expiresAt: never }), OutcomeUnknown)
    await assert.rejects(store.remove([{ ...key, id: 'gone' }]), OutcomeUnknown)
    assert.equal((await store.create({ key: { ...key, id: 'b' }, value, expiresAt: never })).status, 'done')

    replica.goOn()
    const found = await store.read(key, { strict: true })
    assert.ok(found && found.version !== expected, 'it was written all the same')
    await until('marks work again', async () => {
      const each = { key: { ...mark, id: 'bob' }, value, expiresAt: never }
      return (await store.create(each).catch(() => undefined)) !== undefined
    })
  })

  it('works when the memory is full', async (t) => {
    const { master } = pair()
    const store = await storeOver(t, library, master.url, { acknowledge })
    const made = await store.create({ key, value: Buffer.alloc(100), expiresAt: never })
    await master.ask('config', 'set', 'maxmemory', '1')
    try {
      assert.equal((await bury(store, made)).status, 'done')
    } finally {
      await master.ask('config', 'set', 'maxmemory', '0')
    }
  })
}

async function bury(store: Store, made: Written, which = key): Promise<Written> {
  const expected = versionOf(made)
  const tombstone = Buffer.from('tombstone')
  return await store.replace({
    key: which,
    expected,
    value: tombstone,
    labels: [],
    expiresAt: never,
    expired: true,
  })
}

function versionOf(written: Written): string {
  assert.equal(written.status, 'done')
  return written.version
}

/** The versions of all records of a server. */
async function versions(server: PrivateServer): Promise<string> {
  const names = (await server.ask('keys', '*r:*')).split('\n').filter(Boolean)
  return (await Promise.all(names.map((name) => server.ask('getrange', name, '40', '80')))).join('\n')
}

async function storeOver(t: Ending, library: Library, url: string, options: RedisOptions): Promise<Store> {
  const connection = await library.connect([url])
  const store = redisStore(connection.client, { namespace: freshNamespace(), ...options })
  atEnd(t, async () => {
    await store.close()
    connection.close()
  })
  return store
}
