/**
 * A store that several processes share, in the role of a cache, over another that is the truth.
 *
 * A fill carries a token: whoever misses first creates a placeholder in the cache, then reads the truth, and replaces
 * exactly that placeholder. Who changes a record removes whatever the cache holds of it. So a reader who was paused
 * between his look and his fill finds his placeholder gone, and nothing that was ended comes back.
 *
 * An entry lives no longer than the bound, in the time of the cache's own server as far as that is known, and no longer
 * than its record: what could not be removed ends by itself, and whoever must be sure waits for that. The cache can be
 * down, slow, full or wrong: reads are answered by the truth then.
 */

import type { Awaitable, Cursor, ReadOptions, View } from '../contract.ts'
import { isLive, type Key, type StoredRecord, type Version } from '../record.ts'
import type { CallOptions, Store, TierFigures } from '../store.ts'
import { entryOf, recordOf } from './entry.ts'
import { awaited, Rounds } from './loads.ts'
import { Recent } from './recent.ts'
import { Tier, type TierSettings } from './tier.ts'

/** Settings of a {@link SharedTier}, complete. */
export interface SharedTierSettings extends TierSettings {
  /** Milliseconds that a call to the cache may take. */
  readonly patience: number
}

/** After so many fills, also those that found nothing to keep, the cache is tidied: so many entries of it. */
const fillsPerTidying = 100
const tidiedAtOnce = 200

/**
 * What the cache has of a key: a record; something that may be replaced, by its version; somebody's placeholder; nothing.
 * `undefined`: it can't be asked.
 */
type Found = { readonly record: StoredRecord } | { readonly token: Version } | 'taken' | 'nothing' | undefined

export class SharedTier extends Tier {
  readonly cache: Store
  readonly #patience: number
  /** What the cache could not be made to forget: until the bound has passed it isn't asked for these. */
  readonly #unforgotten: Recent
  readonly #rounds: Rounds
  readonly #underWay = new Set<Promise<void>>()
  /** By collection of the cache: how often it was filled, and how far its index was listed. */
  readonly #tidying = new Map<string, { readonly fills: number; readonly after: Cursor | undefined }>()
  #skew = 0
  #opening: Promise<boolean> | undefined
  #hits = 0
  #misses = 0
  #fills = 0
  #refused = 0
  #errors = 0
  #isOpened = false

  constructor(cache: Store, truth: Store, settings: SharedTierSettings) {
    super(truth, settings)
    this.cache = cache
    this.#patience = settings.patience
    this.#rounds = new Rounds(truth.clock, settings.patience)
    this.#unforgotten = new Recent(truth.clock, settings.bound)
  }

  read(key: Key, options: ReadOptions & CallOptions = {}): Awaitable<StoredRecord | undefined> {
    if (options.strict || options.expired || this.#unforgotten.has(key)) {
      return this.truth.read(key, { ...options, strict: true })
    }
    return this.#read(key, options)
  }

  view<T>(key: Key, view: View<T>, options: ReadOptions & CallOptions = {}): Awaitable<T | undefined> {
    const record = this.read(key, options)
    if (record instanceof Promise) return record.then((read) => read && view(read))
    return record && view(record)
  }

  async readMany(
    keys: readonly Key[],
    options: ReadOptions & CallOptions = {},
  ): Promise<readonly (StoredRecord | undefined)[]> {
    if (options.strict || options.expired) return await this.truth.readMany(keys, options)
    const known = await this.#askedMany(keys)
    const missing = keys.filter((_, i) => !known[i])
    this.#hits += keys.length - missing.length
    this.#misses += missing.length
    const read = missing.length > 0 ? await this.truth.readMany(missing, { ...options, strict: true }) : []
    let next = 0
    return known.map((record) => record ?? read[next++])
  }

  /** Resolves when no process can find in the cache what was true before: it is removed, or its time has passed. */
  async invalidate(keys: readonly Key[]): Promise<void> {
    const areGone = keys.length > 0 && (await this.#removed(keys))
    if (!areGone) await this.clock.sleep(this.bound)
    await this.truth.invalidate(keys)
  }

  protected async forget(keys: readonly Key[]): Promise<void> {
    await this.#removed(keys)
  }

  protected async described(): Promise<string> {
    const opened = await this.#tried(() => this.cache.open())
    return opened ? `${opened.description} as a cache` : 'a cache that can’t be reached'
  }

  protected tierFigures(): TierFigures {
    const { operations, circuit } = this.cache.figures()
    return {
      kind: 'shared',
      hits: this.#hits,
      misses: this.#misses,
      fills: this.#fills,
      refused: this.#refused,
      errors: this.#errors,
      operations,
      circuit,
    }
  }

  protected async ended(): Promise<void> {
    await Promise.all(this.#underWay)
    await this.cache.close()
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────

  async #read(key: Key, options: CallOptions): Promise<StoredRecord | undefined> {
    const found = await this.#found(key)
    if (typeof found === 'object' && 'record' in found) {
      this.#hits++
      // Whoever reads may ask next what the store can do, and only the truth knows.
      if (!this.#isOpened) await this.truth.open()
      this.#isOpened = true
      return found.record
    }
    this.#misses++
    const token =
      found === 'nothing' ? await this.#placed(key) : typeof found === 'object' ? found.token : undefined
    const began = this.clock.now()
    const read = this.#rounds.read(key, async () => await this.truth.read(key, { strict: true }))
    const record = await awaited(read, options)
    if (token !== undefined) this.#inBackground(this.#fill(key, token, record, began))
    return record
  }

  async #found(key: Key): Promise<Found> {
    const read = await this.#tried(async () => ({ record: await this.cache.read(placeOf(key)) }))
    if (!read) return undefined
    const entry = read.record
    if (!entry) return 'nothing'
    if (entry.value.byteLength === 0) return 'taken'
    const record = this.#usable(key, entry)
    return record ? { record } : { token: entry.version }
  }

  /** What an entry holds, if that is whole, still good and not expired. */
  #usable(key: Key, entry: StoredRecord): StoredRecord | undefined {
    const now = this.clock.now()
    const record = recordOf(key, entry.value, now + this.#skew)
    return record && isLive(record, now) ? record : undefined
  }

  async #askedMany(keys: readonly Key[]): Promise<readonly (StoredRecord | undefined)[]> {
    const entries = await this.#tried(() => this.cache.readMany(keys.map(placeOf)))
    return keys.map((key, i) => {
      const entry = entries?.[i]
      return entry && !this.#unforgotten.has(key) ? this.#usable(key, entry) : undefined
    })
  }

  // ── filling ───────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * The token to fill with: the version of a placeholder of our own. It is asked for once: a second sending of it that
   * arrived late would put it back after somebody has removed it.
   */
  async #placed(key: Key): Promise<string | undefined> {
    const expiresAt = this.clock.now() + this.truth.deadline
    const written = await this.#tried(() =>
      this.cache.create({ key: placeOf(key), value: placeholder, expiresAt }, { once: true }),
    )
    return written?.status === 'done' ? written.version : undefined
  }

  async #fill(key: Key, token: string, record: StoredRecord | undefined, began: number): Promise<void> {
    const until = began + this.bound
    const value = record && entryOf(record, until + this.#skew)
    const fits = value !== undefined && value.byteLength <= this.cache.maxValue
    const written = await this.#tried(() =>
      this.cache.replace({
        key: placeOf(key),
        expected: token,
        value: fits ? value : placeholder,
        // What isn't there, or is too large, takes its placeholder away.
        expiresAt: fits ? Math.min(record!.expiresAt, until) : began,
        setsExpiry: true,
      }),
    )
    await this.#tidied(placeOf(key).collection)
    if (!fits) return
    if (written?.status === 'done') this.#fills++
    else this.#refused++
  }

  /**
   * What nobody else does for a cache: every so often removes a batch of what has expired, and where the index of a
   * listing only mends itself by being listed, lists a page of it, each time the next one.
   */
  async #tidied(collection: string): Promise<void> {
    const { fills, after } = this.#tidying.get(collection) ?? { fills: 0, after: undefined }
    this.#tidying.set(collection, { fills: fills + 1, after })
    if ((fills + 1) % fillsPerTidying !== 0) return
    await this.#tried(() => this.cache.sweep({ limit: tidiedAtOnce }))
    const opened = await this.#tried(() => this.cache.open())
    if (opened?.capabilities.listing !== 'complete' || opened.capabilities.atomicLabels) return
    const from = after === undefined ? {} : { after }
    const page = await this.#tried(() =>
      this.cache.list(collection, { values: false, limit: tidiedAtOnce, ...from }),
    )
    this.#tidying.set(collection, { fills: fills + 1, after: page?.next })
  }

  #inBackground(work: Promise<void>): void {
    const done = work.finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  // ── the cache, which may fail ─────────────────────────────────────────────────────────────────────────────

  async #removed(keys: readonly Key[]): Promise<boolean> {
    const removed = await this.#tried(async () => {
      await this.cache.remove(keys.map(placeOf))
      return true
    })
    if (!removed) this.#unforgotten.add(keys)
    return removed ?? false
  }

  /** What the cache answers in time; `undefined` where it fails or takes too long. */
  async #tried<T>(ask: () => Awaitable<T>): Promise<T | undefined> {
    try {
      this.#opening ??= this.#opened()
      if (!(await this.#inTime(this.#opening))) return undefined
      return await this.#inTime(Promise.resolve(ask()))
    } catch {
      this.#errors++
      return undefined
    }
  }

  async #opened(): Promise<boolean> {
    try {
      const { skew = 0 } = await this.cache.open()
      this.#skew = skew
      return true
    } catch (error) {
      // The next call tries again.
      this.#opening = undefined
      throw error
    }
  }

  #inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.timer(this.#patience, () => {
        reject(new Error('the cache did not answer in time'))
      })
      answer.then(resolve, reject).finally(cancel)
    })
  }
}

const placeholder = new Uint8Array(0)
const prefix = 'cached-'

/**
 * Collections of the cache's own, so that it can't meet the truth even where both are one server and one namespace. For
 * a name that is too long then the cache refuses, and the truth answers.
 */
function placeOf({ collection, id }: Key): Key {
  return { collection: `${prefix}${collection}`, id }
}

/** The key whose record is kept at a place in a cache; `undefined` for what isn't such a place. */
export function keyOfPlace({ collection: place, id }: Key): Key | undefined {
  const collection = place.startsWith(prefix) ? place.slice(prefix.length) : ''
  return /^[a-z]/.test(collection) ? { collection, id } : undefined
}
