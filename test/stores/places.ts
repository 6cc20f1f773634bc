/**
 * Every store that there is, by its URL: those on this machine, and the servers that `npm test` has started. A new
 * kind of store is one line in the list. Tests that run over it are true of all of them.
 */

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../../packages/holdfast/src/store/open.ts'
import type { Store, StoreOptions } from '../../packages/holdfast/src/store/store.ts'
import { privateServer } from '../drivers/memcached/servers.ts'
import {
  privateServer as privateMongodb,
  skipPrivate as skipPrivateMongodb,
} from '../drivers/mongodb/servers.ts'
import { clear, connected } from '../drivers/redis/targets.ts'

/** A kind of store to run the same tests over. */
export interface Place {
  readonly name: string
  /** Why its tests are skipped; false when they aren't. */
  readonly skip: string | false
  /** Several processes may use one room of it at once. */
  readonly shared: boolean
  /** One server, or several that stand on their own, so that a proxy can stand in front of each. */
  readonly network: boolean
  /** The place whose driver it shares, so that it differs in how it is reached only. */
  readonly like?: string
  /** Makes an empty room for one test. */
  readonly room: () => Promise<Room>
  /** Makes one that a proxy may stand in front of, where a server that others use won't do. */
  readonly roomApart?: () => Promise<Room | undefined>
}

/** A part of a store that nobody else uses. */
export interface Room {
  readonly url: string
  readonly namespace: string
  /** Removes everything that is in it. */
  remove(): Promise<void>
}

/** We know that it may forget, and need no warning. */
const asCache = '?role=cache'

/** Every kind of store. */
export const places: readonly Place[] = [
  { name: 'memory', skip: false, shared: false, network: false, room: inMemory },
  inFolder('SQLite', (folder) => `sqlite:${join(folder, 'store.db')}`),
  { ...inFolder('a file', (folder) => `file://${join(folder, 'store')}`), like: 'SQLite' },
  inFolder('a folder', (folder) => `dir://${join(folder, 'store')}`),
  onServer('PostgreSQL', 'HOLDFAST_TEST_POSTGRES', { network: true }),
  onServer('MariaDB', 'HOLDFAST_TEST_MARIADB', { network: true }),
  onServer('MySQL', 'HOLDFAST_TEST_MYSQL', { network: true }),
  onServer('Redis', 'HOLDFAST_TEST_REDIS', { network: true, remove: clearRedis }),
  onServer('Redis Cluster', 'HOLDFAST_TEST_REDIS_CLUSTER', { url: clusterUrl, remove: clearRedis }),
  { ...onServer('Redis Sentinel', 'HOLDFAST_TEST_REDIS_SENTINEL'), like: 'Redis' },
  onServer('Valkey', 'HOLDFAST_TEST_VALKEY', { network: true }),
  onServer('Memcached', 'HOLDFAST_TEST_MEMCACHED', {
    network: true,
    url: (address) => `${address}${asCache}`,
    roomApart: onPrivateMemcached,
  }),
  onServer('MongoDB', 'HOLDFAST_TEST_MONGODB', { network: true, roomApart: onPrivateFerretdb }),
  onServer('MongoDB, a replica set', 'HOLDFAST_TEST_MONGODB_REPLICA_SET'),
]

/** Those that several processes may use at once. What takes long is done once for each driver, but in the long run. */
export const sharedPlaces: readonly Place[] = places.filter(({ shared }) => shared).map(inTheLongRun)

/** Those that are reached over connections that can be cut. */
export const networkPlaces: readonly Place[] = places.filter(({ network }) => network)

/** Opens the store of a room. It waits longer than usual: many tests at once are more than a machine's share of work. */
export async function openRoom(
  room: Pick<Room, 'url' | 'namespace'>,
  options: StoreOptions = {},
): Promise<Store> {
  return await openStore(room.url, { deadline: '30s', ...options, namespace: room.namespace })
}

function inTheLongRun(place: Place): Place {
  if (place.like === undefined || process.env['HOLDFAST_TEST_LONG'] === '1') return place
  return { ...place, skip: place.skip || `the same driver as ${place.like}: in the long run only` }
}

/** A namespace that nobody else uses. */
export function freshNamespace(): string {
  return `t${randomBytes(8).toString('hex')}`
}

async function inMemory(): Promise<Room> {
  return { url: 'memory:', namespace: freshNamespace(), remove: async () => undefined }
}

/** A store in a folder of its own. */
function inFolder(name: string, urlOf: (folder: string) => string): Place {
  return {
    name,
    skip: false,
    shared: true,
    network: false,
    async room() {
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-room-'))
      const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
      return { url: urlOf(folder), namespace: freshNamespace(), remove }
    },
  }
}

interface ServerOptions {
  /** Whether proxies can stand in front of all of it. @default false: it hands out addresses of its own */
  readonly network?: boolean
  /** The URL for `openStore`, from what the environment says. @default as it is */
  readonly url?: (address: string) => string
  /** Removes what is left of a room. @default what a scan finds */
  readonly remove?: (url: string, namespace: string) => Promise<void>
  readonly roomApart?: (address: string) => Promise<Room | undefined>
}

/** A store on a server whose address the environment tells. */
function onServer(name: string, variable: string, options: ServerOptions = {}): Place {
  const {
    network = false,
    url: urlOf = (address: string) => address,
    remove = removeFound,
    roomApart,
  } = options
  const address = process.env[variable] ?? ''
  return {
    name,
    skip: address === '' && `${variable} is not set: run this by \`npm test\``,
    shared: true,
    network,
    ...(roomApart && { roomApart: () => roomApart(address) }),
    async room() {
      const url = urlOf(address)
      const namespace = freshNamespace()
      return { url, namespace, remove: () => remove(url, namespace) }
    },
  }
}

/** Servers that know no other name than the proxy's: they are refused under a second one. */
async function onPrivateMemcached(): Promise<Room> {
  const ends: (() => Promise<void>)[] = []
  const servers = [1, 2].map(() => privateServer({ after: (end) => void ends.push(end) }))
  const names = (await Promise.all(servers)).map(({ name }) => name)
  return {
    url: `memcached://${names.join(',')}${asCache}`,
    namespace: freshNamespace(),
    remove: () => ended(ends),
  }
}

async function ended(ends: readonly (() => Promise<void>)[]): Promise<void> {
  for (const end of ends) await end()
}

/** FerretDB 1 has one writer at a time: what others do there would use up the short deadlines of these tests. */
async function onPrivateFerretdb(address: string): Promise<Room | undefined> {
  const shared = await openStore(address)
  const { description } = await shared.open()
  await shared.close()
  if (!description.startsWith('FerretDB 1.') || skipPrivateMongodb) return undefined
  const ends: (() => Promise<void>)[] = []
  const server = await privateMongodb({ after: (end) => void ends.push(end) })
  await server.start()
  return { url: server.url(), namespace: freshNamespace(), remove: () => ended(ends) }
}

/** `redis://a:1,redis://b:2` as `redis://a:1,b:2`. */
function clusterUrl(address: string): string {
  return `redis://${address.replaceAll('redis://', '')}`
}

/** Removes whatever a scan finds. Where there is no scan, the server's own expiry has to do. */
async function removeFound(url: string, namespace: string): Promise<void> {
  const store = await openStore(url, { namespace })
  try {
    if (!store.capabilities.scanning) return
    for (;;) {
      const { records, next } = await store.scan({ index: 0, of: 1, limit: 1_000, expired: true })
      await store.remove(records.map(({ key }) => key))
      if (records.length === 0 && next === undefined) return
    }
  } finally {
    await store.close()
  }
}

/** Everything of the namespace, the index too, which a removal of records leaves to be repaired. */
async function clearRedis(url: string, namespace: string): Promise<void> {
  const client = await connected(
    url
      .slice('redis://'.length)
      .split(',')
      .map((host) => `redis://${host}`),
  )
  try {
    await clear(client, namespace)
  } finally {
    client.destroy()
  }
}
