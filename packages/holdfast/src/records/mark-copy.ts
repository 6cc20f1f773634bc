/**
 * The process's own copy of marks, so that judging a record costs a look-up. The store's change feed keeps it fresh and
 * proves that it is; as long as it can't, marks are read from the store with each record.
 */

import type { Label } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { Feed } from '../store/tiers/feed.ts'
import { type Mark, marksCollection } from './mark.ts'

type MarksOfLabels = readonly (readonly Mark[])[]

/** How the copy gets at the truth. */
export interface Truth {
  /** @param strict Whether a cache must not answer. */
  read(labels: readonly Label[], strict: boolean): Promise<MarksOfLabels>
  idOf(label: Label): string
}

/** The most labels whose marks are kept; the oldest go first. */
const mostLabels = 10_000
const noMarks: MarksOfLabels = []

export class MarkCopy {
  readonly #feed: Feed
  readonly #truth: Truth
  readonly #marks = new Map<Label, readonly Mark[]>()
  readonly #labels = new Map<string, Label>()
  /** Counts what was invalidated, so that a reading that began before is not kept. */
  #invalidations = 0

  constructor(store: Store, bound: number, truth: Truth) {
    this.#truth = truth
    this.#feed = new Feed(store, bound, {
      forget: (keys) => {
        for (const { collection, id } of keys) if (collection === marksCollection) this.forget(id)
      },
      forgetAll: () => {
        this.#invalidations++
        this.#marks.clear()
        this.#labels.clear()
      },
    })
  }

  /** The marks of each label, no older than the bound. At hand in the common case. */
  of(labels: readonly Label[]): MarksOfLabels | Promise<MarksOfLabels> {
    if (!this.#feed.isFresh()) return this.#filled(labels)
    let howMany = 0
    for (const each of labels) {
      const marks = this.#marks.get(each)
      if (!marks) return this.#filled(labels)
      howMany += marks.length
    }
    // Most labels have none, and every request asks.
    return howMany === 0 ? noMarks : labels.map((each) => this.#marks.get(each)!)
  }

  /** Drops one mark record from the copy. */
  forget(id: string): void {
    this.#invalidations++
    const known = this.#labels.get(id)
    if (known === undefined) return
    this.#labels.delete(id)
    this.#marks.delete(known)
  }

  async #filled(labels: readonly Label[]): Promise<MarksOfLabels> {
    const before = this.#invalidations
    // What is kept here is told of changes by its own feed, so it must not come from a cache that may not know of them
    // yet. Without a feed nothing is kept, and an answer within the bound will do: who revokes waits for that.
    const marks = await this.#truth.read(labels, this.#feed.figures.state !== 'none')
    if (before === this.#invalidations && this.#feed.isLive) {
      labels.forEach((each, i) => {
        this.#keep(each, marks[i]!)
      })
    }
    return marks
  }

  #keep(label: Label, marks: readonly Mark[]): void {
    this.#marks.set(label, marks)
    this.#labels.set(this.#truth.idOf(label), label)
    if (this.#marks.size <= mostLabels) return
    const oldest = this.#marks.keys().next().value!
    this.#marks.delete(oldest)
    this.#labels.delete(this.#truth.idOf(oldest))
  }
}
