/** Sweeping everything that has expired, batch by committed batch. Whoever composes the program schedules it. */

import type { Cursor, Swept } from './contract.ts'
import type { Store } from './store.ts'

/** Few enough that those who read meanwhile hardly notice, also where they share a processor with the sweep. */
const usualBatch = 100

export interface SweepOptions {
  /** Stops between two batches. What was swept stays swept. */
  readonly signal?: AbortSignal
  /**
   * Records per batch, 1 to 1,000. Larger ones are faster, and what others ask of the store meanwhile waits longer.
   *
   * @default 100
   */
  readonly limit?: number
  /** Told after each batch: how many were removed so far, and the batch itself. */
  readonly onProgress?: (removed: number, batch: readonly Swept[]) => void
}

/**
 * Removes all that expired longer ago than the store's margin, also what does so meanwhile.
 *
 * @returns how many records it removed.
 */
export async function sweepAll(store: Store, options: SweepOptions = {}): Promise<number> {
  const { signal, limit = usualBatch, onProgress } = options
  let removed = 0
  let after: Cursor | undefined
  do {
    signal?.throwIfAborted()
    const batch = await store.sweep({ limit, ...(after === undefined ? {} : { after }) })
    removed += batch.removed.length
    onProgress?.(removed, batch.removed)
    after = batch.next
  } while (after !== undefined)
  return removed
}
