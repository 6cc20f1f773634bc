/** A store for the models: several processes, a clock that is moved, one fault at most in each step. */

import type { Driver } from '../../packages/holdfast/src/store/contract.ts'
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

export class FaultyWorld {
  readonly clock: FakeClock = fakeClock({ start: Math.floor(Date.now() / 1_000) * 1_000, sleeps: 'instant' })
  readonly driver: FaultyDriver
  /** Sees the truth, whatever the plan is. */
  readonly truth: Store
  /** Whether the fault of the last step has come. */
  struck = false
  readonly #margin: number
  readonly #namespace: string
  #planned: PlannedFault | undefined
  #calls = 0

  constructor(driver: Driver, namespace = 'holdfast', margin = 3_600_000) {
    this.#margin = margin
    this.#namespace = namespace
    this.driver = withFaults(driver, {
      plan: ({ operation }) => {
        if (operation === 'open' || operation === 'watch' || !this.#planned) return undefined
        if (this.#calls++ !== this.#planned.at) return undefined
        this.struck = true
        return this.#planned.fault
      },
    })
    this.truth = guard(driver, { clock: this.clock, margin, namespace })
  }

  /** The store of one more process. */
  store(): Store {
    return guard(this.driver, { clock: this.clock, margin: this.#margin, namespace: this.#namespace })
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
