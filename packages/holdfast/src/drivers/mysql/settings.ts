/** Opening a database: what it is, whether it will do, its tables, and what its settings promise. */

import type { Clock } from '../../clock.ts'
import { HoldfastError, StoreMisconfigured, StoreReadOnly, StoreUnavailable } from '../../errors.ts'
import type { Capabilities, Opened } from '../../store/contract.ts'
import type { Database, Row, Session } from '../sql/database.ts'
import { mysql } from '../sql/dialect.ts'
import { numberOf, textOf } from '../sql/rows.ts'
import { isBehind, migrate, type Migrated, notMigrated, takenBy, type Taken } from '../sql/schema.ts'
import { Statements } from '../sql/statement.ts'
import { numberOf as errorNumberOf } from './failure.ts'
import { migrations } from './migrations.ts'

/** The oldest servers that will do: they have SKIP LOCKED and JSON_TABLE. */
const oldest = { MariaDB: [10, 6, 0], MySQL: [8, 0, 4] } as const
/** Bytes that a request may need besides the value. */
const besidesValue = 64 * 1024
/** Seconds to wait for another process that migrates, before the deadline is looked at. */
const lockWait = 1
/** Milliseconds after which a commit that waits for a replica counts as waiting for ever: an hour. */
const longWait = 3_600_000

type Product = keyof typeof oldest

/** What was found at opening. */
export interface Found {
  readonly product: Product
  readonly version: string
  readonly database: string
  readonly server: string
  /** The server's variables that matter, by name. */
  readonly variables: ReadonlyMap<string, string>
  /** How many replicas confirm each commit at this moment. */
  readonly confirming: number
  /** The server's clock minus ours, in milliseconds. */
  readonly skew: number
}

const statements = new Statements(mysql)

const asking = `select version() as version, coalesce(database(), '') as name, concat(@@hostname, ':', @@port) as server,
  timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) as now`
const names = [
  'autocommit',
  'innodb_doublewrite',
  'innodb_flush_log_at_trx_commit',
  'log_bin',
  'max_allowed_packet',
  'read_only',
  'rpl_semi_sync_master_enabled',
  'rpl_semi_sync_master_timeout',
  'rpl_semi_sync_master_wait_point',
  'rpl_semi_sync_source_enabled',
  'rpl_semi_sync_source_timeout',
  'rpl_semi_sync_source_wait_point',
  'sync_binlog',
  'transaction_isolation',
  'tx_isolation',
]
const askingForVariables = `show variables where variable_name in (${quoted(names)})`
const askingForReplicas = `show global status where variable_name in (${quoted([
  'Rpl_semi_sync_master_clients',
  'Rpl_semi_sync_source_clients',
])})`
const askingForTable = `select count(*) as n from information_schema.tables
  where table_schema = database() and table_name = 'holdfast_schema'`

/** Asks the server, and brings its tables up to date or checks them. */
export async function opened(
  database: Database,
  clock: Clock,
  { migrates, maxValue }: { readonly migrates: boolean; readonly maxValue: number },
  signal: AbortSignal,
): Promise<Found> {
  const { row, skew } = await asked(database, clock)
  const found: Found = {
    ...productOf(textOf(row['version'])),
    database: textOf(row['name']),
    server: textOf(row['server']),
    variables: await variablesOf(database, askingForVariables),
    confirming: Math.max(0, ...[...(await variablesOf(database, askingForReplicas)).values()].map(Number)),
    skew,
  }
  refuseUnfit(found, maxValue)
  await prepareTables(database, migrates, signal)
  return found
}

async function asked(
  database: Database,
  clock: Clock,
): Promise<{ readonly row: Row; readonly skew: number }> {
  const before = clock.now()
  const { rows } = await database.read(statements.of(asking), {})
  const after = clock.now()
  const row = rows[0] ?? {}
  return { row, skew: Math.round(numberOf(row['now']) / 1_000 - (before + after) / 2) }
}

async function variablesOf(database: Database, source: string): Promise<ReadonlyMap<string, string>> {
  const { rows } = await database.read(statements.of(source), {})
  return new Map(
    rows.map((row) => [textOf(row['Variable_name']).toLowerCase(), textOf(row['Value']).toUpperCase()]),
  )
}

function productOf(text: string): { readonly product: Product; readonly version: string } {
  const product = /mariadb/i.test(text) ? 'MariaDB' : 'MySQL'
  const [version = ''] = /\d+\.\d+\.\d+(?=[^.\d]|$)/.exec(text.replace(/^5\.5\.5-/, '')) ?? []
  const numbers = version.split('.').map(Number)
  const least = oldest[product]
  const differing = least.findIndex((number, i) => numbers[i] !== number)
  if (differing >= 0 && (numbers[differing] ?? 0) < (least[differing] ?? 0)) {
    throw new StoreMisconfigured(`${product} ${version} is too old: ${least.join('.')} or later is needed`)
  }
  return { product, version }
}

function refuseUnfit({ product, database, variables }: Found, maxValue: number): void {
  const isolation = variables.get('transaction_isolation') ?? variables.get('tx_isolation')
  if (database === '')
    throw new StoreMisconfigured('the connection has no database: name one, as in mysql://host/name')
  if (variables.get('read_only') !== 'OFF') {
    throw new StoreReadOnly(
      `this ${product} server is read-only, as a replica is: it takes no writes, and what it shows may be old. ` +
        'Connect to the primary, or end its read-only mode',
    )
  }
  if (variables.get('autocommit') === 'OFF') {
    throw new StoreMisconfigured(
      'the connections have autocommit off, so that nothing would be kept: leave it on, also in init_connect',
    )
  }
  if (isolation === 'READ-UNCOMMITTED') {
    throw new StoreMisconfigured(
      'the connections read what is not committed: set the isolation level to READ COMMITTED or a stricter one',
    )
  }
  const packet = Number(variables.get('max_allowed_packet'))
  if (packet < maxValue + besidesValue) {
    throw new StoreMisconfigured(
      `the server takes requests of at most ${packet} bytes, too few for values of ${maxValue}: raise ` +
        `max_allowed_packet to ${maxValue + besidesValue} or more, or lower maxValue`,
    )
  }
}

async function prepareTables(database: Database, migrates: boolean, signal: AbortSignal): Promise<void> {
  const session: Session = { run: (statement, values) => database.read(statement, values) }
  const taken = await taking(session)
  if (!isBehind(taken, migrations, mysql.product)) return
  if (!migrates) throw notMigrated(taken, migrations, 'may not be changed here')
  await migrated(database, signal)
}

async function taking(session: Session): Promise<Taken> {
  const { rows } = await session.run(statements.of(askingForTable), {})
  return numberOf(rows[0]?.['n']) === 0 ? { step: 0, needs: 0 } : await takenBy(session, mysql)
}

/** Takes the missing steps, one process at a time. */
export async function migrated(database: Database, signal: AbortSignal): Promise<Migrated> {
  return await database.write(async (session) => {
    await locked(session, signal)
    try {
      return await migrate(session, mysql, migrations)
    } catch (error) {
      if (error instanceof HoldfastError || errorNumberOf(error) !== 1142) throw error
      throw notMigrated(await taking(session), migrations, 'this user may not make tables', error)
    } finally {
      await session.run(statements.of(`do release_lock(${lockName})`), {}).catch(() => undefined)
    }
  }, signal)
}

/** The lock is the server's, so that its name has the database in it; a lost connection lets go of it. */
const lockName = "concat('holdfast.', left(sha1(database()), 40))"

async function locked(session: Session, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { rows } = await session.run(statements.of(`select get_lock(${lockName}, ${lockWait}) as got`), {})
    if (Number(rows[0]?.['got']) === 1) return
  }
  throw new StoreUnavailable('another process is migrating the tables: try again when it has ended')
}

/** What a database with these settings can do. */
export function openedAs(found: Found): Opened {
  return { capabilities: capabilitiesOf(found), skew: found.skew, description: descriptionOf(found) }
}

function capabilitiesOf(found: Found): Capabilities {
  const machine = isFlushed(found.variables)
  return {
    durable: { process: true, machine, failover: machine && isConfirmed(found) },
    shared: true,
    listing: 'complete',
    scanning: true,
    counting: true,
    atomicBatch: true,
    atomicLabels: true,
    nativeExpiry: false,
    cheapTouch: true,
    cached: false,
    watch: false,
    maxBatch: 500,
  }
}

/** With a binary log a commit that isn't in it is undone after a crash, flushed or not. */
function isFlushed(variables: Found['variables']): boolean {
  const isLogged = variables.get('log_bin') === 'ON'
  return (
    variables.get('innodb_flush_log_at_trx_commit') === '1' &&
    !['OFF', 'DETECT_ONLY'].includes(variables.get('innodb_doublewrite') ?? 'OFF') &&
    (!isLogged || variables.get('sync_binlog') === '1')
  )
}

/** Semi-synchronous replication is a promise only where it doesn't give up waiting. */
function isConfirmed({ variables, confirming }: Found): boolean {
  return ['master', 'source'].some(
    (name) =>
      ['ON', '1'].includes(variables.get(`rpl_semi_sync_${name}_enabled`) ?? '') &&
      variables.get(`rpl_semi_sync_${name}_wait_point`) === 'AFTER_SYNC' &&
      Number(variables.get(`rpl_semi_sync_${name}_timeout`)) >= longWait &&
      confirming > 0,
  )
}

function descriptionOf({ product, version, database, server }: Found): string {
  return `${product} ${version}, database ${database}, ${server}`
}

function quoted(list: readonly string[]): string {
  return list.map((each) => `'${each}'`).join(', ')
}
