/**
 * Opens a store by its URL, building the recommended client: the only place that knows all drivers and loads client
 * libraries.
 */

import { ClientMissing, StoreMisconfigured, UnknownScheme } from '../errors.ts'
import type { Store, StoreOptions } from './store.ts'

type Opener = (url: string, options: StoreOptions) => Promise<Store>

const openers: Readonly<Record<string, Opener>> = {
  memory: openMemory,
  sqlite: openSqlite,
  redis: openRedis,
  rediss: openRedis,
}

/**
 * Opens a store by its URL.
 *
 * - `memory:` in this process, lost with it
 * - `sqlite:app.db`, `sqlite:///var/lib/app.db` a file
 * - `redis://[user:password@]host[:6379][/db]`, `rediss://` with TLS; several hosts, `redis://a:1,b:2,c:3`, are the
 *   nodes of a cluster
 *
 * @throws {UnknownScheme} naming the known ones.
 * @throws {ClientMissing} naming what to install.
 * @throws {StoreMisconfigured} when the address can't be right.
 * @throws {StoreUnavailable} when it can't be reached.
 */
export async function openStore(url: string, options: StoreOptions = {}): Promise<Store> {
  const scheme = /^([a-z][a-z0-9+.-]*):/.exec(url)?.[1]
  const opener = scheme === undefined || !Object.hasOwn(openers, scheme) ? undefined : openers[scheme]
  if (!opener) {
    const known = Object.keys(openers).map((each) => `${each}:`)
    throw new UnknownScheme(
      `${scheme === undefined ? 'a store is named by a URL' : `there is no store for ${scheme}:`}; known are ${known.join(', ')}`,
    )
  }
  const store = await opener(url, options)
  try {
    await store.open()
  } catch (error) {
    await store.close().catch(() => undefined)
    throw error
  }
  return store
}

async function openMemory(url: string, options: StoreOptions): Promise<Store> {
  if (!/^memory:(\/\/)?$/.test(url)) throw new StoreMisconfigured('a memory store has no path: write memory:')
  const { memoryStore } = await import('../drivers/memory.ts')
  return memoryStore(options)
}

async function openSqlite(url: string, options: StoreOptions): Promise<Store> {
  const path = sqlitePath(url)
  const { openSqliteStore } = await import('../drivers/sqlite.ts')
  return openSqliteStore(path, options)
}

/** `sqlite:relative.db`, `sqlite:/absolute.db`, `sqlite:///absolute.db`; percent-encoding is undone. */
function sqlitePath(url: string): string {
  const rest = url.slice('sqlite:'.length)
  if (rest.includes('?') || rest.includes('#')) {
    throw new StoreMisconfigured('the URL of an SQLite store is a path only: write %3F for ? and %23 for #')
  }
  const path = rest.startsWith('//') ? rest.slice(2) : rest
  if (rest.startsWith('//') && !path.startsWith('/') && path !== ':memory:') {
    throw new StoreMisconfigured('write sqlite:relative.db or sqlite:///absolute.db: after // comes a host')
  }
  if (path === '') throw new StoreMisconfigured('the URL of an SQLite store needs a path: sqlite:holdfast.db')
  try {
    return decodeURIComponent(path)
  } catch (cause) {
    throw new StoreMisconfigured('the path of the SQLite store is not validly percent-encoded', { cause })
  }
}

async function openRedis(url: string, options: StoreOptions): Promise<Store> {
  const { openRedisStore } = await import('../drivers/redis.ts')
  return openRedisStore(url, () => client('redis'), options)
}

/** Loads a client library, which is the user's to install. */
async function client(name: string): Promise<unknown> {
  try {
    return await import(name)
  } catch (cause) {
    throw new ClientMissing(`this store needs the package ${name}: npm install ${name}`, { cause })
  }
}
