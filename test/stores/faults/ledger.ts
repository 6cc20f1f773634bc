/**
 * What was written to a store in trouble, and what the store must hold afterwards: every write that was acknowledged,
 * none that certainly failed, and of those of which nobody knows either all or nothing.
 */

import assert from 'node:assert/strict'
import { never, type StoredRecord } from '../../../packages/holdfast/src/store/record.ts'
import type { Store, Written } from '../../../packages/holdfast/src/store/store.ts'
import type { End, Witness } from './witness.ts'

const collection = 'ledger'

/** One state that a record may be in. */
interface Possible {
  readonly value: string
  readonly labels: readonly string[]
}

export class Ledger {
  readonly #store: Store
  readonly #witness: Witness
  /** What each record may be; `undefined` is not there. */
  readonly #possible = new Map<string, readonly (Possible | undefined)[]>()

  constructor(store: Store, witness: Witness) {
    this.#store = store
    this.#witness = witness
  }

  get size(): number {
    return this.#possible.size
  }

  /** Creates a record that can be listed by a label of its own. */
  async create(id: string): Promise<End<Written>> {
    const made = { value: `created ${id}`, labels: [`own:${id}`] }
    const draft = {
      key: { collection, id },
      value: Buffer.from(made.value),
      labels: made.labels,
      expiresAt: never,
    }
    const end = await this.#witness.see(`the create of ${id}`, () => this.#store.create(draft))
    this.#note(id, made, end)
    return end
  }

  /** Replaces a record at the version that it has, with another label. */
  async replace(id: string, value: string): Promise<End<Written> | undefined> {
    const found = await this.#witness.see(`the read of ${id}`, () => this.#store.read({ collection, id }))
    if (!('answer' in found) || !found.answer) return undefined
    this.#assertPossible(id, found.answer)
    const made = { value, labels: [`own:${id}`, `second:${id}`] }
    const { key, version: expected } = found.answer
    const rewrite = { key, expected, value: Buffer.from(value), labels: made.labels, expiresAt: never }
    const end = await this.#witness.see(`the replace of ${id}`, () => this.#store.replace(rewrite))
    this.#note(id, made, end)
    return end
  }

  /** Reads a record, which must be one of those that it may be. */
  async read(id: string): Promise<void> {
    const found = await this.#witness.see(`the read of ${id}`, () => this.#store.read({ collection, id }))
    if ('answer' in found) this.#assertPossible(id, found.answer)
  }

  /** Whether a record is there. @throws when that can't be told. */
  async isThere(id: string): Promise<boolean> {
    const found = await this.#store.read({ collection, id })
    this.#assertPossible(id, found)
    return found !== undefined
  }

  /** Reads all at once: an answer is whole, or it is an error. */
  async readAll(): Promise<void> {
    const ids = [...this.#possible.keys()]
    const keys = ids.map((id) => ({ collection, id }))
    const end = await this.#witness.see('a read of many', () => this.#store.readMany(keys))
    if ('answer' in end) ids.forEach((id, i) => this.#assertPossible(id, end.answer[i]))
  }

  /** Once the store is well again: what it holds, and that its listings say the same. */
  async assertKept(store = this.#store): Promise<void> {
    for (const id of this.#possible.keys()) {
      const record = await this.#witness.eventually(`the read of ${id}`, () =>
        store.read({ collection, id }, { strict: true }),
      )
      this.#assertPossible(id, record)
      if (store.capabilities.listing !== 'complete') continue
      for (const label of [`own:${id}`, `second:${id}`]) {
        const { records } = await this.#witness.eventually(`the listing of ${label}`, () =>
          store.list(collection, { labels: [label] }),
        )
        const expected = record?.labels.includes(label) ? [id] : []
        assert.deepEqual(
          records.map(({ key }) => key.id),
          expected,
          `what is listed by ${label}`,
        )
      }
    }
  }

  #note(id: string, made: Possible, end: End<Written>): void {
    const before = this.#possible.get(id) ?? [undefined]
    if ('answer' in end && end.answer.status === 'done') this.#possible.set(id, [made])
    else if (isUnknown(end)) this.#possible.set(id, [...before, made])
    else this.#possible.set(id, before)
  }

  #assertPossible(id: string, record: StoredRecord | undefined): void {
    const possible = this.#possible.get(id) ?? [undefined]
    const found = record && { value: Buffer.from(record.value).toString(), labels: [...record.labels] }
    const shown = JSON.stringify(possible.map((each) => each ?? 'nothing'))
    assert.ok(
      possible.some((each) => JSON.stringify(each) === JSON.stringify(found)),
      `${id} is ${JSON.stringify(found ?? 'nothing')} and may be ${shown}`,
    )
  }
}

function isUnknown(end: End<Written>): boolean {
  return 'code' in end ? end.code === 'HOLDFAST_OUTCOME_UNKNOWN' : end.answer.status === 'unknown'
}
