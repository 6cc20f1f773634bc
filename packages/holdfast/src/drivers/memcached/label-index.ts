/**
 * The index of labels, which is opt-in and partial: one item for each label, with the ids that carry it and when they
 * expire, the latest last; and one for each first character of the ids, by which a whole collection is found.
 *
 * The records are the truth and the index only a finder. It is written after the record, and whatever becomes of it is
 * no reason to fail what was done: a login must not depend on the length of a list. Writers change it by
 * compare-and-swap, a bounded number of times. What has expired is dropped when something is added, after a look at
 * the records, because prolonging a record doesn't touch its index. When it is full, the oldest ids make room.
 */

import { systemClock } from '../../clock.ts'
import type { Call } from '../../store/contract.ts'
import { type Instant, type Key, type Label, never } from '../../store/record.ts'
import { Batches } from './batches.ts'
import type { MemcachedClient } from './client/client.ts'
import { bytesOf, entriesOf, type Entry, fitting, lastExpiry } from './index-entries.ts'
import { type Layout, recordIfWhole } from './layout.ts'

/** What a write did to the labels of a record. */
export interface Relabelling {
  readonly before: readonly Label[]
  readonly after: readonly Label[]
  readonly expiresAt: Instant
}

export interface IndexSettings {
  /** The longest index, in bytes. */
  readonly longest: number
  /** Milliseconds that an update may take. */
  readonly deadline: number
}

/** How often an update is tried. */
const mostTries = 15
/** Milliseconds of the longest pause between two tries; its length is drawn. */
const longestPause = 20
/** How many that seem to have expired are looked at in one update. */
const mostLooks = 100
/** An index is kept this long after the last expiry that it knows of: records are prolonged without its knowledge. */
const keptLonger = 30 * 24 * 60 * 60 * 1_000

/** A change of one index. */
interface Change {
  readonly key: Key
  /** Missing: the id is struck. */
  readonly entry: Entry | undefined
  readonly now: number
}

export class LabelIndex {
  readonly #client: MemcachedClient
  readonly #layout: Layout
  readonly #settings: IndexSettings
  /** Of those who log in at once, all of this process need one write. */
  readonly #changes = new Batches<Change>((name, changes) => this.#change(name, changes))

  constructor(client: MemcachedClient, layout: Layout, settings: IndexSettings) {
    this.#client = client
    this.#layout = layout
    this.#settings = settings
  }

  /** Enters a record under the labels that it got and strikes it from those that it lost. Never fails. */
  async relabel(key: Key, { before, after, expiresAt }: Relabelling, call: Call): Promise<void> {
    const gained = after.filter((label) => !before.includes(label))
    const lost = before.filter((label) => !after.includes(label))
    if (gained.length + lost.length === 0) return
    const change = (label: Label, entry?: Entry): Promise<void> =>
      this.#changes.add(this.#layout.index(key.collection, label), { key, entry, now: call.now })
    const changes = [
      ...gained.map((label) => change(label, { id: key.id, expiresAt })),
      ...lost.map((label) => change(label)),
    ]
    // What can't be entered isn't found, which is what a partial listing may do.
    await untilSettled(changes, this.#settings.deadline)
  }

  /** The ids under each of the labels, as far as they are known. */
  async read(
    collection: string,
    labels: readonly Label[],
    call: Call,
  ): Promise<readonly (readonly Entry[])[]> {
    const names = labels.map((label) => this.#layout.index(collection, label))
    const items = await this.#client.get(names, call)
    return items.map((item) => (item ? entriesOf(item.value) : []))
  }

  /** Compare-and-swap until it works: of two processes that log someone in at once, both are found. */
  async #change(name: string, changes: readonly Change[]): Promise<void> {
    const ends = systemClock.elapsed() + this.#settings.deadline
    for (let tries = 0; tries < mostTries && systemClock.elapsed() < ends; tries++) {
      if (tries > 0) await systemClock.sleep(Math.random() * longestPause)
      const [item] = await this.#client.get([name])
      const entries = item ? entriesOf(item.value) : []
      const next = await this.#changed(entries, changes)
      if (!next) return
      const now = Math.max(...changes.map((change) => change.now))
      const last = lastExpiry(next, now)
      const expires = this.#layout.dropsAt(last === never ? never : last + keptLonger)
      const options = item ? { cas: item.cas, expires } : { add: true, expires }
      if ((await this.#client.set(name, bytesOf(next), options)) === 'stored') return
    }
  }

  /** The entries after the changes, the new ones last; nothing where there is nothing to change. */
  async #changed(
    entries: readonly Entry[],
    changes: readonly Change[],
  ): Promise<readonly Entry[] | undefined> {
    const latest = new Map(changes.map((change) => [change.key.id, change]))
    const others = entries.filter(({ id }) => !latest.has(id))
    const added = [...latest.values()].flatMap(({ entry }) => (entry ? [entry] : []))
    const [first] = latest.values()
    if (!first || added.length === 0) return others.length < entries.length ? others : undefined
    return fitting([...(await this.#pruned(first, others)), ...added], this.#settings.longest)
  }

  /** Without those that have expired or are gone; in the order that they had. */
  async #pruned({ key: { collection }, now }: Change, entries: readonly Entry[]): Promise<readonly Entry[]> {
    const passed = entries.filter(({ expiresAt }) => expiresAt < now).slice(0, mostLooks)
    if (passed.length === 0) return entries
    const keys = passed.map(({ id }) => ({ collection, id }))
    const names = keys.map((key) => this.#layout.record(key))
    // What can't be looked at stays.
    const items = await this.#client.get(names).catch(() => undefined)
    if (!items) return entries
    const found = new Map(
      keys.map((key, i) => [key.id, items[i] && recordIfWhole(key, items[i].value, false)]),
    )
    return entries.flatMap((entry) => {
      if (!found.has(entry.id)) return [entry]
      const expiresAt = found.get(entry.id)?.expiresAt ?? 0
      return expiresAt < now ? [] : [{ id: entry.id, expiresAt }]
    })
  }
}

/** Waits for all of them, whatever becomes of them, but no longer than so many milliseconds. */
function untilSettled(pending: readonly Promise<unknown>[], longest: number): Promise<void> {
  return new Promise((resolve) => {
    const stop = systemClock.timer(longest, resolve)
    void Promise.allSettled(pending).then(() => {
      stop()
      resolve()
    })
  })
}

/** The labels by which a whole collection is found, one for each first character. No user's label begins like this. */
export function partOf(id: string): Label {
  return `*${id.charAt(0)}`
}

/** All of them, in byte order of the ids that they hold. */
export const parts: readonly Label[] = Array.from(
  '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~',
  partOf,
)
