/**
 * Pages of one label, filtered by the records' own labels, which are the truth.
 *
 * Of several labels the one with the fewest entries is paged through. A whole collection is paged through part by
 * part, in byte order. One call looks at no more than four times `limit` entries.
 */

import { InvalidCursor } from '../../errors.ts'
import type { Counting, Cursor, Listing, Page, Swept } from '../../store/contract.ts'
import { carries, isLive, type Label, type StoredRecord } from '../../store/record.ts'
import type { Entry, LabelIndex } from './label-index.ts'
import { partOf, parts } from './layout.ts'
import type { Records } from './records.ts'

/** How often one call goes on when entries turned out to point to nothing. */
const mostRounds = 4
/** How many records are counted in one go. */
const countPage = 500

/** Where a listing is: which of its labels is paged through, and the last id that was looked at. */
interface Position {
  readonly label: number
  readonly after: string
}

export class Listings {
  readonly #index: LabelIndex
  readonly #records: Records

  constructor(index: LabelIndex, records: Records) {
    this.#index = index
    this.#records = records
  }

  async list(listing: Listing, now: number): Promise<Page> {
    const { label, after } = listing.after === undefined ? await this.#start(listing) : parsed(listing)
    const found: StoredRecord[] = []
    let last = after
    for (let round = 0; round < mostRounds && found.length < listing.limit; round++) {
      const count = listing.limit - found.length
      const entries = await this.#entries(listing, label, last, count)
      found.push(...(await this.#matching(listing, entries, now)))
      if (entries.length < count) return { records: found }
      last = entries.at(-1)?.id ?? last
    }
    return { records: found, next: `${label}.${last}` }
  }

  /** Counts by listing without values, so what it costs grows with the entries of the rarest label. */
  async count({ collection, labels, atMost }: Counting, now: number): Promise<number> {
    let count = 0
    let after: Cursor | undefined
    do {
      const limit = Math.min(countPage, atMost - count)
      const listing = { collection, labels, limit, values: false, reverse: false, expired: false }
      const page = await this.list(after === undefined ? listing : { ...listing, after }, now)
      count += page.records.length
      after = page.next
    } while (after !== undefined && count < atMost)
    return count
  }

  /**
   * Repairs what a removed record left behind. Best effort: what is still under promise, or can't be reached, stays
   * for the next listing.
   */
  async forget({ key, labels }: Swept): Promise<void> {
    const { collection, id } = key
    const entries = await Promise.all(
      [...labels, partOf(id)].map((label) => this.#index.entry(collection, label, id)),
    )
    const doubted = entries.filter((entry) => entry?.lapsed === true) as readonly Entry[]
    if (doubted.length === 0) return
    // Read after the stamps, never before: the whole protocol hangs on this order.
    const [record] = await this.#records.page([key], false)
    await this.#mend(
      collection,
      doubted.map((entry) => ({ entry, record })),
    )
  }

  async #start({ collection, labels }: Listing): Promise<Position> {
    if (labels.length < 2) return { label: 0, after: '' }
    const sizes = await Promise.all(labels.map((label) => this.#index.size(collection, label)))
    return { label: sizes.indexOf(Math.min(...sizes)), after: '' }
  }

  /** The next entries of the label, or of the collection's parts in turn. Fewer than `count` means the end. */
  async #entries(listing: Listing, label: number, after: string, count: number): Promise<readonly Entry[]> {
    const { collection, labels, reverse } = listing
    const chosen = labels[label]
    if (chosen !== undefined) return await this.#index.page(collection, chosen, { after, count, reverse })
    const found: Entry[] = []
    const left = partsFrom(after, reverse)
    // Most often the part at hand is enough; in a small collection most parts are empty, so go on in growing groups.
    for (let group = 1; left.length > 0 && found.length < count; group *= 4) {
      const range = { after, count: count - found.length, reverse }
      const pages = left.splice(0, group).map((part) => this.#index.page(collection, part, range))
      found.push(...(await Promise.all(pages)).flat())
    }
    return found.slice(0, count)
  }

  async #matching(
    listing: Listing,
    entries: readonly Entry[],
    now: number,
  ): Promise<readonly StoredRecord[]> {
    const { collection, labels, values, expired } = listing
    const keys = entries.map(({ id }) => ({ collection, id }))
    const records = await this.#records.page(keys, values)
    await this.#mend(
      collection,
      entries.map((entry, i) => ({ entry, record: records[i] })),
    )
    return records.filter((record): record is StoredRecord => {
      return record !== undefined && carries(record.labels, labels) && (expired || isLive(record, now))
    })
  }

  /** Takes out entries whose records were read after their promises had lapsed, and don't carry the label. */
  async #mend(
    collection: string,
    read: readonly { readonly entry: Entry; readonly record: StoredRecord | undefined }[],
  ): Promise<void> {
    const wrong = read.filter(({ entry, record }) => {
      return entry.lapsed && !(record && (entry.label.startsWith('*') || record.labels.includes(entry.label)))
    })
    // A repair that fails harms nobody and is done by the next one who passes.
    await Promise.allSettled(wrong.map(({ entry }) => this.#index.drop(collection, entry)))
  }
}

function partsFrom(after: string, reverse: boolean): Label[] {
  const ordered = reverse ? [...parts].reverse() : [...parts]
  return after === '' ? ordered : ordered.slice(ordered.indexOf(partOf(after)))
}

function parsed({ after = '', labels }: Listing): Position {
  const match = /^(\d{1,2})\.([A-Za-z0-9_~-]{1,120})$/.exec(after)
  const label = Number(match?.[1])
  if (!match?.[2] || label >= Math.max(labels.length, 1))
    throw new InvalidCursor('not a cursor of this listing')
  return { label, after: match[2] }
}
