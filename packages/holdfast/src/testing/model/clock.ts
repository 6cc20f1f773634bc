/** The model's clock: time stands still but for the steps that move it. */

import { type Clock, systemClock } from '../../clock.ts'

/** Pauses between sendings take no time on it, so that an answer belongs to one instant. */
export class StandingClock implements Clock {
  #now: number
  #elapsed = 0

  constructor(start: number) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  elapsed(): number {
    return this.#elapsed
  }

  /** Takes no time by `now`, but counts as elapsed, so that deadlines end. */
  async sleep(ms: number): Promise<void> {
    this.#elapsed += ms
  }

  /** Real time: a server that hangs must not hang the test. */
  timer(ms: number, callback: () => void): () => void {
    return systemClock.timer(ms, callback)
  }

  /** Sets the time, also back. */
  set(now: number): void {
    this.#elapsed += Math.max(0, now - this.#now)
    this.#now = now
  }
}
