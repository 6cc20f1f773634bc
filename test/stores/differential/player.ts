/** One store that plays histories, and answers in a form that must be the same for all stores. */

import type { Page } from '../../../packages/holdfast/src/store/contract.ts'
import { createHash } from 'node:crypto'
import {
  compareBytes,
  type Key,
  never,
  type StoredRecord,
} from '../../../packages/holdfast/src/store/record.ts'
import type {
  BatchItem,
  Draft,
  Prolongation,
  Rewrite,
  Store,
} from '../../../packages/holdfast/src/store/store.ts'
import type { Create, Expected, Where, Replace, Step, Touch } from './step.ts'
import { values } from './step.ts'

/** What a store answers a step with; `undefined` where it can't do such a step. */
export type Answer = { readonly answer: unknown; readonly partial?: boolean } | undefined

/** No walk through the few records of a history takes more pages. */
const mostPages = 500

export class Player {
  readonly name: string
  readonly store: Store
  #run = 0
  #start = 0
  /** Every version that was drawn in this history, by key; the last is the current one. */
  #versions = new Map<string, string[]>()
  /** Versions are different in every store; the order in which they are drawn is not. */
  #ordinals = new Map<string, string>()
  readonly #used = new Map<string, Key>()

  constructor(name: string, store: Store) {
    this.name = name
    this.store = store
  }

  /** Begins a history that sees nothing of those before. */
  begin(run: number): void {
    this.#run = run
    this.#start = this.store.clock.now()
    this.#versions = new Map()
    this.#ordinals = new Map()
  }

  /** Removes what the history has left. */
  async end(): Promise<void> {
    await this.store.remove([...this.#used.values()])
    this.#used.clear()
  }

  /** Does a step. A refusal is an answer like another. */
  async take(step: Step): Promise<Answer> {
    if (!this.#can(step)) return undefined
    try {
      return await this.#take(step)
    } catch (error) {
      return { answer: { error: error instanceof Error && 'code' in error ? error.code : String(error) } }
    }
  }

  #can(step: Step): boolean {
    const { capabilities } = this.store
    if (step.do === 'write') return capabilities.atomicBatch
    if (step.do === 'list') return capabilities.listing !== 'none'
    if (step.do === 'count') return capabilities.counting
    return step.do !== 'scan' || capabilities.scanning
  }

  async #take(step: Step): Promise<Answer> {
    switch (step.do) {
      case 'create':
        return { answer: this.#told(step.key, await this.store.create(this.#draft(step))) }
      case 'replace':
        return { answer: this.#told(step.key, await this.store.replace(this.#rewrite(step))) }
      case 'touch':
        return { answer: await this.store.touch(step.keys.map((key) => this.#prolongation(step, key))) }
      case 'write':
        return { answer: await this.#write(step.items) }
      case 'read':
        return { answer: await this.#read(step) }
      case 'list':
        return await this.#list(step)
      case 'count': {
        const { labels, atMost } = step
        return { answer: await this.store.count(this.#collection(step.collection), { labels, atMost }) }
      }
      case 'scan':
        return { answer: await this.#scan(step) }
      case 'sweep':
        return { answer: await this.#sweep(step.limit) }
      case 'remove':
        await this.store.remove(step.keys.map((key) => this.#key(key)))
        return { answer: 'done' }
      case 'move':
        // The clock is the same for all; whoever plays the history moves it.
        return { answer: 'done' }
    }
  }

  // ── what is asked ─────────────────────────────────────────────────────────────────────────────────────────

  #collection(name: string): string {
    return `${name}-${this.#run}`
  }

  #key({ collection, id }: Where): Key {
    const key = { collection: this.#collection(collection), id }
    this.#used.set(`${key.collection}/${id}`, key)
    return key
  }

  #draft({ key, value, labels, life, use }: Create): Draft {
    return {
      key: this.#key(key),
      value: values[value],
      labels,
      expiresAt: this.#at(life),
      touchedAt: this.#at(use),
    }
  }

  #rewrite({ key, expected, value, labels, life, use, setsExpiry, expired }: Replace): Rewrite {
    return {
      key: this.#key(key),
      expected: this.#expected(key, expected),
      value: values[value],
      ...(labels === null ? {} : { labels }),
      expiresAt: this.#at(life),
      touchedAt: this.#at(use),
      setsExpiry,
      expired,
    }
  }

  #prolongation({ expected, life, use }: Touch, key: Where): Prolongation {
    const version = this.#expected(key, expected)
    return { key: this.#key(key), version, expiresAt: this.#at(life), touchedAt: this.#at(use) }
  }

  #at(life: number): number {
    return life === never ? never : this.store.clock.now() + life
  }

  #expected(key: Where, expected: Expected): string {
    const drawn = this.#versions.get(nameOf(key)) ?? []
    return (expected === 'foreign' ? undefined : drawn.at(expected === 'current' ? -1 : -2)) ?? '1.foreign'
  }

  async #write(items: readonly (Create | Replace | Touch)[]): Promise<unknown> {
    const written = await this.store.write(items.map((item) => this.#item(item)))
    if (written.status !== 'done') return written
    items.forEach((item, i) => {
      if (item.do !== 'touch') this.#drawn(item.key, written.versions[i] ?? '')
    })
    return { status: 'done' }
  }

  #item(item: Create | Replace | Touch): BatchItem {
    if (item.do === 'create') return { type: 'create', ...this.#draft(item) }
    if (item.do === 'replace') return { type: 'replace', ...this.#rewrite(item) }
    return { type: 'touch', ...this.#prolongation(item, item.keys[0]!) }
  }

  async #read({ keys, expired, strict }: Extract<Step, { do: 'read' }>): Promise<unknown> {
    const asked = keys.map((key) => this.#key(key))
    const [only, ...more] = asked
    const found =
      only && more.length === 0
        ? [await this.store.read(only, { expired, strict })]
        : await this.store.readMany(asked, { expired, strict })
    return found.map((record) => record && this.#shown(record))
  }

  async #list({ collection, values: full, ...step }: Extract<Step, { do: 'list' }>): Promise<Answer> {
    const { labels, limit, reverse, expired } = step
    const options = { labels, limit, reverse, expired, values: full }
    const found = await allPages(limit, (after) =>
      this.store.list(this.#collection(collection), { ...options, ...after }),
    )
    const partial = this.store.capabilities.listing === 'partial'
    return { answer: found.map((record) => this.#shown(record, full)), partial }
  }

  async #scan({ of, limit, expired }: Extract<Step, { do: 'scan' }>): Promise<unknown> {
    const found: StoredRecord[] = []
    for (let index = 0; index < of; index++) {
      found.push(
        ...(await allPages(limit, (after) => this.store.scan({ index, of, limit, expired, ...after }))),
      )
    }
    return found
      .filter(({ key }) => this.#isOfThisRun(key))
      .map((record) => this.#shown(record))
      .sort(byText)
  }

  /** Sweeps to the end. What a server removes by itself alone is removed here, so that all stay in step. */
  async #sweep(limit: number): Promise<unknown> {
    const before = this.store.clock.now() - this.store.margin
    const expected = (
      await this.store.readMany([...this.#used.values()], { expired: true, strict: true })
    ).filter((record) => record !== undefined && record.expiresAt <= before) as StoredRecord[]
    const shown = expected.map((record) => this.#swept(record)).sort(byText)
    const { scanning, nativeExpiry } = this.store.capabilities
    if (!scanning && nativeExpiry) {
      await this.store.remove(expected.map(({ key }) => key))
      return { expected: shown, removed: shown }
    }
    const removed: unknown[] = []
    let after: string | undefined
    for (let batches = 0; batches < mostPages; batches++) {
      const batch = await this.store.sweep({ limit, ...(after === undefined ? {} : { after }) })
      if (batch.removed.length > limit) throw new Error(`${batch.removed.length} in a batch of ${limit}`)
      for (const each of batch.removed) if (this.#isOfThisRun(each.key)) removed.push(this.#swept(each))
      if (batch.next === undefined) return { expected: shown, removed: removed.sort(byText) }
      after = batch.next
    }
    throw new Error(`after ${mostPages} batches there was still another`)
  }

  // ── what is answered ──────────────────────────────────────────────────────────────────────────────────────

  #told(key: Where, written: Awaited<ReturnType<Store['create']>>): unknown {
    if (written.status !== 'done') return written.status
    this.#drawn(key, written.version)
    return 'done'
  }

  #drawn(key: Where, version: string): void {
    this.#versions.set(nameOf(key), [...(this.#versions.get(nameOf(key)) ?? []), version])
    this.#ordinals.set(version, `v${this.#ordinals.size + 1}`)
  }

  #shown({ key, version, labels, value, expiresAt, touchedAt }: StoredRecord, full = true): unknown {
    return {
      key: this.#keyShown(key),
      version: this.#ordinals.get(version) ?? 'a version that was never drawn',
      labels: [...labels],
      value: full ? nameOfValue(value) : value.byteLength,
      expiresAt: this.#since(expiresAt),
      touchedAt: this.#since(touchedAt),
    }
  }

  #swept({ key, labels, expiresAt }: Pick<StoredRecord, 'key' | 'labels' | 'expiresAt'>): unknown {
    return { key: this.#keyShown(key), labels: [...labels], expiresAt: this.#since(expiresAt) }
  }

  #keyShown({ collection, id }: Key): string {
    return `${collection.replace(`-${this.#run}`, '')}/${id}`
  }

  #since(instant: number): string {
    return instant === never ? 'never' : `+${instant - this.#start}`
  }

  #isOfThisRun({ collection }: Key): boolean {
    return collection.endsWith(`-${this.#run}`)
  }
}

function nameOf({ collection, id }: Where): string {
  return `${collection}/${id}`
}

function nameOfValue(value: Uint8Array): string {
  for (const [name, known] of Object.entries(values)) if (Buffer.compare(known, value) === 0) return name
  return `${value.byteLength} bytes of SHA-256 ${createHash('sha256').update(value).digest('hex')}`
}

function byText(a: unknown, b: unknown): number {
  return compareBytes(JSON.stringify(a), JSON.stringify(b))
}

async function allPages(
  limit: number,
  page: (after: { after?: string }) => Promise<Page>,
): Promise<StoredRecord[]> {
  const found: StoredRecord[] = []
  let after: { after?: string } = {}
  for (let pages = 0; pages < mostPages; pages++) {
    const { records, next } = await page(after)
    if (records.length > limit) throw new Error(`a page of at most ${limit} had ${records.length} records`)
    found.push(...records)
    if (next === undefined) return found
    after = { after: next }
  }
  throw new Error(`after ${mostPages} pages there was still another`)
}
