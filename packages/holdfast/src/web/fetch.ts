/**
 * Sessions for handlers of web-standard `Request` and `Response`: route handlers and middleware of Next.js, Bun, Deno,
 * and whatever speaks fetch.
 *
 * ```ts
 * const withSession = fetchSessions(new Sessions(store))
 * export const GET = withSession((request, session) => Response.json(session.get('basket')))
 * ```
 */

import type { JsonObject } from '../sessions/dictionary.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Awaitable } from '../store/contract.ts'
import { Exchanges } from './exchange.ts'
import { exchanged, type FetchOptions, webRequestOf } from './fetch/response.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'
export type { FetchOptions } from './fetch/response.ts'

/** A handler that is given the session. */
export type SessionHandler<
  Data extends object,
  Rest extends readonly unknown[],
  Answer extends Response | undefined = Response,
> = (request: Request, session: Session<Data>, ...rest: Rest) => Awaitable<Answer>

/**
 * Makes a wrapper for handlers. What was changed is stored before the response is answered with; where that fails, a
 * response with the cause takes its place. What a handler throws is thrown on, and nothing is stored then; nor where it
 * answers nothing, as on Bun behind `server.upgrade`. A secret that the session was given before has no cookie then.
 *
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function fetchSessions<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  options: FetchOptions = {},
): <Rest extends readonly unknown[], Answer extends Response | undefined = Response>(
  handler: SessionHandler<Data, Rest, Answer>,
) => (request: Request, ...rest: Rest) => Promise<Response | Extract<Answer, undefined>> {
  const exchanges = new Exchanges(sessions, options)
  return (handler) =>
    async (request, ...rest) => {
      return await exchanged(exchanges, webRequestOf(request, options), (exchange) =>
        handler(request, exchange.session, ...rest),
      )
    }
}
