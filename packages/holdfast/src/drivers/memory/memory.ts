/**
 * The memory that one or several stores share, and its bounds.
 *
 * When it is full, the expired go first, in each namespace the longest expired before the others. If that isn't enough, a
 * cache gives up what was not used for longest, and every other memory refuses the write with `StoreFull`.
 *
 * What ends sessions and tokens must not fail for want of room, so there is a reserve:
 * - a `replace` that doesn't grow its record, one with `expired`, and one that sets labels and expiry and leaves no
 *   more than 2 KiB (which is what burying looks like) is never refused: at most `maxBytes` + 2 KiB per record;
 * - the collection `marks` may use an eighth more records and bytes than `maxRecords` and `maxBytes`.
 */

import { InvalidOption, StoreFull } from '../../errors.ts'
import { isLive, type Key, type Label, type StoredRecord } from '../../store/record.ts'
import { type Entry, ownBytes, ownText } from './entry.ts'
import { Looks } from './looks.ts'
import { Recency } from './recency.ts'
import { Space } from './space.ts'

/** The bounds of a memory. */
export interface MemoryLimits {
  /** The most bytes, estimated: texts and values plus 320 a record and 120 a label. @default 268435456 (256 MiB) */
  readonly maxBytes?: number
  /** The most records, at most 14,000,000. @default 1000000 */
  readonly maxRecords?: number
  /** Full: drop what was not used for longest instead of refusing the write. Not for what must not be lost. @default false */
  readonly cache?: boolean
}

/** How much one write adds. */
export interface Demand {
  readonly bytes: number
  readonly records: number
  /** It may use the reserve. */
  readonly reserved: boolean
}

/** What a replacement changes. */
export interface Change {
  readonly version: string
  readonly value: Uint8Array
  readonly labels?: readonly Label[]
  readonly expiresAt: number
  readonly touchedAt: number
}

const defaultBytes = 256 * 1024 * 1024
const defaultRecords = 1_000_000
/** A `Map` holds 2^24 entries; the marks' reserve has to fit as well. */
const mostRecords = 14_000_000

export class Memory {
  readonly maxBytes: number
  readonly maxRecords: number
  readonly isCache: boolean
  readonly looks = new Looks()
  readonly #spaces = new Map<string, Space>()
  readonly #recency = new Recency()
  #bytes = 0
  #records = 0

  /** @throws {InvalidOption} */
  constructor({ maxBytes = defaultBytes, maxRecords = defaultRecords, cache = false }: MemoryLimits = {}) {
    this.maxBytes = checkedLimit('maxBytes', maxBytes, Number.MAX_SAFE_INTEGER / 2)
    this.maxRecords = checkedLimit('maxRecords', maxRecords, mostRecords)
    this.isCache = cache
  }

  /** How many records there are, the expired included. */
  get records(): number {
    return this.#records
  }

  /** The bytes in use, by the estimate that `maxBytes` bounds. */
  get bytes(): number {
    return this.#bytes
  }

  space(namespace: string): Space {
    let space = this.#spaces.get(namespace)
    if (!space) {
      space = new Space()
      this.#spaces.set(namespace, space)
    }
    return space
  }

  /** Notes that an entry was used, where that decides who stays. */
  use(entry: Entry): void {
    if (this.isCache) this.#recency.use(entry)
  }

  /** Adds a record whose key is not there. */
  add(space: Space, record: StoredRecord): void {
    const entry = space.shelfFor(record.key.collection).add(record)
    space.expiry.add(entry)
    this.#records++
    this.#bytes += entry.bytes
    this.use(entry)
  }

  change(entry: Entry, change: Change): void {
    this.#bytes -= entry.bytes
    entry.version = ownText(change.version)
    entry.value = ownBytes(change.value)
    if (change.labels) entry.shelf.relabel(entry, change.labels)
    this.#bytes += entry.bytes
    this.prolong(entry, change.expiresAt, change.touchedAt)
  }

  /** Moves the expiry, in whatever direction. */
  prolong(entry: Entry, expiresAt: number, touchedAt: number): void {
    entry.look?.forget()
    entry.touchedAt = touchedAt
    if (entry.expiresAt !== expiresAt) {
      entry.expiresAt = expiresAt
      entry.shelf.space.expiry.moved(entry)
    }
    this.use(entry)
  }

  delete(entry: Entry): void {
    entry.look?.leave()
    this.#records--
    this.#bytes -= entry.bytes
    entry.shelf.space.expiry.delete(entry)
    entry.shelf.delete(entry)
    this.#recency.delete(entry)
  }

  /**
   * Makes room for what is demanded, and answers whether anything had to be removed for it.
   *
   * @throws {StoreFull} when there is none; then only expired records were removed.
   */
  makeRoom(demand: Demand, now: number): boolean {
    if (this.#fits(demand)) return false
    const removed = new Map<Space, Key[]>()
    const remove = (entry: Entry): void => {
      const { space, collection } = entry.shelf
      const keys = removed.get(space) ?? []
      keys.push({ collection, id: entry.id })
      removed.set(space, keys)
      this.delete(entry)
    }
    for (const space of this.#spaces.values()) {
      for (let first = space.expiry.first; first && !isLive(first, now); first = space.expiry.first) {
        if (this.#fits(demand)) break
        remove(first)
      }
    }
    const couldFit = demand.bytes <= this.maxBytes && demand.records <= this.maxRecords
    while (this.isCache && couldFit && this.#recency.oldest && !this.#fits(demand))
      remove(this.#recency.oldest)
    for (const [space, keys] of removed) space.tell(keys)
    if (!this.#fits(demand)) throw this.#full(demand)
    return true
  }

  #fits({ bytes, records, reserved }: Demand): boolean {
    const share = reserved ? 9 / 8 : 1
    const roomForBytes = bytes <= 0 || this.#bytes + bytes <= this.maxBytes * share
    const roomForRecords = records <= 0 || this.#records + records <= this.maxRecords * share
    return roomForBytes && roomForRecords
  }

  #full(demand: Demand): StoreFull {
    return new StoreFull(
      `the memory store has no room for ${demand.records} records and ${demand.bytes} bytes more: it holds ` +
        `${this.#records} of ${this.maxRecords} records and ${this.#bytes} of ${this.maxBytes} bytes. ` +
        'Raise maxRecords or maxBytes, or use a store that keeps its records elsewhere',
    )
  }
}

function checkedLimit(name: string, value: number, most: number): number {
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new InvalidOption(`${name} must be a whole number from 1 to ${most}, not ${value}`)
  }
  return value
}
