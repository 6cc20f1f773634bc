/**
 * The format of a record's file: a line with the format's number, and the lengths and checksums of the two parts that
 * follow; a line of JSON with everything but the value; the bytes of the value.
 *
 *     holdfast-record 1 142 8d3f0c2a 512 01ab34cd
 *     {"collection":"sessions","id":"…","version":"…","labels":[…],"expiresAt":…,"touchedAt":…}
 *     …
 */

import { crc32 } from 'node:zlib'

import { type Key, keyText, type Label, type StoredRecord } from '../../store/record.ts'

/** Bytes that are no record, or not the one that they should be. */
export class Damaged extends Error {}

/** No first line is longer. */
const longestLine = 80

interface Head {
  readonly collection: string
  readonly id: string
  readonly version: string
  readonly labels: readonly Label[]
  readonly expiresAt: number
  readonly touchedAt: number
}

/** The bytes of a record's file. */
export function encoded({ key, version, labels, value, expiresAt, touchedAt }: StoredRecord): Buffer {
  const fields: Head = { collection: key.collection, id: key.id, version, labels, expiresAt, touchedAt }
  const head = Buffer.from(`${JSON.stringify(fields)}\n`)
  const line = `holdfast-record 1 ${head.byteLength} ${checksum(head)} ${value.byteLength} ${checksum(value)}\n`
  return Buffer.concat([Buffer.from(line), head, value])
}

/**
 * The record of a file's bytes, all of them, or without the value as many as {@link headLength} says.
 *
 * @param size How many bytes the file has.
 * @throws {Damaged}
 */
export function decoded(bytes: Buffer, size: number, key: Key, values: boolean): StoredRecord {
  const { start, headLength, headSum, valueLength, valueSum } = lineOf(bytes)
  const head = bytes.subarray(start, start + headLength)
  if (head.byteLength < headLength || checksum(head) !== headSum) throw new Damaged('its head is torn')
  const value = bytes.subarray(start + headLength)
  if (size !== start + headLength + valueLength || (values && checksum(value) !== valueSum)) {
    throw new Damaged('its value is torn')
  }
  const { collection, id, version, labels, expiresAt, touchedAt } = JSON.parse(head.toString()) as Head
  if (collection !== key.collection || id !== key.id) {
    throw new Damaged(`it holds ${keyText({ collection, id })} instead of ${keyText(key)}`)
  }
  return { key: { collection, id }, version, labels, value: values ? value : noValue(), expiresAt, touchedAt }
}

/** How many bytes of a file are needed to decode it without its value. @throws {Damaged} */
export function headLength(bytes: Buffer): number {
  const { start, headLength: length } = lineOf(bytes)
  return start + length
}

interface Line {
  readonly start: number
  readonly headLength: number
  readonly headSum: string
  readonly valueLength: number
  readonly valueSum: string
}

function lineOf(bytes: Buffer): Line {
  const end = bytes.subarray(0, longestLine).indexOf('\n')
  const text = bytes.toString('latin1', 0, Math.max(end, 0))
  const match = /^holdfast-record (\d{1,4})(?: (\d{1,7}) ([0-9a-f]{8}) (\d{1,7}) ([0-9a-f]{8}))?/.exec(text)
  if (!match) throw new Damaged('it does not begin as a record does')
  if (match[1] !== '1') throw new Damaged(`it has format ${match[1]}, of a newer Holdfast; this one knows 1`)
  const [, , head, headSum, value, valueSum] = match
  if (headSum === undefined || valueSum === undefined) throw new Damaged('its first line is torn')
  return { start: end + 1, headLength: Number(head), headSum, valueLength: Number(value), valueSum }
}

function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0')
}

function noValue(): Uint8Array {
  return new Uint8Array(0)
}
