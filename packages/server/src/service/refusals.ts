/**
 * What the service answers when it does not do what was asked: a status, a stable code and a sentence.
 *
 * Everything has one shape, `{ error: { code, message } }`, but the two OAuth endpoints, whose RFCs fix another; the
 * same code is in there too. Nothing of the inside gets out: a failure of the store or of ours is answered by code
 * alone, with a sentence of this file, and its cause is in the log.
 */

import { HoldfastError } from 'holdfast'

/** Codes that the service adds to those of the library. */
export const ownCodes = {
  HOLDFAST_INVALID_REQUEST: 400,
  HOLDFAST_INVALID_LOGIN: 400,
  HOLDFAST_UNAUTHENTICATED: 401,
  HOLDFAST_SCOPE_MISSING: 403,
  HOLDFAST_SCOPE_RESERVED: 403,
  HOLDFAST_ROUTE_NOT_FOUND: 404,
  HOLDFAST_TOKEN_NOT_FOUND: 404,
  HOLDFAST_SESSION_NOT_FOUND: 404,
  HOLDFAST_METHOD_NOT_ALLOWED: 405,
  HOLDFAST_BODY_TOO_LARGE: 413,
  HOLDFAST_UNSUPPORTED_MEDIA_TYPE: 415,
  HOLDFAST_INTERNAL: 500,
  HOLDFAST_SHUTTING_DOWN: 503,
} as const

/** The library's codes that can reach a caller, and their statuses. */
export const libraryCodes = {
  HOLDFAST_INVALID_KEY: 400,
  HOLDFAST_INVALID_LABEL: 400,
  HOLDFAST_INVALID_VALUE: 400,
  HOLDFAST_INVALID_EXPIRY: 400,
  HOLDFAST_INVALID_DURATION: 400,
  HOLDFAST_INVALID_CURSOR: 400,
  HOLDFAST_INVALID_OPTION: 400,
  HOLDFAST_INVALID_DATA: 400,
  HOLDFAST_TOO_MANY_SESSIONS: 409,
  HOLDFAST_CONFLICTING_CHANGE: 409,
  HOLDFAST_NAME_TAKEN: 409,
  HOLDFAST_REVOKED_MEANWHILE: 409,
  HOLDFAST_SESSION_GONE: 410,
  HOLDFAST_TOKEN_GONE: 410,
  HOLDFAST_PARENT_GONE: 410,
  HOLDFAST_VALUE_TOO_LARGE: 413,
  HOLDFAST_RECORD_CORRUPT: 500,
  HOLDFAST_NOT_SUPPORTED: 501,
  HOLDFAST_STORE_UNAVAILABLE: 503,
  HOLDFAST_STORE_CLOSED: 503,
  HOLDFAST_STORE_READ_ONLY: 503,
  HOLDFAST_STORE_CORRUPT: 503,
  HOLDFAST_STORE_MISCONFIGURED: 503,
  HOLDFAST_DEADLINE_EXCEEDED: 503,
  HOLDFAST_PARTIAL_ANSWER: 503,
  HOLDFAST_CLOCK_SKEW: 503,
  HOLDFAST_KEY_UNKNOWN: 503,
  HOLDFAST_LOCKED: 503,
  HOLDFAST_OUTCOME_UNKNOWN: 504,
  HOLDFAST_STORE_FULL: 507,
} as const

/** Every code that an answer can carry. */
export type RefusalCode = keyof typeof ownCodes | keyof typeof libraryCodes

/** The status of every code. */
export const statuses: Readonly<Record<RefusalCode, number>> = { ...ownCodes, ...libraryCodes }

/** After how many seconds to try again, where trying again can help. */
const retryAfter = 2

/** Thrown by routes and hooks that refuse a request. */
export class RequestRefused extends HoldfastError {
  readonly code: keyof typeof ownCodes

  constructor(code: keyof typeof ownCodes, message: string) {
    super(message)
    this.code = code
  }
}

/** What is answered. */
export interface Refusal {
  readonly status: number
  readonly code: RefusalCode
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
  /** The fault is ours or the store's: it belongs into the log with its cause. */
  readonly isFailure: boolean
}

/** Turns whatever was thrown into what is answered. */
export function refusalOf(error: unknown): Refusal {
  const { code, message } = named(error)
  const status = statuses[code]
  return { status, code, message, headers: headersOf(status), isFailure: status >= 500 }
}

function named(error: unknown): { readonly code: RefusalCode; readonly message: string } {
  if (error instanceof HoldfastError) {
    const code = error.code in statuses ? (error.code as RefusalCode) : 'HOLDFAST_INTERNAL'
    return { code, message: sentences[code] ?? error.message }
  }
  const { code, statusCode, validation, message } = error as FastifyErrorLike
  if (validation) return { code: 'HOLDFAST_INVALID_REQUEST', message: message ?? 'the request is malformed' }
  if (statusCode === 413) return { code: 'HOLDFAST_BODY_TOO_LARGE', message: 'the request body is too large' }
  if (statusCode === 415) return { code: 'HOLDFAST_UNSUPPORTED_MEDIA_TYPE', message: unsupported }
  // The parser's own message may quote the body, which may hold a secret.
  if (statusCode === 400)
    return { code: 'HOLDFAST_INVALID_REQUEST', message: malformed[code ?? ''] ?? 'the request is malformed' }
  return { code: 'HOLDFAST_INTERNAL', message: sentences.HOLDFAST_INTERNAL ?? '' }
}

/** The parts of Fastify's errors that are looked at. */
interface FastifyErrorLike {
  readonly code?: string
  readonly statusCode?: number
  readonly validation?: unknown
  readonly message?: string
}

const unsupported = 'send the body as application/json, or as the form that the route asks for'

const malformed: Readonly<Record<string, string>> = {
  FST_ERR_CTP_EMPTY_JSON_BODY: 'the body is empty and must be JSON',
  FST_ERR_CTP_INVALID_JSON_BODY: 'the body is not JSON',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'the body is not as long as its Content-Length says',
  FST_ERR_BAD_URL: 'the URL is malformed',
}

/** What is said of failures instead of the error's own message. */
const sentences: Partial<Record<RefusalCode, string>> = {
  HOLDFAST_INTERNAL: 'something went wrong inside the service; its log says what',
  HOLDFAST_RECORD_CORRUPT: 'a stored record that is needed for this cannot be read',
  HOLDFAST_STORE_UNAVAILABLE: 'the store cannot be reached; nothing was changed',
  HOLDFAST_STORE_CLOSED: 'the service is stopping; nothing was changed',
  HOLDFAST_STORE_READ_ONLY: 'the store can be read but not written; nothing was changed',
  HOLDFAST_STORE_CORRUPT: 'the store reports that its data is damaged',
  HOLDFAST_STORE_MISCONFIGURED: 'the store cannot work with its settings',
  HOLDFAST_STORE_FULL: 'the store has no room left; nothing was changed',
  HOLDFAST_DEADLINE_EXCEEDED: 'the store did not answer in time',
  HOLDFAST_PARTIAL_ANSWER: 'a part of the store cannot be reached',
  HOLDFAST_CLOCK_SKEW: "the clocks of the service and of the store's server differ too much",
  HOLDFAST_KEY_UNKNOWN: 'the record is sealed under a key that this service does not have',
  HOLDFAST_OUTCOME_UNKNOWN: 'the change may or may not have happened: read before you repeat it',
}

function headersOf(status: number): Readonly<Record<string, string>> {
  return status === 503 ? { 'retry-after': String(retryAfter) } : {}
}
