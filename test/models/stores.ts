/** Stores to play on. */

import { DatabaseSync } from 'node:sqlite'
import { type TestContext, it } from 'node:test'
import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { redisDriver } from '../../packages/holdfast/src/drivers/redis.ts'
import { sqliteDriver } from '../../packages/holdfast/src/drivers/sqlite.ts'
import type { Driver } from '../../packages/holdfast/src/store/contract.ts'
import { clear, connected, freshNamespace, targets } from '../drivers/redis/targets.ts'
import type { WorldOptions } from './faulty-world.ts'

/** A driver over an empty store, and what it must be told. */
export type Place = readonly [driver: Driver, options: WorldOptions]

export function inMemory(): Place {
  return [memoryDriver({ memory: new Memory() }), {}]
}

export function onSqlite(): Place {
  return [sqliteDriver(new DatabaseSync(':memory:')), {}]
}

/** One test for each kind of Redis that there is. */
export function onEachRedis(title: string, test: (t: TestContext, make: () => Place) => Promise<void>): void {
  for (const { name, urls, skip } of targets) {
    it(`${title}, on Redis, ${name}`, { skip }, async (t) => {
      const client = await connected(urls)
      const used: string[] = []
      try {
        await test(t, () => {
          const namespace = freshNamespace()
          used.push(namespace)
          // The feed takes its time, and time stands still here.
          return [redisDriver(client, { namespace }), { namespace, declare: { watch: false } }]
        })
      } finally {
        for (const namespace of used) await clear(client, namespace)
        client.destroy()
      }
    })
  }
}
