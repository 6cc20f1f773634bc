/** The server that `npm test` has started, and clients over it. */

import { randomBytes } from 'node:crypto'
import { Pool } from 'pg'
import postgres from 'postgres'
import {
  type PostgresJs,
  type PostgresOptions,
  type PostgresPool,
  postgresStore,
} from '../../../packages/holdfast/src/drivers/postgres.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { atEnd, type Ending } from '../redis/ending.ts'

/** Where the server is; empty when there is none. */
export const url = process.env['HOLDFAST_TEST_POSTGRES'] ?? ''

/** Why its tests are skipped; false when they aren't. */
export const skip = url === '' && 'HOLDFAST_TEST_POSTGRES is not set: run this by `npm test`'

/** A namespace that nobody else uses. */
export function freshNamespace(): string {
  return `test-${randomBytes(6).toString('hex')}`
}

/** A pool of a few connections. */
export function poolOf(address = url, settings: object = {}): Pool {
  const pool = new Pool({ connectionString: address, max: 6, connectionTimeoutMillis: 5_000, ...settings })
  pool.on('error', () => undefined)
  return pool
}

/** Removes everything of a namespace. */
export async function clear(pool: Pool, namespace: string): Promise<void> {
  for (const table of ['holdfast_records', 'holdfast_labels', 'holdfast_changes']) {
    await pool.query(`delete from ${table} where namespace = $1`, [namespace])
  }
}

/** Clients and stores of one test, and everything that they leave behind. */
export class Bench {
  readonly namespace = freshNamespace()
  readonly #stores: Store[] = []
  readonly #clients: { end(): Promise<void> }[] = []

  constructor(test: Ending) {
    atEnd(test, () => this.#end())
  }

  /** A pool of its own, ended with the test. */
  pool(address = url, settings: object = {}): Pool {
    const pool = poolOf(address, settings)
    this.#clients.push(pool)
    return pool
  }

  /** The same of postgres.js. */
  sql(address = url): postgres.Sql {
    const sql = postgres(address, {
      max: 6,
      connect_timeout: 5,
      backoff: () => 0.05,
      onnotice: () => undefined,
    })
    this.#clients.push({ end: () => sql.end({ timeout: 1 }) })
    return sql
  }

  store(options: PostgresOptions = {}, client: PostgresPool | PostgresJs = this.pool()): Store {
    return this.closes(postgresStore(client, { namespace: this.namespace, ...options }))
  }

  /** Has a store closed with the test. */
  closes(store: Store): Store {
    this.#stores.push(store)
    return store
  }

  async #end(): Promise<void> {
    try {
      for (const store of this.#stores) await store.close()
      const pool = poolOf()
      await clear(pool, this.namespace)
      await pool.end()
    } finally {
      for (const client of this.#clients) await client.end()
    }
  }
}
