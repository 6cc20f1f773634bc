/** Pages of a partial listing: ids from the index, checked against the records, which are the truth. */

import { InvalidCursor } from '../../errors.ts'
import type { Call, Listing, Page } from '../../store/contract.ts'
import { carries, compareBytes, isId, isLive, type StoredRecord } from '../../store/record.ts'
import type { MemcachedClient } from './client/client.ts'
import type { Entry } from './index-entries.ts'
import { type LabelIndex, partOf, parts } from './label-index.ts'
import { type Layout, recordIfWhole } from './layout.ts'

/** The most records looked at for one page. */
const mostLooks = 1_000
/** The most parts of a whole collection looked at for one page. */
const mostParts = 16
const longestId = 120

/** Ids in the order of the listing, and where the search goes on when they are used up. */
interface Candidates {
  readonly ids: readonly string[]
  readonly next: string | undefined
}

export class Listings {
  readonly #client: MemcachedClient
  readonly #layout: Layout
  readonly #index: LabelIndex

  constructor(client: MemcachedClient, layout: Layout, index: LabelIndex) {
    this.#client = client
    this.#layout = layout
    this.#index = index
  }

  /** @throws {InvalidCursor} */
  async page(listing: Listing, call: Call): Promise<Page> {
    const { after } = listing
    if (after !== undefined && !isId(after)) throw new InvalidCursor('that is no cursor of this store')
    const { ids, next } = await (listing.labels.length > 0
      ? this.#labelled(listing, call)
      : this.#collected(listing, call))
    const records: StoredRecord[] = []
    let looks = 0
    while (looks < ids.length && looks < mostLooks && records.length < listing.limit) {
      const some = ids.slice(looks, Math.min(looks + listing.limit - records.length, mostLooks))
      records.push(...(await this.#matching(some, listing, call)))
      looks += some.length
    }
    const last = looks < ids.length ? ids[looks - 1] : next
    return last === undefined ? { records } : { records, next: last }
  }

  /** From the shortest index of the labels: what carries all of them is in it, if it is known at all. */
  async #labelled(listing: Listing, call: Call): Promise<Candidates> {
    const found = await this.#index.read(listing.collection, listing.labels, call)
    const shortest = found.reduce((least, each) => (each.length < least.length ? each : least))
    return { ids: following(shortest, listing), next: undefined }
  }

  /** From some parts of the collection, one after the other. */
  async #collected(listing: Listing, call: Call): Promise<Candidates> {
    const { after, reverse, collection } = listing
    const ordered = reverse ? parts.toReversed() : parts
    const start = after === undefined ? 0 : ordered.indexOf(partOf(after))
    const some = ordered.slice(start, start + mostParts)
    const found = await this.#index.read(collection, some, call)
    const isEnd = start + mostParts >= ordered.length
    return { ids: following(found.flat(), listing), next: isEnd ? undefined : edgeOf(some, reverse) }
  }

  async #matching(ids: readonly string[], listing: Listing, call: Call): Promise<readonly StoredRecord[]> {
    const { collection, labels, values, expired } = listing
    const keys = ids.map((id) => ({ collection, id }))
    const items = await this.#client.get(
      keys.map((key) => this.#layout.record(key)),
      call,
    )
    return keys.flatMap((key, i) => {
      const record = items[i] && recordIfWhole(key, items[i].value, values)
      const isWanted = record && carries(record.labels, labels) && (expired || isLive(record, call.now))
      return isWanted ? [record] : []
    })
  }
}

/** The ids behind the cursor, in order, each once. */
function following(entries: readonly Entry[], { after, reverse }: Listing): readonly string[] {
  const ids = [...new Set(entries.map(({ id }) => id))].sort(compareBytes)
  const ordered = reverse ? ids.reverse() : ids
  if (after === undefined) return ordered
  return ordered.filter((id) => (reverse ? compareBytes(id, after) < 0 : compareBytes(id, after) > 0))
}

/** The last id that any of the parts can hold. */
function edgeOf(some: readonly string[], reverse: boolean): string {
  const character = some.at(-1)!.slice(1)
  return reverse ? character : character.padEnd(longestId, '~')
}
