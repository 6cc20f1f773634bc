/**
 * PostgreSQL, over a client that the user gives: pg's `Pool`, or postgres.js.
 *
 * Layout: `holdfast_records` has one row per record, unique by (namespace, collection, id); the row holds the labels
 * too. `holdfast_labels` is the finder, one row per label of a record. `holdfast_changes` is the change log that
 * watchers read, one row per change. `holdfast_schema` tells which steps of the schema have run. All are in the first
 * schema of the connection's `search_path`. All texts compare as bytes.
 *
 * Expiry: a column; the expired stay until `sweep` removes them by its index. `never` is the largest safe integer.
 *
 * Atomic: every call but the read of many pages. A create, a replace and a touch are one statement, which changes the
 * record, its labels and the change log; a sweep, a removal and a batch are one transaction. Who locks several records
 * does so in the order of their keys, or skips what is locked; what loses to others all the same is tried again. A
 * touch rewrites the row, as every update of PostgreSQL does.
 *
 * Durability: what the server's settings say, read at open. With `synchronous_commit` off an ordinary write may be lost
 * in a crash of the server; burying, revoking and whatever sets labels or an expiry are flushed all the same. A
 * fail-over loses nothing acknowledged only where commits wait for a standby (`synchronous_standby_names`).
 *
 * Needs PostgreSQL 13, in UTF8. Tested with PostgreSQL 15, through pg 8.23 and postgres.js 3.4.
 *
 * Migrations: `postgresMigrations` are data, `postgresScript` prints them, `migratePostgres` applies them by URL;
 * opening a store applies them too unless the option `migrate` is false.
 */

import type { Driver } from '../store/contract.ts'
import { guard } from '../store/guard.ts'
import type { OpenOptions, Store } from '../store/store.ts'
import { PostgresBackend, type PostgresOptions } from './postgres/backend.ts'
import type { PostgresJs, PostgresPool } from './postgres/client.ts'
import { databaseOf } from './postgres/given.ts'
import { migrations } from './postgres/migrations.ts'
import { ownDatabase } from './postgres/own-pool.ts'
import { migrated } from './postgres/settings.ts'
import { postgres } from './sql/dialect.ts'
import { SqlDriver } from './sql/driver.ts'
import { type Migration, script } from './sql/migrations.ts'
import type { Migrated } from './sql/schema.ts'

export type { PostgresOptions } from './postgres/backend.ts'
export type {
  PostgresConnection,
  PostgresJs,
  PostgresJsQuery,
  PostgresJsSession,
  PostgresPool,
  PostgresQuery,
  PostgresResult,
} from './postgres/client.ts'
export type { Migration } from './sql/migrations.ts'
export type { Migrated } from './sql/schema.ts'

/**
 * A store over PostgreSQL.
 *
 * @param client A `Pool` of pg, or what `postgres()` of postgres.js gives. It stays yours: the store never closes it.
 *   Give a pool an `error` listener and a `connectionTimeoutMillis`. A watch takes one connection out of it for itself.
 */
export function postgresStore(client: PostgresPool | PostgresJs, options: PostgresOptions = {}): Store {
  return guard(postgresDriver(client, options), options)
}

/**
 * A store over a pool of its own, for `openStore`.
 *
 * @param url `postgres://[user:password@]host[:5432]/database[?sslmode=…]`.
 * @param load Loads the package `pg`.
 * @throws {StoreMisconfigured} when the URL can't be right.
 */
export function openPostgresStore(
  url: string,
  load: () => Promise<unknown>,
  options: PostgresOptions & OpenOptions = {},
): Store {
  return guard(new SqlDriver(new PostgresBackend(ownDatabase(url, load, options), options)), options)
}

/** The driver without its guard, for those who build a store of their own. */
export function postgresDriver(client: PostgresPool | PostgresJs, options: PostgresOptions = {}): Driver {
  return new SqlDriver(new PostgresBackend(databaseOf(client, options.prepare ?? true), options))
}

/** The schema as numbered steps. */
export const postgresMigrations: readonly Migration[] = migrations

/** The steps after the first `after` as a script for psql; empty when there are none. @default 0 */
export function postgresScript(after = 0): string {
  return script(postgres, migrations, after)
}

/**
 * Brings the tables of a database up to date, for who keeps `migrate` off in the application.
 *
 * @throws {StoreMisconfigured} when the user may not, or the tables are a newer release's.
 * @throws {StoreUnavailable} when the server can't be reached.
 */
export async function migratePostgres(url: string, load: () => Promise<unknown>): Promise<Migrated> {
  const database = ownDatabase(url, load, {})
  await database.connect?.()
  try {
    return await migrated(database, { step: 0, needs: 0 }, new AbortController().signal)
  } finally {
    await database.release?.()
  }
}
