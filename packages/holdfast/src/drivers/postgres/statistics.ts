/**
 * The server plans a statement by what it believes of the tables' sizes, and keeps the plan. It looks again a minute
 * after they have grown; a store that is being filled for the first time would work by plans for empty tables until
 * then. So who writes many records has it look earlier. Only the owner of the tables may; for others nothing happens.
 */

import type { Database } from '../sql/database.ts'
import { postgres } from '../sql/dialect.ts'
import { numberOf } from '../sql/rows.ts'
import { statement } from '../sql/statement.ts'

/** After how many writes of this process the belief is compared for the first time; tenfold for each further time. */
const firstLook = 500
const lastLook = 500_000

const believed = statement(
  postgres,
  "select reltuples::bigint as records from pg_class where oid = 'holdfast_records'::regclass",
)
const analyze = statement(postgres, 'analyze holdfast_records, holdfast_labels')

export class Statistics {
  readonly #database: Database
  #written = 0
  #nextLook = firstLook

  constructor(database: Database) {
    this.#database = database
  }

  /** A record was written. */
  wrote(): void {
    this.#written++
  }

  /** Compares, when it is time to. */
  async settle(): Promise<void> {
    if (this.#written < this.#nextLook || this.#nextLook > lastLook) return
    const { rows } = await this.#database.read(believed, {})
    if (numberOf(rows[0]?.['records']) < this.#nextLook / 4) await this.#database.read(analyze, {})
    this.#nextLook *= 10
  }
}
