/**
 * A client of Memcached over the meta protocol, with what a store needs and nothing else: get of many, set, add and
 * compare-and-swap, delete. Keys are spread over the servers and stay where they are.
 */

import type { ConnectionOptions } from 'node:tls'
import { type Clock, systemClock } from '../../../clock.ts'
import { type Duration, milliseconds } from '../../../duration.ts'
import {
  AnswerLost,
  InvalidKey,
  InvalidOption,
  StoreClosed,
  StoreFull,
  StoreUnavailable,
  ValueTooLarge,
} from '../../../errors.ts'
import type { TlsOptions } from '../../../store/store.ts'
import { addresses } from './address.ts'
import { type Answer, flag } from './answers.ts'
import type { Connection } from './connection.ts'
import { all } from '../../../store/parts.ts'
import { type Asking, ConnectionGone, metaRequest, type Reply, type Send, statistics } from './request.ts'
import { Ring } from './ring.ts'
import { Server, type ServerHealth, type ServerSettings } from './server.ts'
import { flush, type Introduction, introduction, listChanged, stamp } from './stamps.ts'

/** Settings of a client. */
export interface MemcachedClientOptions {
  /** How long an answer may take before its connection is given up. @default '1s' */
  readonly timeout?: Duration
  /** How long connecting may take. @default '1s' */
  readonly connectTimeout?: Duration
  /** How long a request may wait for a connection that has room. @default '1s' */
  readonly wait?: Duration
  /** The most connections to one server. @default 2 */
  readonly connections?: number
  /** The most requests under way on one connection. @default 1024 */
  readonly pipeline?: number
  /** How long a surplus connection may be idle before it is closed. @default '1m' */
  readonly idle?: Duration
  /** The longest time for which a server that failed is left alone; it begins with 100 ms. @default '5s' */
  readonly retry?: Duration
  /** TLS, with Node.js's own authorities where it is `true`. @default false */
  readonly tls?: boolean | TlsOptions
  /**
   * What to do when a server was used under another list of servers, so that it may hold old copies: refuse to use it,
   * or empty it with `flush_all`, which also removes what other programs keep there. @default 'refuse'
   */
  readonly whenListChanged?: 'refuse' | 'flush'
  /** The key of the item by which that is known. @default 'holdfast:servers' */
  readonly stampKey?: string
  /** For measuring time. @default the system's clock */
  readonly clock?: Clock
}

/** What a key holds. */
export interface MemcachedItem {
  /** Memory of its own. */
  readonly value: Uint8Array
  /**
   * Changes with every write of the key. For compare-and-swap, as long as the connection stands over which it came:
   * servers count tokens anew when they are restarted, so that another item could have the same.
   */
  readonly cas: string
}

/** How to set. */
export interface MemcachedSetOptions extends Asking {
  /** Only where the key holds nothing. */
  readonly add?: boolean
  /** Only where the key's item certainly still has this token. */
  readonly cas?: string
  /** When the server drops it, in seconds since 1970; 0 is never. @default 0 */
  readonly expires?: number
}

/** What one server says about itself. */
export interface MemcachedServerReport {
  readonly name: string
  readonly version: string
  /** Its clock, in seconds since 1970. */
  readonly time: number
  /** The longest item in bytes, its key and its overhead included. */
  readonly longestItem: number
  /** It drops items to make room for others. Otherwise it refuses the others. */
  readonly evicts: boolean
}

/** The methods of a client that the store uses. Any object with these will do. */
export interface MemcachedClient {
  /**
   * The items of the keys, in their order; `undefined` where there is none.
   *
   * @throws {PartialAnswer} when some are not answered; an error of the server when none is.
   */
  get(keys: readonly string[], asking?: Asking): Promise<readonly (MemcachedItem | undefined)[]>
  /**
   * Stores a value. `exists`: with `add`, there is one; with `cas`, it has changed, or that can't be told any more, so
   * read again. `missing`: with `cas`, it is gone.
   *
   * @throws {StoreFull} when there is no room: it was not stored, and Memcached has dropped what the key held before.
   * @throws {ValueTooLarge} when the server couldn't hold it. Nothing was changed.
   * @throws {StoreUnavailable} when nothing was sent.
   * @throws {AnswerLost} when it may have been stored or not.
   */
  set(key: string, value: Uint8Array, options?: MemcachedSetOptions): Promise<'stored' | 'exists' | 'missing'>
  /** Removes a key. Answers whether there was one. */
  delete(key: string, asking?: Asking): Promise<boolean>
  /** What every server says about itself. @throws when one doesn't answer. */
  servers(asking?: Asking): Promise<readonly MemcachedServerReport[]>
}

/** Our own client. */
export interface OwnMemcachedClient extends MemcachedClient {
  /** How the servers are, for metrics. Asks nobody. */
  health(): readonly ServerHealth[]
  /** Closes all connections. What is under way fails. */
  close(): void
}

/**
 * A client of one or several servers. Connects when it is first used, to all of them: only together they tell whether
 * the list was changed.
 *
 * @param servers `host`, `host:port`, `[::1]:port` or `/path/of/a.sock`. Keys are spread by these names, so every
 *   process needs the same, in whatever order, and a machine is replaced under the name that it had.
 * @throws {StoreMisconfigured} when a name can't be right.
 */
export function memcachedClient(
  servers: readonly string[],
  options: MemcachedClientOptions = {},
): OwnMemcachedClient {
  return new Client(servers, options)
}

/** What the server keeps with an item, rounded up: header, token, flags, line end. */
const overhead = 128
const validKey = /^[\x21-\x7e]{1,250}$/

class Client implements OwnMemcachedClient {
  readonly #servers: readonly Server[]
  readonly #ring: Ring
  readonly #stampKey: string
  readonly #flushes: boolean
  /** By server. Known before its first connection is used. */
  readonly #introductions: (Introduction | undefined)[]
  #isReady = false
  #ready: Promise<void> | undefined
  #isClosed = false

  constructor(servers: readonly string[], options: MemcachedClientOptions) {
    const named = addresses(servers)
    const settings = settingsOf(options)
    this.#stampKey = checkedKey(options.stampKey ?? 'holdfast:servers')
    this.#flushes = options.whenListChanged === 'flush'
    this.#ring = new Ring(named.map(({ name }) => name))
    this.#introductions = named.map(() => undefined)
    this.#servers = named.map(
      (each, i) => new Server(each, settings, (connection) => this.#admit(i, connection)),
    )
  }

  async get(keys: readonly string[], asking: Asking = {}): Promise<readonly (MemcachedItem | undefined)[]> {
    keys.forEach(checkedKey)
    if (!this.#isReady) await this.#prepared()
    const [only] = keys
    if (only !== undefined && keys.length === 1) return [await this.#item(only, asking)]
    return await all(
      `reading ${keys.length} keys`,
      keys.map((key) => this.#item(key, asking)),
    )
  }

  async set(
    key: string,
    value: Uint8Array,
    options: MemcachedSetOptions = {},
  ): Promise<'stored' | 'exists' | 'missing'> {
    checkedKey(key)
    if (!this.#isReady) await this.#prepared()
    const at = this.#ring.of(key)
    this.#checkSize(at, key, value)
    const { add = false, expires = 0 } = options
    const token = options.cas === undefined ? undefined : tokenOf(options.cas)
    const condition = add ? ' ME' : token ? ` C${token.cas}` : ''
    const line = `ms ${key} ${value.byteLength} T${lifetime(expires)}${condition}`
    const sent = metaRequest(this.#sender(at), line, options, value, token?.over)
    const answer = await sent.catch((error: unknown) => {
      if (error instanceof ConnectionGone) return undefined
      throw error
    })
    if (!answer) return 'exists'
    if (answer.status === 'HD') return 'stored'
    if (answer.status === 'NS' || answer.status === 'EX') return 'exists'
    if (answer.status === 'NF') return 'missing'
    throw refusal(this.#servers[at]!.name, answer)
  }

  async delete(key: string, asking: Asking = {}): Promise<boolean> {
    checkedKey(key)
    if (!this.#isReady) await this.#prepared()
    const at = this.#ring.of(key)
    const answer = await metaRequest(this.#sender(at), `md ${key}`, asking)
    if (answer.status === 'HD' || answer.status === 'NF') return answer.status === 'HD'
    throw refusal(this.#servers[at]!.name, answer)
  }

  async servers(asking: Asking = {}): Promise<readonly MemcachedServerReport[]> {
    if (!this.#isReady) await this.#prepared()
    return await Promise.all(
      this.#servers.map(async ({ name }, i) => {
        const found = await statistics(this.#sender(i), 'stats', asking)
        const { longestItem, evicts } = this.#introductions[i]!
        return {
          name,
          version: found.get('version') ?? '',
          time: Number(found.get('time')),
          longestItem,
          evicts,
        }
      }),
    )
  }

  health(): readonly ServerHealth[] {
    return this.#servers.map(({ health }) => health)
  }

  close(): void {
    this.#isClosed = true
    for (const server of this.#servers) server.close()
  }

  /** An answer that was lost is asked for once more: that changes nothing, and a cut connection is soon back. */
  #item(key: string, asking: Asking): Promise<MemcachedItem | undefined> {
    const at = this.#ring.of(key)
    const ask = (): Promise<Reply> => metaRequest(this.#sender(at), `mg ${key} v c`, asking)
    const again = (error: unknown): Promise<Reply> => {
      if (!(error instanceof AnswerLost)) throw error
      return ask()
    }
    return ask()
      .catch(again)
      .then((answer) => this.#found(at, answer))
  }

  #found(at: number, answer: Reply): MemcachedItem | undefined {
    if (answer.status === 'EN') return undefined
    const cas = flag(answer, 'c')
    if (!answer.value || cas === undefined) throw refusal(this.#servers[at]!.name, answer)
    return { value: answer.value, cas: `${cas}/${answer.over}` }
  }

  #sender(at: number): Send {
    return (request) => {
      // When all of them are down it is rather us, so the marks are worth nothing.
      if (this.#servers.every(({ isDown }) => isDown)) {
        for (const server of this.#servers) server.forgetMark()
      }
      this.#servers[at]!.send(request)
    }
  }

  #checkSize(at: number, key: string, value: Uint8Array): void {
    const longest = this.#introductions[at]?.longestItem ?? Number.POSITIVE_INFINITY
    const size = value.byteLength + key.length + overhead
    if (size <= longest) return
    throw new ValueTooLarge(
      `${this.#servers[at]!.name} holds items of at most ${longest} bytes, and ${key} would take ${size}: ` +
        'start it with a greater -I',
    )
  }

  // ── whose copies the servers hold ─────────────────────────────────────────────────────────────────────────

  /** Looks at all servers once, before anything is read. Tried again after a failure. */
  async #prepared(): Promise<void> {
    if (this.#isClosed) throw new StoreClosed('the Memcached client was closed')
    this.#ready ??= this.#prepare()
    try {
      await this.#ready
    } finally {
      if (!this.#isReady) this.#ready = undefined
    }
  }

  async #prepare(): Promise<void> {
    const found = await Promise.all(
      this.#servers.map((_, i) => introduction(this.#sender(i), this.#stampKey, this.#ring.id)),
    )
    const changed = this.#servers.filter((_, i) => found[i]?.stamp === 'another')
    if (changed.length > 0) {
      if (!this.#flushes) throw listChanged(changed.map(({ name }) => name))
      await Promise.all(this.#servers.map((_, i) => flush(this.#sender(i))))
    }
    await Promise.all(this.#servers.map((_, i) => this.#stamp(i, this.#sender(i))))
    this.#isReady = true
  }

  /** Looks at a new connection's server: what was used by another list meanwhile must not be read. */
  async #admit(at: number, connection: Connection): Promise<void> {
    const send: Send = (request) => {
      connection.send(request)
    }
    const found = await introduction(send, this.#stampKey, this.#ring.id)
    this.#introductions[at] = found
    if (!this.#isReady || found.stamp === 'ours') return
    if (found.stamp === 'another') {
      if (!this.#flushes) throw listChanged([this.#servers[at]!.name])
      await flush(send)
    }
    await this.#stamp(at, send)
  }

  async #stamp(at: number, send: Send): Promise<void> {
    if (!(await stamp(send, this.#stampKey, this.#ring.id))) throw listChanged([this.#servers[at]!.name])
  }
}

function settingsOf(options: MemcachedClientOptions): ServerSettings {
  const { connections = 2, pipeline = 1_024, tls = false } = options
  checkCount(connections, 'connections')
  checkCount(pipeline, 'pipeline')
  return {
    connections,
    pipeline,
    timeout: positive(options.timeout ?? '1s', 'timeout'),
    connectTimeout: positive(options.connectTimeout ?? '1s', 'connectTimeout'),
    wait: positive(options.wait ?? '1s', 'wait'),
    idle: positive(options.idle ?? '1m', 'idle'),
    retry: positive(options.retry ?? '5s', 'retry'),
    tls: tls === false ? undefined : connectionOptions(tls === true ? {} : tls),
    clock: options.clock ?? systemClock,
  }
}

/** Node.js wants buffers, and lists that it may change. */
function connectionOptions({ ca = [], cert, key, ...rest }: TlsOptions): ConnectionOptions {
  const authorities = typeof ca === 'string' || ca instanceof Uint8Array ? [ca] : ca
  return {
    ...rest,
    ...(authorities.length > 0 ? { ca: authorities.map(pem) } : {}),
    ...(cert === undefined ? {} : { cert: pem(cert) }),
    ...(key === undefined ? {} : { key: pem(key) }),
  }
}

function pem(text: string | Uint8Array): string | Buffer {
  return typeof text === 'string' ? text : Buffer.from(text)
}

function positive(duration: Duration, name: string): number {
  const ms = milliseconds(duration, name)
  if (ms < 1) throw new InvalidOption(`${name} must be longer than 0`)
  return ms
}

function checkCount(count: number, name: string): void {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new InvalidOption(`${name} must be a whole number of at least 1, not ${count}`)
  }
}

/** The server's token, and the connection over which it came. @throws {TypeError} for one that we did not make. */
function tokenOf(cas: string): { readonly cas: string; readonly over: number } {
  const [, token, over] = /^(\d{1,20})\/(\d{1,16})$/.exec(cas) ?? []
  if (token === undefined) throw new TypeError('cas is the token of an item that was read')
  return { cas: token, over: Number(over) }
}

function checkedKey(key: string): string {
  if (!validKey.test(key)) {
    throw new InvalidKey(
      'a key of Memcached has 1 to 250 bytes of ASCII without spaces and control characters',
    )
  }
  return key
}

/** The server counts absolute seconds in 32 bits. What lives longer isn't dropped by it. */
function lifetime(expires: number): number {
  const furthest = 2 ** 31 - 1
  // Up to thirty days it would take the number for a duration, and 0 for ever: the past is second 1 of a day long gone.
  const thirtyDays = 60 * 60 * 24 * 30
  if (expires === 0 || expires > furthest) return 0
  return Math.max(Math.ceil(expires), thirtyDays + 1)
}

function refusal(name: string, { status, words }: Answer): Error {
  const message = [status, ...words].join(' ')
  if (message.includes('out of memory')) return new StoreFull(`${name} has no room: ${message}`)
  if (message.includes('too large')) return new ValueTooLarge(`${name}: ${message}`)
  return new StoreUnavailable(`${name} refused: ${message}`)
}
