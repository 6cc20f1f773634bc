/** Names and shapes of what is kept in Memcached. */

import { hash } from 'node:crypto'
import { RecordCorrupt } from '../../errors.ts'
import { type Key, keyText, type Label, never, type StoredRecord } from '../../store/record.ts'

/** The first word of a record. Another layout will have another. */
const format = 'holdfast1'

/** The most bytes that a record takes besides its value: two lines, of which one holds 16 labels of full length. */
export const mostBytesBesideValue = 4_096

export class Layout {
  readonly #namespace: string
  readonly #margin: number

  /** @param margin in milliseconds */
  constructor(namespace: string, margin: number) {
    this.#namespace = namespace
    this.#margin = margin
  }

  /** The name of a record: at most 186 of the 250 bytes that Memcached allows. */
  record(key: Key): string {
    return `${this.#namespace}:${keyText(key)}`
  }

  /** The name of a label's index. Labels are any Unicode and names are not, so it is found by the label's digest. */
  index(collection: string, label: Label): string {
    return `${this.#namespace}:${collection}:${hash('sha256', label, 'base64url')}`
  }

  /**
   * When the server drops what expires at `expiresAt`, in seconds since 1970: twice the margin later, and one second more,
   * because it counts whole seconds from an instant of its own; 0 is never.
   */
  dropsAt(expiresAt: number): number {
    return expiresAt === never ? 0 : Math.ceil((expiresAt + 2 * this.#margin) / 1_000) + 1
  }
}

/**
 * The bytes of a record: a line of words, a line of labels, which may hold line feeds and are therefore counted, and
 * the value.
 */
export function bytesOf(record: Omit<StoredRecord, 'key'>): Uint8Array {
  const { version, labels, value, expiresAt, touchedAt } = record
  const joined = labels.join('\0')
  const head = `${format} ${version} ${expiresAt} ${touchedAt} ${Buffer.byteLength(joined)}\n${joined}`
  const length = Buffer.byteLength(head)
  const bytes = Buffer.allocUnsafeSlow(length + value.byteLength)
  bytes.write(head)
  bytes.set(value, length)
  return bytes
}

/**
 * The record of some bytes, which it keeps.
 *
 * @throws {RecordCorrupt} A missing expiry is not "for ever".
 */
export function recordOf(key: Key, bytes: Uint8Array, values = true): StoredRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = buffer.indexOf('\n')
  const [found, version = '', expiry = '', touched = '', size = '', ...rest] = buffer
    .toString('latin1', 0, Math.max(0, end))
    .split(' ')
  const [expiresAt, touchedAt, labelBytes] = [expiry, touched, size].map(whole) as [number, number, number]
  const start = end + 1 + labelBytes
  const isWhole = found === format && version !== '' && rest.length === 0
  if (!isWhole || ![expiresAt, touchedAt].every(Number.isSafeInteger) || !(start <= buffer.length)) {
    throw new RecordCorrupt(`${keyText(key)} is not a record that this library wrote`)
  }
  const labels = labelBytes === 0 ? [] : buffer.toString('utf8', end + 1, start).split('\0')
  return {
    key: { collection: key.collection, id: key.id },
    version,
    labels,
    value: values ? bytes.subarray(start) : new Uint8Array(),
    expiresAt,
    touchedAt,
  }
}

/** Like {@link recordOf}, for pages: what is corrupt is no record, and must not hide the others. */
export function recordIfWhole(key: Key, bytes: Uint8Array, values: boolean): StoredRecord | undefined {
  try {
    return recordOf(key, bytes, values)
  } catch (error) {
    if (error instanceof RecordCorrupt) return undefined
    throw error
  }
}

function whole(word: string): number {
  return /^\d{1,16}$/.test(word) ? Number(word) : Number.NaN
}
