/**
 * Writes on the caller's side: those of one turn of the event loop are sent together, and those that met a locked
 * file are sent again, with what has come since, after a pause that blocks nobody.
 */

import { systemClock } from '../../clock.ts'
import type { Awaitable, Call } from '../../store/contract.ts'
import { type Failure, isFailure } from './failure.ts'
import { type Answer, type Group, type Job, Values } from './jobs.ts'

/** Where groups are written: on this thread or on another. Rejects when it cannot say what became of them. */
export interface Writer {
  /** Runs the groups in one transaction and gives the answers of each, after the commit. */
  run(groups: readonly Group[]): Awaitable<readonly (readonly Answer[])[]>
}

interface Entry {
  readonly job: Job
  readonly call: Call
  /** By the system's clock: when it is given up, unless it has been carried out. */
  readonly until: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

interface Collected {
  readonly entries: Entry[]
  readonly values: Values
}

/** A group is sent before the turn is over when it has so many jobs … */
const mostJobs = 500
/** … or so many bytes of values. */
const mostBytes = 4 * 1024 * 1024

const locked: Failure = { failure: 'busy', why: 'database is locked' }

export class Queue {
  readonly #writer: Writer
  readonly #committed: () => void
  readonly #patience: number
  #collected: Collected | undefined
  #held: Collected[] = []
  #isHeld = false
  #unanswered = 0
  #whenDrained: (() => void)[] = []

  /**
   * @param committed Called after answers came, before they are handed out.
   * @param patience Milliseconds for which a locked file is tried again.
   */
  constructor(writer: Writer, committed: () => void, patience: number) {
    this.#writer = writer
    this.#committed = committed
    this.#patience = patience
  }

  /** Adds a write. `encode` copies its value at once, so that the caller may reuse the bytes. */
  add(call: Call, encode: (values: Values) => Job): Promise<Answer> {
    const collected = (this.#collected ??= this.#collect())
    const job = encode(collected.values)
    this.#unanswered++
    const until = systemClock.elapsed() + this.#patience
    const answer = new Promise<Answer>((resolve, reject) => {
      collected.entries.push({ job, call, until, resolve, reject })
    })
    if (collected.entries.length >= mostJobs || collected.values.length >= mostBytes) this.#flush(collected)
    return answer
  }

  /** Resolves when every write has been answered. */
  async drained(): Promise<void> {
    if (this.#unanswered === 0) return
    await new Promise<void>((resolve) => {
      this.#whenDrained.push(resolve)
    })
  }

  #collect(): Collected {
    const collected = { entries: [], values: new Values() }
    setImmediate(() => this.#flush(collected))
    return collected
  }

  #flush(collected: Collected): void {
    if (this.#collected !== collected) return
    this.#collected = undefined
    if (this.#isHeld) this.#held.push(collected)
    else void this.#send([collected])
  }

  async #send(all: readonly Collected[]): Promise<void> {
    try {
      const groups = all.map(({ entries, values }) => ({
        jobs: entries.map(({ job }) => job),
        values: values.bytes,
      }))
      // Only where there is something to wait for: a promise that isn't made costs nothing.
      const running = this.#writer.run(groups)
      const answers = running instanceof Promise ? await running : running
      this.#committed()
      this.#answer(all, answers)
    } catch (error) {
      for (const { reject } of all.flatMap(({ entries }) => entries)) {
        reject(error)
        this.#settled()
      }
    }
  }

  #answer(all: readonly Collected[], answers: readonly (readonly Answer[])[]): void {
    for (const [i, { entries, values }] of all.entries()) {
      const again: Entry[] = []
      for (const [j, entry] of entries.entries()) {
        const answer = answers[i]?.[j]
        if (answer === undefined) throw new TypeError('a write was not answered')
        if (isFailure(answer) && answer.failure === 'busy') {
          again.push(entry)
          continue
        }
        entry.resolve(answer)
        this.#settled()
      }
      if (again.length > 0) this.#hold({ entries: again, values })
    }
  }

  #settled(): void {
    this.#unanswered--
    if (this.#unanswered > 0) return
    for (const resolve of this.#whenDrained.splice(0)) resolve()
  }

  #hold(collected: Collected): void {
    this.#held.push(collected)
    if (this.#isHeld) return
    this.#isHeld = true
    void this.#sendHeld()
  }

  async #sendHeld(): Promise<void> {
    for (let attempt = 0; this.#held.length > 0; attempt++) {
      await systemClock.sleep(this.#pauseAfter(attempt))
      const waiting = this.#held.splice(0).map((each) => this.#withoutLate(each))
      await this.#send(waiting.filter(({ entries }) => entries.length > 0))
    }
    this.#isHeld = false
  }

  /** Never longer than the first of those that wait has time. */
  #pauseAfter(attempt: number): number {
    const first = Math.min(...this.#held.flatMap(({ entries }) => entries.map(({ until }) => until)))
    return Math.max(0, Math.min(pauseAfter(attempt), first - systemClock.elapsed()))
  }

  /** Those whose time is over must not be written any more, and are told so while somebody listens. */
  #withoutLate({ entries, values }: Collected): Collected {
    const now = systemClock.elapsed()
    const waiting = entries.filter((entry) => {
      if (!entry.call.signal.aborted && now < entry.until) return true
      entry.resolve(locked)
      this.#settled()
      return false
    })
    return { entries: waiting, values }
  }
}

/** Milliseconds before the next attempt at a locked file: growing, and never the same for two processes. */
export function pauseAfter(attempt: number): number {
  return Math.ceil(Math.min(25, 2 ** attempt) * (0.5 + Math.random()))
}
