/**
 * The process's own copy of marks, so that judging a record costs a look-up. The store's change feed keeps it fresh,
 * and an echo through the feed proves that it is, on this process's own clock. As long as the feed is broken, is not
 * there yet or has an echo outstanding, marks are read from the store with each record: nobody waits for the feed.
 */

import type { Change, Watch } from '../store/contract.ts'
import type { Label } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { type Mark, marksCollection } from './mark.ts'

type MarksOfLabels = readonly (readonly Mark[])[]

/** How the copy gets at the truth. */
export interface Truth {
  read(labels: readonly Label[]): Promise<MarksOfLabels>
  idOf(label: Label): string
}

/** The most labels whose marks are kept; the oldest go first. */
const mostLabels = 10_000

export class MarkCopy {
  readonly #store: Store
  readonly #bound: number
  readonly #truth: Truth
  readonly #marks = new Map<Label, readonly Mark[]>()
  readonly #labels = new Map<string, Label>()
  #watch: Watch | undefined
  /** When the copy was last complete as far as is known, on the clock that never goes back; and the echo under way. */
  #freshAt = Number.NEGATIVE_INFINITY
  #echo: object | undefined
  #starting = false
  #broken = false
  /** Counts what was invalidated, so that a reading that began before is not kept. */
  #invalidations = 0

  constructor(store: Store, bound: number, truth: Truth) {
    this.#store = store
    this.#bound = bound
    this.#truth = truth
  }

  /** The marks of each label, no older than the bound. At hand in the common case. */
  of(labels: readonly Label[]): MarksOfLabels | Promise<MarksOfLabels> {
    if (this.#watch && !this.#broken && this.#isFresh()) {
      const known: (readonly Mark[])[] = []
      for (const each of labels) {
        const marks = this.#marks.get(each)
        if (!marks) return this.#filled(labels)
        known.push(marks)
      }
      return known
    }
    return this.#refreshed(labels)
  }

  /** Drops one mark record from the copy. */
  forget(id: string): void {
    this.#invalidations++
    const known = this.#labels.get(id)
    if (known === undefined) return
    this.#labels.delete(id)
    this.#marks.delete(known)
  }

  #isFresh(): boolean {
    const now = this.#store.clock.elapsed()
    // Asked for at half time, so that where there is traffic the answer is there before it is needed.
    if (now - this.#freshAt >= this.#bound / 2 && !this.#echo) this.#askEcho(now)
    return now - this.#freshAt < this.#bound
  }

  /** Asks the feed to prove that it has told everything up to now. An echo that doesn't come is asked for again. */
  #askEcho(asked: number): void {
    const echo = this.#marked()
    if (!(echo instanceof Promise)) {
      // Where the feed can be asked at once, as on an embedded store, freshness costs no waiting.
      if (echo === 'told') this.#freshAt = asked
      return
    }
    const mine = {}
    this.#echo = mine
    const over = (): void => {
      cancel()
      if (this.#echo === mine) this.#echo = undefined
    }
    const cancel = this.#store.clock.timer(this.#bound, over)
    echo.then((answer) => {
      over()
      if (answer === 'told') this.#freshAt = Math.max(this.#freshAt, asked)
    }, over)
  }

  #marked(): Promise<'told' | undefined> | 'told' | undefined {
    try {
      const echo = this.#watch?.mark()
      return echo instanceof Promise ? echo.then(told, nothing) : 'told'
    } catch {
      // The feed says that it is broken; the truth is asked instead.
      return undefined
    }
  }

  async #refreshed(labels: readonly Label[]): Promise<MarksOfLabels> {
    const { capabilities } = await this.#store.open()
    if (capabilities.watch && !this.#watch && !this.#starting) void this.#listen()
    return capabilities.watch ? await this.#filled(labels) : await this.#truth.read(labels)
  }

  async #filled(labels: readonly Label[]): Promise<MarksOfLabels> {
    const before = this.#invalidations
    const marks = await this.#truth.read(labels)
    if (before === this.#invalidations && this.#watch && !this.#broken) {
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

  /** Never rejects: a store that can be read but not watched is read. The next record that is judged tries again. */
  async #listen(): Promise<void> {
    this.#starting = true
    try {
      const asked = this.#store.clock.elapsed()
      this.#watch = await this.#store.watch((change) => {
        this.#told(change)
      })
      // What was kept before nobody would have told us of.
      this.#dropAll()
      this.#freshAt = asked
    } catch {
      this.#watch = undefined
    } finally {
      this.#starting = false
    }
  }

  #told(change: Change): void {
    switch (change.type) {
      case 'changed':
        for (const { collection, id } of change.keys) if (collection === marksCollection) this.forget(id)
        return
      case 'reset':
        this.#dropAll()
        return
      case 'broken':
        this.#broken = true
        this.#dropAll()
        return
      case 'restored':
        this.#broken = false
    }
  }

  #dropAll(): void {
    this.#invalidations++
    this.#marks.clear()
    this.#labels.clear()
  }
}

function told(): 'told' {
  return 'told'
}

function nothing(): undefined {
  return undefined
}
