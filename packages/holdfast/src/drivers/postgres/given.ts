/** The database over a client that is given: a pool of pg, or postgres.js. */

import type { PostgresDatabase, PostgresJs, PostgresPool } from './client.ts'
import { PoolDatabase } from './pool.ts'
import { PostgresJsDatabase } from './postgres-js.ts'

/** @param prepare Whether statements stay prepared on their connections. */
export function databaseOf(client: PostgresPool | PostgresJs, prepare: boolean): PostgresDatabase {
  return 'unsafe' in client ? new PostgresJsDatabase(client, prepare) : new PoolDatabase(client, prepare)
}
