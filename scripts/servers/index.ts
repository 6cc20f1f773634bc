import { redis, redisCluster } from './redis.ts'
import type { ServerKind } from './launch.ts'

/** All servers that tests use. A new kind is one file here and one entry in this list. */
export const serverKinds: readonly ServerKind[] = [redis, redisCluster]
