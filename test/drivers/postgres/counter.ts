/** A record that is counted up by compare-and-swap, and what may have become of it. */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { HoldfastError, OutcomeUnknown } from '../../../packages/holdfast/src/errors.ts'
import { never } from '../../../packages/holdfast/src/store/record.ts'
import { atEnd, type Ending } from '../redis/ending.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'

const key = { collection: 'counters', id: 'shared' }

export class Counter {
  readonly #store: Store
  /** How often counting was answered with "done". */
  acknowledged = 0
  /** How often nobody knows. */
  unknown = 0
  failed = 0
  #isRunning = true

  private constructor(store: Store) {
    this.#store = store
  }

  /** Stops at the end of the test at the latest. */
  static async on(store: Store, test: Ending): Promise<Counter> {
    await store.create({ key, value: Buffer.from('0'), expiresAt: never })
    const counter = new Counter(store)
    atEnd(test, () => {
      counter.stop()
    })
    return counter
  }

  /** Counts by several at once, until it is stopped. Rejects at what must never happen. */
  async run(workers: number): Promise<void> {
    await Promise.all(Array.from({ length: workers }, () => this.#work()))
  }

  stop(): void {
    this.#isRunning = false
  }

  /** Every acknowledged step is in the count, and none that was refused. */
  async assertNothingLost(): Promise<void> {
    const count = await this.#count()
    assert.ok(
      count >= this.acknowledged && count <= this.acknowledged + this.unknown,
      `${this.acknowledged} were acknowledged and ${this.unknown} are unknown, but ${count} are counted`,
    )
  }

  async #work(): Promise<void> {
    while (this.#isRunning) {
      try {
        await this.#step()
      } catch (error) {
        assert.ok(error instanceof HoldfastError, `a coded error, not ${String(error)}`)
        this.failed++
        if (error instanceof OutcomeUnknown) this.unknown++
        await delay(10)
      }
    }
  }

  async #step(): Promise<void> {
    const record = await this.#store.read(key, { strict: true })
    assert.ok(record, 'a failure is never "not there"')
    const value = Buffer.from(String(Number(Buffer.from(record.value).toString()) + 1))
    const rewrite = { key, expected: record.version, value, expiresAt: never }
    const { status } = await this.#store.replace(rewrite)
    if (status === 'done') this.acknowledged++
    if (status === 'unknown') this.unknown++
  }

  async #count(): Promise<number> {
    const record = await this.#store.read(key, { strict: true })
    return Number(Buffer.from(record?.value ?? Buffer.of()).toString())
  }
}
