import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { type Connected, glide, ioredis, iovalkey, type Library, nodeRedis } from './redis/clients.ts'
import {
  type AnyClient,
  clear,
  connected,
  connectedToSentinels,
  type SentinelClient,
  type Target,
  targets,
} from './redis/targets.ts'

const [server, cluster] = targets
const sentinels = process.env['HOLDFAST_TEST_REDIS_SENTINEL']

/** Which libraries over which servers: iovalkey differs from ioredis in little, and over a cluster in nothing. */
const runs: readonly (readonly [Library, Target | undefined])[] = [
  [nodeRedis, server],
  [nodeRedis, cluster],
  [ioredis, server],
  [ioredis, cluster],
  [iovalkey, server],
  [glide, server],
  [glide, cluster],
]

for (const [library, target] of runs) {
  describe(`Redis, ${target?.name ?? ''}, ${library.name}`, { skip: target?.skip ?? 'no target' }, () => {
    let one: Connected
    let another: Connected
    let broom: AnyClient
    const urls = target?.urls ?? []
    before(async () => {
      one = await library.connect(urls)
      another = await library.connect(urls)
      broom = await connected(urls)
    })
    after(() => {
      one.close()
      another.close()
      broom.destroy()
    })
    storeSuite(
      { describe, it },
      {
        name: 'redisStore',
        make: (options) => redisStore(one.client, options),
        another: (options) => redisStore(another.client, options),
        reopen: (options) => redisStore(one.client, options),
        dispose: (namespace) => clear(broom, namespace),
      },
    )
  })
}

const skip = sentinels === undefined && 'HOLDFAST_TEST_REDIS_SENTINEL is not set: run this by `npm test`'
describe('Redis under Sentinel, node-redis', { skip }, () => {
  let one: SentinelClient
  let another: SentinelClient
  let broom: AnyClient
  before(async () => {
    one = await connectedToSentinels(sentinels ?? '')
    another = await connectedToSentinels(sentinels ?? '')
    const { host, port } = one.getMasterNode() ?? assert.fail('Sentinel knows no master')
    broom = await connected([`redis://${host}:${port}`])
  })
  after(async () => {
    broom.destroy()
    await one.destroy()
    await another.destroy()
  })
  storeSuite(
    { describe, it },
    {
      name: 'redisStore',
      make: (options) => redisStore(one, options),
      another: (options) => redisStore(another, options),
      reopen: (options) => redisStore(one, options),
      dispose: (namespace) => clear(broom, namespace),
    },
  )
})
