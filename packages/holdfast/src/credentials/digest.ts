/** What is stored of a secret: its digest. A leak of the store is not a leak of credentials. */

import { hash, timingSafeEqual } from 'node:crypto'

/**
 * The SHA-256 of a secret, 43 base64url characters. Secrets here are 256 random bits, so no salt and no slow hash
 * is needed: there is nothing to guess.
 */
export function digestOf(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

const digestLength = 43
/** Digests are compared here: every request compares some, and buffers of their own would cost most of it. */
const one = Buffer.alloc(digestLength)
const other = Buffer.alloc(digestLength)

/** Whether two texts are equal, in a time that does not tell where they differ. */
export function equalInConstantTime(a: string, b: string): boolean {
  if (a.length !== digestLength || b.length !== digestLength)
    return equalAsBytes(Buffer.from(a), Buffer.from(b))
  one.write(a, 'latin1')
  other.write(b, 'latin1')
  // Latin-1 has one byte for each character, so that others may look alike in it: what looks equal is compared again.
  return timingSafeEqual(one, other) && a === b
}

function equalAsBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
