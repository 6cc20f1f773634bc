/** How the parts of requests are read that a schema cannot check. */

import type { Duration, Instant } from 'holdfast'
import { RequestRefused } from './refusals.ts'
import type { ListingQuery } from './schemas.ts'

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

/** Reads an RFC 3339 text. @throws {RequestRefused} */
export function readInstant(text: string, name: string): Instant {
  const instant = rfc3339.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(instant)) {
    throw new RequestRefused('HOLDFAST_INVALID_REQUEST', `${name} must be like 2026-01-31T12:00:00Z`)
  }
  return instant
}

/** When something is to end. */
export interface Lifetime {
  readonly expiresIn: string | undefined
  readonly expiresAt: string | undefined
}

/** Reads when something is to end. @throws {RequestRefused} */
export function readLifetime({ expiresIn, expiresAt }: Lifetime) {
  if (expiresIn !== undefined && expiresAt !== undefined) {
    throw new RequestRefused('HOLDFAST_INVALID_REQUEST', 'give expiresIn or expiresAt, not both')
  }
  if (expiresAt !== undefined) return { expiresAt: readInstant(expiresAt, 'expiresAt') }
  return expiresIn === undefined ? {} : { expiresIn: expiresIn as Duration }
}

/** The options of a listing. */
export function readListing({ user, label, after, limit }: ListingQuery) {
  const labels = label === undefined || Array.isArray(label) ? label : [label]
  return {
    ...(user === undefined ? {} : { user }),
    ...(labels === undefined ? {} : { labels }),
    ...(after === undefined ? {} : { after }),
    ...(limit === undefined ? {} : { limit }),
  }
}

/** What to revoke: nothing given would mean everything, which nobody should get by leaving a field out. */
export function readRevoking<Given extends { user?: string; labels?: readonly string[] }>(
  given: Given,
): Given {
  if (given.user === undefined && (given.labels === undefined || given.labels.length === 0)) {
    throw new RequestRefused('HOLDFAST_INVALID_REQUEST', 'say whose: give user, labels, or both')
  }
  return given
}
