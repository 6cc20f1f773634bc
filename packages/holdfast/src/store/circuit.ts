/**
 * Leaves a store alone that is down. When nothing has succeeded for a while, calls are refused at once instead of
 * each waiting for its deadline, and after a pause one call tries the store: if it is answered all go on, otherwise the
 * pause is doubled. A cut connection, however many calls it fails, is no reason: it is often back at once.
 */

import type { Clock } from '../clock.ts'
import { AnswerLost, DeadlineExceeded, HoldfastError, PartialAnswer, StoreUnavailable } from '../errors.ts'

/** How a store's circuit is. */
export interface CircuitFigures {
  /** `closed`: calls go through. `open`: they are refused. `half-open`: one of them is trying the store. */
  readonly state: 'closed' | 'open' | 'half-open'
  /** How often it opened since the store was made. */
  readonly opened: number
  /** How many calls it refused. */
  readonly refused: number
}

/** So many failures in a row, with the first at least this long ago (in milliseconds), open it. */
const failuresToOpen = 5
const failingToOpen = 1_000
/** Milliseconds until the store is tried again: at first, and at most. */
const firstPause = 100
const longestPause = 2_000

export class Circuit {
  readonly #clock: Clock
  readonly #opens: boolean
  #failures = 0
  #failingSince = 0
  #pause = firstPause
  /** Until when calls are refused, while it is open. */
  #until: number | undefined
  #trying = false
  #opened = 0
  #refused = 0
  #cause: unknown

  /** @param opens false: it never does. */
  constructor(clock: Clock, opens: boolean) {
    this.#clock = clock
    this.#opens = opens
  }

  get figures(): CircuitFigures {
    const state = this.#until === undefined ? 'closed' : this.#trying ? 'half-open' : 'open'
    return { state, opened: this.#opened, refused: this.#refused }
  }

  /** Lets a call through, and answers whether it is the one that tries. @throws {StoreUnavailable} */
  admit(): boolean {
    if (this.#until === undefined) return false
    const wait = this.#until - this.#clock.elapsed()
    if (!this.#trying && wait <= 0) {
      this.#trying = true
      return true
    }
    this.#refused++
    const why = this.#cause instanceof Error ? this.#cause.message : String(this.#cause)
    const next = this.#trying
      ? 'it is being tried at this moment'
      : `it is tried again in ${Math.ceil(wait)} ms`
    throw new StoreUnavailable(`the store was not asked, because it is down (${why}); ${next}`, {
      cause: this.#cause,
    })
  }

  answered(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    this.#until = undefined
    this.#trying = false
    this.#pause = firstPause
    this.#cause = undefined
  }

  /**
   * @param error `undefined` where the caller gave up.
   * @param tried What `admit` answered for this call.
   */
  failed(error: unknown, tried: boolean): void {
    if (!isOutage(error)) {
      if (error instanceof HoldfastError && !(error instanceof PartialAnswer)) this.answered()
      // A call that was given up says nothing; another one may try.
      else if (tried) this.#trying = false
      return
    }
    const now = this.#clock.elapsed()
    if (this.#failures++ === 0) this.#failingSince = now
    if (this.#until === undefined) {
      if (!this.#opens || this.#failures < failuresToOpen || now - this.#failingSince < failingToOpen) return
      this.#opened++
    } else if (!tried) {
      return
    }
    this.#cause = error
    this.#trying = false
    this.#until = now + this.#pause
    this.#pause = Math.min(this.#pause * 2, longestPause)
  }
}

/** What the driver did not name is a store that could not answer. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof HoldfastError)) return error !== undefined
  return error instanceof StoreUnavailable || error instanceof AnswerLost || error instanceof DeadlineExceeded
}
