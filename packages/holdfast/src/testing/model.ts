/**
 * A model-based test of stores: makes up sequences of operations, carries each out on a real store and on a small
 * reference of the contract, and compares every answer. Of a sequence that fails, the shortest is reported.
 *
 * With `faults` answers and requests are lost and calls fail on the way; then the reference keeps every state that
 * the store may be in, and an `unknown` outcome is allowed where a fault explains it, and nowhere else.
 */

import type { Clock } from '../clock.ts'
import type { Driver } from '../store/contract.ts'
import type { Store } from '../store/store.ts'
import { type FaultPlan, withFaults } from './faults.ts'
import { StandingClock } from './model/clock.ts'
import type { CheckDetails, FastCheck } from './model/fast-check.ts'
import { commandsFor } from './model/commands.ts'
import { Model, type Real } from './model/model.ts'

export type { FastCheck } from './model/fast-check.ts'

/** What a store under test is made with. */
export interface ModelWorld {
  /** Must be the store's clock. Starts at the real time, and stands still but for the steps that move it. */
  readonly clock: Clock
  /** Must be the store's namespace, for servers that several runs share. */
  readonly namespace: string
  /** Wraps the driver, below the guard, so that it can fail. Needed only with `faults`. */
  readonly wrap: (driver: Driver) => Driver
}

/** A store under test. */
export interface ModelledStore {
  readonly store: Store
  /** Closes and opens again, for stores that outlive their process. */
  reopen?(): Promise<Store>
  /** Removes what the run left behind, and closes what it opened. */
  dispose?(): Promise<void>
}

/** Settings of {@link storeModel}. */
export interface StoreModelOptions {
  /** Makes an empty store. Called once per sequence. */
  readonly make: (world: ModelWorld) => Promise<ModelledStore> | ModelledStore
  /** How many sequences. @default 100 */
  readonly runs?: number
  /** The most operations in a sequence. @default 40 */
  readonly commands?: number
  /** Repeats a run: the failure names both. */
  readonly seed?: number
  readonly path?: string
  /**
   * Whether calls fail on the way. Make the store with `circuit: false` then: one that is left alone after failures
   * would refuse what the model expects it to do. @default false
   */
  readonly faults?: boolean
}

/** A sequence of operations after which a store and the contract disagree. */
export class ModelFailure extends Error {
  /** The shortest sequence that was found, one line per operation; the last is the one that was answered wrongly. */
  readonly steps: readonly string[]

  constructor(message: string, steps: readonly string[], cause: unknown) {
    super(message, { cause })
    this.name = 'ModelFailure'
    this.steps = steps
  }
}

/**
 * Compares a store with the contract.
 *
 * @param fc `import fc from 'fast-check'`, version 4.
 * @returns How many sequences and operations were run.
 * @throws {ModelFailure} with the shortest sequence that is answered wrongly.
 */
export async function storeModel(
  fc: FastCheck,
  options: StoreModelOptions,
): Promise<{ readonly runs: number; readonly steps: number }> {
  const { runs = 100, commands = 40, faults = false } = options
  let steps = 0
  let failing: { model: Model; error: unknown } | undefined
  const sequences = fc.commands<Model, Real>(commandsFor(fc, faults), {
    maxCommands: commands,
    size: 'max',
  })
  const property = fc.asyncProperty(sequences, async (sequence) => {
    const world = await setUp(options)
    try {
      await fc.asyncModelRun<Model, Real>(() => Promise.resolve(world), sequence)
    } catch (error) {
      // Shrinking goes on from what fails, so the last failure is the shortest.
      failing = { model: world.model, error }
      throw error
    } finally {
      steps += world.model.steps.length
      await world.real.dispose()
    }
  })
  const replay = { ...(options.seed === undefined ? {} : { seed: options.seed }), ...pathOf(options) }
  const details = (await fc.check(property as never, { numRuns: runs, ...replay })) as CheckDetails
  if (details.failed) throw failureOf(details, failing)
  return { runs: details.numRuns, steps }
}

function pathOf({ path }: StoreModelOptions): { path?: string } {
  return path === undefined ? {} : { path }
}

function failureOf(
  details: CheckDetails,
  failing: { model: Model; error: unknown } | undefined,
): ModelFailure {
  const error = failing?.error ?? details.errorInstance
  const steps = failing?.model.steps ?? []
  const lines = steps.map((step, i) => `${String(i + 1).padStart(3)}. ${step}`)
  const why = error instanceof Error ? error.message : String(error)
  // The first part names the sequence; the way to its shortest form is found again.
  const path = details.counterexamplePath?.split(':')[0] ?? ''
  const repeat = `seed: ${details.seed}, path: '${path}'`
  return new ModelFailure(`${why}\n${lines.join('\n')}\nrepeat with ${repeat}`, steps, error)
}

let worlds = 0

async function setUp({ make, faults = false }: StoreModelOptions): Promise<{ model: Model; real: Real }> {
  const clock = new StandingClock(Date.now())
  const namespace = `m${process.pid.toString(36)}x${(worlds++).toString(36)}x${Date.now().toString(36)}`
  const armed: ReturnType<FaultPlan>[] = []
  let fired = 0
  const plan: FaultPlan = ({ operation }) => {
    if (operation === 'open' || operation === 'watch') return undefined
    const fault = armed.shift()
    if (fault !== undefined) fired++
    return fault
  }
  const wrap = (driver: Driver): Driver => (faults ? withFaults(driver, { plan }) : driver)
  const made = await make({ clock, namespace, wrap })
  let store = made.store
  await store.open()
  const real: Real = {
    clock,
    get store() {
      return store
    },
    async reopen() {
      if (made.reopen) store = await made.reopen()
    },
    canReopen: made.reopen !== undefined,
    arm: (...next) => {
      armed.splice(0, armed.length, ...next)
    },
    fired: () => fired,
    async dispose() {
      armed.length = 0
      await store.close()
      await made.dispose?.()
    },
  }
  return { model: new Model(real), real }
}
