/** Small worlds under the schedule search: the real rules, several processes, one store in memory. */

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'
import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { create } from '../../packages/holdfast/src/records/creating.ts'
import { ParentGone } from '../../packages/holdfast/src/errors.ts'
import type { Living } from '../../packages/holdfast/src/records/envelope.ts'
import { type Entry, Records } from '../../packages/holdfast/src/records/records.ts'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Capabilities, Driver, Listing } from '../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import type { FaultyDriver } from '../../packages/holdfast/src/testing/faults.ts'
import {
  type ExploreOptions,
  exploreSchedules,
  type Scenario,
  type ScenarioMaker,
  type TaskEnd,
  type World,
} from '../../packages/holdfast/src/testing/schedule.ts'
import { Tokens, type TokensOptions } from '../../packages/holdfast/src/tokens/tokens.ts'

/** What a scene is set in. */
export interface Setting {
  /** What the store can do. A feed would tie processes together behind the scheduler's back, so there is none. */
  readonly declare?: Partial<Capabilities>
  /** Records per page of a listing, so that a few records are several pages. @default as asked for */
  readonly page?: number
}

/** One store and any number of processes over it. */
export class Scene {
  readonly world: World
  readonly driver: FaultyDriver

  constructor(world: World, { declare, page }: Setting = {}) {
    this.world = world
    const memory = memoryDriver({ memory: new Memory() })
    const driver = page === undefined ? memory : inPages(memory, page)
    this.driver = world.driver(driver, { declare: { watch: false, ...declare } })
  }

  /** A store of its own, as every process has. */
  store(): Store {
    return guard(this.driver, { clock: this.world.clock })
  }

  /** The sessions of one more process. */
  sessions(options: SessionsOptions = {}): Sessions {
    return new Sessions(this.store(), options)
  }

  /** The tokens of one more process. */
  tokens(options: TokensOptions = {}): Tokens {
    return new Tokens(this.store(), options)
  }

  /** The records of tokens in one more process, for what has no door yet. */
  tokenRecords(): Records {
    return new Records(this.store(), {
      collection: 'tokens',
      retention: 1_000_000,
      longest: never,
      markBound: 1_000,
      tombstoneLabels: () => [],
    })
  }
}

/** Derives a token, as the door that is to come will do it: the parent is read, then the child is created. */
export async function derive(records: Records, parent: string, user = 'ada'): Promise<Entry> {
  const found = await records.find(parent, { strict: true })
  if (found.state !== 'live') throw new ParentGone('it was gone before')
  const { epochs } = found.entry.envelope
  const envelope: Living = { ...blank(records.now), user, parent, epochs }
  return await create(records, { envelope, labels: [`user:${user}`], expiresAt: envelope.absolute })
}

/** The envelope of something that lives for an hour and that nobody has a secret of. */
export function blank(now: number): Living {
  return {
    state: 'live',
    digest: 'x'.repeat(43),
    past: [],
    createdAt: now,
    authenticatedAt: now,
    absolute: now + 3_600_000,
    latest: 0,
    epochs: {},
    data: {},
  }
}

/** Everything that a search may add to the orders themselves: one thing at a time, or it takes too long. */
export const everyFault: readonly ExploreOptions[] = [
  { crashes: 1 },
  { faults: { loseAnswer: 1 } },
  { faults: { loseRequest: 1 } },
  { faults: { late: 1 } },
]

/** The same without crashes: every task comes to an end. */
export const everyLoss: readonly ExploreOptions[] = everyFault.filter(({ crashes }) => crashes === undefined)

/** Whether there is time for everything. */
const long = process.env['HOLDFAST_TEST_LONG'] === '1'

/** What has too many orders for every day: all of them in the long run, and otherwise some that are drawn. */
export function drawn(options: ExploreOptions = {}): ExploreOptions {
  return long ? options : { ...options, random: { schedules: 1_000, seed: 20_261_121 } }
}

/** Searches once per kind of faults, and prints what was searched: every order that can make a difference. */
export async function explore(
  t: TestContext,
  make: ScenarioMaker,
  kinds: readonly ExploreOptions[] = [{}],
): Promise<void> {
  const restore = repeatableRandom()
  try {
    for (const options of kinds) {
      const found = await exploreSchedules((world) => repeatably(make, world), {
        reduction: options.preemptions === undefined && !options.random ? 'independent' : 'none',
        maxSchedules: long ? 1_000_000 : 15_000,
        ...options,
      })
      t.diagnostic(found.summary)
      assert.ok(found.complete || options.random, 'the search was cut short')
      assert.ok(found.schedules > 1, 'there was only one order')
    }
  } finally {
    restore()
  }
}

/** Who draws random numbers, and how many were drawn: so that every run draws the same, in whatever order. */
interface Drawer {
  readonly name: string
  drawn: number
}

const drawers = new AsyncLocalStorage<Drawer>()

async function repeatably(make: ScenarioMaker, world: World): Promise<Scenario> {
  const scenario = await drawers.run({ name: 'making', drawn: 0 }, async () => await make(world))
  const tasks = Object.entries(scenario.tasks).map(([name, run]) => {
    return [name, () => drawers.run({ name, drawn: 0 }, run)] as const
  })
  return { ...scenario, tasks: Object.fromEntries(tasks) }
}

/**
 * Listings are in the order of ids, and ids are random: a schedule could not be run twice. Inside of scenarios what is
 * drawn is therefore as good as random, and the same each time.
 */
function repeatableRandom(): () => void {
  const random = crypto.randomFillSync
  const fill = (buffer: Buffer, offset = 0, size = buffer.length - offset): Buffer => {
    const drawer = drawers.getStore()
    if (!drawer) return random(buffer, offset, size)
    for (let at = offset; at < offset + size; at += 32) {
      const digest = crypto.createHash('sha256').update(`${drawer.name} ${drawer.drawn++}`).digest()
      digest.copy(buffer, at, 0, offset + size - at)
    }
    return buffer
  }
  crypto.randomFillSync = fill as typeof random
  syncBuiltinESMExports()
  return () => {
    crypto.randomFillSync = random
    syncBuiltinESMExports()
  }
}

/** Whether a task came to its end, and nobody was told otherwise. */
export function returned(end: TaskEnd | undefined): boolean {
  return end?.status === 'returned'
}

/** The code of the error that a task threw. */
export function thrown(end: TaskEnd | undefined): string | undefined {
  return end?.status === 'threw' ? end.error.code : undefined
}

/** How many records of a collection with these labels are not tombstones: also what no reader would accept. */
export async function remaining(
  scene: Scene,
  collection: string,
  ...labels: readonly string[]
): Promise<number> {
  const { records } = await scene.store().list(collection, { labels, expired: true })
  return records.length
}

/** Whether a credential opens a session. Looked up by a process that has seen nothing. */
export async function opens(scene: Scene, credential: string | undefined): Promise<boolean> {
  return !(await scene.sessions().load(credential)).isNew
}

/** The driver with short pages. */
function inPages(driver: Driver, limit: number): Driver {
  return new Proxy(driver, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'list') return value.bind(target) as unknown
      return (listing: Listing, call: unknown) =>
        Reflect.apply(value, target, [{ ...listing, limit }, call]) as unknown
    },
  })
}
