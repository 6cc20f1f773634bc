/** The scheduler's clock: time goes on only when somebody's sleep ends. */

import type { Clock } from '../../clock.ts'

/** When every scenario starts. Any instant would do; it is fixed so that runs are alike. */
const start = 1_800_000_000_000

/** Who says when a sleep ends. */
interface Sleepers {
  /** Resolves when the sleep of the task that calls was chosen to end; outside of tasks at once. */
  asleep(what: string, signal: AbortSignal | undefined): Promise<unknown>
}

interface Timer {
  readonly due: number
  readonly callback: () => void
}

export class ScheduledClock implements Clock {
  readonly #sleepers: Sleepers
  readonly #timers = new Set<Timer>()
  #now = start

  constructor(sleepers: Sleepers) {
    this.#sleepers = sleepers
  }

  now(): number {
    return this.#now
  }

  elapsed(): number {
    return this.#now - start
  }

  /** May take longer than asked for, as every sleep may, when others are chosen first. Outside of tasks it takes no step. */
  async sleep(ms: number, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const wakes = this.#now + ms
    await this.#sleepers.asleep(`${ms} ms`, signal)
    this.#goOn(wakes)
  }

  /** Calls back when a sleep ends at or after its time, never on its own. */
  timer(ms: number, callback: () => void): () => void {
    const timer = { due: this.#now + ms, callback }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  #goOn(to: number): void {
    this.#now = Math.max(this.#now, to)
    const due = [...this.#timers].filter((timer) => timer.due <= this.#now).sort((a, b) => a.due - b.due)
    for (const timer of due) {
      if (this.#timers.delete(timer)) timer.callback()
    }
  }
}
