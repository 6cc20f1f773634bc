/** Records that are counted up without an end while something happens to their server: no count is lost or doubled. */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { HoldfastError, OutcomeUnknown } from '../../../packages/holdfast/src/errors.ts'
import { type Key, never } from '../../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { until } from '../../until.ts'
import { atEnd, type Ending } from './ending.ts'

interface Tally {
  readonly key: Key
  done: number
  /** Nobody knows whether it was counted. */
  unknown: number
  failed: number
}

export class Counting {
  readonly #store: Store
  readonly #tallies: readonly Tally[]
  readonly #ends = new AbortController()
  readonly #counters: readonly Promise<void>[]
  #fault: Error | undefined

  private constructor(test: Ending, store: Store, ids: readonly string[]) {
    atEnd(test, () => {
      this.#ends.abort()
    })
    this.#store = store
    this.#tallies = ids.map((id) => {
      return { key: { collection: 'sessions', id }, done: 0, unknown: 0, failed: 0 }
    })
    this.#counters = this.#tallies.map(async (tally) => {
      try {
        while (!this.#ends.signal.aborted) await this.#countUp(tally)
      } catch (error) {
        this.#fault ??= error as Error
      }
    })
  }

  /** Creates so many records, and counts each of them up from 0, by a counter of its own. */
  static async begin(test: Ending, store: Store, records: number): Promise<Counting> {
    const ids = Array.from({ length: records }, (_, i) => `s${i}`)
    const creating = ids.map((id) =>
      store.create({ key: { collection: 'sessions', id }, value: Buffer.from('0'), expiresAt: never }),
    )
    for (const { status } of await Promise.all(creating)) assert.equal(status, 'done')
    return new Counting(test, store, ids)
  }

  /** Waits until each record has been counted up once more. */
  async goesOn(): Promise<void> {
    const before = this.#tallies.map(({ done }) => done)
    await this.#until('each goes on', ({ done }, i) => done > before[i]!)
  }

  /** Waits until each has failed once more. */
  async fails(): Promise<void> {
    const before = this.#tallies.map(failures)
    await this.#until('each fails', (tally, i) => failures(tally) > before[i]!)
  }

  /** Ends it. What is stored must be what was counted, give or take what is unknown. */
  async end(): Promise<void> {
    this.#ends.abort()
    await Promise.all(this.#counters)
    if (this.#fault) throw this.#fault
    for (const { key, done, unknown } of this.#tallies) {
      const record = await this.#store.read(key)
      const stored = Number(Buffer.from(record?.value ?? []).toString())
      assert.ok(
        stored >= done && stored <= done + unknown,
        `${done} done, ${unknown} unknown, ${stored} stored`,
      )
    }
  }

  /** Anything but a count or a coded error is a fault. */
  async #countUp(tally: Tally): Promise<void> {
    const { key } = tally
    await delay(2)
    try {
      const record = await this.#store.read(key)
      assert.ok(record, 'an outage looked like a loss')
      const value = Buffer.from(String(Number(Buffer.from(record.value).toString()) + 1))
      const expected = record.version
      const { status } = await this.#store.replace({ key, expected, value, expiresAt: never })
      assert.ok(status === 'done' || status === 'unknown', `nobody else writes: ${status}`)
      tally[status]++
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      tally[error instanceof OutcomeUnknown ? 'unknown' : 'failed']++
    }
  }

  async #until(what: string, holds: (tally: Tally, i: number) => boolean): Promise<void> {
    await until(what, () => this.#fault !== undefined || this.#tallies.every(holds))
    if (this.#fault) throw this.#fault
  }
}

function failures({ unknown, failed }: Tally): number {
  return unknown + failed
}
