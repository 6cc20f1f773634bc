/** The database over postgres.js. */

import { StoreUnavailable } from '../../errors.ts'
import type { Result, Session } from '../sql/database.ts'
import { ordered, type SqlValues, type Statement } from '../sql/statement.ts'
import type { Listening, PostgresDatabase, PostgresJs, PostgresJsSession } from './client.ts'
import { failure, givenUp, isUsable } from './failure.ts'

export class PostgresJsDatabase implements PostgresDatabase {
  readonly listens = true
  readonly #sql: PostgresJs
  readonly #prepare: boolean

  constructor(sql: PostgresJs, prepare: boolean) {
    this.#sql = sql
    this.#prepare = prepare
  }

  async read(statement: Statement, values: SqlValues): Promise<Result> {
    return await this.#run(this.#sql, statement, values)
  }

  async write<T>(run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    const session: Session = {
      run: async (statement, values) => {
        refuseGivenUp(signal)
        return await this.#run(this.#sql, statement, values, signal)
      },
    }
    try {
      return await run(session)
    } catch (error) {
      throw failure(error)
    }
  }

  /**
   * The commit is ours, and its answer is looked at: postgres.js prepares its own by name, and where a pooler has
   * forgotten that name it tries again in a transaction that has failed, which rolls back and looks like success. Ours
   * goes on with an empty transaction, and what becomes of that doesn't matter.
   */
  async transaction<T>(run: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    const answer = Promise.withResolvers<T>()
    let isCommitting = false
    const transact = async (sql: PostgresJsSession): Promise<void> => {
      refuseGivenUp(signal)
      const result = await run({ run: (statement, values) => this.#run(sql, statement, values) })
      // What was given up must not be committed later.
      refuseGivenUp(signal)
      isCommitting = true
      const { command } = await sql.unsafe('commit and chain', [], { prepare: false })
      if (command !== 'COMMIT') throw new StoreUnavailable('PostgreSQL rolled the transaction back')
      answer.resolve(result)
    }
    const begun = this.#sql.begin('isolation level read committed', (sql) =>
      transact(sql).catch((error: unknown) => {
        answer.reject(failure(error, !isCommitting))
        if (isUsable(error)) throw error
        // postgres.js would roll back over the dead connection, and throw where nobody can catch it. Kept waiting it
        // finds by itself that the connection is gone.
        return new Promise<never>(() => undefined)
      }),
    )
    begun.catch((error: unknown) => {
      answer.reject(failure(error, !isCommitting))
    })
    return await answer.promise
  }

  async listen(channel: string, onWake: () => void): Promise<Listening> {
    // Its client comes back by itself; what was missed meanwhile may be waiting.
    const request = await this.#sql.listen(channel, onWake, onWake)
    return {
      close: () => {
        request.unlisten().catch(() => undefined)
      },
    }
  }

  async #run(
    sql: PostgresJsSession,
    statement: Statement,
    values: SqlValues,
    signal?: AbortSignal,
  ): Promise<Result> {
    const query = sql.unsafe(statement.text, [...ordered(statement, values)], { prepare: this.#prepare })
    const cancel = (): void => {
      query.cancel()
    }
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      const rows = await query
      return { rows, changed: rows.count ?? 0 }
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }
}

function refuseGivenUp(signal: AbortSignal): void {
  if (signal.aborted) throw givenUp()
}
