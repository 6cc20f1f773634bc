/** Sessions as their owners and operators see them: list, show and end by id, without any credential. */

import { Type } from '@fastify/type-provider-typebox'
import { sessionResource } from '../../resources.ts'
import type { App, Context } from '../app.ts'
import { RequestRefused } from '../refusals.ts'
import { readListing, readRevoking } from '../reading.ts'
import {
  data,
  exactly,
  id,
  idInPath,
  instant,
  instantOrNull,
  listingQuery,
  next,
  refusals,
  revokedCount,
  revokingBody,
  storing,
  textOrNull,
} from '../schemas.ts'

const tags = ['sessions']

const sessionShape = {
  id,
  user: textOrNull('null: nobody is logged in'),
  labels: Type.Array(Type.String()),
  createdAt: instant,
  authenticatedAt: instant,
  touchedAt: instant,
  expiresAt: instantOrNull('when it ends unless it is used again'),
  data,
}

/** Adds the routes. */
export function sessionListingRoutes(app: App, { sessions }: Context): void {
  app.get(
    '/v1/sessions',
    {
      schema: {
        tags,
        summary: 'List live sessions',
        operationId: 'listSessions',
        querystring: listingQuery,
        response: {
          200: { ...exactly({ sessions: Type.Array(exactly(sessionShape)), next }), description: 'a page' },
          ...refusals(['HOLDFAST_INVALID_LABEL', 'HOLDFAST_INVALID_CURSOR', 'HOLDFAST_NOT_SUPPORTED']),
        },
      },
    },
    async (request) => {
      const page = await sessions.list(readListing(request.query))
      return {
        sessions: page.sessions.map(sessionResource),
        ...(page.next === undefined ? {} : { next: page.next }),
      }
    },
  )

  app.get(
    '/v1/sessions/:id',
    {
      schema: {
        tags,
        summary: 'Show a live session',
        operationId: 'showSession',
        params: idInPath,
        response: {
          200: { ...exactly(sessionShape), description: 'the session' },
          ...refusals(['HOLDFAST_SESSION_NOT_FOUND']),
        },
      },
    },
    async (request) => {
      const found = await sessions.get(request.params.id)
      if (!found) throw noSession()
      return sessionResource(found)
    },
  )

  app.delete(
    '/v1/sessions/:id',
    {
      schema: {
        tags,
        summary: 'End a session',
        operationId: 'endSession',
        params: idInPath,
        response: {
          204: { type: 'null', description: 'ended' },
          ...refusals(['HOLDFAST_SESSION_NOT_FOUND', 'HOLDFAST_STORE_FULL', 'HOLDFAST_OUTCOME_UNKNOWN']),
        },
      },
    },
    async (request, reply) => {
      if (!(await sessions.destroy(request.params.id))) throw noSession()
      return await reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/sessions/revoke',
    {
      schema: {
        tags,
        summary: 'End all sessions of a user or with labels, but one',
        operationId: 'revokeSessions',
        body: exactly({ ...revokingBody, except: Type.Optional(id) }),
        response: {
          200: { ...revokedCount, description: 'done' },
          ...refusals([...storing, 'HOLDFAST_NOT_SUPPORTED']),
        },
      },
    },
    async (request) => ({ revoked: await sessions.revoke(readRevoking(request.body)) }),
  )
}

function noSession(): RequestRefused {
  return new RequestRefused('HOLDFAST_SESSION_NOT_FOUND', 'there is no live session with this id')
}
