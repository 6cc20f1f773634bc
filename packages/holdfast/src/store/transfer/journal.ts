/**
 * How far a transfer has come, kept as a record of the target, so that it goes on there after the process was killed.
 *
 * A page counts once all its records are acknowledged by the target, never before. The record says which slices were
 * begun and where each of those that are under way goes on: a few cursors, however large the store is.
 */

import { createHash } from 'node:crypto'
import { InvalidOption, RecordCorrupt, TransferConflict } from '../../errors.ts'
import type { Cursor } from '../contract.ts'
import { type Key, keyText, type StoredRecord, type Version } from '../record.ts'
import type { Store } from '../store.ts'

const collection = 'meta'
const prefix = 'transfer-'
/** How long a transfer that was given up is remembered, in milliseconds. */
const remembered = 30 * 86_400_000
/** How often it is written at most, in milliseconds. What was copied since is met again after a kill. */
const writtenEvery = 1_000

/** Where a slice goes on, and how many of its records were seen. */
export interface Place {
  readonly after?: Cursor
  readonly seen: number
}

interface State {
  readonly slices: number
  /** Slices below this one were begun; those of them that are not under way are done. */
  readonly begun: number
  readonly underWay: Readonly<Record<string, Place>>
  /** How many records the slices that are done have. */
  readonly seen: number
}

/** The name of the copy of a source, the same in each run of it. */
export function copyName(source: string): string {
  return createHash('sha256').update(source).digest('base64url').slice(0, 22)
}

/** Whether a record is a transfer's own, which no transfer moves. */
export function isJournal({ key }: StoredRecord): boolean {
  return key.collection === collection && key.id.startsWith(prefix)
}

export class Journal {
  readonly slices: number
  /** Whether it goes on with what an earlier run began. */
  readonly resumed: boolean
  readonly #store: Store
  readonly #key: Key
  readonly #underWay: Map<number, Place>
  /** Those under way that nobody in this run has taken yet. */
  readonly #left: number[]
  #begun: number
  #seen: number
  #version: Version
  #writtenAt: number
  #writing: Promise<void> | undefined

  /** Finds the journal of an earlier run of this copy, or begins one. */
  static async open(store: Store, copy: string, slices: number, restart: boolean): Promise<Journal> {
    const key = { collection, id: `${prefix}${copy}` }
    const found = await store.read(key, { strict: true, expired: true })
    const state = found && !restart ? parsed(found) : undefined
    const fresh = state ?? { slices, begun: 0, underWay: {}, seen: 0 }
    const draft = { key, value: encoded(fresh), expiresAt: store.clock.now() + remembered }
    const written = found
      ? await store.replace({ ...draft, expected: found.version, setsExpiry: true, expired: true })
      : await store.create(draft)
    if (written.status !== 'done') throw another(key)
    return new Journal(store, key, written.version, fresh, state !== undefined)
  }

  private constructor(store: Store, key: Key, version: Version, state: State, resumed: boolean) {
    this.slices = state.slices
    this.resumed = resumed
    this.#store = store
    this.#key = key
    this.#version = version
    this.#begun = state.begun
    this.#seen = state.seen
    this.#underWay = new Map(Object.entries(state.underWay).map(([index, place]) => [Number(index), place]))
    this.#left = [...this.#underWay.keys()]
    this.#writtenAt = store.clock.elapsed()
  }

  /** How many records the source seems to have, from the slices that are done: they are even. */
  get estimate(): number | undefined {
    const done = this.#begun - this.#underWay.size
    return done > 0 ? Math.round((this.#seen / done) * this.slices) : undefined
  }

  /** How many records were seen, in earlier runs too. */
  get seen(): number {
    return [...this.#underWay.values()].reduce((sum, { seen }) => sum + seen, this.#seen)
  }

  /** The next slice to work on, those first that an earlier run left half done. */
  take(): { readonly index: number; readonly place: Place } | undefined {
    const index = this.#left.shift() ?? (this.#begun < this.slices ? this.#begun++ : undefined)
    if (index === undefined) return undefined
    const place = this.#underWay.get(index) ?? { seen: 0 }
    this.#underWay.set(index, place)
    return { index, place }
  }

  /** All records before this place are in the target. A slice without a further page is done. */
  async advance(index: number, place: Place): Promise<void> {
    if (place.after === undefined) {
      this.#underWay.delete(index)
      this.#seen += place.seen
    } else this.#underWay.set(index, place)
    if (this.#store.clock.elapsed() - this.#writtenAt >= writtenEvery) await this.save()
  }

  /** Writes down how far it has come. */
  async save(): Promise<void> {
    // One at a time: each names the version of the one before.
    this.#writing ??= this.#save().finally(() => {
      this.#writing = undefined
    })
    await this.#writing
  }

  async #save(): Promise<void> {
    this.#writtenAt = this.#store.clock.elapsed()
    const state: State = {
      slices: this.slices,
      begun: this.#begun,
      underWay: Object.fromEntries(this.#underWay),
      seen: this.#seen,
    }
    const written = await this.#store.replace({
      key: this.#key,
      expected: this.#version,
      value: encoded(state),
      expiresAt: this.#store.clock.now() + remembered,
    })
    if (written.status !== 'done') throw another(this.#key)
    this.#version = written.version
  }

  /** Refuses to copy a store onto itself: its journal would be in the source as well. */
  async refuseSame(source: Store): Promise<void> {
    const found = await source.read(this.#key, { strict: true })
    if (found?.version !== this.#version) return
    await this.remove()
    throw new InvalidOption(
      `the source and the target are the same store and namespace (${source.namespace}): name another one`,
    )
  }

  /** Forgets the transfer: a later run begins anew. */
  async remove(): Promise<void> {
    await this.#writing
    await this.#store.remove([this.#key])
  }
}

function encoded(state: State): Uint8Array {
  return Buffer.from(JSON.stringify(state))
}

function parsed(record: StoredRecord): State {
  try {
    return JSON.parse(Buffer.from(record.value).toString()) as State
  } catch (cause) {
    throw new RecordCorrupt(
      `${keyText(record.key)} of the target does not say how far the transfer has come: begin it anew (restart)`,
      { cause },
    )
  }
}

function another(key: Key): TransferConflict {
  return new TransferConflict(
    `${keyText(key)} of the target was changed: another transfer of the same source has taken over`,
  )
}
