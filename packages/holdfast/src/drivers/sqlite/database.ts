/**
 * The few methods of an SQLite connection that the driver uses. `DatabaseSync` of `node:sqlite` has them, and so has the
 * `Database` of better-sqlite3.
 */

/** What can be bound to a statement. */
export type SqliteInput = null | number | string | Uint8Array

/** A prepared statement. */
export interface SqliteStatement {
  run(...parameters: SqliteInput[]): { readonly changes: number | bigint }
  get(...parameters: SqliteInput[]): unknown
  all(...parameters: SqliteInput[]): unknown[]
  /** Makes rows arrays, which are cheaper than objects. `node:sqlite` has it from Node.js 22.16 and 24.0 on. */
  setReturnArrays?(enabled: boolean): unknown
  /** The same in better-sqlite3, for statements that give rows. */
  raw?(enabled: boolean): unknown
  /** Whether integers come as `bigint`, in `node:sqlite`. */
  setReadBigInts?(enabled: boolean): unknown
  /** The same in better-sqlite3. */
  safeIntegers?(enabled: boolean): unknown
}

/** A connection whose calls are synchronous. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
}

/** A connection that the driver opened itself, and therefore closes. */
export interface OwnDatabase extends SqliteDatabase {
  close(): void
}

/** A statement whose rows are objects with plain numbers, whatever the connection is set to. */
export function prepared(database: SqliteDatabase, sql: string): SqliteStatement {
  const statement = database.prepare(sql)
  statement.setReadBigInts?.(false)
  statement.safeIntegers?.(false)
  statement.setReturnArrays?.(false)
  return statement
}

/** Makes the rows of a statement arrays, where that can be had. */
export function asArrays(statement: SqliteStatement): SqliteStatement {
  if (statement.setReturnArrays) statement.setReturnArrays(true)
  else statement.raw?.(true)
  return statement
}

/** The one value that a pragma or a statement of one column answers with. */
export function single(database: SqliteDatabase, sql: string): unknown {
  const row = prepared(database, sql).get()
  return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined
}
