/** A master under Sentinel that is killed under load, through each client that can follow. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Redis as Valkey } from 'iovalkey'
import { createSentinel } from 'redis'
import { openRedisStore, redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { HoldfastError } from '../../packages/holdfast/src/errors.ts'
import type { Change } from '../../packages/holdfast/src/store/contract.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { placeOf } from './redis/clients.ts'
import { PrivateSentinels } from './redis/sentinels.ts'
import { skipPrivate } from './redis/servers.ts'
import { freshNamespace } from './redis/targets.ts'
import { until } from '../until.ts'

/** A store under Sentinel, and how to let go of it. */
interface Followed {
  readonly store: Store
  close: () => Promise<void>
}

type Opening = (sentinels: PrivateSentinels) => Promise<Followed>

const long: string | false =
  process.env['HOLDFAST_TEST_LONG'] === undefined && 'like its neighbour, so only in the long run'

const kinds: readonly (readonly [string, string | false, Opening])[] = [
  ['a URL', false, byUrl],
  ['node-redis', long, byNodeRedis],
  ['ioredis', false, (sentinels) => byIo((options) => new Redis(options), sentinels)],
  ['iovalkey', long, (sentinels) => byIo((options) => new Valkey(options), sentinels)],
]

describe('Redis under Sentinel', { skip: skipPrivate }, () => {
  for (const [name, skip, open] of kinds) {
    describe(`through ${name}`, { skip }, () => {
      let sentinels: PrivateSentinels
      before(async () => {
        sentinels = await PrivateSentinels.start()
      })
      after(() => sentinels.stop())

      it('ends in coded errors or successes while the master changes, and goes on without a restart', async () => {
        const { store, close } = await open(sentinels)
        try {
          await failOver(store, sentinels)
        } finally {
          await close()
        }
      })
    })
  }
})

async function failOver(store: Store, sentinels: PrivateSentinels): Promise<void> {
  const changes: Change[] = []
  const watch = await store.watch((change) => changes.push(change))
  const ids = Array.from({ length: 8 }, (_, i) => `s${i}`)
  const ending = new AbortController()
  const load = ids.map((id) => written(store, id, ending.signal))
  try {
    await delay(300)
    await sentinels.killMaster()
    await until('it writes again', async () => {
      const { status } = await store.create({
        key: { collection: 'after', id: 'a' },
        value: Buffer.from('{}'),
        expiresAt: never,
      })
      return status === 'done' || status === 'conflict'
    })
    await delay(200)
  } finally {
    ending.abort()
  }
  const histories = await Promise.all(load)
  await until('it reads again', async () => (await store.readMany([keyOf('s0')])).length === 1)
  for (const [i, { attempted, failures }] of histories.entries()) {
    for (const failure of failures) assert.ok(failure instanceof HoldfastError, String(failure))
    const record = await store.read(keyOf(ids[i] ?? ''), { expired: true })
    // What was acknowledged last may be lost with the master; what nobody wrote can't be there.
    if (record) assert.ok(Number(Buffer.from(record.value).toString()) <= attempted)
  }
  assert.ok(
    histories.some(({ failures }) => failures.length > 0),
    'somebody noticed',
  )
  await until('the feed is back', () => changes.some(({ type }) => type === 'reset'))
  await until('it hears the new master', async () => {
    await watch.mark()
    return true
  })
  changes.length = 0
  await store.create({ key: keyOf('told'), value: Buffer.from('{}'), expiresAt: never })
  await watch.mark()
  assert.deepEqual(changes, [{ type: 'changed', keys: [keyOf('told')] }])
  await watch.close()
}

/** Writes growing numbers to one record until it is told to end. */
async function written(
  store: Store,
  id: string,
  ends: AbortSignal,
): Promise<{ readonly attempted: number; readonly failures: readonly unknown[] }> {
  const failures: unknown[] = []
  let attempted = 0
  while (!ends.aborted) {
    try {
      const record = await store.read(keyOf(id))
      const value = Buffer.from(String(++attempted))
      if (record) await store.replace({ key: keyOf(id), expected: record.version, value, expiresAt: never })
      else await store.create({ key: keyOf(id), value, expiresAt: never })
    } catch (error) {
      failures.push(error)
    }
    await delay(5)
  }
  return { attempted, failures }
}

function keyOf(id: string): { readonly collection: string; readonly id: string } {
  return { collection: 'sessions', id }
}

const settings = { deadline: '2s', heartbeat: '1s' } as const

function byUrl(sentinels: PrivateSentinels): Promise<Followed> {
  const store = openRedisStore(sentinels.url, () => import('redis'), {
    ...settings,
    namespace: freshNamespace(),
  })
  return Promise.resolve({ store, close: () => store.close() })
}

async function byNodeRedis(sentinels: PrivateSentinels): Promise<Followed> {
  const client = createSentinel({
    name: 'mymaster',
    sentinelRootNodes: sentinels.sentinels.map(({ url }) => placeOf(url)),
    commandOptions: { timeout: 1_000 },
    scanInterval: 500,
  })
  client.on('error', () => undefined)
  await client.connect()
  const store = redisStore(client, { ...settings, namespace: freshNamespace() })
  return {
    store,
    close: async () => {
      await store.close()
      await client.destroy()
    },
  }
}

interface IoSettings {
  readonly sentinels: { readonly host: string; readonly port: number }[]
  readonly name: string
}

async function byIo(
  make: (options: IoSettings) => Redis | Valkey,
  { sentinels }: PrivateSentinels,
): Promise<Followed> {
  const client = make({ sentinels: sentinels.map(({ url }) => placeOf(url)), name: 'mymaster' })
  client.on('error', () => undefined)
  const store = redisStore(client, { ...settings, namespace: freshNamespace() })
  await store.open()
  return {
    store,
    close: async () => {
      await store.close()
      client.disconnect()
    },
  }
}
