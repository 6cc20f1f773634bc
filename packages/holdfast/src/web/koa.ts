/**
 * Sessions for Koa.
 *
 * ```ts
 * app.use(koaSession(new Sessions(store)))
 * app.use((context) => { context.body = context.session.get('basket') })
 * ```
 */

import type { IncomingMessage } from 'node:http'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { holdBody } from './answer-body.ts'
import { Exchanges, type WebOptions } from './exchange.ts'
import { holdResponse } from './held-response.ts'
import { heedHangUp, type Answer, committing, headerOf } from './node/answering.ts'
import { withStatus } from './refusal.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'

/** What is needed of Koa's context. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly res: Answer
  readonly method: string
  readonly originalUrl: string
  /** Heeds `app.proxy`. */
  readonly secure: boolean
  /** Heeds `app.proxy`. */
  readonly ip: string
  /** Whether Koa answers: false where the application does by itself. */
  readonly respond?: boolean
  /** Whether anybody can be answered. */
  readonly writable: boolean
  readonly body?: unknown
  onerror(error: Error): void
}

/** A context that the middleware has seen. */
export interface KoaSessionState<Data extends object = JsonObject> {
  session: Session<Data>
}

/**
 * Puts `context.session` onto each context. What was changed is stored before Koa answers, and before the headers of
 * an answer that the application flushes itself. Behind a proxy set Koa's own `app.proxy`.
 *
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function koaSession<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  options: WebOptions = {},
): (context: KoaContext, next: () => Promise<unknown>) => Promise<void> {
  const exchanges = new Exchanges(sessions, options)
  return async (context, next) => {
    const { res } = context
    const exchange = await stated(async () => {
      return await exchanges.open({
        method: context.method,
        url: context.originalUrl,
        isSecure: context.secure,
        address: context.ip,
        header: (name) => headerOf(context.req, name),
      })
    })
    Object.assign(context, { session: exchange.session })
    heedHangUp(exchange, res)
    const commit = committing(exchange, res, (error) => {
      context.onerror(withStatus(error) as Error)
    })
    holdResponse(res, commit)
    try {
      await next()
    } catch (error) {
      // Koa answers nobody whose connection is gone.
      if (!context.writable) await exchange.abandon()
      throw error
    }
    if (context.respond === false || exchange.isCommitted) return
    // Here and not when Koa answers, so that the application's own middleware sees what goes wrong. What the answer
    // must carry is added when it is sent: behind everything that such middleware says.
    holdBody(context.body)
    await stated(async () => {
      await commit.beforeHeaders()
    })
  }
}

async function stated<R>(task: () => Promise<R>): Promise<R> {
  try {
    return await task()
  } catch (error) {
    throw withStatus(error)
  }
}
