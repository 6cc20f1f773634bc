/** Plays random histories to stores, and makes the shortest of one that they do not answer alike. */

import fc from 'fast-check'
import { anyStep, type Step } from './step.ts'

/** What to play. */
export interface Random {
  readonly runs: number
  readonly seed: number
  /** All-or-none writes too. */
  readonly batches: boolean
  /** Plays one, which sees nothing of those before; rejects where it is not answered alike. */
  readonly play: (steps: readonly Step[]) => Promise<unknown>
}

/** @returns what was wrong with the shortest history that shows it, or nothing. */
export async function disagreement({ runs, seed, batches, play }: Random): Promise<Error | undefined> {
  let shortest: Error | undefined
  const histories = fc.array(anyStep({ batches }), { minLength: 1, maxLength: 40, size: 'max' })
  const property = fc.asyncProperty(histories, async (steps) => {
    try {
      await play(steps)
    } catch (error) {
      // Shrinking goes on from what fails, so the last one is the shortest.
      shortest = error as Error
      throw error
    }
  })
  const { failed } = await fc.check(property, { numRuns: runs, seed })
  return failed ? shortest : undefined
}
