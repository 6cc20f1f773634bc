/** What an error is to who asked: a status, and whether its message is for them. */

import { HoldfastError } from '../errors.ts'

/** An answer in place of the application's. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** By code. What is not in here is our own fault, or the store's. */
const statuses: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HOLDFAST_CROSS_SITE_REQUEST: [403, 'the request came from another site'],
  HOLDFAST_SESSION_GONE: [400, 'the session ended before the request was completed'],
  HOLDFAST_REVOKED_MEANWHILE: [403, 'everything of this user was revoked meanwhile: log in again'],
  HOLDFAST_TOO_MANY_SESSIONS: [403, 'there are too many sessions of this user: end another one first'],
  HOLDFAST_CONFLICTING_CHANGE: [409, 'another request changed the same things meanwhile: try again'],
  HOLDFAST_LOCKED: [503, 'other requests of the same session are under way: try again'],
  HOLDFAST_STORE_UNAVAILABLE: [503, 'sessions are not available at the moment'],
  HOLDFAST_DEADLINE_EXCEEDED: [503, 'sessions are not available at the moment'],
  HOLDFAST_OUTCOME_UNKNOWN: [503, 'it is not known whether the session was saved'],
  HOLDFAST_STORE_CLOSED: [503, 'sessions are not available at the moment'],
  HOLDFAST_STORE_FULL: [503, 'sessions are not available at the moment'],
  HOLDFAST_STORE_READ_ONLY: [503, 'sessions are not available at the moment'],
  HOLDFAST_STORE_CORRUPT: [503, 'sessions are not available at the moment'],
  HOLDFAST_CLOCK_SKEW: [503, 'sessions are not available at the moment'],
  HOLDFAST_PARTIAL_ANSWER: [503, 'sessions are not available at the moment'],
  HOLDFAST_KEY_UNKNOWN: [503, 'sessions are not available at the moment'],
}

/** The answer to who asked. It tells nothing of the inside: that stands in the error. */
export function refusal(error: unknown): Refusal {
  const code = error instanceof HoldfastError ? error.code : 'HOLDFAST_INTERNAL'
  const [status, message] = statuses[code] ?? [500, 'the session could not be stored']
  return { status, code, message }
}

/** The error with what Express, Koa, Fastify, h3 and NestJS look for in one: its status, and who may see the message. */
export function withStatus(error: unknown): unknown {
  if (!(error instanceof HoldfastError)) return error
  const { status } = refusal(error)
  return Object.assign(error, { status, statusCode: status, expose: status < 500 })
}
