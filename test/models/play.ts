/** Plays random sequences of steps against a model. A failure is shrunk to the shortest sequence that fails. */

import fc from 'fast-check'
import type { PlannedFault } from './faulty-world.ts'

/** What is played with: anything that takes steps, and throws where a promise is broken. */
export interface Player<Step> {
  take(step: Step): Promise<void>
}

interface AnyStep<Kind> {
  readonly kind: Kind
  readonly which: number
  readonly how: number
  readonly fault?: PlannedFault
}

const times = process.env['HOLDFAST_TEST_LONG'] === '1' ? 20 : 1
const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? 20_261_121)

const number = fc.nat({ max: 41 })
const fault = fc.record({
  at: fc.nat({ max: 5 }),
  fault: fc.constantFrom('loseAnswer', 'loseRequest', 'late', 'fail'),
})

/** Steps of these kinds. */
export function calm<Kind>(kinds: readonly Kind[]): fc.Arbitrary<AnyStep<Kind>> {
  return fc.record({ kind: fc.constantFrom(...kinds), which: number, how: number })
}

/** The same, and in some of them one of the store's calls fails. */
export function stormy<Kind>(kinds: readonly Kind[]): fc.Arbitrary<AnyStep<Kind>> {
  const all = { kind: fc.constantFrom(...kinds), which: number, how: number, fault }
  return fc.record(all, { requiredKeys: ['kind', 'which', 'how'] })
}

/** Plays so many sequences, each with a player that has seen nothing; twenty times as many in the long run. */
export async function play<Step>(
  make: () => Player<Step>,
  first: Step,
  steps: fc.Arbitrary<Step>,
  runs: number,
): Promise<void> {
  const sequences = fc.array(steps, { minLength: 5, maxLength: 60, size: 'max' })
  await fc.assert(
    fc.asyncProperty(sequences, async (sequence) => {
      const player = make()
      for (const step of [first, ...sequence]) await player.take(step)
    }),
    { numRuns: runs * times, seed },
  )
}
