/**
 * What was made of the records that are looked at again and again: kept as long as they stay as they are, for those
 * that came last. So a session that is in use is decoded once, and not at every request.
 */

import type { View } from '../../store/contract.ts'
import { type Entry, recordOf } from './entry.ts'

/** So many are kept, and none of a longer value: some megabytes in all, beside what `maxBytes` bounds. */
const mostLooks = 1_024
const longestValue = 4_096

/** A place for what was made of one entry. */
export class Look {
  entry: Entry | undefined
  view: View<unknown> | undefined
  seen: unknown

  /** The entry was changed. */
  forget(): void {
    this.view = undefined
    this.seen = undefined
  }

  /** The entry is no longer kept. */
  leave(): void {
    this.forget()
    if (this.entry) this.entry.look = undefined
    this.entry = undefined
  }
}

export class Looks {
  readonly #places: Look[] = []
  #next = 0

  /** What the view makes of the entry. */
  at<T>(entry: Entry, view: View<T>): T {
    const { look } = entry
    if (look?.view === view) return look.seen as T
    const seen = view(recordOf(entry))
    if (entry.value.length <= longestValue) {
      const place = look ?? this.#placeFor(entry)
      place.view = view
      place.seen = seen
    }
    return seen
  }

  /** The place that was given away longest ago, or a new one. */
  #placeFor(entry: Entry): Look {
    const place = (this.#places[this.#next] ??= new Look())
    this.#next = (this.#next + 1) % mostLooks
    place.leave()
    place.entry = entry
    entry.look = place
    return place
  }
}
