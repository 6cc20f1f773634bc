/**
 * `store-read`, `store-save` and `store-list`: a store against the raw client doing the least possible work on the
 * same server, 64 in flight on both sides. Ours is opened by its URL, so with the client and the settings that
 * everybody gets. Both sides hold values of the same length, and every write differs from the one before. The records of
 * `store-list` are shared with the benchmarks that need as many.
 */

import type { Store } from 'holdfast'
import { type Backend, attempted } from './backends.ts'
import {
  apart,
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
import { perOwner } from './filled.ts'
import {
  type FilledSeries,
  type Finding,
  inFlight,
  inTurn,
  type Series,
  type Settings,
  type Side,
} from './measure.ts'
import type { Raw } from './raw/raw.ts'
import { fewSize, scaled, usualSize } from './sizes.ts'

const together = 64
/** Milliseconds that one side's turn takes, about. */
const turnMs = 1_500

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
export const storeRead: Series = (settings) => overNetwork(settings, reading)
/** Compare-and-swaps of single records. */
export const storeSave: Series = (settings) => overNetwork(settings, saving)
/** One user's records, among many users'. SQLite too. */
export const storeList: FilledSeries = async function* (filled, settings) {
  const { backend } = filled
  const count = usualSize(backend, settings)
  const { store, what } = await filled.ofSize(count)
  if (store.capabilities.listing !== 'complete') return
  yield { of: backend.name, ...(await sides(backend, store, what, settings, listing(settings, count))) }
}

function reading(settings: Settings, backend: Backend): Comparison {
  const { scale } = settings
  const shape = { count: fewSize(backend, settings), perOwner: 10 }
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

function saving(settings: Settings, backend: Backend): Comparison {
  const { scale } = settings
  const shape = { count: fewSize(backend, settings), perOwner: 10 }
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
        const chosen = apart(i, shape.count, together)
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
    theirs: (raw) => (i) => raw.save(apart(i, shape.count, together)),
  }
}

function listing({ scale }: Settings, count: number): Comparison {
  const shape = { count, perOwner }
  const owners = Math.ceil(count / perOwner)
  return {
    shape,
    operations: scaled(2_000, scale),
    unit: 'lists/s',
    what: `one user's 100 among ${count} records`,
    ours: async (store) => async (i) => {
      const labels = [`user:u${shuffled(i, owners)}`]
      const { records } = await store.list(collection, { labels, limit: perOwner })
      if (records.length !== perOwner) throw new Error(`a list had ${records.length} records`)
    },
    theirs: (raw) => async (i) => {
      const length = await raw.list(`u${shuffled(i, owners)}`)
      if (length !== perOwner) throw new Error(`a list had ${length} records`)
    },
  }
}

async function* overNetwork(
  settings: Settings,
  comparisonOf: (settings: Settings, backend: Backend) => Comparison,
): AsyncGenerator<Finding> {
  for (const backend of settings.backends.filter(({ isNetwork }) => isNetwork)) {
    const comparison = comparisonOf(settings, backend)
    const found = await attempted(backend, async (store, what) => {
      await fill(store, 0, comparison.shape.count, draftsOf(comparison.shape))
      return await sides(backend, store, what, settings, comparison)
    })
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
  const raw = await backend.raw()
  try {
    await raw.fill(shape)
    const ours = await comparison.ours(store)
    const theirs = comparison.theirs(raw)
    const turn = Math.min(operations, await callsPerTurn(ours, theirs))
    const side =
      (work: (i: number) => unknown): Side =>
      () =>
        inFlight(turn, together, work)
    const figures = await inTurn(settings, side(ours), side(theirs))
    const note = `${description}, ${what} of ${valueBytes} bytes, ${together} in flight, against ${raw.note}`
    return { ...figures, unit, note }
  } finally {
    await raw.end()
  }
}

/** As many calls as the slower side makes in a turn, and at least one for each lane. */
async function callsPerTurn(...sides: readonly ((i: number) => unknown)[]): Promise<number> {
  const rates: number[] = []
  for (const side of sides) rates.push(await inFlight(together, together, side))
  return Math.max(together, Math.round((Math.min(...rates) * turnMs) / 1_000))
}
