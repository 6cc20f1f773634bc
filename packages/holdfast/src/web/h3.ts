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
import { letGo } from './answer-body.ts'
import { type Carried, type Exchange, Exchanges } from './exchange.ts'
import { addCarriedTo, carrying, type FetchOptions, webRequestOf } from './fetch/response.ts'
import { refusal, type Refusal, withStatus } from './refusal.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'
export type { FetchOptions } from './fetch/response.ts'

/** What is needed of an event of h3's. */
export interface H3EventLike {
  readonly req: Request & { readonly ip?: string | undefined }
  readonly res: {
    readonly status?: number | undefined
    readonly headers: Headers
    /** What h3 sends with an error in place of the headers. */
    readonly errHeaders: Headers
  }
  readonly context: Record<string, unknown>
}

/**
 * Puts `event.context.session` onto each event. What was changed is stored before the response is sent, also where that
 * is an error with a status below 500; where it can't be stored, h3 answers with the status of the failure; `onError` is
 * given an `HTTPError` whose `cause` is our error.
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
      let isThrown = false
      try {
        answer = await next()
      } catch (error) {
        answer = answerable(error)
        isThrown = true
      }
      const status = isThrown ? thrownStatus(answer) : statusOf(answer, event.res.status)
      const carried = await committed(exchange, status, answer)
      if (answer instanceof Response && !isThrown) return carrying(answer, carried)
      carry(event.res, answer, carried)
      if (isThrown) throw answer
      return answer
    } catch (error) {
      throw answerable(error)
    }
  }
}

async function committed<Data extends object>(
  exchange: Exchange<Data>,
  status: number,
  answer: unknown,
): Promise<Carried> {
  try {
    return await exchange.commit(status)
  } catch (error) {
    letGo(answer)
    throw error
  }
}

/** What h3 is told of an error. */
function answerable(error: unknown): unknown {
  const refused = refusal(error)
  const cause = withStatus(error)
  // A mistake in the program stays one that nobody has handled: it is logged.
  return refused.status === 500 ? cause : new HTTPError(refused, cause)
}

/** What h3 finds in errors, and in its `HTTPResponse`. */
interface Stated {
  readonly status?: unknown
  readonly statusCode?: unknown
  readonly cause?: unknown
  readonly headers?: unknown
}

/** The status that h3 answers with, by its own rules. @param prepared For what has none of its own. */
function statusOf(answer: unknown, prepared = 200): number {
  if (answer instanceof Response) return answer.status
  if (answer instanceof Error) return errorStatus(answer)
  if (typeof answer !== 'object' || answer === null || !(httpResponse in answer)) return prepared
  return Number((answer as Stated).status ?? prepared)
}

const httpResponse = Symbol.for('h3.HTTPResponse')

/** The same for what was thrown: a number is a status, a symbol says that there is no route. */
function thrownStatus(thrown: unknown): number {
  if (thrown instanceof Error) return errorStatus(thrown)
  if (typeof thrown === 'symbol') return 404
  return typeof thrown === 'number' ? thrown : 500
}

function errorStatus(error: Stated): number {
  const cause = (error.cause ?? {}) as Stated
  const stated = [error.status, error.statusCode, cause.status, cause.statusCode].find(Boolean)
  const status = Number(stated ?? 500)
  return status >= 100 && status <= 599 ? status : 500
}

/** Puts what must be carried where h3 takes it from: with an error, also one that is thrown later, from another place. */
function carry(res: H3EventLike['res'], answer: unknown, carried: Carried): void {
  const { cookie, credential, vary } = carried
  if (vary.length === 0) return
  const { headers: own } = (answer ?? {}) as Stated
  const beneath = own instanceof Headers ? own : undefined
  addCarriedTo(res.headers, carried, beneath)
  if (cookie === undefined && credential === undefined && !(answer instanceof Error)) return
  addCarriedTo(res.errHeaders, carried, beneath)
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
