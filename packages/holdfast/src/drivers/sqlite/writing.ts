/** The statements that change records, each to be run inside a transaction that somebody else ends. */

import { hash } from 'node:crypto'

import type { BatchOutcome, Outcome, SweptBatch } from '../../store/contract.ts'
import { prepared, type SqliteDatabase, type SqliteStatement } from './database.ts'
import { type CreateJob, labelsOf, type RecordJob, type ReplaceJob, type TouchJob } from './jobs.ts'

interface Head {
  readonly record: number
  readonly version: string
  readonly labels: string
  readonly expires_at: number
}

interface SweptRow {
  readonly collection: string
  readonly id: string
  readonly labels: string
  readonly expires_at: number
}

/** Node.js 22 binds bytes of no length as null. */
const given = "coalesce(?, x'')"

const ofKey = 'where namespace = ? and collection = ? and id = ?'

/** How many buckets there are: slices are ranges of them. */
export const buckets = 2 ** 32

/** Writes records and the finder of their labels, and notes which keys changed. */
export class Writing {
  readonly #namespace: string
  readonly #database: SqliteDatabase
  readonly #head: SqliteStatement
  readonly #insert: SqliteStatement
  readonly #recreate: SqliteStatement
  readonly #keep: SqliteStatement
  readonly #replace: SqliteStatement
  readonly #relabel: SqliteStatement
  readonly #touch: SqliteStatement
  readonly #sweep: SqliteStatement
  readonly #anyExpired: SqliteStatement
  readonly #remove: SqliteStatement
  readonly #addLabel: SqliteStatement
  readonly #dropLabel: SqliteStatement
  /** The keys that changed since this was last emptied, as `collection/id`. */
  changed: string[] = []

  constructor(database: SqliteDatabase, namespace: string) {
    this.#namespace = namespace
    this.#database = database
    const records = 'holdfast_records'
    this.#head = prepared(database, `select record, version, labels, expires_at from ${records} ${ofKey}`)
    this.#insert = prepared(
      database,
      `insert into ${records} (namespace, collection, id, bucket, version, labels, expires_at, touched_at, value)
       values (?, ?, ?, ?, ?, ?, ?, ?, ${given})`,
    )
    this.#recreate = prepared(
      database,
      `update ${records} set version = ?, labels = ?, expires_at = ?, touched_at = ?, value = ${given} where record = ?`,
    )
    // The compare-and-swap: one statement. An expiry that must not be kept counts as 0 in the maximum.
    const change = `version = ?, touched_at = max(touched_at, ?), expires_at = max(?, iif(?, 0, expires_at)), value = ${given}`
    const atVersion = `${ofKey} and version = ? and expires_at > ?`
    // Where the stored expiry stays, leaving it out of the statement spares its index: half of what is written.
    const keep = `version = ?, touched_at = max(touched_at, ?), value = ${given}`
    this.#keep = prepared(database, `update ${records} set ${keep} ${atVersion} and expires_at >= ?`)
    this.#replace = prepared(database, `update ${records} set ${change} ${atVersion}`)
    this.#relabel = prepared(database, `update ${records} set ${change}, labels = ? ${atVersion}`)
    this.#touch = prepared(
      database,
      `update ${records} set touched_at = max(touched_at, ?), expires_at = max(?, expires_at) ${atVersion}`,
    )
    this.#sweep = prepared(
      database,
      `delete from ${records} where record in (
         select record from ${records} where namespace = ? and expires_at <= ? order by expires_at limit ?
       ) returning collection, id, labels, expires_at`,
    )
    this.#anyExpired = prepared(
      database,
      `select 1 from ${records} where namespace = ? and expires_at <= ? limit 1`,
    )
    this.#remove = prepared(database, `delete from ${records} where record = ?`)
    this.#addLabel = prepared(
      database,
      'insert or ignore into holdfast_labels (namespace, collection, label, id) values (?, ?, ?, ?)',
    )
    this.#dropLabel = prepared(
      database,
      'delete from holdfast_labels where namespace = ? and collection = ? and label = ? and id = ?',
    )
  }

  /** One write of one record. @param values The bytes in which its value lies. */
  write(job: RecordJob, values: Uint8Array): Outcome {
    switch (job[0]) {
      case 'create':
        return this.#created(job, values)
      case 'replace':
        return this.#replaced(job, values)
      case 'touch':
        return this.touch(job)
    }
  }

  /** All of the writes or none. */
  batch(jobs: readonly RecordJob[], values: Uint8Array): BatchOutcome {
    this.#database.exec('savepoint batch')
    const before = this.changed.length
    const outcomes = jobs.map((job) => this.write(job, values))
    const applied = outcomes.every((outcome) => outcome === 'done')
    if (!applied) {
      this.#database.exec('rollback to batch')
      this.changed.length = before
    }
    this.#database.exec('release batch')
    return { applied, outcomes }
  }

  touch([, now, collection, id, version, expiresAt, touchedAt]: TouchJob): Outcome {
    const result = this.#touch.run(touchedAt, expiresAt, this.#namespace, collection, id, version, now)
    return isOne(result) ? 'done' : this.#refusal(collection, id, now)
  }

  sweep(before: number, limit: number): SweptBatch {
    const rows = this.#sweep.all(this.#namespace, before, limit) as SweptRow[]
    const removed = rows.map(({ collection, id, labels, expires_at: expiresAt }) => {
      const swept = { key: { collection, id }, labels: labelsOf(labels), expiresAt }
      this.#unlist(collection, id, swept.labels)
      this.changed.push(`${collection}/${id}`)
      return swept
    })
    const isMore = rows.length === limit && this.#anyExpired.get(this.#namespace, before) !== undefined
    return isMore ? { removed, next: 'more' } : { removed }
  }

  remove(keys: readonly (readonly [collection: string, id: string])[]): void {
    for (const [collection, id] of keys) {
      const head = this.#headOf(collection, id)
      if (!head) continue
      this.#remove.run(head.record)
      this.#unlist(collection, id, labelsOf(head.labels))
      this.changed.push(`${collection}/${id}`)
    }
  }

  #created(job: CreateJob, values: Uint8Array): Outcome {
    const [, now, collection, id, version, labels, expiresAt, touchedAt, from, to] = job
    const value = values.subarray(from, to)
    const head = this.#headOf(collection, id)
    if (head && head.expires_at > now) return 'conflict'
    if (head) {
      this.#recreate.run(version, labels, expiresAt, touchedAt, value, head.record)
    } else {
      const bucket = bucketOf(collection, id)
      this.#insert.run(this.#namespace, collection, id, bucket, version, labels, expiresAt, touchedAt, value)
    }
    this.#list(collection, id, head?.labels ?? '[]', labels)
    this.changed.push(`${collection}/${id}`)
    return 'done'
  }

  #replaced(job: ReplaceJob, values: Uint8Array): Outcome {
    const [
      ,
      now,
      collection,
      id,
      expected,
      version,
      labels,
      expiresAt,
      setsExpiry,
      touchedAt,
      expired,
      from,
      to,
    ] = job
    const value = values.subarray(from, to)
    // Every expiry is later than −1, so the expired pass as well.
    const latest = expired ? -1 : now
    const where = [this.#namespace, collection, id, expected, latest] as const
    const isKept =
      labels === null && !setsExpiry && isOne(this.#keep.run(version, touchedAt, value, ...where, expiresAt))
    if (!isKept) {
      const set = [version, touchedAt, expiresAt, setsExpiry ? 1 : 0, value] as const
      const before = labels === null ? '[]' : (this.#headOf(collection, id)?.labels ?? '[]')
      const result =
        labels === null ? this.#replace.run(...set, ...where) : this.#relabel.run(...set, labels, ...where)
      if (!isOne(result)) return this.#refusal(collection, id, latest)
      if (labels !== null) this.#list(collection, id, before, labels)
    }
    this.changed.push(`${collection}/${id}`)
    return 'done'
  }

  /** Why a write at a version found nothing to change. */
  #refusal(collection: string, id: string, latest: number): Outcome {
    const head = this.#headOf(collection, id)
    return head && head.expires_at > latest ? 'conflict' : 'gone'
  }

  #headOf(collection: string, id: string): Head | undefined {
    return this.#head.get(this.#namespace, collection, id) as Head | undefined
  }

  /**
   * Brings the finder from the labels that the record had to those that it has. Those that it keeps are entered too: an
   * entry that was lost comes back, and one that should not be there is in nobody's way.
   */
  #list(collection: string, id: string, before: string, after: string): void {
    const had = labelsOf(before)
    const has = labelsOf(after)
    for (const label of has) this.#addLabel.run(this.#namespace, collection, label, id)
    this.#unlist(
      collection,
      id,
      had.filter((label) => !has.includes(label)),
    )
  }

  #unlist(collection: string, id: string, labels: readonly string[]): void {
    for (const label of labels) this.#dropLabel.run(this.#namespace, collection, label, id)
  }
}

function isOne({ changes }: { readonly changes: number | bigint }): boolean {
  return Number(changes) === 1
}

function bucketOf(collection: string, id: string): number {
  return hash('sha256', `${collection}/${id}`, 'buffer').readUInt32BE(0)
}
