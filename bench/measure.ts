/** Measuring two sides in turn, so that both meet the same noise. */

import type { Backend } from './backends.ts'
import type { FilledStores } from './filled.ts'

/** What a benchmark found. */
export interface Result {
  /** Median of the rounds. */
  readonly ours: number
  /** The other side; `null` where there is nothing to compare with. */
  readonly theirs: number | null
  /** Median of the ratios of each pair of rounds; above 1 ours is faster. */
  readonly ratio: number | null
  readonly unit: string
  readonly note: string
}

/** A result of a benchmark that has several, with what tells it from the others. */
export interface Finding extends Result {
  readonly of: string
}

export interface Settings {
  /** Pairs of rounds that are counted; one more comes first, to warm up. */
  readonly rounds: number
  /** What the numbers of records and operations are multiplied with: 1 for real, less to try something out. */
  readonly scale: number
  /** Also what takes an hour: 10 million records. */
  readonly large: boolean
  /** The stores to measure, for benchmarks of stores. */
  readonly backends: readonly Backend[]
}

/** A benchmark with one result. */
export type Benchmark = (settings: Settings) => Promise<Result>

/** A benchmark with several, told as they are found. */
export type Series = (settings: Settings) => AsyncIterable<Finding>

/** A benchmark of one backend's filled stores, with several results. */
export type FilledSeries = (filled: FilledStores, settings: Settings) => AsyncIterable<Finding>

/** One side: does its work once and answers how many operations per second that were. */
export type Side = () => Promise<number>

/** Measures both sides in turn. Which one begins alternates, so that neither always follows the other. */
export async function inTurn(
  { rounds }: Pick<Settings, 'rounds'>,
  ours: Side,
  theirs: Side,
): Promise<{ readonly ours: number; readonly theirs: number; readonly ratio: number }> {
  await ours()
  await theirs()
  const pairs: { readonly ours: number; readonly theirs: number }[] = []
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      const first = await ours()
      pairs.push({ ours: first, theirs: await theirs() })
    } else {
      const first = await theirs()
      pairs.push({ ours: await ours(), theirs: first })
    }
  }
  return {
    ours: median(pairs.map((pair) => pair.ours)),
    theirs: median(pairs.map((pair) => pair.theirs)),
    ratio: median(pairs.map((pair) => pair.ours / pair.theirs)),
  }
}

/** Operations per second of a number of operations that begin at `started`. */
export function perSecond(operations: number, started: number): number {
  return (operations / (performance.now() - started)) * 1_000
}

/**
 * Does something so many times, so many of them in flight, and answers how often per second that was. When one fails
 * the others are waited for.
 */
export async function inFlight(
  operations: number,
  lanes: number,
  work: (i: number) => unknown,
): Promise<number> {
  const began = performance.now()
  let hasFailed = false
  const ended = await Promise.allSettled(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let i = lane; i < operations && !hasFailed; i += lanes) {
        try {
          await work(i)
        } catch (error) {
          hasFailed = true
          throw error
        }
      }
    }),
  )
  const failed = ended.find((each) => each.status === 'rejected')
  if (failed) throw failed.reason
  return perSecond(operations, began)
}

export function median(figures: readonly number[]): number {
  return quantile(figures, 0.5)
}

/** The figure below which a share of them lies. */
export function quantile(figures: readonly number[], share: number): number {
  const sorted = [...figures].sort((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)] ?? NaN
  return below + ((sorted[Math.ceil(position)] ?? NaN) - below) * (position % 1)
}
