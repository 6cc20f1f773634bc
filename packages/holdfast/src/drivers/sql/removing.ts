/**
 * Sweep and remove: one transaction that locks the records, then takes out their labels and themselves. The second
 * statement sees what was committed before the locks were had, so that nothing of a record stays behind.
 */

import type { Cursor, Swept, SweptBatch, Sweeping } from '../../store/contract.ts'
import type { Key } from '../../store/record.ts'
import { InvalidCursor } from '../../errors.ts'
import type { Row, Session } from './database.ts'
import type { Dialect } from './dialect.ts'
import { inKeyOrder, keyOf, keysText, labelsOf, numberOf } from './rows.ts'
import { Statements } from './statement.ts'

export class Removing {
  readonly #statements: Statements
  readonly #namespace: string

  constructor(dialect: Dialect, namespace: string) {
    this.#statements = new Statements(dialect)
    this.#namespace = namespace
  }

  /**
   * Removes a batch of what has expired. What others hold locked is skipped: they are changing it, or sweep it.
   * The cursor is the expiry that the batch ended with: what was removed before it needn't be passed again.
   */
  async sweep(session: Session, { before, limit, after }: Sweeping): Promise<SweptBatch> {
    const from = after === undefined ? 0 : instantOf(after)
    const { namespaceApart } = this.#statements.dialect
    const range = `${namespaceApart} = :namespace and expires_at >= :from and expires_at <= :before`
    // One more than is removed: whether there is more must not cost a statement that looks for it.
    const { rows } = await session.run(
      this.#statements.of(
        `select collection, id, labels, expires_at as expires from holdfast_records where ${range}
         order by expires_at limit :most for update skip locked`,
      ),
      { namespace: this.#namespace, from, before, most: limit + 1 },
    )
    const removed = rows.slice(0, limit).map(sweptOf)
    await this.#take(session, removed)
    const last = removed.at(-1)
    return last && rows.length > limit ? { removed, next: String(last.expiresAt) } : { removed }
  }

  /** Removes whatever the keys hold, and answers with what it was. */
  async remove(session: Session, keys: readonly Key[]): Promise<readonly Swept[]> {
    const { rows: table, lookup, locking } = this.#statements.dialect
    const asked = table('keys', { collection: 'name', id: 'id' })
    const { rows } = await session.run(
      this.#statements.of(
        `select r.collection, r.id, r.labels, r.expires_at as expires
         from ${lookup(asked, 'holdfast_records', ['collection', 'id'], { locks: true })}
         order by r.collection, r.id ${locking}`,
      ),
      { namespace: this.#namespace, keys: keysText(inKeyOrder(keys, (key) => key)) },
    )
    const removed = rows.map(sweptOf)
    await this.#take(session, removed)
    return removed
  }

  /** Takes out locked records and the entries of their labels. */
  async #take(session: Session, removed: readonly Swept[]): Promise<void> {
    if (removed.length === 0) return
    const namespace = this.#namespace
    const entries = removed.flatMap(({ key, labels }) => labels.map((label) => ({ ...key, label })))
    const { rows, deletion } = this.#statements.dialect
    if (entries.length > 0) {
      const asked = rows('entries', { collection: 'name', label: 'label', id: 'id' })
      await session.run(
        this.#statements.of(deletion(asked, 'holdfast_labels', ['collection', 'label', 'id'])),
        {
          namespace,
          entries: JSON.stringify(entries),
        },
      )
    }
    const asked = rows('keys', { collection: 'name', id: 'id' })
    await session.run(this.#statements.of(deletion(asked, 'holdfast_records', ['collection', 'id'])), {
      namespace,
      keys: keysText(removed.map(({ key }) => key)),
    })
  }
}

function sweptOf(row: Row): Swept {
  return { key: keyOf(row), labels: labelsOf(row['labels']), expiresAt: numberOf(row['expires']) }
}

function instantOf(after: Cursor): number {
  const instant = /^\d{1,16}$/.test(after) ? Number(after) : Number.NaN
  if (Number.isSafeInteger(instant)) return instant
  throw new InvalidCursor(`${JSON.stringify(after.slice(0, 40))} is not a cursor of a sweep of this store`)
}
