/** The statements that read records. Each sees one committed state; none holds a transaction when it has answered. */

import { InvalidCursor } from '../../errors.ts'
import type { Counting, Cursor, Listing, Page, Slice } from '../../store/contract.ts'
import {
  carries,
  isId,
  isLive,
  type Key,
  keyText,
  type Label,
  type StoredRecord,
} from '../../store/record.ts'
import type { Database, Row } from './database.ts'
import type { Dialect } from './dialect.ts'
import { buckets, head, isMissing, keyOf, keysText, numberOf, recordOf, textOf, whole } from './rows.ts'
import { type SqlValues, type Statement, Statements } from './statement.ts'

/** The most rows of an index that one page looks at, where several labels have to match. */
const mostLookedAt = 1_001
/** How far each label is counted to find the rarest of several. */
const rareEnough = 200

const ofKey = 'namespace = :namespace and collection = :collection and id = :id'
const inCollection = 'namespace = :namespace and collection = :collection'

export class Reading {
  readonly #database: Database
  readonly #statements: Statements
  readonly #namespace: string
  /** The hottest statement of all, made beforehand. */
  readonly #whole: Statement

  constructor(database: Database, dialect: Dialect, namespace: string) {
    this.#database = database
    this.#statements = new Statements(dialect)
    this.#namespace = namespace
    this.#whole = this.#statements.of(`select ${whole} from holdfast_records where ${ofKey}`)
  }

  async read(
    keys: readonly Key[],
    expired: boolean,
    now: number,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    const [only] = keys
    const found = keys.length === 1 && only ? [await this.#one(only)] : await this.#many(keys, true)
    return found.map((record) => (record && (expired || isLive(record, now)) ? record : undefined))
  }

  /** The work of one page is bounded by the ids that it looks at, not by the matches. */
  async list(listing: Listing, now: number): Promise<Page> {
    const { after } = listing
    if (after !== undefined && !isId(after)) throw invalid(after)
    const { looked, more } =
      listing.labels.length > 1 ? await this.#lookAtSome(listing) : await this.#lookAtAll(listing)
    const { labels, limit, expired } = listing
    const records: StoredRecord[] = []
    for (const [i, { id, record }] of looked.entries()) {
      if (record && (expired || isLive(record, now)) && carries(record.labels, labels)) records.push(record)
      if (records.length === limit && (more || i < looked.length - 1)) return { records, next: id }
    }
    const last = looked.at(-1)
    return more && last ? { records, next: last.id } : { records }
  }

  /** Costs as many rows as are counted, plus those of the rarest label that don't match. */
  async count({ collection, labels, atMost }: Counting, now: number): Promise<number> {
    const [first, ...others] = await this.#rarestFirst(collection, labels)
    const matching =
      first === undefined
        ? `select 1 as one from holdfast_records where ${inCollection} and expires_at > :now limit :most`
        : `select 1 as one from ${this.#statements.dialect.lookup(
            `(select collection, id from holdfast_labels where ${inCollection} and label = :first) asked`,
            'holdfast_records',
            ['collection', 'id'],
          )} where r.expires_at > :now ${others.map((_, i) => `and ${alsoCarries(i)}`).join(' ')} limit :most`
    const { rows } = await this.#read(`select count(*) as n from (${matching}) matching`, {
      collection,
      now,
      most: atMost,
      ...(first === undefined ? {} : { first }),
      ...named(others),
    })
    return numberOf(rows[0]?.['n'])
  }

  /** A slice is a range of buckets. */
  async scan({ index, of, after, limit, expired }: Slice, now: number): Promise<Page> {
    const to = Math.ceil(((index + 1) * buckets) / of)
    const start =
      after === undefined
        ? { from: Math.ceil((index * buckets) / of), collection: '', id: '' }
        : scanned(after)
    const { rows } = await this.#read(
      `select collection, id, bucket, ${whole} from holdfast_records
       where ${this.#statements.dialect.namespaceApart} = :namespace and bucket >= :from and bucket < :to
         and (bucket > :from or collection > :collection or (collection = :collection and id > :id))
       order by bucket, collection, id limit :most`,
      { ...start, to, most: limit + 1 },
    )
    const page = rows.slice(0, limit)
    const records = page
      .map((row) => recordOf(keyOf(row), row))
      .filter((each) => expired || isLive(each, now))
    const last = page.at(-1)
    if (!last || rows.length === page.length) return { records }
    const { collection, id } = keyOf(last)
    return { records, next: `${numberOf(last['bucket'])}.${collection}.${id}` }
  }

  async #one({ collection, id }: Key): Promise<StoredRecord | undefined> {
    const { rows } = await this.#database.read(this.#whole, { namespace: this.#namespace, collection, id })
    const [row] = rows
    return row && recordOf({ collection, id }, row)
  }

  async #many(keys: readonly Key[], values: boolean): Promise<readonly (StoredRecord | undefined)[]> {
    if (keys.length === 0) return []
    const { rows } = await this.#database.read(this.#ofMany(values), {
      namespace: this.#namespace,
      keys: keysText(keys),
    })
    const found = new Map(rows.map((row) => [keyText(keyOf(row)), row]))
    return keys.map((key) => {
      const row = found.get(keyText(key))
      return row && recordOf({ collection: key.collection, id: key.id }, row)
    })
  }

  #ofMany(values: boolean): ReturnType<Statements['of']> {
    const asked = this.#statements.dialect.rows('keys', { collection: 'name', id: 'id' })
    return this.#statements.of(
      `select r.collection, r.id, ${values ? 'r.value, ' : ''}r.version, r.labels, r.expires_at as expires, r.touched_at as touched
       from ${this.#statements.dialect.lookup(asked, 'holdfast_records', ['collection', 'id'])}`,
    )
  }

  /** One label or none: ids and records in one statement. */
  async #lookAtAll({ collection, labels, after, limit, values, reverse }: Listing): Promise<Looked> {
    const [label] = labels
    const [beyond, order] = direction(reverse)
    const from = after === undefined ? '' : `and id ${beyond} :after`
    // The limit is in the text: planners that don't know it plan each page anew.
    const columns = values ? whole : head
    const source =
      label === undefined
        ? `select id, ${columns} from holdfast_records where ${inCollection} ${from} order by id ${order} limit ${limit + 1}`
        : `select asked.id as id, ${columns} from ${this.#statements.dialect.lookup(
            `(select collection, id from holdfast_labels where ${inCollection} and label = :label ${from}
              order by id ${order} limit ${limit + 1}) asked`,
            'holdfast_records',
            ['collection', 'id'],
            { optional: true },
          )} order by asked.id ${order}`
    const { rows } = await this.#read(source, {
      collection,
      ...(label === undefined ? {} : { label }),
      ...(after === undefined ? {} : { after }),
    })
    const looked = rows.slice(0, limit).map((row) => lookedAt(collection, row))
    return { looked, more: rows.length > limit }
  }

  /**
   * Several labels: ids from the index of the rarest, those that carry the others too read by themselves, so that what
   * has changed since is judged by what it is now.
   */
  async #lookAtSome({ collection, labels, after, limit, values, reverse }: Listing): Promise<Looked> {
    const [first = '', ...others] = await this.#rarestFirst(collection, labels)
    const [beyond, order] = direction(reverse)
    const from = after === undefined ? '' : `and id ${beyond} :after`
    const hit = others.map((_, i) => alsoCarries(i)).join(' and ')
    const { rows } = await this.#read(
      `select asked.id as id, case when ${hit} then 1 else 0 end as hit from (
         select collection, id from holdfast_labels
         where ${inCollection} and label = :first ${from} order by id ${order} limit :most
       ) asked order by asked.id ${order}`,
      { collection, first, most: mostLookedAt, ...named(others), ...(after === undefined ? {} : { after }) },
    )
    const ids = rows.map((row) => ({ id: textOf(row['id']), hit: numberOf(row['hit']) === 1 }))
    const hits = ids.filter((each) => each.hit).slice(0, limit)
    const records = await this.#many(
      hits.map(({ id }) => ({ collection, id })),
      values,
    )
    const byId = new Map(hits.map(({ id }, i) => [id, records[i]]))
    // What comes after the last hit that fits the page is left to the next one.
    const end = hits.length === limit ? ids.findIndex(({ id }) => id === hits.at(-1)?.id) + 1 : ids.length
    const looked = ids.slice(0, end).map(({ id }) => ({ id, record: byId.get(id) }))
    return { looked, more: end < ids.length || ids.length === mostLookedAt }
  }

  /** Any label's index gives the same ids in the same order, so the shortest one may lead, on each page anew. */
  async #rarestFirst(collection: string, labels: readonly Label[]): Promise<readonly Label[]> {
    if (labels.length < 2) return labels
    const counts = labels.map(
      (_, i) =>
        `(select count(*) from (select 1 as one from holdfast_labels where ${inCollection} and label = :label${i} limit ${rareEnough}) t${i}) as n${i}`,
    )
    const { rows } = await this.#read(`select ${counts.join(', ')}`, { collection, ...named(labels) })
    const sizes = new Map(labels.map((label, i) => [label, numberOf(rows[0]?.[`n${i}`])]))
    return labels.toSorted((a, b) => (sizes.get(a) ?? 0) - (sizes.get(b) ?? 0))
  }

  #read(source: string, values: SqlValues): ReturnType<Database['read']> {
    return this.#database.read(this.#statements.of(source), { namespace: this.#namespace, ...values })
  }
}

/** The ids that a page looked at, with the records that were found, and whether the index goes on behind them. */
interface Looked {
  readonly looked: readonly { readonly id: string; readonly record: StoredRecord | undefined }[]
  readonly more: boolean
}

/** An index entry that points to nothing is passed over: the record is the truth. */
function lookedAt(collection: string, row: Row): Looked['looked'][number] {
  const id = textOf(row['id'])
  return { id, record: isMissing(row['version']) ? undefined : recordOf({ collection, id }, row) }
}

/** Whether an asked record carries a further label: looked up for each, where `exists` might become a join. */
function alsoCarries(i: number): string {
  return `(select 1 from holdfast_labels o where o.namespace = :namespace and o.collection = asked.collection
    and o.label = :label${i} and o.id = asked.id limit 1) is not null`
}

/** Labels by the names that they have in a statement. */
function named(labels: readonly Label[]): SqlValues {
  return Object.fromEntries(labels.map((label, i) => [`label${i}`, label]))
}

function direction(reverse: boolean): readonly [beyond: string, order: string] {
  return reverse ? ['<', 'desc'] : ['>', 'asc']
}

/** The cursor of a scan is the bucket and the key that it ended with. */
function scanned(after: Cursor): { from: number; collection: string; id: string } {
  const [, from, collection = '', id = ''] =
    /^(\d{1,10})\.([a-z][a-z0-9-]{0,31})\.([A-Za-z0-9_~-]{1,120})$/.exec(after) ?? []
  if (from === undefined) throw invalid(after)
  return { from: Number(from), collection, id }
}

function invalid(cursor: Cursor): InvalidCursor {
  return new InvalidCursor(`${JSON.stringify(cursor.slice(0, 40))} is not a cursor of a page of this store`)
}
