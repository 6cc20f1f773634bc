/**
 * Version stamps, `<n>.<random>`. The writer draws them, so that after a lost answer it can tell its own write from
 * everybody else's; a number that restarted with each record could not, and would make two holders of one lease.
 */

import { randomFillSync } from 'node:crypto'
import type { Version } from './record.ts'

const randomBytes = 9
const pool = Buffer.allocUnsafe(randomBytes * 256)
let used = pool.length

/**
 * Draws the stamp of a new write.
 *
 * @param now Milliseconds since 1970 UTC.
 * @param previous The version that the write replaces: the new stamp's number is greater, also when the clock went back.
 */
export function nextVersion(now: number, previous?: Version): Version {
  const n = previous === undefined ? now : Math.max(now, versionNumber(previous) + 1)
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.toString('base64url', used, used + randomBytes)
  used += randomBytes
  return `${n}.${random}`
}

/** The number in front of a stamp: orders the writes of one record. */
export function versionNumber(version: Version): number {
  const n = Number.parseInt(version, 10)
  return Number.isSafeInteger(n) ? n : 0
}
