/** API tokens: issue, look up, revoke. */

import { Type } from '@fastify/type-provider-typebox'
import type { Tokens } from 'holdfast'
import type { App, Context } from '../app.ts'
import { revocationResource, tokenResource } from '../../resources.ts'
import { isReserved, reservedScopePrefix } from '../callers.ts'
import { RequestRefused } from '../refusals.ts'
import { readInstant, readLifetime, readListing, readRevoking } from '../reading.ts'
import {
  exactly,
  id,
  idInPath,
  instant,
  instantOrNull,
  labels,
  listingQuery,
  next,
  refusals,
  revokedCount,
  revokingBody,
  storing,
  textOrNull,
  user,
} from '../schemas.ts'

const tags = ['tokens']

const scopes = Type.Array(
  Type.String({ minLength: 1, maxLength: 120, pattern: '^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$' }),
  {
    maxItems: 100,
    description: `what the token may be used for. Scopes beginning with ${reservedScopePrefix} are the root credential's to give`,
  },
)

const token = {
  id,
  user,
  scopes,
  name: textOrNull('unique among the live tokens of its user'),
  labels: Type.Array(Type.String()),
  createdAt: instant,
  expiresAt: instantOrNull('null: never'),
}

const issuing = exactly({
  user,
  scopes: Type.Optional(scopes),
  expiresIn: Type.Optional(
    Type.String({
      maxLength: 24,
      description: 'such as 90s, 1h or 14d, or never',
      default: '1h',
      examples: ['1h'],
    }),
  ),
  expiresAt: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339; instead of expiresIn' })),
  name: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'unique among the live tokens of its user' }),
  ),
  labels: Type.Optional(labels),
})

const issued = exactly({
  token: Type.String({ description: 'the whole credential. It is shown here and never again' }),
  ...token,
})

const revocation = exactly({
  id,
  user: textOrNull('whose it was'),
  revokedAt: instant,
  expiresAt: instantOrNull('when it would have expired; null: never'),
  why: Type.String({ description: 'what ended it' }),
})

const revocationQuery = exactly({
  since: Type.Optional(
    Type.String({
      maxLength: 40,
      description: 'RFC 3339: those revoked at or after it, and perhaps a few of the hour before',
    }),
  ),
  after: Type.Optional(
    Type.String({ maxLength: 2048, description: 'the `next` that the page before ended with' }),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
})

/** Adds the routes. */
export function tokenRoutes(app: App, { tokens }: Context): void {
  issuingRoute(app, tokens)
  listingRoute(app, tokens)
  singleRoutes(app, tokens)
  revokingRoutes(app, tokens)
}

function issuingRoute(app: App, tokens: Tokens): void {
  app.post(
    '/v1/tokens',
    {
      schema: {
        tags,
        summary: 'Issue a token',
        operationId: 'issueToken',
        body: issuing,
        response: {
          201: { ...issued, description: 'issued' },
          ...refusals([
            ...storing,
            'HOLDFAST_SCOPE_RESERVED',
            'HOLDFAST_INVALID_DURATION',
            'HOLDFAST_INVALID_EXPIRY',
            'HOLDFAST_NAME_TAKEN',
            'HOLDFAST_REVOKED_MEANWHILE',
            'HOLDFAST_VALUE_TOO_LARGE',
          ]),
        },
      },
    },
    async (request, reply) => {
      const { expiresIn, expiresAt, ...wanted } = request.body
      const lifetime = readLifetime({ expiresIn, expiresAt })
      if (isReserved(wanted.scopes ?? []) && !request.caller?.isRoot) {
        throw new RequestRefused(
          'HOLDFAST_SCOPE_RESERVED',
          `only the root credential may give scopes beginning with ${reservedScopePrefix}`,
        )
      }
      const made = await tokens.issue({ ...wanted, ...lifetime })
      return await reply.code(201).send({ token: made.credential, ...tokenResource(made.token) })
    },
  )
}

function listingRoute(app: App, tokens: Tokens): void {
  app.get(
    '/v1/tokens',
    {
      schema: {
        tags,
        summary: 'List live tokens',
        operationId: 'listTokens',
        querystring: listingQuery,
        response: {
          200: { ...exactly({ tokens: Type.Array(exactly(token)), next }), description: 'a page' },
          ...refusals(['HOLDFAST_INVALID_LABEL', 'HOLDFAST_INVALID_CURSOR', 'HOLDFAST_NOT_SUPPORTED']),
        },
      },
    },
    async (request) => {
      const page = await tokens.list(readListing(request.query))
      return {
        tokens: page.tokens.map(tokenResource),
        ...(page.next === undefined ? {} : { next: page.next }),
      }
    },
  )
}

function singleRoutes(app: App, tokens: Tokens): void {
  app.get(
    '/v1/tokens/:id',
    {
      schema: {
        tags,
        summary: 'Show a live token',
        operationId: 'showToken',
        params: idInPath,
        response: {
          200: { ...exactly(token), description: 'the token' },
          ...refusals(['HOLDFAST_TOKEN_NOT_FOUND']),
        },
      },
    },
    async (request) => {
      const found = await tokens.get(request.params.id)
      if (!found) throw noToken()
      return tokenResource(found)
    },
  )

  app.delete(
    '/v1/tokens/:id',
    {
      schema: {
        tags,
        summary: 'Revoke a token',
        operationId: 'revokeToken',
        params: idInPath,
        response: {
          204: { type: 'null', description: 'revoked' },
          ...refusals(['HOLDFAST_TOKEN_NOT_FOUND', 'HOLDFAST_STORE_FULL', 'HOLDFAST_OUTCOME_UNKNOWN']),
        },
      },
    },
    async (request, reply) => {
      if (!(await tokens.revoke(request.params.id))) throw noToken()
      return await reply.code(204).send(null)
    },
  )
}

function revokingRoutes(app: App, tokens: Tokens): void {
  app.post(
    '/v1/tokens/revoke',
    {
      schema: {
        tags,
        summary: 'Revoke all tokens of a user or with labels',
        operationId: 'revokeTokens',
        body: exactly(revokingBody),
        response: {
          200: { ...revokedCount, description: 'done' },
          ...refusals([...storing, 'HOLDFAST_NOT_SUPPORTED']),
        },
      },
    },
    async (request) => ({ revoked: (await tokens.revokeAll(readRevoking(request.body))).length }),
  )

  app.get(
    '/v1/revocations',
    {
      schema: {
        tags,
        summary: 'List what was revoked before its time',
        operationId: 'listRevocations',
        querystring: revocationQuery,
        response: {
          200: { ...exactly({ revocations: Type.Array(revocation), next }), description: 'a page' },
          ...refusals(['HOLDFAST_INVALID_CURSOR', 'HOLDFAST_NOT_SUPPORTED']),
        },
      },
    },
    async (request) => {
      const { since, ...paging } = request.query
      const from = since === undefined ? {} : { since: readInstant(since, 'since') }
      const page = await tokens.revocations({ ...paging, ...from })
      const { next: following } = page
      return {
        revocations: page.revocations.map(revocationResource),
        ...(following === undefined ? {} : { next: following }),
      }
    },
  )
}

function noToken(): RequestRefused {
  return new RequestRefused('HOLDFAST_TOKEN_NOT_FOUND', 'there is no live token with this id')
}
