/**
 * Writes on their way to the connection. A job is a tuple, because tuples cross threads several times faster than
 * objects with field names; its value lies in the shared bytes of its group, from `from` to `to`.
 */

import type {
  BatchOutcome,
  Operation,
  Outcome,
  Replacement,
  SweptBatch,
  Touch,
} from '../../store/contract.ts'
import type { Label, StoredRecord } from '../../store/record.ts'
import type { Failure } from './failure.ts'

export type CreateJob = readonly [
  kind: 'create',
  now: number,
  collection: string,
  id: string,
  version: string,
  labels: string,
  expiresAt: number,
  touchedAt: number,
  from: number,
  to: number,
]

export type ReplaceJob = readonly [
  kind: 'replace',
  now: number,
  collection: string,
  id: string,
  expected: string,
  version: string,
  labels: string | null,
  expiresAt: number,
  setsExpiry: boolean,
  touchedAt: number,
  expired: boolean,
  from: number,
  to: number,
]

export type TouchJob = readonly [
  kind: 'touch',
  now: number,
  collection: string,
  id: string,
  version: string,
  expiresAt: number,
  touchedAt: number,
]

/** A write of one record. */
export type RecordJob = CreateJob | ReplaceJob | TouchJob

/** A write that has one answer. */
export type Job =
  | RecordJob
  | readonly [kind: 'touches', touches: readonly TouchJob[]]
  | readonly [kind: 'batch', operations: readonly RecordJob[]]
  | readonly [kind: 'sweep', before: number, limit: number]
  | readonly [kind: 'remove', keys: readonly (readonly [collection: string, id: string])[]]

/** What became of a job. */
export type Answer = Outcome | readonly Outcome[] | BatchOutcome | SweptBatch | Failure

/** Jobs that were issued at the same moment, with the bytes of their values. */
export interface Group {
  readonly jobs: readonly Job[]
  readonly values: Uint8Array
}

/** The bytes of the values of a group, copied in one after the other. */
export class Values {
  #bytes = new Uint8Array(16 * 1024)
  #length = 0

  /** How many bytes are in it. */
  get length(): number {
    return this.#length
  }

  /** Copies a value in and answers with where it begins. */
  add(value: Uint8Array): number {
    const from = this.#length
    const to = from + value.byteLength
    if (to > this.#bytes.byteLength) this.#grow(to)
    this.#bytes.set(value, from)
    this.#length = to
    return from
  }

  /** What was added, not copied. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length)
  }

  #grow(least: number): void {
    const grown = new Uint8Array(Math.max(least, this.#bytes.byteLength * 2))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

export function createJob(record: StoredRecord, now: number, values: Values): CreateJob {
  const { key, version, labels, value, expiresAt, touchedAt } = record
  const from = values.add(value)
  return [
    'create',
    now,
    key.collection,
    key.id,
    version,
    labelsText(labels),
    expiresAt,
    touchedAt,
    from,
    values.length,
  ]
}

export function replaceJob(replacement: Replacement, now: number, values: Values): ReplaceJob {
  const { key, expected, version, value, labels, expiresAt, setsExpiry, touchedAt, expired } = replacement
  const from = values.add(value)
  const text = labels === undefined ? null : labelsText(labels)
  return [
    'replace',
    now,
    key.collection,
    key.id,
    expected,
    version,
    text,
    expiresAt,
    setsExpiry,
    touchedAt,
    expired,
    from,
    values.length,
  ]
}

export function touchJob({ key, version, expiresAt, touchedAt }: Touch, now: number): TouchJob {
  return ['touch', now, key.collection, key.id, version, expiresAt, touchedAt]
}

export function operationJob(operation: Operation, now: number, values: Values): RecordJob {
  switch (operation.type) {
    case 'create':
      return createJob(operation.record, now, values)
    case 'replace':
      return replaceJob(operation, now, values)
    case 'touch':
      return touchJob(operation, now)
  }
}

/** Whether a job destroys, revokes or sweeps, for which room is reserved. */
export function isBurial(job: Job): boolean {
  switch (job[0]) {
    case 'replace':
      return job[10]
    case 'batch':
      return job[1].some(isBurial)
    case 'sweep':
    case 'remove':
      return true
    default:
      return false
  }
}

/** How labels are kept in the record's row. */
export function labelsText(labels: readonly Label[]): string {
  return labels.length === 0 ? '[]' : JSON.stringify(labels)
}

/** The labels of a record's row. */
export function labelsOf(text: string): readonly Label[] {
  return text === '[]' ? [] : (JSON.parse(text) as Label[])
}
