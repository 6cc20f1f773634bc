/** What two stores can be compared by without holding either in memory: how many records, and a digest of them all. */

import { createHash } from 'node:crypto'
import type { StoredRecord } from '../record.ts'

/** How many records there are, and what they add up to. */
export interface Tally {
  readonly records: number
  /** The sum of the records' SHA-256 modulo 2^256, in hexadecimal: equal in whatever order they were added. */
  readonly digest: string
}

const mask = (1n << 256n) - 1n

/** Adds records up. */
export class Adding {
  #records = 0
  #sum = 0n

  add(record: StoredRecord): void {
    this.#records++
    this.#sum = (this.#sum + BigInt(`0x${digestOf(record)}`)) & mask
  }

  get total(): Tally {
    return { records: this.#records, digest: this.#sum.toString(16).padStart(64, '0') }
  }
}

/** Everything of a record but its version, which each store draws anew. */
function digestOf({ key, labels, value, expiresAt, touchedAt }: StoredRecord): string {
  const head = JSON.stringify([key.collection, key.id, labels, expiresAt, touchedAt])
  return createHash('sha256').update(`${head}\n`).update(value).digest('hex')
}

/** Whether two records are the same in everything but their versions. */
export function isSame(a: StoredRecord, b: StoredRecord): boolean {
  return a.touchedAt === b.touchedAt && isSameContent(a, b)
}

/** As {@link isSame}, but the copy may have been used later: a replacement can't take that back. */
export function isSameContent(a: StoredRecord, b: StoredRecord): boolean {
  return (
    a.expiresAt === b.expiresAt &&
    a.labels.length === b.labels.length &&
    a.labels.every((label, i) => label === b.labels[i]) &&
    Buffer.compare(a.value, b.value) === 0
  )
}
