/** The stores that the bridges to other libraries are tried over, opened for one test. */

import type { TestContext } from 'node:test'
import { openStore } from '../../packages/holdfast/src/store/open.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { freshNamespace } from '../drivers/redis/targets.ts'
import { cleared } from '../server/servers.ts'

/** By name, with their URLs; without one the server isn't there. */
export const stores: readonly (readonly [name: string, url: string | undefined])[] = [
  ['memory', 'memory:'],
  ['SQLite', 'sqlite::memory:'],
  ['PostgreSQL', process.env['HOLDFAST_TEST_POSTGRES']],
  ['Redis', process.env['HOLDFAST_TEST_REDIS']],
]

/** A part of a store that nobody else uses, empty again after the test. */
export async function opened(t: TestContext, url: string): Promise<Store> {
  const store = await openStore(url, { namespace: freshNamespace(), deadline: '30s' })
  t.after(() => cleared(store))
  return store
}
