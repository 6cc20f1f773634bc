/** The driver: each call of the contract handed to what reads, writes, or watches. `../mongodb.ts` tells the layout. */

import { type Clock, systemClock } from '../../clock.ts'
import { milliseconds } from '../../duration.ts'
import { StoreClosed } from '../../errors.ts'
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
  SweptBatch,
  Sweeping,
  Touch,
  Watch,
} from '../../store/contract.ts'
import type { Key, StoredRecord } from '../../store/record.ts'
import type { StoreOptions } from '../../store/store.ts'
import { Batches } from './batches.ts'
import type { Source } from './client.ts'
import { Feed } from './feed.ts'
import { Layout } from './layout.ts'
import { Reading } from './reading.ts'
import { Records } from './records.ts'
import { openedOf, settingsOf } from './settings.ts'
import { Turns } from './turns.ts'
import { Writing } from './writing.ts'

/** Settings of a store over MongoDB. */
export interface MongodbOptions extends StoreOptions {
  /**
   * Writes of several records in one step, by a transaction: `atomicBatch`. Refused at open unless the server is a
   * replica set or sharded. Off because it has not been tested with a real one. @default false
   */
  readonly transactions?: boolean
  /**
   * Tells of changes, by a change stream: `watch`. Refused at open unless the server is a replica set or sharded. Off
   * because it has not been tested with a real one. @default false
   */
  readonly changeStreams?: boolean
}

export class MongodbDriver implements Driver {
  readonly #source: Source
  readonly #layout: Layout
  readonly #clock: Clock
  readonly #records: Records
  readonly #reading: Reading
  readonly #batches: Batches
  readonly #asked: { readonly atomicBatch: boolean; readonly watch: boolean }
  readonly #feeds = new Set<Feed>()
  readonly #closing = new AbortController()
  #writing: Writing | undefined

  constructor(source: Source, options: MongodbOptions) {
    this.#source = source
    this.#layout = new Layout(options.namespace ?? 'holdfast', milliseconds(options.margin ?? '1h', 'margin'))
    this.#clock = options.clock ?? systemClock
    const patience = milliseconds(options.deadline ?? '5s', 'deadline')
    this.#records = new Records(source, this.#layout.collection, this.#clock, patience)
    this.#reading = new Reading(this.#records)
    this.#batches = new Batches(this.#records, this.#layout, this.#clock)
    this.#asked = { atomicBatch: options.transactions ?? false, watch: options.changeStreams ?? false }
  }

  async open(call: Call): Promise<Opened> {
    const began = this.#clock.elapsed()
    await this.#source.connect()
    try {
      const time = { clock: this.#clock, began }
      const server = await settingsOf(this.#source, this.#layout, time, call)
      this.#records.isReplicated = server.isReplicated
      this.#writing = new Writing(this.#records, this.#layout, server.isAtomic ? undefined : new Turns())
      return openedOf(server, this.#asked)
    } catch (error) {
      await this.#source.release?.()
      throw error
    }
  }

  async create(record: StoredRecord, call: Call): Promise<'done' | 'conflict'> {
    return await this.#writer.create(record, call)
  }

  async replace(replacement: Replacement, call: Call): Promise<Outcome> {
    return await this.#writer.replace(replacement, call)
  }

  async touch(touches: readonly Touch[], call: Call): Promise<readonly Outcome[]> {
    return await this.#writer.touch(touches, call)
  }

  async read(
    keys: readonly Key[],
    { expired = false }: ReadOptions,
    call: Call,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    return await this.#reading.read(keys, expired, call)
  }

  async write(operations: readonly Operation[], call: Call): Promise<BatchOutcome> {
    return await this.#batches.write(operations, call)
  }

  async list(listing: Listing, call: Call): Promise<Page> {
    return await this.#reading.list(listing, call)
  }

  async count(counting: Counting, call: Call): Promise<number> {
    return await this.#reading.count(counting, call)
  }

  async scan(slice: Slice, call: Call): Promise<Page> {
    return await this.#reading.scan(slice, call)
  }

  async sweep(sweeping: Sweeping, call: Call): Promise<SweptBatch> {
    return await this.#writer.sweep(sweeping, call)
  }

  async remove(keys: readonly Key[], call: Call): Promise<void> {
    await this.#writer.remove(keys, call)
  }

  async watch(listener: (change: Change) => void, call: Call): Promise<Watch> {
    // Marks are written long after the call that began the watch, whose signal says nothing about them.
    const lasting = { now: call.now, signal: this.#closing.signal }
    const feed = new Feed(this.#records, this.#clock, lasting, listener)
    await feed.start()
    this.#feeds.add(feed)
    return {
      mark: () => feed.mark(),
      close: async () => {
        this.#feeds.delete(feed)
        await feed.close()
      },
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#feeds].map((feed) => feed.close()))
    this.#feeds.clear()
    this.#closing.abort()
    await this.#source.release?.()
  }

  get #writer(): Writing {
    if (!this.#writing) throw new StoreClosed('the store is not open')
    return this.#writing
  }
}
