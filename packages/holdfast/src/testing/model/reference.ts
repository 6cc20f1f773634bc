/**
 * The contract of a driver as plain functions over a map: what each operation answers, and what it leaves behind.
 * Slow and small on purpose, so that it can be compared with the contract line by line.
 */

import type { BatchOutcome, Operation, Outcome, Replacement, Touch } from '../../store/contract.ts'
import {
  carries,
  compareBytes,
  isLive,
  type Key,
  keyText,
  type StoredRecord,
  type Version,
} from '../../store/record.ts'

/** Stands for a version that nobody was told: the write's answer was lost. */
export const untold: Version = 'untold'

/** Everything that is stored, by `keyText`. Never changed: each write makes another one. */
export type State = ReadonlyMap<string, StoredRecord>

/** An answer and what is stored afterwards. */
export interface Step<T> {
  readonly answer: T
  readonly state: State
}

export function create(state: State, record: StoredRecord, now: number): Step<'done' | 'conflict'> {
  const found = state.get(keyText(record.key))
  if (found && isLive(found, now)) return { answer: 'conflict', state }
  return { answer: 'done', state: withRecord(state, record) }
}

export function replace(state: State, replacement: Replacement, now: number): Step<Outcome> {
  const found = state.get(keyText(replacement.key))
  if (!found || !(replacement.expired || isLive(found, now))) return { answer: 'gone', state }
  if (found.version !== replacement.expected) return { answer: 'conflict', state }
  const { version, value, expiresAt, setsExpiry, touchedAt } = replacement
  return {
    answer: 'done',
    state: withRecord(state, {
      key: found.key,
      version,
      value,
      labels: replacement.labels ?? found.labels,
      expiresAt: setsExpiry ? expiresAt : Math.max(expiresAt, found.expiresAt),
      touchedAt: Math.max(touchedAt, found.touchedAt),
    }),
  }
}

export function touch(
  state: State,
  { key, version, expiresAt, touchedAt }: Touch,
  now: number,
): Step<Outcome> {
  const found = state.get(keyText(key))
  if (!found || !isLive(found, now)) return { answer: 'gone', state }
  if (found.version !== version) return { answer: 'conflict', state }
  return {
    answer: 'done',
    state: withRecord(state, {
      ...found,
      expiresAt: Math.max(expiresAt, found.expiresAt),
      touchedAt: Math.max(touchedAt, found.touchedAt),
    }),
  }
}

export function touchMany(state: State, touches: readonly Touch[], now: number): Step<readonly Outcome[]> {
  const answer: Outcome[] = []
  let after = state
  for (const each of touches) {
    const step = touch(after, each, now)
    answer.push(step.answer)
    after = step.state
  }
  return { answer, state: after }
}

export function write(state: State, operations: readonly Operation[], now: number): Step<BatchOutcome> {
  const outcomes: Outcome[] = []
  let after = state
  for (const operation of operations) {
    const step = one(after, operation, now)
    outcomes.push(step.answer)
    after = step.state
  }
  const applied = outcomes.every((outcome) => outcome === 'done')
  return { answer: { applied, outcomes }, state: applied ? after : state }
}

function one(state: State, operation: Operation, now: number): Step<Outcome> {
  if (operation.type === 'create') return create(state, operation.record, now)
  return operation.type === 'replace' ? replace(state, operation, now) : touch(state, operation, now)
}

export function read(state: State, key: Key, expired: boolean, now: number): StoredRecord | undefined {
  const found = state.get(keyText(key))
  return found && (expired || isLive(found, now)) ? found : undefined
}

/** What a listing is asked for. */
export interface Asked {
  readonly collection: string
  readonly labels: readonly string[]
  readonly expired: boolean
  readonly reverse: boolean
}

export function list(
  state: State,
  { collection, labels, expired, reverse }: Asked,
  now: number,
): StoredRecord[] {
  const found = [...state.values()]
    .filter(({ key }) => key.collection === collection)
    .filter((record) => carries(record.labels, labels))
    .filter((record) => expired || isLive(record, now))
    .sort((a, b) => compareBytes(a.key.id, b.key.id))
  return reverse ? found.reverse() : found
}

export function scan(state: State, expired: boolean, now: number): StoredRecord[] {
  return [...state.values()].filter((record) => expired || isLive(record, now))
}

/** What a sweep may remove. */
export function sweepable(state: State, before: number): StoredRecord[] {
  return [...state.values()].filter(({ expiresAt }) => expiresAt <= before)
}

export function remove(state: State, keys: readonly Key[]): State {
  const after = new Map(state)
  for (const key of keys) after.delete(keyText(key))
  return after
}

export function withRecord(state: State, record: StoredRecord): State {
  return new Map(state).set(keyText(record.key), record)
}
