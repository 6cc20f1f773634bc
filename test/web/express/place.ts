/** A store that fails and waits as a test plans it. */

import { Memory, memoryDriver } from '../../../packages/holdfast/src/drivers/memory.ts'
import { guard } from '../../../packages/holdfast/src/store/guard.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { type DriverCall, type FaultPlan, withFaults } from '../../../packages/holdfast/src/testing/faults.ts'

export class Place {
  readonly calls: DriverCall[] = []
  readonly store: Store
  plan: FaultPlan = () => undefined
  /** What writes wait for. */
  gate: Promise<void> | undefined

  constructor() {
    const driver = withFaults(memoryDriver({ memory: new Memory() }), {
      plan: (call) => this.plan(call),
      gate: {
        before: async (call) => {
          this.calls.push(call)
          const { gate } = this
          if (call.writes && this.isForOne) this.gate = undefined
          if (call.writes && gate) this.#reached()
          if (call.writes) await gate
          return this.plan(call)
        },
        after: () => undefined,
      },
    })
    this.store = guard(driver, { circuit: false })
  }

  /** Only the next one waits. */
  isForOne = false

  #reached: () => void = () => undefined

  /** Holds writes back until they are released: all, or only the next one. `reached` resolves when one waits. */
  hold(howMany: 'all' | 'one' = 'all'): { readonly reached: Promise<void>; readonly release: () => void } {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const reached = new Promise<void>((tell) => (this.#reached = tell))
    this.gate = promise
    this.isForOne = howMany === 'one'
    const release = (): void => {
      this.gate = undefined
      resolve(undefined)
    }
    return { reached, release }
  }

  writes(): readonly string[] {
    return this.calls.filter(({ writes }) => writes).map(({ operation }) => operation)
  }
}
