/** The clients of every library fit, as they come. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import type { Db, MongoClient } from 'mongodb'
import type { Client, Pool, PoolClient } from 'pg'
import type postgres from 'postgres'
import { createClient, createCluster, createSentinel } from 'redis'
import type { OldSessionReader } from 'holdfast'
import {
  connectMongoSessions,
  connectPgSimpleSessions,
  connectRedisSessions,
  type OldMongoClient,
  type OldMongoDatabase,
  type OldPgPool,
  type OldPostgresJs,
  type OldRedisClient,
  type OldSessions,
} from 'holdfast/migration'

const server = createClient({ url: 'redis://localhost' })
const cluster = createCluster({ rootNodes: [] })
const sentinel = createSentinel({ name: 'mymaster', sentinelRootNodes: [] })

expectTypeOf(server).toExtend<OldRedisClient>()
expectTypeOf(createClient({ RESP: 2 })).toExtend<OldRedisClient>()
expectTypeOf(cluster).toExtend<OldRedisClient>()
expectTypeOf(sentinel).toExtend<OldRedisClient>()
expectTypeOf(new Redis({ protocol: 2 })).toExtend<OldRedisClient>()
expectTypeOf(new Cluster(['redis://localhost'])).toExtend<OldRedisClient>()
expectTypeOf(new Valkey('redis://localhost')).toExtend<OldRedisClient>()
expectTypeOf(new ValkeyCluster(['redis://localhost'])).toExtend<OldRedisClient>()
expectTypeOf(connectRedisSessions(server)).toEqualTypeOf<OldSessions>()

expectTypeOf<Pool>().toExtend<OldPgPool>()
expectTypeOf<PoolClient>().toExtend<OldPgPool>()
expectTypeOf<Client>().toExtend<OldPgPool>()
expectTypeOf<postgres.Sql>().toExtend<OldPostgresJs>()
expectTypeOf<MongoClient>().toExtend<OldMongoClient>()
expectTypeOf<Db>().toExtend<OldMongoDatabase>()

/** What a reader is, sessions by secret id can read. */
expectTypeOf<OldSessions>().toExtend<OldSessionReader>()

// @ts-expect-error something else is no client
connectRedisSessions({ get: () => 'a' })
// @ts-expect-error nor is this
connectPgSimpleSessions({ query: 'select' })
// @ts-expect-error nor is this
connectMongoSessions({})
