/** Measuring two sides in turn, so that both meet the same noise. */

/** What a benchmark found. */
export interface Result {
  /** Median of the rounds, per second. */
  readonly ours: number
  readonly theirs: number
  /** Median of the ratios of each pair of rounds; above 1 ours is faster. */
  readonly ratio: number
  readonly unit: string
  readonly note: string
}

export interface Settings {
  /** Pairs of rounds that are counted; one more comes first, to warm up. */
  readonly rounds: number
}

export type Benchmark = (settings: Settings) => Promise<Result>

/** One side: does its work once and answers how many operations per second that were. */
export type Side = () => Promise<number>

/** Measures both sides in turn. Which one begins alternates, so that neither always follows the other. */
export async function inTurn(
  { rounds }: Settings,
  ours: Side,
  theirs: Side,
): Promise<Omit<Result, 'unit' | 'note'>> {
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

function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
