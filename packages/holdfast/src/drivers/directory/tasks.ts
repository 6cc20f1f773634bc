/** What is to be done with one record, decided by what is there, under the lock of its shard. */

import type { Outcome, Replacement, Swept, Touch } from '../../store/contract.ts'
import { isLive, type Key, type StoredRecord } from '../../store/record.ts'
import { encodedId, hintOf, hourOf, type Layout } from './layout.ts'
import type { Entry } from './finder.ts'

/** What a task decided. Without a record and without removal nothing is written. */
export interface Decision<T> {
  readonly answer: T
  /** The record becomes this. */
  readonly record?: StoredRecord
  /** The record is removed. */
  readonly isRemoved?: boolean
  /** Entries to be made, beyond those of a changed record. */
  readonly add?: readonly Entry[]
  /** Entries to be removed, beyond those of a changed record. */
  readonly drop?: readonly Entry[]
}

/** A change of one record. */
export interface Task<T> {
  readonly key: Key
  /** It may use the room that is reserved. */
  readonly isBurial: boolean
  /** Whether a file that is no record may be in the way. */
  readonly ignoresDamage?: boolean
  decide(current: StoredRecord | undefined): Decision<T>
}

/** A record of our own, which the caller can't change any more. */
export function copyOf(record: StoredRecord): StoredRecord {
  const { key, labels, value } = record
  return {
    ...record,
    key: { collection: key.collection, id: key.id },
    labels: [...labels],
    value: Uint8Array.from(value),
  }
}

export function creating(record: StoredRecord, now: number): Task<'done' | 'conflict'> {
  const copy = copyOf(record)
  return {
    key: copy.key,
    isBurial: false,
    decide: (current) =>
      current && isLive(current, now) ? { answer: 'conflict' } : { answer: 'done', record: copy },
  }
}

export function replacing(replacement: Replacement, now: number): Task<Outcome> {
  const { expected, version, labels, expiresAt, setsExpiry, touchedAt, expired } = replacement
  const key = { collection: replacement.key.collection, id: replacement.key.id }
  const value = Uint8Array.from(replacement.value)
  const given = labels && [...labels]
  return {
    key,
    isBurial: expired,
    decide: (current) => {
      if (!current || !(expired || isLive(current, now))) return { answer: 'gone' }
      if (current.version !== expected) return { answer: 'conflict' }
      const record = {
        key,
        version,
        labels: given ?? current.labels,
        value,
        expiresAt: setsExpiry ? expiresAt : Math.max(expiresAt, current.expiresAt),
        touchedAt: Math.max(touchedAt, current.touchedAt),
      }
      return { answer: 'done', record }
    },
  }
}

export function touching(touch: Touch, now: number): Task<Outcome> {
  const { version, expiresAt, touchedAt } = touch
  return {
    key: { collection: touch.key.collection, id: touch.key.id },
    isBurial: false,
    decide: (current) => {
      if (!current || !isLive(current, now)) return { answer: 'gone' }
      if (current.version !== version) return { answer: 'conflict' }
      if (expiresAt <= current.expiresAt && touchedAt <= current.touchedAt) return { answer: 'done' }
      const record = {
        ...current,
        expiresAt: Math.max(expiresAt, current.expiresAt),
        touchedAt: Math.max(touchedAt, current.touchedAt),
      }
      return { answer: 'done', record }
    },
  }
}

/** Also removes what is damaged: that is how an operator gets rid of it. */
export function removing({ collection, id }: Key): Task<'done'> {
  return {
    key: { collection, id },
    isBurial: true,
    ignoresDamage: true,
    decide: () => ({ answer: 'done', isRemoved: true }),
  }
}

/** Removes a record that expired at or before `before`, and puts right the hint that led to it. */
export function sweeping(layout: Layout, key: Key, hinted: number, before: number): Task<Swept | undefined> {
  const hint = (hour: number): Entry => ({ folder: layout.hour(hour), name: hintOf(key) })
  return {
    key,
    isBurial: true,
    decide: (current) => {
      const drop = [hint(hinted)]
      if (!current) return { answer: undefined, drop }
      const { labels, expiresAt } = current
      if (expiresAt <= before) return { answer: { key, labels, expiresAt }, isRemoved: true, drop }
      const hour = hourOf(expiresAt)
      if (hour === hinted) return { answer: undefined }
      return { answer: undefined, drop, ...(hour === undefined ? {} : { add: [hint(hour)] }) }
    },
  }
}

/** Removes the entries of labels that the record does not carry. */
export function unlisting(layout: Layout, key: Key, label: string): Task<undefined> {
  return {
    key,
    isBurial: true,
    decide: (current) => {
      if (current?.labels.includes(label) === true) return { answer: undefined }
      const entry = { folder: layout.label(key.collection, label), name: encodedId(key.id) }
      return { answer: undefined, drop: [entry] }
    },
  }
}
