/** Readings of the truth that are under way: one for each key, however many wait. */

import type { Clock } from '../../clock.ts'
import { type Key, keyText, type StoredRecord } from '../record.ts'
import type { CallOptions } from '../store.ts'

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

/**
 * Readings that are joined by who comes later, for a cache whose ends wait for the bound. Whatever is said to have changed
 * meanwhile spoils the reading: those who waited get its answer, which was true when they asked, but it is not kept, and
 * nobody joins it any more.
 */
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

/** Several readings of one key, one after the other. */
interface Round {
  readonly answer: Promise<StoredRecord | undefined>
  /** Who came while it was under way. */
  next: Promise<StoredRecord | undefined> | undefined
}

/**
 * Readings of which each begins after all who get its answer have asked, for a cache whose ends are told at once: an older
 * one may have found what has ended since. Who comes while one is under way waits for the next, with all others that come
 * meanwhile; not for long, because the truth may be slow.
 */
export class Rounds {
  readonly #clock: Clock
  readonly #patience: number
  readonly #rounds = new Map<string, Round>()

  /** @param patience Milliseconds that the next reading waits for the one before at most. */
  constructor(clock: Clock, patience: number) {
    this.#clock = clock
    this.#patience = patience
  }

  read(key: Key, read: () => Promise<StoredRecord | undefined>): Promise<StoredRecord | undefined> {
    const text = keyText(key)
    const round = this.#rounds.get(text)
    if (!round) return this.#begun(text, read)
    // Each its own to keep.
    if (round.next) return round.next.then(copyOf)
    round.next = this.#over(round).then(() => this.#begun(text, read))
    return round.next
  }

  #begun(text: string, read: () => Promise<StoredRecord | undefined>): Promise<StoredRecord | undefined> {
    const round: Round = { answer: read(), next: undefined }
    this.#rounds.set(text, round)
    const done = (): void => {
      if (this.#rounds.get(text) === round && !round.next) this.#rounds.delete(text)
    }
    round.answer.then(done, done)
    return round.answer
  }

  /** Resolves when the round is over, or has taken long enough. */
  #over({ answer }: Round): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.timer(this.#patience, resolve)
      const over = (): void => {
        cancel()
        resolve()
      }
      answer.then(over, over)
    })
  }
}

/** What one of several gets: its own to keep. */
export function copyOf(record: StoredRecord | undefined): StoredRecord | undefined {
  return record && { ...record, value: Uint8Array.from(record.value) }
}

/** The answer, or the reason of this caller's abort if that is first. */
export function awaited<T>(answer: Promise<T>, { signal }: CallOptions): Promise<T> {
  if (!signal) return answer
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the caller chose the reason
      reject(signal.reason)
    }
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    answer.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort)
    })
  })
}
