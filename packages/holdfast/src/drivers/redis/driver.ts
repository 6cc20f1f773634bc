/** The driver: each call of the contract as one or two round trips. `../redis.ts` tells how the data lie. */

import { type Clock, systemClock } from '../../clock.ts'
import { type Duration, milliseconds } from '../../duration.ts'
import { AnswerLost, InvalidOption, NotSupported } from '../../errors.ts'
import type {
  Call,
  Change,
  Counting,
  Driver,
  Listing,
  Opened,
  Outcome,
  Page,
  ReadOptions,
  Replacement,
  Slice,
  Swept,
  SweptBatch,
  Sweeping,
  Touch,
  Watch,
} from '../../store/contract.ts'
import { isLive, type Key, type Label, type StoredRecord } from '../../store/record.ts'
import type { StoreOptions } from '../../store/store.ts'
import { Buckets } from './buckets.ts'
import { all, type Wire } from './client.ts'
import { Feed } from './feed.ts'
import { LabelIndex } from './label-index.ts'
import { joined, Layout, partOf, text } from './layout.ts'
import { Listings } from './listing.ts'
import { Records } from './records.ts'
import { create, replace, run, touch } from './scripts.ts'
import { settingsOf } from './settings.ts'

/** Settings of a store over Redis. */
export interface RedisOptions extends StoreOptions {
  /**
   * How long a writer may take between entering a record's labels and writing the record. An entry that turns out to
   * point to nothing is mended after this and a half; masters' clocks may differ by half of it. @default '10s'
   */
  readonly promise?: Duration
}

export class RedisDriver implements Driver {
  readonly #wire: Wire
  readonly #layout: Layout
  readonly #clock: Clock
  /** Milliseconds from a record's expiry to the server's own. */
  readonly #wait: string
  /** Milliseconds by which the masters' clocks may differ. */
  readonly #drift: number
  readonly #index: LabelIndex
  readonly #records: Records
  readonly #listings: Listings
  readonly #buckets: Buckets
  readonly #feeds = new Set<Feed>()

  constructor(wire: Wire, options: RedisOptions) {
    const window = milliseconds(options.promise ?? '10s', 'promise')
    if (window < 2) throw new InvalidOption('promise must be at least 2 ms')
    this.#wire = wire
    this.#layout = new Layout(options.namespace ?? 'holdfast')
    this.#clock = options.clock ?? systemClock
    this.#wait = String(2 * milliseconds(options.margin ?? '1h', 'margin'))
    this.#drift = Math.floor(window / 2)
    this.#index = new LabelIndex(this.#wire, this.#layout, window, this.#drift)
    this.#records = new Records(this.#wire, this.#layout)
    this.#listings = new Listings(this.#index, this.#records)
    this.#buckets = new Buckets(this.#wire, this.#layout, this.#records)
  }

  async open(call: Call): Promise<Opened> {
    await this.#wire.connect?.()
    try {
      return await settingsOf(this.#wire, this.#drift, this.#clock, call)
    } catch (error) {
      this.#wire.release?.()
      throw error
    }
  }

  async create(record: StoredRecord, call: Call): Promise<'done' | 'conflict'> {
    const { key, version, labels, value, expiresAt, touchedAt } = record
    const { member, bucket, ...names } = this.#layout.place(key)
    const channel = this.#layout.channel(bucket, this.#wire.cluster)
    const reserved = isReserved(key)
    const content = [
      version,
      Buffer.from(value),
      joined(labels),
      String(expiresAt),
      String(touchedAt),
      this.#wait,
    ]
    const outcome = await this.#promised(key, [...labels, partOf(key.id)], reserved, call, (deadline) => {
      const args = [String(call.now), member, ...content, deadline, channel, flag(reserved)]
      return run(this.#wire, create, [names.record, names.keys, names.expiries], args, call.signal)
    })
    return outcome as 'done' | 'conflict'
  }

  async replace(replacement: Replacement, call: Call): Promise<Outcome> {
    const { key, expected, version, value, labels, expiresAt, setsExpiry, touchedAt, expired } = replacement
    const { member, bucket, ...names } = this.#layout.place(key)
    const channel = this.#layout.channel(bucket, this.#wire.cluster)
    const reserved = expired || isReserved(key)
    const labelling = [flag(labels !== undefined), joined(labels ?? [])]
    const times = [String(expiresAt), flag(setsExpiry), String(touchedAt), this.#wait]
    const content = [expected, version, Buffer.from(value), ...labelling, ...times]
    const outcome = await this.#promised(key, labels ?? [], reserved, call, (deadline) => {
      const args = [String(call.now), member, ...content, deadline, channel, flag(expired), flag(reserved)]
      return run(this.#wire, replace, [names.record, names.keys, names.expiries], args, call.signal)
    })
    return outcome as Outcome
  }

  async touch(touches: readonly Touch[], call: Call): Promise<readonly Outcome[]> {
    const signal = call.signal
    const pending = touches.map(async ({ key, version, expiresAt, touchedAt }) => {
      const { record, expiries, member } = this.#layout.place(key)
      const args = [String(call.now), member, version, String(expiresAt), String(touchedAt), this.#wait]
      return text(await run(this.#wire, touch, [record, expiries], args, signal)) as Outcome
    })
    return await all(`touching ${touches.length} records`, pending)
  }

  async read(
    keys: readonly Key[],
    { expired }: Required<ReadOptions>,
    call: Call,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    const records = await this.#records.read(keys)
    return records.map((record) => (record && (expired || isLive(record, call.now)) ? record : undefined))
  }

  write(): never {
    throw new NotSupported('Redis cannot change several records in one step', 'atomicBatch')
  }

  async list(listing: Listing, call: Call): Promise<Page> {
    return await this.#listings.list(listing, call.now)
  }

  async count(counting: Counting, call: Call): Promise<number> {
    return await this.#listings.count(counting, call.now)
  }

  async scan(slice: Slice, call: Call): Promise<Page> {
    return await this.#buckets.scan(slice, call.now)
  }

  async sweep(sweeping: Sweeping): Promise<SweptBatch> {
    const batch = await this.#buckets.sweep(sweeping)
    await this.#forget(batch.removed)
    return batch
  }

  async remove(keys: readonly Key[]): Promise<void> {
    const pending = keys.map((key) => this.#buckets.remove(key))
    await this.#forget(await all(`removing ${keys.length} records`, pending))
  }

  async watch(listener: (change: Change) => void): Promise<Watch> {
    const feed = new Feed(this.#wire, this.#layout, listener)
    await feed.start()
    this.#feeds.add(feed)
    return {
      mark: () => feed.mark(),
      close: () => {
        this.#feeds.delete(feed)
        feed.close()
      },
    }
  }

  close(): void {
    for (const feed of this.#feeds) feed.close()
    this.#feeds.clear()
    this.#wire.release?.()
  }

  /** Mends the labels' entries of what was removed. What can't be mended now, the next listing mends. */
  async #forget(removed: readonly (Swept | undefined)[]): Promise<void> {
    const repairs = removed.map(async (each) => each && (await this.#listings.forget(each)))
    await Promise.allSettled(repairs)
  }

  /** Writes a record under a promise of its labels, and promises anew as often as the promise has lapsed meanwhile. */
  async #promised(
    key: Key,
    labels: readonly Label[],
    reserved: boolean,
    call: Call,
    write: (deadline: string) => Promise<unknown>,
  ): Promise<string> {
    if (labels.length === 0) return text(await write(''))
    for (;;) {
      const deadline = await this.#index.promise(key, labels, reserved, call)
      // What was given up must not be written later. Nothing has been sent yet but the promise.
      if (call.signal.aborted) throw new AnswerLost('given up before the record was written')
      const outcome = text(await write(deadline))
      if (outcome !== 'late') return outcome
    }
  }
}

/** Marks end sessions, so like burying they have to work when the memory is full. */
function isReserved(key: Key): boolean {
  return key.collection === 'marks'
}

function flag(value: boolean): string {
  return value ? '1' : '0'
}
