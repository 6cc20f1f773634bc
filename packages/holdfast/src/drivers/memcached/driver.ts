/** The driver: each call of the contract as reads and compare-and-swaps. `../memcached.ts` tells how the data lie. */

import { systemClock } from '../../clock.ts'
import { type Duration, milliseconds } from '../../duration.ts'
import { AnswerLost, InvalidOption, NotSupported, PartialAnswer, StoreFull } from '../../errors.ts'
import type {
  Call,
  Driver,
  Listing,
  Opened,
  Outcome,
  Page,
  ReadOptions,
  Replacement,
  SweptBatch,
  Touch,
} from '../../store/contract.ts'
import { defaultValueBytes, isLive, type Key, type Label, type StoredRecord } from '../../store/record.ts'
import type { StoreOptions } from '../../store/store.ts'
import type { MemcachedClient, MemcachedItem } from './client/client.ts'
import { all } from '../../store/parts.ts'
import { LabelIndex, partOf } from './label-index.ts'
import { bytesOf, Layout, recordOf } from './layout.ts'
import { Listings } from './listings.ts'
import { settingsOf } from './settings.ts'

/** Settings of a store over Memcached. */
export interface MemcachedOptions extends StoreOptions {
  /**
   * `partial` keeps an index of the ids of each label, so that a user's sessions can be shown. Servers drop indexes as
   * they drop records, so a listing may miss some, and revoking by labels is refused all the same. @default 'none'
   */
  readonly listing?: 'partial' | 'none'
  /** The longest index of one label, in bytes: some 40 for each id. The oldest make room. @default 65536 */
  readonly maxIndex?: number
  /** How long the index may delay the answer to a write that is done. @default '1s' */
  readonly indexDeadline?: Duration
  /**
   * `truth`: these are the only copies, and opening warns that any of them may be dropped. `cache`: something else has
   * them too. @default 'truth'
   */
  readonly role?: 'truth' | 'cache'
}

/** A record as it was read, with what compare-and-swap needs. */
interface Held {
  readonly record: StoredRecord
  readonly cas: string
}

/** The longest index unless configured. */
const defaultIndexBytes = 64 * 1024
/** Milliseconds of the longest pause between two tries; its length is drawn. */
const longestPause = 20

export class MemcachedDriver implements Driver {
  readonly #client: MemcachedClient
  readonly #options: MemcachedOptions
  readonly #layout: Layout
  readonly #index: LabelIndex | undefined
  readonly #listings: Listings | undefined
  readonly #release: () => void
  /** Some server refuses what it has no room for, and drops what the key held. */
  #refuses = false

  /** @param release Lets go of the client, where it is the driver's own. */
  constructor(client: MemcachedClient, options: MemcachedOptions, release: () => void = () => undefined) {
    const { listing = 'none', maxIndex = defaultIndexBytes, namespace = 'holdfast' } = options
    if (!Number.isSafeInteger(maxIndex) || maxIndex < 1_024) {
      throw new InvalidOption(`maxIndex must be a whole number of at least 1024 bytes, not ${maxIndex}`)
    }
    const deadline = milliseconds(options.indexDeadline ?? '1s', 'indexDeadline')
    this.#client = client
    this.#options = options
    this.#release = release
    this.#layout = new Layout(namespace, milliseconds(options.margin ?? '1h', 'margin'))
    if (listing === 'none') return
    this.#index = new LabelIndex(client, this.#layout, { longest: maxIndex, deadline })
    this.#listings = new Listings(client, this.#layout, this.#index)
  }

  async open(call: Call): Promise<Opened> {
    const { maxValue = defaultValueBytes, maxIndex = defaultIndexBytes } = this.#options
    const { listing = 'none', clock = systemClock } = this.#options
    const largest = listing === 'none' ? maxValue : Math.max(maxValue, maxIndex)
    try {
      const { opened, refuses } = await settingsOf(this.#client, { largest, listing, clock }, call)
      this.#refuses = refuses
      if (this.#options.role !== 'cache') warn(opened.description)
      return opened
    } catch (error) {
      this.#release()
      throw error
    }
  }

  async create(record: StoredRecord, call: Call): Promise<'done' | 'conflict'> {
    for (let tries = 0; ; tries++) {
      // The key is nearly always free. But a server that has no room drops what is there before it says so.
      const held = tries === 0 && !this.#refuses ? undefined : await this.#held(record.key, call)
      if (held && isLive(held.record, call.now)) return 'conflict'
      const written = held ? this.#swap(record, held.cas, call) : this.#add(record, call)
      const labels = { before: held?.record.labels ?? [], after: [...record.labels, partOf(record.key.id)] }
      if (await this.#indexed(written, record, labels, call)) return 'done'
      if (tries > 0) await this.#pause(call)
    }
  }

  async replace(replacement: Replacement, call: Call): Promise<Outcome> {
    const { key, expected, expired } = replacement
    for (;;) {
      const held = await this.#held(key, call)
      if (!held || !(expired || isLive(held.record, call.now))) return 'gone'
      if (held.record.version !== expected) return 'conflict'
      const next = replaced(held.record, replacement)
      const written = this.#swap(next, held.cas, call)
      const labels = { before: held.record.labels, after: next.labels }
      if (await this.#indexed(written, next, labels, call)) return 'done'
      await this.#pause(call)
    }
  }

  async touch(touches: readonly Touch[], call: Call): Promise<readonly Outcome[]> {
    return await all(
      `touching ${touches.length} records`,
      touches.map((touch) => this.#touch(touch, call)),
    )
  }

  async read(
    keys: readonly Key[],
    { expired }: Required<ReadOptions>,
    call: Call,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    const visible = (item: MemcachedItem | undefined, key: Key): StoredRecord | undefined => {
      const record = item && recordOf(key, item.value)
      return record && (expired || isLive(record, call.now)) ? record : undefined
    }
    try {
      const items = await this.#client.get(
        keys.map((key) => this.#layout.record(key)),
        call,
      )
      return keys.map((key, i) => visible(items[i], key))
    } catch (error) {
      if (!(error instanceof PartialAnswer)) throw error
      const answers = error.answers.map(
        (each, i) => each && { answer: visible(each.answer as MemcachedItem | undefined, keys[i]!) },
      )
      throw new PartialAnswer(error.message, answers, { cause: error.cause })
    }
  }

  write(): never {
    throw new NotSupported('Memcached cannot change several records in one step', 'atomicBatch')
  }

  async list(listing: Listing, call: Call): Promise<Page> {
    if (!this.#listings) throw new NotSupported('this store was made without the option "listing"', 'listing')
    return await this.#listings.page(listing, call)
  }

  count(): never {
    throw new NotSupported('Memcached cannot count', 'counting')
  }

  scan(): never {
    throw new NotSupported('Memcached cannot tell what it holds', 'scanning')
  }

  /** The servers drop what has expired, and can't tell what that is. */
  sweep(): SweptBatch {
    return { removed: [] }
  }

  async remove(keys: readonly Key[], call: Call): Promise<void> {
    await all(
      `removing ${keys.length} records`,
      keys.map((key) => this.#client.delete(this.#layout.record(key), call)),
    )
  }

  watch(): never {
    throw new NotSupported('Memcached tells nobody what changes', 'watch')
  }

  close(): void {
    this.#release()
  }

  async #touch({ key, version, expiresAt, touchedAt }: Touch, call: Call): Promise<Outcome> {
    for (;;) {
      const held = await this.#held(key, call)
      if (!held || !isLive(held.record, call.now)) return 'gone'
      if (held.record.version !== version) return 'conflict'
      const next = {
        ...held.record,
        expiresAt: Math.max(held.record.expiresAt, expiresAt),
        touchedAt: Math.max(held.record.touchedAt, touchedAt),
      }
      if (await this.#swap(next, held.cas, call)) return 'done'
      await this.#pause(call)
    }
  }

  async #held(key: Key, call: Call): Promise<Held | undefined> {
    const [item] = await this.#client.get([this.#layout.record(key)], call)
    return item && { record: recordOf(key, item.value), cas: item.cas }
  }

  async #add(record: StoredRecord, call: Call): Promise<boolean> {
    return await this.#set(record, { add: true, signal: call.signal })
  }

  /** Whether the item was still what was read. Its token changes with a touch too, so that nothing is undone. */
  async #swap(record: StoredRecord, cas: string, call: Call): Promise<boolean> {
    // Given up while it was read: then it must not be written any more.
    if (call.signal.aborted) throw new AnswerLost('given up before the record was written')
    try {
      return await this.#set(record, { cas, signal: call.signal })
    } catch (error) {
      if (!(error instanceof StoreFull)) throw error
      // "Full" would say that nothing was changed. But the record that was to be replaced is gone as well.
      throw new AnswerLost(error.message, { cause: error })
    }
  }

  async #set(
    record: StoredRecord,
    how: { readonly add?: true; readonly cas?: string; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const expires = this.#layout.dropsAt(record.expiresAt)
    const name = this.#layout.record(record.key)
    return (await this.#client.set(name, bytesOf(record), { ...how, expires })) === 'stored'
  }

  /** Waits for a write and then has the index follow it. Where the answer is lost, it enters what may be there. */
  async #indexed(
    written: Promise<boolean>,
    { key, expiresAt }: StoredRecord,
    { before, after }: { readonly before: readonly Label[]; readonly after: readonly Label[] },
    call: Call,
  ): Promise<boolean> {
    if (!this.#index) return await written
    try {
      const isDone = await written
      if (isDone) await this.#index.relabel(key, { before, after, expiresAt }, call)
      return isDone
    } catch (error) {
      if (error instanceof AnswerLost) {
        const possible = [...new Set([...before, ...after])]
        await this.#index.relabel(key, { before, after: possible, expiresAt }, call)
      }
      throw error
    }
  }

  /** Someone else was faster. Rejects when there is no time left. */
  async #pause(call: Call): Promise<void> {
    await systemClock.sleep(Math.random() * longestPause, { signal: call.signal })
  }
}

/** The record after the replacement: what was touched meanwhile stays touched. */
function replaced(record: StoredRecord, replacement: Replacement): StoredRecord {
  const { version, value, labels = record.labels, expiresAt, setsExpiry, touchedAt } = replacement
  return {
    key: record.key,
    version,
    labels,
    value,
    expiresAt: setsExpiry ? expiresAt : Math.max(record.expiresAt, expiresAt),
    touchedAt: Math.max(record.touchedAt, touchedAt),
  }
}

/** Of which servers this process has been warned. */
const warned = new Set<string>()

function warn(description: string): void {
  if (warned.has(description)) return
  warned.add(description)
  process.emitWarning(
    `${description}: as the only store it logs users out when it drops what it holds. Put it in front of a durable ` +
      "store, or set the option role to 'cache' if that is what you do",
    { code: 'HOLDFAST_MAY_FORGET' },
  )
}
