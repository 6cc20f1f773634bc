/**
 * The finder: for each collection and label the ids that may carry it. It lies in other slots than the records, so
 * no step changes both. What keeps it complete is a protocol, checked over all interleavings by
 * `test/models/redis-index.test.ts`:
 *
 * 1. A writer first *promises*: it enters the id and stamps the entry with a deadline, in server time, and a nonce.
 * 2. The record's script refuses once that deadline has passed; then the writer promises anew.
 * 3. A repairer may doubt an entry only when its promise had lapsed, by the label's server and the permitted
 *    difference of clocks, *before* the record was read; it takes the entry out only if the stamp is unchanged.
 * 4. Nobody else takes entries out: a writer that drops a label leaves the entry behind.
 *
 * So an entry may point to nothing, and a listing reads the records, which have the truth; but no record is without
 * its entries.
 */

import { randomBytes } from 'node:crypto'
import type { Call } from '../../store/contract.ts'
import type { Label } from '../../store/record.ts'
import { type Layout, text } from './layout.ts'
import { drop, promise, run, stamps } from './scripts.ts'
import type { Wire } from './wire.ts'

/** One entry as it was found. */
export interface Entry {
  readonly id: string
  readonly stamp: string
  /** Whether the promise had lapsed when it was read: whoever reads the record *now* may doubt the entry. */
  readonly lapsed: boolean
}

/** Which entries of one label. */
export interface Range {
  /** Only what comes after this id, in the order asked for. */
  readonly after: string
  readonly count: number
  readonly reverse: boolean
}

export class LabelIndex {
  readonly #wire: Wire
  readonly #layout: Layout
  readonly #window: number
  readonly #drift: number

  /**
   * @param window How long a promise holds, in milliseconds.
   * @param drift How far the clocks of two masters may be apart, in milliseconds.
   */
  constructor(wire: Wire, layout: Layout, window: number, drift: number) {
    this.#wire = wire
    this.#layout = layout
    this.#window = window
    this.#drift = drift
  }

  /** Promises that the record will carry the labels. Answers with the earliest deadline, for the record's script. */
  async promise(
    key: { readonly collection: string; readonly id: string },
    labels: readonly Label[],
    reserved: boolean,
    call: Call,
  ): Promise<string> {
    const nonce = randomBytes(6).toString('base64url')
    const args = [key.id, String(this.#window), nonce, reserved ? '1' : '0']
    const deadlines = await Promise.all(
      labels.map((label) => {
        const place = this.#layout.label(key.collection, label)
        return run(this.#wire, promise, [place.ids, place.stamps], args, call)
      }),
    )
    return String(Math.min(...deadlines.map((deadline) => Number(text(deadline)))))
  }

  /** The ids of a page of entries, in byte order. */
  async page(collection: string, label: Label, { after, count, reverse }: Range): Promise<readonly string[]> {
    const { ids } = this.#layout.label(collection, label)
    const from = after === '' ? (reverse ? '+' : '-') : `(${after}`
    const [command, to] = reverse ? ['ZREVRANGEBYLEX', '-'] : ['ZRANGEBYLEX', '+']
    const found = await this.#wire.send(ids, [command, ids, from, to, 'LIMIT', '0', String(count)])
    return (found as readonly unknown[]).map(text)
  }

  /** The entries of these ids, in their order; `undefined` for what is not there. */
  async entries(
    collection: string,
    label: Label,
    wanted: readonly string[],
  ): Promise<readonly (Entry | undefined)[]> {
    const place = this.#layout.label(collection, label)
    const reply = text(await run(this.#wire, stamps, [place.ids, place.stamps], wanted))
    const [serverTime, ...found] = reply.split(' ')
    return wanted.map((id, i) => {
      const told = found[i] ?? '-'
      if (told === '-') return undefined
      const stamp = told === '*' ? '' : told
      // An entry without a stamp was never promised by a writer who still lives: it counts as lapsed.
      const deadline = stamp === '' ? 0 : Number.parseInt(stamp, 10)
      return { id, stamp, lapsed: Number(serverTime) > deadline + this.#drift }
    })
  }

  /** How many entries a label has: at least as many as records carry it. */
  async size(collection: string, label: Label): Promise<number> {
    const { ids } = this.#layout.label(collection, label)
    return Number(await this.#wire.send(ids, ['ZCARD', ids]))
  }

  /** Takes out an entry whose record doesn't carry the label, by step 3. */
  async drop(collection: string, label: Label, { id, stamp }: Entry): Promise<void> {
    const place = this.#layout.label(collection, label)
    await run(this.#wire, drop, [place.ids, place.stamps], [id, stamp])
  }
}
