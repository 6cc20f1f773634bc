/**
 * A record as one string: a header of fixed width, then version, labels and value, with nothing in between.
 *
 *     1 <expiresAt: 16 digits> <touchedAt: 16 digits> <bytes of version: 3> <bytes of labels: 4>
 *
 * The `1` at its beginning is the form's own number: whatever begins otherwise is not a record. Numbers are text, padded
 * with zeroes, so that a touch writes over them in place and leaves the value alone. What writes it is in `scripts.ts`.
 */

import { isAscii } from 'node:buffer'
import { RecordCorrupt } from '../../errors.ts'
import { type Key, keyText, type Label, type StoredRecord } from '../../store/record.ts'
import { joined, separate } from './layout.ts'
import type { Argument } from './wire.ts'

/** How long the header is. */
export const headerBytes = 40
/** The longest that header, version and labels of a record can be together. */
export const mostBeforeValue = headerBytes + 999 + 9_999
const digits = 16
const formNumber = 0x31

/** A value up to so many bytes is sent within the text of its command, if it is plain text. */
const mostInText = 16_384

/** An instant, or another time, as the header has it. */
export function padded(time: number): string {
  // Nearly every time has 13 digits.
  return time >= 1e12 && time < 1e13 ? `000${time}` : String(time).padStart(digits, '0')
}

/** A whole record, as one argument of a command. */
export function written(record: StoredRecord): Argument {
  const { version, value, expiresAt, touchedAt } = record
  const labels = joined(record.labels)
  const lengths = `${length(version, 3)}${length(labels, 4)}`
  const front = `1${padded(expiresAt)}${padded(touchedAt)}${lengths}${version}${labels}`
  const body = argument(value)
  return typeof body === 'string' ? front + body : Buffer.concat([Buffer.from(front), body])
}

/** Bytes as an argument: as text where that is the same, because clients send texts together and each buffer alone. */
export function argument(bytes: Uint8Array): Argument {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.byteLength <= mostInText && isAscii(bytes)) return buffer.toString('latin1')
  // What was passed in may be changed by its owner before the client sends it.
  return Buffer.from(buffer)
}

/**
 * The record of a reply; `undefined` where there is none.
 *
 * @param values false: the reply may end anywhere behind the labels, and the record gets an empty value.
 * @throws {RecordCorrupt} for what is not such a string.
 */
export function recordOf(key: Key, reply: unknown, values = true): StoredRecord | undefined {
  if (reply === null || reply === undefined) return undefined
  const record = reply instanceof Uint8Array ? parsed(key, reply, values) : undefined
  if (!record) throw new RecordCorrupt(`${keyText(key)} is not a record that this library wrote`)
  return record
}

/** Like {@link recordOf}, for pages: what is corrupt is no record, and must not hide the others. */
export function recordIfWhole(key: Key, reply: unknown, values: boolean): StoredRecord | undefined {
  return reply instanceof Uint8Array ? parsed(key, reply, values) : undefined
}

function parsed(key: Key, reply: Uint8Array, values: boolean): StoredRecord | undefined {
  if (reply.byteLength < headerBytes || reply[0] !== formNumber) return undefined
  const expiresAt = number(reply, 1, digits)
  const touchedAt = number(reply, 1 + digits, digits)
  const labelsFrom = headerBytes + number(reply, 1 + 2 * digits, 3)
  const valueFrom = labelsFrom + number(reply, 4 + 2 * digits, 4)
  const whole = Number.isSafeInteger(expiresAt) && Number.isSafeInteger(touchedAt)
  if (!whole || !(labelsFrom > headerBytes && valueFrom <= reply.byteLength)) return undefined
  const buffer = Buffer.isBuffer(reply)
    ? reply
    : Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength)
  // A version is plain text, so it has as many letters as bytes.
  const front = buffer.toString('utf8', headerBytes, valueFrom)
  return {
    key: { collection: key.collection, id: key.id },
    version: front.slice(0, labelsFrom - headerBytes),
    labels: separate(front.slice(labelsFrom - headerBytes)),
    // Clients hand out views of what they received, so it is copied.
    value: values ? new Uint8Array(reply.subarray(valueFrom)) : new Uint8Array(),
    expiresAt,
    touchedAt,
  }
}

/** A decimal number of fixed width, or `NaN`. */
function number(bytes: Uint8Array, from: number, width: number): number {
  let value = 0
  for (let i = from; i < from + width; i++) {
    const digit = (bytes[i] ?? 0) - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

function length(text: string, width: number): string {
  return String(Buffer.byteLength(text)).padStart(width, '0')
}

/** Labels and how many bytes they have, as `replace` wants them. */
export function labelling(labels: readonly Label[]): readonly [string, string] {
  const text = joined(labels)
  return [text, length(text, 4)]
}
