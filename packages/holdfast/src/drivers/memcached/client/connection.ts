/**
 * One connection. Requests are sent as they come, without waiting for the answers to those before, and answered in
 * their order. Whatever goes wrong ends the connection, and tells each request whether it may have been carried out:
 * what was written may have been, what was not written was not.
 */

import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectSecure, type ConnectionOptions } from 'node:tls'
import type { Clock } from '../../../clock.ts'
import { AnswerLost, StoreUnavailable } from '../../../errors.ts'
import type { Address, Named } from './address.ts'
import { Answers, Unintelligible } from './answers.ts'
import type { Request } from './request.ts'

export interface ConnectionSettings {
  /** Milliseconds that connecting may take. */
  readonly connectTimeout: number
  /** Milliseconds that an answer may take. */
  readonly timeout: number
  /** TLS, and how. */
  readonly tls: ConnectionOptions | undefined
  readonly clock: Clock
}

/** Who is told what becomes of a connection. */
export interface ConnectionOwner {
  /** Fewer requests are under way than before. */
  freed(connection: Connection): void
  /** It is over. `silent`: the server stopped answering, rather than hung up. */
  ended(connection: Connection, cause: Error, silent: boolean): void
}

/** Bytes that are worth a write of their own. */
const enoughAtOnce = 64 * 1024

interface Sent {
  readonly request: Request
  readonly n: number
  /** When its answer is late, by the clock that never goes back. */
  readonly late: number
}

let made = 0

export class Connection {
  /** Tells it from all others of this process. */
  readonly id = ++made
  /** When it last had nothing under way, by the clock that never goes back. */
  idleSince: number
  readonly #name: string
  readonly #socket: Socket
  readonly #settings: ConnectionSettings
  readonly #owner: ConnectionOwner
  readonly #answers = new Answers()
  readonly #unsent: Request[] = []
  readonly #sent: Sent[] = []
  #count = 0
  #isFlushing = false
  #stopTimer: (() => void) | undefined
  #isOver = false

  private constructor(name: string, socket: Socket, settings: ConnectionSettings, owner: ConnectionOwner) {
    this.#name = name
    this.#socket = socket
    this.#settings = settings
    this.#owner = owner
    this.idleSince = settings.clock.elapsed()
    socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk)
    })
    socket.on('drain', () => {
      this.#flush(true)
    })
    socket.on('error', (error) => {
      this.#end(`the connection to ${name} broke: ${error.message}`, { cause: error })
    })
    socket.on('close', () => {
      this.#end(`${name} closed the connection`)
    })
  }

  /** Connects. @throws {StoreUnavailable} */
  static async open(
    { name, address }: Named,
    settings: ConnectionSettings,
    owner: ConnectionOwner,
  ): Promise<Connection> {
    return new Connection(name, await connected(name, address, settings), settings, owner)
  }

  /** How many requests wait to be sent or answered. */
  get underWay(): number {
    return this.#unsent.length + this.#sent.length
  }

  get isOver(): boolean {
    return this.#isOver
  }

  send(request: Request): void {
    if (this.#isOver) {
      request.fail(new StoreUnavailable(`the connection to ${this.#name} is closed`))
      return
    }
    this.#unsent.push(request)
    if (this.#isFlushing) return
    // Requests of one moment travel together.
    this.#isFlushing = true
    process.nextTick(() => {
      this.#flush(false)
    })
  }

  /** Ends it. What is under way is lost. */
  close(): void {
    this.#end(`the connection to ${this.#name} was closed`)
  }

  /** @param waited Requests had to wait for the server to read, so some may have been given up. */
  #flush(waited: boolean): void {
    this.#isFlushing = false
    while (!this.#isOver && this.#unsent.length > 0 && !this.#socket.writableNeedDrain) this.#write(waited)
    // A server that doesn't read is as silent as one that doesn't answer.
    this.#watch()
  }

  /** Writes some of the requests, in one piece. */
  #write(waited: boolean): void {
    const late = this.#settings.clock.elapsed() + this.#settings.timeout
    const parts: (string | Uint8Array)[] = []
    let size = 0
    let taken = 0
    while (taken < this.#unsent.length && size < enoughAtOnce) {
      const request = this.#unsent[taken++]!
      if (waited && request.asking.signal?.aborted) {
        request.fail(givenUp(request))
        continue
      }
      const n = this.#count++
      this.#sent.push({ request, n, late })
      const line = request.line(n)
      parts.push(line)
      size += line.length
      if (!request.value) continue
      parts.push(request.value, '\r\n')
      size += request.value.byteLength + 2
    }
    this.#unsent.splice(0, taken)
    this.#socket.write(joined(parts, size), 'latin1')
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return
    try {
      for (const answer of this.#answers.push(chunk)) {
        const first = this.#sent[0]
        if (answer.status === 'ERROR' || answer.status === 'CLIENT_ERROR') {
          throw new Unintelligible(`it did not understand: ${[answer.status, ...answer.words].join(' ')}`)
        }
        if (!first) throw new Unintelligible('it answered what nobody had asked')
        if (first.request.take(answer, first.n, this.id)) this.#sent.shift()
      }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      this.#end(`${this.#name} does not speak the protocol: ${why}`, { cause })
      return
    }
    if (this.underWay === 0) this.idleSince = this.#settings.clock.elapsed()
    this.#owner.freed(this)
  }

  /** One timer for all: the oldest request is late first. */
  #watch(): void {
    const first = this.#sent[0]
    if (this.#stopTimer || !first) return
    const remaining = Math.max(1, first.late - this.#settings.clock.elapsed())
    this.#stopTimer = this.#settings.clock.timer(remaining, () => {
      this.#stopTimer = undefined
      const oldest = this.#sent[0]
      if (oldest && oldest.late <= this.#settings.clock.elapsed()) {
        this.#end(`${this.#name} did not answer within ${this.#settings.timeout} ms`, {}, true)
      } else this.#watch()
    })
  }

  #end(why: string, details: { readonly cause?: unknown } = {}, silent = false): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stopTimer?.()
    this.#socket.destroy()
    const lost = new AnswerLost(why, details)
    const unsent = new StoreUnavailable(why, details)
    this.#owner.ended(this, unsent, silent)
    for (const { request } of this.#sent.splice(0)) request.fail(lost)
    for (const request of this.#unsent.splice(0)) request.fail(unsent)
  }
}

/** The parts as one: a text where all are, for one write costs much less than many. */
function joined(parts: readonly (string | Uint8Array)[], size: number): string | Buffer {
  if (!parts.some((part) => typeof part !== 'string')) return parts.join('')
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const part of parts) {
    if (typeof part === 'string') at += bytes.write(part, at, 'latin1')
    else {
      bytes.set(part, at)
      at += part.byteLength
    }
  }
  return bytes
}

/** Nothing was sent, so the caller's own reason is as good as any. */
export function givenUp(request: Request): Error {
  const reason: unknown = request.asking.signal?.reason
  return reason instanceof Error ? reason : new StoreUnavailable('given up before it was sent')
}

function connected(name: string, address: Address, settings: ConnectionSettings): Promise<Socket> {
  const { tls, connectTimeout, clock } = settings
  return new Promise((resolve, reject) => {
    const socket = tls ? connectSecure({ ...address, ...serverName(address), ...tls }) : connectPlain(address)
    socket.setNoDelay(true)
    const failed = (why: string, cause?: unknown): void => {
      socket.destroy()
      reject(new StoreUnavailable(`${name} cannot be reached: ${why}`, { cause }))
    }
    const stopTimer = clock.timer(connectTimeout, () => {
      failed(`no connection within ${connectTimeout} ms`)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      stopTimer()
      failed(error.code ?? error.message, error)
    })
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      stopTimer()
      socket.removeAllListeners('error')
      resolve(socket)
    })
  })
}

/** What the certificate is checked against. A name made of an IP address is not allowed. */
function serverName(address: Address): { readonly servername?: string } {
  return 'host' in address && !/^[\d.]+$|:/.test(address.host) ? { servername: address.host } : {}
}
