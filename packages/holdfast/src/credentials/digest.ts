/** What is stored of a secret: its digest. A leak of the store is not a leak of credentials. */

import { hash, timingSafeEqual } from 'node:crypto'

/**
 * The SHA-256 of a secret, 43 base64url characters. Secrets here are 256 random bits, so no salt and no slow hash
 * is needed: there is nothing to guess.
 */
export function digestOf(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

/** Whether two texts are equal, in a time that does not tell where they differ. */
export function equalInConstantTime(a: string, b: string): boolean {
  const x = Buffer.from(a)
  const y = Buffer.from(b)
  return x.length === y.length && timingSafeEqual(x, y)
}
