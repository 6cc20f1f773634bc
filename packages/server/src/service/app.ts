/** What every file of routes is given. */

import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { Sessions, Store, Tokens } from 'holdfast'
import type { Caller, Need } from './callers.ts'
import type { Health } from './health.ts'
import type { LoginTexts } from './login-text.ts'

/** The service's Fastify instance, whose handlers know the types of their schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** What routes work on. */
export interface Context {
  readonly store: Store
  readonly sessions: Sessions<SessionData>
  readonly tokens: Tokens
  readonly logins: LoginTexts
  readonly health: Health
}

/** Over HTTP a session's data is whatever JSON the callers agree on. */
export type SessionData = Record<string, unknown>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route. Missing: those who may manage. */
    readonly needs?: Need
    /** Errors are written as RFC 6749 wants them. */
    readonly oauth?: boolean
  }
  interface FastifyRequest {
    /** Missing on routes that anybody may call. */
    caller: Caller | undefined
  }
}
