/** A clock that tests move. Nothing happens on it by itself. */

import type { Clock } from '../clock.ts'

/** Settings of a fake clock. */
export interface FakeClockOptions {
  /** Where it begins, milliseconds since 1970 UTC. @default 2026-01-01T00:00:00Z */
  readonly start?: number
  /**
   * `'manual'`: a sleep ends when the clock is advanced past it. `'instant'`: it ends on the next macrotask, and
   * moves the clock on by its length. @default 'manual'
   */
  readonly sleeps?: 'manual' | 'instant'
}

/** A clock that tests move. */
export interface FakeClock extends Clock {
  /**
   * Moves on by whole milliseconds. Timers and sleeps that fall due meanwhile fire in the order of their times, each
   * while the clock shows its time. What a resumed sleeper does next happens after this call.
   */
  advance(ms: number): void
  /**
   * Sets the wall clock, also back, as an operator or a time server would. `elapsed`, timers and sleeps don't notice.
   */
  set(instant: number): void
}

interface Alarm {
  readonly at: number
  readonly ring: () => void
}

/** Makes a fake clock. @throws {TypeError} when its start is not whole milliseconds. */
export function fakeClock({
  start = Date.UTC(2026, 0, 1),
  sleeps = 'manual',
}: FakeClockOptions = {}): FakeClock {
  return new MovedClock(whole(start), sleeps)
}

class MovedClock implements FakeClock {
  readonly #sleeps: 'manual' | 'instant'
  /** In the order in which they are due; among equals the one set first comes first. */
  readonly #alarms: Alarm[] = []
  #elapsed = 0
  /** The wall clock minus the elapsed time. */
  #offset: number

  constructor(start: number, sleeps: 'manual' | 'instant') {
    this.#offset = start
    this.#sleeps = sleeps
  }

  now(): number {
    return this.#offset + this.#elapsed
  }

  elapsed(): number {
    return this.#elapsed
  }

  async sleep(ms: number, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    const wake = (): void => resolve(undefined)
    const cancel = this.#sleeps === 'instant' ? this.#passBy(ms, wake) : this.timer(ms, wake)
    const abort = (): void => {
      cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  timer(ms: number, callback: () => void): () => void {
    const alarm: Alarm = { at: this.#elapsed + Math.max(0, ms), ring: callback }
    const later = this.#alarms.findIndex(({ at }) => at > alarm.at)
    this.#alarms.splice(later < 0 ? this.#alarms.length : later, 0, alarm)
    return () => {
      const position = this.#alarms.indexOf(alarm)
      if (position >= 0) this.#alarms.splice(position, 1)
    }
  }

  advance(ms: number): void {
    const until = this.#elapsed + whole(ms)
    for (let next = this.#alarms[0]; next && next.at <= until; next = this.#alarms[0]) {
      this.#alarms.shift()
      // A timer whose callback advances the clock itself must not be set back by this call.
      this.#elapsed = Math.max(this.#elapsed, next.at)
      next.ring()
    }
    this.#elapsed = Math.max(this.#elapsed, until)
  }

  set(instant: number): void {
    this.#offset = whole(instant) - this.#elapsed
  }

  #passBy(ms: number, wake: () => void): () => void {
    const immediate = setImmediate(() => {
      this.advance(Math.ceil(Math.max(0, ms)))
      wake()
    })
    return () => {
      clearImmediate(immediate)
    }
  }
}

function whole(ms: number): number {
  if (!Number.isSafeInteger(ms) || ms < 0)
    throw new TypeError(`a fake clock takes whole milliseconds, not ${ms}`)
  return ms
}
