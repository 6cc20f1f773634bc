/** One namespace: its collections, what of it expires first, and who watches it. */

import type { Change } from '../../store/contract.ts'
import type { Key } from '../../store/record.ts'
import type { Entry } from './entry.ts'
import { Expiry } from './expiry.ts'
import { Shelf } from './shelf.ts'

export class Space {
  readonly expiry = new Expiry()
  readonly #shelves = new Map<string, Shelf>()
  readonly #listeners = new Set<(change: Change) => void>()

  find(key: Key): Entry | undefined {
    return this.#shelves.get(key.collection)?.find(key.id)
  }

  shelf(collection: string): Shelf | undefined {
    return this.#shelves.get(collection)
  }

  /** The shelf of a collection, put up if it isn't there. */
  shelfFor(collection: string): Shelf {
    let shelf = this.#shelves.get(collection)
    if (!shelf) {
      shelf = new Shelf(this, collection)
      this.#shelves.set(shelf.collection, shelf)
    }
    return shelf
  }

  /** The shelves in order of their names, from the given name on. */
  shelvesFrom(collection: string): readonly Shelf[] {
    const shelves = [...this.#shelves.values()].filter((shelf) => shelf.collection >= collection)
    return shelves.sort((a, b) => (a.collection < b.collection ? -1 : 1))
  }

  /** Adds a listener; the answer takes it away. */
  listen(listener: (change: Change) => void): () => void {
    // A wrapper of its own, so that one function may listen twice.
    const heard = (change: Change): void => listener(change)
    this.#listeners.add(heard)
    return () => {
      this.#listeners.delete(heard)
    }
  }

  get watched(): boolean {
    return this.#listeners.size > 0
  }

  /** Tells the listeners at once: when the write is acknowledged they know. */
  tell(keys: readonly Key[]): void {
    if (keys.length === 0) return
    for (const listener of this.#listeners) {
      try {
        listener({ type: 'changed', keys: keys.map(({ collection, id }) => ({ collection, id })) })
      } catch (error) {
        // The write has happened; a listener's fault must not make it look failed, nor be swallowed.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
