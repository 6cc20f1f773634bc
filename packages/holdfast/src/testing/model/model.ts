/** Every state that a store may be in, given what it has answered so far. */

import { DeadlineExceeded, OutcomeUnknown, StoreUnavailable } from '../../errors.ts'
import {
  compareBytes,
  type Key,
  keyText,
  never,
  type StoredRecord,
  type Version,
} from '../../store/record.ts'
import type { Store } from '../../store/store.ts'
import type { Fault } from '../faults.ts'
import type { StandingClock } from './clock.ts'
import type { ModelCommand } from './fast-check.ts'
import { type Asked, list, type State, untold, withRecord } from './reference.ts'

/** The store under test and what surrounds it. */
export interface Real {
  readonly clock: StandingClock
  readonly store: Store
  readonly canReopen: boolean
  reopen(): Promise<void>
  /** The next calls of the driver suffer these, one each. */
  arm(...faults: (Fault | undefined)[]): void
  /** How many calls have suffered one. */
  fired(): number
  dispose(): Promise<void>
}

/** A command. Its text is a line of the report. */
export type Command = ModelCommand<Model, Real>

/** What an operation was answered. */
export type Observed<T> = { readonly answer: T } | { readonly failed: 'unavailable' | 'unknown' }

/** A listing that is read page by page while other things happen. */
export interface OpenListing {
  readonly asked: Asked
  /** What has carried the labels since before the first page, by id: each must be answered exactly once. */
  due: ReadonlySet<string>
  readonly seen: Set<string>
  after: string | undefined
  last: string | undefined
}

/** The reference's side of a run. */
export class Model {
  /** What was done, one line per operation. */
  readonly steps: string[] = []
  /** One, unless answers were lost. */
  states: readonly State[] = [new Map()]
  /** Versions that were drawn so far. None may come twice. */
  readonly versions = new Set<Version>()
  /** The version before the last, by key: one that no record has any more. */
  readonly outdated = new Map<string, Version>()
  listing: OpenListing | undefined
  readonly #real: Real

  constructor(real: Real) {
    this.#real = real
  }

  get now(): number {
    return this.#real.clock.now()
  }

  /** What a caller would take for the current version of a record. */
  versionOf(key: Key): Version {
    const version = this.states[0]?.get(keyText(key))?.version
    return version === undefined || version === untold ? 'none' : version
  }

  /** Carries out a call, and tells apart what faults may explain from what they may not. */
  async observe<T>(call: () => Promise<T>): Promise<Observed<T>> {
    const before = this.#real.fired()
    try {
      return { answer: await call() }
    } catch (error) {
      const explained = this.#real.fired() > before
      if (explained && error instanceof OutcomeUnknown) return { failed: 'unknown' }
      if (explained && (error instanceof StoreUnavailable || error instanceof DeadlineExceeded)) {
        return { failed: 'unavailable' }
      }
      throw error
    }
  }

  /** Whether a fault has befallen a call since. */
  firedSince(count: number): boolean {
    return this.#real.fired() > count
  }

  get fired(): number {
    return this.#real.fired()
  }

  /** Keeps the states that an answer leaves possible. @throws when none is left. */
  keep(step: string, observed: unknown, next: (state: State) => readonly State[]): void {
    const left = distinct(this.states.flatMap(next))
    if (left.length === 0) {
      const states = this.states.map((state) => describedState(state, this.now)).join(' or ')
      throw new Error(`${step} was answered ${shown(observed)}, with ${states}`)
    }
    this.states = left
    this.#followListing()
  }

  /** A record that was found, where one is expected: the same but for a version that nobody was told. */
  matching(
    state: State,
    expected: StoredRecord | undefined,
    found: StoredRecord | undefined,
  ): State | undefined {
    if (!expected || !found) return expected === found ? state : undefined
    if (!sameBut(expected, found)) return undefined
    if (expected.version === found.version) return state
    if (expected.version !== untold || this.versions.has(found.version)) return undefined
    // What was expected may lack the value; what is stored doesn't.
    return withRecord(state, { ...(state.get(keyText(expected.key)) ?? expected), version: found.version })
  }

  /** Notes a version that a write was given. @throws when it was given before. */
  told(key: Key, version: Version): void {
    if (this.versions.has(version)) throw new Error(`version ${version} was drawn twice`)
    this.versions.add(version)
    const before = this.states[0]?.get(keyText(key))?.version
    if (before !== undefined && before !== untold) this.outdated.set(keyText(key), before)
  }

  /** What no longer carries the labels is no longer due. */
  #followListing(): void {
    const { listing } = this
    if (!listing) return
    const carrying = this.states.map(
      (state) => new Set(list(state, listing.asked, this.now).map(({ key }) => key.id)),
    )
    listing.due = new Set([...listing.due].filter((id) => carrying.every((ids) => ids.has(id))))
  }
}

function distinct(states: readonly State[]): readonly State[] {
  if (states.length < 2) return states
  return [...new Map(states.map((state) => [fingerprint(state), state])).values()]
}

function fingerprint(state: State): string {
  const records = [...state.values()].sort((a, b) => compareBytes(keyText(a.key), keyText(b.key)))
  return JSON.stringify(records.map((record) => ({ ...record, value: textOf(record.value) })))
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString()
}

function sameBut(a: StoredRecord, b: StoredRecord): boolean {
  return (
    keyText(a.key) === keyText(b.key) &&
    a.expiresAt === b.expiresAt &&
    a.touchedAt === b.touchedAt &&
    a.labels.length === b.labels.length &&
    a.labels.every((label, i) => label === b.labels[i]) &&
    Buffer.compare(a.value, b.value) === 0
  )
}

function describedState(state: State, now: number): string {
  const records = [...state.values()].map((record) => describedRecord(record, now))
  return records.length === 0 ? 'nothing stored' : records.join(', ')
}

function describedRecord(
  { key, version, labels, expiresAt, touchedAt, value }: StoredRecord,
  now: number,
): string {
  const until = expiresAt === never ? 'never expires' : `expires at now${signed(expiresAt - now)}`
  const text = textOf(value)
  return `${keyText(key)} {${version}, ${until}, touched at now${signed(touchedAt - now)}, ${JSON.stringify(labels)}, ${text}}`
}

function signed(ms: number): string {
  return ms < 0 ? `${ms}` : `+${ms}`
}

/** Anything, for a message. */
function shown(value: unknown): string {
  // A Buffer turns itself into an object before a replacer sees it, so it is looked up in its parent.
  function readable(this: unknown, name: string, each: unknown): unknown {
    const original = (this as Record<string, unknown>)[name]
    return original instanceof Uint8Array ? textOf(original) : each
  }
  return value === undefined ? 'nothing' : JSON.stringify(value, readable)
}
