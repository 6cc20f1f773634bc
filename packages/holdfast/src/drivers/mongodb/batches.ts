/** Several records in one step: a transaction. Only replica sets have them. */

import type { Clock } from '../../clock.ts'
import { AnswerLost, HoldfastError, StoreUnavailable } from '../../errors.ts'
import type { BatchOutcome, Call, Operation, Outcome } from '../../store/contract.ts'
import { isLive, type Key, keyText } from '../../store/record.ts'
import type { MongodbSession } from './client.ts'
import { failure } from './failure.ts'
import type { Fields, Layout } from './layout.ts'
import type { Records } from './records.ts'
import { changeOf } from './writing.ts'

/** Another transaction was at one of the records first. Nothing was changed. */
class Overtaken extends Error {}

/** Milliseconds before a transaction that was overtaken begins again. */
const pause = 10

export class Batches {
  readonly #records: Records
  readonly #layout: Layout
  readonly #clock: Clock

  constructor(records: Records, layout: Layout, clock: Clock) {
    this.#records = records
    this.#layout = layout
    this.#clock = clock
  }

  async write(operations: readonly Operation[], call: Call): Promise<BatchOutcome> {
    for (;;) {
      try {
        return await this.#inTransaction(call, (session) => this.#tried(operations, call, session))
      } catch (error) {
        if (!isOvertaken(error) || call.signal.aborted) throw definite(error)
      }
      await this.#clock.sleep(pause)
    }
  }

  /** Looks at all records, and writes only if all may be written: whoever changes one meanwhile makes it begin again. */
  async #tried(operations: readonly Operation[], call: Call, session: MongodbSession): Promise<BatchOutcome> {
    const ids = operations.map((operation) => keyText(keyOf(operation)))
    const projection = { version: 1, expiresAt: 1 }
    const documents = await this.#records.find(
      { filter: { _id: { $in: ids } }, limit: ids.length, projection },
      call,
      session,
    )
    const heads = new Map(documents.map((document) => [document['_id'], document]))
    const outcomes = operations.map((operation, i) => outcomeOf(operation, heads.get(ids[i]), call.now))
    const applied = outcomes.every((outcome) => outcome === 'done')
    if (!applied) return { applied, outcomes }
    for (const operation of operations) {
      const isThere = heads.has(keyText(keyOf(operation)))
      if (!(await this.#applied(operation, isThere, call, session))) throw new Overtaken()
    }
    return { applied, outcomes }
  }

  async #applied(
    operation: Operation,
    isThere: boolean,
    call: Call,
    session: MongodbSession,
  ): Promise<boolean> {
    const _id = keyText(keyOf(operation))
    if (operation.type === 'create') {
      const document = this.#layout.documentOf(operation.record)
      if (!isThere) return await this.#records.insert(document, call, session)
      return await this.#records.update({ _id }, document, call, session)
    }
    const change =
      operation.type === 'replace'
        ? changeOf(operation, this.#layout)
        : { $max: { ...this.#layout.expiry(operation.expiresAt), touchedAt: operation.touchedAt } }
    return await this.#records.update({ _id }, change, call, session)
  }

  /** Commits also where nothing was written: only then is what was read known to last. */
  async #inTransaction<T>(call: Call, act: (session: MongodbSession) => Promise<T>): Promise<T> {
    const session = this.#records.source.client().startSession()
    try {
      session.startTransaction({
        readConcern: { level: 'snapshot' },
        writeConcern: { w: 'majority', j: true },
        readPreference: 'primary',
      })
      let answer: T
      try {
        answer = await act(session)
        // What was given up must not be written later.
        if (call.signal.aborted) throw new StoreUnavailable('given up before it was written')
      } catch (error) {
        await session.abortTransaction().catch(() => undefined)
        throw error
      }
      await committed(session)
      return answer
    } finally {
      await session.endSession()
    }
  }
}

async function committed(session: MongodbSession): Promise<void> {
  try {
    await session.commitTransaction()
  } catch (error) {
    if (hasLabel(error, 'TransientTransactionError')) throw new Overtaken('', { cause: error })
    // The client has tried twice: however definite the second failure is, the first commit may have been carried out.
    throw new Uncommitted(failure(error).message, { cause: error })
  }
}

/** The answer to the commit itself was lost: the only failure after which the batch may have happened. */
class Uncommitted extends AnswerLost {}

/** Whatever fails before the commit has changed nothing. */
function definite(error: unknown): unknown {
  if (error instanceof Uncommitted) return error
  if (error instanceof HoldfastError && !(error instanceof AnswerLost)) return error
  const why = error instanceof Error ? error.message : String(error)
  return new StoreUnavailable(`the transaction was not committed: ${why}`, { cause: error })
}

function isOvertaken(error: unknown): boolean {
  if (error instanceof Overtaken) return true
  return error instanceof AnswerLost && hasLabel(error.cause, 'TransientTransactionError')
}

function hasLabel(error: unknown, label: string): boolean {
  const { errorLabels } = (error ?? {}) as { readonly errorLabels?: unknown }
  return Array.isArray(errorLabels) && errorLabels.includes(label)
}

function keyOf(operation: Operation): Key {
  return operation.type === 'create' ? operation.record.key : operation.key
}

/** What the operation would answer alone. */
function outcomeOf(operation: Operation, head: Fields | undefined, now: number): Outcome {
  const { version, expiresAt } = head ?? {}
  const live = typeof expiresAt === 'number' && isLive({ expiresAt }, now)
  if (operation.type === 'create') return live ? 'conflict' : 'done'
  if (!head || !(live || (operation.type === 'replace' && operation.expired))) return 'gone'
  const expected = operation.type === 'replace' ? operation.expected : operation.version
  return version === expected ? 'done' : 'conflict'
}
