/**
 * The stores that are measured, and what they are measured against. Their servers are those of the tests: given by an
 * address in the environment, or started for the run.
 */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore, type Store } from 'holdfast'
import { createConnection } from 'mysql2/promise'
import { Pool } from 'pg'
import { createClient } from 'redis'
import { serverKinds } from '../scripts/servers/index.ts'
import { getServers } from '../scripts/servers/launch.ts'
import { type LoaderOf, loadMysql, loadPostgres, loadSqlite } from './loading.ts'
import { rawMemcached } from './raw/memcached.ts'
import { rawMongodb } from './raw/mongodb.ts'
import { rawMysql } from './raw/mysql.ts'
import { rawPostgres } from './raw/postgres.ts'
import type { Raw } from './raw/raw.ts'
import { rawRedis } from './raw/redis.ts'
import { rawSqlite } from './raw/sqlite.ts'

/** A place of its own for one store: a file, a database. */
export interface Place {
  readonly url: string
  /** Removes it, with everything in it. Missing: nothing needs to be removed. */
  readonly drop?: () => Promise<void>
}

/** A store to measure. */
export interface Backend {
  readonly name: string
  /** Whether there is a server behind a network. */
  readonly isNetwork: boolean
  /** The most records that it is filled with: what its server holds and takes in reasonable time. */
  readonly most: number
  /** Whether the expired stay until they are swept. */
  readonly isSwept: boolean
  /** Where it is; an embedded one is a new file each time. */
  url(): string
  /** The raw client over the same server. */
  raw(): Promise<Raw>
  /**
   * A new place of this number, which shares no table and no keyspace with any other, so that a small store is not
   * in truth a part of a large one.
   */
  place(number: number): Promise<Place>
  /** Loads in bulk; missing where the store's own calls are fast enough. */
  readonly loader?: LoaderOf
  /** What was set on the server for the whole run. */
  readonly setting?: string
}

interface Network {
  readonly variable: string
  readonly raw: (url: string) => Promise<Raw>
  /** @param isOurs The server was started for the run. */
  readonly place: (url: string, number: number, isOurs: boolean) => Promise<Place>
  readonly most: number
  readonly loader?: LoaderOf
  /** Done to a server that was started for the run; says what it has done. */
  readonly tuned?: (url: string) => Promise<string>
}

const mysqlLike = {
  raw: rawMysql,
  place: mysqlPlace,
  most: 3_000_000,
  loader: loadMysql,
  tuned: roomyMysql,
}

const network: Readonly<Record<string, Network>> = {
  redis: { variable: 'HOLDFAST_TEST_REDIS', raw: rawRedis, place: redisPlace, most: 10_000_000 },
  postgres: {
    variable: 'HOLDFAST_TEST_POSTGRES',
    raw: rawPostgres,
    place: postgresPlace,
    most: 10_000_000,
    loader: loadPostgres,
  },
  mariadb: { variable: 'HOLDFAST_TEST_MARIADB', ...mysqlLike },
  mysql: { variable: 'HOLDFAST_TEST_MYSQL', ...mysqlLike },
  // Its namespaces are all that keeps stores apart, and its memory is small.
  memcached: { variable: 'HOLDFAST_TEST_MEMCACHED', raw: rawMemcached, place: samePlace, most: 100_000 },
  // FerretDB takes some hundred records a second, and looks at all of them to list some.
  mongodb: { variable: 'HOLDFAST_TEST_MONGODB', raw: rawMongodb, place: mongodbPlace, most: 2_000 },
}

/** The names of the stores that can be measured. */
export const backendNames: readonly string[] = ['sqlite', ...Object.keys(network)]

/** The stores of these names, whose servers are started where none is given. Those that can't be had are left out. */
export async function backendsOf(names: readonly string[], folder: string): Promise<readonly Backend[]> {
  const kinds = serverKinds.filter(({ variable }) =>
    names.some((name) => network[name]?.variable === variable),
  )
  const { environment } = await onStandardError(() => getServers(kinds))
  const stores = names.flatMap((name): readonly Promise<Backend>[] => {
    if (name === 'sqlite') return [Promise.resolve(sqlite(folder))]
    return overNetwork(name, environment)
  })
  return await Promise.all(stores)
}

function overNetwork(name: string, environment: Readonly<Record<string, string>>): Promise<Backend>[] {
  const kind = network[name]
  const url = environment[kind?.variable ?? '']
  return kind && url !== undefined ? [onServer(name, kind, url)] : []
}

async function onServer(name: string, kind: Network, url: string): Promise<Backend> {
  const { variable, most, loader, tuned } = kind
  const isOurs = process.env[variable] === undefined
  return {
    name,
    isNetwork: true,
    most,
    isSwept: ['postgres', 'mariadb', 'mysql'].includes(name),
    url: () => url,
    raw: () => kind.raw(url),
    place: (number) => kind.place(url, number, isOurs),
    ...(loader ? { loader } : {}),
    ...(tuned && isOurs ? { setting: await tuned(url) } : {}),
  }
}

function sqlite(folder: string): Backend {
  let made = 0
  return {
    name: 'sqlite',
    isNetwork: false,
    most: 10_000_000,
    isSwept: true,
    url: () => `sqlite://${join(folder, `ours-${made++}.db`)}`,
    raw: async () => rawSqlite(join(folder, `theirs-${made++}.db`)),
    place: async () => {
      const path = join(folder, `ours-${made++}.db`)
      const drop = async (): Promise<void> => {
        for (const file of [path, `${path}-wal`, `${path}-shm`]) await rm(file, { force: true })
      }
      return { url: `sqlite://${path}`, drop }
    },
    loader: loadSqlite,
  }
}

async function postgresPlace(url: string, number: number): Promise<Place> {
  const [name, at] = databaseAt(url, number)
  const ask = async (text: string): Promise<void> => {
    const pool = new Pool({ connectionString: url, max: 1 })
    await pool.query(text).finally(() => pool.end())
  }
  await ask(`drop database if exists ${name}`)
  await ask(`create database ${name}`)
  return { url: at, drop: () => ask(`drop database ${name} with (force)`) }
}

async function mysqlPlace(url: string, number: number): Promise<Place> {
  const [name, at] = databaseAt(url, number)
  await askMysql(url, `drop database if exists ${name}`)
  await askMysql(url, `create database ${name}`)
  return { url: at, drop: () => askMysql(url, `drop database ${name}`).then(() => undefined) }
}

async function askMysql(url: string, text: string): Promise<unknown> {
  const connection = await createConnection(url.replace(/^mariadb:/, 'mysql:'))
  return await connection.query(text).finally(() => connection.end())
}

/** The tests' own has 64 MB for pages, less than what a million records take. */
async function roomyMysql(url: string): Promise<string> {
  await askMysql(url, 'set global innodb_buffer_pool_size = 2147483648')
  return 'innodb_buffer_pool_size 2 GB'
}

/** One of the sixteen databases of a Redis, each a keyspace of its own. */
async function redisPlace(url: string, number: number, isOurs: boolean): Promise<Place> {
  const at = url.replace(/(^[a-z]+:\/\/[^/?]*)(\/\d*)?/, `$1/${number + 1}`)
  const drop = async (): Promise<void> => {
    const client = createClient({ url: at })
    await client.connect()
    await client.flushDb().finally(() => {
      client.destroy()
    })
  }
  // What else may lie in a database of somebody's server isn't ours to remove.
  return { url: at, ...(isOurs ? { drop } : {}) }
}

async function mongodbPlace(url: string, number: number): Promise<Place> {
  return { url: databaseAt(url, number)[1] }
}

async function samePlace(url: string): Promise<Place> {
  return { url }
}

/** Another database of a server: its name and its URL. */
function databaseAt(url: string, number: number): [name: string, url: string] {
  const name = `holdfast_bench_${number}`
  return [name, url.replace(/(\/\/[^/?]*)(\/[^?]*)?/, `$1/${name}`)]
}

/** The launcher says where servers come from; standard output is for figures. */
async function onStandardError<T>(work: () => Promise<T>): Promise<T> {
  const { log } = console
  console.log = console.error
  try {
    return await work()
  } finally {
    console.log = log
  }
}

/** A namespace that nothing else uses. */
export function freshNamespace(): string {
  return `bench-${process.pid.toString(36)}-${Date.now().toString(36)}`
}

/** Opens a store for one benchmark, does the work, and removes everything again. */
async function withStore<T>(backend: Backend, work: (store: Store, what: string) => Promise<T>): Promise<T> {
  const store = await openStore(backend.url(), { deadline: '60s', namespace: freshNamespace() })
  try {
    const { description } = await store.open()
    return await work(store, shortened(description))
  } finally {
    // A file is new each time and goes with its folder.
    if (backend.isNetwork) await cleared(store).catch(sayLeft)
    await store.close()
  }
}

/** Product and version of what a store is over. */
export function shortened(description: string): string {
  return description.split(/, | at /)[0] ?? ''
}

/** As {@link withStore}; a store that fails is said, so that the others are measured all the same. */
export async function attempted<T>(
  backend: Backend,
  work: (store: Store, what: string) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await withStore(backend, work)
  } catch (error) {
    sayFailed(backend, error)
    return undefined
  }
}

export function sayFailed({ name }: Backend, error: unknown): void {
  process.stderr.write(`${name} was not measured: ${String(error)}\n`)
  process.exitCode = 1
}

/** Said and not thrown: what went wrong before it matters more. */
export function sayLeft(error: unknown): void {
  process.stderr.write(`The records of this benchmark could not be removed: ${String(error)}\n`)
}

/** How many slices of what a benchmark has left are removed at once. */
const clearing = 8

export async function cleared(store: Store): Promise<void> {
  if (!store.capabilities.scanning) return
  await Promise.all(
    Array.from({ length: clearing }, async (_, index) => {
      let after: string | undefined
      do {
        const next = after === undefined ? {} : { after }
        const page = await store.scan({ index, of: clearing, limit: 1_000, expired: true, ...next })
        if (page.records.length > 0) await store.remove(page.records.map(({ key }) => key))
        after = page.next
      } while (after !== undefined)
    }),
  )
}
