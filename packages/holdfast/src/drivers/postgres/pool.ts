/** The database over a `Pool` of pg. */

import type { Result, Session } from '../sql/database.ts'
import { postgres } from '../sql/dialect.ts'
import { ordered, type SqlValues, type Statement } from '../sql/statement.ts'
import type {
  Listening,
  PostgresConnection,
  PostgresDatabase,
  PostgresPool,
  PostgresQuery,
  PostgresResult,
} from './client.ts'
import { failure, givenUp, isUsable } from './failure.ts'

export class PoolDatabase implements PostgresDatabase {
  readonly #pool: PostgresPool
  readonly #prepare: boolean

  constructor(pool: PostgresPool, prepare: boolean) {
    this.#pool = pool
    this.#prepare = prepare
  }

  get listens(): boolean {
    return this.#pool.options?.max !== 1
  }

  async read(statement: Statement, values: SqlValues): Promise<Result> {
    return resultOf(await this.#pool.query(this.#query(statement, values)))
  }

  async write<T>(run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#connected(signal, async (connection) => {
      try {
        return await run(this.#session(connection))
      } catch (error) {
        throw coded(error)
      }
    })
  }

  async transaction<T>(run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#connected(signal, async (connection) => {
      const answer = await this.#uncommitted(connection, run, signal)
      try {
        await connection.query({ text: 'commit', values: [] })
      } catch (error) {
        throw coded(error)
      }
      return answer
    })
  }

  /** Runs the statements of a transaction; what fails is rolled back, and nothing was changed. */
  async #uncommitted<T>(
    connection: PostgresConnection,
    run: (session: Session) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    try {
      for (const text of postgres.begin) await connection.query({ text, values: [] })
      const answer = await run(this.#session(connection))
      // What was given up must not be committed later.
      if (signal.aborted) throw givenUp()
      return answer
    } catch (error) {
      if (!isUsable(error)) throw new Broken(failure(error, true))
      await connection.query({ text: 'rollback', values: [] }).catch((cause: unknown) => {
        throw new Broken(failure(cause, true))
      })
      throw failure(error, true)
    }
  }

  async listen(channel: string, onWake: () => void, onLost: () => void): Promise<Listening> {
    const connection = await this.#pool.connect()
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      connection.off('notification', onWake)
      connection.off('end', lost)
      // The listener of errors stays: the last words of a dying connection must not end the process.
      connection.release(true)
    }
    const lost = (): void => {
      if (isOver) return
      end()
      onLost()
    }
    connection.on('error', lost)
    connection.on('end', lost)
    connection.on('notification', onWake)
    try {
      await connection.query({ text: `listen "${channel}"`, values: [] })
    } catch (error) {
      end()
      throw error
    }
    return { close: end }
  }

  #session(connection: PostgresConnection): Session {
    return {
      run: async (statement, values) => resultOf(await connection.query(this.#query(statement, values))),
    }
  }

  #query(statement: Statement, values: SqlValues): PostgresQuery {
    const { name, text } = statement
    const list = ordered(statement, values) as unknown[]
    return this.#prepare ? { name, text, values: list } : { text, values: list }
  }

  /** Runs something over a connection of its own, which is taken away from it when nobody waits any more. */
  async #connected<T>(signal: AbortSignal, run: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    const connection = await this.#connection()
    if (signal.aborted) {
      connection.release()
      throw givenUp()
    }
    // The pool listens to the errors of idle connections only; unheard, one would end the process.
    connection.on('error', unheard)
    let isReleased = false
    const release = (destroy: boolean): void => {
      if (isReleased) return
      isReleased = true
      signal.removeEventListener('abort', aborted)
      // One that is destroyed may still have last words.
      if (!destroy) connection.off('error', unheard)
      connection.release(destroy)
    }
    const aborted = (): void => {
      release(true)
    }
    signal.addEventListener('abort', aborted, { once: true })
    try {
      const answer = await run(connection)
      release(false)
      return answer
    } catch (error) {
      release(error instanceof Broken)
      throw error instanceof Broken ? error.failure : error
    }
  }

  async #connection(): Promise<PostgresConnection> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw failure(error, true)
    }
  }
}

/** What a connection has to say is said again by the statement under way. */
function unheard(): void {
  // Nothing to do.
}

/** The connection can't be used any more. */
class Broken extends Error {
  readonly failure: Error

  constructor(cause: Error) {
    super(cause.message)
    this.failure = cause
  }
}

/** The coded error of a statement, marked where the connection is lost with it. */
function coded(error: unknown): Error {
  return isUsable(error) ? failure(error) : new Broken(failure(error))
}

function resultOf({ rows, rowCount }: PostgresResult): Result {
  return { rows, changed: rowCount ?? 0 }
}
