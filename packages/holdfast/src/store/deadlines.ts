/**
 * The deadlines of calls under way. All are equally long, so the call that was started first is late first, and one
 * timer serves them all: a timer for each would be a good part of what a call costs.
 */

import type { Clock } from '../clock.ts'

/** A call that has a deadline, in its place among the others: they are linked in the order in which they are late. */
export abstract class Timed {
  ends = 0
  before: Timed | undefined
  after: Timed | undefined

  /** Told once, when the deadline has passed before {@link Deadlines.end}. */
  abstract late(): void
}

export class Deadlines {
  readonly #clock: Clock
  readonly #length: number
  #first: Timed | undefined
  #last: Timed | undefined
  #cancel: (() => void) | undefined

  /** @param length Milliseconds that every call has. */
  constructor(clock: Clock, length: number) {
    this.#clock = clock
    this.#length = length
  }

  /** @param now By the clock that never goes back. */
  start(call: Timed, now: number): void {
    call.ends = now + this.#length
    call.before = this.#last
    if (this.#last) this.#last.after = call
    else this.#first = call
    this.#last = call
    if (!this.#cancel) this.#wait(this.#length)
  }

  /** Once for each call that was started. */
  end(call: Timed): void {
    if (call.before) call.before.after = call.after
    else this.#first = call.after
    if (call.after) call.after.before = call.before
    else this.#last = call.before
    if (this.#first) return
    this.#cancel?.()
    this.#cancel = undefined
  }

  #wait(ms: number): void {
    this.#cancel = this.#clock.timer(ms, () => {
      this.#cancel = undefined
      this.#tell()
    })
  }

  #tell(): void {
    const now = this.#clock.elapsed()
    while (this.#first && this.#first.ends <= now) this.#first.late()
    // Timers count whole milliseconds and may be early by a part of one.
    if (this.#first) this.#wait(Math.ceil(this.#first.ends - now))
  }
}
