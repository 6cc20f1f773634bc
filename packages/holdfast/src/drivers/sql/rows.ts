/** A row of `holdfast_records` ⇄ a record. */

import { hash } from 'node:crypto'
import { StoreCorrupt } from '../../errors.ts'
import { type Key, keyText, type Label, type StoredRecord } from '../../store/record.ts'
import type { Row } from './database.ts'

/** The columns of a record without its key and value, and with the value. Single words: clients may recase others. */
export const head = 'version, labels, expires_at as expires, touched_at as touched'
export const whole = `${head}, value`

/** How many buckets there are: slices are ranges of them. */
export const buckets = 2 ** 32

const noValue = new Uint8Array(0)

/** The record of a row with the columns of {@link head} or {@link whole}. @throws {StoreCorrupt} */
export function recordOf(key: Key, row: Row): StoredRecord {
  return {
    key,
    version: textOf(row['version']),
    labels: labelsOf(row['labels']),
    value: valueOf(row['value']),
    expiresAt: numberOf(row['expires']),
    touchedAt: numberOf(row['touched']),
  }
}

/** The key of a row that has its columns. */
export function keyOf(row: Row): Key {
  return { collection: textOf(row['collection']), id: textOf(row['id']) }
}

/** How labels lie in a record's row. */
export function labelsText(labels: readonly Label[]): string {
  return labels.length === 0 ? '[]' : JSON.stringify(labels)
}

/** The labels of a record's row. @throws {StoreCorrupt} */
export function labelsOf(column: unknown): readonly Label[] {
  const text = textOf(column)
  if (text === '[]') return []
  let labels: unknown
  try {
    labels = JSON.parse(text)
  } catch (cause) {
    throw new StoreCorrupt('the labels of a record are not JSON', { cause })
  }
  if (Array.isArray(labels) && labels.every((each) => typeof each === 'string')) return labels
  throw new StoreCorrupt('the labels of a record are not a list of texts')
}

/** A column of text, which byte-wise columns give as bytes. */
export function textOf(column: unknown): string {
  if (typeof column === 'string') return column
  if (column instanceof Uint8Array)
    return Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString()
  throw new StoreCorrupt('a column that holds text has none')
}

/** A column of whole numbers, which clients give as text, number or bigint, so that none is rounded. */
export function numberOf(column: unknown): number {
  const number = typeof column === 'number' ? column : Number(column ?? Number.NaN)
  if (Number.isSafeInteger(number)) return number
  throw new StoreCorrupt('a column that holds a whole number has none')
}

function valueOf(column: unknown): Uint8Array {
  if (column instanceof Uint8Array) return column
  if (column === undefined) return noValue
  throw new StoreCorrupt('a value is not bytes')
}

/** Whether a column is empty, as an outer join leaves it. */
export function isMissing(column: unknown): column is null | undefined {
  return column === null || column === undefined
}

/** The bucket of a key: the head of its digest, so that ids of any make fall evenly. */
export function bucketOf(key: Key): number {
  return hash('sha256', keyText(key), 'buffer').readUInt32BE(0)
}

/** Keys as the JSON of a parameter that becomes a table. */
export function keysText(keys: readonly Key[]): string {
  return JSON.stringify(keys.map(({ collection, id }) => ({ collection, id })))
}

/** Keys in the order in which everybody locks. Both parts are ASCII, so that `<` compares bytes. */
export function inKeyOrder<T>(all: readonly T[], keyOf: (each: T) => Key): readonly T[] {
  if (all.length < 2) return all
  return all.toSorted((a, b) => {
    const [x, y] = [keyOf(a), keyOf(b)]
    if (x.collection !== y.collection) return x.collection < y.collection ? -1 : 1
    return x.id < y.id ? -1 : x.id > y.id ? 1 : 0
  })
}
