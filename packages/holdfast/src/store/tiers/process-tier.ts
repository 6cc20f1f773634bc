/**
 * The memory of this process over a store.
 *
 * Freshness: where the store has a change feed, what is kept answers as long as an echo through the feed proves that
 * nothing it has told of is missing here, no older than the bound. Where it has none, what is kept answers for as
 * long as the bound after its reading began. Either way an answer is behind the truth by at most the bound.
 *
 * A key that was changed is next read from the truth itself, not from a cache between: that one may not know yet.
 */

import { longestTimer } from '../../clock.ts'
import type { Awaitable, ReadOptions, View } from '../contract.ts'
import { isLive, type Key, keyText, type StoredRecord } from '../record.ts'
import type { CallOptions, Store, TierFigures } from '../store.ts'
import { Feed } from './feed.ts'
import { awaited, copyOf, type Load, Loads } from './loads.ts'
import { type Cached, ProcessCache } from './process-cache.ts'
import { Recent } from './recent.ts'
import { Tier, type TierSettings } from './tier.ts'

/** Settings of a {@link ProcessTier}, complete. */
export interface ProcessTierSettings extends TierSettings {
  readonly maxBytes: number
  /** The bound of the tier below, for as long as which it may be behind; 0 where there is none. */
  readonly boundBelow: number
}

export class ProcessTier extends Tier {
  readonly #cache: ProcessCache
  readonly #loads = new Loads()
  readonly #feed: Feed
  readonly #recent: Recent
  #hasFeed: boolean | undefined
  #isShared = true
  #hits = 0
  #misses = 0
  #spoiled = 0

  constructor(truth: Store, settings: ProcessTierSettings) {
    super(truth, settings)
    this.#cache = new ProcessCache(settings.maxBytes)
    this.#recent = new Recent(truth.clock, settings.boundBelow)
    this.#feed = new Feed(truth, settings.bound, {
      forget: (keys) => {
        this.forget(keys)
      },
      forgetAll: () => {
        this.#cache.clear()
        this.#loads.spoilAll()
        this.#recent.addAll()
      },
    })
  }

  read(key: Key, options: ReadOptions & CallOptions = {}): Awaitable<StoredRecord | undefined> {
    if (options.strict || options.expired) return this.truth.read(key, options)
    const entry = this.#known(key)
    if (entry && !entry.isThere) return undefined
    return entry?.record ?? this.#loaded(key, options)
  }

  view<T>(key: Key, view: View<T>, options: ReadOptions & CallOptions = {}): Awaitable<T | undefined> {
    if (options.strict || options.expired) return this.truth.view(key, view, options)
    const entry = this.#known(key)
    if (entry) {
      if (!entry.isThere) return undefined
      const seen = entry.seen(view)
      if (seen !== undefined) return seen as T
      if (entry.hasValue) return this.#looked(entry, view)
    }
    const record = this.#loaded(key, options)
    if (record instanceof Promise) return record.then((read) => this.#viewed(key, view, read))
    return this.#viewed(key, view, record)
  }

  async readMany(
    keys: readonly Key[],
    options: ReadOptions & CallOptions = {},
  ): Promise<readonly (StoredRecord | undefined)[]> {
    if (options.strict || options.expired) return await this.truth.readMany(keys, options)
    await this.#begun()
    const answers = keys.map((key) => {
      const entry = this.#known(key)
      return entry && (!entry.isThere || entry.hasValue) ? { record: entry.record } : undefined
    })
    const missing = keys.filter((_, i) => !answers[i])
    const read = missing.length > 0 ? await this.#readAll(missing, options) : []
    let next = 0
    return answers.map((answer) => (answer ? answer.record : read[next++]))
  }

  /**
   * Resolves when no process can answer with what was true before: what every process keeps is proven to be younger, or
   * not used, once the bound has passed.
   */
  async invalidate(keys: readonly Key[]): Promise<void> {
    this.forget(keys)
    await this.#begun()
    await this.truth.invalidate(keys)
    if (this.#isShared) await this.clock.sleep(Math.min(this.bound, longestTimer))
  }

  protected forget(keys: readonly Key[]): void {
    for (const key of keys) this.#cache.delete(key)
    this.#loads.spoil(keys)
    this.#recent.add(keys)
  }

  protected described(): string {
    return 'this process’s memory'
  }

  protected tierFigures(): TierFigures {
    const { entries, bytes } = this.#cache
    return {
      kind: 'process',
      hits: this.#hits,
      misses: this.#misses,
      spoiled: this.#spoiled,
      entries,
      bytes,
      feed: this.#feed.figures,
    }
  }

  protected async ended(): Promise<void> {
    this.#cache.clear()
    await this.#feed.close()
  }

  // ── what is known ─────────────────────────────────────────────────────────────────────────────────────────

  /** What is kept and may be used. An expired copy is not: the truth may have been touched by somebody else. */
  #known(key: Key): Cached | undefined {
    const entry = this.#cache.get(key)
    if (!entry || !this.#isTrusted(entry) || !isLive(entry, this.clock.now())) {
      this.#misses++
      return undefined
    }
    this.#hits++
    return entry
  }

  #isTrusted(entry: Cached): boolean {
    if (this.#hasFeed) return this.#feed.isFresh()
    return this.clock.elapsed() - entry.readAt < this.bound
  }

  #looked<T>(entry: Cached, view: View<T>): T {
    const { seen, grown } = entry.look(view)
    this.#cache.grow(grown)
    return seen
  }

  /** What the view makes of a record that was just read, kept if the record is. */
  #viewed<T>(key: Key, view: View<T>, read: StoredRecord | undefined): T | undefined {
    if (!read) return undefined
    const entry = this.#cache.get(key)
    return entry?.hasValue && entry.version === read.version ? this.#looked(entry, view) : view(read)
  }

  // ── reading the truth ─────────────────────────────────────────────────────────────────────────────────────

  /** Finds out what the truth can do, and listens to its feed where it has one. */
  #begun(): Promise<void> | undefined {
    if (this.#hasFeed !== undefined) return undefined
    return this.truth.open().then(({ capabilities }) => {
      this.#hasFeed = capabilities.watch
      this.#isShared = capabilities.shared
      if (capabilities.watch) this.#feed.start()
    })
  }

  #loaded(key: Key, options: CallOptions): Awaitable<StoredRecord | undefined> {
    const begun = this.#begun()
    if (begun) return begun.then(() => this.#loaded(key, options))
    const now = this.clock.elapsed()
    const underWay = this.#loads.find(key)
    // What it found may be as old as itself: who asks later than the bound must not get it.
    if (underWay?.answer && now - underWay.began < this.bound) {
      return awaited(underWay.answer.then(copyOf), options)
    }
    const load = this.#loads.begin(key, now)
    let answer: Awaitable<StoredRecord | undefined>
    try {
      answer = this.truth.read(key, { strict: this.#recent.has(key) })
    } catch (error) {
      this.#loads.end(load)
      throw error
    }
    if (!(answer instanceof Promise)) return this.#kept(load, answer)
    // Whoever gives up doesn't end it for the others.
    load.answer = answer.then(
      (record) => this.#kept(load, record),
      (error: unknown) => {
        this.#loads.end(load)
        throw error
      },
    )
    return awaited(load.answer, options)
  }

  async #readAll(keys: readonly Key[], options: CallOptions): Promise<readonly (StoredRecord | undefined)[]> {
    const distinct = [...new Map(keys.map((key) => [keyText(key), key])).values()]
    const loads = distinct.map((key) => this.#loads.begin(key, this.clock.elapsed()))
    try {
      const strict = distinct.some((key) => this.#recent.has(key))
      const records = await this.truth.readMany(distinct, { ...options, strict })
      const read = new Map(distinct.map((key, i) => [keyText(key), this.#kept(loads[i]!, records[i])]))
      return keys.map((key) => read.get(keyText(key)))
    } finally {
      for (const load of loads) this.#loads.end(load)
    }
  }

  #kept(load: Load, record: StoredRecord | undefined): StoredRecord | undefined {
    if (!this.#loads.end(load)) this.#spoiled++
    else if (this.#hasFeed ? this.#feed.isLive : true) this.#cache.set(load.key, record, load.began)
    return record
  }
}
