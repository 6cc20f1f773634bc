/**
 * `store-growth`: whether an operation becomes slower as the store grows, and for a user who owns much. Each operation
 * is measured at 10 thousand, 100 thousand and 1 million records, and against itself at 10 thousand; then for a user
 * who owns 100,000 tokens against one who owns a single one. A ratio of 0.5 means half as fast.
 */

import type { Store } from 'holdfast'
import { attempted } from './backends.ts'
import { collection, draftsOf, fill, hour, idOf, keyOf, shuffled, valueOf } from './filling.ts'
import { type Finding, inFlight, median, type Series, type Settings } from './measure.ts'
import { scaled } from './stores.ts'

const together = 16
const perOwner = 100
/** Calls per round: enough for a median, and few enough for what is slow. */
const usually = 800

/** Operations per second, by the name of the operation. */
type Figures = ReadonlyMap<string, number>

export const storeGrowth: Series = async function* (settings) {
  for (const backend of settings.backends) {
    yield* (await attempted(backend, (store, what) => grown(backend.name, store, what, settings))) ?? []
  }
}

async function grown(name: string, store: Store, what: string, settings: Settings): Promise<Finding[]> {
  const sizes = [10_000, 100_000, 1_000_000, ...(settings.large ? [10_000_000] : [])]
  const findings: Finding[] = []
  const draftOf = draftsOf({ perOwner })
  let size = 0
  let first: Figures | undefined
  for (const next of new Set(sizes.map((each) => scaled(each, settings.scale)))) {
    await fill(store, size, next, draftOf)
    size = next
    const figures = await measured(operationsAt(store, size), settings)
    const smallest = (first ??= figures)
    if (smallest === figures) continue
    const note = `${what}, ${size} records against ${scaled(sizes[0]!, settings.scale)}, ${together} in flight`
    findings.push(...compared(`${name} ${size}`, figures, smallest, note))
  }
  findings.push(...(await owners(name, store, what, settings)))
  return findings
}

/** A user who owns much against one who owns one, in the same store. */
async function owners(name: string, store: Store, what: string, settings: Settings): Promise<Finding[]> {
  const many = scaled(100_000, settings.scale)
  // Numbers that none of the others has.
  const start = 100_000_000
  const draftOf = (user: string) => (i: number) => ({
    ...draftsOf({ perOwner })(i),
    labels: [`user:${user}`],
  })
  await fill(store, start, start + many, draftOf('many'))
  await fill(store, start + many, start + many + 1, draftOf('one'))
  const of = (user: string, number: (i: number) => number): readonly Operation[] =>
    userOperations(store, user, number)
  const rich = await measured(
    of('many', (i) => start + shuffled(i, many)),
    settings,
  )
  const poor = await measured(
    of('one', () => start + many),
    settings,
  )
  const note = `${what}, a user who owns ${many} against one who owns 1`
  return compared(`${name} user of ${many}`, rich, poor, note)
}

function compared(name: string, ours: Figures, theirs: Figures, note: string): Finding[] {
  return [...ours].map(([operation, figure]) => {
    const other = theirs.get(operation) ?? NaN
    return {
      of: `${name} ${operation}`,
      ours: figure,
      theirs: other,
      ratio: figure / other,
      unit: 'calls/s',
      note,
    }
  })
}

interface Operation {
  readonly name: string
  /** How many are in flight; those on one record can only follow each other. @default 16 */
  readonly lanes?: number
  /** How often it is called in one round. @default 800 */
  readonly times?: number
  /** Called with a number that it was never called with before. */
  readonly work: (i: number) => unknown
  /** Takes back what was done. */
  readonly after?: () => Promise<void>
}

async function measured(all: readonly Operation[], { rounds }: Settings): Promise<Figures> {
  const figures = new Map<string, number>()
  for (const { name, lanes = together, times = usually, work, after } of all) {
    const found: number[] = []
    let done = 0
    for (let round = 0; round <= rounds; round++) {
      const start = done
      done += times
      const figure = await inFlight(times, lanes, (i) => work(start + i))
      // The first one warms up.
      if (round > 0) found.push(figure)
    }
    figures.set(name, median(found))
    await after?.()
  }
  return figures
}

function operationsAt(store: Store, size: number): readonly Operation[] {
  const { listing, counting, scanning } = store.capabilities
  const { created, create } = creating(store, size)
  const ownerAt = (i: number): string[] => [`user:u${shuffled(i, Math.ceil(size / perOwner))}`]
  const all: readonly (Operation | false)[] = [
    { name: 'read', work: (i) => store.read(keyOf(shuffled(i, size))) },
    { name: 'create', work: create, after: () => removed(store, created) },
    { name: 'replace', work: (i) => rewritten(store, shuffled(i, size), i) },
    { name: 'touch', work: (i) => touched(store, shuffled(i, size), i) },
    listing === 'complete' && {
      name: 'list a user’s 100',
      work: (i) => store.list(collection, { labels: ownerAt(i) }),
    },
    listing === 'complete' && {
      name: 'list a page of all',
      work: (i) => store.list(collection, { limit: 20, values: false, reverse: i % 2 === 0 }),
    },
    counting && { name: 'count a user’s', work: (i) => store.count(collection, { labels: ownerAt(i) }) },
    scanning && {
      name: 'scan a page',
      times: 200,
      work: (i) => store.scan({ index: i % 64, of: 64, limit: 20 }),
    },
    { name: 'sweep nothing', lanes: 1, times: 10, work: () => store.sweep() },
  ]
  return all.filter((each) => each !== false)
}

function userOperations(store: Store, user: string, number: (i: number) => number): readonly Operation[] {
  const { listing, counting } = store.capabilities
  const labels = [`user:${user}`]
  const { created, create } = creating(store, 200_000_000, labels)
  const all: readonly (Operation | false)[] = [
    { name: 'read', work: (i) => store.read(keyOf(number(i))) },
    listing === 'complete' && {
      name: 'list the first',
      work: () => store.list(collection, { labels, limit: 1 }),
    },
    counting && { name: 'count up to 1', work: () => store.count(collection, { labels, atMost: 1 }) },
    { name: 'replace', lanes: 1, work: (i) => rewritten(store, number(i), i) },
    {
      name: 'replace its labels',
      lanes: 1,
      work: (i) => rewritten(store, number(i), i, [...labels, `state:s${i % 10}`]),
    },
    { name: 'create', work: create, after: () => removed(store, created) },
  ]
  return all.filter((each) => each !== false)
}

function creating(store: Store, from: number, labels = ['user:new']) {
  const created: number[] = []
  const create = async (i: number): Promise<void> => {
    created.push(from + i)
    const expiresAt = Date.now() + hour
    await store.create({ key: keyOf(from + i), value: valueOf(i), labels, expiresAt })
  }
  return { created, create }
}

async function removed(store: Store, numbers: readonly number[]): Promise<void> {
  for (let start = 0; start < numbers.length; start += 200) {
    await store.remove(numbers.slice(start, start + 200).map((i) => keyOf(i)))
  }
}

async function rewritten(
  store: Store,
  number: number,
  turn: number,
  labels?: readonly string[],
): Promise<void> {
  const key = keyOf(number)
  const record = await store.read(key)
  if (!record) throw new Error(`${idOf(number)} is not there`)
  const expiresAt = Date.now() + 24 * hour
  const given = labels ? { labels } : {}
  await store.replace({ key, expected: record.version, value: valueOf(number, turn), expiresAt, ...given })
}

async function touched(store: Store, number: number, turn: number): Promise<void> {
  const record = await store.read(keyOf(number))
  if (!record) throw new Error(`${idOf(number)} is not there`)
  await store.touch([{ key: record.key, version: record.version, expiresAt: record.expiresAt + turn }])
}
