/** Strategies: which of several things a run does next, and what the next run does otherwise. */

import { independent } from './choices.ts'
import type { Choice } from './scheduler.ts'
import { seededRandom } from '../faults/random.ts'

/** Chooses for one run after the other. */
export interface Strategy {
  /** A run begins. */
  begin(): void
  /** What to do next; `undefined` when the rest of this run only repeats another. */
  choose(choices: readonly Choice[]): Choice | undefined
  /** The run is over: whether there is another. */
  next(): boolean
}

interface Node {
  readonly ids: readonly string[]
  /** What need not be tried here: everything that begins with it was tried elsewhere. */
  readonly asleep: ReadonlySet<string>
  index: number
}

/**
 * Depth first over all choices, remembering only the path.
 *
 * With `reduced` it keeps sleep sets (Godefroid): what was tried at a point need not be tried again further down as
 * long as only steps were taken since that are independent of it.
 */
export class Search implements Strategy {
  readonly #reduced: boolean
  readonly #path: Node[] = []
  #depth = 0
  #asleep = new Map<string, Choice>()

  constructor(reduced: boolean) {
    this.#reduced = reduced
  }

  begin(): void {
    this.#depth = 0
    this.#asleep = new Map()
  }

  choose(choices: readonly Choice[]): Choice | undefined {
    let node = this.#path[this.#depth]
    if (node) {
      refuseOther(node, choices)
    } else {
      const asleep = new Set(this.#asleep.keys())
      node = { ids: choices.map(({ id }) => id), asleep, index: -1 }
      if (!advance(node)) return undefined
      this.#path.push(node)
    }
    this.#depth++
    const chosen = choices[node.index]
    if (chosen && this.#reduced) this.#fallAsleep(choices.slice(0, node.index), chosen)
    return chosen
  }

  next(): boolean {
    for (let node = this.#path.at(-1); node; node = this.#path.at(-1)) {
      if (advance(node)) return true
      this.#path.pop()
    }
    return false
  }

  #fallAsleep(tried: readonly Choice[], chosen: Choice): void {
    for (const each of tried) this.#asleep.set(each.id, each)
    for (const [id, each] of this.#asleep) {
      if (!independent(each, chosen)) this.#asleep.delete(id)
    }
  }
}

/** Moves on to the next choice that need not sleep; false if there is none. */
function advance(node: Node): boolean {
  do node.index++
  while (node.index < node.ids.length && node.asleep.has(node.ids[node.index] ?? ''))
  return node.index < node.ids.length
}

function refuseOther({ ids }: Node, choices: readonly Choice[]): void {
  if (ids.length === choices.length && choices.every(({ id }, i) => id === ids[i])) return
  throw new Error(
    `the scenario did not do the same again: there were ${ids.join(', ')}, and now ${choices.map(({ id }) => id).join(', ')}`,
  )
}

/** Runs that are drawn at random. */
export class RandomWalk implements Strategy {
  readonly #random: () => number
  #left: number

  constructor({ schedules, seed }: { readonly schedules: number; readonly seed: number }) {
    this.#random = seededRandom(seed)
    this.#left = schedules
  }

  begin(): void {
    this.#left--
  }

  choose(choices: readonly Choice[]): Choice | undefined {
    return choices[Math.floor(this.#random() * choices.length)]
  }

  next(): boolean {
    return this.#left > 0
  }
}

/** One run that was found before. */
export class Replay implements Strategy {
  readonly #ids: readonly string[]
  #depth = 0

  constructor(ids: readonly string[]) {
    this.#ids = ids
  }

  begin(): void {
    this.#depth = 0
  }

  choose(choices: readonly Choice[]): Choice | undefined {
    const id = this.#ids[this.#depth++]
    // After its last choice a schedule that failed early is simply finished.
    if (id === undefined) return choices[0]
    const chosen = choices.find((each) => each.id === id)
    if (!chosen) throw new Error(`this schedule does not fit the scenario: there is no ${id} here`)
    return chosen
  }

  next(): boolean {
    return false
  }
}
