/**
 * Opens a store by its URL, building the recommended client: the only place that knows all drivers and loads client
 * libraries.
 */

import { ClientMissing, InvalidOption, StoreMisconfigured, UnknownScheme } from '../errors.ts'
import type { OpenOptions, Store, StoreOptions } from './store.ts'

type Opener = (url: string, options: OpenOptions) => Promise<Store>

const openers: Readonly<Record<string, Opener>> = {
  memory: onThisMachine(openMemory),
  sqlite: onThisMachine(openSqlite),
  file: onThisMachine(openSqlite),
  dir: onThisMachine(openDirectory),
  postgres: openPostgres,
  postgresql: openPostgres,
  mysql: openMysql,
  mariadb: openMysql,
  redis: openRedis,
  rediss: openRedis,
  'redis+sentinel': openRedis,
  'rediss+sentinel': openRedis,
  valkey: openRedis,
  valkeys: openRedis,
  'valkey+sentinel': openRedis,
  'valkeys+sentinel': openRedis,
  memcached: openMemcached,
  memcacheds: openMemcached,
  mongodb: openMongodb,
  'mongodb+srv': openMongodb,
  tiered: openTiered,
}

/** What a cache has less than a store: nobody waits for it, and what has expired in it is nothing to anybody. */
const asCache = { deadline: '500ms', margin: '1m' } as const

/**
 * Opens a store by its URL.
 *
 * - `memory:` in this process, lost with it
 * - `sqlite:app.db`, `sqlite:///var/lib/app.db`, `file:///var/lib/app.db` one file
 * - `dir:sessions`, `dir:///var/lib/sessions` a folder, one file a record; `dir:` a temporary one
 * - `postgres://[user:password@]host[:5432]/database`; needs the package `pg`
 * - `mysql://`, `mariadb://[user:password@]host[:3306]/database`; needs `mysql2`
 * - `redis://[user:password@]host[:6379][/db]`, `valkey://`; `rediss://` with TLS; several hosts,
 *   `redis://a:1,b:2,c:3`, are the nodes of a cluster; `redis+sentinel://host[:26379],…/master[/db]`; needs `redis`
 * - `memcached://host[:11211],…` keys are spread over several hosts; `memcacheds://` with TLS
 * - `mongodb://`, `mongodb+srv://` as MongoDB has them, with the database in the path; needs `mongodb`
 * - `tiered: memory: redis://cache postgres://host/database` tiers, from the top, with the truth at the end; `memory:` is
 *   this process's own. `tls` is for the truth
 *
 * User names and passwords in a URL are percent-encoded. They never appear in an error or a description.
 *
 * @throws {UnknownScheme} naming the known ones.
 * @throws {ClientMissing} naming what to install.
 * @throws {StoreMisconfigured} when the address can't be right.
 * @throws {StoreUnavailable} when it can't be reached.
 */
export async function openStore(url: string, options: OpenOptions = {}): Promise<Store> {
  const store = await openerOf(url)(url, options)
  try {
    // Of tiers only the truth has to be there.
    await store.open()
  } catch (error) {
    await store.close().catch(() => undefined)
    throw error
  }
  return store
}

/** @throws {UnknownScheme} */
function openerOf(url: string): Opener {
  const scheme = /^([a-z][a-z0-9+.-]*):/.exec(url)?.[1]
  const opener = scheme === undefined || !Object.hasOwn(openers, scheme) ? undefined : openers[scheme]
  if (opener) return opener
  const known = Object.keys(openers).map((each) => `${each}:`)
  throw new UnknownScheme(
    `${scheme === undefined ? 'a store is named by a URL' : `there is no store for ${scheme}:`}; known are ${known.join(', ')}`,
  )
}

/** An option that can't be honoured is refused, never ignored. */
function onThisMachine(open: Opener): Opener {
  return async (url, options) => {
    if (options.tls) throw new InvalidOption('`tls` is for stores on a server, and this one has none')
    return await open(url, options)
  }
}

async function openMemory(url: string, options: StoreOptions): Promise<Store> {
  if (!/^memory:(\/\/)?$/.test(url)) throw new StoreMisconfigured('a memory store has no path: write memory:')
  const { memoryStore } = await import('../drivers/memory.ts')
  return memoryStore(options)
}

async function openSqlite(url: string, options: StoreOptions): Promise<Store> {
  const path = pathOf(url)
  if (path === '') throw new StoreMisconfigured('the URL of an SQLite store needs a path: sqlite:holdfast.db')
  const { openSqliteStore } = await import('../drivers/sqlite.ts')
  return openSqliteStore(path, options)
}

async function openDirectory(url: string, options: StoreOptions): Promise<Store> {
  const path = pathOf(url)
  const { openDirectoryStore } = await import('../drivers/directory.ts')
  return openDirectoryStore(path === '' ? undefined : path, options)
}

async function openPostgres(url: string, options: OpenOptions): Promise<Store> {
  const { openPostgresStore } = await import('../drivers/postgres.ts')
  return openPostgresStore(url, () => client('pg'), options)
}

async function openMysql(url: string, options: OpenOptions): Promise<Store> {
  const { openMysqlStore } = await import('../drivers/mysql.ts')
  return openMysqlStore(url, () => client('mysql2/promise'), options)
}

async function openRedis(url: string, options: OpenOptions): Promise<Store> {
  const { openRedisStore } = await import('../drivers/redis.ts')
  return openRedisStore(url, () => client('redis'), options)
}

async function openMemcached(url: string, options: OpenOptions): Promise<Store> {
  const { openMemcachedStore } = await import('../drivers/memcached.ts')
  return openMemcachedStore(url, options)
}

async function openMongodb(url: string, options: OpenOptions): Promise<Store> {
  const { openMongodbStore } = await import('../drivers/mongodb.ts')
  return openMongodbStore(url, () => client('mongodb'), options)
}

async function openTiered(url: string, { tls, ...options }: OpenOptions): Promise<Store> {
  const urls = url.slice('tiered:'.length).trim().split(/\s+/)
  const [truth = '', ...caches] = urls.reverse()
  if (caches.length === 0 || urls.some((each) => each.startsWith('tiered:'))) {
    throw new StoreMisconfigured(
      'tiers are written from the top, with spaces between: tiered: memory: postgres://host/database',
    )
  }
  const { processMemory, tiered } = await import('./tiers/tiered.ts')
  let store = await openerOf(truth)(truth, tls ? { ...options, tls } : options)
  for (const cache of caches) {
    const above =
      cache === 'memory:' ? processMemory() : await openerOf(cache)(cache, { ...options, ...asCache })
    store = tiered(above, store)
  }
  return store
}

/** Loads a client library, which is the user's to install. */
async function client(name: string): Promise<unknown> {
  const [library = ''] = name.split('/')
  try {
    return await import(name)
  } catch (cause) {
    throw new ClientMissing(`this store needs the package ${library}: npm install ${library}`, { cause })
  }
}

/** `x:relative`, `x:/absolute`, `x:///absolute`; percent-encoding is undone. Nothing after the scheme is ''. */
function pathOf(url: string): string {
  const colon = url.indexOf(':')
  const scheme = url.slice(0, colon)
  const rest = url.slice(colon + 1)
  if (rest.includes('?') || rest.includes('#')) {
    throw new StoreMisconfigured(`a URL with ${scheme}: is a path only: write %3F for ? and %23 for #`)
  }
  const path = rest.startsWith('//') ? rest.slice(2) : rest
  if (rest.startsWith('//') && path !== '' && !path.startsWith('/') && path !== ':memory:') {
    throw new StoreMisconfigured(
      `write ${scheme}:relative/path or ${scheme}:///absolute/path: after // comes a host`,
    )
  }
  try {
    return decodeURIComponent(path)
  } catch (cause) {
    throw new StoreMisconfigured(`the path of ${scheme}: is not validly percent-encoded`, { cause })
  }
}
