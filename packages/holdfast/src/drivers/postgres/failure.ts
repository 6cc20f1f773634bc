/** What went wrong, told from the client's and the server's errors: whether anything may have been changed. */

import {
  AnswerLost,
  HoldfastError,
  StoreCorrupt,
  StoreFull,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../errors.ts'
import { Rollback } from '../sql/database.ts'
import { postgres } from '../sql/dialect.ts'
import { Busy } from '../sql/driver.ts'

/** Errors of a client, or of the system under it, that come before a connection stands. */
const unconnected = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CONNECT_TIMEOUT',
  'CONNECTION_ENDED',
])
const unconnectedTexts =
  /timeout expired|timeout exceeded when trying to connect|connection timeout|after calling end on the pool|does not support SSL/i

/** Messages of the server name roles, databases and settings, never passwords. */
const causes: readonly (readonly [
  codes: RegExp,
  make: (why: string, details: ErrorOptions) => HoldfastError,
])[] = [
  [
    /^53100$/,
    (why, details) =>
      new StoreFull(`PostgreSQL has no room (${why}); nothing was changed. Free disk space`, details),
  ],
  [
    /^25006$/,
    (why, details) =>
      new StoreReadOnly(
        `PostgreSQL refuses to write (${why}); nothing was changed. Connect to the primary, or lift its read-only setting`,
        details,
      ),
  ],
  [/^XX00[12]$/, (why, details) => new StoreCorrupt(`PostgreSQL reports damaged data (${why})`, details)],
  [
    /^(28...|3D000|3F000|42501|0A000|08P01)$/,
    (why, details) => new StoreMisconfigured(`PostgreSQL refused (${why}); nothing was changed`, details),
  ],
  [
    /^(42P01|42703|42883|42704)$/,
    (why, details) =>
      new StoreMisconfigured(
        `the tables of Holdfast are missing or others' (${why}). Check the database and its search_path, and run ` +
          '"holdfast store migrate URL"',
        details,
      ),
  ],
  [
    /^(26000|42P05)$/,
    (why, details) =>
      new StoreMisconfigured(
        `prepared statements do not last on this connection (${why}): behind a pooler in transaction mode, set the ` +
          'option prepare to false',
        details,
      ),
  ],
]

/** What ends a connection. The statement under way may have been committed, or not. */
const ended = /^(08(?!001|004|P01)...|57P0[1245])$/
/** What is told before a statement is taken. */
const refused = /^(08001|08004|53300|57P03)$/

/**
 * The coded error of whatever a client threw; what can't be told apart is `AnswerLost`, because that is always safe:
 * the guard reads and sees.
 *
 * @param unsent Nothing that changes anything had been sent, or the transaction was not committed.
 */
export function failure(error: unknown, unsent = false): Error {
  if (isOurs(error)) return error
  const details = { cause: error }
  const why = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  // It died with this message on its lips, whatever the message says of the statement.
  if (isLastWord(error)) return new AnswerLost(`PostgreSQL has stopped: ${why}`, details)
  if (postgres.retried.has(code)) return new Busy(why, details)
  const cause = causes.find(([codes]) => codes.test(code))
  if (cause) return cause[1](why, details)
  const isOver = unsent || unconnected.has(code) || unconnectedTexts.test(why) || refused.test(code)
  if (isOver) return new StoreUnavailable(`PostgreSQL cannot be reached: ${why || code}`, details)
  // The server refused or gave up a statement, and with it what it had done.
  if (isFromServer(error) && !ended.test(code))
    return new StoreUnavailable(`PostgreSQL refused (${why}); nothing was changed`, details)
  return new AnswerLost(`PostgreSQL did not answer: ${why || code}`, details)
}

/** What nobody waits for any more isn't sent any more. */
export function givenUp(): StoreUnavailable {
  return new StoreUnavailable('given up before it was sent; nothing was changed')
}

/** Whether the connection can be used further after this error. */
export function isUsable(error: unknown): boolean {
  return isOurs(error) || (isFromServer(error) && !ended.test(codeOf(error)) && !isLastWord(error))
}

/** The server is stopping itself: what it was doing may have been committed. */
function isLastWord(error: unknown): boolean {
  return isFromServer(error) && (error as { readonly severity?: unknown }).severity === 'PANIC'
}

/** Thrown by the driver, not by the client. */
function isOurs(error: unknown): error is Error {
  return error instanceof HoldfastError || error instanceof Busy || error instanceof Rollback
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' ? code : ''
}

/** Errors of the server have a SQLSTATE and a severity. */
function isFromServer(error: unknown): boolean {
  return error instanceof Error && /^[0-9A-Z]{5}$/.test(codeOf(error)) && 'severity' in error
}
