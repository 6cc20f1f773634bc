/**
 * One server: its connections, and what is known of its health.
 *
 * Connections are opened when those that are open have much to do, up to a limit; the one used last is used first, so
 * that the surplus falls idle and is closed. When all are full, requests wait a while and then fail. A server that
 * can't be reached or stays silent is marked dead for a while that doubles, for all of its connections: its requests
 * fail at once, instead of each waiting for a timeout.
 */

import { HoldfastError, StoreClosed, StoreUnavailable } from '../../../errors.ts'
import type { Named } from './address.ts'
import { Connection, type ConnectionOwner, type ConnectionSettings, givenUp } from './connection.ts'
import { ConnectionGone, type Request } from './request.ts'

export interface ServerSettings extends ConnectionSettings {
  /** The most connections. */
  readonly connections: number
  /** The most requests under way on one connection. */
  readonly pipeline: number
  /** Milliseconds that a request may wait for a place. */
  readonly wait: number
  /** Milliseconds after which an idle connection is closed. */
  readonly idle: number
  /** Milliseconds of the longest mark. */
  readonly retry: number
}

/** How a server is, for metrics. */
export interface ServerHealth {
  readonly name: string
  /** `down`: could not be reached the last time; `unused`: not tried yet, or idle. */
  readonly state: 'up' | 'down' | 'unused'
  readonly connections: number
  readonly underWay: number
  /** Failures in a row. */
  readonly failures: number
}

interface Waiting {
  readonly request: Request
  readonly until: number
}

/** With fewer under way than this, another connection would gain nothing. */
const busy = 32
/** Milliseconds of the first mark. */
const firstRetry = 100

export class Server implements ConnectionOwner {
  readonly name: string
  readonly #named: Named
  readonly #settings: ServerSettings
  readonly #admit: (connection: Connection) => Promise<void>
  /** The one used last at the end. */
  readonly #open: Connection[] = []
  readonly #waiting: Waiting[] = []
  #opening = false
  #failures = 0
  #cause: Error | undefined
  #deadUntil = 0
  #restUntil = 0
  #stopTimer: (() => void) | undefined
  #isClosed = false

  /** @param admit Looks at a new connection before it is used. What it throws is told to those who wait for it. */
  constructor(named: Named, settings: ServerSettings, admit: (connection: Connection) => Promise<void>) {
    this.name = named.name
    this.#named = named
    this.#settings = settings
    this.#admit = admit
  }

  /** Milliseconds for which it is still marked dead. */
  get deadFor(): number {
    return Math.max(0, this.#deadUntil - this.#settings.clock.elapsed())
  }

  /** It failed the last time, marked or not. */
  get isDown(): boolean {
    return this.#failures > 0
  }

  forgetMark(): void {
    this.#deadUntil = 0
  }

  get health(): ServerHealth {
    const underWay = this.#open.reduce((sum, connection) => sum + connection.underWay, this.#waiting.length)
    const state = this.isDown ? 'down' : this.#open.length > 0 ? 'up' : 'unused'
    return { name: this.name, state, connections: this.#open.length, underWay, failures: this.#failures }
  }

  send(request: Request): void {
    if (this.#isClosed) {
      request.fail(new StoreClosed('the Memcached client was closed'))
      return
    }
    if (request.over !== undefined) {
      const same = this.#open.find(({ id }) => id === request.over)
      if (same) same.send(request)
      else request.fail(new ConnectionGone())
      return
    }
    const connection = this.#connection()
    if (connection) {
      connection.send(request)
      return
    }
    const { deadFor } = this
    if (deadFor > 0 && this.#open.length === 0) {
      request.fail(this.#marked(deadFor))
      return
    }
    this.#waiting.push({ request, until: this.#settings.clock.elapsed() + this.#settings.wait })
    this.#watch()
  }

  close(): void {
    this.#isClosed = true
    this.#stopTimer?.()
    for (const connection of [...this.#open]) connection.close()
    this.#failAll(new StoreClosed('the Memcached client was closed'))
  }

  freed(connection: Connection): void {
    // While it is being looked at, it is nobody's.
    if (!this.#open.includes(connection)) return
    this.#failures = 0
    this.#deadUntil = 0
    while (this.#waiting.length > 0 && connection.underWay < this.#settings.pipeline) {
      const { request } = this.#waiting.shift()!
      if (request.asking.signal?.aborted) request.fail(givenUp(request))
      else connection.send(request)
    }
  }

  ended(connection: Connection, cause: Error, silent: boolean): void {
    const at = this.#open.indexOf(connection)
    if (at < 0) return
    this.#open.splice(at, 1)
    if (silent) this.#mark(cause)
    if (this.#isClosed || this.#waiting.length === 0 || this.#open.length > 0) return
    // Those who wait get a connection of their own, or the reason why there is none.
    if (silent && !this.#opening) this.#failAll(cause)
    else this.#another()
  }

  /** The connection to use, if one has room; sees to it that there are enough of them. */
  #connection(): Connection | undefined {
    const open = this.#open
    let least: Connection | undefined
    for (let i = open.length - 1; i >= 0; i--) {
      const connection = open[i]!
      if (!least || connection.underWay < least.underWay) least = connection
      if (connection.underWay === 0) break
    }
    if (!least || least.underWay >= busy) this.#another()
    if (!least || least.underWay >= this.#settings.pipeline) return undefined
    if (least !== open.at(-1)) {
      open.splice(open.indexOf(least), 1)
      open.push(least)
    }
    this.#reap()
    return least
  }

  /** Opens one more connection, unless one is being opened, there are enough, or it failed a moment ago. */
  #another(): void {
    const { connections, clock } = this.#settings
    if (this.#opening || this.#open.length >= connections) return
    if (this.#open.length > 0 ? clock.elapsed() < this.#restUntil : this.deadFor > 0) return
    this.#opening = true
    this.#connect().then(
      (connection) => {
        this.#opening = false
        this.#open.push(connection)
        this.freed(connection)
      },
      (error: unknown) => {
        this.#opening = false
        this.#notOpened(error instanceof Error ? error : new StoreUnavailable(String(error)))
      },
    )
  }

  #notOpened(cause: Error): void {
    if (this.#open.length > 0) {
      // The server is there: it is only this connection that it didn't want.
      this.#restUntil = this.#settings.clock.elapsed() + firstRetry
      return
    }
    this.#mark(cause)
    this.#failAll(cause)
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#named, this.#settings, this)
    try {
      await this.#admit(connection)
      if (this.#isClosed || connection.isOver) throw new StoreUnavailable(`${this.name} hung up`)
      return connection
    } catch (error) {
      connection.close()
      throw definite(error)
    }
  }

  #mark(cause: Error): void {
    const doubled = firstRetry * 2 ** Math.min(this.#failures++, 20)
    this.#deadUntil = this.#settings.clock.elapsed() + Math.min(doubled, this.#settings.retry)
    this.#cause = cause
  }

  #marked(deadFor: number): Error {
    const why = this.#cause?.message ?? 'it failed'
    if (this.#cause instanceof HoldfastError && !(this.#cause instanceof StoreUnavailable)) return this.#cause
    return new StoreUnavailable(`${why}; it is tried again in ${Math.ceil(deadFor)} ms`, {
      cause: this.#cause,
    })
  }

  #failAll(error: Error): void {
    for (const { request } of this.#waiting.splice(0)) request.fail(error)
  }

  /** One timer for all that wait: the first came first. */
  #watch(): void {
    const first = this.#waiting[0]
    if (this.#stopTimer || !first) return
    const { clock, connections, wait } = this.#settings
    this.#stopTimer = clock.timer(Math.max(1, first.until - clock.elapsed()), () => {
      this.#stopTimer = undefined
      const now = clock.elapsed()
      while (this.#waiting[0] && this.#waiting[0].until <= now) {
        const why =
          this.#open.length === 0
            ? `${this.name} could not be connected to within ${wait} ms`
            : `all ${connections} connections to ${this.name} stayed busy for ${wait} ms`
        this.#waiting.shift()?.request.fail(new StoreUnavailable(why))
      }
      this.#watch()
    })
  }

  /** Closes what has been idle for long, the least used first. The one in use is never idle. */
  #reap(): void {
    const [oldest] = this.#open
    if (!oldest || this.#open.length === 1 || oldest.underWay > 0) return
    if (this.#settings.clock.elapsed() - oldest.idleSince > this.#settings.idle) oldest.close()
  }
}

/** While a connection is being looked at, nobody's request has been sent over it. */
function definite(error: unknown): Error {
  if (error instanceof HoldfastError && error.code !== 'HOLDFAST_ANSWER_LOST') return error
  const why = error instanceof Error ? error.message : String(error)
  return new StoreUnavailable(why, { cause: error })
}
