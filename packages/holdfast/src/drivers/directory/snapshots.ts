/**
 * The sorted names of long listings, kept from one page to the next, which would otherwise read and sort a whole folder
 * each. A page only goes on with the names that its own first page read: so nothing is missed that was there by then.
 */

import { randomBytes } from 'node:crypto'

import { systemClock } from '../../clock.ts'

interface Snapshot {
  readonly names: readonly string[]
  usedAt: number
}

/** Fewer names are read anew in no time. */
const worthKeeping = 1_000
/** The most names that are kept, of all listings together. */
const mostNames = 250_000
/** Milliseconds after which nobody is expected to come back. */
const longestPause = 60_000

export class Snapshots {
  readonly #kept = new Map<string, Snapshot>()

  /** Keeps the names, if that is worth while, and answers with what finds them again. */
  keep(names: readonly string[]): string | undefined {
    this.#forget(mostNames - names.length)
    if (names.length < worthKeeping || names.length > mostNames) return undefined
    const token = randomBytes(9).toString('base64url')
    this.#kept.set(token, { names, usedAt: systemClock.elapsed() })
    return token
  }

  find(token: string): readonly string[] | undefined {
    const found = this.#kept.get(token)
    if (!found) return undefined
    found.usedAt = systemClock.elapsed()
    // The last of the map is the one that was used last.
    this.#kept.delete(token)
    this.#kept.set(token, found)
    return found.names
  }

  drop(token: string): void {
    this.#kept.delete(token)
  }

  /** Lets go of what is old, and of as much more as it takes to have no more names than that. */
  #forget(most: number): void {
    const oldest = systemClock.elapsed() - longestPause
    let sum = 0
    for (const { names } of this.#kept.values()) sum += names.length
    for (const [token, { names, usedAt }] of this.#kept) {
      if (usedAt >= oldest && sum <= most) return
      this.#kept.delete(token)
      sum -= names.length
    }
  }
}
