/**
 * Marks: "everything that carries these labels and began before now is dead".
 *
 * A mark carries an epoch, not a time, so no clock decides who is logged in. Whoever creates a record reads the marks
 * of its labels *before* the credential is checked, stores their epochs in the record, and reads them again after it
 * was written: a login that overlaps "log out everywhere" takes itself back. One mark record per label holds the
 * marks which that label governs, so a creator finds all that concern it in one read. The user's label governs where
 * there is one, because its epoch is what a login reads before the password is checked; otherwise the byte-least.
 */

import { digestOf } from '../credentials/digest.ts'
import { OutcomeUnknown, RecordCorrupt } from '../errors.ts'
import {
  type Instant,
  type Key,
  type Label,
  never,
  orderedLabels,
  type StoredRecord,
} from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { jittered } from './backoff.ts'
import type { Epochs } from './envelope.ts'
import { highest, isCovered, isMark, type Mark, type Marked, marksCollection, strikes } from './mark.ts'
import { MarkCopy } from './mark-copy.ts'

/** How many marks one mark record holds. */
const mostMarks = 400

export interface MarksOptions {
  /** Whose marks: sessions and tokens have marks of their own. */
  readonly collection: string
  /** How long a record of the collection can live, in milliseconds, or `never`: a mark outlives them all. */
  readonly longest: Instant
  /** How old the process's copy of the marks may be, in milliseconds. */
  readonly bound: number
}

export class Marks {
  readonly #store: Store
  readonly #options: MarksOptions
  readonly #copy: MarkCopy

  constructor(store: Store, options: MarksOptions) {
    this.#store = store
    this.#options = options
    this.#copy = new MarkCopy(store, options.bound, {
      read: (labels, strict) => this.#read(labels, strict),
      idOf: (each) => this.#key(each).id,
    })
  }

  /** The epochs that a record with these labels begins with. Reads the truth. */
  async epochs(labels: readonly Label[]): Promise<Epochs> {
    const epochs: Record<Label, number> = {}
    const marks = await this.#read(labels)
    labels.forEach((each, i) => {
      const epoch = highest(marks[i]!)
      if (epoch > 0) epochs[each] = epoch
    })
    return epochs
  }

  /** The ids of the records that hold the marks of these labels. */
  idsOf(labels: readonly Label[]): readonly string[] {
    return labels.map((each) => this.#key(each).id)
  }

  /** Whether a mark has struck the record, by the truth. For creators, after they wrote. */
  async strikesStrictly(marked: Marked): Promise<boolean> {
    const { labels } = marked.record
    if (labels.length === 0) return false
    return strikes(await this.#read(labels), marked)
  }

  /** Whether a mark has struck the record, by a copy no older than the bound. For readers. */
  strikes(marked: Marked): boolean | Promise<boolean> {
    const { labels } = marked.record
    if (labels.length === 0) return false
    const marks = this.#copy.of(labels)
    return marks instanceof Promise ? marks.then((found) => strikes(found, marked)) : strikes(marks, marked)
  }

  /** Raises a mark: what carries all the labels and was created under a smaller epoch is dead from now on. */
  async raise(labels: readonly Label[], except: readonly string[] = []): Promise<Mark> {
    const ordered = governedFirst(orderedLabels(labels))
    const governing = ordered[0]
    if (governing === undefined) throw new TypeError('a mark needs at least one label')
    const ends = this.#store.clock.elapsed() + this.#store.deadline
    for (let attempt = 0; ; attempt++) {
      const record = await this.#store.read(this.#key(governing), { strict: true })
      const marks = record ? this.#decoded(record) : []
      const mark: Mark = {
        labels: ordered,
        // Greater than all before it, also than those of a mark record that has expired meanwhile.
        epoch: Math.max(this.#store.clock.now(), highest(marks) + 1),
        ...(except.length > 0 ? { except } : {}),
      }
      // A mark takes the place of those that strike nothing more than it does, so the list grows with label sets only.
      const next = [...this.#needed(marks.filter((each) => !isCovered(each, mark))), mark]
      if (await this.#stored(governing, record, next)) {
        this.#copy.forget(this.#key(governing).id)
        return mark
      }
      if (this.#store.clock.elapsed() >= ends) {
        throw new OutcomeUnknown(
          'the mark could not be raised before the deadline: others raised theirs all the time',
        )
      }
      await this.#store.clock.sleep(jittered(attempt))
    }
  }

  async #stored(
    governing: Label,
    record: StoredRecord | undefined,
    marks: readonly Mark[],
  ): Promise<boolean> {
    const key = this.#key(governing)
    const value = this.#store.codec.encode(key, { marks })
    const { longest } = this.#options
    const expiresAt =
      longest === never
        ? never
        : Math.max(this.#store.clock.now() + longest + this.#store.margin, record?.expiresAt ?? 0)
    const written = record
      ? await this.#store.replace({ key, expected: record.version, value, expiresAt })
      : await this.#store.create({ key, value, expiresAt })
    // An unknown outcome is tried again: a second mark on the same labels is as good as one.
    return written.status === 'done'
  }

  async #read(labels: readonly Label[], strict = true): Promise<readonly (readonly Mark[])[]> {
    const records = await this.#store.readMany(
      labels.map((each) => this.#key(each)),
      { strict },
    )
    return records.map((record) => (record ? this.#decoded(record) : []))
  }

  /**
   * Leaves out the marks that nothing can be struck by any more: older than the longest life, and of the others the
   * oldest beyond {@link mostMarks}, whose revocation has long been carried out on every record. What could still
   * arrive late is a login, and one that takes longer than the margin is refused.
   */
  #needed(marks: readonly Mark[]): readonly Mark[] {
    const { longest } = this.#options
    const settled = this.#store.clock.now() - this.#store.margin
    const young = longest === never ? marks : marks.filter(({ epoch }) => epoch > settled - longest)
    const surplus = young.length + 1 - mostMarks
    if (surplus <= 0) return young
    const oldest = [...young].sort((a, b) => a.epoch - b.epoch).slice(0, surplus)
    return young.filter((each) => each.epoch > settled || !oldest.includes(each))
  }

  #key(governing: Label): Key {
    // Labels are any Unicode and ids are not, so a mark is found by its label's digest.
    return { collection: marksCollection, id: digestOf(`${this.#options.collection}\n${governing}`) }
  }

  /** A mark that can't be read is an error, never "no mark": what was revoked would come back. */
  #decoded(record: StoredRecord): readonly Mark[] {
    const stored = this.#store.codec.decode(record.key, record.value)
    const marks = (stored as { marks?: unknown } | null)?.marks
    if (!Array.isArray(marks) || !marks.every(isMark)) {
      throw new RecordCorrupt(`marks/${record.key.id} does not hold marks`)
    }
    return marks
  }
}

/** The user's label to the front: it governs. */
function governedFirst(labels: readonly Label[]): readonly Label[] {
  const owner = labels.find((each) => each.startsWith('user:'))
  return owner === undefined ? labels : [owner, ...labels.filter((each) => each !== owner)]
}
