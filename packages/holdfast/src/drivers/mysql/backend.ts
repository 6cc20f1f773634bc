/** What MySQL and MariaDB bring to the driver of `../sql/driver.ts`. */

import { type Clock, systemClock } from '../../clock.ts'
import { milliseconds } from '../../duration.ts'
import { NotSupported } from '../../errors.ts'
import type { Call, Opened, Watch } from '../../store/contract.ts'
import { defaultValueBytes } from '../../store/record.ts'
import type { StoreOptions } from '../../store/store.ts'
import { mysql } from '../sql/dialect.ts'
import type { Backend } from '../sql/driver.ts'
import type { MysqlPool } from './client.ts'
import { MysqlDatabase } from './database.ts'
import { failure } from './failure.ts'
import { opened, openedAs } from './settings.ts'
import { MysqlWrites } from './writes.ts'

/** Settings of a store over MySQL or MariaDB. */
export interface MysqlOptions extends StoreOptions {
  /** Opening brings the tables up to date. false: it only checks, and says what to run. @default true */
  readonly migrate?: boolean
}

/** Where the connections come from. */
export interface Source {
  /** The pool; throws when it isn't there. */
  readonly pool: () => MysqlPool
  /** What begins a transaction. */
  readonly begin: readonly string[]
  /** Only a pool of our own is made and let go of. */
  connect?(): Promise<void>
  release?(): Promise<void>
}

/** Milliseconds by which a connection may outlive the call that it serves. */
const grace = 1_000

export class MysqlBackend implements Backend {
  readonly dialect = mysql
  readonly failure = failure
  readonly namespace: string
  readonly database: MysqlDatabase
  readonly writes: MysqlWrites
  readonly #source: Source
  readonly #clock: Clock
  readonly #checks: { readonly migrates: boolean; readonly maxValue: number }

  constructor(source: Source, options: MysqlOptions) {
    const { namespace = 'holdfast', migrate = true, maxValue = defaultValueBytes, deadline = '5s' } = options
    this.namespace = namespace
    this.#source = source
    this.#clock = options.clock ?? systemClock
    this.#checks = { migrates: migrate, maxValue }
    this.database = new MysqlDatabase({
      pool: source.pool,
      begin: source.begin,
      patience: milliseconds(deadline, 'deadline') + grace,
    })
    this.writes = new MysqlWrites(namespace)
  }

  async open(call: Call): Promise<Opened> {
    await this.#source.connect?.()
    try {
      return openedAs(await opened(this.database, this.#clock, this.#checks, call.signal))
    } catch (error) {
      await this.#source.release?.()
      throw failure(error, true)
    }
  }

  /** The guard refuses it before: there is no feed. */
  watch(): Promise<Watch> {
    return Promise.reject(new NotSupported('MySQL and MariaDB tell nobody of changes', 'watch'))
  }

  async close(): Promise<void> {
    await this.#source.release?.()
  }
}
