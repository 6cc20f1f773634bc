/**
 * `sweep`: 1 million expired records are removed from among 4 million, on the stores that keep the expired until they
 * are swept. How fast, how long the longest committed batch took (by the clock of the caller, its way to the server
 * included), and what becomes of the reads of others meanwhile.
 */

import { type Store, sweepAll } from 'holdfast'
import { type Backend, attempted } from './backends.ts'
import { draftsOf, fill, keyOf, shuffled } from './filling.ts'
import { type Finding, quantile, type Series, type Settings } from './measure.ts'
import { scaled } from './stores.ts'

/** The stores without an expiry of their own. */
const swept = ['sqlite', 'postgres', 'mariadb', 'mysql']
const readers = 4
/** Milliseconds between two reads of one reader: enough reads to feel what happens, and not a load of their own. */
const pause = 2
const idleMs = 5_000

export const sweep: Series = async function* (settings) {
  for (const backend of settings.backends.filter(({ name }) => swept.includes(name))) {
    yield* (await attempted(backend, (store, what) => figuresOf(backend, store, what, settings))) ?? []
  }
}

async function figuresOf(
  { name }: Backend,
  store: Store,
  what: string,
  { scale }: Settings,
): Promise<readonly Finding[]> {
  const live = scaled(3_000_000, scale)
  const expired = scaled(1_000_000, scale)
  await fill(store, 0, live, draftsOf({ perOwner: 100 }))
  await fill(store, live, live + expired, draftsOf({ perOwner: 100 }, -2 * store.margin))
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
  const note = `${what}, ${expired} expired among ${live + expired}, batches of 1,000, ${readers} readers`
  const alone = { theirs: null, ratio: null, note }
  const p99 = { ours: quantile(meanwhile, 0.99), theirs: quantile(idle, 0.99) }
  return [
    { of: `${name} speed`, ours: expired / seconds, unit: 'rows/s', ...alone },
    { of: `${name} longest batch`, ours: slowest, unit: 'ms', ...alone },
    {
      of: `${name} reads meanwhile`,
      ...p99,
      ratio: p99.theirs / p99.ours,
      unit: 'ms, 99th percentile',
      note: `${note}; against the same reads before`,
    },
  ]
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
