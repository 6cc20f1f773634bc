/**
 * The stores that are measured, and what they are measured against. Their servers are those of the tests: given by an
 * address in the environment, or started for the run.
 */

import { join } from 'node:path'
import { openStore, type Store, type StoreOptions } from 'holdfast'
import { serverKinds } from '../scripts/servers/index.ts'
import { getServers } from '../scripts/servers/launch.ts'
import { rawMemcached } from './raw/memcached.ts'
import { rawMongodb } from './raw/mongodb.ts'
import { rawMysql } from './raw/mysql.ts'
import { rawPostgres } from './raw/postgres.ts'
import type { Raw } from './raw/raw.ts'
import { rawRedis } from './raw/redis.ts'
import { rawSqlite } from './raw/sqlite.ts'

/** A store to measure. */
export interface Backend {
  readonly name: string
  /** Whether there is a server behind a network. */
  readonly isNetwork: boolean
  /** Where it is; an embedded one is a new file each time. */
  url(): string
  /** The raw client over the same server. */
  raw(): Promise<Raw>
}

const network: Readonly<
  Record<string, { readonly variable: string; readonly raw: (url: string) => Promise<Raw> }>
> = {
  redis: { variable: 'HOLDFAST_TEST_REDIS', raw: rawRedis },
  postgres: { variable: 'HOLDFAST_TEST_POSTGRES', raw: rawPostgres },
  mariadb: { variable: 'HOLDFAST_TEST_MARIADB', raw: rawMysql },
  mysql: { variable: 'HOLDFAST_TEST_MYSQL', raw: rawMysql },
  memcached: { variable: 'HOLDFAST_TEST_MEMCACHED', raw: rawMemcached },
  mongodb: { variable: 'HOLDFAST_TEST_MONGODB', raw: rawMongodb },
}

/** The names of the stores that can be measured. */
export const backendNames: readonly string[] = ['sqlite', ...Object.keys(network)]

/** The stores of these names, whose servers are started where none is given. Those that can't be had are left out. */
export async function backendsOf(names: readonly string[], folder: string): Promise<readonly Backend[]> {
  const kinds = serverKinds.filter(({ variable }) =>
    names.some((name) => network[name]?.variable === variable),
  )
  const { environment } = await onStandardError(() => getServers(kinds))
  return names.flatMap((name) => {
    if (name === 'sqlite') return [sqlite(folder)]
    const { variable = '', raw } = network[name] ?? {}
    const url = environment[variable]
    return url === undefined || !raw ? [] : [{ name, url: () => url, isNetwork: true, raw: () => raw(url) }]
  })
}

function sqlite(folder: string): Backend {
  let made = 0
  return {
    name: 'sqlite',
    isNetwork: false,
    url: () => `sqlite://${join(folder, `ours-${made++}.db`)}`,
    raw: async () => rawSqlite(join(folder, `theirs-${made++}.db`)),
  }
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

/** Opens a store on a namespace that nothing else uses, does the work, and removes everything again. */
async function withStore<T>(
  backend: Backend,
  work: (store: Store, what: string) => Promise<T>,
  options: StoreOptions = {},
): Promise<T> {
  const namespace = `bench-${process.pid.toString(36)}-${Date.now().toString(36)}`
  const store = await openStore(backend.url(), { deadline: '60s', namespace, ...options })
  try {
    const { description } = await store.open()
    return await work(store, description.split(/, | at /)[0] ?? '')
  } finally {
    // A file is new each time and goes with its folder.
    if (backend.isNetwork) await cleared(store).catch(sayLeft)
    await store.close()
  }
}

/** As {@link withStore}; a store that fails is said, so that the others are measured all the same. */
export async function attempted<T>(
  backend: Backend,
  work: (store: Store, what: string) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await withStore(backend, work)
  } catch (error) {
    process.stderr.write(`${backend.name} was not measured: ${String(error)}\n`)
    process.exitCode = 1
    return undefined
  }
}

/** Said and not thrown: what went wrong before it matters more. */
function sayLeft(error: unknown): void {
  process.stderr.write(`The records of this benchmark could not be removed: ${String(error)}\n`)
}

/** How many slices of what a benchmark has left are removed at once. */
const clearing = 8

async function cleared(store: Store): Promise<void> {
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
