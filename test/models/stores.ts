/** Drivers to play on: those of this process, and those of every server that there is. */

import { mkdtemp, rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, it } from 'node:test'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { directoryDriver } from '../../packages/holdfast/src/drivers/directory.ts'
import { memcachedClient, memcachedDriver } from '../../packages/holdfast/src/drivers/memcached.ts'
import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { mongodbDriver } from '../../packages/holdfast/src/drivers/mongodb.ts'
import { mysqlDriver } from '../../packages/holdfast/src/drivers/mysql.ts'
import { postgresDriver } from '../../packages/holdfast/src/drivers/postgres.ts'
import { redisDriver } from '../../packages/holdfast/src/drivers/redis.ts'
import { sqliteDriver } from '../../packages/holdfast/src/drivers/sqlite.ts'
import type { Driver } from '../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type Key, keyText, type StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { processMemory, tiered } from '../../packages/holdfast/src/store/tiers/tiered.ts'
import { seededPlan, withFaults } from '../../packages/holdfast/src/testing/faults.ts'
import * as memcached from '../drivers/memcached/targets.ts'
import * as mongodb from '../drivers/mongodb/targets.ts'
import * as mysql from '../drivers/mysql/targets.ts'
import * as postgres from '../drivers/postgres/targets.ts'
import * as redis from '../drivers/redis/targets.ts'
import { freshNamespace } from '../stores/places.ts'
import { sabotaged } from '../testing/sabotages/sabotage.ts'
import type { WorldOptions } from './faulty-world.ts'

/** A driver over an empty store, and what it must be told. */
export type Place = readonly [driver: Driver, options: WorldOptions]

export function inMemory(): Place {
  return [memoryDriver({ memory: new Memory() }), {}]
}

/**
 * Each process with a memory of its own, over a cache that all of them share. Every third call of the cache fails; what
 * it is told to forget it forgets, because the models' time stands still where a process waits for the bound.
 */
export function inTiers(): Place {
  const memory = new Memory({ cache: true })
  let seed = 0
  const tiers = (store: Store): Store => {
    const plan = seededPlan({
      seed: seed++,
      rates: { fail: 0.1, loseAnswer: 0.1, loseRequest: 0.1 },
      operations: ['read', 'create', 'replace', 'sweep'],
    })
    const { clock } = store
    const cache = guard(withFaults(memoryDriver({ memory }), { plan }), { clock, circuit: false })
    return tiered(processMemory(), tiered(cache, store))
  }
  return [memoryDriver({ memory: new Memory() }), { declare: { shared: true }, tiers }]
}

export function onSqlite(): Place {
  return [sqliteDriver(new DatabaseSync(':memory:')), {}]
}

/** A kind of backend whose driver is made over a client of the test's own. */
export interface Kind {
  readonly name: string
  /** Why its tests are skipped; false when they aren't. */
  readonly skip: string | false
  /** false: it can't list, so what needs listings is left out. */
  readonly lists: boolean
  readonly connect: () => Promise<Connected>
}

/** A client that is connected. */
export interface Connected {
  driver(namespace: string): Driver
  /** Removes everything of the namespace. */
  clear(namespace: string): Promise<void>
  close(): Promise<void>
}

/** Every kind of backend but those of this process. */
export const kinds: readonly Kind[] = [
  { name: 'a folder', skip: false, lists: true, connect: inFolder },
  {
    name: 'PostgreSQL',
    skip: postgres.skip,
    lists: true,
    async connect() {
      const pool = postgres.poolOf()
      return {
        driver: (namespace) => postgresDriver(pool, { namespace }),
        clear: (namespace) => postgres.clear(pool, namespace),
        close: () => pool.end(),
      }
    },
  },
  ...mysql.targets.map(onMysql),
  ...redis.targets.map(onRedis),
  ...memcached.targets.slice(-1).map(onMemcached),
  ...[mongodb.single, mongodb.replicaSet].map(onMongodb),
]

/** One test for each kind of backend. */
export function onEachServer(
  title: string,
  test: (t: TestContext, make: () => Place, kind: Kind) => Promise<void>,
): void {
  for (const kind of kinds) {
    it(`${title}, on ${kind.name}`, { skip: kind.skip }, async (t) => {
      const connected = await kind.connect()
      const used: string[] = []
      try {
        const make = (): Place => {
          const namespace = freshNamespace()
          used.push(namespace)
          // The feed takes its time, and time stands still here.
          return [connected.driver(namespace), { namespace, declare: { watch: false } }]
        }
        await test(t, make, kind)
      } finally {
        for (const namespace of used) await connected.clear(namespace)
        await connected.close()
      }
    })
  }
}

async function inFolder(): Promise<Connected> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-models-'))
  const gone = async (): Promise<void> => undefined
  return {
    driver: (namespace) => directoryDriver(join(folder, namespace), { namespace }),
    clear: gone,
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

function onMysql({ name, url, skip }: mysql.Target): Kind {
  return {
    name,
    skip,
    lists: true,
    async connect() {
      const pool = mysql.mysql2.pool(url)
      return {
        driver: (namespace) => mysqlDriver(pool, { namespace }),
        clear: (namespace) => mysql.clear(pool, namespace),
        close: () => pool.end(),
      }
    },
  }
}

function onRedis({ name, urls, skip }: redis.Target): Kind {
  return {
    name: `Redis, ${name}`,
    skip,
    lists: true,
    async connect() {
      const client = await redis.connected(urls)
      return {
        driver: (namespace) => redisDriver(client, { namespace }),
        clear: (namespace) => redis.clear(client, namespace),
        async close() {
          client.destroy()
        },
      }
    },
  }
}

function onMemcached({ servers, skip }: memcached.Target): Kind {
  return {
    name: 'Memcached',
    skip,
    lists: false,
    async connect() {
      const client = memcachedClient(servers, { stampKey: memcached.stampKey() })
      return {
        driver: (namespace) => sweeping(memcachedDriver(client, { namespace, role: 'cache' })),
        clear: async () => undefined,
        async close() {
          client.close()
        },
      }
    },
  }
}

/** In the place of a server that removes what has expired by a clock of its own, which stands still for no test. */
function sweeping(driver: Driver): Driver {
  const written = new Map<string, Key>()
  return sabotaged(driver, {
    caught: /never/,
    breaks: () => ({
      create(record, call) {
        written.set(keyText(record.key), record.key)
        return driver.create(record, call)
      },
      async sweep({ before, limit }, call) {
        const found = await driver.read([...written.values()], { expired: true, strict: true }, call)
        const due = found.filter((record) => record !== undefined && record.expiresAt <= before)
        const removed = due.slice(0, limit) as StoredRecord[]
        await driver.remove(
          removed.map(({ key }) => key),
          call,
        )
        return { removed, ...(due.length > limit && { next: 'more' }) }
      },
    }),
  })
}

function onMongodb(target: mongodb.Target): Kind {
  return {
    name: `MongoDB, ${target === mongodb.single ? 'a single server' : 'a replica set'}`,
    skip: target.skip,
    lists: true,
    async connect() {
      const client = await mongodb.connected(target.url)
      return {
        driver: (namespace) => mongodbDriver(client.db(mongodb.databaseName), { namespace }),
        clear: (namespace) => mongodb.clear(client, namespace),
        close: () => client.close(),
      }
    },
  }
}
