/** Servers that are slow, that go away under load, that become read-only: every call ends, in a success or a code. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openRedisStore, type RedisOptions } from '../../packages/holdfast/src/drivers/redis.ts'
import {
  HoldfastError,
  OutcomeUnknown,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store, Written } from '../../packages/holdfast/src/store/store.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { Counting } from './redis/counting.ts'
import { Proxy } from './redis/proxy.ts'
import { privateServer, skipPrivate } from './redis/servers.ts'
import { certified } from './redis/certificates.ts'
import { until } from '../until.ts'

const long = process.env['HOLDFAST_TEST_LONG'] !== undefined
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('before')

describe('Redis, faults', { skip: skipPrivate }, () => {
  it('is not there at the start, and is found as soon as it is', async (t) => {
    const server = await privateServer(t)
    const proxy = await Proxy.to(t, server.port)
    proxy.leave()
    const store = storeAt(t, proxy.url)
    await assert.rejects(store.open(), StoreUnavailable)
    await assert.rejects(store.create({ key, value, expiresAt: never }), StoreUnavailable)
    proxy.comeBack()
    await until('it works', async () => {
      const made = await store.create({ key, value, expiresAt: never }).catch(() => undefined)
      return made?.status === 'done'
    })
  })

  it('leaves no connection behind when it was opened too slowly', async (t) => {
    const server = await privateServer(t)
    await server.ask('client', 'pause', '4000', 'all')
    const store = storeAt(t, server.url, { deadline: '200ms' })
    await assert.rejects(store.open(), HoldfastError)
    await assert.rejects(store.open(), HoldfastError)
    await store.close()
    await until('the server is alone with redis-cli', async () => {
      return (await server.ask('client', 'list')).trim().split('\n').length === 1
    })
  })

  it('goes away under load and returns: nothing is lost, doubled, or called "not there"', async (t) => {
    const server = await privateServer(t)
    const proxy = await Proxy.to(t, server.port)
    const store = storeAt(t, proxy.url, { deadline: '1s' })
    const counting = await Counting.begin(t, store, 10)
    await counting.goesOn()
    proxy.leave()
    await counting.fails()
    await delay(long ? 10_000 : 1_000)
    proxy.comeBack()
    await counting.goesOn()
    await counting.end()
  })

  it('answers slower than the deadline: reads fail, writes are unknown or settled', async (t) => {
    const server = await privateServer(t)
    const store = storeAt(t, server.url, { deadline: '1s' })
    const expected = versionOf(await store.create({ key, value, expiresAt: never }))
    await server.ask('client', 'pause', '6000', 'all')
    const started = performance.now()
    await assert.rejects(async () => store.read(key), HoldfastError)
    const late = { key, expected, value: Buffer.from('late'), expiresAt: never }
    await assert.rejects(store.replace(late), OutcomeUnknown)
    assert.ok(performance.now() - started < 5_500, 'nothing waited for the end of the pause')
    await until('it answers', async () => (await attempt(store)) !== undefined)
    const found = Buffer.from((await store.read(key))?.value ?? []).toString()
    assert.ok(found === 'late' || found === 'before')
  })

  it('becomes a replica: it can be read, and refuses to be written', async (t) => {
    const server = await privateServer(t)
    const store = storeAt(t, server.url)
    const expected = versionOf(await store.create({ key, value, expiresAt: never }))
    await server.ask('replicaof', '127.0.0.1', '1')
    await assert.rejects(store.replace({ key, expected, value, expiresAt: never }), StoreReadOnly)
    await assert.rejects(store.create({ key: { ...key, id: 'b' }, value, expiresAt: never }), StoreReadOnly)
    await assert.rejects(store.remove([key]), StoreReadOnly)
    assert.equal((await store.read(key))?.version, expected)
    await server.ask('replicaof', 'no', 'one')
    assert.equal((await store.replace({ key, expected, value, expiresAt: never })).status, 'done')
  })

  it('has too few replicas to write: it says so, and nothing was changed', async (t) => {
    const server = await privateServer(t, '--min-replicas-to-write', '1')
    const store = storeAt(t, server.url)
    await assert.rejects(store.create({ key, value, expiresAt: never }), StoreUnavailable)
    assert.equal(await store.read(key), undefined)
    await server.ask('config', 'set', 'min-replicas-to-write', '0')
    assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
  })

  it('is reached through TLS, with an authority of one’s own', async (t) => {
    const files = await certified(t)
    const server = await privateServer(
      t,
      ...['--tls-port', '0', '--tls-cert-file', files.cert, '--tls-key-file', files.key],
      ...['--tls-ca-cert-file', files.ca, '--tls-auth-clients', 'no'],
    )
    const port = await server.listenSecurely()
    const url = `rediss://localhost:${port}`
    const stranger = storeAt(t, url)
    await assert.rejects(stranger.open(), StoreUnavailable)
    const tls = { ca: files.authority, servername: 'localhost' }
    const store = storeAt(t, url, { tls })
    assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
    assert.ok(await store.read(key))
    const careless = storeAt(t, url, { tls: { rejectUnauthorized: false } })
    assert.ok((await careless.open()).description)
    assert.throws(() => storeAt(t, server.url, { tls }), StoreMisconfigured)
  })
})

async function attempt(store: Store): Promise<unknown> {
  try {
    return await store.readMany([key])
  } catch {
    return undefined
  }
}

function versionOf(written: Written): string {
  assert.equal(written.status, 'done')
  return written.version
}

function storeAt(
  t: Ending,
  url: string,
  options: Parameters<typeof openRedisStore>[2] & RedisOptions = {},
): Store {
  const store = openRedisStore(url, () => import('redis'), options)
  atEnd(t, () => store.close())
  return store
}
