/**
 * Sessions for Fastify.
 *
 * ```ts
 * await app.register(fastifySession, { sessions: new Sessions(store) })
 * app.get('/', (request) => request.session.get('basket'))
 * ```
 */

import type { IncomingMessage } from 'node:http'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { holdBody, letGo } from './answer-body.ts'
import { type AnswerHeaders, isOfOneAnswer } from './answer-headers.ts'
import { type Exchange, Exchanges, type WebOptions, type WebRequest } from './exchange.ts'
import { holdResponse } from './held-response.ts'
import { heedHangUp, type Answer, type Committing, committing, headerOf, joined } from './node/answering.ts'
import { refusal, type Refusal, withStatus } from './refusal.ts'

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
  code(status: number): unknown
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
export interface FastifySessionOptions extends WebOptions {
  /** Of whatever data: what they hold is said by `declare module 'fastify'`. */
  readonly sessions: { readonly [Member in keyof Sessions]: unknown }
}

/**
 * The plugin: puts `request.session` onto each request, in the whole application. What was changed is stored before
 * the headers of the reply are sent, also of one that was hijacked. Behind a proxy set Fastify's own `trustProxy`.
 */
export function fastifySession(
  fastify: FastifyLike,
  options: FastifySessionOptions,
  done: (error?: Error) => void,
): void {
  // Without a type parameter, or else `register` knows of no option what it may be.
  const exchanges = new Exchanges(options.sessions as Sessions, options)
  // A symbol of this registration's own. A map with weak keys would cost more than all the rest of a request.
  const current = Symbol('exchange')
  type Seen = FastifyRequestLike & { [current]?: Committing<JsonObject> }
  fastify.decorateRequest(current, null)
  fastify.decorateRequest('session', {
    getter(this: Seen): Session | undefined {
      return this[current]?.exchange.session
    },
  })
  fastify.addHook('onRequest', (request, reply, next) => {
    const fail = (error: unknown): void => {
      refuse(reply, error, next)
    }
    const begin = (exchange: Exchange): void => {
      heedHangUp(exchange, reply.raw)
      ;(request as Seen)[current] = hold(exchange, reply.raw)
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
    const commit = (request as Seen)[current]
    if (!commit || commit.exchange.isCommitted) {
      next(null, payload)
      return
    }
    const fail = (error: unknown): void => {
      letGo(payload)
      for (const name of Object.keys(reply.getHeaders())) if (isOfOneAnswer(name)) reply.removeHeader(name)
      refuse(reply, error, next)
    }
    const isResponse = isWebResponse(payload)
    const end = (): void => {
      // Where others may still have a say (hooks behind this one, the headers of a `Response`), what must not be lost is
      // added when the headers are written.
      if (!isResponse && !commit.isPersonal) commit.addTo(headersOf(reply))
      next(null, payload)
    }
    try {
      // Fastify takes it over first behind the hooks.
      if (isResponse) reply.code(payload.status)
      const waiting = commit.beforeHeaders()
      if (!waiting) {
        end()
        return
      }
      holdBody(payload)
      waiting.then(end, fail)
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

/** Told as Fastify tells it, so that those of other implementations count. */
function isWebResponse(payload: unknown): payload is Response {
  return typeof payload === 'object' && Object.prototype.toString.call(payload) === '[object Response]'
}

/** Holds the headers where they are written: a reply that was hijacked passes no hook. */
function hold(exchange: Exchange, raw: Answer): Committing<JsonObject> {
  const commit = committing(exchange, raw, (error) => {
    raw.destroy(error as Error)
  })
  holdResponse(raw, commit)
  return commit
}

/** Has the error answered, with its own status, whatever was to be answered before. */
function refuse(reply: FastifyReplyLike, error: unknown, next: (error: Error) => void): void {
  const refused = refusal(error)
  const cause = withStatus(error) as Error
  reply.code(refused.status)
  // A mistake in the program stays what it is.
  next(refused.status === 500 ? cause : new RefusedRequest(refused, cause))
}

/** Fastify sends the message of any error to who asked: it must tell nothing of the inside. */
class RefusedRequest extends Error {
  readonly statusCode: number
  readonly code: string

  /** @param cause What happened, for logs and for error handlers. */
  constructor({ status, code, message }: Refusal, cause: unknown) {
    super(message, { cause })
    this.statusCode = status
    this.code = code
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
    return headerOf(this.#request, name)
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
