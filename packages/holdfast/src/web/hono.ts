/**
 * Sessions for Hono.
 *
 * ```ts
 * const app = new Hono<{ Variables: { session: Session<MyData> } }>()
 * app.use(honoSession(new Sessions<MyData>(store)))
 * app.get('/', (c) => c.json(c.get('session').get('basket')))
 * ```
 */

import { HoldfastError } from '../errors.ts'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { letGo } from './answer-body.ts'
import { isOfOneAnswer } from './answer-headers.ts'
import { type Carried, Exchanges, type WebRequest } from './exchange.ts'
import { carrying, type FetchOptions, refused, webRequestOf } from './fetch/response.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'
export type { FetchOptions } from './fetch/response.ts'

/** What is needed of Hono's context. */
export interface HonoContext<Data extends object> {
  readonly req: { readonly raw: Request }
  readonly env: unknown
  res: Response
  set(name: 'session', session: Session<Data>): void
}

/**
 * Puts `session` among the variables of each context. What was changed is stored before the response is sent; where
 * that fails, the application's `onError` is told.
 *
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function honoSession<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  options: FetchOptions = {},
): (context: HonoContext<Data>, next: () => Promise<void>) => Promise<void> {
  const exchanges = new Exchanges(sessions, options)
  return async (context, next) => {
    const exchange = await answerable(async () => await exchanges.open(webRequest(context, options)))
    exchange.session.tellErrors(answering)
    context.set('session', exchange.session)
    try {
      await next()
    } catch (error) {
      await exchange.abandon()
      throw error
    }
    const prepared = context.res
    const carried = await answerable<Carried>(async () => {
      try {
        return await exchange.commit(prepared.status)
      } catch (error) {
        forget(context)
        letGo(prepared)
        // Those of the application's own middleware are for errors as well.
        const kept = [...prepared.headers].filter(([name]) => !isOfOneAnswer(name))
        context.res = new Response(null, { headers: kept })
        throw error
      }
    })
    const response = carrying(prepared, carried)
    if (response === prepared) return
    forget(context)
    context.res = response
  }
}

/** Hono would add the headers of the response that was prepared to those of the next. */
function forget<Data extends object>(context: HonoContext<Data>): void {
  context.res = undefined as unknown as Response
}

function webRequest<Data extends object>(context: HonoContext<Data>, options: FetchOptions): WebRequest {
  const request = webRequestOf(context.req.raw, options)
  const address = request.address ?? addressOf(context.env)
  return address === undefined ? request : { ...request, address }
}

/** Node.js's server for Hono puts the request beneath it there. */
function addressOf(env: unknown): string | undefined {
  const { incoming } = (env ?? {}) as { readonly incoming?: { readonly socket?: { remoteAddress?: string } } }
  return incoming?.socket?.remoteAddress
}

/** An error that Hono knows to answer with, where the application has no `onError`. */
async function answerable<R>(task: () => Promise<R>): Promise<R> {
  try {
    return await task()
  } catch (error) {
    throw answering(error)
  }
}

function answering(error: unknown): unknown {
  return error instanceof HoldfastError ? Object.assign(error, { getResponse: () => refused(error) }) : error
}
