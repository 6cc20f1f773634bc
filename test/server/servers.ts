/** The servers that the tests were given, each by the URL that a user would give. */

import type { Store } from 'holdfast'

interface Server {
  readonly name: string
  readonly url: string
  /** Why its tests are skipped; false when they aren't. */
  readonly skip: string | false
}

/** Those that can list what they hold, so all but Memcached. */
export const servers: readonly Server[] = [
  server('PostgreSQL', 'HOLDFAST_TEST_POSTGRES'),
  server('MariaDB', 'HOLDFAST_TEST_MARIADB'),
  server('MySQL', 'HOLDFAST_TEST_MYSQL'),
  server('MongoDB', 'HOLDFAST_TEST_MONGODB'),
  server('Redis', 'HOLDFAST_TEST_REDIS'),
  server('a Redis Cluster', 'HOLDFAST_TEST_REDIS_CLUSTER'),
  server('Redis behind Sentinels', 'HOLDFAST_TEST_REDIS_SENTINEL'),
]

export function server(name: string, variable: string): Server {
  const address = process.env[variable]
  const skip = address ? false : `${variable} is not set: run this by \`npm test\``
  return { name, skip, url: variable.endsWith('CLUSTER') ? oneUrl(address ?? '') : (address ?? '') }
}

/** The tests are given one address per node of a cluster; a URL has all of them. */
export function oneUrl(addresses: string): string {
  const hosts = addresses.split(',').filter(Boolean)
  return `redis://${hosts.map((each) => new URL(each).host).join(',')}`
}

/** Removes everything in a store's namespace, and closes it. */
export async function cleared(store: Store): Promise<void> {
  const { records } = await store.scan({ index: 0, of: 1, limit: 1_000, expired: true })
  await store.remove(records.map(({ key }) => key))
  await store.close()
}
