/** Readers of what other libraries stored: so that a change of libraries logs nobody out. */

export { connectMongoSessions } from './connect-mongo.ts'
export type {
  ConnectMongoOptions,
  OldMongoClient,
  OldMongoCollection,
  OldMongoDatabase,
} from './connect-mongo.ts'
export { connectPgSimpleSessions } from './connect-pg-simple.ts'
export type { ConnectPgSimpleOptions, OldPgPool, OldPostgresJs } from './connect-pg-simple.ts'
export { connectRedisSessions } from './connect-redis.ts'
export type {
  ConnectRedisOptions,
  OldIoRedis,
  OldNodeRedis,
  OldNodeRedisCluster,
  OldRedisClient,
} from './connect-redis.ts'
export type { CopiedSessions, CopyOldOptions, CopyOldProgress, OldSessionTarget } from './copying.ts'
export { copyOldSessions } from './copying.ts'
export type {
  Malformed,
  OldData,
  OldPage,
  OldScan,
  OldSession,
  OldSessions,
  OldSessionsOptions,
} from './old-sessions.ts'
export { sessionFileStoreSessions } from './session-file-store.ts'
export type { SessionFileStoreOptions } from './session-file-store.ts'
