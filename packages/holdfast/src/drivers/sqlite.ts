/**
 * SQLite, over `node:sqlite` or, handed in, better-sqlite3.
 *
 * Layout: `holdfast_records` has one row per record, unique by (namespace, collection, id); the row holds the labels
 * too. `holdfast_labels` is the finder, one row per label of a record. `holdfast_changes` is the change log that
 * `watch` reads, one row per transaction. `holdfast_schema` holds the number of the schema. All texts compare as
 * bytes.
 *
 * Expiry: a column; the expired stay until `sweep` removes them by its index. `never` is the largest safe integer.
 *
 * Atomic: every call; a create, replace, sweep or remove changes the record, its labels and the change log in one
 * transaction. Writes of one moment share a transaction and are answered after its commit; when an error ends it
 * each is run again alone. A touch of many, a read of many and the pages of a listing are not one transaction.
 *
 * Durability: with the write-ahead log and `synchronous = full`, the defaults of `openSqliteStore`, an acknowledged
 * write survives a power cut. A connection that is handed in keeps its owner's settings, and `capabilities` tells
 * what they promise. Nothing survives the loss of the disk.
 *
 * Locks: the file admits one writer at a time, of all processes. A locked file is tried again after a pause, without
 * blocking, until the deadline. Network file systems are not supported: SQLite's locks do not work on them.
 *
 * Versions tested: SQLite 3.47 (Node.js 22.13) and 3.53 (Node.js 24), better-sqlite3 13.2.
 */

import { milliseconds } from '../duration.ts'
import { StoreMisconfigured } from '../errors.ts'
import type { Driver } from '../store/contract.ts'
import { guard } from '../store/guard.ts'
import type { Store, StoreOptions } from '../store/store.ts'
import { fileConnections, givenConnection, memoryConnection } from './sqlite/connections.ts'
import type { SqliteDatabase } from './sqlite/database.ts'
import { SqliteDriver } from './sqlite/driver.ts'
import type { Synchronous } from './sqlite/settings.ts'

export type { SqliteDatabase, SqliteInput, SqliteStatement } from './sqlite/database.ts'

/** Settings of a store over a file that it opens itself. */
export interface SqliteOptions extends StoreOptions {
  /**
   * `full`: an acknowledged write survives a power cut. `normal`: a power cut may undo the last moments, and
   * `capabilities.durable.machine` is false; the end of the process undoes nothing.
   *
   * @default 'full'
   */
  readonly synchronous?: Synchronous
}

/**
 * A store over a connection of yours: a `DatabaseSync` of `node:sqlite` or a `Database` of better-sqlite3. It works on
 * your thread: each commit blocks the event loop until the disk has flushed, and so does the connection's busy timeout:
 * leave it at 0, which better-sqlite3 has to be told (`{ timeout: 0 }`).
 * Your settings (journal mode, synchronous) are left as they are, and the connection is never closed. While a
 * transaction of yours is open on it, writes wait. Errors are those of {@link openSqliteStore}.
 */
export function sqliteStore(database: SqliteDatabase, options: StoreOptions = {}): Store {
  return guard(sqliteDriver(database, options), options)
}

/**
 * A store over a file, which is made if it is missing; its folder must exist. Writes, flushes and checkpoints happen
 * in a thread of its own, reads on yours. `':memory:'` is a database in memory, on your thread.
 *
 * Opening happens at the first call and fails with `StoreMisconfigured` when the folder is missing or not writable,
 * when the file is another application's or was written by a newer version; with `StoreCorrupt` when it is damaged
 * or not a database.
 */
export function openSqliteStore(path: string, options: SqliteOptions = {}): Store {
  return guard(openSqliteDriver(path, options), options)
}

/** The driver under {@link sqliteStore}, for those who put something between it and the guard. */
export function sqliteDriver(database: SqliteDatabase, options: StoreOptions = {}): Driver {
  const namespace = options.namespace ?? 'holdfast'
  return new SqliteDriver(givenConnection(database, namespace), namespace, patienceOf(options))
}

/** The driver under {@link openSqliteStore}. @throws {StoreMisconfigured} when the path is empty. */
export function openSqliteDriver(path: string, options: SqliteOptions = {}): Driver {
  const { namespace = 'holdfast', synchronous = 'full' } = options
  if (path === '')
    throw new StoreMisconfigured('the path of the database is empty: name a file, or ":memory:"')
  const connections =
    path === ':memory:'
      ? memoryConnection(namespace, synchronous)
      : fileConnections(path, namespace, synchronous)
  return new SqliteDriver(connections, namespace, patienceOf(options))
}

/** Who waits for a lock gives up shortly before the deadline, while it can still be said that nothing was changed. */
function patienceOf({ deadline = '5s' }: StoreOptions): number {
  const ms = milliseconds(deadline, 'deadline')
  return ms - Math.min(250, ms / 4)
}
