/**
 * Sessions for Fastify.
 *
 * ```ts
 * await app.register(fastifySession, { sessions: new Sessions(store) })
 * app.get('/', (request) => request.session.get('basket'))
 * ```
 */

import type { IncomingMessage } from 'node:http'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { addCarried, type AnswerHeaders } from './answer-headers.ts'
import { type Carried, type Exchange, Exchanges, type WebOptions, type WebRequest } from './exchange.ts'
import { holdResponse } from './held-response.ts'
import { abandonOnClose, type Answer, committing, joined } from './node/answering.ts'
import { withStatus } from './refusal.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'

/** What is needed of a request of Fastify's. */
export interface FastifyRequestLike {
  readonly method: string
  readonly url: string
  /** Heeds Fastify's `trustProxy`. */
  readonly protocol: string
  /** Heeds Fastify's `trustProxy`. */
  readonly ip: string
  readonly headers: IncomingMessage['headers']
}

/** What is needed of a reply of Fastify's. */
export interface FastifyReplyLike {
  readonly raw: Answer
  readonly statusCode: number
  getHeader(name: string): number | string | string[] | undefined
  getHeaders(): Record<string, unknown>
  removeHeader(name: string): unknown
  header(name: string, value: string): unknown
}

/** What is needed of Fastify. */
export interface FastifyLike {
  decorateRequest(name: string | symbol, value: object | null): unknown
  addHook(
    name: 'onRequest',
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, done: (error?: Error) => void) => void,
  ): unknown
  addHook(
    name: 'onSend',
    hook: (
      request: FastifyRequestLike,
      reply: FastifyReplyLike,
      payload: unknown,
      done: (error?: Error | null, payload?: unknown) => void,
    ) => void,
  ): unknown
}

/** Settings of this door. */
export interface FastifySessionOptions<Data extends object> extends WebOptions {
  readonly sessions: Sessions<Data>
}

/**
 * The plugin: puts `request.session` onto each request, in the whole application. What was changed is stored before
 * the headers of the reply are sent, also of one that was hijacked. Behind a proxy set Fastify's own `trustProxy`.
 */
export function fastifySession<Data extends object>(
  fastify: FastifyLike,
  options: FastifySessionOptions<Data>,
  done: (error?: Error) => void,
): void {
  const exchanges = new Exchanges(options.sessions, options)
  // A symbol of this registration's own. A map with weak keys would cost more than all the rest of a request.
  const current = Symbol('exchange')
  type Seen = FastifyRequestLike & { [current]?: Exchange<Data> }
  fastify.decorateRequest(current, null)
  fastify.decorateRequest('session', {
    getter(this: Seen): Session<Data> | undefined {
      return this[current]?.session
    },
  })
  fastify.addHook('onRequest', (request, reply, next) => {
    const fail = failed(next)
    const begin = (exchange: Exchange<Data>): void => {
      ;(request as Seen)[current] = exchange
      abandonOnClose(exchange, reply.raw)
      holdHijacked(exchange, reply.raw)
      next()
    }
    try {
      const opened = exchanges.open(new FastifyWebRequest(request))
      if (opened instanceof Promise) opened.then(begin, fail)
      else begin(opened)
    } catch (error) {
      fail(error)
    }
  })
  fastify.addHook('onSend', (request, reply, payload, next) => {
    const exchange = (request as Seen)[current]
    if (!exchange || exchange.isCommitted) {
      next(null, payload)
      return
    }
    const fail = (error: unknown): void => {
      // What was prepared is not sent, nor are its headers with the error.
      for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
      failed(next)(error)
    }
    const end = (carried: Carried): void => {
      addCarried(headersOf(reply), carried)
      next(null, payload)
    }
    try {
      const carried = exchange.commit(reply.statusCode)
      if (carried instanceof Promise) carried.then(end, fail)
      else end(carried)
    } catch (error) {
      fail(error)
    }
  })
  done()
}

// The whole application has sessions, not only what is registered beneath this plugin.
Object.assign(fastifySession, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'holdfast',
  [Symbol.for('plugin-meta')]: { name: 'holdfast', fastify: '5.x' },
})

/** A reply that was hijacked passes no hook: then the headers are held where they are written. */
function holdHijacked<Data extends object>(exchange: Exchange<Data>, raw: Answer): void {
  holdResponse(
    raw,
    committing(exchange, raw, (error) => {
      raw.destroy(error as Error)
    }),
  )
}

function failed(next: (error: Error) => void): (error: unknown) => void {
  return (error) => {
    next(withStatus(error) as Error)
  }
}

/** Only what is asked for is found out. */
class FastifyWebRequest implements WebRequest {
  readonly #request: FastifyRequestLike

  constructor(request: FastifyRequestLike) {
    this.#request = request
  }

  get method(): string {
    return this.#request.method
  }

  get url(): string {
    return this.#request.url
  }

  get isSecure(): boolean {
    return this.#request.protocol === 'https'
  }

  get address(): string {
    return this.#request.ip
  }

  header(name: string): string | undefined {
    return joined(this.#request.headers[name])
  }
}

function headersOf(reply: FastifyReplyLike): AnswerHeaders {
  return {
    get: (name) => joined(reply.getHeader(name)),
    set: (name, value) => {
      reply.header(name, value)
    },
    // Fastify adds a cookie to those that are there.
    addCookie: (value) => {
      reply.header('set-cookie', value)
    },
  }
}
