/**
 * The shapes of requests and answers. Requests are checked against them, answers are written by them (what they do not
 * name does not get out), and the description of the API is made of them.
 *
 * Unknown fields of a body are refused and nothing is converted: `"5"` is not 5. In a query everything is text, so
 * numbers are read there.
 */

import { type Static, type TSchema, Type } from '@fastify/type-provider-typebox'
import { type RefusalCode, statuses } from './refusals.ts'

/** A JSON object with exactly these fields. */
export function exactly<Fields extends Record<string, TSchema>>(fields: Fields, description?: string) {
  return Type.Object(fields, { additionalProperties: false, ...(description ? { description } : {}) })
}

/** An instant in an answer. */
export const instant = Type.String({
  description: 'RFC 3339, in UTC with milliseconds',
  examples: ['2026-01-31T12:00:00.000Z'],
})

/** An instant in an answer that may be missing. */
export function instantOrNull(description: string) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], description })
}

/** A text in an answer that may be missing. */
export function textOrNull(description: string) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], description })
}

/** The user, the owner of what is made. */
export const user = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'the owner: your name for a person or a machine',
})

/** Further labels of what is made. */
export const labels = Type.Array(Type.String({ maxLength: 240, pattern: '^(?!user:)' }), {
  maxItems: 15,
  description:
    'what it can be listed and revoked by, each `name:value`. `user:…` is added and cannot be given',
  examples: [['tenant:acme', 'device:phone']],
})

/** What a client carries. Longer than any real one, so that rubbish is refused by the parser and not here. */
export const credential = Type.String({ minLength: 1, maxLength: 512, description: 'the whole credential' })

/** The public id of a token or a session. */
export const id = Type.String({
  pattern: '^[A-Za-z0-9_~-]{1,120}$',
  description: 'the public id; never the credential',
})

/** The id in the path. */
export const idInPath = exactly({ id })

/** The top-level values of a session. */
export const data = Type.Record(Type.String(), Type.Unknown(), { description: 'any JSON, by top-level key' })

/** How a listing is asked for. */
export const listingQuery = exactly({
  user: Type.Optional(user),
  label: Type.Optional(
    Type.Union(
      [Type.String({ maxLength: 240 }), Type.Array(Type.String({ maxLength: 240 }), { maxItems: 16 })],
      {
        description: '`name:value`; may be given several times, and then all must match',
      },
    ),
  ),
  after: Type.Optional(
    Type.String({ maxLength: 2048, description: 'the `next` that the page before ended with' }),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
})

/** How a listing is asked for, parsed. */
export type ListingQuery = Static<typeof listingQuery>

/** What is revoked at once. */
export const revokingBody = {
  user: Type.Optional(user),
  labels: Type.Optional(
    Type.Array(Type.String({ maxLength: 240 }), { maxItems: 16, description: 'all must match' }),
  ),
}

/** How many were revoked. */
export const revokedCount = exactly({
  revoked: Type.Integer({ description: 'how many were alive and were ended by this call' }),
})

/** Where the next page begins. */
export const next = Type.Optional(
  Type.String({
    description: 'give it as `after` to get the next page; missing on the last one. A page may be short',
  }),
)

/** The one shape of errors. */
export const refusal = exactly({
  error: exactly({
    code: Type.String({ description: 'stable' }),
    message: Type.String({ description: 'for people; may change' }),
  }),
})

/** The shape of errors that RFC 6749 fixes, with our code beside it. */
export const oauthRefusal = exactly({
  error: Type.String(),
  error_description: Type.String(),
  code: Type.String({ description: 'stable' }),
})

/** Codes that every route with a caller and a store may answer with. */
const everywhere: readonly RefusalCode[] = [
  'HOLDFAST_INVALID_REQUEST',
  'HOLDFAST_UNAUTHENTICATED',
  'HOLDFAST_SCOPE_MISSING',
  'HOLDFAST_INTERNAL',
  'HOLDFAST_STORE_UNAVAILABLE',
  'HOLDFAST_STORE_READ_ONLY',
  'HOLDFAST_DEADLINE_EXCEEDED',
  'HOLDFAST_KEY_UNKNOWN',
  'HOLDFAST_SHUTTING_DOWN',
]

/** Codes that every route with a body may answer with. */
export const withBody: readonly RefusalCode[] = ['HOLDFAST_BODY_TOO_LARGE', 'HOLDFAST_UNSUPPORTED_MEDIA_TYPE']

/** Codes that every route that stores something may answer with. */
export const storing: readonly RefusalCode[] = [
  ...withBody,
  'HOLDFAST_INVALID_LABEL',
  'HOLDFAST_STORE_FULL',
  'HOLDFAST_OUTCOME_UNKNOWN',
]

/** The error answers of a route, by status, for its schema. */
export function refusals(codes: readonly RefusalCode[], shape: TSchema = refusal): Record<number, TSchema> {
  const byStatus = Map.groupBy([...everywhere, ...codes], (code) => statuses[code])
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      status,
      { ...shape, description: [...new Set(ofStatus)].join(', ') },
    ]),
  )
}
