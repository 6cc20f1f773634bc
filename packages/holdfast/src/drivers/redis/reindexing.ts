/**
 * Puts back what indexes have lost: to an eviction, or to a fail-over to a replica that lacked the last entries. It is
 * an operator's task, and the only thing here that uses SCAN.
 */

import { systemClock } from '../../clock.ts'
import type { StoredRecord } from '../../store/record.ts'
import type { LabelIndex } from './label-index.ts'
import { keyOf, type Layout, partOf, text } from './layout.ts'
import type { Records } from './records.ts'
import { reenter, run } from './scripts.ts'
import type { Master, Wire } from './wire.ts'

/** What was done. */
export interface Reindexed {
  /** How many records were looked at. */
  readonly records: number
  /** How many entries were missing and are there now. */
  readonly entered: number
}

/** How many names a server is asked to look at in one go: it answers nobody else meanwhile. */
const scanned = '500'

export class Reindexing {
  readonly #wire: Wire
  readonly #layout: Layout
  readonly #records: Records
  readonly #index: LabelIndex

  constructor(wire: Wire, layout: Layout, records: Records, index: LabelIndex) {
    this.#wire = wire
    this.#layout = layout
    this.#records = records
    this.#index = index
  }

  /** Goes through every record of the namespace, however long that takes, while everybody else works on. */
  async run(signal?: AbortSignal): Promise<Reindexed> {
    let [records, entered] = [0, 0]
    for (const master of await this.#wire.masters()) {
      for await (const found of this.#found(master)) {
        signal?.throwIfAborted()
        const each = await Promise.all(found.map((record) => this.#entered(record)))
        records += found.length
        entered += each.reduce((sum, one) => sum + one, 0)
      }
    }
    return { records, entered }
  }

  async *#found(master: Master): AsyncGenerator<readonly StoredRecord[]> {
    let cursor = '0'
    do {
      const reply = await master.send(['SCAN', cursor, 'MATCH', this.#layout.anyRecord(), 'COUNT', scanned])
      const [next, names] = reply as readonly [unknown, readonly unknown[]]
      const keys = names.flatMap((name) => keyOf(text(name).replace(/^.*?}r:/, '')) ?? [])
      const records = await this.#records.page(keys, false)
      yield records.filter((record) => record !== undefined)
      cursor = text(next)
    } while (cursor !== '0')
  }

  /** How many entries of a record were missing. What another writer changes meanwhile, that one has entered itself. */
  async #entered({ key, labels }: StoredRecord): Promise<number> {
    const { record, keys, expiries } = this.#layout.place(key)
    const own = Number(await run(this.#wire, reenter, [record, keys, expiries], []))
    const wanted = [...labels, partOf(key.id)]
    const there = await Promise.all(
      wanted.map((label) => this.#index.entries(key.collection, label, [key.id])),
    )
    const missing = wanted.filter((_, i) => there[i]?.[0] === undefined)
    if (missing.length > 0) {
      const signal = new AbortController().signal
      await this.#index.promise(key, missing, false, { now: systemClock.now(), signal })
    }
    return own + missing.length
  }
}
