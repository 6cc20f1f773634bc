/** Entries by expiry: a binary heap whose top expires first. Each entry knows its place, so any of them can move. */

import type { Entry } from './entry.ts'

export class Expiry {
  readonly #heap: Entry[] = []

  /** The entry that expires, or has expired, before all others. */
  get first(): Entry | undefined {
    return this.#heap[0]
  }

  add(entry: Entry): void {
    entry.place = this.#heap.push(entry) - 1
    this.#rise(entry)
  }

  delete(entry: Entry): void {
    const last = this.#heap.pop() as Entry
    if (last !== entry) {
      this.#put(last, entry.place)
      this.moved(last)
    }
    entry.place = -1
  }

  /** To be told after an entry's expiry was changed. */
  moved(entry: Entry): void {
    this.#rise(entry)
    this.#sink(entry)
  }

  #rise(entry: Entry): void {
    while (entry.place > 0) {
      const parent = this.#heap[(entry.place - 1) >> 1] as Entry
      if (parent.expiresAt <= entry.expiresAt) return
      this.#swap(parent, entry)
    }
  }

  #sink(entry: Entry): void {
    for (;;) {
      const left = this.#heap[2 * entry.place + 1]
      if (!left) return
      const right = this.#heap[2 * entry.place + 2]
      const child = right && right.expiresAt < left.expiresAt ? right : left
      if (child.expiresAt >= entry.expiresAt) return
      this.#swap(entry, child)
    }
  }

  #swap(upper: Entry, lower: Entry): void {
    const place = upper.place
    this.#put(upper, lower.place)
    this.#put(lower, place)
  }

  #put(entry: Entry, place: number): void {
    this.#heap[place] = entry
    entry.place = place
  }
}
