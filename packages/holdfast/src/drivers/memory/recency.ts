/** Entries by last use: a list through the entries themselves, so that using one costs the same however many there are. */

import type { Entry } from './entry.ts'

export class Recency {
  #newest: Entry | undefined
  #oldest: Entry | undefined

  get oldest(): Entry | undefined {
    return this.#oldest
  }

  /** Makes the entry the newest, whether or not it was there. */
  use(entry: Entry): void {
    if (this.#newest === entry) return
    this.delete(entry)
    entry.older = this.#newest
    if (this.#newest) this.#newest.newer = entry
    this.#newest = entry
    this.#oldest ??= entry
  }

  delete(entry: Entry): void {
    const { newer, older } = entry
    if (newer) newer.older = older
    else if (this.#newest === entry) this.#newest = older
    if (older) older.newer = newer
    else if (this.#oldest === entry) this.#oldest = newer
    entry.newer = undefined
    entry.older = undefined
  }
}
