/** Requests and answers of Node.js, as an exchange needs them: shared by the doors that stand on them. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { addCarried, type AnswerHeaders } from '../answer-headers.ts'
import type { Carried, Exchange, WebOptions, WebRequest } from '../exchange.ts'
import type { Commit } from '../held-response.ts'

/** Settings of this door. */
export interface NodeOptions extends WebOptions {
  /**
   * Believes `X-Forwarded-Proto` and `X-Forwarded-For` of whoever connects: only behind a proxy that sets them itself.
   * Express's own setting `trust proxy` is heeded without this. @default false
   */
  readonly trustProxy?: boolean
}

/** An answer of `node:http`, or of `node:http2` in its compatible form. */
export type Answer = ServerResponse

/** What Express has put onto a request, where there is Express. */
interface MaybeExpress {
  readonly secure?: unknown
  readonly ip?: unknown
  readonly originalUrl?: unknown
}

/** A request of Node.js, as sessions look at it. */
export function webRequest(request: IncomingMessage, { trustProxy = false }: NodeOptions): WebRequest {
  const { headers, socket, method = 'GET', url = '/' } = request
  const { secure, ip, originalUrl } = request as MaybeExpress
  const [forwarded] = trustProxy ? listed(headers['x-forwarded-for']) : []
  const [scheme] = trustProxy ? listed(headers['x-forwarded-proto']) : []
  const address = forwarded ?? (typeof ip === 'string' ? ip : socket.remoteAddress)
  const isEncrypted = 'encrypted' in socket && socket.encrypted === true
  return {
    method,
    url: typeof originalUrl === 'string' ? originalUrl : url,
    isSecure: scheme === undefined ? secure === true || isEncrypted : scheme.toLowerCase() === 'https',
    ...(address === undefined ? {} : { address }),
    header: (name) => joined(headers[name]),
  }
}

/** What is done before an answer is sent. @param failed Told of a failure, also of one after the headers were sent. */
export function committing<Data extends object>(
  exchange: Exchange<Data>,
  answer: Answer,
  failed: (error: unknown) => void,
): Commit {
  let carried: Carried | undefined
  return {
    beforeHeaders() {
      if (exchange.isCommitted) return undefined
      const committed = exchange.commit(answer.statusCode)
      if (committed instanceof Promise) {
        return committed.then((settled) => {
          carried = settled
        })
      }
      carried = committed
      return undefined
    },
    beforeEnd: () => exchange.commitRest(answer.statusCode),
    onHeaders() {
      if (carried) addCarried(headersOf(answer), carried)
    },
    onFailure(error, isSent) {
      // Too late for another answer: the client must see that this one is not whole.
      if (isSent) answer.destroy()
      failed(error)
    },
  }
}

/** Lets go of what the request holds where its client hangs up before it was answered. */
export function abandonOnClose<Data extends object>(exchange: Exchange<Data>, answer: Answer): void {
  answer.once('close', () => {
    exchange.abandon().catch(() => undefined)
  })
}

/** The headers of an answer of Node.js. */
export function headersOf(answer: Answer): AnswerHeaders {
  return {
    get: (name) => joined(answer.getHeader(name)),
    set: (name, value) => {
      answer.setHeader(name, value)
    },
    addCookie: (value) => {
      answer.appendHeader('set-cookie', value)
    },
  }
}

function joined(value: number | string | readonly string[] | undefined): string | undefined {
  return value === undefined || typeof value === 'string' ? value : String(value)
}

function listed(value: string | readonly string[] | undefined): readonly string[] {
  return (joined(value) ?? '').split(',').flatMap((each) => (each.trim() === '' ? [] : [each.trim()]))
}
