/**
 * The guard in front of every driver: opens once, draws version stamps, refuses what is malformed or cannot be done,
 * splits batches, keeps deadlines, settles lost answers, never returns an expired record unless asked, counts and
 * times each call. Because of it drivers stay naive and small.
 */

import { type Clock, systemClock } from '../clock.ts'
import { milliseconds } from '../duration.ts'
import { InvalidOption, NotSupported, PartialAnswer } from '../errors.ts'
import { Calls, type OneCall } from './calls.ts'
import { type Codec, jsonCodec } from './codec.ts'
import type {
  Awaitable,
  BatchOutcome,
  Capabilities,
  Change,
  Driver,
  Opened,
  Operation,
  Outcome,
  Page,
  ReadOptions,
  SweptBatch,
  View,
  Watch,
} from './contract.ts'
import { Opening } from './opening.ts'
import { partialOf } from './parts.ts'
import {
  checkKey,
  checkNamespace,
  defaultValueBytes,
  isLive,
  type Key,
  keyText,
  type Label,
  maxValueBytes,
  orderedLabels,
  type StoredRecord,
  type Version,
} from './record.ts'
import { type Attempt, described, isDone, type Sent, settle, type Trace, traceOf } from './settle.ts'
import { operationOf, replacementOf, stamped, touched } from './stamped.ts'
import type {
  BatchItem,
  BatchWritten,
  CallOptions,
  Draft,
  ListOptions,
  Prolongation,
  Rewrite,
  Store,
  StoreFigures,
  StoreOptions,
  Written,
} from './store.ts'

/** Puts a guard in front of a driver: what every driver's factory answers with. */
export function guard(driver: Driver, options: StoreOptions = {}): Store {
  return new Guard(driver, options)
}

const mostPerPage = 1_000
const defaultPage = 100

class Guard implements Store {
  readonly namespace: string
  readonly clock: Clock
  readonly codec: Codec
  readonly margin: number
  readonly maxValue: number
  readonly deadline: number
  readonly #driver: Driver
  readonly #opening: Opening
  readonly #calls: Calls

  constructor(driver: Driver, options: StoreOptions) {
    this.namespace = options.namespace ?? 'holdfast'
    checkNamespace(this.namespace)
    this.clock = options.clock ?? systemClock
    this.codec = options.codec ?? jsonCodec
    this.margin = milliseconds(options.margin ?? '1h', 'margin')
    this.maxValue = options.maxValue ?? defaultValueBytes
    checkWhole(this.maxValue, 'maxValue', 1, maxValueBytes)
    this.deadline = milliseconds(options.deadline ?? '5s', 'deadline')
    if (this.deadline === 0) throw new InvalidOption('deadline must be longer than 0')
    this.#driver = driver
    this.#calls = new Calls(this.clock, this.deadline, options.circuit)
    this.#opening = new Opening(driver, this.#calls, this.margin)
  }

  async open(): Promise<Opened> {
    return await this.#opening.opened()
  }

  get capabilities(): Capabilities {
    const opened = this.#opening.now
    if (!opened)
      throw new TypeError('the store is not open yet: await store.open() before you ask for capabilities')
    return opened.capabilities
  }

  async create(draft: Draft, options: CallOptions = {}): Promise<Written> {
    if (!this.#opening.ready) await this.open()
    const record = stamped(draft, this.clock.now(), this.maxValue)
    return await this.#settled('create', record.key, record.version, undefined, options, (call) =>
      this.#driver.create(record, call),
    )
  }

  async replace(rewrite: Rewrite, options: CallOptions = {}): Promise<Written> {
    if (!this.#opening.ready) await this.open()
    const replacement = replacementOf(rewrite, this.clock.now(), this.maxValue)
    const { key, version, expected } = replacement
    return await this.#settled('replace', key, version, expected, options, (call) =>
      this.#driver.replace(replacement, call),
    )
  }

  async touch(
    prolongations: readonly Prolongation[],
    options: CallOptions = {},
  ): Promise<readonly Outcome[]> {
    if (!this.#opening.ready) await this.open()
    const touches = prolongations.map((each) => touched(each, this.clock.now()))
    checkDistinct(touches.map(({ key }) => key))
    // A touch may be repeated: it names a version and only ever prolongs.
    return await this.#inParts(touches, (part) =>
      this.#calls.repeat('touch', options, (call) => this.#driver.touch(part, call)),
    )
  }

  async touchBehind(prolongation: Prolongation): Promise<Outcome> {
    const [outcome] = await this.touch([prolongation])
    return outcome!
  }

  read(key: Key, options: ReadOptions & CallOptions = {}): Awaitable<StoredRecord | undefined> {
    // The hottest path of all: where the driver has the answer at hand, no promise is made.
    if (!this.#opening.ready) return this.open().then(() => this.read(key, options))
    checkKey(key)
    const found = this.#calls.ask('read', options, (call) =>
      this.#driver.read([key], readOptions(options), call),
    )
    if (found instanceof Promise) return found.then((records) => this.#visible(records[0], options))
    return this.#visible(found[0], options)
  }

  view<T>(key: Key, view: View<T>, options: ReadOptions & CallOptions = {}): Awaitable<T | undefined> {
    if (this.#driver.view && this.#opening.ready && options.expired !== true) {
      options.signal?.throwIfAborted()
      const seen = this.#driver.view(key, view, this.clock.now())
      if (seen !== undefined) {
        this.#calls.count('read')
        return seen
      }
    }
    const found = this.read(key, options)
    if (found instanceof Promise) return found.then((record) => record && view(record))
    return found && view(found)
  }

  /** A store without caches has nothing to wait for. */
  invalidate(): Promise<void> {
    return Promise.resolve()
  }

  async readMany(
    keys: readonly Key[],
    options: ReadOptions & CallOptions = {},
  ): Promise<readonly (StoredRecord | undefined)[]> {
    if (!this.#opening.ready) await this.open()
    for (const key of keys) checkKey(key)
    const distinct = [...new Map(keys.map((key) => [keyText(key), key])).values()]
    const answers = new Map<string, { readonly answer: StoredRecord | undefined }>()
    try {
      await this.#inParts(distinct, async (part) => {
        const found = await this.#calls.ask('read', options, (call) =>
          this.#driver.read(part, readOptions(options), call),
        )
        part.forEach((key, i) => answers.set(keyText(key), { answer: this.#visible(found[i], options) }))
        return found
      })
    } catch (error) {
      throw error instanceof PartialAnswer
        ? partialOf(error, keys, distinct.slice(answers.size), answers)
        : error
    }
    return keys.map((key) => answers.get(keyText(key))?.answer)
  }

  async write(items: readonly BatchItem[], options: CallOptions = {}): Promise<BatchWritten> {
    const { capabilities } = this.#opening.ready ?? (await this.open())
    this.#need('atomicBatch', capabilities.atomicBatch)
    checkWhole(items.length, 'the number of writes in a batch', 1, capabilities.maxBatch)
    const operations = items.map((item) => operationOf(item, this.clock.now(), this.maxValue))
    checkDistinct(operations.map(keyOf))
    const answer = await this.#settle<BatchOutcome>(
      options,
      () => this.#calls.send('write', options, (call) => this.#driver.write(operations, call)),
      () => ({
        what: `a batch of ${operations.length} writes`,
        isDone: ({ applied }) => applied,
        trace: () => this.#traceBatch(operations),
      }),
    )
    if (answer === 'unknown') return { status: 'unknown' }
    if (answer !== 'mine' && !answer.applied) return { status: 'refused', outcomes: answer.outcomes }
    return { status: 'done', versions: operations.map(versionOf) }
  }

  async list(collection: string, options: ListOptions = {}): Promise<Page> {
    const { capabilities } = this.#opening.ready ?? (await this.open())
    this.#need('listing', capabilities.listing !== 'none')
    checkKey({ collection, id: 'x' })
    const listing = {
      collection,
      labels: orderedLabels(options.labels ?? []),
      limit: pageLimit(options.limit),
      values: options.values ?? true,
      reverse: options.reverse ?? false,
      expired: options.expired ?? false,
      ...(options.after === undefined ? {} : { after: options.after }),
    }
    const page = await this.#calls.ask('list', options, (call) => this.#driver.list(listing, call))
    return this.#visiblePage(page, listing.expired)
  }

  async count(
    collection: string,
    options: CallOptions & { readonly labels?: readonly Label[]; readonly atMost?: number } = {},
  ): Promise<number> {
    const { capabilities } = this.#opening.ready ?? (await this.open())
    this.#need('counting', capabilities.counting)
    checkKey({ collection, id: 'x' })
    const atMost = options.atMost ?? Number.MAX_SAFE_INTEGER
    checkWhole(atMost, 'atMost', 1, Number.MAX_SAFE_INTEGER)
    const counting = { collection, labels: orderedLabels(options.labels ?? []), atMost }
    return await this.#calls.ask('count', options, (call) => this.#driver.count(counting, call))
  }

  async scan(slice: Parameters<Store['scan']>[0], options: CallOptions = {}): Promise<Page> {
    const { capabilities } = this.#opening.ready ?? (await this.open())
    this.#need('scanning', capabilities.scanning)
    checkWhole(slice.of, 'the number of slices', 1, 4_096)
    checkWhole(slice.index, 'the index of a slice', 0, slice.of - 1)
    const expired = slice.expired ?? false
    const asked = { ...slice, limit: pageLimit(slice.limit), expired }
    const page = await this.#calls.ask('scan', options, (call) => this.#driver.scan(asked, call))
    return this.#visiblePage(page, expired)
  }

  async sweep(options: Parameters<Store['sweep']>[0] = {}): Promise<SweptBatch> {
    if (!this.#opening.ready) await this.open()
    const latest = this.clock.now() - this.margin
    const sweeping = {
      before: Math.min(options.before ?? latest, latest),
      limit: pageLimit(options.limit),
      ...(options.after === undefined ? {} : { after: options.after }),
    }
    return await this.#calls.once('sweep', options, (call) => this.#driver.sweep(sweeping, call))
  }

  async remove(keys: readonly Key[], options: CallOptions = {}): Promise<void> {
    if (!this.#opening.ready) await this.open()
    for (const key of keys) checkKey(key)
    const distinct = [...new Map(keys.map((key) => [keyText(key), key])).values()]
    await this.#inParts(distinct, async (part) => {
      await this.#calls.repeat('remove', options, (call) => this.#driver.remove(part, call))
      return []
    })
  }

  async watch(listener: (change: Change) => void, options: CallOptions = {}): Promise<Watch> {
    const { capabilities } = this.#opening.ready ?? (await this.open())
    this.#need('watch', capabilities.watch)
    return await this.#calls.ask('watch', options, async (call) => {
      const watch = await this.#driver.watch(listener, call)
      // Nobody waits for it any more, so nobody else would ever close it.
      if (call.isOver) await watch.close()
      return watch
    })
  }

  figures(): StoreFigures {
    return this.#calls.figures()
  }

  async close(): Promise<void> {
    await this.#opening.close()
  }

  // ── one write, settled ────────────────────────────────────────────────────────────────────────────────────

  async #settled(
    operation: 'create' | 'replace',
    key: Key,
    version: Version,
    expected: Version | undefined,
    options: CallOptions,
    send: (call: OneCall) => Awaitable<Outcome>,
  ): Promise<Written> {
    const outcome = await this.#settle<Outcome>(
      options,
      () => this.#calls.send(operation, options, send),
      () => ({
        what: described(operation, key),
        isDone,
        trace: async () => {
          const [found] = await this.#truth([key])
          return traceOf(found && { version: found.version, live: this.#isLive(found) }, version, expected)
        },
      }),
    )
    return outcome === 'done' || outcome === 'mine' ? { status: 'done', version } : { status: outcome }
  }

  /** Sends a write, and settles it where its answer was lost. Closing waits for all its sendings. */
  async #settle<T>(
    options: CallOptions,
    send: () => Promise<Sent<T>>,
    settling: () => Omit<Attempt<T>, 'send' | 'pause'>,
  ): Promise<T | 'mine' | 'unknown'> {
    const started = this.clock.elapsed()
    this.#calls.begin()
    try {
      const sent = await send()
      // The plain case, without a lost answer, is decided by the driver's word alone.
      if ('answer' in sent) return sent.answer
      if (options.once) return 'unknown'
      return await settle({ ...settling(), send, pause: this.#calls.pauses(options, started) }, sent.lost)
    } finally {
      this.#calls.end()
    }
  }

  async #traceBatch(operations: readonly Operation[]): Promise<Trace> {
    const found = await this.#truth(operations.map(keyOf))
    const traces = operations.map((operation, i) => {
      const record = found[i] && { version: found[i].version, live: this.#isLive(found[i]) }
      if (operation.type === 'create') return traceOf(record, operation.record.version, undefined)
      // A touch leaves no trace and may be repeated, so it decides nothing unless the version moved on.
      if (operation.type === 'touch') return traceOf(record, '', operation.version)
      return traceOf(record, operation.version, operation.expected)
    })
    if (traces.includes('mine')) return 'mine'
    return traces.includes('other') ? 'other' : 'untouched'
  }

  /** A strict read in the guard's own time: the caller's deadline is over when it is needed. */
  async #truth(keys: readonly Key[]): Promise<readonly (StoredRecord | undefined)[]> {
    return await this.#calls.ask('read', {}, (call) =>
      this.#driver.read(keys, { expired: true, strict: true }, call),
    )
  }

  // ── what it can do ────────────────────────────────────────────────────────────────────────────────────────

  #need(capability: keyof Capabilities, has: boolean): void {
    if (has) return
    const what = this.#opening.now?.description ?? 'this store'
    throw new NotSupported(`${what} does not have the capability "${capability}"`, capability)
  }

  // ── what callers get to see ───────────────────────────────────────────────────────────────────────────────

  #isLive(record: StoredRecord): boolean {
    return isLive(record, this.clock.now())
  }

  #visible(record: StoredRecord | undefined, { expired = false }: ReadOptions): StoredRecord | undefined {
    return record && (expired || this.#isLive(record)) ? record : undefined
  }

  #visiblePage(page: Page, expired: boolean): Page {
    if (expired || page.records.every((record) => this.#isLive(record))) return page
    return { ...page, records: page.records.filter((record) => this.#isLive(record)) }
  }

  async #inParts<T, R>(
    all: readonly T[],
    run: (part: readonly T[]) => Promise<readonly R[]>,
  ): Promise<readonly R[]> {
    const { maxBatch } = this.capabilities
    if (all.length === 0) return []
    if (all.length <= maxBatch) return await run(all)
    const answers: R[] = []
    for (let start = 0; start < all.length; start += maxBatch) {
      answers.push(...(await run(all.slice(start, start + maxBatch))))
    }
    return answers
  }
}

function readOptions({ expired = false, strict = false }: ReadOptions): Required<ReadOptions> {
  return { expired, strict }
}

function keyOf(operation: Operation): Key {
  return operation.type === 'create' ? operation.record.key : operation.key
}

function versionOf(operation: Operation): Version {
  return operation.type === 'create' ? operation.record.version : operation.version
}

function pageLimit(limit = defaultPage): number {
  checkWhole(limit, 'limit', 1, mostPerPage)
  return limit
}

function checkWhole(value: number, name: string, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new InvalidOption(`${name} must be a whole number from ${least} to ${most}, not ${String(value)}`)
  }
}

function checkDistinct(keys: readonly Key[]): void {
  if (keys.length < 2) return
  const seen = new Set<string>()
  for (const key of keys) {
    if (seen.has(keyText(key))) throw new InvalidOption(`${keyText(key)} occurs twice in one call`)
    seen.add(keyText(key))
  }
}
