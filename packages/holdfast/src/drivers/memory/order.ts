/**
 * Entries in byte order of their ids, in chunks: adding and removing moves a few hundred pointers however many
 * entries there are, and a page begins after a binary search. Ids are ASCII, so `<` compares their bytes.
 */

import type { Entry } from './entry.ts'

const longestChunk = 512

export class Order {
  /** None is empty, except the only one. */
  readonly #chunks: Entry[][] = [[]]
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds an entry whose id is not there yet. */
  add(entry: Entry): void {
    const at = this.#chunkOf(entry.id)
    const chunk = this.#chunks[at] as Entry[]
    const position = firstFrom(chunk, entry.id)
    chunk.splice(position, 0, entry)
    this.#size++
    if (chunk.length > longestChunk) this.#split(at, position)
  }

  delete(entry: Entry): void {
    const at = this.#chunkOf(entry.id)
    const chunk = this.#chunks[at] as Entry[]
    const position = firstFrom(chunk, entry.id)
    if (chunk[position] !== entry) return
    chunk.splice(position, 1)
    this.#size--
    this.#merge(at)
  }

  /** The entries with ids greater than `after`, ascending; without it all. Not to be changed meanwhile. */
  *ascending(after?: string): Generator<Entry, undefined> {
    const start = after === undefined ? 0 : this.#chunkOf(after)
    for (let at = start; at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] as Entry[]
      const first = after === undefined || at > start ? 0 : firstAfter(chunk, after)
      for (let i = first; i < chunk.length; i++) yield chunk[i] as Entry
    }
  }

  /** The entries with ids less than `before`, descending; without it all. Not to be changed meanwhile. */
  *descending(before?: string): Generator<Entry, undefined> {
    const start = before === undefined ? this.#chunks.length - 1 : this.#chunkOf(before)
    for (let at = start; at >= 0; at--) {
      const chunk = this.#chunks[at] as Entry[]
      const last = before === undefined || at < start ? chunk.length : firstFrom(chunk, before)
      for (let i = last - 1; i >= 0; i--) yield chunk[i] as Entry
    }
  }

  /** The index of the chunk where the id belongs: the last that begins at or before it. */
  #chunkOf(id: string): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      const first = this.#chunks[middle]?.[0] as Entry
      if (first.id <= id) low = middle
      else high = middle - 1
    }
    return low
  }

  #split(at: number, position: number): void {
    const chunk = this.#chunks[at] as Entry[]
    // Ids that only ever rise leave full chunks behind instead of half-empty ones.
    const appended = at === this.#chunks.length - 1 && position === chunk.length - 1
    this.#chunks.splice(at + 1, 0, chunk.splice(appended ? position : chunk.length >> 1))
  }

  #merge(at: number): void {
    const left = this.#chunks[at] as Entry[]
    const right = this.#chunks[at + 1]
    if (right && left.length + right.length <= longestChunk / 2) {
      left.push(...right)
      this.#chunks.splice(at + 1, 1)
    } else if (left.length === 0 && this.#chunks.length > 1) {
      this.#chunks.splice(at, 1)
    }
  }
}

/** The position of the first entry whose id is not less than `id`. */
function firstFrom(chunk: readonly Entry[], id: string): number {
  let low = 0
  let high = chunk.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((chunk[middle] as Entry).id < id) low = middle + 1
    else high = middle
  }
  return low
}

/** The position of the first entry whose id is greater than `id`. */
function firstAfter(chunk: readonly Entry[], id: string): number {
  const position = firstFrom(chunk, id)
  return chunk[position]?.id === id ? position + 1 : position
}
