/**
 * MySQL and MariaDB, over a pool that the user gives: of mysql2 (its promises), or of the mariadb connector.
 *
 * Layout: `holdfast_records` has one row per record, unique by (namespace, collection, id); the row holds the labels
 * too. `holdfast_labels` is the finder, one row per label of a record. `holdfast_schema` tells which steps of the schema
 * have run. All texts are columns of bytes and compare as bytes, whatever collation, character set, SQL mode or time
 * zone the server and the connections have.
 *
 * Expiry: a column; the expired stay until `sweep` removes them by its index. `never` is the largest safe integer.
 *
 * Atomic: every call but the read of many pages. A save and the touch of one record are one statement, whose condition
 * is the compare-and-swap. A create, a replace that sets labels, a touch of many, a sweep, a removal and a batch are one
 * transaction (READ COMMITTED). Who locks several records does so in the order of their keys, or skips what is locked;
 * what loses to others all the same is tried again. There is no `watch`: the server tells nobody of changes, and a log
 * of them would make a transaction of several requests out of each save.
 *
 * Durability: what the server's settings say, read at open: `innodb_flush_log_at_trx_commit`, `innodb_doublewrite` and,
 * with a binary log, `sync_binlog` for a power cut. A fail-over loses nothing acknowledged only where commits wait for a
 * replica (semi-synchronous, AFTER_SYNC) without giving up.
 *
 * Needs MariaDB 10.6 or MySQL 8.0.4. Tested with MariaDB 10.11, through mysql2 3.24 and mariadb 3.5; never with MySQL.
 *
 * Migrations: `mysqlMigrations` are data, `mysqlScript` prints them, `migrateMysql` applies them by URL; opening a store
 * applies them too unless the option `migrate` is false.
 */

import type { Driver } from '../store/contract.ts'
import { guard } from '../store/guard.ts'
import type { Store } from '../store/store.ts'
import { MysqlBackend, type MysqlOptions, type Source } from './mysql/backend.ts'
import type { MysqlPool } from './mysql/client.ts'
import { migrations } from './mysql/migrations.ts'
import { type OwnOptions, ownSource } from './mysql/own-pool.ts'
import { migrated } from './mysql/settings.ts'
import { mysql } from './sql/dialect.ts'
import { SqlDriver } from './sql/driver.ts'
import { type Migration, script } from './sql/migrations.ts'
import type { Migrated } from './sql/schema.ts'

export type { MysqlOptions } from './mysql/backend.ts'
export type { MysqlConnection, MysqlInput, MysqlPool, MysqlQuery } from './mysql/client.ts'
export type { OwnOptions as MysqlOpenOptions } from './mysql/own-pool.ts'
export type { Migration } from './sql/migrations.ts'
export type { Migrated } from './sql/schema.ts'

/** Milliseconds to wait for another process that migrates. */
const longestMigration = 60_000

/**
 * A store over MySQL or MariaDB.
 *
 * @param pool `createPool(…)` of `mysql2/promise` or of `mariadb`. It stays yours: the store never closes it. Its
 *   connections must commit by themselves (`autocommit`, their default).
 */
export function mysqlStore(pool: MysqlPool, options: MysqlOptions = {}): Store {
  return guard(mysqlDriver(pool, options), options)
}

/**
 * A store over a pool of its own, for `openStore`.
 *
 * @param url `mysql://[user:password@]host[:3306]/database[?ssl-mode=…]`, or `mariadb://` with the same.
 *   `ssl-mode` is `disabled` (the default), `required`, `verify_ca` or `verify_identity` (the default with `tls`,
 *   `ssl-ca`, `ssl-cert` or `ssl-key`, which name files); `socket` is the path of a local socket.
 * @param load Loads `mysql2/promise`.
 * @throws {StoreMisconfigured} when the URL can't be right.
 */
export function openMysqlStore(url: string, load: () => Promise<unknown>, options: OwnOptions = {}): Store {
  return guard(new SqlDriver(new MysqlBackend(ownSource(url, load, options), options)), options)
}

/** The driver without its guard, for those who build a store of their own. */
export function mysqlDriver(pool: MysqlPool, options: MysqlOptions = {}): Driver {
  return new SqlDriver(new MysqlBackend(givenSource(pool), options))
}

/** The schema as numbered steps. */
export const mysqlMigrations: readonly Migration[] = migrations

/** The steps after the first `after` as a script for the client `mysql`; empty when there are none. @default 0 */
export function mysqlScript(after = 0): string {
  return script(mysql, migrations, after)
}

/**
 * Brings the tables of a database up to date, for who keeps `migrate` off in the application.
 *
 * @throws {StoreMisconfigured} when the user may not, or the tables are a newer release's.
 * @throws {StoreUnavailable} when the server can't be reached.
 */
export async function migrateMysql(url: string, load: () => Promise<unknown>): Promise<Migrated> {
  const source = ownSource(url, load, {})
  await source.connect?.()
  try {
    const { database } = new MysqlBackend(source, {})
    return await migrated(database, AbortSignal.timeout(longestMigration))
  } finally {
    await source.release?.()
  }
}

/** The user's connections keep their own settings: each transaction says what it needs. */
function givenSource(pool: MysqlPool): Source {
  if (typeof (pool as Partial<MysqlPool>).getConnection !== 'function') {
    throw new TypeError('mysqlStore() takes a pool, made by createPool() of mysql2/promise or of mariadb')
  }
  if ('promise' in pool) throw new TypeError('this pool calls back: hand in its promises, pool.promise()')
  return { pool: () => pool, begin: mysql.begin }
}
