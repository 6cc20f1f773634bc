/** One collection of one namespace: its entries by id, in order of ids, and by label. */

import type { Label, StoredRecord } from '../../store/record.ts'
import { Entry, ownText } from './entry.ts'
import { Order } from './order.ts'
import type { Space } from './space.ts'

/** Who carries a label. Most labels have one carrier, which needs no order. */
interface Carriers {
  readonly label: Label
  only: Entry | undefined
  many: Order | undefined
}

/** A walk through entries in byte order of ids. */
export interface Walk {
  /** Where to begin, exclusive. */
  readonly after?: string | undefined
  readonly reverse?: boolean
}

export class Shelf {
  readonly space: Space
  readonly collection: string
  readonly #entries = new Map<string, Entry>()
  readonly #order = new Order()
  readonly #labels = new Map<Label, Carriers>()

  constructor(space: Space, collection: string) {
    this.space = space
    this.collection = ownText(collection)
  }

  find(id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  /** Adds a record whose id is not there yet. */
  add(record: StoredRecord): Entry {
    const entry = new Entry(this, record)
    this.#entries.set(entry.id, entry)
    this.#order.add(entry)
    this.relabel(entry, record.labels)
    return entry
  }

  delete(entry: Entry): void {
    this.relabel(entry, [])
    this.#order.delete(entry)
    this.#entries.delete(entry.id)
  }

  relabel(entry: Entry, labels: readonly Label[]): void {
    const before = entry.labels
    for (const label of before) if (!labels.includes(label)) this.#unlabel(entry, label)
    entry.labels = Object.freeze(labels.map((label) => this.#label(entry, label, before.includes(label))))
  }

  /**
   * The entries that may carry all of the labels: those of the label with the fewest carriers. The others have to be
   * checked on each.
   */
  candidates(labels: readonly Label[], { after, reverse = false }: Walk = {}): Iterable<Entry> {
    const smallest = this.#smallest(labels)
    if (!smallest) return []
    if (smallest instanceof Order) return reverse ? smallest.descending(after) : smallest.ascending(after)
    const beyond = after === undefined || (reverse ? smallest.id < after : smallest.id > after)
    return beyond ? [smallest] : []
  }

  #smallest(labels: readonly Label[]): Entry | Order | undefined {
    let smallest = this.#order
    for (const label of labels) {
      const carriers = this.#labels.get(label)
      if (!carriers) return undefined
      if (carriers.only) return carriers.only
      if (carriers.many && carriers.many.size < smallest.size) smallest = carriers.many
    }
    return smallest
  }

  /** Enters the entry under the label, and answers with the text that all carriers share. */
  #label(entry: Entry, label: Label, alreadyThere: boolean): Label {
    const carriers = this.#labels.get(label)
    if (!carriers) {
      const own = ownText(label)
      this.#labels.set(own, { label: own, only: entry, many: undefined })
      return own
    }
    if (alreadyThere) return carriers.label
    if (carriers.only) {
      carriers.many = new Order()
      carriers.many.add(carriers.only)
      carriers.only = undefined
    }
    carriers.many?.add(entry)
    return carriers.label
  }

  #unlabel(entry: Entry, label: Label): void {
    const carriers = this.#labels.get(label)
    carriers?.many?.delete(entry)
    if (carriers?.only === entry || carriers?.many?.size === 0) this.#labels.delete(label)
  }
}
