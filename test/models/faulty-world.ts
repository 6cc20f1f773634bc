/** A store for the models: several processes, a clock that is moved, one fault at most in each step. */

import type { Capabilities, Driver } from '../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { type FakeClock, fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { type Fault, type FaultyDriver, withFaults } from '../../packages/holdfast/src/testing/faults.ts'

/** What befalls one of the calls of a step. */
export interface PlannedFault {
  /** Which call of the step, from 0. */
  readonly at: number
  readonly fault: Extract<Fault, 'loseAnswer' | 'loseRequest' | 'late' | 'fail'>
}

export interface WorldOptions {
  readonly namespace?: string
  /** What the processes take the store for. */
  readonly declare?: Partial<Capabilities>
  /** Puts the tiers of one more process over the store. @default none */
  readonly tiers?: (store: Store) => Store
}

export class FaultyWorld {
  readonly clock = timeless(fakeClock({ start: Math.floor(Date.now() / 1_000) * 1_000 }))
  readonly driver: FaultyDriver
  /** Sees the truth, whatever the plan is. */
  readonly truth: Store
  /** Whether the fault of the last step has come. */
  struck = false
  readonly #namespace: string
  readonly #tiers: (store: Store) => Store
  #planned: PlannedFault | undefined
  #calls = 0
  readonly #stores: Store[] = []

  constructor(
    driver: Driver,
    { namespace = 'holdfast', declare = {}, tiers = (store) => store }: WorldOptions = {},
  ) {
    this.#namespace = namespace
    this.#tiers = tiers
    this.driver = withFaults(driver, {
      declare,
      plan: ({ operation }) => {
        if (operation === 'open' || operation === 'watch' || !this.#planned) return undefined
        if (this.#calls++ !== this.#planned.at) return undefined
        this.struck = true
        return this.#planned.fault
      },
    })
    // Without a feed, so that nothing is ever behind.
    this.truth = guard(withFaults(driver, { declare: { watch: false } }), { clock: this.clock, namespace })
    this.#stores.push(this.truth)
  }

  /** The store of one more process. */
  store(): Store {
    const { clock } = this
    const store = this.#tiers(guard(this.driver, { clock, namespace: this.#namespace, circuit: false }))
    this.#stores.push(store)
    return store
  }

  /** Opens all stores while the clock still agrees with the server's. */
  async open(): Promise<void> {
    for (const store of this.#stores.splice(0)) await store.open()
  }

  /** Does a piece of work with a fault in it. */
  async under<T>(planned: PlannedFault | undefined, work: () => Promise<T>): Promise<T> {
    this.#planned = planned
    this.#calls = 0
    this.struck = false
    try {
      return await work()
    } finally {
      this.#planned = undefined
    }
  }
}

/** A clock that only its test moves: pauses take no time, so that a step has one instant. */
function timeless(clock: FakeClock): FakeClock {
  clock.sleep = () => new Promise((resolve) => setImmediate(resolve))
  return clock
}
