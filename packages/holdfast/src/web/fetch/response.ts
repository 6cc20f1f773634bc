/** Web-standard requests and responses, as an exchange needs them: shared by the doors that stand on them. */

import type { Awaitable } from '../../store/contract.ts'
import { letGo } from '../answer-body.ts'
import { addCarried } from '../answer-headers.ts'
import type { Carried, Exchange, Exchanges, WebOptions, WebRequest } from '../exchange.ts'
import { refusal } from '../refusal.ts'

/** Settings of this door. */
export interface FetchOptions extends WebOptions {
  /** Believes `X-Forwarded-Proto` and `X-Forwarded-For`: only behind a proxy that sets them itself. @default false */
  readonly trustProxy?: boolean
}

/** One exchange around whatever makes a response. */
export async function exchanged<Data extends object, Answer extends Response | undefined>(
  exchanges: Exchanges<Data>,
  request: WebRequest,
  respond: (exchange: Exchange<Data>) => Awaitable<Answer>,
): Promise<Response | Extract<Answer, undefined>> {
  let exchange: Exchange<Data>
  try {
    exchange = await exchanges.open(request)
  } catch (error) {
    return refused(error)
  }
  let response: Answer
  try {
    response = await respond(exchange)
  } catch (error) {
    await exchange.abandon()
    return refused(error)
  }
  if (response === undefined) {
    // It answers in another way, such as Bun's after an upgrade to a WebSocket.
    await exchange.abandon()
    return response as Extract<Answer, undefined>
  }
  try {
    return carrying(response, await exchange.commit(response.status))
  } catch (error) {
    letGo(response)
    return refused(error)
  }
}

/** A request, as sessions look at it. */
export function webRequestOf(request: Request, { trustProxy = false }: FetchOptions = {}): WebRequest {
  const { protocol, host, pathname, search } = new URL(request.url)
  const first = (name: string): string | undefined => request.headers.get(name)?.split(',')[0]?.trim()
  const forwarded = trustProxy ? first('x-forwarded-for') : undefined
  const scheme = trustProxy ? (first('x-forwarded-proto') ?? protocol) : protocol
  return {
    method: request.method,
    url: pathname + search,
    isSecure: scheme.replace(':', '').toLowerCase() === 'https',
    ...(forwarded === undefined ? {} : { address: forwarded }),
    // HTTP/2 has no such header.
    header: (name) => request.headers.get(name) ?? (name === 'host' ? host : undefined),
  }
}

/** The response with what it must carry. */
export function carrying(response: Response, carried: Carried): Response {
  const { cookie, credential, vary } = carried
  if (cookie === undefined && credential === undefined && vary.length === 0) return response
  // The headers of some responses, such as redirects, can't be changed.
  const copy = new Response(response.body, response)
  addCarriedTo(copy.headers, carried)
  return copy
}

/** Adds what must be carried to web-standard headers. @param beneath Headers that these will take the place of. */
export function addCarriedTo(headers: Headers, carried: Carried, beneath?: Headers): void {
  addCarried(
    {
      get: (name) => headers.get(name) ?? beneath?.get(name) ?? undefined,
      set: (name, value) => {
        headers.set(name, value)
      },
      addCookie: (value) => {
        headers.append('set-cookie', value)
      },
    },
    carried,
  )
}

/** The response to who asked, in place of the application's. */
export function refused(error: unknown): Response {
  const { status, code, message } = refusal(error)
  if (code === 'HOLDFAST_INTERNAL') throw error
  return Response.json({ error: code, message }, { status, headers: { 'cache-control': 'no-store' } })
}
