/**
 * `store-read`, `store-save` and `store-list`: a store against the raw client doing the least possible work on the
 * same server, 64 in flight on both sides. Ours is opened by its URL, so with the client and the settings that
 * everybody gets. Both sides hold values of the same length, and every write differs from the one before.
 */

import type { Store } from 'holdfast'
import { type Backend, attempted } from './backends.ts'
import {
  collection,
  draftsOf,
  fill,
  hour,
  keyOf,
  type Shape,
  shuffled,
  valueBytes,
  valueOf,
} from './filling.ts'
import { type Finding, inFlight, inTurn, type Series, type Settings, type Side } from './measure.ts'
import type { Raw } from './raw/raw.ts'

const together = 64

/** What one benchmark does on each side. */
interface Comparison {
  readonly shape: Shape
  readonly operations: number
  readonly unit: string
  readonly what: string
  ours(store: Store): Promise<(i: number) => unknown>
  theirs(raw: Raw): (i: number) => Promise<unknown>
}

/** Reads of single records, by key. */
export const storeRead: Series = (settings) => overNetwork(settings, reading(settings))
/** Compare-and-swaps of single records. */
export const storeSave: Series = (settings) => overNetwork(settings, saving(settings))
/** One user's records, among many users'. SQLite too. */
export const storeList: Series = (settings) => compared(settings.backends, settings, listing(settings))

function reading({ scale }: Settings): Comparison {
  const shape = { count: scaled(10_000, scale), perOwner: 10 }
  const keys = Array.from({ length: shape.count }, (_, i) => keyOf(i))
  return {
    shape,
    operations: scaled(40_000, scale),
    unit: 'reads/s',
    what: `${shape.count} records`,
    ours: async (store) => async (i) => {
      if (!(await store.read(keys[shuffled(i, shape.count)]!))) throw new Error('a record was not read')
    },
    theirs: (raw) => (i) => raw.read(shuffled(i, shape.count)),
  }
}

function saving({ scale }: Settings): Comparison {
  const shape = { count: scaled(10_000, scale), perOwner: 10 }
  const keys = Array.from({ length: shape.count }, (_, i) => keyOf(i))
  return {
    shape,
    operations: scaled(20_000, scale),
    unit: 'saves/s',
    what: `compare-and-swap of ${shape.count} records`,
    ours: async (store) => {
      const versions = (await store.readMany(keys)).map((record) => record?.version ?? '')
      let turn = 0
      return async (i) => {
        const chosen = shuffled(i, shape.count)
        const written = await store.replace({
          key: keys[chosen]!,
          expected: versions[chosen]!,
          value: valueOf(chosen, ++turn),
          expiresAt: Date.now() + 24 * hour,
        })
        if (written.status !== 'done') throw new Error(`a record was not saved: ${written.status}`)
        versions[chosen] = written.version
      }
    },
    theirs: (raw) => (i) => raw.save(shuffled(i, shape.count)),
  }
}

function listing({ scale }: Settings): Comparison {
  const shape = { count: scaled(1_000_000, scale), perOwner: 100 }
  const owners = Math.ceil(shape.count / shape.perOwner)
  return {
    shape,
    operations: scaled(2_000, scale),
    unit: 'lists/s',
    what: `one user's 100 among ${shape.count} records`,
    ours: async (store) => async (i) => {
      const labels = [`user:u${shuffled(i, owners)}`]
      const { records } = await store.list(collection, { labels, limit: 100 })
      if (records.length !== 100) throw new Error(`a list had ${records.length} records`)
    },
    theirs: (raw) => async (i) => {
      const length = await raw.list(`u${shuffled(i, owners)}`)
      if (length !== 100) throw new Error(`a list had ${length} records`)
    },
  }
}

function overNetwork(settings: Settings, comparison: Comparison): AsyncIterable<Finding> {
  return compared(
    settings.backends.filter(({ isNetwork }) => isNetwork),
    settings,
    comparison,
  )
}

async function* compared(
  backends: readonly Backend[],
  settings: Settings,
  comparison: Comparison,
): AsyncGenerator<Finding> {
  for (const backend of backends) {
    const found = await attempted(backend, (store, what) => sides(backend, store, what, settings, comparison))
    if (found) yield { of: backend.name, ...found }
  }
}

async function sides(
  backend: Backend,
  store: Store,
  description: string,
  settings: Settings,
  { shape, operations, unit, what, ...comparison }: Comparison,
) {
  if (unit === 'lists/s' && store.capabilities.listing !== 'complete') return undefined
  const raw = await backend.raw()
  try {
    await fill(store, 0, shape.count, draftsOf(shape))
    await raw.fill(shape)
    const ours = await comparison.ours(store)
    const theirs = comparison.theirs(raw)
    const side =
      (work: (i: number) => unknown): Side =>
      () =>
        inFlight(operations, together, work)
    const figures = await inTurn(settings, side(ours), side(theirs))
    const note = `${description}, ${what} of ${valueBytes} bytes, ${together} in flight, against ${raw.note}`
    return { ...figures, unit, note }
  } finally {
    await raw.end()
  }
}

/** At least a thousandth, so that trying out still does something. */
export function scaled(count: number, scale: number): number {
  return Math.max(Math.round(count * scale), Math.ceil(count / 1_000), 200)
}
