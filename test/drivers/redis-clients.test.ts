/** What every library's client has to stand, besides the suite: lost answers, servers that are away, feeds. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { type RedisOptions, redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { HoldfastError, NotSupported, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { Change } from '../../packages/holdfast/src/store/contract.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { glide, ioredis, iovalkey, type Library, nodeRedis, placeOf } from './redis/clients.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { Counting } from './redis/counting.ts'
import { Proxy } from './redis/proxy.ts'
import { privateServer, skipPrivate } from './redis/servers.ts'
import { Bench, clear, connected, freshNamespace, targets } from './redis/targets.ts'
import { until } from '../until.ts'

const [server] = targets
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('before')

for (const library of [nodeRedis, ioredis, iovalkey, glide]) {
  const alike =
    library === iovalkey &&
    process.env['HOLDFAST_TEST_LONG'] === undefined &&
    'like ioredis, so only in the long run'
  describe(`Redis through ${library.name}`, { skip: server?.skip || alike }, () => {
    lostAnswers(library)
    outages(library)
  })
}

describe('Redis through a client that waits for its first command', () => {
  for (const { name, urls, skip } of targets) {
    it(`connects it: ${name}`, { skip }, async (t) => {
      const bench = new Bench(t, urls)
      await bench.client()
      const client =
        urls.length > 1
          ? new Cluster(urls.map(placeOf), { lazyConnect: true })
          : new Redis(urls[0] ?? '', { lazyConnect: true })
      const store = redisStore(client, { namespace: bench.namespace })
      atEnd(t, () => {
        client.disconnect()
      })
      const { capabilities } = await store.open()
      assert.equal(capabilities.watch, true)
      assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
    })
  }
})

function lostAnswers(library: Library): void {
  it('settles a create, a replace and a touch whose answers were lost [races: G1]', async (t) => {
    const proxy = await Proxy.to(t, portOf(server?.urls[0]))
    const store = await storeOver(t, library, proxy.url)
    await store.open()
    proxy.loseAnswerTo('precious')
    const made = await store.create({ key, value: Buffer.from('precious'), expiresAt: never })
    assert.equal(made.status, 'done')
    assert.equal(proxy.lost, 1)
    proxy.loseAnswerTo('dear')
    const expected = made.version
    const saved = await store.replace({ key, expected, value: Buffer.from('dear'), expiresAt: never })
    assert.equal(saved.status, 'done')
    assert.equal(proxy.lost, 2)
    assert.equal((await store.read(key))?.version, saved.version)
    proxy.loseAnswerTo(saved.version)
    const touchedAt = Date.now() + 5
    const touch = { key, version: saved.version, expiresAt: never, touchedAt }
    assert.deepEqual(await store.touch([touch]), ['done'])
    assert.equal((await store.read(key))?.touchedAt, touchedAt)
  })

  it('does not take the refusal of a copy that the client sent again for an answer [races: G1]', async (t) => {
    const port = portOf(server?.urls[0])
    const proxy = await Proxy.to(t, port)
    const namespace = freshNamespace()
    const store = await storeOver(t, library, proxy.url, { namespace })
    const other = await storeOver(t, nodeRedis, `redis://127.0.0.1:${port}`, { namespace })
    const first = await store.create({ key, value, expiresAt: never })
    assert.equal(first.status, 'done')
    // So that the server knows the script, and the lost answer is that of a write.
    const made = await store.replace({ key, expected: first.version, value, expiresAt: never })
    assert.equal(made.status, 'done')
    proxy.loseAnswerTo('mine', async () => {
      const expected = (await other.read(key))?.version ?? ''
      const theirs = await other.replace({ key, expected, value: Buffer.from('theirs'), expiresAt: never })
      assert.equal(theirs.status, 'done')
    })
    const expected = made.version
    const saved = await store.replace({ key, expected, value: Buffer.from('mine'), expiresAt: never })
    assert.equal(proxy.lost, 1)
    assert.equal(saved.status, 'unknown', '"conflict" would say that it never happened')
  })

  it('loses and doubles nothing while connections are cut in the middle of pipelines', async (t) => {
    const proxy = await Proxy.to(t, portOf(server?.urls[0]))
    const store = await storeOver(t, library, proxy.url)
    const counting = await Counting.begin(t, store, 20)
    for (let cuts = 0; cuts < 8; cuts++) {
      await counting.goesOn()
      proxy.cut()
    }
    await counting.goesOn()
    await counting.end()
  })
}

function outages(library: Library): void {
  it('ends in coded errors while the server is away, and is back without a restart', async (t) => {
    const proxy = await Proxy.to(t, portOf(server?.urls[0]))
    const store = await storeOver(t, library, proxy.url, { deadline: '3s' })
    const made = await store.create({ key, value, expiresAt: never })
    assert.equal(made.status, 'done')
    proxy.leave()
    await assert.rejects(async () => store.read(key), HoldfastError)
    const replacing = store.replace({
      key,
      expected: made.version,
      value: Buffer.from('late'),
      expiresAt: never,
    })
    await assert.rejects(replacing, HoldfastError)
    await assert.rejects(store.list('sessions'), HoldfastError)
    proxy.comeBack()
    await until('it answers again', async () => (await store.read(key)) !== undefined)
    assert.equal(Buffer.from((await store.read(key))?.value ?? []).toString(), 'before', 'nothing came late')
    await delay(300)
    assert.equal(Buffer.from((await store.read(key))?.value ?? []).toString(), 'before', 'nor later')
  })

  it('does not hang on a connection that went silent', async (t) => {
    const proxy = await Proxy.to(t, portOf(server?.urls[0]))
    const store = await storeOver(t, library, proxy.url, { deadline: '2s' })
    await store.create({ key, value, expiresAt: never })
    proxy.goSilent()
    const started = performance.now()
    await assert.rejects(async () => store.read(key), HoldfastError)
    await assert.rejects(
      store.create({ key: { ...key, id: 'b' }, value, labels: ['user:ada'], expiresAt: never }),
      HoldfastError,
    )
    assert.ok(performance.now() - started < 15_000)
  })

  it('is an error and no wait when it opens where nothing is', { skip: skipPrivate }, async (t) => {
    const server = await privateServer(t)
    const store = await storeOver(t, library, server.url)
    await server.kill()
    await assert.rejects(store.open(), HoldfastError)
  })

  const deaf = !library.watches && 'this client hides interruptions, so watching is refused'
  it('tells watchers when the feed broke and when it is back', { skip: deaf }, async (t) => {
    const proxy = await Proxy.to(t, portOf(server?.urls[0]))
    const namespace = freshNamespace()
    const store = await storeOver(t, library, proxy.url, { namespace })
    const writer = await storeOver(t, nodeRedis, server?.urls[0] ?? '', { namespace })
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    proxy.cut()
    await until('it is back', () => changes.some(({ type }) => type === 'reset'))
    assert.deepEqual(
      changes.map(({ type }) => type),
      ['broken', 'restored', 'reset'],
    )
    changes.length = 0
    await writer.create({ key, value, expiresAt: never })
    await watch.mark()
    assert.deepEqual(changes, [{ type: 'changed', keys: [key] }])
    await watch.close()
  })

  it('finds out by its heartbeat that a feed went silent', { skip: deaf }, async (t) => {
    const proxy = await Proxy.to(t, portOf(server?.urls[0]))
    const store = await storeOver(t, library, proxy.url, { heartbeat: '2s' })
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    await delay(2_300)
    assert.deepEqual(changes, [], 'a feed that works is left alone')
    const started = performance.now()
    proxy.goSilent()
    await until('it is told', () => changes.length > 0)
    assert.ok(performance.now() - started < 20_000, 'after some heartbeats')
    assert.equal(changes.map(({ type }) => type).join(), 'broken')
    await assert.rejects(async () => watch.mark(), StoreUnavailable)
    proxy.speakAgain()
    proxy.cut()
    await until('it is back', () => changes.some(({ type }) => type === 'reset'))
    await watch.close()
  })

  it(
    'refuses to watch where it could not tell of an interruption',
    { skip: library.watches && 'this client tells of interruptions' },
    async (t) => {
      const store = await storeOver(t, library, server?.urls[0] ?? '')
      await assert.rejects(
        store.watch(() => undefined),
        NotSupported,
      )
    },
  )
}

/** A store over a client of its own, both closed at the end. */
async function storeOver(
  test: Ending,
  library: Library,
  url: string,
  options: RedisOptions = {},
): Promise<Store> {
  const namespace = options.namespace ?? freshNamespace()
  const connection = await library.connect([url])
  const store = redisStore(connection.client, { ...options, namespace })
  atEnd(test, async () => {
    await store.close()
    connection.close()
    const broom = await connected(server?.urls ?? [])
    await clear(broom, namespace)
    broom.destroy()
  })
  return store
}

function portOf(url: string | undefined): number {
  return Number(new URL(url ?? 'redis://none:1').port)
}
