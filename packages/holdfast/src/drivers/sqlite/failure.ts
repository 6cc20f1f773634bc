/**
 * What SQLite reports, as the coded errors of the contract. A failure is a plain object until it reaches the
 * caller's thread, because errors lose their fields on the way between threads.
 */

import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'

import {
  AnswerLost,
  type HoldfastError,
  StoreCorrupt,
  StoreFull,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../errors.ts'

type Kind = 'busy' | 'full' | 'readOnly' | 'corrupt' | 'lost' | 'misconfigured' | 'cannotOpen' | 'unavailable'

/** A failure, fit to be sent between threads. */
export interface Failure {
  readonly failure: Kind
  /** What SQLite said. */
  readonly why: string
}

/** Settings or a file that cannot work; the message says why and what to do. */
export class Unsuitable extends Error {}

/** A primary result code of SQLite. */
interface Result {
  readonly code: number
  readonly name: string
  /** What SQLite says for it: all that Deno tells of a statement that `exec` was given. */
  readonly text: string
  /** What it means for the caller. */
  readonly kind: Kind
}

const ioError = 10
const results: readonly Result[] = [
  { code: 3, name: 'PERM', text: 'access permission denied', kind: 'readOnly' },
  { code: 5, name: 'BUSY', text: 'database is locked', kind: 'busy' },
  { code: 6, name: 'LOCKED', text: 'database table is locked', kind: 'busy' },
  { code: 8, name: 'READONLY', text: 'attempt to write a readonly database', kind: 'readOnly' },
  { code: ioError, name: 'IOERR', text: 'disk I/O error', kind: 'unavailable' },
  { code: 11, name: 'CORRUPT', text: 'database disk image is malformed', kind: 'corrupt' },
  { code: 13, name: 'FULL', text: 'database or disk is full', kind: 'full' },
  { code: 14, name: 'CANTOPEN', text: 'unable to open database file', kind: 'cannotOpen' },
  // Others came and went too fast while the write-ahead log was being opened.
  { code: 15, name: 'PROTOCOL', text: 'locking protocol', kind: 'busy' },
  { code: 26, name: 'NOTADB', text: 'file is not a database', kind: 'corrupt' },
]
/** IOERR_SHMSIZE: no room for the index of the write-ahead log, which is how a full disk shows when it is opened. */
const noRoomForIndex = 4_874

/** Classifies an error of a connection. @param committing Whether it was COMMIT that failed. */
export function failureOf(error: unknown, committing = false): Failure {
  const why = error instanceof Error ? error.message : String(error)
  if (error instanceof Unsuitable) return { failure: 'misconfigured', why }
  const code = resultCode(error)
  if (code === noRoomForIndex) return { failure: 'full', why }
  // An I/O error of COMMIT leaves its frames in the log, whole or not: they do not count now, but may after a crash.
  if (code % 256 === ioError && committing) return { failure: 'lost', why }
  // The owner of a connection that was handed in has a transaction open on it, or is reading row by row, which
  // better-sqlite3 allows nobody else meanwhile: that will end like anybody's.
  if (/within a transaction|busy executing a query/.test(why)) return { failure: 'busy', why }
  const result = results.find((each) => each.code === code % 256)
  return { failure: result?.kind ?? 'unavailable', why }
}

/** `node:sqlite` tells the number of the result, better-sqlite3 its name, and Deno at times neither. */
function resultCode(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 0
  if ('errcode' in error && typeof error.errcode === 'number') return error.errcode
  if (!('code' in error) || typeof error.code !== 'string') return 0
  if (error.code === 'SQLITE_IOERR_SHMSIZE') return noRoomForIndex
  const [, name] = /^SQLITE_([A-Z]+)/.exec(error.code) ?? []
  const text = error instanceof Error ? error.message : ''
  const result = results.find((each) => each.name === name) ?? results.find((each) => each.text === text)
  return result?.code ?? 0
}

/** Whether an answer is a failure. */
export function isFailure(answer: unknown): answer is Failure {
  return typeof answer === 'object' && answer !== null && 'failure' in answer
}

/** The coded error of a failure. @param file The database's path, for the message. */
export function errorOf({ failure, why }: Failure, file: string): HoldfastError {
  const cause = { cause: new Error(why) }
  switch (failure) {
    case 'busy':
      return new StoreUnavailable(
        `${file} stayed locked by another connection until the deadline (${why}); nothing was changed. Look for a ` +
          'process that keeps a transaction open, or raise the deadline',
        cause,
      )
    case 'full':
      return new StoreFull(
        `no room left for ${file} (${why}); nothing was changed. Free disk space or raise the quota`,
        cause,
      )
    case 'readOnly':
      return new StoreReadOnly(
        `${file} cannot be written (${why}); nothing was changed. Give this process write permission for the file ` +
          'and its folder',
        cause,
      )
    case 'corrupt':
      return new StoreCorrupt(
        `${file} is damaged or not an SQLite database (${why}). Restore it from a backup, or name another file`,
        cause,
      )
    case 'lost':
      return new AnswerLost(`an I/O error ended the commit to ${file} (${why}): check the disk`, cause)
    case 'misconfigured':
      return new StoreMisconfigured(why, cause)
    case 'cannotOpen':
      return cannotOpen(file, why)
    case 'unavailable':
      return new StoreUnavailable(`${file} could not be used (${why}); nothing was changed`, cause)
  }
}

/** SQLite only says "unable to open database file"; the file system tells more. */
function cannotOpen(file: string, why: string): HoldfastError {
  const cause = { cause: new Error(why) }
  const folder = dirname(file)
  const at = statSync(folder, { throwIfNoEntry: false })
  if (!at)
    return new StoreMisconfigured(
      `${file} cannot be opened: its folder is missing. Create ${folder} first`,
      cause,
    )
  if (!at.isDirectory())
    return new StoreMisconfigured(`${file} cannot be opened: ${folder} is not a folder`, cause)
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) {
    return new StoreMisconfigured(`${file} is a folder: name a file in it`, cause)
  }
  if (!isWritable(folder)) {
    return new StoreMisconfigured(
      `${file} cannot be opened: this process may not write to ${folder}, where SQLite keeps its log. Give it ` +
        'write permission for the folder',
      cause,
    )
  }
  return new StoreUnavailable(
    `${file} could not be opened (${why}); nothing was changed. Check its permissions and the limit of open files`,
    cause,
  )
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}
