/** What the SQL drivers need of a client, and nothing more. */

import type { SqlValues, Statement } from './statement.ts'

/** A row, by the names of its columns. Numbers may come as texts, texts as bytes: `rows.ts` reads both. */
export type Row = Readonly<Record<string, unknown>>

/** What a statement answered with. */
export interface Result {
  readonly rows: readonly Row[]
  /** How many rows it changed; of a statement that only reads, anything. */
  readonly changed: number
}

/** Runs statements. */
export interface Session {
  run(statement: Statement, values: SqlValues): Promise<Result>
}

/** A pool of connections, or one connection that serves one transaction at a time. */
export interface Database {
  /** Reads: one statement by itself. */
  read(statement: Statement, values: SqlValues): Promise<Result>
  /**
   * Writes: one statement, or one after the other without a transaction.
   *
   * @param signal What hasn't been sent when it aborts isn't sent any more: a write that was given up must not happen
   *   later.
   */
  write<T>(run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T>
  /**
   * Several statements, all or none. What `run` throws rolls back and is thrown on. A connection lost before the commit
   * was sent is a definite failure.
   */
  transaction<T>(run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T>
}

/** Thrown inside a transaction to end it on purpose: nothing has failed. */
export class Rollback extends Error {}
