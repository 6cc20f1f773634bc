/**
 * What every tier over a store has in common: the store below is the truth. What changes something goes there first
 * and is then forgotten here; listings, counts and scans are answered there.
 */

import type {
  Awaitable,
  Capabilities,
  Change,
  Opened,
  Outcome,
  Page,
  ReadOptions,
  SweptBatch,
  View,
  Watch,
} from '../contract.ts'
import type { Instant, Key, StoredRecord } from '../record.ts'
import type {
  BatchItem,
  BatchWritten,
  CallOptions,
  Deferred,
  Draft,
  ListOptions,
  Prolongation,
  Rewrite,
  Store,
  StoreFigures,
  TierFigures,
  Written,
} from '../store.ts'
import { Touches } from './touches.ts'

/** Settings that all tiers have, complete. */
export interface TierSettings {
  /** Milliseconds for which a read that isn't strict may be behind the truth. */
  readonly bound: number
  /** Milliseconds that a touch may wait for others. Missing: none waits. */
  readonly touchDelay?: number
}

export abstract class Tier implements Store {
  readonly truth: Store
  /** Milliseconds for which a read that isn't strict may be behind the truth. */
  readonly bound: number
  readonly #touches: Touches | undefined
  #capabilities: Capabilities | undefined

  constructor(truth: Store, { bound, touchDelay }: TierSettings) {
    this.truth = truth
    this.bound = bound
    if (touchDelay !== undefined) this.#touches = new Touches(truth, touchDelay, (keys) => this.forget(keys))
  }

  abstract read(key: Key, options?: ReadOptions & CallOptions): Awaitable<StoredRecord | undefined>
  abstract readMany(
    keys: readonly Key[],
    options?: ReadOptions & CallOptions,
  ): Promise<readonly (StoredRecord | undefined)[]>
  abstract view<T>(key: Key, view: View<T>, options?: ReadOptions & CallOptions): Awaitable<T | undefined>
  abstract invalidate(keys: readonly Key[]): Promise<void>
  /** Forgets the keys, because they were written, or may have been. Never rejects. */
  protected abstract forget(keys: readonly Key[]): Awaitable<void>
  protected abstract tierFigures(): TierFigures
  /** What this tier is, for people. */
  protected abstract described(): Awaitable<string>
  /** What there is to close here. */
  protected abstract ended(): Promise<void>

  get namespace(): string {
    return this.truth.namespace
  }

  get clock(): Store['clock'] {
    return this.truth.clock
  }

  get codec(): Store['codec'] {
    return this.truth.codec
  }

  get margin(): number {
    return this.truth.margin
  }

  get maxValue(): number {
    return this.truth.maxValue
  }

  get deadline(): number {
    return this.truth.deadline
  }

  get capabilities(): Capabilities {
    // Asked for at every request.
    this.#capabilities ??= { ...this.truth.capabilities, cached: true }
    return this.#capabilities
  }

  async open(): Promise<Opened> {
    const opened = await this.truth.open()
    const description = `${await this.described()} over ${opened.description}`
    return { ...opened, description, capabilities: { ...opened.capabilities, cached: true } }
  }

  async create(draft: Draft, options?: CallOptions): Promise<Written> {
    return await this.#written([draft.key], () => this.truth.create(draft, options))
  }

  async replace(rewrite: Rewrite, options?: CallOptions): Promise<Written> {
    return await this.#written([rewrite.key], () => this.truth.replace(rewrite, options))
  }

  async touch(prolongations: readonly Prolongation[], options?: CallOptions): Promise<readonly Outcome[]> {
    const keys = prolongations.map(({ key }) => key)
    return await this.#written(keys, () => this.truth.touch(prolongations, options))
  }

  async touchBehind(prolongation: Prolongation, by: Instant): Promise<Deferred> {
    if (this.#touches) return await this.#touches.add(prolongation, by)
    const keys = [prolongation.key]
    const deferred = await this.truth.touchBehind(prolongation, by).catch(async (error: unknown) => {
      await this.forget(keys)
      throw error
    })
    if (typeof deferred === 'object') return { coming: this.#written(keys, () => deferred.coming) }
    await this.forget(keys)
    return deferred
  }

  async write(items: readonly BatchItem[], options?: CallOptions): Promise<BatchWritten> {
    const keys = items.map(({ key }) => key)
    return await this.#written(keys, () => this.truth.write(items, options))
  }

  async remove(keys: readonly Key[], options?: CallOptions): Promise<void> {
    await this.#written(keys, () => this.truth.remove(keys, options))
  }

  async sweep(options?: Parameters<Store['sweep']>[0]): Promise<SweptBatch> {
    return await this.truth.sweep(options)
  }

  async list(collection: string, options?: ListOptions): Promise<Page> {
    return await this.truth.list(collection, options)
  }

  async count(...given: Parameters<Store['count']>): Promise<number> {
    return await this.truth.count(...given)
  }

  async scan(...given: Parameters<Store['scan']>): Promise<Page> {
    return await this.truth.scan(...given)
  }

  async watch(listener: (change: Change) => void, options?: CallOptions): Promise<Watch> {
    return await this.truth.watch(listener, options)
  }

  figures(): StoreFigures {
    const figures = this.truth.figures()
    const touches = this.#touches && { touches: this.#touches.figures }
    return { ...figures, tiers: [{ ...this.tierFigures(), ...touches }, ...(figures.tiers ?? [])] }
  }

  async close(): Promise<void> {
    await this.#touches?.close()
    await this.ended()
    await this.truth.close()
  }

  /** Also where the write failed: it may have happened all the same. */
  async #written<T>(keys: readonly Key[], write: () => Promise<T>): Promise<T> {
    try {
      return await write()
    } finally {
      await this.forget(keys)
    }
  }
}
