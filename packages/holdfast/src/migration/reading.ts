/** What all readers do alike: which ids are looked up, how a text becomes a session, what an outage is called. */

import { type Clock, systemClock } from '../clock.ts'
import { digestOf } from '../credentials/digest.ts'
import { milliseconds } from '../duration.ts'
import {
  DeadlineExceeded,
  HoldfastError,
  InvalidOption,
  StoreMisconfigured,
  StoreUnavailable,
} from '../errors.ts'
import { jsonCodec } from '../store/codec.ts'
import { type Instant, isLive, never } from '../store/record.ts'
import type { OldData, OldScan, OldSession, OldSessionsOptions } from './old-sessions.ts'

/** No cookie is longer, so no client can carry a longer id. */
const longestSid = 4096
const control = /[\u0000-\u001F\u007F]/

/** Whether a text could be an id. Clients send anything; what could not be an id is not looked up. */
export function isSid(text: unknown): text is string {
  return (
    typeof text === 'string' &&
    text.length > 0 &&
    text.length <= longestSid &&
    text.isWellFormed() &&
    !control.test(text)
  )
}

/** A session's content, before it is known when it ends. */
export interface Content {
  readonly data: OldData
  readonly cookie?: OldData
}

/** The common part of a reader. */
export class Reading {
  readonly description: string
  readonly #clock: Clock
  readonly #deadline: number
  readonly #onMalformed: NonNullable<OldSessionsOptions['onMalformed']>

  constructor(description: string, options: OldSessionsOptions) {
    this.description = description
    this.#clock = options.clock ?? systemClock
    this.#deadline = milliseconds(options.deadline ?? '5s', 'deadline')
    if (this.#deadline === 0) throw new InvalidOption('deadline must be longer than 0')
    this.#onMalformed = options.onMalformed ?? (() => undefined)
  }

  get now(): number {
    return this.#clock.now()
  }

  /** Parses what was stored; `undefined` for what is no session. @throws {StoreMisconfigured} when it is encrypted. */
  content(sid: string, text: string): Content | undefined {
    const stored = this.#parsed(sid, text)
    if (looksEncrypted(stored, text)) throw this.#encrypted('without what decrypts them')
    if (isObject(stored)) {
      const { cookie, ...data } = stored
      if (cookie === undefined) return { data }
      if (isObject(cookie)) return { data, cookie }
    }
    this.malformed(sid, 'it is not an object in JSON with a cookie')
    return undefined
  }

  /** The session, if it is live. */
  live(sid: string, content: Content | undefined, expiresAt: Instant): OldSession | undefined {
    if (!content) return undefined
    if (Number.isNaN(expiresAt)) {
      this.malformed(sid, 'it does not say when it ends')
      return undefined
    }
    const ends = expiresAt >= never ? never : Math.floor(expiresAt)
    return isLive({ expiresAt: ends }, this.now) ? { sid, ...content, expiresAt: ends } : undefined
  }

  /** Tells of what is no session. */
  malformed(sid: string, why: string): void {
    this.#onMalformed({ id: digestOf(sid), why })
  }

  /**
   * Tells of what could not be decrypted. Where it is encrypted the key is another one, for all of them.
   *
   * @throws {StoreMisconfigured}
   */
  undecrypted(sid: string, text: string, cause: unknown): void {
    if (looksEncrypted(this.#parsed(sid, text), text)) throw this.#encrypted('with this key', cause)
    this.malformed(sid, 'it is not encrypted')
  }

  #encrypted(how: string, cause?: unknown): StoreMisconfigured {
    const message = `the sessions of ${this.description} are encrypted: they can't be read ${how}`
    return new StoreMisconfigured(message, { cause })
  }

  /** Asks the old store. Whatever goes wrong is an outage, never an answer. */
  async asked<T>(ask: () => PromiseLike<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    const { promise: givenUp, reject } = Promise.withResolvers<never>()
    const cancel = this.#clock.timer(this.#deadline, () => {
      reject(new DeadlineExceeded(`${this.description} did not answer in ${this.#deadline} ms`))
    })
    const abort = (): void => {
      reject(signal?.reason as Error)
    }
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await Promise.race([attempt(ask), givenUp])
    } catch (error) {
      throw signal?.aborted ? error : this.#failure(error)
    } finally {
      cancel()
      signal?.removeEventListener('abort', abort)
    }
  }

  #failure(error: unknown): Error {
    if (error instanceof HoldfastError) return error
    const why = error instanceof Error && error.message ? `: ${error.message}` : ''
    return new StoreUnavailable(`${this.description} can't be asked${why}`, { cause: error })
  }

  #parsed(sid: string, text: string): unknown {
    try {
      // The codec keeps away what could reach a prototype.
      return jsonCodec.decode({ collection: 'sessions', id: digestOf(sid) }, Buffer.from(text))
    } catch {
      return undefined
    }
  }
}

/** How many of a page to ask for. @throws {InvalidOption} */
export function pageLimit({ limit = 200 }: OldScan): number {
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= 1_000) return limit
  throw new InvalidOption(`limit must be a whole number from 1 to 1000, not ${String(limit)}`)
}

/** Clients throw at once, too. */
async function attempt<T>(ask: () => PromiseLike<T>): Promise<T> {
  return await ask()
}

function looksEncrypted(stored: unknown, text: string): boolean {
  return isObject(stored) ? isEnvelope(stored) : stored === undefined && isCiphertext(text)
}

/** What encryption leaves, as text: bytes in base64 or in hexadecimal digits. */
function isCiphertext(text: string): boolean {
  return /^[A-Za-z0-9+/_-]{24,}={0,2}$/.test(text)
}

/** What kruptein leaves: a ciphertext beside what proves it. */
function isEnvelope(stored: OldData): boolean {
  return typeof stored['ct'] === 'string' && typeof stored['hmac'] === 'string' && !('cookie' in stored)
}

export function isObject(value: unknown): value is OldData {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
