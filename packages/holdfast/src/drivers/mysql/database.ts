/** A pool as the SQL drivers see it: statements by themselves, and transactions. */

import { systemClock } from '../../clock.ts'
import { AnswerLost, StoreUnavailable } from '../../errors.ts'
import type { Database, Result, Session } from '../sql/database.ts'
import { Busy } from '../sql/driver.ts'
import { ordered, type SqlValues, type Statement } from '../sql/statement.ts'
import { inputOf, type MysqlConnection, type MysqlPool, queryOf, resultOf } from './client.ts'
import { failure, isLost, isUsable } from './failure.ts'

/** How a database works with its pool. */
export interface PoolUse {
  /** Gives the pool, which may have to be made first. */
  readonly pool: () => MysqlPool
  /** What begins a transaction. */
  readonly begin: readonly string[]
  /** Milliseconds after which a connection that does not answer is given up. */
  readonly patience: number
}

export class MysqlDatabase implements Database {
  readonly #use: PoolUse

  constructor(use: PoolUse) {
    this.#use = use
  }

  async read(statement: Statement, values: SqlValues): Promise<Result> {
    return await this.#connected(undefined, (line) => line.run(statement, values))
  }

  async write<T>(run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#connected(signal, run)
  }

  async transaction<T>(run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#connected(signal, async (line) => {
      const answer = await this.#uncommitted(line, run, signal)
      try {
        await line.say('commit')
      } catch (error) {
        line.isUsable = false
        throw undecided(error)
      }
      return answer
    })
  }

  /** Runs the statements of a transaction; what fails is rolled back, and nothing was changed. */
  async #uncommitted<T>(line: Line, run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#begun(line)
    try {
      const answer = await run(line)
      // What was given up must not be committed later.
      if (signal.aborted) throw givenUp()
      return answer
    } catch (error) {
      await line.rollBack()
      throw definite(error)
    }
  }

  /** A connection that was lost while it was idle shows it now; another one may be good. */
  async #begun(line: Line): Promise<void> {
    try {
      for (const text of this.#use.begin) await line.say(text)
    } catch (error) {
      const met = definite(error)
      throw isLost(error) ? new Busy(met.message, { cause: error }) : met
    }
  }

  /** Runs something over a connection of its own, which is taken away from it when nobody waits any more. */
  async #connected<T>(signal: AbortSignal | undefined, run: (line: Line) => Promise<T>): Promise<T> {
    const connection = await this.#connection(signal)
    const line = new Line(connection, this.#use.patience, signal)
    try {
      return await run(line)
    } catch (error) {
      throw failure(error)
    } finally {
      line.end()
    }
  }

  /** Waits for a connection, but not longer than the caller does; one that comes too late is given back. */
  async #connection(signal: AbortSignal | undefined): Promise<MysqlConnection> {
    if (signal?.aborted) throw givenUp()
    const { pool, patience } = this.#use
    return await new Promise((resolve, reject) => {
      let isOver = false
      const end = (settle: () => void): void => {
        if (isOver) return
        isOver = true
        cancel()
        signal?.removeEventListener('abort', giveUp)
        settle()
      }
      const giveUp = (): void => {
        end(() => {
          reject(new StoreUnavailable('no connection came free in time; nothing was changed'))
        })
      }
      const cancel = systemClock.timer(patience, giveUp)
      signal?.addEventListener('abort', giveUp, { once: true })
      asked(() => pool().getConnection()).then(
        (connection) => {
          if (isOver) letGo(() => connection.release())
          end(() => {
            resolve(connection)
          })
        },
        (error: unknown) => {
          end(() => {
            reject(failure(error, true))
          })
        },
      )
    })
  }
}

/** One connection while it is lent. */
class Line implements Session {
  readonly #connection: MysqlConnection
  readonly #signal: AbortSignal | undefined
  readonly #patience: number
  #isEnded = false
  /** Whether the connection can be used further. */
  isUsable = true

  constructor(connection: MysqlConnection, patience: number, signal: AbortSignal | undefined) {
    this.#connection = connection
    this.#patience = patience
    this.#signal = signal
  }

  async run(statement: Statement, values: SqlValues): Promise<Result> {
    const inputs = ordered(statement, values).map(inputOf)
    return resultOf(await this.#asked(() => this.#connection.execute(queryOf(statement.text), inputs)))
  }

  /** Runs a statement without values, which isn't worth preparing. */
  async say(text: string): Promise<Result> {
    return resultOf(await this.#asked(() => this.#connection.query(queryOf(text))))
  }

  /** Also when nobody waits any more: the next one must not find a transaction. A lost connection takes it along. */
  async rollBack(): Promise<void> {
    if (!this.isUsable) return
    try {
      await this.#answered(() => this.#connection.query(queryOf('rollback')), undefined)
    } catch {
      this.isUsable = false
    }
  }

  /** Gives the connection back; one that is of no use any more is closed. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    letGo(() => (this.isUsable ? this.#connection.release() : this.#connection.destroy()))
  }

  async #asked(ask: () => Promise<unknown>): Promise<unknown> {
    if (!this.isUsable || this.#isEnded)
      throw new StoreUnavailable('the connection was lost; nothing was changed')
    if (this.#signal?.aborted) throw givenUp()
    return await this.#answered(ask, this.#signal)
  }

  /** An answer that nobody waits for any more is lost, and the connection with it. */
  async #answered(ask: () => Promise<unknown>, signal: AbortSignal | undefined): Promise<unknown> {
    let stop = (): void => undefined
    const over = new Promise<never>((_, reject) => {
      const giveUp = (): void => {
        this.isUsable = false
        this.end()
        reject(new AnswerLost('the server did not answer in time'))
      }
      const cancel = systemClock.timer(this.#patience, giveUp)
      signal?.addEventListener('abort', giveUp, { once: true })
      stop = () => {
        cancel()
        signal?.removeEventListener('abort', giveUp)
      }
    })
    try {
      return await Promise.race([ask(), over])
    } catch (error) {
      if (!isUsable(error)) this.isUsable = false
      throw error
    } finally {
      stop()
    }
  }
}

/** Gives a connection back, or closes it: what goes wrong with that is the next one's to find out. */
function letGo(go: () => unknown): void {
  asked(async () => await go()).catch(() => undefined)
}

async function asked<T>(ask: () => Promise<T>): Promise<T> {
  return await ask()
}

/** What fails before the commit was sent has changed nothing. */
function definite(error: unknown): Error {
  const met = failure(error, true)
  if (!(met instanceof AnswerLost)) return met
  return new StoreUnavailable(`${met.message}; nothing was changed`, { cause: met })
}

/** A commit that failed for a reason that isn't known may have happened. */
function undecided(error: unknown): Error {
  const met = failure(error)
  return met instanceof StoreUnavailable ? new AnswerLost(met.message, { cause: error }) : met
}

function givenUp(): StoreUnavailable {
  return new StoreUnavailable('given up before it was sent; nothing was changed')
}
