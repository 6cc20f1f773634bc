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
      const ids = await this.#ids(listing, label, last, count)
      found.push(...(await this.#matching(listing, label, ids, now)))
      if (ids.length < count) return { records: found }
      last = ids.at(-1) ?? last
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
    await Promise.all([...labels, partOf(key.id)].map((label) => this.#mend(key.collection, label, [key.id])))
  }

  async #start({ collection, labels }: Listing): Promise<Position> {
    if (labels.length < 2) return { label: 0, after: '' }
    const sizes = await Promise.all(labels.map((label) => this.#index.size(collection, label)))
    return { label: sizes.indexOf(Math.min(...sizes)), after: '' }
  }

  /** The next ids of the label, or of the collection's parts in turn. Fewer than `count` means the end. */
  async #ids(listing: Listing, label: number, after: string, count: number): Promise<readonly string[]> {
    const { collection, labels, reverse } = listing
    const chosen = labels[label]
    if (chosen !== undefined) return await this.#index.page(collection, chosen, { after, count, reverse })
    const found: string[] = []
    const left = partsFrom(after, reverse)
    // Most often the part at hand is enough; in a small collection most parts are empty, so go on in growing groups.
    for (let group = 1; left.length > 0 && found.length < count; group *= 4) {
      const range = { after, count: count - found.length, reverse }
      const pages = left.splice(0, group).map((part) => this.#index.page(collection, part, range))
      found.push(...(await Promise.all(pages)).flat())
    }
    return found.slice(0, count)
  }

  /** The records of the ids that are wanted. What has an entry that it shouldn't have is looked into by the way. */
  async #matching(
    listing: Listing,
    label: number,
    ids: readonly string[],
    now: number,
  ): Promise<readonly StoredRecord[]> {
    const { collection, labels, values, expired } = listing
    const chosen = labels[label]
    const keys = ids.map((id) => ({ collection, id }))
    const records = await this.#records.page(keys, values)
    const wrong = ids.filter((id, i) => !belongs(records[i], chosen ?? partOf(id)))
    await this.#mendAll(collection, chosen, wrong)
    return records.filter((record): record is StoredRecord => {
      return record !== undefined && carries(record.labels, labels) && (expired || isLive(record, now))
    })
  }

  /** Mends what a listing stumbled over. A repair that fails harms nobody and is done by the next one who passes. */
  async #mendAll(collection: string, label: Label | undefined, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const byLabel = new Map<Label, string[]>()
    for (const id of ids) {
      const which = label ?? partOf(id)
      byLabel.set(which, [...(byLabel.get(which) ?? []), id])
    }
    await Promise.allSettled([...byLabel].map(([which, found]) => this.#mend(collection, which, found)))
  }

  /** Takes out entries whose records, read after their promises had lapsed, don't carry the label. */
  async #mend(collection: string, label: Label, ids: readonly string[]): Promise<void> {
    const entries = await this.#index.entries(collection, label, ids)
    const doubted = entries.filter((entry) => entry?.lapsed === true) as readonly Entry[]
    if (doubted.length === 0) return
    // Read after the stamps, never before: the whole protocol hangs on this order.
    const records = await this.#records.page(
      doubted.map(({ id }) => ({ collection, id })),
      false,
    )
    const wrong = doubted.filter((_, i) => !belongs(records[i], label))
    await Promise.allSettled(wrong.map((entry) => this.#index.drop(collection, label, entry)))
  }
}

/** Whether an entry under the label is right. */
function belongs(record: StoredRecord | undefined, label: Label): boolean {
  return record !== undefined && (label.startsWith('*') || record.labels.includes(label))
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
