/**
 * `sweep`: 1 million expired records are removed from among 3 million, on the stores that keep the expired until they
 * are swept. How fast, how long the longest committed batch took (by the clock of the caller, its way to the server
 * included), and what becomes of the reads of others meanwhile.
 */

import { type Store, sweepAll } from 'holdfast'
import { perOwner } from './filled.ts'
import { draftsOf, keyOf, shuffled } from './filling.ts'
import { type FilledSeries, quantile } from './measure.ts'
import { sweptSizes, usualSize } from './sizes.ts'

const readers = 4
/** Milliseconds between two reads of one reader: enough reads to feel what happens, and not a load of their own. */
const pause = 2
const idleMs = 5_000

export const sweep: FilledSeries = async function* (filled, settings) {
  const { backend } = filled
  if (!backend.isSwept) return
  const { name } = backend
  const size = usualSize(backend, settings)
  const { live, expired } = sweptSizes(settings.scale)
  const held = await filled.ofSize(size)
  const { store, what } = held
  await filled.add(size, size, live, draftsOf({ perOwner }))
  await filled.add(size, live, live + expired, draftsOf({ perOwner }, -2 * store.margin))
  const idle = await reading(store, live, () => new Promise((resolve) => setTimeout(resolve, idleMs)))
  let slowest = 0
  const began = performance.now()
  let last = began
  const onProgress = (): void => {
    const now = performance.now()
    slowest = Math.max(slowest, now - last)
    last = now
  }
  const meanwhile = await reading(store, live, async () => {
    const removed = await sweepAll(store, { onProgress })
    if (removed !== expired) throw new Error(`${removed} records were swept, not ${expired}`)
  })
  const seconds = (last - began) / 1_000
  const note = `${what}, ${expired} expired among ${held.count}, batches of 100, ${readers} readers`
  const alone = { theirs: null, ratio: null, note }
  const p99 = { ours: quantile(meanwhile, 0.99), theirs: quantile(idle, 0.99) }
  yield { of: `${name} speed`, ours: expired / seconds, unit: 'rows/s', ...alone }
  yield { of: `${name} longest batch`, ours: slowest, unit: 'ms', ...alone }
  yield {
    of: `${name} reads meanwhile`,
    ...p99,
    ratio: p99.theirs / p99.ours,
    unit: 'ms, 99th percentile',
    note: `${note}; against the same reads before`,
  }
}

/** Reads while something else happens, and answers how long each read took, in milliseconds. */
async function reading(store: Store, count: number, during: () => Promise<void>): Promise<readonly number[]> {
  const times: number[] = []
  let isOver = false
  const lanes = Array.from({ length: readers }, async (_, lane) => {
    for (let i = lane; !isOver; i += readers) {
      const began = performance.now()
      if (!(await store.read(keyOf(shuffled(i, count))))) throw new Error('a record was not read')
      times.push(performance.now() - began)
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  })
  try {
    await during()
  } finally {
    isOver = true
  }
  await Promise.all(lanes)
  return times
}
