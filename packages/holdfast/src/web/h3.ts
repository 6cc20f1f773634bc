/**
 * Sessions for h3 from its second version on, and so for Nitro: a middleware.
 *
 * ```ts
 * app.use(h3Session(new Sessions(store)))
 * app.get('/', (event) => event.context.session.get('basket'))
 * ```
 */

import type { JsonObject } from '../sessions/dictionary.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { Exchanges } from './exchange.ts'
import { addCarriedTo, carrying, type FetchOptions, webRequestOf } from './fetch/response.ts'
import { refusal, type Refusal, withStatus } from './refusal.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'
export type { FetchOptions } from './fetch/response.ts'

/** What is needed of an event of h3's. */
export interface H3EventLike {
  readonly req: Request & { readonly ip?: string | undefined }
  readonly res: { readonly status?: number | undefined; readonly headers: Headers }
  readonly context: Record<string, unknown>
}

/**
 * Puts `event.context.session` onto each event. What was changed is stored before the response is sent; where that
 * fails, h3 answers with the status of the failure; `onError` is given an `HTTPError` whose `cause` is our error.
 *
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function h3Session<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  options: FetchOptions = {},
): (event: H3EventLike, next: () => unknown) => Promise<unknown> {
  const exchanges = new Exchanges(sessions, options)
  return async (event, next) => {
    try {
      const request = webRequestOf(event.req, options)
      const address = request.address ?? event.req.ip
      const exchange = await exchanges.open(address === undefined ? request : { ...request, address })
      event.context['session'] = exchange.session
      let answer: unknown
      try {
        answer = await next()
      } catch (error) {
        await exchange.abandon()
        throw error
      }
      if (answer instanceof Response) return carrying(answer, await exchange.commit(answer.status))
      addCarriedTo(event.res.headers, await exchange.commit(event.res.status ?? 200))
      return answer
    } catch (error) {
      const refused = refusal(error)
      const cause = withStatus(error)
      // A mistake in the program stays one that nobody has handled: it is logged.
      throw refused.status === 500 ? cause : new HTTPError(refused, cause)
    }
  }
}

/**
 * An error that h3 takes for one of its own, by its name and status. It answers with the status of any error, but Nitro
 * answers 500 to all that are not h3's.
 */
class HTTPError extends Error {
  override readonly name = 'HTTPError'
  readonly status: number
  readonly statusText = undefined
  readonly headers = new Headers({ 'cache-control': 'no-store' })
  readonly #code: string

  /** @param cause What happened, for logs and for `onError`. */
  constructor({ status, code, message }: Refusal, cause: unknown) {
    super(message, { cause })
    this.status = status
    this.#code = code
  }

  get statusCode(): number {
    return this.status
  }

  /** The body of the answer. */
  toJSON(): object {
    return { error: this.#code, message: this.message, status: this.status }
  }
}
