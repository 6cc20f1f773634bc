/** Opening a database: what it is, whether it will do, its tables, and what its settings promise. */

import type { Clock } from '../../clock.ts'
import { HoldfastError, StoreMisconfigured, StoreReadOnly } from '../../errors.ts'
import type { Capabilities, Opened } from '../../store/contract.ts'
import type { Database } from '../sql/database.ts'
import { postgres } from '../sql/dialect.ts'
import { numberOf, textOf } from '../sql/rows.ts'
import { isBehind, migrate, type Migrated, notMigrated, takenBy, type Taken } from '../sql/schema.ts'
import { Statements } from '../sql/statement.ts'
import { migrations } from './migrations.ts'

/** The oldest server that will do: it has `xid8` and snapshots as a type. */
const oldest = 130_000
/** What keeps two processes from migrating at once: "Hold" in ASCII. */
const lockId = 0x486f6c64

/** What was found at opening. */
export interface Found {
  readonly version: string
  readonly database: string
  readonly port: string
  /** `off`, `local`, `remote_write`, `on` or `remote_apply`. */
  readonly synchronousCommit: string
  /** The server flushes its files, and whole pages after a checkpoint. */
  readonly flushes: boolean
  /** A commit waits for a standby. */
  readonly hasStandby: boolean
  readonly readOnly: boolean
  /** The server's clock minus ours, in milliseconds. */
  readonly skew: number
}

const statements = new Statements(postgres)

const asking = `select current_setting('server_version') as version,
  current_setting('server_version_num')::int as number,
  current_setting('server_encoding') as encoding,
  current_setting('synchronous_commit') as synchronous,
  (current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on')::int as flushes,
  (current_setting('synchronous_standby_names') <> '')::int as standby,
  (current_setting('transaction_read_only') = 'on')::int as readonly,
  pg_is_in_recovery()::int as recovering,
  current_database()::text as database, current_setting('port') as port,
  (to_regclass('holdfast_schema') is not null)::int as migrated,
  (extract(epoch from clock_timestamp()) * 1000)::bigint as now`

/** Asks the server, and brings its tables up to date or checks them. */
export async function opened(
  database: Database,
  clock: Clock,
  migrates: boolean,
  signal: AbortSignal,
): Promise<Found> {
  const before = clock.now()
  const { rows } = await database.read(statements.of(asking), {})
  const after = clock.now()
  const row = rows[0] ?? {}
  refuseUnfit(row)
  const readOnly = row['readonly'] === 1
  await prepareTables(database, row['migrated'] === 1, migrates && !readOnly, signal)
  return {
    version: textOf(row['version']),
    database: textOf(row['database']),
    port: textOf(row['port']),
    synchronousCommit: textOf(row['synchronous']),
    flushes: row['flushes'] === 1,
    hasStandby: row['standby'] === 1,
    readOnly,
    skew: Math.round(numberOf(row['now']) - (before + after) / 2),
  }
}

function refuseUnfit(row: Readonly<Record<string, unknown>>): void {
  if (row['recovering'] === 1) {
    throw new StoreReadOnly(
      'this PostgreSQL server is a standby: it can only be read, and what it shows may be old. Connect to the primary',
    )
  }
  if (numberOf(row['number']) < oldest) {
    throw new StoreMisconfigured(`PostgreSQL ${textOf(row['version'])} is too old: 13 or later is needed`)
  }
  if (row['encoding'] !== 'UTF8') {
    throw new StoreMisconfigured(
      `the database is encoded in ${textOf(row['encoding'])}: labels may be any Unicode, so it has to be UTF8`,
    )
  }
}

async function prepareTables(
  database: Database,
  exists: boolean,
  migrates: boolean,
  signal: AbortSignal,
): Promise<void> {
  const taken = exists
    ? await takenBy({ run: (statement, values) => database.read(statement, values) }, postgres)
    : { step: 0, needs: 0 }
  if (!isBehind(taken, migrations, postgres.product)) return
  if (!migrates) throw notMigrated(taken, migrations, 'may not be changed here')
  await migrated(database, taken, signal)
}

/** Takes the missing steps, one process at a time, in one transaction. */
export async function migrated(database: Database, taken: Taken, signal: AbortSignal): Promise<Migrated> {
  try {
    return await database.transaction(async (session) => {
      await session.run(statements.of(`select pg_advisory_xact_lock(${lockId})`), {})
      return await migrate(session, postgres, migrations)
    }, signal)
  } catch (error) {
    const { cause } = error instanceof HoldfastError ? error : {}
    if ((cause as NodeJS.ErrnoException | undefined)?.code !== '42501') throw error
    throw notMigrated(taken, migrations, 'this user may not make tables', error)
  }
}

/** What a database with these settings can do. */
export function openedAs(found: Found): Opened {
  return { capabilities: capabilitiesOf(found), skew: found.skew, description: descriptionOf(found) }
}

function capabilitiesOf({ synchronousCommit, flushes, hasStandby, readOnly }: Found): Capabilities {
  const machine = flushes && synchronousCommit !== 'off'
  return {
    durable: { process: true, machine, failover: machine && hasStandby && synchronousCommit !== 'local' },
    shared: true,
    listing: 'complete',
    scanning: true,
    counting: true,
    atomicBatch: true,
    atomicLabels: true,
    nativeExpiry: false,
    cheapTouch: false,
    cached: false,
    // A watcher names the change log, which it can't where nothing may be written.
    watch: !readOnly,
    maxBatch: 500,
  }
}

function descriptionOf({ version, database, port, readOnly }: Found): string {
  return `PostgreSQL ${version}, database ${database}, port ${port}${readOnly ? ' (read-only)' : ''}`
}
