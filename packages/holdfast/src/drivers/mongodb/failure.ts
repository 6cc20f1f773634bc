/** What went wrong, told from the client's and the server's errors: whether anything may have been changed. */

import {
  AnswerLost,
  HoldfastError,
  StoreFull,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../errors.ts'

/** The server is not the primary, or not any more, and refused before it did anything. Tried again by the server. */
export class NotPrimary extends StoreReadOnly {}

/** Errors of the client after which the command was certainly not sent. */
const unsent = new Set([
  'MongoServerSelectionError',
  'MongoWaitQueueTimeoutError',
  'MongoPoolClosedError',
  'MongoPoolClearedError',
  'MongoPoolClearedOnNetworkError',
  'MongoNotConnectedError',
  'MongoServerClosedError',
  'MongoTopologyClosedError',
])

/** Codes of a server that is not the primary: NotWritablePrimary, NotPrimaryNoSecondaryOk, and their elder. */
const notPrimary = new Set([10107, 13435, 10058])
/** Unauthorized, AuthenticationFailed, UserNotFound, and what Atlas says for them. */
const notAllowed = new Set([13, 18, 11, 8000])
/** OutOfDiskSpace. */
const diskFull = 14031
/** What the server can't do: BadValue, FailedToParse, NamespaceNotFound, CommandNotFound, InvalidOptions, APIStrictError … */
const notUnderstood = new Set([2, 9, 26, 59, 72, 85, 86, 115, 121, 166, 238, 322, 323, 40324])

/**
 * Gives the coded error for a failed command. What can't be told apart is `AnswerLost`, because that is always safe:
 * the guard reads and sees.
 */
export function failure(error: unknown): Error {
  if (error instanceof HoldfastError) return error
  if (!(error instanceof Error)) return new AnswerLost('MongoDB did not answer', { cause: error })
  const details = { cause: error }
  const { message } = error
  if (unsent.has(error.name) || isBeforeFirstCommand(error)) return unreached(error)
  // The write was carried out, but most members did not confirm it: a fail-over may still undo it.
  if (error.name === 'MongoWriteConcernError') {
    return new AnswerLost(`MongoDB did not confirm the write: ${message}`, details)
  }
  return (
    refusal(codeOf(error), message, details) ?? new AnswerLost(`MongoDB did not answer: ${message}`, details)
  )
}

/** The coded error for an attempt to connect: nothing but greetings were sent, so nothing can have been changed. */
export function neverSent(error: unknown): Error {
  const cause = failure(error)
  return cause instanceof AnswerLost ? new StoreUnavailable(cause.message, { cause: error }) : cause
}

/** The coded error for a refusal of the server after which nothing was changed; `undefined` for any other. */
export function refusal(
  code: number | undefined,
  message: string,
  details: { readonly cause?: unknown } = {},
): Error | undefined {
  if (code === diskFull || /disk is full|no space left|space quota/i.test(message)) {
    return new StoreFull(`MongoDB has no room: ${message}`, details)
  }
  if (/readonly database|read-only mode/i.test(message)) {
    return new StoreReadOnly(`MongoDB can only be read: ${message}`, details)
  }
  if (code === undefined) return undefined
  if (notPrimary.has(code)) {
    return new NotPrimary('this member of the replica set is not the primary: it can only be read', details)
  }
  if (notAllowed.has(code)) {
    return new StoreMisconfigured(`MongoDB refused the user or its rights: ${message}`, details)
  }
  if (notUnderstood.has(code)) return new StoreMisconfigured(`MongoDB refused: ${message}`, details)
  return undefined
}

/** The code of a server's error. */
export function codeOf(error: unknown): number | undefined {
  const code = (error as { readonly code?: unknown } | undefined)?.code
  return typeof code === 'number' ? code : undefined
}

/** Nothing was sent over a connection that never came about. A refused login comes in the same wrapping. */
function unreached(error: Error): Error {
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    const refused = refusal(codeOf(inner), inner.message, { cause: error })
    if (refused instanceof StoreMisconfigured) return refused
  }
  return new StoreUnavailable(`MongoDB cannot be reached: ${error.message}`, { cause: error })
}

/** Whether a connection failed while it was being made: nothing but greetings went over it. */
function isBeforeFirstCommand(error: Error): boolean {
  const { beforeHandshake } = error as { readonly beforeHandshake?: unknown }
  if (beforeHandshake === true || hasLabel(error, 'HandshakeError')) return true
  if (/^Socket .*(connection establishment|onnect' timed out)/.test(error.message)) return true
  const { syscall } = (error.cause ?? {}) as { readonly syscall?: unknown }
  return syscall === 'connect' || syscall === 'getaddrinfo' || error.cause instanceof AggregateError
}

function hasLabel(error: Error, label: string): boolean {
  const { errorLabels } = error as { readonly errorLabels?: unknown }
  return Array.isArray(errorLabels) && errorLabels.includes(label)
}
