/** The clients that fit, recognised by what they can do. No client library is imported, not even its types. */

import { type GlideClient, type GlideCluster, glideWire } from './glide.ts'
import { type IoRedisClient, type IoRedisCluster, ioRedisWire } from './ioredis.ts'
import { nodeRedisWire, type RedisClient, type RedisCluster, type RedisSentinel } from './node-redis.ts'
import type { Wire } from './wire.ts'

/** A client of node-redis, of ioredis or iovalkey, or of Valkey GLIDE. */
export type AnyRedisClient =
  RedisClient | RedisCluster | RedisSentinel | IoRedisClient | IoRedisCluster | GlideClient | GlideCluster

/** The wire over a given client. */
export function wireOf(client: AnyRedisClient): Wire {
  if ('customCommand' in client) return glideWire(client)
  if ('callBuffer' in client) return ioRedisWire(client)
  return nodeRedisWire(client)
}
