/** Makes calls to a store in trouble, and sees that each ends in time: in an answer, or in an error with a code. */

import assert from 'node:assert/strict'
import { HoldfastError } from '../../../packages/holdfast/src/errors.ts'

/** How a call ended. */
export type End<T> = { readonly answer: T } | { readonly code: string }

/** What a store that can't be reached may say. */
const explained: ReadonlySet<string> = new Set([
  'HOLDFAST_STORE_UNAVAILABLE',
  'HOLDFAST_OUTCOME_UNKNOWN',
  'HOLDFAST_DEADLINE_EXCEEDED',
  'HOLDFAST_PARTIAL_ANSWER',
])

export class Witness {
  /** Milliseconds that the slowest call took. */
  slowest = 0
  readonly #codes = new Map<string, number>()
  readonly #patience: number

  /** @param patience Milliseconds after which a call is taken for hanging. */
  constructor(patience: number) {
    this.#patience = patience
  }

  /** Ends as the call does. @throws when it hangs, or fails with anything but an error that explains itself. */
  async see<T>(what: string, call: () => PromiseLike<T> | T): Promise<End<T>> {
    const begun = performance.now()
    let timer: NodeJS.Timeout | undefined
    const hanging = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} hangs for ${this.#patience} ms`)), this.#patience)
    })
    try {
      return { answer: await Promise.race([(async () => await call())(), hanging]) }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      assert.ok(explained.has(error.code), `${what} failed with ${error.code}: ${error.message}`)
      this.#codes.set(error.code, (this.#codes.get(error.code) ?? 0) + 1)
      return { code: error.code }
    } finally {
      clearTimeout(timer)
      this.slowest = Math.max(this.slowest, performance.now() - begun)
    }
  }

  /** Asks until it is answered. */
  async eventually<T>(what: string, call: () => PromiseLike<T> | T, within = 20_000): Promise<T> {
    const ends = performance.now() + within
    for (;;) {
      const end = await this.see(what, call)
      if ('answer' in end) return end.answer
      assert.ok(performance.now() < ends, `${what} still fails after ${within} ms with ${end.code}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  get failures(): number {
    return [...this.#codes.values()].reduce((sum, count) => sum + count, 0)
  }

  get summary(): string {
    const codes = [...this.#codes].map(([code, count]) => `${count} × ${code}`).join(', ')
    return `${codes || 'no failures'}; the slowest call took ${Math.round(this.slowest)} ms`
  }
}
