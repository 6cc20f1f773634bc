/** Work on the same thing that is asked for while some is under way, gathered and done together. */

export class Batches<T> {
  readonly #run: (name: string, batch: readonly T[]) => Promise<void>
  /** By name, what has not begun yet. */
  readonly #next = new Map<string, { readonly batch: T[]; readonly done: Promise<void> }>()
  /** By name, what is under way. */
  readonly #running = new Map<string, Promise<void>>()

  /** @param run Does a batch. No two of one name run at once. */
  constructor(run: (name: string, batch: readonly T[]) => Promise<void>) {
    this.#run = run
  }

  /** Resolves or rejects with the batch that the item becomes part of. */
  add(name: string, item: T): Promise<void> {
    const gathering = this.#next.get(name)
    if (gathering) {
      gathering.batch.push(item)
      return gathering.done
    }
    const batch = [item]
    const before = this.#running.get(name) ?? Promise.resolve()
    const done = before.catch(() => undefined).then(() => this.#begin(name, batch))
    this.#next.set(name, { batch, done })
    return done
  }

  #begin(name: string, batch: readonly T[]): Promise<void> {
    this.#next.delete(name)
    const running = this.#run(name, batch).finally(() => {
      if (this.#running.get(name) === running) this.#running.delete(name)
    })
    this.#running.set(name, running)
    return running
  }
}
