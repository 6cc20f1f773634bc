/**
 * What the drivers over an SQL server share, and the one table of what their dialects differ in.
 *
 * - `dialect.ts`: this table.
 * - `statement.ts`: a statement is written once, with `:names`; the dialect makes the placeholders of it.
 * - `database.ts`: what a driver needs of a client: run a statement, run several in a transaction.
 * - `migrations.ts`, `schema.ts`: the tables as numbered steps, and how they are checked and applied.
 * - `rows.ts`: a row ⇄ a record. Labels lie in the row as JSON (the truth), and one row each in `holdfast_labels`
 *   (the finder).
 * - `reading.ts`: read, list, count, scan: the same statements for all.
 * - `removing.ts`: sweep and remove: the same transactions for all.
 * - `driver.ts`: the driver. It is given a `Backend`: the dialect's database, its writes of single records, its
 *   failures as coded errors, its capabilities and its feed.
 *
 * How a single record is written differs too much to be shared: where a changing statement can be part of another
 * (PostgreSQL), a create or a replace is one statement; elsewhere it is a transaction that locks the row first.
 *
 * Rules that all keep, so that nothing can deadlock but for reasons outside of them: a row of `holdfast_labels` is
 * only touched by who holds the lock of its record, or has just inserted it; who locks several records does so in the
 * order of (collection, id), or skips what is locked.
 */

/** What a column holds. Texts compare as bytes. */
export type ColumnType =
  /** a namespace or a collection: 32 bytes of ASCII */
  | 'name'
  /** an id: 120 bytes of ASCII */
  | 'id'
  /** a version stamp: 64 bytes of ASCII */
  | 'version'
  /** a label: 233 bytes of UTF-8 */
  | 'label'
  /** JSON or a list of keys: any length */
  | 'text'
  /** milliseconds since 1970 */
  | 'instant'
  /** the first 32 bits of a digest */
  | 'bucket'
  /** a count of schema steps */
  | 'number'
  /** at most 512 KiB */
  | 'bytes'

/** How rows are looked up. */
export interface Lookup {
  /** Rows that find nothing are kept. */
  readonly optional?: boolean
  /** What is found is locked, in the order of what was asked. */
  readonly locks?: boolean
}

/** What differs from one SQL to another. */
export interface Dialect {
  /** The product's name, for messages. */
  readonly product: string
  /** The nth placeholder of a statement, from 1. */
  readonly placeholder: (n: number) => string
  /** A parameter that a statement names twice is one placeholder; otherwise it is sent twice. */
  readonly numbered: boolean
  readonly types: Readonly<Record<ColumnType, string>>
  /** What follows the columns of a table that is updated often, and of one whose rows never change. */
  readonly ofTable: { readonly updated: string; readonly fixed: string }
  /**
   * How the namespace is spelled in the indexes of expiries and buckets, and by the statements that are to use them.
   * Where it is spelled otherwise than in the key, a planner can't take these indexes for a lookup by key: while it
   * knows nothing of a namespace, all seem equally good to it.
   */
  readonly namespaceApart: string
  /** A table made of a JSON array of objects that is passed as one parameter: whatever the count, one statement. */
  readonly rows: (parameter: string, columns: Readonly<Record<string, ColumnType>>) => string
  /**
   * What follows `from` to find, for each row of `asked`, the row of a table, called `r`, whose columns `by` are equal:
   * always through the table's key, one after the other, whatever the server believes of their sizes. A plan that was
   * made while the tables were small may be kept for long.
   */
  readonly lookup: (asked: string, table: string, by: readonly string[], how?: Lookup) => string
  /** What ends a statement with a lookup that locks, where it isn't said in the lookup itself. */
  readonly locking: string
  /** Deletes the rows of a table that a lookup finds. */
  readonly deletion: (asked: string, table: string, by: readonly string[]) => string
  /** Statements that begin a transaction in which each statement sees what is committed when it begins. */
  readonly begin: readonly string[]
  /** Codes of errors after which the same may be tried again: deadlock, serialisation failure, lock not available. */
  readonly retried: ReadonlySet<string>
}

export const postgres: Dialect = {
  product: 'PostgreSQL',
  placeholder: (n) => `$${n}`,
  numbered: true,
  types: {
    name: 'text collate "C"',
    id: 'text collate "C"',
    version: 'text collate "C"',
    label: 'text collate "C"',
    text: 'text',
    instant: 'bigint',
    bucket: 'bigint',
    number: 'integer',
    bytes: 'bytea',
  },
  // Room on each page lets a save stay on it, which spares the indexes.
  ofTable: { updated: ' with (fillfactor = 85)', fixed: '' },
  namespaceApart: "(namespace || '')",
  rows: (parameter, columns) => {
    const list = Object.entries(columns).map(
      ([name, type]) => `${name} ${type === 'instant' ? 'bigint' : 'text'}`,
    )
    return `json_to_recordset(:${parameter}::text::json) as asked(${list.join(', ')})`
  },
  lookup: lateral,
  locking: '',
  deletion: (asked, table, by) =>
    `delete from ${table} where ctid = any (array(select r.ctid from ${lateral(asked, table, by)}))`,
  begin: ['begin isolation level read committed'],
  retried: new Set(['40001', '40P01', '55P03']),
}

export const mysql: Dialect = {
  product: 'MySQL',
  placeholder: () => '?',
  numbered: false,
  types: {
    name: 'varbinary(32)',
    id: 'varbinary(120)',
    version: 'varbinary(64)',
    label: 'varbinary(233)',
    text: 'mediumblob',
    instant: 'bigint',
    bucket: 'bigint',
    number: 'integer',
    bytes: 'mediumblob',
  },
  ofTable: { updated: ' engine = InnoDB', fixed: ' engine = InnoDB' },
  namespaceApart: 'namespace',
  rows: (parameter, columns) => {
    const list = Object.entries(columns).map(
      ([name, type]) =>
        `${name} ${type === 'instant' ? 'bigint' : 'varchar(233) character set utf8mb4'} path '$.${name}'`,
    )
    return `json_table(convert(:${parameter} using utf8mb4), '$[*]' columns (${list.join(', ')})) as asked`
  },
  // Left to itself it may read all of the table, and lock it, instead of the few rows that are asked for.
  lookup: (asked, table, by, { optional = false } = {}) =>
    `${asked} ${optional ? 'left join' : 'straight_join'} ${table} r on ${equal(by)}`,
  locking: 'for update',
  deletion: (asked, table, by) => `delete r from ${asked} straight_join ${table} r on ${equal(by)}`,
  begin: ['set transaction isolation level read committed', 'start transaction'],
  // Lock wait timeout, deadlock, changed since it was read (MariaDB 11.6 on), to be prepared anew, rolled back by a group.
  retried: new Set(['1205', '1213', '1020', '1615', '3101']),
}

/**
 * The offset keeps the planner from turning the lookup into another kind of join. The comparison is always true; that it
 * holds something volatile keeps the planner from remembering each row that was found, for a key that never comes again.
 */
function lateral(
  asked: string,
  table: string,
  by: readonly string[],
  { optional = false, locks = false }: Lookup = {},
): string {
  const equals = by.map((column) => `and ${column} = asked.${column}`).join(' ')
  const found = `(select ctid, * from ${table} where namespace = :namespace ${equals} offset 0${locks ? ' for update' : ''})`
  return `${asked} ${optional ? 'left' : 'inner'} join lateral ${found} r on octet_length(r.id) > -random()`
}

function equal(by: readonly string[]): string {
  return ['r.namespace = :namespace', ...by.map((column) => `r.${column} = asked.${column}`)].join(' and ')
}
