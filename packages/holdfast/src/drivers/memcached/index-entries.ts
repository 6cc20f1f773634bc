/** What an index holds: a line for each id, `<id> <expiry in milliseconds>`, the latest last. */

import { type Instant, isId } from '../../store/record.ts'

/** An id under a label. */
export interface Entry {
  readonly id: string
  /** When the record expires, as far as the index was told. */
  readonly expiresAt: Instant
}

/** The entries of some bytes. What is no entry is left out: it is no reason to fail. */
export function entriesOf(bytes: Uint8Array): readonly Entry[] {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const [id = '', expiry = '', ...rest] = line.split(' ')
      const isEntry = isId(id) && /^\d{1,16}$/.test(expiry) && rest.length === 0
      return isEntry ? [{ id, expiresAt: Number(expiry) }] : []
    })
}

export function bytesOf(entries: readonly Entry[]): Uint8Array {
  return Buffer.from(entries.map(lineOf).join(''), 'latin1')
}

/** As many of the latest as take no more than so many bytes. */
export function fitting(entries: readonly Entry[], longest: number): readonly Entry[] {
  let room = longest
  let first = entries.length
  while (first > 0 && (room -= lineOf(entries[first - 1]!).length) >= 0) first--
  return entries.slice(first)
}

/** The last expiry of any. */
export function lastExpiry(entries: readonly Entry[], now: number): Instant {
  return entries.reduce((last, { expiresAt }) => Math.max(last, expiresAt), now)
}

function lineOf({ id, expiresAt }: Entry): string {
  return `${id} ${expiresAt}\n`
}
