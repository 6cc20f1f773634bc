/**
 * Holds a response until its session is stored. Whatever sends the headers first (`writeHead`, `write`, `end` or
 * `flushHeaders`) waits for it, and so does what comes after; `end` waits once more for what was changed since. To the
 * application a response that waits looks like one whose headers are on their way.
 *
 * What stands in for a response in a handshake has no headers that could wait: it is sent as it is.
 */

import { OutgoingMessage, type ServerResponse } from 'node:http'
import { isOfOneAnswer } from './answer-headers.ts'

/** What is done before the headers, and before the end. */
export interface Commit {
  /** Answers with a promise only where there is something to wait for. */
  beforeHeaders(): Promise<void> | undefined
  beforeEnd(): Promise<void> | undefined
  /** Whether there is anything to be put into the headers. */
  readonly addsHeaders: boolean
  /** The headers are about to be sent. @throws {Error} when what is put into them is invalid. */
  onHeaders(): void
  /** The session could not be stored. The response is as if nothing had been sent, unless `isSent`. */
  onFailure(error: unknown, isSent: boolean): void
}

type Method = 'writeHead' | 'write' | 'end' | 'flushHeaders'
type Given = readonly unknown[]

type Methods = Record<Method, (...given: Given) => unknown>

/** They are refused once the headers are on their way. */
const headerMethods = ['setHeader', 'appendHeader', 'removeHeader', 'setHeaders'] as const

/** What packs a response lets go of by `flush` what it has taken so far. */
interface Flushing {
  flush?: (...given: Given) => unknown
}

/** Holds a response back. */
export function holdResponse(res: ServerResponse & Flushing, commit: Commit): void {
  if (!isWhole(res)) {
    followResponse(res, commit)
    return
  }
  const own = res as unknown as Methods
  const held = new HeldResponse(res, commit)
  own.writeHead = (...given) => held.take('writeHead', given)
  own.write = (...given) => held.take('write', given)
  own.end = (...given) => held.take('end', given)
  own.flushHeaders = (...given) => held.take('flushHeaders', given)
  const { flush } = res
  if (typeof flush === 'function')
    res.flush = (...given) => held.flush(() => Reflect.apply(flush, res, given))
}

/** Whether it can do what a response of Node.js can. */
function isWhole(res: Partial<ServerResponse>): boolean {
  return typeof res.appendHeader === 'function' && typeof res.getHeaderNames === 'function'
}

/** Puts the headers onto what stands in for a response, as engine.io has one, and stores beside it. */
function followResponse(res: ServerResponse, commit: Commit): void {
  const own = res as unknown as Partial<Methods>
  let isBegun = false
  const begin = (): void => {
    if (isBegun) return
    isBegun = true
    try {
      const waiting = commit.beforeHeaders()
      waiting?.catch((error: unknown) => commit.onFailure(error, true))
      commit.onHeaders()
    } catch (error) {
      commit.onFailure(error, true)
    }
  }
  for (const name of ['writeHead', 'write', 'end'] as const) {
    const method = own[name]
    if (!method) continue
    own[name] = (...given) => {
      begin()
      return Reflect.apply(method, res, given)
    }
  }
}

class HeldResponse {
  readonly #res: ServerResponse
  readonly #commit: Commit
  /** The methods as they were before. */
  readonly #methods: Readonly<Methods>
  /** `open`: nothing was sent. `waiting`: something is to be stored first. `ended`: whatever comes now is too late. */
  #state: 'open' | 'waiting' | 'sending' | 'ended' | 'failed' = 'open'
  #queue: (() => void)[] = []
  #bytes = 0
  #hasHeaders = false
  #isDrainDue = false
  #isEnding = false
  #restore: (() => void) | undefined

  constructor(res: ServerResponse, commit: Commit) {
    this.#res = res
    this.#commit = commit
    const { writeHead, write, end, flushHeaders } = res as unknown as Methods
    this.#methods = { writeHead, write, end, flushHeaders }
  }

  take(method: Method, given: Given): unknown {
    if (this.#state === 'open') return this.#begin(method, given)
    if (this.#state === 'waiting') return this.#wait(method, given)
    if (this.#state === 'failed') return this.#told(method)
    if (method === 'end') return this.#end(given)
    return this.#call(method, given)
  }

  flush(send: () => unknown): unknown {
    if (this.#state !== 'waiting') return send()
    if (!this.#isEnding) this.#queue.push(send)
    return undefined
  }

  #begin(method: Method, given: Given): unknown {
    const isEnd = method === 'end'
    const { statusCode } = this.#res
    let waiting: Promise<void> | undefined
    // Whether something is stored may depend on it.
    if (method === 'writeHead') sayStatus(this.#res, given)
    try {
      waiting = this.#commit.beforeHeaders()
    } catch (error) {
      this.#fail(error, isEnd)
      return this.#told(method)
    }
    if (!waiting) return this.#send(method, given, statusCode)
    this.#pretend()
    const told = this.#wait(method, given)
    waiting.then(
      () => this.#release(),
      (error: unknown) => this.#fail(error, this.#isEnding),
    )
    return told
  }

  /**
   * The first call of all, and nothing to wait for.
   *
   * @throws what Node.js throws for a mistake of the application's, such as an invalid header: it may answer otherwise.
   */
  #send(method: Method, given: Given, statusBefore: number): unknown {
    const isEnd = method === 'end'
    this.#state = isEnd ? 'ended' : 'sending'
    let isOurs = false
    try {
      const rest = this.#taken(method, given)
      isOurs = true
      this.#carry()
      isOurs = isEnd
      return Reflect.apply(this.#methods[method], this.#res, rest)
    } catch (error) {
      if (isOurs) {
        this.#fail(error, isEnd)
        return this.#told(method)
      }
      this.#state = 'open'
      this.#res.statusCode = statusBefore
      throw error
    }
  }

  #wait(method: Method, given: Given): unknown {
    if (this.#isEnding) return this.#told(method)
    if (method === 'writeHead' && this.#queue.length > 0) throw sentAlready('write')
    if (method === 'end') this.#isEnding = true
    if (method === 'write' || method === 'end') this.#bytes += sizeOf(given[0])
    const isFirst = this.#queue.length === 0
    if (method === 'writeHead') sayStatus(this.#res, given)
    this.#queue.push(() => {
      // What the first call of all waited for was stored as it was then: there is nothing more to store before the end.
      if (method !== 'end') this.#call(method, given)
      else if (isFirst) this.#finish(given)
      else this.#end(given)
    })
    return this.#told(method)
  }

  #end(given: Given): unknown {
    if (this.#state === 'ended') return this.#res
    let waiting: Promise<void> | undefined
    this.#state = 'ended'
    try {
      waiting = this.#commit.beforeEnd()
    } catch (error) {
      this.#commit.onFailure(error, true)
    }
    if (!waiting) return this.#finish(given)
    waiting
      .catch((error: unknown) => this.#commit.onFailure(error, true))
      .finally(() => this.#finish(given))
      .catch(() => undefined)
    return this.#res
  }

  #finish(given: Given): unknown {
    this.#state = 'ended'
    return this.#call('end', given)
  }

  /** Everything is stored: what has waited is sent. */
  #release(): void {
    this.#restore?.()
    this.#state = 'sending'
    const queue = this.#queue
    this.#queue = []
    try {
      for (const send of queue) send()
    } catch (error) {
      this.#fail(error, this.#isEnding)
      return
    }
    if (this.#isDrainDue && !this.#res.writableNeedDrain && !this.#isEnding) this.#res.emit('drain')
  }

  /** Nothing was stored, so nothing is sent of what was to be answered. */
  #fail(error: unknown, isWhole: boolean): void {
    this.#restore?.()
    this.#queue = []
    this.#state = 'failed'
    sayStatus(this.#res, [500, ''])
    if (!this.#res.headersSent) {
      for (const name of this.#res.getHeaderNames()) if (isOfOneAnswer(name)) this.#res.removeHeader(name)
    }
    // What stands between the application and us, such as a compression, believes that it has answered. Whoever tells of
    // the error gets past it, and what still comes through it comes here.
    Object.assign(this.#res, this.#methods)
    // Whoever streams goes on with it, and it must not end up in the page that tells of the error.
    if (!isWhole) this.#res.destroy()
    this.#commit.onFailure(error, !isWhole)
  }

  #call(method: Method, given: Given): unknown {
    const rest = this.#taken(method, given)
    this.#carry()
    return Reflect.apply(this.#methods[method], this.#res, rest)
  }

  /** What is left of a call's arguments when headers among them are taken over. */
  #taken(method: Method, given: Given): Given {
    const takesPart = method === 'writeHead' && !this.#hasHeaders
    const takes = takesPart && (this.#commit.addsHeaders || isOfPairs(given))
    return takes ? withoutHeaders(this.#res, given) : given
  }

  /** Puts what must be carried into the headers, once. */
  #carry(): void {
    if (this.#hasHeaders) return
    this.#hasHeaders = true
    if (this.#commit.addsHeaders) this.#commit.onHeaders()
  }

  /** What the application is told of a call that waits. */
  #told(method: Method): unknown {
    if (method === 'flushHeaders') return undefined
    if (method !== 'write') return this.#res
    if (this.#bytes < this.#res.writableHighWaterMark) return true
    this.#isDrainDue = true
    return false
  }

  /** Makes the response look like one whose headers were sent. */
  #pretend(): void {
    const res = this.#res
    this.#state = 'waiting'
    const { statusCode } = res
    const message = isHttp2(res) ? undefined : res.statusMessage
    const close = closed(res)
    this.#restore = () => {
      this.#restore = undefined
      close()
      sayStatus(res, [statusCode])
      // It may have been missing.
      if (!isHttp2(res)) res.statusMessage = message!
    }
  }
}

/** A response of Node.js has its headers as they were sent in here, and `null` before. */
interface WithHeader {
  _header?: string | null
}

/** Whether a response refuses headers by what stands in `_header`. Other runtimes may have it for the looks only. */
const refusesByHeader = ((): boolean => {
  const message = new OutgoingMessage()
  const { _header: before } = message as WithHeader
  Object.assign(message, { _header: 'held' })
  try {
    message.setHeader('x', '')
    return false
  } catch {
    return before === null && message.headersSent
  }
})()

/** Has a response refuse all headers as if they were sent; the answer undoes that. */
function closed(res: ServerResponse & WithHeader): () => void {
  if (!refusesByHeader || res._header !== null) return closedByProperties(res)
  // A property that is there anyway. Those of the other way make every response an object that V8 finds slow.
  res._header = 'held'
  return () => {
    res._header = null
  }
}

/** Those of HTTP/2, and of other runtimes. */
function closedByProperties(res: ServerResponse): () => void {
  const own = ['headersSent', ...headerMethods].map(
    (name) => [name, Object.getOwnPropertyDescriptor(res, name)] as const,
  )
  const refuse = (): never => {
    throw sentAlready('set')
  }
  Object.defineProperty(res, 'headersSent', { get: () => true, configurable: true })
  for (const name of headerMethods) {
    Object.defineProperty(res, name, { value: refuse, configurable: true, writable: true })
  }
  return () => {
    for (const [name, descriptor] of own) {
      if (descriptor) Object.defineProperty(res, name, descriptor)
      else Reflect.deleteProperty(res, name)
    }
  }
}

/** Node.js takes pairs only where no header was set before. */
function isOfPairs(given: Given): boolean {
  const headers = given.at(-1)
  return Array.isArray(headers) && Array.isArray(headers[0])
}

/** Puts the headers that `writeHead` is given onto the response: what is added to them must not replace them. */
function withoutHeaders(res: ServerResponse, given: Given): Given {
  const headers = given.at(-1)
  if (typeof headers !== 'object' || headers === null) return given
  const seen = new Set<string>()
  for (const [name, value] of pairsOf(headers)) {
    if (seen.has(name.toLowerCase())) res.appendHeader(name, value as string)
    else res.setHeader(name, value as string)
    seen.add(name.toLowerCase())
  }
  return given.slice(0, -1)
}

/** The forms that Node.js takes: an object, pairs, and names and values in turn. */
function pairsOf(headers: object): readonly (readonly [string, unknown])[] {
  if (!Array.isArray(headers)) return Object.entries(headers)
  if (headers.every((each) => Array.isArray(each))) return headers as [string, unknown][]
  const pairs: [string, unknown][] = []
  for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([String(headers[i]), headers[i + 1]])
  return pairs
}

/** Says what `writeHead` was given of the status, for those who look. */
function sayStatus(res: ServerResponse, [status, message]: Given): void {
  if (typeof status === 'number') res.statusCode = status
  if (typeof message === 'string' && !isHttp2(res)) res.statusMessage = message
}

/** HTTP/2 has no status message, and warns of whoever asks. */
function isHttp2(res: ServerResponse): boolean {
  return 'stream' in res
}

function sizeOf(chunk: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk)
  return chunk instanceof Uint8Array ? chunk.byteLength : 0
}

/** What Node.js throws who comes too late. */
function sentAlready(what: string): Error {
  const error = new Error(`Cannot ${what} headers after they are sent to the client`)
  return Object.assign(error, { code: 'ERR_HTTP_HEADERS_SENT' })
}
