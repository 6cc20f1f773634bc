/** The few methods of a SQLite connection that the driver uses. `DatabaseSync` of `node:sqlite` has them. */

/** What can be bound to a statement. */
export type SqliteInput = null | number | string | Uint8Array

/** A prepared statement. */
export interface SqliteStatement {
  run(...parameters: SqliteInput[]): { readonly changes: number | bigint }
  get(...parameters: SqliteInput[]): unknown
  all(...parameters: SqliteInput[]): unknown[]
  /** Makes rows arrays, which are cheaper than objects. `node:sqlite` has it from Node.js 22.16 and 24.0 on. */
  setReturnArrays?(enabled: boolean): void
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

/** The one value that a pragma or a statement of one column answers with. */
export function single(database: SqliteDatabase, sql: string): unknown {
  const row = database.prepare(sql).get()
  return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined
}
