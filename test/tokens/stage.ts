/** Tokens over a store in memory, with a clock that the tests move. */

import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import type { RecordEvent } from '../../packages/holdfast/src/records/events.ts'
import type { Codec } from '../../packages/holdfast/src/store/codec.ts'
import type { Capabilities } from '../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import type { StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { type FakeClock, fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { type FaultPlan, type FaultyDriver, withFaults } from '../../packages/holdfast/src/testing/faults.ts'
import { Tokens, type TokensOptions } from '../../packages/holdfast/src/tokens/tokens.ts'

export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour

/** What a test plays on. */
export class Stage {
  readonly clock: FakeClock
  readonly driver: FaultyDriver
  readonly store: Store
  readonly tokens: Tokens
  readonly events: RecordEvent[] = []
  /** What befalls the calls from now on. */
  plan: FaultPlan = () => undefined
  readonly #options: TokensOptions

  constructor(options: TokensOptions = {}, declare: Partial<Capabilities> = {}) {
    this.clock = fakeClock({ sleeps: 'instant' })
    this.driver = withFaults(memoryDriver({ memory: new Memory() }), {
      plan: (call) => this.plan(call),
      declare,
    })
    this.store = guard(this.driver, { clock: this.clock })
    this.#options = { onEvent: (event) => this.events.push(event), ...options }
    this.tokens = this.process()
  }

  /** The tokens of one more process, perhaps with another codec. */
  process(codec?: Codec): Tokens {
    const store = guard(this.driver, { clock: this.clock, ...(codec === undefined ? {} : { codec }) })
    return new Tokens(store, this.#options)
  }

  /** Everything that the store holds. */
  async records(collection = 'tokens'): Promise<readonly StoredRecord[]> {
    return (await this.store.list(collection, { expired: true })).records
  }
}
