/** The clients of every library fit, as they come and however they were configured. Checked by `tsc`, never run. */

import { GlideClient, GlideClusterClient } from '@valkey/valkey-glide'
import { expectTypeOf } from 'expect-type'
import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import { createClient, createCluster, createSentinel } from 'redis'
import type {
  GlideCluster,
  IoRedisClient,
  IoRedisCluster,
  RedisClient,
  RedisCluster,
  RedisSentinel,
} from '../../packages/holdfast/src/drivers/redis.ts'
import { type GlideClient as AnyGlide, redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'

const server = createClient({ url: 'redis://localhost' })
const oldProtocol = createClient({ RESP: 2 })
const cluster = createCluster({ rootNodes: [{ url: 'redis://localhost' }] })
const oldCluster = createCluster({ RESP: 2, rootNodes: [] })
const sentinel = createSentinel({ name: 'mymaster', sentinelRootNodes: [] })
const oldSentinel = createSentinel({ RESP: 2, name: 'mymaster', sentinelRootNodes: [] })

expectTypeOf(server).toExtend<RedisClient>()
expectTypeOf(oldProtocol).toExtend<RedisClient>()
expectTypeOf(cluster).toExtend<RedisCluster>()
expectTypeOf(oldCluster).toExtend<RedisCluster>()
expectTypeOf(sentinel).toExtend<RedisSentinel>()
expectTypeOf(oldSentinel).toExtend<RedisSentinel>()
expectTypeOf(redisStore(server, { promise: '5s', margin: '2h' })).toEqualTypeOf<Store>()
expectTypeOf(redisStore(cluster)).toEqualTypeOf<Store>()
expectTypeOf(redisStore(sentinel, { heartbeat: '1s' })).toEqualTypeOf<Store>()

const io = new Redis({ sentinels: [{ host: 'localhost' }], name: 'mymaster' })
const ioCluster = new Cluster(['redis://localhost'], { scaleReads: 'slave' })
const valkey = new Valkey('redis://localhost')
const valkeyCluster = new ValkeyCluster(['redis://localhost'])

expectTypeOf(io).toExtend<IoRedisClient>()
expectTypeOf(new Redis({ protocol: 2 })).toExtend<IoRedisClient>()
expectTypeOf(ioCluster).toExtend<IoRedisCluster>()
expectTypeOf(valkey).toExtend<IoRedisClient>()
expectTypeOf(valkeyCluster).toExtend<IoRedisCluster>()
expectTypeOf(redisStore(io)).toEqualTypeOf<Store>()
expectTypeOf(redisStore(ioCluster)).toEqualTypeOf<Store>()
expectTypeOf(redisStore(valkey)).toEqualTypeOf<Store>()
expectTypeOf(redisStore(valkeyCluster)).toEqualTypeOf<Store>()

const glide = await GlideClient.createClient({ addresses: [{ host: 'localhost' }] })
const glideCluster = await GlideClusterClient.createClient({ addresses: [{ host: 'localhost' }] })

expectTypeOf(glide).toExtend<AnyGlide>()
expectTypeOf(glideCluster).toExtend<GlideCluster>()
expectTypeOf(redisStore(glide)).toEqualTypeOf<Store>()
expectTypeOf(redisStore(glideCluster)).toEqualTypeOf<Store>()

// @ts-expect-error something else is no client
redisStore({ get: () => 'a' })
// @ts-expect-error bare seconds are no duration
redisStore(server, { promise: '5' })
