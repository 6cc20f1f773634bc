/** Tiers: a fast store, or this process's memory, over a store that is the truth. */

import { type Duration, milliseconds } from '../../duration.ts'
import { InvalidOption } from '../../errors.ts'
import type { Store } from '../store.ts'
import { ProcessTier } from './process-tier.ts'
import { SharedTier } from './shared-tier.ts'
import { Tier } from './tier.ts'

/** The memory of this process in the role of a cache. */
export class ProcessMemory {
  readonly maxBytes: number

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }
}

/** Settings of {@link tiered}. */
export interface TieredOptions {
  /**
   * How long a read that isn't strict may be behind the truth, and so how long an acknowledged end may take to be known
   * everywhere: whoever ends something waits for as long. @default '250ms' for memory, '1s' for a store
   */
  readonly bound?: Duration
  /** How long the cache may take to answer before the truth is asked. Only for a store. @default '100ms' */
  readonly patience?: Duration
  /**
   * Gathers the touches of sessions for as long, and writes them together (write-behind): for stores in which each
   * write costs. A crash loses the touches of so long; each is written before its session would end without it.
   * Shorter than the margin. @default no touch waits
   */
  readonly touchDelay?: Duration
}

/**
 * This process's memory, for {@link tiered}.
 *
 * @param options.maxBytes The most bytes, estimated. @default 67108864 (64 MiB)
 * @throws {InvalidOption}
 */
export function processMemory({
  maxBytes = 64 * 1024 * 1024,
}: { readonly maxBytes?: number } = {}): ProcessMemory {
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    throw new InvalidOption(`maxBytes must be a whole number of at least 1, not ${maxBytes}`)
  }
  return new ProcessMemory(maxBytes)
}

/**
 * A store over a store: reads that needn't be strict are answered by the cache, everything else by the truth. It
 * closes both. Three tiers are two of these: `tiered(processMemory(), tiered(redis, postgres))`.
 *
 * @param cache `processMemory()`, or a store: best one that several processes share.
 * @param truth The store that counts. What it can do, the tiers can do.
 * @throws {InvalidOption}
 */
export function tiered(cache: Store | ProcessMemory, truth: Store, options: TieredOptions = {}): Store {
  const bound = positive(options.bound ?? (cache instanceof ProcessMemory ? '250ms' : '1s'), 'bound')
  const touchDelay = touchDelayOf(options, truth)
  if (cache instanceof ProcessMemory) {
    if (options.patience !== undefined) throw new InvalidOption('`patience` is for a cache that is a store')
    const boundBelow = truth instanceof Tier ? truth.bound : 0
    return new ProcessTier(truth, { maxBytes: cache.maxBytes, bound, boundBelow, ...touchDelay })
  }
  if (cache instanceof Tier) throw new InvalidOption('a cache can’t have tiers of its own: nest them below')
  if (cache === truth) throw new InvalidOption('a store can’t be its own cache')
  const patience = positive(options.patience ?? '100ms', 'patience')
  return new SharedTier(cache, truth, { bound, patience, ...touchDelay })
}

/** A touch that waits longer than the margin could find its record swept by another process. */
function touchDelayOf({ touchDelay }: TieredOptions, { margin }: Store): { readonly touchDelay?: number } {
  if (touchDelay === undefined) return {}
  const ms = positive(touchDelay, 'touchDelay')
  if (ms < margin) return { touchDelay: ms }
  throw new InvalidOption(`touchDelay must be shorter than the store’s margin of ${margin} ms, not ${ms} ms`)
}

function positive(duration: Duration, name: string): number {
  const ms = milliseconds(duration, name)
  if (ms === 0) throw new InvalidOption(`${name} must be longer than 0`)
  return ms
}
