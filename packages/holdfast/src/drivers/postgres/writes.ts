/**
 * The statements that write single records. Each changes the record, the finder of its labels and the change log in
 * one statement, and answers with what happened.
 *
 * A statement sees what was committed when it began, but waits for, and then changes, the newest version of a row. So
 * that labels are never taken out by what the record carried before, it changes a row only at the version that it
 * saw; when another came in between, it is run again.
 */

import type { Outcome, Replacement, Touch } from '../../store/contract.ts'
import { type Key, keyText, type StoredRecord } from '../../store/record.ts'
import type { Row, Session } from '../sql/database.ts'
import { postgres } from '../sql/dialect.ts'
import type { RecordWrites } from '../sql/driver.ts'
import { bucketOf, keyOf, labelsText, textOf } from '../sql/rows.ts'
import { type SqlValues, type Statement, Statements } from '../sql/statement.ts'
import type { ChangeLog } from './change-log.ts'

const ofKey = 'namespace = :namespace and collection = :collection and id = :id'
/** The sum keeps the planner from the index of expiries, which finds almost everything. */
const isLater = 'expires_at + 0 > :latest'
/** What is in the way, as `<expiry> <version>`; `gone` when nothing is. */
const inTheWay = `coalesce((select expires_at || ' ' || version from holdfast_records where ${ofKey}), 'gone')`
const outcome = `case when exists (select from changed) then 'done' else ${inTheWay} end as outcome`
const told = `told as (
  insert into holdfast_changes (namespace, keys) select :namespace, :collection || '/' || :id from changed
)`
const newLabels = 'array(select json_array_elements_text(:labels::text::json))'
const unlisted = `unlisted as (
  delete from holdfast_labels where exists (select from changed) and ctid = any (array(
    select r.ctid from ${postgres.lookup(
      `(select :collection as collection, was.label, :id as id
        from json_array_elements_text((select labels from held)::json) as was (label)) asked`,
      'holdfast_labels',
      ['collection', 'label', 'id'],
    )} where asked.label <> all (${newLabels})))
)`
const listed = `listed as (
  insert into holdfast_labels (namespace, collection, label, id)
  select :namespace, :collection, will.label, :id from changed, unnest(${newLabels}) as will (label) on conflict do nothing
)`

const create = `with changed as (
    insert into holdfast_records (namespace, collection, id, version, labels, expires_at, touched_at, bucket, value)
    values (:namespace, :collection, :id, :version, :labels, :expiresAt, :touchedAt, :bucket, :value)
    on conflict (namespace, collection, id) do nothing returning 1
  ), ${listed}, ${told} select ${outcome}`

/** Over an expired record, whose labels go with it. */
const recreate = `with held as (
    select labels from holdfast_records where ${ofKey} and version = :expected
  ), changed as (
    update holdfast_records set version = :version, labels = :labels, expires_at = :expiresAt,
      touched_at = :touchedAt, value = :value
    where ${ofKey} and version = :expected and expires_at + 0 <= :now returning 1
  ), ${unlisted}, ${listed}, ${told} select ${outcome}`

const change = `version = :version, value = :value, touched_at = greatest(touched_at, :touchedAt::bigint),
  expires_at = case when :setsExpiry then :expiresAt::bigint else greatest(expires_at, :expiresAt::bigint) end`

const saved = `with changed as (
    update holdfast_records set ${change} where ${ofKey} and version = :expected and ${isLater} returning 1
  )`
/** The hottest write ends with its row in the log and answers with their number alone. */
const save = `${saved} insert into holdfast_changes (namespace, keys) select :namespace, :collection || '/' || :id from changed`
const saveUrgently = `${saved}, ${told} select ${outcome}`
const look = `select ${inTheWay} as outcome`

const relabel = `with held as (
    select labels from holdfast_records where ${ofKey} and version = :expected
  ), changed as (
    update holdfast_records set ${change}, labels = :labels
    where ${ofKey} and version = :expected and ${isLater} returning 1
  ), ${unlisted}, ${listed}, ${told} select ${outcome}`

const touch = `with changed as (
    update holdfast_records set touched_at = greatest(touched_at, :touchedAt::bigint),
      expires_at = greatest(expires_at, :expiresAt::bigint)
    where ${ofKey} and version = :expected and ${isLater} returning 1
  ) select ${outcome}`

/** All rows are locked in the order of their keys before the first is changed. One that was newer is asked for again. */
const touchMany = `with held as (
    select r.ctid as place, asked.collection, asked.id, r.version = asked.version as matches, asked.expires, asked.touched,
      r.expires_at > :now as lives
    from ${postgres.lookup(
      postgres.rows('touches', {
        collection: 'name',
        id: 'id',
        version: 'version',
        expires: 'instant',
        touched: 'instant',
      }),
      'holdfast_records',
      ['collection', 'id'],
      { locks: true },
    )}
  ), changed as (
    update holdfast_records r set touched_at = greatest(r.touched_at, held.touched),
      expires_at = greatest(r.expires_at, held.expires)
    from held where held.matches and held.lives and r.ctid = held.place
      and r.ctid = any (array(select place from held)) returning r.collection, r.id
  ) select collection, id, case when not lives then 'gone' when not matches then 'conflict'
      when (collection, id) in (select collection, id from changed) then 'done' else 'again' end as outcome from held`

/** What makes a change heard at once, and survive a crash where others may not. */
const heard = "(select count(pg_notify(:channel, '')) from changed) as heard"
const kept = "(select count(set_config('synchronous_commit', 'on', true)) from changed) as kept"

export class PostgresWrites implements RecordWrites {
  readonly single = true
  readonly #namespace: string
  readonly #log: ChangeLog
  readonly #statements = new Statements(postgres)
  /** Whether ordinary commits are not flushed: burying and revoking are all the same. */
  relaxed = false

  constructor(namespace: string, log: ChangeLog) {
    this.#namespace = namespace
    this.#log = log
  }

  async create(session: Session, record: StoredRecord, now: number): Promise<'done' | 'conflict'> {
    const values = {
      ...this.#keyed(record.key),
      version: record.version,
      labels: labelsText(record.labels),
      expiresAt: record.expiresAt,
      touchedAt: record.touchedAt,
      value: bytesOf(record.value),
    }
    let found = await this.#run(session, create, { ...values, bucket: bucketOf(record.key) })
    for (;;) {
      if (found === 'done') {
        this.#log.wrote()
        return 'done'
      }
      if (found === 'gone') {
        // It was removed, or not yet to be seen, when the statement began.
        found = await this.#run(session, create, { ...values, bucket: bucketOf(record.key) })
      } else {
        const { expiresAt, version } = standing(found)
        if (now < expiresAt) return 'conflict'
        found = await this.#run(session, recreate, { ...values, expected: version, now })
      }
    }
  }

  async replace(session: Session, replacement: Replacement, now: number): Promise<Outcome> {
    const { key, expected, version, value, labels, expiresAt, setsExpiry, touchedAt, expired } = replacement
    const isUrgent = expired || setsExpiry || labels !== undefined
    const values = {
      ...this.#keyed(key),
      expected,
      version,
      value: bytesOf(value),
      expiresAt,
      setsExpiry,
      touchedAt,
      // Every expiry is later than −1, so the expired pass as well.
      latest: expired ? -1 : now,
      ...(labels === undefined ? {} : { labels: labelsText(labels) }),
      ...(isUrgent ? { channel: this.#log.channel } : {}),
    }
    const source = labels === undefined ? saveUrgently : relabel
    const outcome = await this.#settled(values, () =>
      isUrgent ? this.#run(session, this.#urgent(source), values) : this.#save(session, values),
    )
    if (outcome === 'done') this.#log.wrote()
    return outcome
  }

  async touch(session: Session, touches: readonly Touch[], now: number): Promise<readonly Outcome[]> {
    const [only] = touches
    if (only && touches.length === 1) {
      const { key, version: expected, expiresAt, touchedAt } = only
      const values = { ...this.#keyed(key), expected, expiresAt, touchedAt, latest: now }
      return [await this.#settled(values, () => this.#run(session, touch, values))]
    }
    const outcomes = new Map<string, Outcome>()
    for (let left = touches; left.length > 0;) {
      const found = await this.#touchMany(session, left, now)
      for (const { key } of left) outcomes.set(keyText(key), found.get(keyText(key)) ?? 'gone')
      left = left.filter(({ key }) => (found.get(keyText(key)) as string) === 'again')
    }
    return touches.map(({ key }) => outcomes.get(keyText(key)) ?? 'gone')
  }

  async removed(session: Session, keys: readonly Key[]): Promise<void> {
    const { log, values } = this.#log.removal(keys)
    await session.run(log, values)
    this.#log.wrote()
  }

  async #touchMany(
    session: Session,
    touches: readonly Touch[],
    now: number,
  ): Promise<ReadonlyMap<string, Outcome>> {
    const asked = touches.map(({ key, version, expiresAt, touchedAt }) => {
      return { collection: key.collection, id: key.id, version, expires: expiresAt, touched: touchedAt }
    })
    const { rows } = await session.run(this.#of(touchMany), {
      namespace: this.#namespace,
      touches: JSON.stringify(asked),
      now,
    })
    return new Map(rows.map((row) => [keyText(keyOf(row)), outcomeOf(row) as Outcome]))
  }

  /** Runs a write at a version until what it saw and what it met were the same. */
  async #settled(
    { expected, latest }: { readonly expected: string; readonly latest: number },
    write: () => Promise<string>,
  ): Promise<Outcome> {
    for (;;) {
      const found = await write()
      if (found === 'done' || found === 'gone') return found
      const { expiresAt, version } = standing(found)
      if (expiresAt <= latest) return 'gone'
      if (version !== expected) return 'conflict'
    }
  }

  /** Only a save that met nothing to change asks what is in the way. */
  async #save(session: Session, values: SqlValues): Promise<string> {
    const { changed } = await session.run(this.#of(save), values)
    return changed > 0 ? 'done' : await this.#run(session, look, values)
  }

  async #run(session: Session, source: string, values: SqlValues): Promise<string> {
    const { rows } = await session.run(this.#of(source), values)
    return outcomeOf(rows[0] ?? {})
  }

  #of(source: string): Statement {
    return this.#statements.of(source)
  }

  #urgent(source: string): string {
    return this.relaxed ? `${source}, ${heard}, ${kept}` : `${source}, ${heard}`
  }

  #keyed({ collection, id }: Key): { namespace: string; collection: string; id: string } {
    return { namespace: this.#namespace, collection, id }
  }
}

function outcomeOf(row: Row): string {
  return textOf(row['outcome'])
}

/** What stands in the way of a write. */
function standing(found: string): { readonly expiresAt: number; readonly version: string } {
  const space = found.indexOf(' ')
  return { expiresAt: Number(found.slice(0, space)), version: found.slice(space + 1) }
}

/** Clients know a Buffer for bytes; some take a plain array of bytes for JSON. */
function bytesOf(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
