/** Opening a database: whose it is, its settings, its schema, and what was found. */

import type { Capabilities } from '../../store/contract.ts'
import { type SqliteDatabase, single } from './database.ts'
import { failureOf, Unsuitable } from './failure.ts'
import { migrate, migrations, schemaVersion } from './migrations.ts'

/** How sure a commit is: `full` survives a power cut; `normal` may lose the last moments, but breaks nothing. */
export type Synchronous = 'full' | 'normal'

/** What was found at opening. Plain data, because it may come from the worker. */
export interface Found {
  /** The version of SQLite. */
  readonly version: string
  /** The path of the file; empty for a database in memory. */
  readonly file: string
  /** The journal mode that the database really has. */
  readonly journal: string
  /** 0 off, 1 normal, 2 full, 3 extra. */
  readonly synchronous: number
  /** The write lock can be taken by one process only, for good. */
  readonly exclusive: boolean
  readonly readOnly: boolean
}

/** What tells our files from other programs' (`file` shows it): "Hold" in ASCII. */
const applicationId = 0x486f6c64

/** Settings of a connection that we opened. The waiting for locks is ours, so that it never blocks a thread. */
export function settle(database: SqliteDatabase, synchronous: Synchronous): void {
  database.exec(`pragma busy_timeout = 0; pragma trusted_schema = off; pragma synchronous = ${synchronous}`)
}

/** Prepares a database that we opened: refuses other programs' files, then switches to the write-ahead log. */
export function openOwn(database: SqliteDatabase, path: string, synchronous: Synchronous): Found {
  const isNew = refuseUnreadable(path, () => {
    settle(database, synchronous)
    return refuseForeign(database, path)
  })
  try {
    database.exec('pragma journal_mode = wal')
  } catch (error) {
    if (failureOf(error).failure !== 'readOnly') throw error
  }
  return openGiven(database, path, isNew ? `pragma application_id = ${applicationId}` : '')
}

/** Prepares a database of somebody else's: only our tables are made, and no setting is changed. */
export function openGiven(database: SqliteDatabase, path: string, atFirst = ''): Found {
  const version = schemaVersion(database)
  if (version > migrations.length) {
    throw new Unsuitable(
      `${path} was written by a newer Holdfast (schema ${version}, this one knows ${migrations.length}). ` +
        'Update the library in this process',
    )
  }
  try {
    migrate(database, migrations, atFirst)
  } catch (error) {
    if (failureOf(error).failure !== 'readOnly') throw error
    throw new Unsuitable(
      `${path} cannot be written and its schema (${version} of ${migrations.length}) is not up to date. Open it ` +
        'once with write permission',
    )
  }
  return inspect(database)
}

/** A database with a write-ahead log can't even be read where the log can't be made beside it. */
function refuseUnreadable<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (failureOf(error).failure !== 'readOnly') throw error
    throw new Unsuitable(
      `${path} has a write-ahead log, which this process may not make beside it. Give it write permission for the ` +
        'file and its folder',
    )
  }
}

/** Whether the file is still empty. @throws {Unsuitable} when it is another program's. */
function refuseForeign(database: SqliteDatabase, path: string): boolean {
  const id = single(database, 'pragma application_id')
  const tables = single(database, 'select count(*) from sqlite_schema')
  if (id === applicationId || schemaVersion(database) > 0) return false
  if (id === 0 && tables === 0) return true
  throw new Unsuitable(
    `${path} is the database of another application, which has no tables of Holdfast. Name a file of its own, or ` +
      'hand a connection to it to sqliteStore()',
  )
}

function inspect(database: SqliteDatabase): Found {
  return {
    version: String(single(database, 'select sqlite_version()')),
    file: pathOf(database),
    journal: String(single(database, 'pragma journal_mode')),
    synchronous: Number(single(database, 'pragma synchronous')),
    exclusive: single(database, 'pragma locking_mode') === 'exclusive',
    readOnly: isReadOnly(database),
  }
}

function pathOf(database: SqliteDatabase): string {
  const path = single(database, "select file from pragma_database_list where name = 'main'")
  return typeof path === 'string' ? path : ''
}

/** SQL cannot ask for it, so it is tried: a statement that changes no row needs the permission all the same. */
function isReadOnly(database: SqliteDatabase): boolean {
  try {
    database.exec('delete from holdfast_records where false')
    return false
  } catch (error) {
    if (failureOf(error).failure === 'readOnly') return true
    throw error
  }
}

/** What a database with these settings can do. */
export function capabilitiesOf({ file, journal, synchronous, exclusive }: Found): Capabilities {
  const onDisk = file !== ''
  // Without a journal on disk a crash in the middle of a commit leaves half of it.
  const journalled = journal !== 'off' && journal !== 'memory'
  return {
    durable: {
      process: onDisk && journalled,
      machine: onDisk && journalled && synchronous >= 2,
      failover: false,
    },
    shared: onDisk && !exclusive,
    listing: 'complete',
    scanning: true,
    counting: true,
    atomicBatch: true,
    atomicLabels: true,
    nativeExpiry: false,
    cheapTouch: true,
    cached: false,
    watch: true,
    maxBatch: 500,
  }
}

/** What was opened, for people. */
export function descriptionOf({ version, file, readOnly }: Found): string {
  return `SQLite ${version}, ${file === '' ? 'in memory' : file}${readOnly ? ' (read-only)' : ''}`
}
