/**
 * Memcached, one server or several, over a client of its own or one of its shape.
 *
 * Layout. A record is one item, `<namespace>:<collection>/<id>`: a line with version, expiry and time of the last
 * touch, a line with the labels, and the value. Every server also has one item, `<namespace>:servers`, that names the
 * list of servers it is used under. With `listing: 'partial'` there is one item for each label,
 * `<namespace>:<collection>:<digest of the label>`, with the ids that carry it.
 *
 * Expiry. A record is live iff `now < expiresAt`, by the `now` that comes with each call. The servers drop it at
 * `expiresAt` plus twice the margin, which is an absolute time, so that it may be years away. A sweep has nothing to
 * do and answers with nothing, for a server can't tell what it drops.
 *
 * Atomic. A change of one record: it is read with its token, compared and stored at that token, and again when
 * somebody else was faster. Each change, a touch too, takes two round trips; creating takes one. Not atomic: a record
 * and its index, which is written after it.
 *
 * Durability. None beyond this process: Memcached is a cache. To make room it drops any item, also one that is live,
 * and everything when it is restarted: a user is then logged out. There is no fail-over, because a key never moves to
 * another server: when its server is away its records are unavailable, the others are not. Listings can't be
 * complete, so what depends on them, revoking by labels, is refused.
 *
 * Full memory (`-M`). A server that refuses to store a record drops the one that it was to replace. A replace that
 * meets this ends as an unknown outcome, a create as `StoreFull`.
 *
 * Tested with Memcached 1.6.18, one server and three.
 */

import type { Driver } from '../store/contract.ts'
import { guard } from '../store/guard.ts'
import type { OpenOptions, Store } from '../store/store.ts'
import type { MemcachedClient, MemcachedClientOptions } from './memcached/client/client.ts'
import { locationOf } from './memcached/location.ts'
import { OwnClient } from './memcached/own-client.ts'
import { MemcachedDriver, type MemcachedOptions } from './memcached/driver.ts'

export {
  type MemcachedClient,
  memcachedClient,
  type MemcachedClientOptions,
  type MemcachedItem,
  type MemcachedServerReport,
  type MemcachedSetOptions,
  type OwnMemcachedClient,
} from './memcached/client/client.ts'
export type { ServerHealth } from './memcached/client/server.ts'
export type { MemcachedOptions } from './memcached/driver.ts'

/**
 * A store over Memcached.
 *
 * @param client From `memcachedClient()`, or anything with its methods. It stays yours: the store never closes it.
 */
export function memcachedStore(client: MemcachedClient, options: MemcachedOptions = {}): Store {
  return guard(memcachedDriver(client, options), options)
}

/** Settings of a store over a client of its own. */
export interface OpenMemcachedOptions extends MemcachedOptions, OpenOptions {
  /** How its client is set. */
  readonly client?: MemcachedClientOptions
}

/**
 * A store over a client of its own, for `openStore`. Needs no package.
 *
 * @param url `memcached://host[:11211][,host2 …]`, `memcacheds://` with TLS, `memcached:///path` of a Unix socket; with
 *   `?listing=partial` and `?role=cache` for those who have only a URL. The option `tls` switches TLS on as well.
 * @throws {StoreMisconfigured} when the URL can't be right.
 */
export function openMemcachedStore(url: string, options: OpenMemcachedOptions = {}): Store {
  const { servers, secure, settings } = locationOf(url)
  const tls = options.tls ?? secure
  const stampKey = `${options.namespace ?? 'holdfast'}:servers`
  const client = new OwnClient(servers, { tls, stampKey, ...options.client })
  const all = { ...settings, ...options }
  return guard(new MemcachedDriver(client, all, () => client.release()), all)
}

/** The driver without its guard, for those who build a store of their own. */
export function memcachedDriver(client: MemcachedClient, options: MemcachedOptions = {}): Driver {
  return new MemcachedDriver(client, options)
}
