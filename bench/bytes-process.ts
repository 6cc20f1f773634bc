/**
 * The process that `bytes` measures: it reads ever more tokens through a memory of its own and tells after each step
 * how much of the process's memory that takes. Started with `--expose-gc`.
 */

import { type Key, openStore, processMemory, type Store, type TierFigures, tiered, Tokens } from 'holdfast'
import { credentialOf } from './bytes-tokens.ts'
import { keyOf } from './filling.ts'
import { bytesInUse } from './heap.ts'

/** What to measure. */
export interface Reading {
  readonly url: string
  readonly namespace: string
  /** `decoded`: tokens are verified. `records`: their records are read. */
  readonly what: 'decoded' | 'records'
  /** The most that the memory may keep, by its own estimate. */
  readonly maxBytes: number
  /** Up to which number tokens have been read at each step. */
  readonly steps: readonly number[]
}

/** What there is after a step, besides what there was before the first. */
export interface Measured {
  /** How many tokens have been read so far, and how many are kept. */
  readonly read: number
  readonly kept: number
  /** Bytes in and outside of the heap, once everything that nobody holds is gone. */
  readonly measured: number
  /** Bytes as the memory itself counts them. */
  readonly estimated: number
  /** Resident bytes of the whole process. */
  readonly resident: number
}

/** How many tokens are read before, so that code and tables of the process are in place; then they are forgotten. */
const warmUp = 2_000
/** How many readings there are between two pauses, in which the feed and its timers have their turn. */
const inRow = 500

process.on('message', (reading: Reading) => {
  void measured(reading).then(
    (answer) => process.send?.(answer, () => process.exit(0)),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(1))

async function measured(reading: Reading): Promise<readonly Measured[]> {
  const { url, namespace, steps } = reading
  const truth = await openStore(url, { namespace })
  const store = tiered(processMemory({ maxBytes: reading.maxBytes }), truth)
  const read = reader(reading, store)
  await readAll(read, 0, Math.min(warmUp, steps[0] ?? 0))
  await store.invalidate(keysBelow(warmUp))
  const before = await bytesInUse()
  const found: Measured[] = []
  let start = 0
  for (const end of steps) {
    await readAll(read, start, end)
    start = end
    const inUse = await bytesInUse()
    const { entries, bytes } = figuresOf(store)
    const { rss } = process.memoryUsage()
    found.push({ read: end, kept: entries, measured: inUse - before, estimated: bytes, resident: rss })
  }
  await store.close()
  return found
}

function reader({ what }: Reading, store: Store): (i: number) => Promise<unknown> {
  if (what === 'records') return async (i) => await store.read(keyOf(i))
  const tokens = new Tokens(store)
  return (i) => tokens.verify(credentialOf(i))
}

async function readAll(read: (i: number) => Promise<unknown>, start: number, end: number): Promise<void> {
  for (let i = start; i < end; i++) {
    if ((await read(i)) === undefined) throw new Error(`token ${i} was not read`)
    if (i % inRow === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

function keysBelow(count: number): readonly Key[] {
  return Array.from({ length: count }, (_, i) => keyOf(i))
}

function figuresOf(store: Store): Extract<TierFigures, { kind: 'process' }> {
  const [top] = store.figures().tiers ?? []
  if (top?.kind !== 'process') throw new Error('the store has no memory of the process')
  return top
}
