/** The statements that read records. Each sees one committed state; none holds a transaction when it has answered. */

import { InvalidCursor } from '../../errors.ts'
import type { Counting, Cursor, Listing, Page, Slice } from '../../store/contract.ts'
import { carries, isLive, isId, type Key, type Label, type StoredRecord } from '../../store/record.ts'
import {
  asArrays,
  prepared,
  type SqliteDatabase,
  type SqliteInput,
  type SqliteStatement,
} from './database.ts'
import { labelsOf } from './jobs.ts'
import { buckets } from './writing.ts'

interface Row {
  readonly version: string
  readonly labels: string
  readonly expires_at: number
  readonly touched_at: number
  readonly value?: Uint8Array
}

/** A row as an array, in the order of `head`, then the value. */
type Columns = readonly [string, string, number, number, Uint8Array?]

interface ScannedRow extends Row {
  readonly record: number
  readonly collection: string
  readonly id: string
  readonly bucket: number
}

/** The most rows of an index that one page looks at, where several labels have to match. */
const mostLookedAt = 1_001
/** How far each label is counted to find the rarest of several. */
const rareEnough = 200

const noValue = new Uint8Array(0)
const ofKey = 'where namespace = ? and collection = ? and id = ?'
const ofLabel = 'namespace = ? and collection = ? and label = ?'
const head = 'version, labels, expires_at, touched_at'

export class Reading {
  readonly #namespace: string
  readonly #database: SqliteDatabase
  readonly #prepared = new Map<string, SqliteStatement>()
  readonly #whole: SqliteStatement

  constructor(database: SqliteDatabase, namespace: string) {
    this.#namespace = namespace
    this.#database = database
    this.#whole = this.#ofOne(`select ${head}, value from holdfast_records ${ofKey}`)
  }

  read(keys: readonly Key[], expired: boolean, now: number): readonly (StoredRecord | undefined)[] {
    return keys.map((key) => {
      const record = this.#record(this.#whole, key)
      return record && (expired || isLive(record, now)) ? record : undefined
    })
  }

  /**
   * Ids come from one index, in byte order; then each record is read and checked by itself, so that what has changed
   * since is judged by what it is now. The work is bounded by the ids looked at, not by the matches.
   */
  list(listing: Listing, now: number): Page {
    const { collection, labels, limit, values, expired } = listing
    // One more than is asked for tells whether there is more.
    const most = labels.length > 1 ? mostLookedAt : limit + 1
    const found = labels.length === 0 ? this.#idsOfAll(listing, most) : this.#idsByLabels(listing, most)
    const statement = values ? this.#whole : this.#ofOne(`select ${head} from holdfast_records ${ofKey}`)
    const records: StoredRecord[] = []
    for (const [i, { id, hit }] of found.entries()) {
      const record = hit === 1 ? this.#record(statement, { collection, id }) : undefined
      if (record && (expired || isLive(record, now)) && carries(record.labels, labels)) records.push(record)
      if (records.length === limit && i < found.length - 1) return { records, next: id }
    }
    const last = found.at(-1)
    return last && found.length === most ? { records, next: last.id } : { records }
  }

  count({ collection, labels, atMost }: Counting, now: number): number {
    const live = 'expires_at > ?'
    const [first, ...others] = this.#rarestFirst(collection, labels)
    const matching =
      first === undefined
        ? `select 1 from holdfast_records where namespace = ? and collection = ? and ${live}`
        : `select 1 from holdfast_labels f cross join holdfast_records using (namespace, collection, id)
           where ${ofLabel} and ${live} ${others.map(() => `and ${alsoCarries}`).join(' ')}`
    const parameters = first === undefined ? [collection, now] : [collection, first, now, ...others]
    const row = this.#statement(`select count(*) as n from (${matching} limit ?)`).get(
      this.#namespace,
      ...parameters,
      atMost,
    )
    return (row as { n: number }).n
  }

  /** A slice is a range of buckets, so that ids of any make fall evenly. */
  scan({ index, of, after, limit, expired }: Slice, now: number): Page {
    const end = Math.ceil(((index + 1) * buckets) / of)
    const [bucket, record] = after === undefined ? [Math.ceil((index * buckets) / of), -1] : scanned(after)
    const rows = this.#statement(
      `select record, collection, id, bucket, ${head}, value from holdfast_records
       where namespace = ? and bucket < ? and (bucket, record) > (?, ?) order by bucket, record limit ?`,
    ).all(this.#namespace, end, bucket, record, limit + 1) as ScannedRow[]
    const isMore = rows.length > limit
    if (isMore) rows.pop()
    const records = rows
      .map((row) => recordOf({ collection: row.collection, id: row.id }, row))
      .filter((each) => expired || isLive(each, now))
    const last = rows.at(-1)
    return last && isMore ? { records, next: `${last.bucket}.${last.record}` } : { records }
  }

  #idsOfAll({ collection, after, reverse }: Listing, most: number): { id: string; hit: number }[] {
    const [beyond, order] = direction(reverse)
    const from = after === undefined ? '' : `and id ${beyond} ?`
    return this.#statement(
      `select id, 1 as hit from holdfast_records where namespace = ? and collection = ? ${from} order by id ${order} limit ?`,
    ).all(this.#namespace, collection, ...listed(after), most) as { id: string; hit: number }[]
  }

  #idsByLabels({ collection, labels, after, reverse }: Listing, most: number): { id: string; hit: number }[] {
    const [first = '', ...others] = this.#rarestFirst(collection, labels)
    const [beyond, order] = direction(reverse)
    const from = after === undefined ? '' : `and id ${beyond} ?`
    const hit = others.length === 0 ? '1' : others.map(() => alsoCarries).join(' and ')
    return this.#statement(
      `select id, ${hit} as hit from (
         select namespace, collection, id from holdfast_labels where ${ofLabel} ${from} order by id ${order} limit ?
       ) f order by id ${order}`,
    ).all(...others, this.#namespace, collection, first, ...listed(after), most) as {
      id: string
      hit: number
    }[]
  }

  /** Any label's index gives the same ids in the same order, so the shortest one may lead, on each page anew. */
  #rarestFirst(collection: string, labels: readonly Label[]): readonly Label[] {
    if (labels.length < 2) return labels
    const counting = this.#statement(
      `select count(*) as n from (select 1 from holdfast_labels where ${ofLabel} limit ?)`,
    )
    const counts = new Map(
      labels.map((label) => {
        const { n } = counting.get(this.#namespace, collection, label, rareEnough) as { n: number }
        return [label, n]
      }),
    )
    return labels.toSorted((a, b) => (counts.get(a) ?? 0) - (counts.get(b) ?? 0))
  }

  #record(statement: SqliteStatement, key: Key): StoredRecord | undefined {
    const row = statement.get(this.#namespace, key.collection, key.id) as Row | Columns | undefined
    return row && recordOf(key, isColumns(row) ? rowOf(row) : row)
  }

  /** A statement for single records: a fifth of its time is spared where rows can be arrays. */
  #ofOne(sql: string): SqliteStatement {
    return asArrays(this.#statement(sql))
  }

  #statement(sql: string): SqliteStatement {
    let statement = this.#prepared.get(sql)
    if (!statement) {
      statement = prepared(this.#database, sql)
      this.#prepared.set(sql, statement)
    }
    return statement
  }
}

const alsoCarries = `exists (select 1 from holdfast_labels o where o.namespace = f.namespace
  and o.collection = f.collection and o.label = ? and o.id = f.id)`

function direction(reverse: boolean): [beyond: string, order: string] {
  return reverse ? ['<', 'desc'] : ['>', 'asc']
}

/** The cursor of a listing is the id that it ended with. */
function listed(after: Cursor | undefined): SqliteInput[] {
  if (after === undefined) return []
  if (!isId(after)) throw invalid(after)
  return [after]
}

/** The cursor of a scan is the bucket and the row that it ended with. */
function scanned(after: Cursor): [bucket: number, record: number] {
  const match = /^(\d{1,10})\.(\d{1,16})$/.exec(after)
  if (!match) throw invalid(after)
  return [Number(match[1]), Number(match[2])]
}

function invalid(cursor: Cursor): InvalidCursor {
  return new InvalidCursor(`${JSON.stringify(cursor.slice(0, 40))} is not a cursor of a page of this store`)
}

function isColumns(row: Row | Columns): row is Columns {
  return Array.isArray(row)
}

/** By index, not by iteration: this is the hottest line of the driver. */
function rowOf(columns: Columns): Row {
  return {
    version: columns[0],
    labels: columns[1],
    expires_at: columns[2],
    touched_at: columns[3],
    value: columns[4] ?? noValue,
  }
}

function recordOf({ collection, id }: Key, row: Row): StoredRecord {
  return {
    key: { collection, id },
    version: row.version,
    labels: labelsOf(row.labels),
    value: row.value ?? noValue,
    expiresAt: row.expires_at,
    touchedAt: row.touched_at,
  }
}
