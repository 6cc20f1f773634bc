/** Sweeping, hour by hour of the hints. A hint that is behind the times is moved to the hour that it belongs to. */

import { readdir } from 'node:fs/promises'

import { InvalidCursor, StoreCorrupt } from '../../errors.ts'
import type { Call, Cursor, Swept, Sweeping, SweptBatch } from '../../store/contract.ts'
import { codeOf, readingFailure } from './failure.ts'
import { removeIfEmpty } from './finder.ts'
import { hourOf, keyOfHint, type Layout, shardOf } from './layout.ts'
import type { Shard } from './shard.ts'
import { sweeping } from './tasks.ts'

/** The most hints that one call looks at. */
const mostLookedAt = 1_000
/** How many are looked at together. */
const atATime = 256

export class Sweep {
  readonly #layout: Layout
  readonly #shards: ReadonlyMap<string, Shard>

  constructor(layout: Layout, shardsByName: ReadonlyMap<string, Shard>) {
    this.#layout = layout
    this.#shards = shardsByName
  }

  async sweep({ before, limit, after }: Sweeping, call: Call): Promise<SweptBatch> {
    const start = after === undefined ? { hour: 0, hint: '' } : swept(after)
    const removed: Swept[] = []
    let looked = 0
    for (const hour of await this.#hours(start.hour, before)) {
      const hints = await this.#hints(hour, hour === start.hour ? start.hint : '')
      for (let last = ''; hints.length > 0;) {
        if (removed.length === limit || looked >= mostLookedAt || call.signal.aborted) {
          return { removed, next: `${hour}.${last}` }
        }
        const some = hints.splice(0, Math.min(atATime, limit - removed.length))
        const answers = await Promise.allSettled(some.map((hint) => this.#sweepOne(hour, hint, before, call)))
        removed.push(...answers.map(removedBy).filter((each) => each !== undefined))
        const failed = answers.find((each) => each.status === 'rejected')
        // What was removed has to be told; the next call meets what has failed.
        if (failed && removed.length > 0) return { removed, next: `${hour}.${last}` }
        if (failed) throw failed.reason
        looked += some.length
        last = some.at(-1) ?? ''
      }
      await removeIfEmpty(this.#layout.hour(hour))
    }
    return { removed }
  }

  async #sweepOne(hour: number, hint: string, before: number, call: Call): Promise<Swept | undefined> {
    const key = keyOfHint(hint)
    if (!key) return undefined
    try {
      return await this.#shards.get(shardOf(key))?.add(sweeping(this.#layout, key, hour, before), call)
    } catch (error) {
      // Whoever reads the record is told. A sweep goes on, or it would never come past it.
      if (error instanceof StoreCorrupt) return undefined
      throw error
    }
  }

  /** The hours in which something may have expired, the earliest first. */
  async #hours(from: number, before: number): Promise<number[]> {
    const last = hourOf(before) ?? Infinity
    const names = await this.#namesIn(this.#layout.expiry)
    return names
      .filter((name) => /^\d{1,10}$/.test(name))
      .map(Number)
      .filter((hour) => hour >= from && hour <= last)
      .sort((a, b) => a - b)
  }

  async #hints(hour: number, after: string): Promise<string[]> {
    const names = await this.#namesIn(this.#layout.hour(hour), true)
    return names.filter((name) => name > after).sort()
  }

  async #namesIn(folder: string, mayBeGone = false): Promise<string[]> {
    try {
      return await readdir(folder)
    } catch (error) {
      if (mayBeGone && codeOf(error) === 'ENOENT') return []
      throw readingFailure(error, folder)
    }
  }
}

function removedBy(result: PromiseSettledResult<Swept | undefined>): Swept | undefined {
  return result.status === 'fulfilled' ? result.value : undefined
}

/** The cursor of a sweep is the hour and the hint that it ended with. */
function swept(after: Cursor): { hour: number; hint: string } {
  const match = /^(\d{1,10})\.([0-9a-f]{0,2}[0-9a-z.-]{0,240})$/.exec(after)
  if (!match) throw new InvalidCursor(`${JSON.stringify(after.slice(0, 40))} is not a cursor of a sweep`)
  return { hour: Number(match[1]), hint: match[2] ?? '' }
}
