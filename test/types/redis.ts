/** The clients of node-redis fit, as they come and however they were configured. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import { createClient, createCluster } from 'redis'
import type { RedisClient, RedisCluster } from '../../packages/holdfast/src/drivers/redis.ts'
import { redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'

const server = createClient({ url: 'redis://localhost' })
const oldProtocol = createClient({ RESP: 2 })
const cluster = createCluster({ rootNodes: [{ url: 'redis://localhost' }] })
const oldCluster = createCluster({ RESP: 2, rootNodes: [] })

expectTypeOf(server).toExtend<RedisClient>()
expectTypeOf(oldProtocol).toExtend<RedisClient>()
expectTypeOf(cluster).toExtend<RedisCluster>()
expectTypeOf(oldCluster).toExtend<RedisCluster>()
expectTypeOf(redisStore(server, { promise: '5s', margin: '2h' })).toEqualTypeOf<Store>()
expectTypeOf(redisStore(cluster)).toEqualTypeOf<Store>()

// @ts-expect-error something else is no client
redisStore({ get: () => 'a' })
// @ts-expect-error bare seconds are no duration
redisStore(server, { promise: '5' })
