/**
 * Whether a recorded history of one key could have happened one call after the other, each at some instant between
 * its beginning and its end: linearizability, by the search of Wing and Gong with the memory of Lowe.
 *
 * The key is a register: nothing, or the mark of the write that made what is there, and when it was last used. A call
 * whose outcome is unknown may take effect at any instant after it began, or never.
 */

/** What was asked. A mark names one write, and is in the value that it wrote. */
export type Asked =
  | { readonly do: 'create'; readonly mark: string; readonly touchedAt: number }
  | {
      readonly do: 'replace' | 'bury'
      /** The mark of what was to be replaced. */
      readonly expected: string
      readonly mark: string
      readonly touchedAt: number
    }
  | { readonly do: 'touch'; readonly expected: string; readonly touchedAt: number }
  | { readonly do: 'read' }

/** What was answered: an outcome; for a read what it found; `unknown` when nobody can tell. */
export type Answered = 'done' | 'conflict' | 'gone' | 'unknown' | Found

/** What a read found; nothing is null. */
export type Found = { readonly mark: string; readonly touchedAt: number } | null

/** One call, with the times of a clock that all processes share. */
export interface Event {
  readonly key: string
  readonly asked: Asked
  readonly answered: Answered
  readonly begun: number
  readonly ended: number
}

/** What the register holds. */
type State = Found

/** No order of the calls explains the answers. */
export interface Violation {
  /** The calls around which no order was found: those under way when the search got stuck farthest on. */
  readonly around: readonly Event[]
  /** What the register may have held before them. */
  readonly states: readonly State[]
}

/** Checks the history of one key. @returns what can't be explained, or nothing. */
export function violation(history: readonly Event[]): Violation | undefined {
  const events = history.filter(({ asked, answered }) => !(asked.do === 'read' && answered === 'unknown'))
  return new Search(events).run()
}

interface Choice {
  readonly event: number
  readonly before: State
  readonly after: State
}

class Search {
  readonly #events: readonly Event[]
  /** Indices in the order of their beginnings. */
  readonly #order: readonly number[]
  /** Whether a call has taken effect in the order that is being tried. */
  readonly #taken: boolean[]
  /** Orders that were tried: which calls had taken effect, and what the register held. */
  readonly #tried = new Set<string>()
  #farthest: { readonly settled: number; readonly around: number[]; states: State[] } | undefined

  constructor(events: readonly Event[]) {
    this.#events = events
    this.#order = events.map((_, i) => i).sort((a, b) => events[a]!.begun - events[b]!.begun)
    this.#taken = events.map(() => false)
  }

  run(): Violation | undefined {
    const path: { readonly choices: Choice[]; next: number }[] = [this.#fork(null)]
    let state: State = null
    for (;;) {
      const fork = path.at(-1)!
      if (this.#isExplained()) return undefined
      const choice = fork.choices[fork.next++]
      if (!choice) {
        path.pop()
        const back = path.at(-1)
        if (!back) return this.#violation()
        const undone = back.choices[back.next - 1]!
        this.#taken[undone.event] = false
        state = undone.before
        continue
      }
      const after: State = choice.after
      this.#taken[choice.event] = true
      if (this.#isNew(after)) {
        state = after
        path.push(this.#fork(state))
      } else {
        this.#taken[choice.event] = false
      }
    }
  }

  /** The calls that may take effect next: those that began before any that is left had ended. */
  #fork(state: State): { choices: Choice[]; next: number } {
    const around = this.#underWay()
    const choices = around.flatMap((event) => {
      const made = effect(this.#events[event]!, state)
      return made ? [{ event, before: state, after: made.state }] : []
    })
    this.#note(around, state)
    return { choices, next: 0 }
  }

  #underWay(): number[] {
    let end = Infinity
    const around: number[] = []
    for (const i of this.#order) {
      if (this.#taken[i]) continue
      const event = this.#events[i]!
      if (event.begun > end) break
      around.push(i)
      if (event.answered !== 'unknown') end = Math.min(end, event.ended)
    }
    return around
  }

  /** Whether only calls are left that may never have happened. */
  #isExplained(): boolean {
    return this.#events.every(({ answered }, i) => this.#taken[i] || answered === 'unknown')
  }

  #isNew(state: State): boolean {
    const text = `${this.#taken.map((taken) => (taken ? '1' : '0')).join('')} ${JSON.stringify(state)}`
    if (this.#tried.has(text)) return false
    this.#tried.add(text)
    return true
  }

  #note(around: number[], state: State): void {
    const settled = this.#taken.filter(Boolean).length
    if (!this.#farthest || settled > this.#farthest.settled) {
      this.#farthest = { settled, around, states: [state] }
    } else if (settled === this.#farthest.settled) {
      this.#farthest.states.push(state)
    }
  }

  #violation(): Violation {
    const { around = [], states = [] } = this.#farthest ?? {}
    const shown = around.map((i) => this.#events[i]!)
    return {
      around: shown,
      states: [...new Map(states.map((each) => [JSON.stringify(each), each])).values()],
    }
  }
}

/** What a call makes of the register, if its answer is the one that a register gives. */
function effect({ asked, answered }: Event, state: State): { readonly state: State } | undefined {
  const { outcome, after } = register(asked, state)
  // An unknown call that changes nothing is one that never happened.
  if (answered === 'unknown') return outcome === 'done' ? { state: after } : undefined
  if (asked.do !== 'read') return answered === outcome ? { state: after } : undefined
  return isSame(answered as Found, state) ? { state } : undefined
}

function isSame(a: Found, b: Found): boolean {
  return a === null || b === null ? a === b : a.mark === b.mark && a.touchedAt === b.touchedAt
}

/** The register: what it answers, and what it holds then. */
function register(asked: Asked, state: State): { outcome: 'done' | 'conflict' | 'gone'; after: State } {
  switch (asked.do) {
    case 'read':
      return { outcome: 'done', after: state }
    case 'create': {
      const { mark, touchedAt } = asked
      return state ? { outcome: 'conflict', after: state } : { outcome: 'done', after: { mark, touchedAt } }
    }
    case 'touch':
    case 'replace':
    case 'bury': {
      if (!state) return { outcome: 'gone', after: state }
      if (state.mark !== asked.expected) return { outcome: 'conflict', after: state }
      const touchedAt = Math.max(state.touchedAt, asked.touchedAt)
      return { outcome: 'done', after: { mark: asked.do === 'touch' ? state.mark : asked.mark, touchedAt } }
    }
  }
}

/** A violation, for a message. */
export function described({ around, states }: Violation): string {
  const start = Math.min(...around.map(({ begun }) => begun))
  const ms = (time: number): string => `${((time - start) / 1e6).toFixed(3)} ms`
  const calls = around.map(
    ({ key, asked, answered, begun, ended }) =>
      `  ${key}: ${JSON.stringify(asked)} answered ${JSON.stringify(answered)}, from ${ms(begun)} to ${ms(ended)}`,
  )
  const held = states.map((state) => JSON.stringify(state)).join(' or ')
  return ['no order explains these calls:', ...calls, `  when there was ${held}`].join('\n')
}
