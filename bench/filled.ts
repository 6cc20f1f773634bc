/**
 * The filled stores of one backend, shared by the benchmarks of a run: what one has filled serves the next. Each size
 * is a store in a place of its own, filled when it is first asked for.
 */

import { openStore, type Store } from 'holdfast'
import { type Backend, cleared, freshNamespace, type Place, sayLeft, shortened } from './backends.ts'
import {
  collection,
  type DraftOf,
  draftsFrom,
  draftsOf,
  fill,
  inParts,
  keyOf,
  type OnFilled,
  ownerOf,
} from './filling.ts'
import { lanes } from './loading.ts'
import { Progress } from './progress.ts'

/** How many records of a row belong to one owner in every filled store. */
export const perOwner = 100

/** A store with records numbered from 0. */
export interface FilledStore {
  readonly store: Store
  /** Product, version, and what was set for the run. */
  readonly what: string
  /** How many records it holds. */
  readonly count: number
}

interface Held {
  readonly place: Place
  readonly store: Store
  readonly what: string
  count: number
}

/** What is fewer is filled by the store's own calls everywhere. */
const fewEnough = 20_000

export class FilledStores {
  readonly backend: Backend
  readonly progress: Progress
  readonly #held = new Map<number, Held>()

  constructor(backend: Backend) {
    this.backend = backend
    this.progress = new Progress(backend.name)
  }

  /** The store of this size, of which each owner has a hundred records. It may hold more by now. */
  async ofSize(size: number): Promise<FilledStore> {
    const known = this.#held.get(size)
    if (known) return known
    const place = await this.backend.place(this.#held.size)
    const store = await openStore(place.url, { deadline: '60s', namespace: freshNamespace() })
    const { description } = await store.open()
    const { setting } = this.backend
    const what = [shortened(description), ...(setting === undefined ? [] : [setting])].join(', ')
    const held = { place, store, what, count: 0 }
    this.#held.set(size, held)
    await this.add(size, 0, size, draftsOf({ perOwner }))
    await assertFilled(store, size)
    return held
  }

  /** Adds records to the store of a size. */
  async add(size: number, start: number, end: number, draftOf: DraftOf): Promise<void> {
    const held = this.#held.get(size)
    if (!held) throw new Error(`there is no store of ${size} records`)
    const onFilled: OnFilled = (count) => {
      held.count += count
      this.progress.filled(count)
    }
    this.progress.start()
    if (end - start <= fewEnough || !this.backend.loader)
      await fill(held.store, start, end, draftOf, onFilled)
    else await this.#load(held, start, end, draftOf, onFilled)
    this.progress.stop()
  }

  async #load(held: Held, start: number, end: number, draftOf: DraftOf, onFilled: OnFilled): Promise<void> {
    const loader = this.backend.loader?.(held.place.url, held.store.namespace)
    if (!loader) return
    try {
      await inParts(start, end, loader.size, lanes, async (first, next) => {
        await loader.load(draftsFrom(first, next, draftOf))
        onFilled(next - first)
      })
      await loader.settle()
    } finally {
      await loader.end()
    }
  }

  /** Removes everything. */
  async end(): Promise<void> {
    for (const { place, store } of this.#held.values()) {
      if (!place.drop) await cleared(store).catch(sayLeft)
      await store.close()
      await place.drop?.().catch(sayLeft)
    }
    this.#held.clear()
  }
}

/** What was filled in can be read, listed and counted by the store, whoever wrote it. */
async function assertFilled(store: Store, size: number): Promise<void> {
  const draftOf = draftsOf({ perOwner })
  for (let i = 0; i < size; i += Math.ceil(size / 50)) {
    const record = await store.read(keyOf(i))
    const draft = draftOf(i)
    const isAlike =
      record && Buffer.compare(record.value, draft.value) === 0 && record.labels[0] === draft.labels?.[0]
    if (!isAlike) throw new Error(`record ${i} was not filled in as it should be`)
    if (store.capabilities.listing !== 'complete' || i + perOwner > size) continue
    const labels = [`user:${ownerOf(i, { perOwner })}`]
    const { records } = await store.list(collection, { labels, limit: perOwner })
    if (records.length !== perOwner) throw new Error(`${labels[0]!} has ${records.length} records`)
  }
}
