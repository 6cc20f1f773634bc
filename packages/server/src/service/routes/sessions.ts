/** Sessions over HTTP, for applications in any language: each call carries the session's credential in its body. */

import { Type } from '@fastify/type-provider-typebox'
import { type Session, SessionGone } from 'holdfast'
import { carriedResource } from '../../resources.ts'
import type { App, Context, SessionData } from '../app.ts'
import { RequestRefused } from '../refusals.ts'
import {
  credential,
  data,
  exactly,
  id,
  instant,
  instantOrNull,
  labels,
  refusals,
  storing,
  textOrNull,
  user,
} from '../schemas.ts'

const tags = ['sessions']

const sessionShape = {
  id,
  user: textOrNull('null: nobody is logged in'),
  createdAt: instant,
  authenticatedAt: instant,
  expiresAt: instantOrNull('when it ends unless it is used again'),
  data,
}

const started = exactly({
  session: Type.String({ description: 'the whole credential, to be carried by the client' }),
  ...sessionShape,
})

const current = exactly({
  session: Type.Optional(
    Type.String({
      description: 'the credential to carry from now on; only where it is another than the one sent',
    }),
  ),
  ...sessionShape,
})

const loginText = Type.String({
  minLength: 1,
  maxLength: 16_384,
  description: 'what /v1/sessions/begin answered',
})

const ended = ['HOLDFAST_SESSION_GONE', 'HOLDFAST_VALUE_TOO_LARGE', 'HOLDFAST_INVALID_VALUE'] as const

/** Adds the routes of one session's life. */
export function sessionRoutes(app: App, context: Context): void {
  startingRoutes(app, context)
  carryingRoutes(app, context)
  loginRoutes(app, context)
}

function startingRoutes(app: App, { sessions, logins, store }: Context): void {
  app.post(
    '/v1/sessions/begin',
    {
      schema: {
        tags,
        summary: 'Begin a login, before the password is checked',
        description:
          'What it answers is given to start or login, so that a "log out everywhere" in between wins.',
        operationId: 'beginLogin',
        body: exactly({ user }),
        response: {
          200: {
            ...exactly({ login: Type.String({ description: 'opaque; good for ten minutes' }) }),
            description: 'begun',
          },
          ...refusals(storing),
        },
      },
    },
    async (request) => {
      const login = await sessions.begin({ user: request.body.user })
      return { login: logins.seal(login, store.clock.now()) }
    },
  )

  app.post(
    '/v1/sessions',
    {
      schema: {
        tags,
        summary: 'Start a session',
        operationId: 'startSession',
        body: exactly({
          user: Type.Optional(user),
          login: Type.Optional(loginText),
          data: Type.Optional(data),
          labels: Type.Optional(labels),
        }),
        response: {
          201: { ...started, description: 'started' },
          ...refusals([
            ...storing,
            'HOLDFAST_INVALID_LOGIN',
            'HOLDFAST_INVALID_VALUE',
            'HOLDFAST_REVOKED_MEANWHILE',
            'HOLDFAST_VALUE_TOO_LARGE',
          ]),
        },
      },
    },
    async (request, reply) => {
      const { login, ...wanted } = request.body
      if (login !== undefined && wanted.user !== undefined) throw bothGiven()
      const begun = login === undefined ? {} : { login: logins.open(login, store.clock.now()) }
      const session = await sessions.start({ ...wanted, ...begun })
      return await reply.code(201).send({ session: session.credential ?? '', ...carriedResource(session) })
    },
  )
}

function carryingRoutes(app: App, { sessions }: Context): void {
  app.post(
    '/v1/sessions/load',
    {
      schema: {
        tags,
        summary: 'Load a session',
        operationId: 'loadSession',
        body: exactly({ session: credential }),
        response: {
          200: { ...current, description: 'the session' },
          ...refusals([...storing, 'HOLDFAST_SESSION_NOT_FOUND']),
        },
      },
    },
    async (request) => {
      const session = await sessions.load(request.body.session)
      if (session.isNew)
        throw new RequestRefused('HOLDFAST_SESSION_NOT_FOUND', 'no live session has this credential')
      return carried(session, request.body.session)
    },
  )

  app.patch(
    '/v1/sessions',
    {
      schema: {
        tags,
        summary: 'Set and delete top-level keys of a session',
        description: 'Changes of different keys by different requests are all kept.',
        operationId: 'saveSession',
        body: exactly({
          session: credential,
          set: Type.Optional(data),
          delete: Type.Optional(Type.Array(Type.String(), { maxItems: 1000, description: 'keys' })),
        }),
        response: {
          200: { ...current, description: 'saved' },
          ...refusals([...storing, ...ended, 'HOLDFAST_CONFLICTING_CHANGE']),
        },
      },
    },
    async (request) => {
      const { set = {}, delete: deleted = [] } = request.body
      const session = await alive(sessions, request.body.session)
      change(session, set, deleted)
      await session.save()
      return carried(session, request.body.session)
    },
  )

  app.post(
    '/v1/sessions/rotate',
    {
      schema: {
        tags,
        summary: 'Give a session a new credential',
        operationId: 'rotateSession',
        body: exactly({ session: credential }),
        response: { 200: { ...current, description: 'rotated' }, ...refusals([...storing, ...ended]) },
      },
    },
    async (request) => {
      const session = await alive(sessions, request.body.session)
      await session.rotate()
      return carried(session, request.body.session)
    },
  )
}

function loginRoutes(app: App, { sessions, logins, store }: Context): void {
  app.post(
    '/v1/sessions/login',
    {
      schema: {
        tags,
        summary: 'Log a user in on a session',
        description: 'The session gets a new credential and every earlier one of it ends at once.',
        operationId: 'logIn',
        body: exactly({ session: credential, user: Type.Optional(user), login: Type.Optional(loginText) }),
        response: {
          200: { ...current, description: 'logged in' },
          ...refusals([...storing, ...ended, 'HOLDFAST_INVALID_LOGIN', 'HOLDFAST_REVOKED_MEANWHILE']),
        },
      },
    },
    async (request) => {
      const { login, user: named } = request.body
      if ((login === undefined) === (named === undefined)) throw bothGiven()
      const who = login === undefined ? named : logins.open(login, store.clock.now())
      const session = await alive(sessions, request.body.session)
      await session.login(who as string)
      return carried(session, request.body.session)
    },
  )

  app.post(
    '/v1/sessions/logout',
    {
      schema: {
        tags,
        summary: 'End a session by its credential',
        description: 'A credential that was replaced by a later one of the same session ends it too.',
        operationId: 'logOut',
        body: exactly({ session: credential }),
        response: {
          204: { type: 'null', description: 'it is not valid any more, or never was' },
          ...refusals(storing),
        },
      },
    },
    async (request, reply) => {
      await sessions.logout(request.body.session)
      return await reply.code(204).send(null)
    },
  )
}

/** The session of a credential, to be changed. @throws {SessionGone} */
async function alive(sessions: Context['sessions'], presented: string): Promise<Session<SessionData>> {
  const session = await sessions.load(presented)
  if (session.isNew) throw new SessionGone('no live session has this credential: it has ended, or never was')
  return session
}

function change(session: Session<SessionData>, set: SessionData, deleted: readonly string[]): void {
  const both = deleted.find((key) => Object.hasOwn(set, key))
  if (both !== undefined) {
    throw new RequestRefused('HOLDFAST_INVALID_REQUEST', 'a key cannot be set and deleted at once')
  }
  for (const [key, value] of Object.entries(set)) session.set(key, value)
  for (const key of deleted) session.delete(key)
}

function carried(session: Session<SessionData>, presented: string) {
  const { credential: now } = session
  const replaced = now === undefined || now === presented ? {} : { session: now }
  return { ...replaced, ...carriedResource(session) }
}

function bothGiven(): RequestRefused {
  return new RequestRefused('HOLDFAST_INVALID_REQUEST', 'give either user, or the login that begin answered')
}
