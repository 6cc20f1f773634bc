/**
 * The change log: which keys a transaction changed, in a table, in the same transaction. SQLite lets one writer in
 * at a time, so the order of positions is the order of commits and nothing can appear behind a reader's back.
 *
 * A row tells of one transaction; its position is ahead of the last one's by the number of its keys. The log keeps
 * the last 100,000 keys: a reader whose own last row is gone has missed something and must start anew.
 */

import type { Key } from '../../store/record.ts'
import { prepared, type SqliteDatabase, type SqliteStatement } from './database.ts'

const keptKeys = 100_000
/** How many keys may be added before the log is trimmed again. */
const trimEvery = 1_000
/** How many rows are read at once. */
const rowsAtOnce = 256

interface Row {
  readonly position: number
  readonly namespace: string
  readonly keys: string
}

export class ChangeLog {
  readonly #namespace: string
  readonly #add: SqliteStatement
  readonly #trim: SqliteStatement
  #added = 0

  constructor(database: SqliteDatabase, namespace: string) {
    this.#namespace = namespace
    this.#add = prepared(
      database,
      `insert into holdfast_changes (position, namespace, keys)
       select max(position) + ?, ?, ? from holdfast_changes`,
    )
    // The newest row always stays: it is where the next position is counted from.
    this.#trim = prepared(
      database,
      'delete from holdfast_changes where position < (select max(position) from holdfast_changes) - ?',
    )
  }

  /** Adds the keys, given as `collection/id`, of the transaction that is open. */
  add(keys: readonly string[]): void {
    if (keys.length === 0) return
    this.#add.run(keys.length, this.#namespace, keys.join(' '))
    this.#added += keys.length
    if (this.#added < trimEvery) return
    this.#trim.run(keptKeys)
    this.#added = 0
  }
}

/** Reads the log from the position where it was opened. */
export class ChangeReader {
  readonly #namespace: string
  readonly #rows: SqliteStatement
  readonly #latest: SqliteStatement
  #position: number

  constructor(database: SqliteDatabase, namespace: string) {
    this.#namespace = namespace
    this.#rows = prepared(
      database,
      `select position, namespace, keys from holdfast_changes where position >= ? order by position limit ${rowsAtOnce}`,
    )
    this.#latest = prepared(database, 'select max(position) as position from holdfast_changes')
    this.#position = this.#newest()
  }

  /** The keys that changed since the last call; `undefined` when the log was trimmed past the reader. */
  next(): readonly Key[] | undefined {
    const keys: Key[] = []
    for (;;) {
      const rows = this.#rows.all(this.#position) as Row[]
      if (rows[0]?.position !== this.#position) {
        this.#position = this.#newest()
        return undefined
      }
      for (const row of rows.slice(1)) if (row.namespace === this.#namespace) keys.push(...keysOf(row.keys))
      this.#position = rows.at(-1)?.position ?? this.#position
      if (rows.length < rowsAtOnce) return keys
    }
  }

  #newest(): number {
    return (this.#latest.get() as { position: number | null }).position ?? 0
  }
}

function keysOf(text: string): Key[] {
  return text.split(' ').map((each) => {
    const slash = each.indexOf('/')
    return { collection: each.slice(0, slash), id: each.slice(slash + 1) }
  })
}
