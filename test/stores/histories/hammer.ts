/** Hammers a few keys of a store, and records what was asked and answered, and when. */

import { openSync, readFileSync, writeSync } from 'node:fs'
import { HoldfastError, OutcomeUnknown } from '../../../packages/holdfast/src/errors.ts'
import { type Key, never, type StoredRecord } from '../../../packages/holdfast/src/store/record.ts'
import type { Store, Written } from '../../../packages/holdfast/src/store/store.ts'
import type { Answered, Asked, Event, Found } from './checker.ts'

/** How to do it. */
export interface Hammering {
  /** Of this process: its marks begin with it. */
  readonly name: string
  readonly seed: number
  /** Milliseconds. */
  readonly time: number
  /** Calls that are made however long they take: a machine may stand still for a while. @default 0 */
  readonly least?: number
  /** Calls under way at once in this process. */
  readonly loops: number
  /** A file to which each call is noted before it is made and when it has ended: for a process that is killed. */
  readonly log?: string
}

/** What was recorded. */
export interface Recording {
  readonly events: readonly Event[]
  /** Codes of the failures after which nothing was changed, and how often each came. */
  readonly failures: Readonly<Record<string, number>>
}

export const collection = 'hammered'
/** Keys that are worked on at the same time. */
export const lanes = 3
/** What the value of a buried record begins with. */
const dead = 'dead-'

/** What this process knows of a lane. */
interface Lane {
  readonly number: number
  /** A lane goes on to another key when one is buried. */
  generation: number
  known: { readonly version: string; readonly mark: string } | undefined
}

export class Hammer {
  readonly #store: Store
  readonly #order: Hammering
  readonly #random: () => number
  readonly #lanes: readonly Lane[]
  readonly #events: Event[] = []
  readonly #failures: Record<string, number> = {}
  readonly #log: number | undefined
  #marks = 0
  #calls = 0

  constructor(store: Store, order: Hammering) {
    this.#store = store
    this.#order = order
    this.#log = order.log === undefined ? undefined : openSync(order.log, 'a')
    this.#random = generator(order.seed)
    this.#lanes = Array.from({ length: lanes }, (_, number) => ({ number, generation: 0, known: undefined }))
  }

  async run(): Promise<Recording> {
    const { time, least = 0, loops } = this.#order
    const ends = performance.now() + time
    const loop = async (): Promise<void> => {
      while (performance.now() < ends || this.#calls < least) await this.#step()
    }
    await Promise.all(Array.from({ length: loops }, loop))
    return { events: this.#events, failures: this.#failures }
  }

  async #step(): Promise<void> {
    const lane = this.#lanes[Math.floor(this.#random() * lanes)]!
    const key = keyOf(lane)
    const { known } = lane
    const dice = this.#random()
    if (!known) await (dice < 0.5 ? this.#create(lane, key) : this.#read(lane, key))
    else if (dice < 0.3) await this.#read(lane, key)
    else if (dice < 0.78) await this.#replace(lane, key, known)
    else if (dice < 0.95) await this.#touch(key, known)
    else if (dice < 0.97) await this.#create(lane, key)
    else await this.#bury(lane, key, known)
  }

  async #read(lane: Lane, key: Key): Promise<void> {
    await this.#record(key, { do: 'read' }, async () => {
      const record = await this.#store.read(key, { strict: true })
      this.#learn(lane, key, record)
      return foundOf(record)
    })
  }

  async #create(lane: Lane, key: Key): Promise<void> {
    const mark = this.#mark()
    const touchedAt = this.#use()
    await this.#record(key, { do: 'create', mark, touchedAt }, async () => {
      const labels = [`lane:${lane.number}`]
      const value = Buffer.from(mark)
      return this.#told(
        lane,
        key,
        mark,
        await this.#store.create({ key, value, labels, expiresAt: never, touchedAt }),
      )
    })
  }

  async #replace(
    lane: Lane,
    key: Key,
    { version, mark: expected }: NonNullable<Lane['known']>,
  ): Promise<void> {
    const mark = this.#mark()
    const touchedAt = this.#use()
    await this.#record(key, { do: 'replace', expected, mark, touchedAt }, async () => {
      const value = Buffer.from(mark)
      const written = await this.#store.replace({
        key,
        expected: version,
        value,
        expiresAt: never,
        touchedAt,
      })
      return this.#told(lane, key, mark, written)
    })
  }

  /** As the rules do it: the value goes, the labels go, the record stays. */
  async #bury(lane: Lane, key: Key, { version, mark: expected }: NonNullable<Lane['known']>): Promise<void> {
    const mark = `${dead}${this.#mark()}`
    const touchedAt = this.#use()
    await this.#record(key, { do: 'bury', expected, mark, touchedAt }, async () => {
      const write = {
        key,
        expected: version,
        value: Buffer.from(mark),
        labels: [],
        expiresAt: never,
        touchedAt,
      }
      const written = await this.#store.replace({ ...write, setsExpiry: true, expired: true })
      return this.#told(lane, key, mark, written)
    })
  }

  async #touch(key: Key, { version, mark: expected }: NonNullable<Lane['known']>): Promise<void> {
    const touchedAt = this.#use()
    await this.#record(key, { do: 'touch', expected, touchedAt }, async () => {
      const [outcome] = await this.#store.touch([{ key, version, expiresAt: never, touchedAt }])
      return outcome!
    })
  }

  /** Makes a call and notes it. What failed for certain has not happened, and is only counted. */
  async #record(key: Key, asked: Asked, make: () => Promise<Answered>): Promise<void> {
    const call = this.#calls++
    const begun = now()
    // What nobody hears the end of may have happened.
    this.#note(call, { key: key.id, asked, answered: 'unknown', begun, ended: Infinity })
    try {
      const answered = await make()
      this.#end(call, { key: key.id, asked, answered, begun, ended: now() })
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      this.#failures[error.code] = (this.#failures[error.code] ?? 0) + 1
      const isUnknown = error instanceof OutcomeUnknown && asked.do !== 'read'
      this.#end(call, isUnknown ? { key: key.id, asked, answered: 'unknown', begun, ended: now() } : null)
      // Whoever is refused waits a little, as a client would.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  #end(call: number, event: Event | null): void {
    if (event) this.#events.push(event)
    this.#note(call, event)
  }

  #note(call: number, event: Event | null): void {
    if (this.#log !== undefined) writeSync(this.#log, `${JSON.stringify({ call, event })}\n`)
  }

  #told(lane: Lane, key: Key, mark: string, written: Written): Answered {
    if (written.status === 'done') this.#learn(lane, key, { version: written.version, mark })
    return written.status
  }

  /** What was answered may be late: then the lane has gone on. */
  #learn(lane: Lane, key: Key, record: StoredRecord | { version: string; mark: string } | undefined): void {
    if (key.id !== keyOf(lane).id) return
    const mark = record && ('mark' in record ? record.mark : markOf(record))
    if (mark?.startsWith(dead)) {
      lane.generation++
      lane.known = undefined
    } else {
      lane.known = record && mark !== undefined ? { version: record.version, mark } : undefined
    }
  }

  #mark(): string {
    return `${this.#order.name}-${this.#marks++}`
  }

  /** Some time around now: uses do not arrive in their order. */
  #use(): number {
    return Date.now() + Math.floor(this.#random() * 40) - 20
  }
}

/** What a process that was killed has noted. */
export function recordingOf(log: string): Recording {
  const events = new Map<number, Event | null>()
  for (const line of readFileSync(log, 'utf8').split('\n').slice(0, -1)) {
    const { call, event } = JSON.parse(line) as { call: number; event: Event | null }
    // JSON knows no infinity.
    events.set(call, event && { ...event, ended: event.answered === 'unknown' ? Infinity : event.ended })
  }
  return { events: [...events.values()].filter((event) => event !== null), failures: {} }
}

export function foundOf(record: StoredRecord | undefined): Found {
  return record ? { mark: markOf(record), touchedAt: record.touchedAt } : null
}

/** Nanoseconds of a clock that all processes of a machine share. */
export function now(): number {
  return Number(process.hrtime.bigint())
}

/** Whether a record was buried. */
export function isDead(found: Found): boolean {
  return found?.mark.startsWith(dead) ?? false
}

function markOf({ value }: StoredRecord): string {
  return Buffer.from(value).toString()
}

function keyOf({ number, generation }: Lane): Key {
  return { collection, id: `lane-${number}-${generation}` }
}

/** Numbers from 0 to 1 that are the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
