/**
 * Readings of the truth that are under way: one for each key, however many wait. Whatever is said to have changed
 * meanwhile spoils the reading: those who waited get its answer, which was true when they asked, but it is not kept, and
 * nobody joins it any more.
 */

import { type Key, keyText, type StoredRecord } from '../record.ts'

/** One reading of one key. */
export class Load {
  readonly key: Key
  /** When it began, on the clock that never goes back. */
  readonly began: number
  /** Nothing has been said to have changed since. */
  isClean = true
  answer: Promise<StoredRecord | undefined> | undefined

  constructor(key: Key, began: number) {
    this.key = key
    this.began = began
  }
}

export class Loads {
  readonly #loads = new Map<string, Load>()

  /** The reading that is under way, for those who come later. */
  find(key: Key): Load | undefined {
    return this.#loads.size === 0 ? undefined : this.#loads.get(keyText(key))
  }

  /** An earlier reading that nobody could join is not kept: the newer one is. */
  begin(key: Key, began: number): Load {
    const text = keyText(key)
    this.#spoil(text)
    const load = new Load(key, began)
    this.#loads.set(text, load)
    return load
  }

  /** @returns whether what was read may be kept */
  end(load: Load): boolean {
    const text = keyText(load.key)
    if (this.#loads.get(text) === load) this.#loads.delete(text)
    return load.isClean
  }

  spoil(keys: readonly Key[]): void {
    if (this.#loads.size === 0) return
    for (const key of keys) this.#spoil(keyText(key))
  }

  spoilAll(): void {
    for (const text of [...this.#loads.keys()]) this.#spoil(text)
  }

  #spoil(text: string): void {
    const load = this.#loads.get(text)
    if (!load) return
    load.isClean = false
    this.#loads.delete(text)
  }
}
