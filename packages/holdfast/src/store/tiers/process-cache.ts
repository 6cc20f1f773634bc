/**
 * What one process keeps of a store: records, and what was decoded of them, bounded by bytes. Full, it gives up what
 * was not used since it last looked for something to give up (the clock algorithm: a hit costs a flag, and no place in
 * a list). It knows nothing of freshness: whoever asks it decides whether its answer counts.
 */

import type { Instant, Key, Label, StoredRecord, Version } from '../record.ts'
import type { View } from '../contract.ts'

/** What an entry takes besides its id, value and labels, and what is decoded besides its JSON. Measured, rounded up. */
const bytesPerEntry = 420
const bytesPerDecoded = 320
/** Texts take as much decoded as in JSON, small numbers and flags several times as much. */
const decodedFactor = 2

/** That there is no record counts as known until then. */
const noExpiry = Number.POSITIVE_INFINITY

const noVersion = ''

/** One key's entry: its record, what was made of that, or that there is none. */
export class Cached {
  readonly collection: string
  readonly id: string
  /** When its reading began, on the clock that never goes back: in whole milliseconds, which take no memory of their own. */
  readonly readAt: number
  readonly expiresAt: Instant
  readonly version: Version
  bytes: number
  /** Used since the hand last passed by. */
  used = true
  before: Cached = this
  after: Cached = this
  readonly #labels: readonly Label[]
  readonly #touchedAt: number
  /** One character for each byte: a header of 16 bytes instead of some 200. Not kept beside what was made of it. */
  #value: string | undefined
  #view: View<unknown> | undefined
  #seen: unknown

  constructor(key: Key, record: StoredRecord | undefined, readAt: number) {
    // Copies: an id that was cut out of a cookie would keep the whole of it, with its secret, alive.
    this.collection = key.collection
    this.id = Buffer.from(key.id).toString()
    this.readAt = Math.floor(readAt)
    this.expiresAt = record?.expiresAt ?? noExpiry
    this.version = record?.version ?? noVersion
    this.#labels = Object.freeze([...(record?.labels ?? [])])
    this.#touchedAt = record?.touchedAt ?? 0
    this.#value = record && latin1(record.value)
    this.bytes = bytesPerEntry + this.id.length + (this.#value?.length ?? 0)
    for (const each of this.#labels) this.bytes += each.length
  }

  /** Whether there is a record. */
  get isThere(): boolean {
    return this.version !== noVersion
  }

  /** A copy of the record; `undefined` where there is none, or where only what was made of it is kept. */
  get record(): StoredRecord | undefined {
    if (this.#value === undefined) return undefined
    return {
      key: { collection: this.collection, id: this.id },
      version: this.version,
      labels: this.#labels,
      value: Buffer.from(this.#value, 'latin1'),
      expiresAt: this.expiresAt,
      touchedAt: this.#touchedAt,
    }
  }

  /** What the view made of the record, if it is kept. */
  seen(view: View<unknown>): unknown {
    return this.#view === view ? this.#seen : undefined
  }

  /** Whether the record as it was is kept, and not only what was made of it. */
  get hasValue(): boolean {
    return this.#value !== undefined
  }

  /** Makes it of the record and keeps it instead of the record's value; answers by how many bytes that differs. */
  look<T>(view: View<T>): { readonly seen: T; readonly grown: number } {
    const record = this.record!
    const seen = view(record)
    const grown = bytesPerDecoded + (decodedFactor - 1) * record.value.byteLength
    this.#view = view
    this.#seen = seen
    this.#value = undefined
    this.bytes += grown
    return { seen, grown }
  }
}

export class ProcessCache {
  readonly #maxBytes: number
  readonly #collections = new Map<string, Map<string, Cached>>()
  /** Where the hand is: what it meets next was added, or passed by, longest ago. */
  #hand: Cached | undefined
  #bytes = 0
  #entries = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get entries(): number {
    return this.#entries
  }

  get({ collection, id }: Key): Cached | undefined {
    const entry = this.#collections.get(collection)?.get(id)
    if (entry) entry.used = true
    return entry
  }

  /** Keeps a record, or that there is none, in place of what was known. */
  set(key: Key, record: StoredRecord | undefined, readAt: number): Cached {
    this.delete(key)
    const entry = new Cached(key, record, readAt)
    let collection = this.#collections.get(entry.collection)
    if (!collection) this.#collections.set(entry.collection, (collection = new Map<string, Cached>()))
    collection.set(entry.id, entry)
    this.#link(entry)
    this.#entries++
    this.grow(entry.bytes)
    return entry
  }

  delete({ collection, id }: Key): void {
    const entry = this.#collections.get(collection)?.get(id)
    if (entry) this.#remove(entry)
  }

  clear(): void {
    this.#collections.clear()
    this.#hand = undefined
    this.#bytes = 0
    this.#entries = 0
  }

  /** Counts bytes that an entry took more, and gives up others for them. */
  grow(bytes: number): void {
    this.#bytes += bytes
    while (this.#bytes > this.#maxBytes && this.#hand) {
      const met = this.#hand
      this.#hand = met.after
      if (met.used) met.used = false
      else this.#remove(met)
    }
  }

  /** Puts the entry where the hand comes last. */
  #link(entry: Cached): void {
    const hand = (this.#hand ??= entry)
    entry.after = hand
    entry.before = hand.before
    hand.before.after = entry
    hand.before = entry
  }

  #remove(entry: Cached): void {
    const collection = this.#collections.get(entry.collection)
    collection?.delete(entry.id)
    if (collection?.size === 0) this.#collections.delete(entry.collection)
    if (this.#hand === entry) this.#hand = entry.after === entry ? undefined : entry.after
    entry.before.after = entry.after
    entry.after.before = entry.before
    this.#bytes -= entry.bytes
    this.#entries--
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
