/** One test's store, clock and data, and the steps that many tests share. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Awaitable, Outcome, Page, SweptBatch } from '../../store/contract.ts'
import type { Key, StoredRecord, Version } from '../../store/record.ts'
import type { Draft, ListOptions, Rewrite, Store, StoreOptions, Written } from '../../store/store.ts'
import type { FakeClock } from '../clock.ts'

export const second = 1_000
export const hour = 3_600_000

/** The collection in which the tests work. */
export const things = 'things'

/** No walk through the few records of a test takes more pages, so one that does would never end. */
const mostPages = 500

/** The settings with which the suite has stores made. They have to be handed on to `guard`. */
export type SuiteStoreOptions = StoreOptions & Required<Pick<StoreOptions, 'namespace' | 'clock'>>

/** The stores to be tested. */
export interface StoreSuiteOptions {
  /** What the suite is called in the runner's output. */
  readonly name: string
  /** Makes a store over the backend. The suite draws a fresh namespace for each test, and closes the store after it. */
  make(options: SuiteStoreOptions): Awaitable<Store>
  /**
   * Makes a second store on the same data as far apart from the first as it can be: another connection, another
   * process. Required where `shared` is declared.
   */
  another?(options: SuiteStoreOptions): Awaitable<Store>
  /** Opens again, with the same settings, what was closed. Required where `durable.process` is declared. */
  reopen?(options: SuiteStoreOptions): Awaitable<Store>
  /** Clears away what a namespace holds, after its test; all its stores are closed. */
  dispose?(namespace: string): Awaitable<void>
}

type Settings = SuiteStoreOptions & { readonly clock: FakeClock }

export class Scene {
  readonly clock: FakeClock
  readonly namespace: string
  readonly #suite: StoreSuiteOptions
  readonly #settings: Settings
  readonly #stores: Store[] = []
  readonly #namespaces = new Set<string>()
  #store: Store | undefined

  constructor(suite: StoreSuiteOptions, settings: Settings) {
    this.#suite = suite
    this.#settings = settings
    this.clock = settings.clock
    this.namespace = settings.namespace
  }

  get store(): Store {
    assert.ok(this.#store, 'the scene has begun')
    return this.#store
  }

  get now(): number {
    return this.clock.now()
  }

  async begin(): Promise<void> {
    this.#store = await this.#opened((settings) => this.#suite.make(settings), this.namespace)
  }

  async end(): Promise<void> {
    for (const store of this.#stores) await store.close()
    for (const namespace of this.#namespaces) await this.#suite.dispose?.(namespace)
  }

  /** A second store on the same data. To be opened before the clock is moved: its skew is measured. */
  async another(): Promise<Store> {
    return await this.#opened((settings) => this.#suite.another?.(settings), this.namespace)
  }

  /** A store over the same backend in another namespace. */
  async apart(namespace: string): Promise<Store> {
    return await this.#opened((settings) => this.#suite.make(settings), namespace)
  }

  /** Closes the store and opens its data again. */
  async reopen(): Promise<void> {
    await this.store.close()
    this.#store = await this.#opened((settings) => this.#suite.reopen?.(settings), this.namespace)
  }

  async #opened(
    make: (settings: Settings) => Store | undefined | Promise<Store | undefined>,
    namespace: string,
  ): Promise<Store> {
    this.#namespaces.add(namespace)
    const store = await make({ ...this.#settings, namespace })
    assert.ok(store, 'the suite was given what makes this store')
    this.#stores.push(store)
    await store.open()
    return store
  }

  // ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** A draft that lives for an hour and holds its id. */
  draft(id: string, given: Partial<Draft> = {}): Draft {
    return { key: keyOf(id), value: Buffer.from(id), expiresAt: this.now + hour, ...given }
  }

  /** Creates a record, and answers with its version. */
  async create(id: string, given: Partial<Draft> = {}, store = this.store): Promise<Version> {
    return versionOf(await store.create(this.draft(id, given)))
  }

  /** Creates records at once, in whatever order. */
  async createAll(ids: readonly string[], given: Partial<Draft> = {}): Promise<Map<string, Version>> {
    const versions = await Promise.all(ids.map((id) => this.create(id, given)))
    return new Map(ids.map((id, i) => [id, versions[i] as Version]))
  }

  rewrite(id: string, expected: Version, given: Partial<Rewrite> = {}): Rewrite {
    return { key: keyOf(id), expected, value: Buffer.from('rewritten'), expiresAt: this.now + hour, ...given }
  }

  async replace(id: string, expected: Version, given: Partial<Rewrite> = {}): Promise<Written> {
    return await this.store.replace(this.rewrite(id, expected, given))
  }

  async touch(
    id: string,
    version: Version,
    expiresAt: number,
    touchedAt?: number,
  ): Promise<Outcome | undefined> {
    const when = touchedAt === undefined ? {} : { touchedAt }
    const [outcome] = await this.store.touch([{ key: keyOf(id), version, expiresAt, ...when }])
    return outcome
  }

  /** The live record. */
  async read(id: string, store = this.store): Promise<StoredRecord | undefined> {
    return await store.read(keyOf(id), { strict: true })
  }

  /** The record, also an expired one. */
  async readEven(id: string): Promise<StoredRecord | undefined> {
    return await this.store.read(keyOf(id), { strict: true, expired: true })
  }

  /** The record, which has to be there, also an expired one. */
  async present(id: string): Promise<StoredRecord> {
    const record = await this.readEven(id)
    assert.ok(record, `${id} is there`)
    return record
  }

  /** All pages of a listing, one after the other. `between` runs after each page but the last. */
  async list(options: ListOptions = {}, between?: (page: number) => Promise<void>): Promise<StoredRecord[]> {
    const listed = (after?: string): Promise<Page> =>
      this.store.list(things, { ...options, ...(after === undefined ? {} : { after }) })
    return await allPages(listed, options.limit ?? 100, between)
  }

  /** The ids of a whole listing, in its order. */
  async ids(options: ListOptions = {}): Promise<string[]> {
    return idsOf(await this.list(options))
  }

  /** Asserts what a listing finds, in order; where listings are partial, that it finds nothing else. */
  async assertListed(expected: readonly string[], options: ListOptions = {}): Promise<void> {
    const found = await this.ids(options)
    if (this.store.capabilities.listing === 'complete') assert.deepEqual(found, expected)
    else
      assert.deepEqual(
        found,
        expected.filter((id) => found.includes(id)),
      )
  }

  /** As {@link assertListed}, where the store can list at all. */
  async assertListedIfListing(expected: readonly string[], options: ListOptions = {}): Promise<void> {
    if (this.store.capabilities.listing !== 'none') await this.assertListed(expected, options)
  }

  /** All pages of one slice. */
  async scan(
    index: number,
    of: number,
    { limit = 100, expired = false }: { readonly limit?: number; readonly expired?: boolean } = {},
    between?: (page: number) => Promise<void>,
  ): Promise<StoredRecord[]> {
    const scanned = (after?: string): Promise<Page> =>
      this.store.scan({ index, of, limit, expired, ...(after === undefined ? {} : { after }) })
    return await allPages(scanned, limit, between)
  }

  /** Sweeps to the end, and answers with what was removed, batch by batch. */
  async sweep(limit = 100, store = this.store): Promise<SweptBatch['removed'][]> {
    const batches: SweptBatch['removed'][] = []
    let after: string | undefined
    do {
      assert.ok(batches.length < mostPages, 'a sweep comes to an end')
      const batch: SweptBatch = await store.sweep({ limit, ...(after === undefined ? {} : { after }) })
      assert.ok(batch.removed.length <= limit, `a batch of at most ${limit} removed ${batch.removed.length}`)
      batches.push(batch.removed)
      after = batch.next
    } while (after !== undefined)
    return batches
  }

  /** Sweeps to the end, and answers with the ids of what was removed, in byte order. */
  async swept(limit?: number): Promise<string[]> {
    return (await this.sweep(limit))
      .flat()
      .map(({ key }) => key.id)
      .sort()
  }

  /** Asserts that the call which needs the capability is refused, naming it. */
  async assertNotSupported(
    capability: 'listing' | 'scanning' | 'counting' | 'atomicBatch' | 'watch',
  ): Promise<void> {
    const { store } = this
    const calls = {
      listing: () => store.list(things),
      scanning: () => store.scan({ index: 0, of: 1 }),
      counting: () => store.count(things),
      atomicBatch: () => store.write([{ type: 'create', ...this.draft('a') }]),
      watch: () => store.watch(() => undefined),
    }
    await assert.rejects(calls[capability], (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error && 'capability' in error)
      assert.equal(error.code, 'HOLDFAST_NOT_SUPPORTED')
      assert.equal(error.capability, capability)
      return true
    })
    assert.equal(await this.readEven('a'), undefined)
  }
}

async function allPages(
  ask: (after?: string) => Promise<Page>,
  limit: number,
  between?: (page: number) => Promise<void>,
): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  for (let pages = 1, after: string | undefined; ; pages++) {
    assert.ok(pages < mostPages, 'the pages come to an end')
    const page = await ask(after)
    assert.ok(page.records.length <= limit, `a page of at most ${limit} has ${page.records.length} records`)
    records.push(...page.records)
    if (page.next === undefined) return records
    after = page.next
    await between?.(pages)
  }
}

export function keyOf(id: string, collection = things): Key {
  return { collection, id }
}

export function idsOf(records: readonly { readonly key: Key }[]): string[] {
  return records.map(({ key }) => key.id)
}

/** The version of a write that has to have been done. */
export function versionOf(written: Written): Version {
  if (written.status !== 'done') assert.fail(`the write was answered with ${written.status}`)
  return written.version
}

/** A record in a form that compares well, whatever kind of byte array a driver answers with. */
export function plain(record: StoredRecord | undefined): unknown {
  if (!record) return undefined
  const { key, version, labels, value, expiresAt, touchedAt } = record
  assert.ok(value instanceof Uint8Array, 'values are byte arrays')
  return {
    key: { collection: key.collection, id: key.id },
    version,
    labels: [...labels],
    value: shown(value),
    expiresAt,
    touchedAt,
  }
}

/** Bytes as a text of one character each; long ones by their digest, for nobody wants to see them compared. */
function shown(value: Uint8Array): string {
  if (value.byteLength <= 200) return Buffer.from(value).toString('latin1')
  return `${value.byteLength} bytes of SHA-256 ${createHash('sha256').update(value).digest('hex')}`
}

/** Asserts that a value came back byte for byte. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(shown(actual), shown(expected))
}

/** Asserts that nothing about a record has changed. */
export function assertSame(actual: StoredRecord | undefined, expected: StoredRecord | undefined): void {
  assert.deepEqual(plain(actual), plain(expected))
}

/** Numbered ids in byte order: `name-000`, `name-001` … */
export function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${name}-${String(i).padStart(3, '0')}`)
}
