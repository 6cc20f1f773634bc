/** What a client or the server reports, as the coded errors of the contract. */

import {
  AnswerLost,
  HoldfastError,
  StoreCorrupt,
  StoreFull,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../errors.ts'
import { mysql } from '../sql/dialect.ts'
import { Rollback } from '../sql/database.ts'
import { Busy } from '../sql/driver.ts'

/** What the server answers when a key is taken. */
export const duplicateKey = 1062
/** What a client has in `errno` when it speaks for itself: the mariadb connector counts from here. */
const firstOfClient = 45_000

type Kind =
  'full' | 'readOnly' | 'corrupt' | 'denied' | 'unknownTable' | 'tooLarge' | 'statementLog' | 'crowded'

/** The server's error numbers that have a meaning for the caller. */
const kinds: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [1021, 'full'], // the disk
  [1114, 'full'], // the table
  [1037, 'full'], // out of memory
  [1038, 'full'], // out of memory for sorting
  [1041, 'full'], // out of resources
  [1290, 'readOnly'], // --read-only, --super-read-only
  [1792, 'readOnly'], // a read-only transaction
  [1836, 'readOnly'], // read-only mode
  [1034, 'corrupt'], // an index
  [1194, 'corrupt'], // a table
  [1195, 'corrupt'], // a table that could not be repaired
  [1712, 'corrupt'], // an index
  [1877, 'corrupt'], // a table
  [1044, 'denied'], // the database
  [1045, 'denied'], // user or password
  [1049, 'denied'], // no such database
  [1130, 'denied'], // this host
  [1142, 'denied'], // a table
  [1227, 'denied'], // a privilege
  [1698, 'denied'], // this way of authentication
  [1820, 'denied'], // the password has expired
  [3118, 'denied'], // the account is locked
  [3159, 'denied'], // without TLS
  [4151, 'denied'], // the account is locked (MariaDB)
  [1054, 'unknownTable'], // a column
  [1146, 'unknownTable'],
  [1153, 'tooLarge'],
  [1665, 'statementLog'],
  [1040, 'crowded'],
  [1203, 'crowded'],
  [1226, 'crowded'],
  [1461, 'crowded'], // prepared statements
])

/** After these the server is going, or has cut the connection: what was being done may have been done. */
const endings: ReadonlySet<number> = new Set([
  1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1180, 1184, 1927, 3169, 4031,
])

/** A statement was ended by somebody or by a limit: how far it had come is not said. */
const interruptions: ReadonlySet<number> = new Set([1028, 1317, 1907, 1969, 3024])

/** The number of an error that the server answered with; 0 when it didn't. */
export function numberOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('errno' in error)) return 0
  const { errno } = error
  return typeof errno === 'number' && errno > 0 && errno < firstOfClient ? errno : 0
}

/** Whether the connection can be used after an error: the server has answered, and goes on listening. */
export function isUsable(error: unknown): boolean {
  const number = numberOf(error)
  if (number === 0 || endings.has(number) || kinds.get(number) === 'tooLarge') return false
  return !(typeof error === 'object' && error !== null && 'fatal' in error && error.fatal === true)
}

/** Whether a client threw because its connection was gone. */
export function isLost(error: unknown): boolean {
  return !isOurs(error) && (numberOf(error) === 0 || endings.has(numberOf(error)))
}

/** Thrown by the driver, not by the client. */
function isOurs(error: unknown): error is Error {
  return error instanceof HoldfastError || error instanceof Busy || error instanceof Rollback
}

/**
 * The coded error of whatever a client threw.
 *
 * @param isDefinite Nothing can have been changed, even if the connection was lost.
 */
export function failure(error: unknown, isDefinite = false): Error {
  if (isOurs(error)) return error
  const number = numberOf(error)
  const why = reasonOf(error)
  const cause = { cause: error }
  if (number === 0 && isOfTls(error)) {
    return new StoreMisconfigured(
      `no secure connection comes about (${why}). Check the server's certificate, its authority and the names in it`,
      cause,
    )
  }
  if (number === 0 || endings.has(number)) {
    return isDefinite
      ? new StoreUnavailable(`the server cannot be reached (${why}); nothing was changed`, cause)
      : new AnswerLost(`the connection to the server was lost (${why})`, cause)
  }
  if (interruptions.has(number)) {
    return isDefinite
      ? new StoreUnavailable(`the server gave the statement up (${why}); nothing was changed`, cause)
      : new AnswerLost(`the server gave the statement up (${why})`, cause)
  }
  if (mysql.retried.has(String(number))) return new Busy(why, cause)
  const kind = isOutOfSpace(why) ? 'full' : kinds.get(number)
  return kind
    ? errorOf(kind, why, cause)
    : new StoreUnavailable(`the server refused (${why}); nothing was changed`, cause)
}

function errorOf(kind: Kind, why: string, cause: { readonly cause: unknown }): HoldfastError {
  switch (kind) {
    case 'full':
      return new StoreFull(
        `the server has no room left (${why}); nothing was changed. Free disk space or memory`,
        cause,
      )
    case 'readOnly':
      return new StoreReadOnly(
        `the server only answers reads (${why}); nothing was changed. Name the primary server, or end its read-only mode`,
        cause,
      )
    case 'corrupt':
      return new StoreCorrupt(`the server reports damaged data (${why}). Restore it from a backup`, cause)
    case 'denied':
      return new StoreMisconfigured(
        `the server does not let this user in, or not to these tables (${why}). Check user, password, database and grants`,
        cause,
      )
    case 'unknownTable':
      return new StoreMisconfigured(
        `the tables are not what they should be (${why}). Run "holdfast store migrate URL"`,
        cause,
      )
    case 'tooLarge':
      return new StoreMisconfigured(
        `a request was larger than the server takes (${why}); nothing was changed. Raise max_allowed_packet`,
        cause,
      )
    case 'statementLog':
      return new StoreMisconfigured(
        `the server logs statements, which READ COMMITTED does not allow (${why}). Set binlog_format to ROW or MIXED`,
        cause,
      )
    case 'crowded':
      return new StoreUnavailable(
        `the server has too many connections or statements (${why}); nothing was changed. Raise its limits, or make the pools smaller`,
        cause,
      )
  }
}

/** A certificate that doesn't fit, or a server without TLS. Only making a connection fails so. */
function isOfTls(error: unknown): boolean {
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown }
  if (
    typeof code === 'string' &&
    /^HANDSHAKE_(NO_)?SSL|^ER_SERVER_SSL|CERT|UNABLE_TO_VERIFY|ERR_SSL/.test(code)
  )
    return true
  return cause instanceof Error && isOfTls(cause)
}

/** InnoDB passes on what the system said, under numbers that say nothing. */
function isOutOfSpace(why: string): boolean {
  return /errcode: 28\b|error 28\b|no space left|disk quota/i.test(why)
}

/** What happened, without the statement and its values. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, sqlMessage, message } = error as Error & {
    readonly code?: unknown
    readonly sqlMessage?: unknown
  }
  const words =
    typeof sqlMessage === 'string' && sqlMessage !== '' ? sqlMessage : (message.split('\n')[0] ?? '')
  const name = typeof code === 'string' ? code : error.name
  return words === '' || words === name ? name : `${name}: ${words}`
}
