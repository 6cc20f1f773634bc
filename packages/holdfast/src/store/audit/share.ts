/** A part of all texts, by their digests: what fits into memory at once. */

import { hash } from 'node:crypto'

export class Share {
  readonly #index: number
  readonly #of: number

  /** @param of A power of two. */
  private constructor(index: number, of: number) {
    this.#index = index
    this.#of = of
  }

  /** All of them. */
  static whole(): Share {
    return new Share(0, 1)
  }

  holds(text: string): boolean {
    return this.#of === 1 || digestOf(text) % this.#of === this.#index
  }

  /** Two shares that make up this one. */
  halves(): readonly [Share, Share] {
    const of = this.#of * 2
    return [new Share(this.#index, of), new Share(this.#index + this.#of, of)]
  }
}

/** The first 48 bits of a digest. */
export function digestOf(text: string): number {
  return hash('sha256', text, 'buffer').readUIntBE(0, 6)
}
