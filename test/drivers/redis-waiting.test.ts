/** What waits to be sent: how long, who takes it back, and what waits its turn. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createClient } from 'redis'
import { type RedisOptions, redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { OutcomeUnknown, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { glide } from './redis/clients.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { Proxy } from './redis/proxy.ts'
import { Bench, clear, connected, freshNamespace, targets } from './redis/targets.ts'
import { until } from '../until.ts'

const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('before')

const [server] = targets
const url = server?.urls[0] ?? 'redis://none:1'

describe('Redis, what waits to be sent', { skip: server?.skip ?? 'no target' }, () => {
  it('is refused after a second, with a client that was set to wait for as long as it takes', async (t) => {
    const { proxy, store, isReady } = await behindProxy(t, { deadline: '20s', circuit: false })
    assert.equal(await store.read(key), undefined)
    const comeBack = proxy.vanish()
    await until('the connection is gone', () => !isReady())
    const started = performance.now()
    await assert.rejects(async () => store.read(key), StoreUnavailable)
    await assert.rejects(store.create({ key, value, expiresAt: never }), StoreUnavailable)
    const took = performance.now() - started
    assert.ok(took > 1_800 && took < 10_000, `${took} ms for two`)
    await comeBack()
    await until('the connection is back', isReady)
    assert.equal(await store.read(key), undefined)
  })

  it('is not sent later when it was given up', async (t) => {
    const { proxy, store, isReady, bench } = await behindProxy(t, { deadline: '200ms', circuit: false })
    const direct = redisStore(await connectedTo(t), { namespace: bench.namespace })
    const made = await direct.create({ key, value, expiresAt: never })
    assert.equal(made.status, 'done')
    await until('it is open', () => store.open().then(() => true))
    const comeBack = proxy.vanish()
    await until('the connection is gone', () => !isReady())
    const late = store.replace({ key, expected: made.version, value: Buffer.from('late'), expiresAt: never })
    await assert.rejects(late, OutcomeUnknown)
    await comeBack()
    await until('the connection is back', isReady)
    await until('it answers', async () => (await store.read(key)) !== undefined)
    assert.equal((await direct.read(key))?.version, made.version)
  })
})

describe('Valkey GLIDE, which refuses more than 1,000 requests in flight', { skip: server?.skip }, () => {
  it('is never asked for more, however many stores and calls there are', async (t) => {
    const one = await glide.connect([url])
    const namespace = freshNamespace()
    const broom = await connected([url])
    atEnd(t, async () => {
      one.close()
      await clear(broom, namespace)
      broom.destroy()
    })
    const stores = [redisStore(one.client, { namespace }), redisStore(one.client, { namespace })]
    const [store] = stores as [Store, Store]
    const ids = Array.from({ length: 1_500 }, (_, i) => `s${i}`)
    const labels = ['user:ada']
    const made = await Promise.all(
      ids.map((id) => store.create({ key: { ...key, id }, value, labels, expiresAt: never })),
    )
    assert.ok(made.every(({ status }) => status === 'done'))
    const reading = stores.flatMap((each) => ids.map(async (id) => await each.read({ ...key, id })))
    const [read, page, swept] = await Promise.all([
      Promise.all(reading),
      store.list('sessions', { labels, limit: 1_000 }),
      store.sweep(),
    ])
    assert.ok(read.every((record) => record !== undefined))
    assert.equal(page.records.length, 1_000)
    assert.deepEqual(swept.removed, [])
  })
})

/** A store behind a proxy, over a client with no settings but how fast it comes back. */
async function behindProxy(t: Ending, options: RedisOptions) {
  const proxy = await Proxy.to(t, Number(new URL(url).port))
  const bench = new Bench(t, [url])
  await bench.client()
  const client = createClient({ url: proxy.url, socket: { reconnectStrategy: () => 20 } })
  client.on('error', () => undefined)
  await client.connect()
  atEnd(t, () => {
    client.destroy()
  })
  const store = redisStore(client, { namespace: bench.namespace, ...options })
  await store.open()
  return { proxy, bench, store, isReady: () => client.isReady }
}

async function connectedTo(t: Ending) {
  const client = await connected([url])
  atEnd(t, () => {
    client.destroy()
  })
  return client
}
