/**
 * The statements that write single records. A save and a touch are one statement each, whose condition is the
 * compare-and-swap. What also changes the finder of the labels is a transaction that locks the record first.
 *
 * How many rows a statement changed is not always how many it met: it depends on a setting of the connection whether
 * a row that stays as it is counts. A replace always changes the version; after a touch that changed nothing the
 * record is looked at.
 */

import type { Outcome, Replacement, Touch } from '../../store/contract.ts'
import type { Key, Label, StoredRecord } from '../../store/record.ts'
import { keyText } from '../../store/record.ts'
import type { Row, Session } from '../sql/database.ts'
import { mysql } from '../sql/dialect.ts'
import { Busy, type RecordWrites, type WriteKind } from '../sql/driver.ts'
import { bucketOf, keyOf, labelsOf, labelsText, numberOf, textOf } from '../sql/rows.ts'
import { type SqlValues, Statements } from '../sql/statement.ts'
import { duplicateKey, numberOf as errorNumberOf } from './failure.ts'

const ofKey = 'namespace = :namespace and collection = :collection and id = :id'
const atVersion = `${ofKey} and version = :expected and expires_at > :latest`

const insert = `insert into holdfast_records
  (namespace, collection, id, version, labels, expires_at, touched_at, bucket, value)
  values (:namespace, :collection, :id, :version, :labels, :expiresAt, :touchedAt, :bucket, :value)`
const recreate = `update holdfast_records set version = :version, labels = :labels, expires_at = :expiresAt,
  touched_at = :touchedAt, value = :value where ${ofKey}`
const look = `select version, expires_at, touched_at from holdfast_records where ${ofKey}`
const lock = `select version, labels, expires_at from holdfast_records where ${ofKey} for update`

const later = `touched_at = greatest(touched_at, cast(:touchedAt as signed))`
const latest = `expires_at = greatest(expires_at, cast(:expiresAt as signed))`
const touch = `update holdfast_records set ${later}, ${latest} where ${atVersion}`

const askedTouches = mysql.rows('touches', {
  collection: 'name',
  id: 'id',
  version: 'version',
  expires: 'instant',
  touched: 'instant',
})
const touched = mysql.lookup(askedTouches, 'holdfast_records', ['collection', 'id'])
const lockMany = `select r.collection, r.id, r.version, r.expires_at from ${touched} ${mysql.locking}`
const touchMany = `update ${touched}
  set r.touched_at = greatest(r.touched_at, asked.touched), r.expires_at = greatest(r.expires_at, asked.expires)`

/** What a record is judged by. */
interface Head {
  readonly version: string
  readonly expiresAt: number
}

export class MysqlWrites implements RecordWrites {
  readonly single: ReadonlySet<WriteKind> = new Set<WriteKind>(['save', 'touch'])
  readonly #namespace: string
  readonly #statements = new Statements(mysql)

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  async create(session: Session, record: StoredRecord, now: number): Promise<'done' | 'conflict'> {
    const { key, version, labels, expiresAt, touchedAt } = record
    const values = {
      ...this.#keyed(key),
      version,
      labels: labelsText(labels),
      expiresAt,
      touchedAt,
      value: record.value,
    }
    if (await this.#isInserted(session, { ...values, bucket: bucketOf(key) })) {
      await this.#list(session, key, labels)
      return 'done'
    }
    const row = await this.#found(session, lock, key)
    // It was removed since: then the key is free.
    if (!row) throw new Busy(`${keyText(key)} was removed while it was in the way`)
    if (now < numberOf(row['expires_at'])) return 'conflict'
    await this.#run(session, recreate, values)
    await this.#relist(session, key, labelsOf(row['labels']), labels)
    return 'done'
  }

  async replace(session: Session, replacement: Replacement, now: number): Promise<Outcome> {
    const { key, expected, expired, labels } = replacement
    // Every expiry is later than −1, so the expired pass as well.
    const after = expired ? -1 : now
    if (labels === undefined) return await this.#saved(session, replacement, after)
    const row = await this.#found(session, lock, key)
    const refusal = refusalOf(row && headOf(row), expected, after)
    if (!row || refusal) return refusal ?? 'gone'
    const outcome = await this.#saved(session, replacement, after)
    if (outcome === 'done') await this.#relist(session, key, labelsOf(row['labels']), labels)
    return outcome
  }

  async touch(session: Session, touches: readonly Touch[], now: number): Promise<readonly Outcome[]> {
    const [only] = touches
    if (only && touches.length === 1) return [await this.#touched(session, only, now)]
    const { rows } = await session.run(this.#statements.of(lockMany), this.#asked(touches))
    const heads = new Map(rows.map((row) => [keyText(keyOf(row)), headOf(row)]))
    const outcomes = touches.map(
      ({ key, version }) => refusalOf(heads.get(keyText(key)), version, now) ?? 'done',
    )
    const done = touches.filter((_, i) => outcomes[i] === 'done')
    if (done.length > 0) await session.run(this.#statements.of(touchMany), this.#asked(done))
    return outcomes
  }

  removed(): Promise<void> {
    return Promise.resolve()
  }

  async #touched(
    session: Session,
    { key, version, expiresAt, touchedAt }: Touch,
    now: number,
  ): Promise<Outcome> {
    const values = { ...this.#keyed(key), expected: version, expiresAt, touchedAt, latest: now }
    const { changed } = await this.#run(session, touch, values)
    if (changed > 0) return 'done'
    const row = await this.#found(session, look, key)
    const refusal = refusalOf(row && headOf(row), version, now)
    if (!row || refusal) return refusal ?? 'gone'
    // A row that has these instants, or later ones, already may count as not changed.
    if (numberOf(row['expires_at']) >= expiresAt && numberOf(row['touched_at']) >= touchedAt) return 'done'
    throw onlyNow(key, version)
  }

  async #saved(session: Session, replacement: Replacement, after: number): Promise<Outcome> {
    const { key, expected, version, value, labels, expiresAt, setsExpiry, touchedAt } = replacement
    const expiry = setsExpiry ? 'expires_at = :expiresAt' : latest
    const relabel = labels === undefined ? '' : ', labels = :labels'
    const { changed } = await this.#run(
      session,
      `update holdfast_records set version = :version, value = :value, ${later}, ${expiry}${relabel} where ${atVersion}`,
      {
        ...this.#keyed(key),
        expected,
        version,
        value,
        expiresAt,
        touchedAt,
        latest: after,
        ...(labels === undefined ? {} : { labels: labelsText(labels) }),
      },
    )
    if (changed > 0) return 'done'
    const row = await this.#found(session, look, key)
    const refusal = refusalOf(row && headOf(row), expected, after)
    if (refusal) return refusal
    throw onlyNow(key, expected)
  }

  /** Whether the key was free. */
  async #isInserted(session: Session, values: SqlValues): Promise<boolean> {
    try {
      await this.#run(session, insert, values)
      return true
    } catch (error) {
      if (errorNumberOf(error) === duplicateKey) return false
      throw error
    }
  }

  /** Brings the finder from the labels that the record had to those that it has. */
  async #relist(session: Session, key: Key, had: readonly Label[], has: readonly Label[]): Promise<void> {
    const old = had.filter((label) => !has.includes(label))
    if (old.length > 0) {
      await this.#run(
        session,
        `delete from holdfast_labels where ${ofKey} and label in (${old.map((_, i) => `:label${i}`).join(', ')})`,
        { ...this.#keyed(key), ...named(old) },
      )
    }
    // Also those that it keeps, so that an entry that was lost comes back.
    await this.#list(session, key, has)
  }

  async #list(session: Session, key: Key, labels: readonly Label[]): Promise<void> {
    if (labels.length === 0) return
    const rows = labels.map((_, i) => `(:namespace, :collection, :label${i}, :id)`).join(', ')
    // An entry that should not be there would otherwise be in the way for ever.
    await this.#run(
      session,
      `insert into holdfast_labels (namespace, collection, label, id) values ${rows} on duplicate key update id = id`,
      { ...this.#keyed(key), ...named(labels) },
    )
  }

  async #found(session: Session, source: string, key: Key): Promise<Row | undefined> {
    const { rows } = await this.#run(session, source, this.#keyed(key))
    return rows[0]
  }

  #run(session: Session, source: string, values: SqlValues): ReturnType<Session['run']> {
    return session.run(this.#statements.of(source), values)
  }

  #keyed({ collection, id }: Key): { namespace: string; collection: string; id: string } {
    return { namespace: this.#namespace, collection, id }
  }

  #asked(touches: readonly Touch[]): SqlValues {
    const list = touches.map(({ key, version, expiresAt, touchedAt }) => {
      return { collection: key.collection, id: key.id, version, expires: expiresAt, touched: touchedAt }
    })
    return { namespace: this.#namespace, touches: JSON.stringify(list) }
  }
}

/** The write found the record otherwise than the look after it: somebody was in between. */
function onlyNow(key: Key, version: string): Busy {
  return new Busy(`${keyText(key)} came to the version ${version} only now`)
}

/** Why a write at a version is refused. @param after What expires at or before this counts as gone. */
function refusalOf(head: Head | undefined, expected: string, after: number): 'conflict' | 'gone' | undefined {
  if (!head || head.expiresAt <= after) return 'gone'
  return head.version === expected ? undefined : 'conflict'
}

function headOf(row: Row): Head {
  return { version: textOf(row['version']), expiresAt: numberOf(row['expires_at']) }
}

/** Labels by the names that they have in a statement. */
function named(labels: readonly Label[]): SqlValues {
  return Object.fromEntries(labels.map((label, i) => [`label${i}`, label]))
}
