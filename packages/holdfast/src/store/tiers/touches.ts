/**
 * Touches that wait for each other, so that many are written at once (write-behind). Nothing else may be written so:
 * a touch that is lost in a crash ends a session a little early, and nothing comes back by it.
 *
 * Each is in the truth before the record would expire there, whoever asks is told what became of it, and the queue is
 * bounded: who finds it full waits for a place. Touches of one key are written in their order, those of one version
 * as one; a batch is in order of its keys, so that batches of several processes can't block each other for ever.
 */

import { DeadlineExceeded } from '../../errors.ts'
import type { Awaitable, Outcome } from '../contract.ts'
import { checkInstant, checkKey, type Instant, type Key, keyText } from '../record.ts'
import type { Deferred, Prolongation, Store, TouchFigures } from '../store.ts'

/** How many records' touches may wait. */
const mostWaiting = 10_000
/** How many are written at once. */
const mostAtOnce = 200

/** The touches of one record at one version. */
class Waiting {
  readonly text: string
  readonly key: Key
  prolongation: Prolongation
  readonly outcome: Promise<Outcome>
  readonly #settle: PromiseWithResolvers<Outcome>

  constructor(text: string, prolongation: Prolongation) {
    this.text = text
    this.key = prolongation.key
    this.prolongation = prolongation
    this.#settle = Promise.withResolvers()
    this.outcome = this.#settle.promise
    // That nobody asks what became of a touch must not end the process.
    this.outcome.catch(() => undefined)
  }

  /** One touch that goes as far as both. */
  join({ expiresAt, touchedAt }: Prolongation, now: number): void {
    const mine = this.prolongation
    this.prolongation = {
      ...mine,
      expiresAt: Math.max(mine.expiresAt, expiresAt),
      touchedAt: Math.max(mine.touchedAt ?? 0, touchedAt ?? now),
    }
  }

  done(outcome: Outcome): void {
    this.#settle.resolve(outcome)
  }

  failed(error: unknown): void {
    this.#settle.reject(error)
  }
}

export class Touches {
  readonly #truth: Store
  readonly #delay: number
  readonly #forget: (keys: readonly Key[]) => Awaitable<void>
  /** In the order in which they are written. */
  readonly #waiting = new Map<string, Waiting>()
  /** Who waits for a place. */
  readonly #outside = new Set<() => void>()
  #writing: Promise<void> | undefined
  #isAsked = false
  /** When the next batch is due, on the clock that never goes back; and what calls that off. */
  #due = Number.POSITIVE_INFINITY
  #cancel: (() => void) | undefined
  #closed = false
  #written = 0
  #failed = 0
  #stalled = 0

  /**
   * @param delay Milliseconds that a touch waits for others at most.
   * @param forget Is told of what was written, before whoever asked is.
   */
  constructor(truth: Store, delay: number, forget: (keys: readonly Key[]) => Awaitable<void>) {
    this.#truth = truth
    this.#delay = delay
    this.#forget = forget
  }

  /**
   * Takes a touch, as soon as there is a place for it.
   *
   * @param by When the record would expire in the truth.
   * @throws {InvalidKey} @throws {InvalidExpiry}
   * @throws {DeadlineExceeded} when there was no place in time.
   */
  add(prolongation: Prolongation, by: Instant): Awaitable<Deferred> {
    checkKey(prolongation.key)
    checkInstant(prolongation.expiresAt, 'expiresAt')
    return this.#taken(prolongation, by) ?? this.#takenLater(prolongation, by)
  }

  get figures(): TouchFigures {
    const outside = this.#outside.size
    return {
      waiting: this.#waiting.size,
      outside,
      written: this.#written,
      failed: this.#failed,
      stalled: this.#stalled,
    }
  }

  /** Writes all that waits. What comes later is written at once. */
  async close(): Promise<void> {
    this.#closed = true
    while (this.#waiting.size > 0 || this.#writing) await this.#write()
  }

  #taken(prolongation: Prolongation, by: Instant): Deferred | undefined {
    const { clock } = this.#truth
    const text = `${keyText(prolongation.key)} ${prolongation.version}`
    const known = this.#waiting.get(text)
    if (!known && this.#waiting.size >= mostWaiting) return undefined
    const waiting = known ?? new Waiting(text, { touchedAt: clock.now(), ...prolongation })
    if (known) known.join(prolongation, clock.now())
    else this.#waiting.set(text, waiting)
    // Twice the deadline before its end: once for the batch that may be under way, once for its own.
    const left = Math.min(this.#delay, by - clock.now() - 2 * this.#truth.deadline)
    this.#schedule(this.#closed || this.#waiting.size >= mostAtOnce ? 0 : Math.max(left, 0))
    return { coming: waiting.outcome }
  }

  /** The queue is full: the truth can't keep up, and whoever brings more has to wait. */
  async #takenLater(prolongation: Prolongation, by: Instant): Promise<Deferred> {
    const { clock, deadline } = this.#truth
    const ends = clock.elapsed() + deadline
    this.#stalled++
    for (;;) {
      const left = ends - clock.elapsed()
      if (left <= 0) {
        throw new DeadlineExceeded(
          `${mostWaiting} touches wait to be written, and there was no place for another within ${deadline} ms: the store can’t keep up`,
        )
      }
      await this.#place(left)
      const taken = this.#taken(prolongation, by)
      if (taken) return taken
    }
  }

  /** Resolves when there may be a place, or after so many milliseconds. */
  async #place(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const enter = (): void => {
      resolve(undefined)
    }
    const cancel = this.#truth.clock.timer(ms, enter)
    this.#outside.add(enter)
    await promise
    this.#outside.delete(enter)
    cancel()
  }

  // ── writing ───────────────────────────────────────────────────────────────────────────────────────────────

  #schedule(ms: number): void {
    const { clock } = this.#truth
    const due = clock.elapsed() + ms
    if (due >= this.#due) return
    this.#cancel?.()
    this.#due = due
    this.#cancel = clock.timer(ms, () => {
      void this.#write()
    })
  }

  /** Writes all that waits now, and is through when it is written. Never rejects. */
  async #write(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    this.#due = Number.POSITIVE_INFINITY
    this.#isAsked = true
    this.#writing ??= this.#writeAsked().finally(() => {
      this.#writing = undefined
    })
    await this.#writing
  }

  async #writeAsked(): Promise<void> {
    while (this.#isAsked) {
      this.#isAsked = false
      // What comes meanwhile waits for others in its turn.
      for (let left = this.#waiting.size; left > 0;) {
        const batch = this.#nextBatch()
        left -= batch.length
        for (const enter of this.#outside) enter()
        await this.#writeBatch(batch)
      }
    }
  }

  /** The first of each key, as many as are written at once. */
  #nextBatch(): readonly Waiting[] {
    const batch = new Map<string, Waiting>()
    for (const waiting of this.#waiting.values()) {
      const key = keyText(waiting.key)
      if (batch.has(key)) continue
      batch.set(key, waiting)
      this.#waiting.delete(waiting.text)
      if (batch.size === mostAtOnce) break
    }
    return [...batch].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, waiting]) => waiting)
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#truth.touch(batch.map(({ prolongation }) => prolongation))
      await this.#forget(batch.map(({ key }) => key))
      this.#written += batch.length
      for (const [i, waiting] of batch.entries()) waiting.done(outcomes[i]!)
    } catch (error) {
      // Some may have been written: what is kept of any of them isn't known to be true.
      await this.#forget(batch.map(({ key }) => key))
      this.#failed += batch.length
      for (const waiting of batch) waiting.failed(error)
    }
  }
}
