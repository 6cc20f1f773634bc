/**
 * Sessions for `node:http`, Connect, Express and what stands on them, such as NestJS: one middleware.
 *
 * ```ts
 * app.use(sessionMiddleware(new Sessions(store)))
 * app.get('/', (request, response) => response.json(request.session.get('basket')))
 * ```
 */

import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { type Exchange, Exchanges } from './exchange.ts'
import { holdResponse } from './held-response.ts'
import { heedHangUp, type Answer, committing, type NodeOptions, webRequest } from './node/answering.ts'
import { refusal, withStatus } from './refusal.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'
export type { Answer, NodeOptions } from './node/answering.ts'

/** A request that the middleware has seen. */
export type WithSession<Data extends object = JsonObject> = IncomingMessage & { session: Session<Data> }

/** By what a request was given its session. */
const givenBy = Symbol('exchanges')

/** What Connect, Express, and the servers of `node:http` and `node:http2` call. */
export type Middleware = (
  request: IncomingMessage | Http2ServerRequest,
  answer: Answer | Http2ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * Puts `request.session` onto each request. The headers of the answer are held until what was changed is stored; where
 * that fails, `next` is told, and the answer that was prepared is not sent. A request that was given a session of the
 * same sessions, by the same cookie, goes on with that: the middleware may stand in its way twice.
 *
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function sessionMiddleware<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  options: NodeOptions = {},
): Middleware {
  const exchanges = new Exchanges(sessions, options)
  // In its compatible form HTTP/2 has all that is asked for.
  return ((request: IncomingMessage & { [givenBy]?: Exchanges<Data> }, answer: Answer, next) => {
    const before = request[givenBy]
    if (before?.sessions === sessions && before.cookie?.name === exchanges.cookie?.name) {
      next()
      return
    }
    const refuse = (error: unknown): void => {
      next(withStatus(error))
    }
    try {
      const opened = exchanges.open(webRequest(request, options))
      if (opened instanceof Promise) {
        opened.then((exchange) => {
          attach(exchange, request, answer, refuse)
          request[givenBy] = exchanges
          next()
        }, refuse)
        return
      }
      attach(opened, request, answer, refuse)
      request[givenBy] = exchanges
    } catch (error) {
      refuse(error)
      return
    }
    next()
  }) as Middleware
}

/** An answer for who uses no framework: what `next` may be given where there is nothing after it. */
export function answerRefused(to: Answer | Http2ServerResponse, error: unknown): void {
  const answer = to as Answer
  if (answer.headersSent) {
    answer.destroy()
    return
  }
  const { status, code, message } = refusal(error)
  answer.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  answer.end(JSON.stringify({ error: code, message }))
}

function attach<Data extends object>(
  exchange: Exchange<Data>,
  request: IncomingMessage,
  answer: Answer,
  refuse: (error: unknown) => void,
): void {
  Object.assign(request, { session: exchange.session })
  holdResponse(answer, committing(exchange, answer, refuse))
  heedHangUp(exchange, answer)
}
