/** A record of the truth as the value of a record in a cache: a line of JSON with its fields, then its own value. */

import type { Key, StoredRecord } from '../record.ts'

/** The bytes of an entry. @param until Until when it may be used, milliseconds since 1970 UTC. */
export function entryOf(record: StoredRecord, until: number): Uint8Array {
  const { version, labels, expiresAt, touchedAt, value } = record
  const line = `${JSON.stringify([until, version, expiresAt, touchedAt, ...labels])}\n`
  return Buffer.concat([Buffer.from(line), value])
}

/** The record of an entry; `undefined` for a placeholder, and for what is not whole or not to be used any more. */
export function recordOf(key: Key, bytes: Uint8Array, now: number): StoredRecord | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = buffer.indexOf(0x0a)
  if (end < 0) return undefined
  const fields = parsed(buffer.toString('utf8', 0, end))
  if (!Array.isArray(fields)) return undefined
  const [until, version, expiresAt, touchedAt, ...labels] = fields as unknown[]
  const isWhole =
    isInstant(until) && typeof version === 'string' && isInstant(expiresAt) && isInstant(touchedAt)
  if (!isWhole || !labels.every((each) => typeof each === 'string') || now >= until) return undefined
  return { key, version, labels, value: Buffer.from(buffer.subarray(end + 1)), expiresAt, touchedAt }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isInstant(value: unknown): value is number {
  return Number.isSafeInteger(value)
}
