/**
 * Redis and Valkey, a single server, a cluster or a master under Sentinel, over a client that the user gives.
 *
 * Layout. Everything is spread over 4,096 buckets by a digest, each with a hash tag of its own,
 * `{<namespace>:<bucket>}`, so that it lies in one slot. In a record's bucket: the record, `r:<collection>/<id>` (a
 * string, its form is in `redis/form.ts`), the index of keys, `k` (a ZSET in byte order, for `scan`), and of expiries, `e` (a ZSET, for `sweep`). In the
 * bucket of a label: its ids, `i:<collection>/<label>` (a ZSET in byte order), and the stamps of their promises,
 * `p:<collection>/<label>` (a HASH). A whole collection is found by 65 labels of the driver's own, one for each first
 * character of the ids. `a` is what replicas are asked to confirm, and is gone after a second. Nothing uses SCAN or
 * KEYS but `reindexRedis`, an operator's task.
 *
 * Expiry. A record is live iff `now < expiresAt`, by the `now` that comes with each call. The server's own expiry is
 * set to `expiresAt` plus twice the margin, as a backstop: it removes the record only, and the sweep mends the indexes
 * of its bucket. Sweep more often than the margin, so that it meets every record. The index of expiries is never ahead of
 * the records, and may be behind: what was prolonged is entered anew when a sweep comes across it.
 *
 * Atomic. A record and the two indexes of its bucket change in one script, which also publishes the change. Not
 * atomic: the record and its labels' ids, which may lie on another master; by the protocol in `redis/label-index.ts`
 * `list` finds every record all the same. A create, and a replace that sets labels, take two round trips, everything
 * else takes one.
 *
 * Full memory (`maxmemory` with `noeviction`). A write that needs more room than it frees is refused with
 * `StoreFull`. Burying, touching, sweeping, whatever shrinks a record, and the collection `marks` always work. With
 * another `maxmemory-policy` the server drops indexes as it pleases: listing, counting and scanning are not offered,
 * also when it is changed later.
 *
 * Fail-over. Replication is asynchronous: a replica that takes over may lack the last acknowledged writes, a destroy
 * among them, or a record's entry under its labels (`reindexRedis` puts it back). `durable.failover` is therefore never
 * true; the option `acknowledge` has replicas confirm what must not come back. Promises compare the clocks of two
 * masters, so these may differ by half the option `promise`; more is refused at open.
 *
 * Needs Redis 6.2. Tested with Redis 7.0.15, a single server, a cluster of 3 masters and 3 replicas, and 3 Sentinels,
 * through node-redis 6.3, ioredis 6.0, iovalkey 0.4 and Valkey GLIDE 2.5.
 */

import type { Driver } from '../store/contract.ts'
import { guard } from '../store/guard.ts'
import { checkNamespace } from '../store/record.ts'
import type { OpenOptions, Store } from '../store/store.ts'
import { type AnyRedisClient, wireOf } from './redis/client.ts'
import { RedisDriver, type RedisOptions } from './redis/driver.ts'
import { ownWire } from './redis/own-client.ts'
import type { Reindexed } from './redis/reindexing.ts'

export type { AnyRedisClient } from './redis/client.ts'
export type { Acknowledge } from './redis/acknowledgement.ts'
export type { RedisOptions } from './redis/driver.ts'
export type { GlideClient, GlideCluster } from './redis/glide.ts'
export type { IoRedisClient, IoRedisCluster, IoRedisSubscriber } from './redis/ioredis.ts'
export type {
  RedisClient,
  RedisCluster,
  RedisNode,
  RedisSentinel,
  RedisSubscriber,
} from './redis/node-redis.ts'
export type { Reindexed } from './redis/reindexing.ts'

/**
 * A store over Redis.
 *
 * @param client A connected client of node-redis (`createClient()`, `createCluster()`, `createSentinel()`), of ioredis or
 *   iovalkey (`Redis`, `Cluster`), or of Valkey GLIDE. It stays yours: the store never closes it. Give it an `error`
 *   listener, and let commands wait only briefly while the server is away: docs/drivers/redis.md has the settings.
 * @throws {InvalidOption} when `options` can't be kept.
 */
export function redisStore(client: AnyRedisClient, options: RedisOptions = {}): Store {
  return guard(redisDriver(client, options), options)
}

/**
 * A store over a client of its own, for `openStore`.
 *
 * @param url `redis://[user:password@]host[:6379][/db]`, `rediss://` with TLS, `valkey://` and `valkeys://` likewise;
 *   several hosts, or one of them, are a cluster's nodes; `redis+sentinel://[user:password@]host[:26379],…/master[/db]`.
 * @param load Loads the package `redis`.
 * @param options `tls` needs a URL with TLS.
 * @throws {StoreMisconfigured} when the URL can't be right.
 */
export function openRedisStore(
  url: string,
  load: () => Promise<unknown>,
  options: RedisOptions & OpenOptions = {},
): Store {
  return guard(new RedisDriver(ownWire(url, load, options.tls), options), options)
}

/**
 * Puts back the index entries that records have lost, to an eviction or to a fail-over. Run it after either; others may
 * work on meanwhile. It goes through all names on every master by SCAN, so it takes as long as the server is large.
 *
 * @param client As for {@link redisStore}. @param options Those that the store has; `signal` ends it early.
 */
export async function reindexRedis(
  client: AnyRedisClient,
  { signal, ...options }: RedisOptions & { readonly signal?: AbortSignal } = {},
): Promise<Reindexed> {
  checkNamespace(options.namespace ?? 'holdfast')
  return await new RedisDriver(wireOf(client), options).reindex(signal)
}

/** The driver without its guard, for those who build a store of their own. */
export function redisDriver(client: AnyRedisClient, options: RedisOptions = {}): Driver {
  return new RedisDriver(wireOf(client), options)
}
