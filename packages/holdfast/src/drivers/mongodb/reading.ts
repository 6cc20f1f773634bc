/** What reads records. Every page is one reply: no cursor is left open between pages. */

import type { Call, Counting, Listing, Page, Slice } from '../../store/contract.ts'
import {
  carries,
  isLive,
  isId,
  type Key,
  keyText,
  type Label,
  type StoredRecord,
} from '../../store/record.ts'
import {
  type Fields,
  idsOf,
  keyOf,
  labelsOf,
  projection,
  recordIfWhole,
  recordOf,
  slotsOf,
} from './layout.ts'
import { isCut, type Records } from './records.ts'

/** The most documents that one page looks at, where several labels have to match. */
const mostLookedAt = 1_000
/** How far each label is counted to find the rarest of several. */
const rareEnough = 200
/** The greatest number that a `$limit` is sure to take. */
const mostCounted = 2 ** 31 - 1

export class Reading {
  readonly #records: Records

  constructor(records: Records) {
    this.#records = records
  }

  async read(
    keys: readonly Key[],
    expired: boolean,
    call: Call,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    const found = new Map<string, StoredRecord>()
    let wanted = keys.map(keyText)
    while (wanted.length > 0) {
      const [only] = wanted
      const filter = { _id: wanted.length === 1 ? only : { $in: wanted } }
      const documents = await this.#records.find(
        { filter, limit: wanted.length, projection: projection(true) },
        call,
      )
      const records = documents.map((document) => recordOf(document))
      for (const record of records) found.set(keyText(record.key), record)
      wanted = isCut(records) ? wanted.filter((key) => !found.has(key)) : []
    }
    return keys.map((key) => {
      const record = found.get(keyText(key))
      return record && (expired || isLive(record, call.now)) ? record : undefined
    })
  }

  /** The work is bounded by the documents looked at, not by the matches. */
  async list(listing: Listing, call: Call): Promise<Page> {
    const { collection, labels, limit } = listing
    const filter = { _id: idsOf(listing) }
    if (labels.length > 1) return await this.#listSeveral(listing, filter, call)
    const [label] = labelsOf(collection, labels)
    // One more than is asked for tells whether there is more.
    const search = { ...filter, ...(label !== undefined && { labels: label }) }
    const documents = await this.#found(listing, search, limit + 1, listing.values, call)
    return this.#page(listing, documents.slice(0, limit), documents.length > limit, call)
  }

  async count({ collection, labels, atMost }: Counting, call: Call): Promise<number> {
    const ids = { $gt: `${collection}/`, $lt: `${collection}0` }
    const [rarest, ...others] = await this.#rarestFirst(collection, labels, call)
    const which = rarest === undefined ? { _id: ids } : { labels: { $all: [rarest, ...others] } }
    const filter = { ...which, expiresAt: { $gt: call.now } }
    const hint = rarest === undefined ? '_id_' : 'labels'
    return await this.#records.count(filter, hint, Math.min(atMost, mostCounted), call)
  }

  /** A slice is a range of the digests' first digits, so that ids of any make fall evenly. */
  async scan(slice: Slice, call: Call): Promise<Page> {
    const { limit, expired } = slice
    const documents = await this.#records.find(
      {
        filter: { slot: slotsOf(slice) },
        sort: { slot: 1 },
        hint: 'slot',
        limit: limit + 1,
        projection: { ...projection(true), slot: 1 },
      },
      call,
    )
    const shown = documents.slice(0, limit)
    const records = wholeOf(shown, true)
    const next = documents.length > limit || isCut(records) ? shown.at(-1)?.['slot'] : undefined
    const page = { records: records.filter((each) => expired || isLive(each, call.now)) }
    return typeof next === 'string' ? { ...page, next } : page
  }

  /**
   * Of several labels the rarest leads, on each page anew: any label's index gives the same ids in the same order. What
   * it finds is looked at without values first, so that a sparse intersection costs no more than a stated number.
   */
  async #listSeveral(listing: Listing, filter: Fields, call: Call): Promise<Page> {
    const { collection, labels, limit, values, expired } = listing
    const [rarest] = await this.#rarestFirst(collection, labels, call)
    const heads = await this.#found(listing, { ...filter, labels: rarest }, mostLookedAt, false, call)
    const hits = heads.filter((head) => {
      const record = recordIfWhole(head, false)
      return record && carries(record.labels, labels) && (expired || isLive(record, call.now))
    })
    const chosen = hits.slice(0, limit)
    const isMore = hits.length > limit || heads.length === mostLookedAt
    // Where all hits fit in, everything that was looked at is done with.
    const last = hits.length > limit ? chosen.at(-1) : heads.at(-1)
    if (!values || chosen.length === 0) return pageOf(wholeOf(chosen, false), isMore ? last : undefined)
    const ids = chosen.map(({ _id }) => _id)
    const whole = await this.#found(listing, { _id: { $in: ids } }, limit, true, call)
    const page = this.#page(listing, whole, false, call)
    return page.next === undefined ? pageOf(page.records, isMore ? last : undefined) : page
  }

  async #found(
    { reverse }: Listing,
    filter: Fields,
    limit: number,
    values: boolean,
    call: Call,
  ): Promise<readonly Fields[]> {
    const sort = { _id: reverse ? -1 : 1 }
    const search = { filter, sort, limit, projection: projection(values) }
    return await this.#records.find('labels' in filter ? { ...search, hint: 'labels' } : search, call)
  }

  #page(
    { labels, values, expired }: Listing,
    documents: readonly Fields[],
    isMore: boolean,
    call: Call,
  ): Page {
    const records = wholeOf(documents, values)
    const last = isMore || isCut(records) ? documents.at(-1) : undefined
    const matching = records.filter(
      (each) => carries(each.labels, labels) && (expired || isLive(each, call.now)),
    )
    return pageOf(matching, last)
  }

  async #rarestFirst(collection: string, labels: readonly Label[], call: Call): Promise<readonly string[]> {
    const stored = labelsOf(collection, labels)
    if (stored.length < 2) return stored
    const counted = await Promise.all(
      stored.map(async (label) => ({
        label,
        n: await this.#records.count({ labels: label }, 'labels', rareEnough, call),
      })),
    )
    return counted.toSorted((a, b) => a.n - b.n).map(({ label }) => label)
  }
}

function wholeOf(documents: readonly Fields[], values: boolean): readonly StoredRecord[] {
  return documents.flatMap((document) => recordIfWhole(document, values) ?? [])
}

/** The cursor of a listing is the id that it ended with. */
function pageOf(records: readonly StoredRecord[], last: Fields | undefined): Page {
  const id = keyOf(last?.['_id'])?.id
  return id !== undefined && isId(id) ? { records, next: id } : { records }
}
