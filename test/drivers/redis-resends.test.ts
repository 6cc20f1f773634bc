/**
 * Clients that send again what was on its way when a connection broke: the server refuses the second copy, for its own
 * first has happened, and "conflict" would say that it never did.
 */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { GlideClusterClient, Logger } from '@valkey/valkey-glide'
import { Cluster } from 'ioredis'
import { createCluster, createSentinel } from 'redis'
import { type AnyRedisClient, redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { placeOf } from './redis/clients.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { Proxy } from './redis/proxy.ts'
import { PrivateSentinels } from './redis/sentinels.ts'
import { skipPrivate } from './redis/servers.ts'
import { Bench, targets } from './redis/targets.ts'

const [, cluster] = targets
const key = { collection: 'sessions', id: 'a' }

type Place = ReturnType<typeof placeOf>

describe('Redis, a write that its client sends again', () => {
  const skip = cluster?.skip ?? 'no target'
  const urls = cluster?.urls ?? []

  it('in a cluster, through node-redis [races: G1]', { skip }, async (t) => {
    const proxies = await proxiesOf(t, urls)
    const client = createCluster({
      rootNodes: urls.map((url) => ({ url })),
      nodeAddressMap: (address) => proxies.places.get(address),
    })
    client.on('error', () => undefined)
    client.on('node-error', () => undefined)
    await client.connect()
    atEnd(t, () => {
      client.destroy()
    })
    await overtaken(t, client, urls, proxies.all)
  })

  it('in a cluster, through ioredis [races: G1]', { skip }, async (t) => {
    const proxies = await proxiesOf(t, urls)
    const natMap = Object.fromEntries([...proxies.places].map(([address, place]) => [address, { ...place }]))
    const client = new Cluster([...proxies.places.values()], { natMap })
    client.on('error', () => undefined)
    atEnd(t, () => {
      client.disconnect()
    })
    await overtaken(t, client, urls, proxies.all)
  })

  it('in a cluster, through Valkey GLIDE [races: G1]', { skip }, async (t) => {
    const proxies = await proxiesOf(t, urls)
    Logger.setLoggerConfig('off')
    const client = await GlideClusterClient.createClient({
      addresses: urls.map(placeOf),
      addressResolver: (host, port) => {
        const place = proxies.places.get(`${host}:${port}`)
        return [place?.host ?? host, place?.port ?? port]
      },
      requestTimeout: 1_000,
    })
    atEnd(t, () => {
      client.close()
    })
    await overtaken(t, client, urls, proxies.all)
  })

  describe('under Sentinel', { skip: skipPrivate }, () => {
    let sentinels: PrivateSentinels
    before(async () => {
      sentinels = await PrivateSentinels.start()
    })
    after(() => sentinels.stop())

    it('through node-redis [races: G1]', async (t) => {
      const master = await sentinels.master()
      const proxies = await proxiesOf(t, [master.url])
      const client = createSentinel({
        name: 'mymaster',
        sentinelRootNodes: sentinels.sentinels.map(({ url }) => placeOf(url)),
        nodeAddressMap: (address) => proxies.places.get(address),
      })
      client.on('error', () => undefined)
      await client.connect()
      atEnd(t, async () => {
        await client.destroy()
      })
      await overtaken(t, client, [master.url], proxies.all)
    })
  })
})

/** A write whose answer is lost, with another one by somebody else before the client can send it again. */
async function overtaken(
  t: Ending,
  client: AnyRedisClient,
  urls: readonly string[],
  proxies: readonly Proxy[],
): Promise<void> {
  const bench = new Bench(t, urls)
  const other = await bench.store()
  const store = redisStore(client, { namespace: bench.namespace })
  const first = await store.create({ key, value: Buffer.from('before'), expiresAt: never })
  assert.equal(first.status, 'done')
  // So that the server knows the script, and the lost answer is that of a write.
  const again = { key, expected: first.version, value: Buffer.from('again'), expiresAt: never }
  const made = await store.replace(again)
  assert.equal(made.status, 'done')
  for (const proxy of proxies) {
    proxy.loseAnswerTo('mine', async () => {
      for (const each of proxies) each.loseNothing()
      const expected = (await other.read(key))?.version ?? ''
      const theirs = await other.replace({ key, expected, value: Buffer.from('theirs'), expiresAt: never })
      assert.equal(theirs.status, 'done')
    })
  }
  const expected = made.version
  const saved = await store.replace({ key, expected, value: Buffer.from('mine'), expiresAt: never })
  assert.equal(
    proxies.reduce((sum, { lost }) => sum + lost, 0),
    1,
  )
  assert.equal(saved.status, 'unknown')
  await store.close()
}

/** A proxy before each server, and where it is, by the server's address. */
async function proxiesOf(
  t: Ending,
  urls: readonly string[],
): Promise<{ readonly all: readonly Proxy[]; readonly places: ReadonlyMap<string, Place> }> {
  const all = await Promise.all(urls.map((url) => Proxy.to(t, placeOf(url).port)))
  const places = new Map(urls.map((url, i) => [new URL(url).host, placeOf(all[i]?.url ?? '')]))
  return { all, places }
}
