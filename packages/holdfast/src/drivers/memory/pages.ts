/** Listings, counts and scans: walks through a namespace that look at a bounded number of entries per page. */

import { hash } from 'node:crypto'
import { InvalidCursor } from '../../errors.ts'
import type { Counting, Listing, Page, Slice } from '../../store/contract.ts'
import { carries, isId, isLive, keyText, type StoredRecord } from '../../store/record.ts'
import { type Entry, recordOf } from './entry.ts'
import type { Shelf } from './shelf.ts'
import type { Space } from './space.ts'

/** The most entries that one page looks at, so that no page holds the process up for long. */
const mostLooks = 5_000

/** One page of a listing. Its cursor is the id that was looked at last. */
export function listPage(space: Space, listing: Listing, now: number): Page {
  const { collection, labels, after, limit, values, reverse, expired } = listing
  if (after !== undefined && !isId(after)) throw new InvalidCursor('this is no cursor of a listing in memory')
  const records: StoredRecord[] = []
  let looks = 0
  let last: string | undefined
  for (const entry of space.shelf(collection)?.candidates(labels, { after, reverse }) ?? []) {
    // Only here is it known that there is more to look at.
    if (last !== undefined && (records.length === limit || looks === mostLooks))
      return { records, next: last }
    looks++
    last = entry.id
    if (carries(entry.labels, labels) && (expired || isLive(entry, now)))
      records.push(recordOf(entry, values))
  }
  return { records }
}

/** How many live records carry the labels, counted up to `atMost`. */
export function countEntries(space: Space, { collection, labels, atMost }: Counting, now: number): number {
  let found = 0
  for (const entry of space.shelf(collection)?.candidates(labels) ?? []) {
    if (isLive(entry, now) && carries(entry.labels, labels) && ++found === atMost) break
  }
  return found
}

/** One page of a slice, in order of collections and ids. Its cursor is the key that was looked at last. */
export function scanPage(space: Space, slice: Slice, now: number): Page {
  const start = parseScanCursor(slice.after)
  const records: StoredRecord[] = []
  let looks = 0
  let last: Entry | undefined
  for (const entry of entriesFrom(space.shelvesFrom(start.collection), start)) {
    if (last && (records.length === slice.limit || looks === mostLooks))
      return { records, next: textOf(last) }
    looks++
    last = entry
    if (sliceOf(entry, slice.of) === slice.index && (slice.expired || isLive(entry, now))) {
      records.push(recordOf(entry))
    }
  }
  return { records }
}

function* entriesFrom(
  shelves: readonly Shelf[],
  { collection, id }: { readonly collection: string; readonly id?: string },
): Generator<Entry, undefined> {
  for (const shelf of shelves) {
    yield* shelf.candidates([], { after: shelf.collection === collection ? id : undefined })
  }
}

function parseScanCursor(after: string | undefined): { readonly collection: string; readonly id?: string } {
  if (after === undefined) return { collection: '' }
  const [collection, id, ...rest] = after.split('/')
  if (collection === undefined || id === undefined || !isId(id) || rest.length > 0) {
    throw new InvalidCursor('this is no cursor of a scan in memory')
  }
  return { collection, id }
}

/** The digest is drawn at the first scan and kept, so that creating records doesn't pay for it. */
function sliceOf(entry: Entry, of: number): number {
  if (entry.digest < 0) {
    entry.digest = Number.parseInt(hash('sha256', textOf(entry), 'hex').slice(0, 8), 16) >>> 1
  }
  return entry.digest % of
}

function textOf({ shelf, id }: Entry): string {
  return keyText({ collection: shelf.collection, id })
}
