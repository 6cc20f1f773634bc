/** Introspection (RFC 7662) and revocation (RFC 7009), for clients that speak OAuth. */

import { Type } from '@fastify/type-provider-typebox'
import { never, type Token } from 'holdfast'
import type { App, Context } from '../app.ts'
import { oauthRefusal, refusals, withBody } from '../schemas.ts'

const tags = ['oauth']
const consumes = ['application/x-www-form-urlencoded']

// The RFCs say that parameters which are not known are ignored and that none may occur twice.
const form = Type.Object(
  {
    token: Type.String({ minLength: 1, description: 'the credential in question' }),
    token_type_hint: Type.Optional(Type.String()),
  },
  { additionalProperties: true },
)

const introspection = Type.Object(
  {
    active: Type.Boolean(),
    scope: Type.Optional(Type.String({ description: 'separated by spaces' })),
    client_id: Type.Optional(Type.String({ description: 'of the label client:…' })),
    username: Type.Optional(Type.String()),
    token_type: Type.Optional(Type.String()),
    exp: Type.Optional(Type.Integer({ description: 'seconds since 1970; missing: never' })),
    iat: Type.Optional(Type.Integer({ description: 'seconds since 1970' })),
    sub: Type.Optional(Type.String()),
    jti: Type.Optional(Type.String({ description: 'the id of the token' })),
  },
  { additionalProperties: false },
)

/** Adds the routes. */
export function oauthRoutes(app: App, { tokens, sessions }: Context): void {
  app.post(
    '/v1/introspect',
    {
      config: { needs: 'introspect', oauth: true },
      schema: {
        tags,
        summary: 'Whether a token is active (RFC 7662)',
        operationId: 'introspect',
        consumes,
        body: form,
        response: {
          200: {
            ...introspection,
            description: 'exactly {"active":false} for everything that is not a live token',
          },
          ...refusals(withBody, oauthRefusal),
        },
      },
    },
    async (request) => {
      const token = await tokens.verify(request.body.token)
      return token ? active(token) : { active: false }
    },
  )

  app.post(
    '/v1/revoke',
    {
      config: { oauth: true },
      schema: {
        tags,
        summary: 'Revoke a token, or end a session, by its credential (RFC 7009)',
        operationId: 'revoke',
        consumes,
        body: form,
        response: {
          200: { ...Type.Object({}), description: 'it is not valid any more, or never was' },
          ...refusals([...withBody, 'HOLDFAST_STORE_FULL', 'HOLDFAST_OUTCOME_UNKNOWN'], oauthRefusal),
        },
      },
    },
    async (request) => {
      const { token } = request.body
      // Each refuses the other's credentials by their prefix, without asking the store.
      if (!(await tokens.revokeCredential(token))) await sessions.logout(token)
      return {}
    },
  )
}

function active({ id, user, scopes, labels, createdAt, expiresAt }: Token) {
  const client = labels.find((label) => label.startsWith('client:'))?.slice('client:'.length)
  return {
    active: true,
    scope: scopes.join(' '),
    ...(client === undefined ? {} : { client_id: client }),
    username: user,
    token_type: 'Bearer',
    ...(expiresAt === never ? {} : { exp: Math.floor(expiresAt / 1000) }),
    iat: Math.floor(createdAt / 1000),
    sub: user,
    jti: id,
  }
}
