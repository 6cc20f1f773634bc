/** The driver: reads on the caller's thread, writes through the queue, over whatever connections it was given. */

import { systemClock } from '../../clock.ts'
import { HoldfastError, StoreClosed } from '../../errors.ts'
import type {
  Awaitable,
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
import type { Connections } from './connections.ts'
import { errorOf, type Failure, failureOf, isFailure } from './failure.ts'
import { Feed } from './feed.ts'
import { type Answer, createJob, type Job, operationJob, replaceJob, touchJob, type Values } from './jobs.ts'
import { pauseAfter, Queue } from './queue.ts'
import { Reading } from './reading.ts'
import { capabilitiesOf, descriptionOf } from './settings.ts'

interface Parts {
  readonly reading: Reading
  readonly queue: Queue
  readonly feed: Feed
}

export class SqliteDriver implements Driver {
  readonly #connections: Connections
  readonly #namespace: string
  readonly #patience: number
  #parts: Parts | undefined

  /** @param patience Milliseconds for which a locked file is tried again. */
  constructor(connections: Connections, namespace: string, patience: number) {
    this.#connections = connections
    this.#namespace = namespace
    this.#patience = patience
  }

  async open(call: Call): Promise<Opened> {
    const { found, reader, writer } = await this.#patiently(call, () => this.#connections.open())
    const feed = new Feed(reader, this.#namespace, this.#connections.name)
    const queue = new Queue(writer, () => feed.look(), this.#patience)
    this.#parts = { reading: new Reading(reader, this.#namespace), queue, feed }
    return { capabilities: capabilitiesOf(found), description: descriptionOf(found) }
  }

  async create(record: StoredRecord, call: Call): Promise<'done' | 'conflict'> {
    return await this.#write<'done' | 'conflict'>(call, (values) => createJob(record, call.now, values))
  }

  async replace(replacement: Replacement, call: Call): Promise<Outcome> {
    return await this.#write<Outcome>(call, (values) => replaceJob(replacement, call.now, values))
  }

  async touch(touches: readonly Touch[], call: Call): Promise<readonly Outcome[]> {
    return await this.#write<readonly Outcome[]>(call, () => [
      'touches',
      touches.map((each) => touchJob(each, call.now)),
    ])
  }

  read(
    keys: readonly Key[],
    { expired }: Required<ReadOptions>,
    call: Call,
  ): Awaitable<readonly (StoredRecord | undefined)[]> {
    return this.#read(call, ({ reading }) => reading.read(keys, expired, call.now))
  }

  async write(operations: readonly Operation[], call: Call): Promise<BatchOutcome> {
    return await this.#write<BatchOutcome>(call, (values) => [
      'batch',
      operations.map((each) => operationJob(each, call.now, values)),
    ])
  }

  list(listing: Listing, call: Call): Awaitable<Page> {
    return this.#read(call, ({ reading }) => reading.list(listing, call.now))
  }

  count(counting: Counting, call: Call): Awaitable<number> {
    return this.#read(call, ({ reading }) => reading.count(counting, call.now))
  }

  scan(slice: Slice, call: Call): Awaitable<Page> {
    return this.#read(call, ({ reading }) => reading.scan(slice, call.now))
  }

  async sweep({ before, limit }: Sweeping, call: Call): Promise<SweptBatch> {
    return await this.#write<SweptBatch>(call, () => ['sweep', before, limit])
  }

  async remove(keys: readonly Key[], call: Call): Promise<void> {
    await this.#write(call, () => ['remove', keys.map(({ collection, id }) => [collection, id] as const)])
  }

  watch(listener: (change: Change) => void, call: Call): Awaitable<Watch> {
    return this.#read(call, ({ feed }) => feed.watch(listener))
  }

  async close(): Promise<void> {
    const parts = this.#parts
    await parts?.queue.drained()
    this.#parts = undefined
    parts?.feed.close()
    await this.#connections.close()
  }

  get #open(): Parts {
    if (!this.#parts) throw new StoreClosed('the store is not open')
    return this.#parts
  }

  async #write<A extends Answer>(call: Call, encode: (values: Values) => Job): Promise<A> {
    const answer = await this.#open.queue.add(call, encode)
    if (isFailure(answer)) throw errorOf(answer, this.#connections.name)
    return answer as A
  }

  /** Reads at once, and answers plainly; only a locked file makes it wait. */
  #read<T>(call: Call, read: (parts: Parts) => T): Awaitable<T> {
    const parts = this.#open
    const first = attempted(parts, read)
    return isFailure(first) ? this.#patiently(call, () => attempted(parts, read), first) : first
  }

  /** Tries again while the file is locked, until nobody waits any more. */
  async #patiently<T>(call: Call, attempt: () => Awaitable<T | Failure>, first?: Failure): Promise<T> {
    const until = systemClock.elapsed() + this.#patience
    const isOver = (): boolean => call.signal.aborted || systemClock.elapsed() >= until
    let result = first ?? (await attempt())
    for (let tries = 0; isFailure(result) && result.failure === 'busy' && !isOver(); tries++) {
      await systemClock.sleep(pauseAfter(tries), { signal: call.signal }).catch(() => undefined)
      result = await attempt()
    }
    if (isFailure(result)) throw errorOf(result, this.#connections.name)
    return result
  }
}

function attempted<T>(parts: Parts, read: (parts: Parts) => T): T | Failure {
  try {
    return read(parts)
  } catch (error) {
    // Ours by name already, such as a cursor that no page ended with.
    if (error instanceof HoldfastError) throw error
    return failureOf(error)
  }
}
