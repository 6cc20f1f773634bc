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

/** The server doesn't have the script: it was restarted, or its scripts were flushed. Never leaves the driver. */
export class ScriptUnknown extends Error {}

/** The slot is being moved, and of the keys of one command some are here and some there. Nothing was changed. */
export class SlotMoving extends Error {}

/** Answers with which a server refuses a command before it changed anything. */
const refusals =
  /\b(LOADING|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|MISCONF|BUSY|MOVED|ASK|CROSSSLOT|ERR max number of clients)\b/

/** Answers to a greeting, or to a command, that only another URL or other settings can change. */
const misconfigurations =
  /^(NOAUTH|WRONGPASS|NOPERM)\b|^ERR (AUTH |invalid password|DB index|SELECT is not allowed)/

/**
 * Gives the coded error for a failed command. What can't be told apart is `AnswerLost`, because that is always safe:
 * the guard reads and sees.
 *
 * @param isUnsent Whether this error of the client's own means that the command was certainly not sent.
 */
export function failure(error: unknown, isUnsent: (error: Error) => boolean): Error {
  if (error instanceof HoldfastError) return error
  if (!(error instanceof Error)) return new AnswerLost('Redis did not answer', { cause: error })
  const { message } = error
  const details = { cause: error }
  if (/^NOSCRIPT\b/.test(message)) return new ScriptUnknown(message, details)
  if (/^TRYAGAIN\b/.test(message)) return new SlotMoving(`Redis refused: ${message}`, details)
  // Before version 7 the errors of commands inside scripts are wrapped, so their names may be anywhere in the text.
  if (/\bOOM command not allowed\b/.test(message))
    return new StoreFull('Redis has reached its maxmemory', details)
  if (/\bWRONGTYPE\b/.test(message)) {
    return new StoreCorrupt('a name that belongs to this namespace holds something else', details)
  }
  if (/\bREADONLY\b/.test(message))
    return new StoreReadOnly('Redis is a replica: it can only be read', details)
  if (misconfigurations.test(message)) return new StoreMisconfigured(`Redis refused: ${message}`, details)
  if (isUnsent(error) || refusedConnection(error)) {
    return new StoreUnavailable(`Redis cannot be reached: ${message || error.constructor.name}`, details)
  }
  if (refusals.test(message)) return new StoreUnavailable(`Redis refused: ${message}`, details)
  return new AnswerLost(`Redis did not answer: ${message || error.constructor.name}`, details)
}

/** Nothing was sent over a connection that never came about. */
function refusedConnection(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EHOSTUNREACH'
}
