/** Stores that several processes use at once, by an address that can be handed to a child. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { openSqliteStore } from '../../packages/holdfast/src/drivers/sqlite.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { clear, connected, freshNamespace, targets } from '../drivers/redis/targets.ts'

/** Where a store is. */
export interface Address {
  readonly kind: 'sqlite' | 'redis'
  /** The file, or the servers. */
  readonly at: readonly string[]
  readonly namespace: string
}

/** Something to run the same tests over. */
export interface Shared {
  readonly name: string
  readonly skip: string | false
  /** Makes an empty place for one test; the answer's second part removes it. */
  make(): Promise<readonly [Address, () => Promise<void>]>
}

/** Opens the store of an address. */
export async function openAt({
  kind,
  at,
  namespace,
}: Address): Promise<{ store: Store; close: () => Promise<void> }> {
  if (kind === 'sqlite') {
    const store = openSqliteStore(at[0] ?? '', { namespace })
    return { store, close: () => store.close() }
  }
  const client = await connected(at)
  const store = redisStore(client, { namespace })
  const close = async (): Promise<void> => {
    await store.close()
    client.destroy()
  }
  return { store, close }
}

const sqlite: Shared = {
  name: 'SQLite',
  skip: false,
  async make() {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-parallel-'))
    const address: Address = { kind: 'sqlite', at: [join(folder, 'sessions.db')], namespace: 'holdfast' }
    return [address, () => rm(folder, { recursive: true, force: true })]
  },
}

export const sharedStores: readonly Shared[] = [
  sqlite,
  ...targets.map(({ name, urls, skip }): Shared => {
    return {
      name: `Redis, ${name}`,
      skip,
      async make() {
        const address: Address = { kind: 'redis', at: urls, namespace: freshNamespace() }
        return [
          address,
          async () => {
            const client = await connected(urls)
            await clear(client, address.namespace)
            client.destroy()
          },
        ]
      },
    }
  }),
]
