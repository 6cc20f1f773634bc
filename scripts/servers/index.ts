import { chromium } from './chromium.ts'
import type { ServerKind } from './kind.ts'
import { mariadb, mysql } from './mariadb.ts'
import { memcached } from './memcached.ts'
import { mongodb, mongodbReplicaSet } from './mongodb.ts'
import { postgres } from './postgres.ts'
import { redis, redisCluster, redisSentinel, valkey } from './redis.ts'
import { bun, deno } from './runtimes.ts'

/** All servers that tests use, and the browser and the runtimes. A new kind is one file here and one entry in this list. */
export const serverKinds: readonly ServerKind[] = [
  redis,
  redisCluster,
  redisSentinel,
  valkey,
  postgres,
  mariadb,
  mysql,
  memcached,
  mongodb,
  mongodbReplicaSet,
  chromium,
  bun,
  deno,
]
