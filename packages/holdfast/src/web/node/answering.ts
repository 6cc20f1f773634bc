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

/** A request of Node.js, as sessions look at it: only what is asked for is found out. */
export function webRequest(request: IncomingMessage, { trustProxy = false }: NodeOptions): WebRequest {
  return new NodeRequest(request, trustProxy)
}

class NodeRequest implements WebRequest {
  readonly #request: IncomingMessage & MaybeExpress
  readonly #trustsProxy: boolean

  constructor(request: IncomingMessage, trustsProxy: boolean) {
    this.#request = request
    this.#trustsProxy = trustsProxy
  }

  get method(): string {
    return this.#request.method ?? 'GET'
  }

  get url(): string {
    const { originalUrl, url = '/' } = this.#request
    return typeof originalUrl === 'string' ? originalUrl : url
  }

  get isSecure(): boolean {
    const scheme = this.#forwarded('x-forwarded-proto')
    if (scheme !== undefined) return scheme.toLowerCase() === 'https'
    const { secure, socket } = this.#request
    return secure === true || ('encrypted' in socket && socket.encrypted === true)
  }

  get address(): string | undefined {
    const forwarded = this.#forwarded('x-forwarded-for')
    if (forwarded !== undefined) return forwarded
    const { ip, socket } = this.#request
    return typeof ip === 'string' ? ip : socket.remoteAddress
  }

  header(name: string): string | undefined {
    return headerOf(this.#request, name)
  }

  #forwarded(name: string): string | undefined {
    return this.#trustsProxy ? listed(this.#request.headers[name])[0] : undefined
  }
}

/** What is done before an answer is sent. @param failed Told of a failure, also of one after the headers were sent. */
export function committing<Data extends object>(
  exchange: Exchange<Data>,
  answer: Answer,
  failed: (error: unknown) => void,
): Committing<Data> {
  return new Committing(exchange, answer, failed)
}

/** One exchange's commit, however many ask for it. */
export class Committing<Data extends object> implements Commit {
  readonly exchange: Exchange<Data>
  readonly #answer: Answer
  readonly #failed: (error: unknown) => void
  #carried: Carried | undefined
  #waiting: Promise<void> | undefined

  constructor(exchange: Exchange<Data>, answer: Answer, failed: (error: unknown) => void) {
    this.exchange = exchange
    this.#answer = answer
    this.#failed = failed
  }

  beforeHeaders(): Promise<void> | undefined {
    // Who asks later waits for the same.
    if (this.exchange.isCommitted) return this.#waiting
    const carried = this.exchange.commit(this.#answer.statusCode)
    if (!(carried instanceof Promise)) {
      this.#carried = carried
      return undefined
    }
    this.#waiting = this.#settled(carried)
    return this.#waiting
  }

  beforeEnd(): Promise<void> | undefined {
    return this.exchange.commitRest(this.#answer.statusCode)
  }

  get addsHeaders(): boolean {
    return this.#carried !== undefined
  }

  onHeaders(): void {
    if (this.#carried) addCarried(headersOf(this.#answer), this.#carried)
  }

  /** Whether this client is told of its session, which no cache may tell others. */
  get isPersonal(): boolean {
    return this.#carried?.cookie !== undefined || this.#carried?.credential !== undefined
  }

  /** Adds what must be carried to other headers, and not once more to those of the answer. */
  addTo(headers: AnswerHeaders): void {
    if (this.#carried) addCarried(headers, this.#carried)
    this.#carried = undefined
  }

  onFailure(error: unknown, isSent: boolean): void {
    // Too late for another answer: the client must see that this one is not whole.
    if (isSent) this.#answer.destroy()
    this.#failed(error)
  }

  async #settled(carried: Promise<Carried>): Promise<void> {
    try {
      this.#carried = await carried
    } finally {
      this.#waiting = undefined
    }
  }
}

/** Sees to it that a request whose client hangs up before it was answered doesn’t keep its lock for ever. */
export function heedHangUp<Data extends object>(exchange: Exchange<Data>, answer: Answer): void {
  if (!exchange.mayLock) return
  // It may have hung up while the lock was waited for.
  if (answer.destroyed) exchange.hungUp()
  answer.once('close', () => {
    exchange.hungUp()
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

/** A header of a request. HTTP/2 has another name for the host. */
export function headerOf({ headers }: Pick<IncomingMessage, 'headers'>, name: string): string | undefined {
  return joined(headers[name] ?? (name === 'host' ? headers[':authority'] : undefined))
}

/** A header as one text, however many values it has. */
export function joined(value: number | string | readonly string[] | undefined): string | undefined {
  return value === undefined || typeof value === 'string' ? value : String(value)
}

function listed(value: string | readonly string[] | undefined): readonly string[] {
  return (joined(value) ?? '').split(',').flatMap((each) => (each.trim() === '' ? [] : [each.trim()]))
}
