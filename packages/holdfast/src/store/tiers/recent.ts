/**
 * Keys that were changed a short while ago: a cache between here and the truth may not know of it yet, so they are read
 * from the truth itself. Bounded: beyond that, every key counts as one of them for a while.
 */

import type { Clock } from '../../clock.ts'
import { type Key, keyText } from '../record.ts'

const mostKeys = 10_000

export class Recent {
  readonly #clock: Clock
  readonly #keep: number
  /** When each was changed, on the clock that never goes back; the oldest first. */
  readonly #keys = new Map<string, number>()
  #all = Number.NEGATIVE_INFINITY

  /** @param keep Milliseconds that a change counts as recent; 0: never. */
  constructor(clock: Clock, keep: number) {
    this.#clock = clock
    this.#keep = keep
  }

  add(keys: readonly Key[]): void {
    if (this.#keep === 0) return
    const now = this.#clock.elapsed()
    for (const key of keys) {
      const text = keyText(key)
      this.#keys.delete(text)
      this.#keys.set(text, now)
    }
    this.#tidy(now)
  }

  /** Any key may have been changed. */
  addAll(): void {
    this.#keys.clear()
    this.#all = this.#clock.elapsed()
  }

  has(key: Key): boolean {
    if (this.#keep === 0) return false
    const since = this.#clock.elapsed() - this.#keep
    return this.#all >= since || (this.#keys.get(keyText(key)) ?? Number.NEGATIVE_INFINITY) >= since
  }

  #tidy(now: number): void {
    for (const [text, at] of this.#keys) {
      if (at >= now - this.#keep && this.#keys.size <= mostKeys) return
      if (at >= now - this.#keep) this.#all = Math.max(this.#all, at)
      this.#keys.delete(text)
    }
  }
}
