/**
 * One record as it is kept in memory. Thousands of them must fit into little room, so the value is kept as a text
 * with one character for each byte: a header of 16 bytes instead of some 200 for an array of bytes, and both
 * directions copy, as the contract demands.
 */

import type { StoredRecord } from '../../store/record.ts'
import type { Look } from './looks.ts'
import type { Shelf } from './shelf.ts'

/** What a record takes besides its own texts: the object, its places in map, order and heap. Measured, rounded up. */
const bytesPerRecord = 320
/** What a label takes besides its text where no other record carries it. */
const bytesPerLabel = 120

const noLabels: readonly string[] = Object.freeze([])
const noValue = new Uint8Array(0)

export class Entry {
  readonly shelf: Shelf
  readonly id: string
  version: string
  /** Frozen, so that it can be handed out as it is. The texts are shared by all records that carry them. */
  labels: readonly string[] = noLabels
  value: string
  expiresAt: number
  touchedAt: number
  /** Where it stands in the heap of expiries. */
  place = -1
  /** 31 bits of the key's digest; negative as long as no scan has asked for it. */
  digest = -1
  /** What was made of it, where that is kept. */
  look: Look | undefined = undefined
  newer: Entry | undefined = undefined
  older: Entry | undefined = undefined

  constructor(shelf: Shelf, record: StoredRecord) {
    this.shelf = shelf
    this.id = ownText(record.key.id)
    this.version = ownText(record.version)
    this.value = ownBytes(record.value)
    this.expiresAt = record.expiresAt
    this.touchedAt = record.touchedAt
  }

  get bytes(): number {
    return bytesOf(this.id.length, this.value.length, this.labels)
  }
}

/** What a record counts for against `maxBytes`. */
export function bytesOf(idLength: number, valueLength: number, labels: readonly string[]): number {
  let bytes = bytesPerRecord + idLength + valueLength
  for (const label of labels) bytes += bytesPerLabel + label.length
  return bytes
}

/** The entry as a record of the caller's own. */
export function recordOf(entry: Entry, withValue = true): StoredRecord {
  return {
    key: { collection: entry.shelf.collection, id: entry.id },
    version: entry.version,
    labels: entry.labels,
    value: withValue ? Buffer.from(entry.value, 'latin1') : noValue,
    expiresAt: entry.expiresAt,
    touchedAt: entry.touchedAt,
  }
}

/**
 * A copy with memory of its own. A text cut out of a longer one keeps the whole alive: an id would keep the
 * credential, with its secret, or the request's cookie header.
 */
export function ownText(text: string): string {
  return Buffer.from(text).toString()
}

/** Bytes as a text of one character each. */
export function ownBytes(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.toString('latin1')
}
