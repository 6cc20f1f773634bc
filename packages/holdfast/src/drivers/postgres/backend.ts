/** What PostgreSQL brings to the driver of `../sql/driver.ts`. */

import { type Clock, systemClock } from '../../clock.ts'
import type { Call, Change, Opened, Watch } from '../../store/contract.ts'
import type { StoreOptions } from '../../store/store.ts'
import { postgres } from '../sql/dialect.ts'
import type { Backend } from '../sql/driver.ts'
import { ChangeLog, ChangeReader } from './change-log.ts'
import type { PostgresDatabase } from './client.ts'
import { failure } from './failure.ts'
import { Feed } from './feed.ts'
import { opened, openedAs } from './settings.ts'
import { PostgresWrites } from './writes.ts'

/** Settings of a store over PostgreSQL. */
export interface PostgresOptions extends StoreOptions {
  /** Opening brings the tables up to date. false: it only checks, and says what to run. @default true */
  readonly migrate?: boolean
  /**
   * Statements stay prepared on their connections. Set it to false behind a pooler in transaction mode that doesn't
   * keep them, such as PgBouncer before 1.21. @default true
   */
  readonly prepare?: boolean
  /**
   * A watch keeps one connection to be woken by. false: it looks by the clock alone, twice a second. Set it to false
   * behind a pooler in transaction mode. @default true
   */
  readonly listen?: boolean
}

export class PostgresBackend implements Backend {
  readonly dialect = postgres
  readonly failure = failure
  readonly namespace: string
  readonly database: PostgresDatabase
  readonly writes: PostgresWrites
  readonly #clock: Clock
  readonly #migrates: boolean
  readonly #log: ChangeLog
  readonly #feed: Feed

  constructor(database: PostgresDatabase, options: PostgresOptions) {
    this.database = database
    this.namespace = options.namespace ?? 'holdfast'
    this.#clock = options.clock ?? systemClock
    this.#migrates = options.migrate ?? true
    this.#log = new ChangeLog(database, this.namespace)
    this.#feed = new Feed(
      database,
      new ChangeReader(database, this.namespace),
      this.#log.channel,
      options.listen ?? true,
    )
    this.writes = new PostgresWrites(this.namespace, this.#log)
  }

  async open(call: Call): Promise<Opened> {
    await this.database.connect?.()
    try {
      const found = await opened(this.database, this.#clock, this.#migrates, call.signal)
      this.writes.relaxed = found.synchronousCommit === 'off' || found.synchronousCommit === 'local'
      return openedAs(found)
    } catch (error) {
      await this.database.release?.()
      throw failure(error, true)
    }
  }

  async watch(listener: (change: Change) => void): Promise<Watch> {
    return await this.#feed.watch(listener)
  }

  async close(): Promise<void> {
    this.#feed.close()
    await this.#log.close()
    await this.database.release?.()
  }
}
