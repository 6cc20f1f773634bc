/**
 * `store-growth`: whether an operation becomes slower as the store grows, and for a user who owns much. Each operation
 * is measured in stores of 10 thousand, 100 thousand and 1 million records, each in a place of its own on one server;
 * then for a user who owns 100,000 tokens against one who owns a single one. The sides work in turn, round by round, in
 * short turns: what else the machine does meets all of them, and a single pause spoils one round of several. A ratio of
 * 0.5 means half as fast as in the smallest store.
 */

import type { Store } from 'holdfast'
import { type FilledStores, perOwner } from './filled.ts'
import { apart, collection, draftsOf, hour, idOf, keyOf, shuffled, valueOf } from './filling.ts'
import { type FilledSeries, type Finding, inFlight, median, type Settings } from './measure.ts'
import { growthSizes, richUser, scaled, usualSize } from './sizes.ts'

const together = 16
/** Milliseconds of one turn: long beside a flush, short beside what a server does now and then. */
const turnMs = 200
/** Calls of one turn, whatever they take. Always some for each lane, so that a call's number tells its lane. */
const fewest = together
const most = 1_000

/** One of those who are compared: a size, a user. */
interface Side {
  readonly name: string
  readonly operations: readonly Operation[]
}

export const storeGrowth: FilledSeries = async function* (filled, settings) {
  yield* sizes(filled, settings)
  yield* owners(filled, settings)
}

async function* sizes(filled: FilledStores, settings: Settings): AsyncGenerator<Finding> {
  const sides: Side[] = []
  let what = ''
  for (const size of growthSizes(filled.backend, settings)) {
    const held = await filled.ofSize(size)
    what = held.what
    sides.push({ name: String(size), operations: operationsAt(held.store, size) })
  }
  const note = (side: Side, base: Side): string =>
    `${what}, ${side.name} records against ${base.name} in turn, ${together} in flight`
  yield* compared(filled.backend.name, sides, settings, note)
}

/** A user who owns much against one who owns one, in the same store. */
async function* owners(filled: FilledStores, settings: Settings): AsyncGenerator<Finding> {
  const size = usualSize(filled.backend, settings)
  const { store, what } = await filled.ofSize(size)
  const many = richUser(filled.backend, settings)
  // Numbers that none of the others has.
  const start = 100_000_000
  const draftOf = (user: string) => {
    const usual = draftsOf({ perOwner })
    return (i: number) => ({ ...usual(i), labels: [`user:${user}`] })
  }
  await filled.add(size, start, start + many, draftOf('many'))
  await filled.add(size, start + many, start + many + 1, draftOf('one'))
  const one = { name: 'user of 1', operations: userOperations(store, 'one', () => start + many) }
  const rich = {
    name: `user of ${many}`,
    operations: userOperations(store, 'many', (i) => start + shuffled(i, many)),
  }
  const note = (): string => `${what}, a user who owns ${many} against one who owns 1, among ${size} records`
  yield* compared(filled.backend.name, [one, rich], settings, note)
}

/** Measures each operation on all sides in turn, against the first of them. */
async function* compared(
  name: string,
  sides: readonly Side[],
  settings: Settings,
  noteOf: (side: Side, base: Side) => string,
): AsyncGenerator<Finding> {
  const [base, ...others] = sides
  if (!base) return
  for (const [i, { name: operation }] of base.operations.entries()) {
    const figures = await inRounds(
      sides.map(({ operations }) => operations[i]!),
      settings,
    )
    for (const [j, side] of others.entries()) {
      const [theirs = [], ours = []] = [figures[0], figures[j + 1]]
      yield {
        of: `${name} ${side.name}/${base.name.replace(/\D/g, '')} ${operation}`,
        ours: median(ours),
        theirs: median(theirs),
        ratio: median(ours.map((figure, round) => figure / (theirs[round] ?? NaN))),
        unit: 'calls/s',
        note: noteOf(side, base),
      }
    }
  }
}

/** Calls per second on each side, round by round. Which side begins changes from round to round. */
async function inRounds(
  sides: readonly Operation[],
  { rounds, scale }: Settings,
): Promise<readonly (readonly number[])[]> {
  const turns: Turns[] = []
  for (const side of sides) turns.push(await Turns.warmedUp(side, scale))
  const found = sides.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    for (let j = 0; j < sides.length; j++) {
      const side = (round + j) % sides.length
      found[side]?.push(await turns[side]!.take())
    }
  }
  return found
}

/** One side's turns at one operation. */
class Turns {
  readonly #operation: Operation
  readonly #times: number
  #done = 0

  private constructor(operation: Operation, times: number, done: number) {
    this.#operation = operation
    this.#times = times
    this.#done = done
  }

  /** Has warmed up, and found out how many calls a turn takes. */
  static async warmedUp(operation: Operation, scale: number): Promise<Turns> {
    const first = new Turns(operation, fewest, 0)
    const cold = await first.take()
    const second = new Turns(operation, callsAt(cold, scale), fewest)
    return new Turns(operation, callsAt(await second.take(), scale), second.#done)
  }

  async take(): Promise<number> {
    const { lanes = together, work, after } = this.#operation
    const start = this.#done
    this.#done += this.#times
    const figure = await inFlight(this.#times, lanes, (i) => work(start + i))
    await after?.()
    return figure
  }
}

/** How many calls fill a turn at this rate. */
function callsAt(perSecond: number, scale: number): number {
  const calls = Math.min(scaled(most, scale), (perSecond * turnMs) / 1_000)
  return Math.max(fewest, Math.floor(calls / together) * together)
}

interface Operation {
  readonly name: string
  /** How many are in flight; those on one record can only follow each other. @default 16 */
  readonly lanes?: number
  /** Called with a number that it was never called with before. */
  readonly work: (i: number) => unknown
  /** Takes back what was done in one turn. */
  readonly after?: () => Promise<void>
}

function operationsAt(store: Store, size: number): readonly Operation[] {
  const { listing, counting, scanning } = store.capabilities
  const { created, create } = creating(store, size)
  const ownerAt = (i: number): string[] => [`user:u${shuffled(i, Math.ceil(size / perOwner))}`]
  const all: readonly (Operation | false)[] = [
    { name: 'read', work: (i) => store.read(keyOf(shuffled(i, size))) },
    { name: 'create', work: create, after: () => removed(store, created) },
    { name: 'replace', work: (i) => rewritten(store, apart(i, size, together), i) },
    { name: 'touch', work: (i) => touched(store, apart(i, size, together), i) },
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
      work: (i) => store.scan({ index: i % 64, of: 64, limit: 20 }),
    },
    // What can't be scanned leaves all expiry to its server.
    scanning && { name: 'sweep nothing', lanes: 1, work: () => store.sweep() },
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
    const draft = { key: keyOf(from + i), value: valueOf(i), labels, expiresAt }
    const { status } = await store.create(draft)
    if (status !== 'done') throw new Error(`a record was not created: ${status}`)
  }
  return { created, create }
}

async function removed(store: Store, numbers: number[]): Promise<void> {
  while (numbers.length > 0) await store.remove(numbers.splice(-200).map((i) => keyOf(i)))
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
  const change = { key, expected: record.version, value: valueOf(number, turn), expiresAt, ...given }
  const { status } = await store.replace(change)
  if (status !== 'done') throw new Error(`${idOf(number)} was not replaced: ${status}`)
}

async function touched(store: Store, number: number, turn: number): Promise<void> {
  const record = await store.read(keyOf(number))
  if (!record) throw new Error(`${idOf(number)} is not there`)
  await store.touch([{ key: record.key, version: record.version, expiresAt: record.expiresAt + turn }])
}
