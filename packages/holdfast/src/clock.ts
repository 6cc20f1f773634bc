/**
 * The only place that reads the time. Everything else is given a clock, so that a test can move it.
 *
 * Instants are absolute, in whole milliseconds since 1970 UTC; durations are milliseconds.
 */

import { setTimeout as delay } from 'node:timers/promises'

/** Where the time comes from. `fakeClock` of `holdfast/testing` is one that tests can move. */
export interface Clock {
  /** Milliseconds since 1970 UTC, whole. */
  now(): number
  /** Milliseconds of a clock that never goes back, for measuring how long something took. */
  elapsed(): number
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when that aborts first. */
  sleep(ms: number, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Calls back once, after `ms` milliseconds, without keeping the process alive; the answer cancels it. */
  timer(ms: number, callback: () => void): () => void
}

/** The longest time that a timer of Node.js can wait: 2^31 − 1 ms, about 24.8 days. */
export const longestTimer = 2_147_483_647

/** The system's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  async sleep(ms, { signal } = {}) {
    try {
      await delay(Math.min(ms, longestTimer), undefined, signal ? { signal } : undefined)
    } catch (error) {
      // Node.js rejects with an error of its own that only carries the reason.
      throw signal?.aborted ? signal.reason : error
    }
  },
  timer(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, longestTimer))
    timer.unref()
    return () => {
      clearTimeout(timer)
    }
  },
}
