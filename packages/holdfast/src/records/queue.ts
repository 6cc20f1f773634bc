/**
 * One queue per record within the process: changes of one record wait for each other instead of failing each other's
 * compare-and-swap, and each begins with what the one before it wrote. Records never wait for one another.
 */

interface Line<T> {
  /** Settles when the last of the line is through. Never rejects. */
  last: Promise<unknown>
  length: number
  place: Place<T>
}

/** What those who change one record hand on to each other. */
export interface Place<T> {
  /** The newest state that this process knows. Possibly stale: only a compare-and-swap makes it true. */
  newest: T | undefined
}

export class KeyedQueue<T> {
  readonly #lines = new Map<string, Line<T>>()

  /** Runs a task when those before it in the same line are through. The line is forgotten when it is empty. */
  async run<R>(id: string, task: (place: Place<T>) => Promise<R>): Promise<R> {
    const line = this.#lineOf(id)
    const turn = line.length === 0 ? task(line.place) : line.last.then(() => task(line.place))
    line.length++
    line.last = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      if (--line.length === 0) this.#lines.delete(id)
    }
  }

  /** How many records are being changed. */
  get size(): number {
    return this.#lines.size
  }

  #lineOf(id: string): Line<T> {
    let line = this.#lines.get(id)
    if (!line) {
      line = { last: Promise.resolve(), length: 0, place: { newest: undefined } }
      this.#lines.set(id, line)
    }
    return line
  }
}
