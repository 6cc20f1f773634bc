/**
 * Writers of one record, one after the other, for servers whose updates are not atomic: they look for the record, and
 * write it in a second step, whatever has become of it meanwhile.
 */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs when nobody else of this process is at any of the keys. */
  async run<T>(keys: readonly string[], act: () => Promise<T>): Promise<T> {
    const before = keys.flatMap((key) => this.#last.get(key) ?? [])
    const mine = Promise.allSettled(before).then(act)
    for (const key of keys) this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      for (const key of keys) if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}
