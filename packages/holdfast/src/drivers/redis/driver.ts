/** The driver: each call of the contract as one or two round trips. `../redis.ts` tells how the data lie. */

import { type Clock, systemClock } from '../../clock.ts'
import { type Duration, milliseconds } from '../../duration.ts'
import { AnswerLost, InvalidOption, NotSupported, StoreUnavailable } from '../../errors.ts'
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
import {
  type Instant,
  isLive,
  type Key,
  type Label,
  never,
  type StoredRecord,
  type Version,
} from '../../store/record.ts'
import type { StoreOptions } from '../../store/store.ts'
import { type Acknowledge, Acknowledgement } from './acknowledgement.ts'
import { Buckets } from './buckets.ts'
import { Eviction } from './eviction.ts'
import { Feed } from './feed.ts'
import { LabelIndex } from './label-index.ts'
import { argument, labelling, padded, written } from './form.ts'
import { Layout, partOf, type Place, text } from './layout.ts'
import { Listings } from './listing.ts'
import { Records } from './records.ts'
import { type Reindexed, Reindexing } from './reindexing.ts'
import { create, replace, run, touch } from './scripts.ts'
import { settingsOf } from './settings.ts'
import { all } from '../../store/parts.ts'
import type { Wire } from './wire.ts'

/** Settings of a store over Redis. */
export interface RedisOptions extends StoreOptions {
  /**
   * How long a writer may take between entering a record's labels and writing the record. An entry that turns out to
   * point to nothing is mended after this and a half; masters' clocks may differ by half of it. @default '10s'
   */
  readonly promise?: Duration
  /**
   * How often a watch proves that it still hears every server, and how long the proof may take: a feed that broke
   * without a sign is told of within twice this. @default '3s'
   */
  readonly heartbeat?: Duration
  /**
   * Burying (destroy, revoke), marks and removals are done only when that many replicas have confirmed them. A fail-over
   * to one of these replicas then keeps them. Not confirmed in time, they end in `OutcomeUnknown`, though written.
   * @default nothing waits for replicas
   */
  readonly acknowledge?: Acknowledge
}

export class RedisDriver implements Driver {
  readonly #wire: Wire
  readonly #layout: Layout
  readonly #clock: Clock
  /** Milliseconds from a record's expiry to the server's own. */
  readonly #wait: number
  /** Milliseconds by which the masters' clocks may differ. */
  readonly #drift: number
  /** Milliseconds between two proofs that a watch still hears. */
  readonly #heartbeat: number
  readonly #index: LabelIndex
  readonly #records: Records
  readonly #listings: Listings
  readonly #buckets: Buckets
  readonly #eviction: Eviction
  readonly #acknowledgement: Acknowledgement | undefined
  readonly #feeds = new Set<Feed>()

  constructor(wire: Wire, options: RedisOptions) {
    const window = milliseconds(options.promise ?? '10s', 'promise')
    if (window < 2) throw new InvalidOption('promise must be at least 2 ms')
    this.#wire = wire
    this.#layout = new Layout(options.namespace ?? 'holdfast')
    this.#clock = options.clock ?? systemClock
    this.#wait = 2 * milliseconds(options.margin ?? '1h', 'margin')
    this.#drift = Math.floor(window / 2)
    this.#heartbeat = milliseconds(options.heartbeat ?? '3s', 'heartbeat')
    if (this.#heartbeat < 100) throw new InvalidOption('heartbeat must be at least 100 ms')
    const deadline = milliseconds(options.deadline ?? '5s', 'deadline')
    this.#acknowledgement = options.acknowledge && new Acknowledgement(wire, options.acknowledge, deadline)
    this.#index = new LabelIndex(this.#wire, this.#layout, window, this.#drift)
    this.#records = new Records(this.#wire, this.#layout)
    this.#listings = new Listings(this.#index, this.#records)
    this.#buckets = new Buckets(this.#wire, this.#layout, this.#records)
    this.#eviction = new Eviction(this.#wire)
  }

  async open(call: Call): Promise<Opened> {
    await this.#wire.connect?.()
    try {
      const opened = await settingsOf(this.#wire, this.#drift, this.#clock, call)
      if (call.signal.aborted) throw new StoreUnavailable('given up before it was open')
      return opened
    } catch (error) {
      this.#wire.release?.()
      throw error
    }
  }

  async create(record: StoredRecord, call: Call): Promise<'done' | 'conflict'> {
    const { key, version, labels, expiresAt } = record
    const place = this.#layout.place(key)
    const channel = this.#layout.channel(place.bucket, this.#wire.cluster)
    const reserved = isReserved(key)
    const content = written(record)
    const times = [padded(expiresAt), this.#backstop(expiresAt)]
    const write = (): Promise<string> =>
      this.#promised(key, [...labels, partOf(key.id)], reserved, call, (deadline) => {
        const args = [String(call.now), content, ...times, deadline, channel, flag(reserved)]
        return run(this.#wire, create, [place.record, place.keys, place.expiries], args, call)
      })
    return (await this.#acknowledged(reserved, place, version, write)) as 'done' | 'conflict'
  }

  async replace(replacement: Replacement, call: Call): Promise<Outcome> {
    const { key, expected, version, value, labels, expiresAt, setsExpiry, touchedAt, expired } = replacement
    const place = this.#layout.place(key)
    const reserved = expired || isReserved(key)
    const times = padded(call.now) + padded(expiresAt) + padded(touchedAt)
    const flags = flag(setsExpiry) + flag(expired) + flag(reserved)
    const channel = this.#layout.channel(place.bucket, this.#wire.cluster)
    const args = [times, flags, expected, version, argument(value), this.#backstop(expiresAt), channel]
    const write = async (): Promise<string> => {
      if (!labels) return text(await run(this.#wire, replace, [place.record, place.expiries], args, call))
      const relabelling = labelling(labels)
      return await this.#promised(key, labels, reserved, call, (deadline) => {
        const all = [...args, ...relabelling, deadline]
        return run(this.#wire, replace, [place.record, place.expiries], all, call)
      })
    }
    return (await this.#acknowledged(reserved, place, version, write)) as Outcome
  }

  async touch(touches: readonly Touch[], call: Call): Promise<readonly Outcome[]> {
    const pending = touches.map(async ({ key, version, expiresAt, touchedAt }) => {
      const { record, expiries } = this.#layout.place(key)
      const times = [padded(expiresAt), padded(touchedAt), this.#backstop(expiresAt)]
      const args = [String(call.now), version, ...times]
      return text(await run(this.#wire, touch, [record, expiries], args, call)) as Outcome
    })
    return await all(`touching ${touches.length} records`, pending)
  }

  async read(
    keys: readonly Key[],
    { expired, strict }: Required<ReadOptions>,
    call: Call,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    const records = await this.#records.read(keys)
    if (strict && this.#acknowledgement) {
      const places = keys.map((key) => this.#layout.place(key))
      await this.#acknowledgement.settle(places, records)
    }
    return records.map((record) => (record && (expired || isLive(record, call.now)) ? record : undefined))
  }

  write(): never {
    throw new NotSupported('Redis cannot change several records in one step', 'atomicBatch')
  }

  async list(listing: Listing, call: Call): Promise<Page> {
    await this.#eviction.refuse()
    return await this.#listings.list(listing, call.now)
  }

  async count(counting: Counting, call: Call): Promise<number> {
    await this.#eviction.refuse()
    return await this.#listings.count(counting, call.now)
  }

  async scan(slice: Slice, call: Call): Promise<Page> {
    await this.#eviction.refuse()
    return await this.#buckets.scan(slice, call.now)
  }

  async sweep(sweeping: Sweeping): Promise<SweptBatch> {
    const batch = await this.#buckets.sweep(sweeping)
    await this.#forget(batch.removed)
    return batch
  }

  async remove(keys: readonly Key[]): Promise<void> {
    const pending = keys.map(async (key) => {
      const removed = await this.#buckets.remove(key)
      await this.#acknowledgement?.removed(this.#layout.place(key))
      return removed
    })
    await this.#forget(await all(`removing ${keys.length} records`, pending))
  }

  /** Puts back index entries that were lost. */
  async reindex(signal?: AbortSignal): Promise<Reindexed> {
    return await new Reindexing(this.#wire, this.#layout, this.#records, this.#index).run(signal)
  }

  async watch(listener: (change: Change) => void): Promise<Watch> {
    const feed = new Feed(this.#wire, this.#layout, this.#heartbeat, listener)
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

  /** What must not come back is confirmed by replicas, where that was asked for. */
  async #acknowledged(
    reserved: boolean,
    place: Place,
    version: Version,
    write: () => Promise<string>,
  ): Promise<string> {
    if (!reserved || !this.#acknowledgement) return await write()
    return await this.#acknowledgement.write(place, version, write)
  }

  /** When the server removes a record on its own; '' for never. */
  #backstop(expiresAt: Instant): string {
    return expiresAt >= never ? '' : String(expiresAt + this.#wait)
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
