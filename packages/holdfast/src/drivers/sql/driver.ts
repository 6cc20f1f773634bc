/** The driver over an SQL server: each call of the contract as a statement or a transaction, tried again when it lost. */

import { systemClock } from '../../clock.ts'
import { HoldfastError, StoreUnavailable } from '../../errors.ts'
import type {
  BatchOutcome,
  Call,
  Change,
  Counting,
  Driver,
  Listing,
  Opened,
  Operation,
  Outcome,
  Page,
  ReadOptions,
  Replacement,
  Slice,
  Sweeping,
  SweptBatch,
  Touch,
  Watch,
} from '../../store/contract.ts'
import type { Key, StoredRecord } from '../../store/record.ts'
import { type Database, Rollback, type Session } from './database.ts'
import type { Dialect } from './dialect.ts'
import { Reading } from './reading.ts'
import { Removing } from './removing.ts'
import { inKeyOrder } from './rows.ts'

/** A `save` is a replace that leaves the labels alone, a `relabel` one that sets them; `touches` are several. */
export type WriteKind = 'create' | 'save' | 'relabel' | 'touch' | 'touches'

/** How a dialect writes single records. What it changes must be told to watchers in the same transaction. */
export interface RecordWrites {
  /** Which of them need no transaction around them; true: none does. */
  readonly single: true | ReadonlySet<WriteKind>
  create(session: Session, record: StoredRecord, now: number): Promise<'done' | 'conflict'>
  replace(session: Session, replacement: Replacement, now: number): Promise<Outcome>
  /** The touches come in the order of their keys, and are locked in it. */
  touch(session: Session, touches: readonly Touch[], now: number): Promise<readonly Outcome[]>
  /** Tells watchers of what is being removed. */
  removed(session: Session, keys: readonly Key[]): Promise<void>
}

/** What a dialect brings. */
export interface Backend {
  readonly dialect: Dialect
  readonly namespace: string
  readonly database: Database
  readonly writes: RecordWrites
  /** Connects, migrates, asks for the settings. A failed open leaves nothing behind. */
  open(call: Call): Promise<Opened>
  /** The coded error for whatever a client threw. A `Busy` is tried again. */
  failure(error: unknown): Error
  watch(listener: (change: Change) => void, call: Call): Promise<Watch>
  close(): Promise<void>
}

/** Lost to others: a deadlock, a serialisation failure, a lock. Nothing was changed. Never leaves the driver. */
export class Busy extends Error {}

/** Milliseconds before the first repetition; doubled for each further one, with chance so that two don't meet again. */
const firstPause = 2
const longestPause = 100

export class SqlDriver implements Driver {
  readonly #backend: Backend
  readonly #reading: Reading
  readonly #removing: Removing

  constructor(backend: Backend) {
    this.#backend = backend
    this.#reading = new Reading(backend.database, backend.dialect, backend.namespace)
    this.#removing = new Removing(backend.dialect, backend.namespace)
  }

  async open(call: Call): Promise<Opened> {
    return await this.#patiently(call, () => this.#backend.open(call))
  }

  async create(record: StoredRecord, call: Call): Promise<'done' | 'conflict'> {
    return await this.#write(call, 'create', (session) =>
      this.#backend.writes.create(session, record, call.now),
    )
  }

  async replace(replacement: Replacement, call: Call): Promise<Outcome> {
    const kind = replacement.labels === undefined ? 'save' : 'relabel'
    return await this.#write(call, kind, (session) =>
      this.#backend.writes.replace(session, replacement, call.now),
    )
  }

  async touch(touches: readonly Touch[], call: Call): Promise<readonly Outcome[]> {
    const inOrder = inKeyOrder(touches, ({ key }) => key)
    const outcomes = await this.#write(call, touches.length > 1 ? 'touches' : 'touch', (session) =>
      this.#backend.writes.touch(session, inOrder, call.now),
    )
    return inOrder === touches ? outcomes : asAsked(touches, inOrder, outcomes)
  }

  async read(
    keys: readonly Key[],
    { expired }: Required<ReadOptions>,
    call: Call,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    return await this.#patiently(call, () => this.#reading.read(keys, expired, call.now))
  }

  async write(operations: readonly Operation[], call: Call): Promise<BatchOutcome> {
    const inOrder = inKeyOrder(operations, keyOf)
    return await this.#patiently(call, async () => {
      try {
        return await this.#backend.database.transaction(async (session) => {
          const outcomes: Outcome[] = []
          for (const each of inOrder) outcomes.push(await this.#operation(session, each, call.now))
          const batch = { applied: true, outcomes: asAsked(operations, inOrder, outcomes) }
          if (outcomes.every((outcome) => outcome === 'done')) return batch
          throw new Refused({ ...batch, applied: false })
        }, call.signal)
      } catch (error) {
        if (error instanceof Refused) return error.batch
        throw error
      }
    })
  }

  async list(listing: Listing, call: Call): Promise<Page> {
    return await this.#patiently(call, () => this.#reading.list(listing, call.now))
  }

  async count(counting: Counting, call: Call): Promise<number> {
    return await this.#patiently(call, () => this.#reading.count(counting, call.now))
  }

  async scan(slice: Slice, call: Call): Promise<Page> {
    return await this.#patiently(call, () => this.#reading.scan(slice, call.now))
  }

  async sweep(sweeping: Sweeping, call: Call): Promise<SweptBatch> {
    return await this.#together(call, async (session) => {
      const batch = await this.#removing.sweep(session, sweeping)
      await this.#tell(session, batch.removed)
      return batch
    })
  }

  async remove(keys: readonly Key[], call: Call): Promise<void> {
    await this.#together(call, async (session) => {
      await this.#tell(session, await this.#removing.remove(session, keys))
    })
  }

  async watch(listener: (change: Change) => void, call: Call): Promise<Watch> {
    return await this.#patiently(call, () => this.#backend.watch(listener, call))
  }

  async close(): Promise<void> {
    await this.#backend.close()
  }

  async #operation(session: Session, operation: Operation, now: number): Promise<Outcome> {
    const { writes } = this.#backend
    if (operation.type === 'create') return await writes.create(session, operation.record, now)
    if (operation.type === 'replace') return await writes.replace(session, operation, now)
    const [outcome = 'gone'] = await writes.touch(session, [operation], now)
    return outcome
  }

  async #tell(session: Session, removed: SweptBatch['removed']): Promise<void> {
    if (removed.length === 0) return
    await this.#backend.writes.removed(
      session,
      removed.map(({ key }) => key),
    )
  }

  async #write<T>(call: Call, kind: WriteKind, run: (session: Session) => Promise<T>): Promise<T> {
    const { database, writes } = this.#backend
    return await (writes.single === true || writes.single.has(kind)
      ? this.#patiently(call, () => database.write(run, call.signal))
      : this.#together(call, run))
  }

  async #together<T>(call: Call, run: (session: Session) => Promise<T>): Promise<T> {
    return await this.#patiently(call, () => this.#backend.database.transaction(run, call.signal))
  }

  /** Tries again what lost to others, until nobody waits any more. */
  async #patiently<T>(call: Call, attempt: () => Promise<T>): Promise<T> {
    for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
      try {
        return await attempt()
      } catch (error) {
        const failure =
          error instanceof HoldfastError || error instanceof Rollback ? error : this.#backend.failure(error)
        if (!(failure instanceof Busy)) throw failure
        // Rejects at once when nobody waits any more.
        await systemClock.sleep(pause * (0.5 + Math.random()), { signal: call.signal }).catch(() => {
          throw lost(failure)
        })
      }
    }
  }
}

/** Rolls a batch back. Never leaves the driver. */
class Refused extends Rollback {
  readonly batch: BatchOutcome

  constructor(batch: BatchOutcome) {
    super('the batch was refused')
    this.batch = batch
  }
}

function lost(cause: Busy): StoreUnavailable {
  return new StoreUnavailable('the call lost to others until its deadline; nothing was changed', { cause })
}

function keyOf(operation: Operation): Key {
  return operation.type === 'create' ? operation.record.key : operation.key
}

/** The answers in the order of the request instead of that of the keys. */
function asAsked<T, R>(asked: readonly T[], inOrder: readonly T[], answers: readonly R[]): readonly R[] {
  const byItem = new Map(inOrder.map((each, i) => [each, answers[i] as R]))
  return asked.map((each) => byItem.get(each) as R)
}
