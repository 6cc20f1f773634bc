/**
 * Takes a command back from node-redis that waits to be sent: when its caller has given up, and after a second, because
 * a server that is away has to be an error and not a wait.
 *
 * The client has options for both, but an `AbortSignal` and an `AbortSignal.timeout` for each command cost more than
 * the command itself. Nearly all are sent before the next turn of the event loop is over, so only those that then still
 * wait are looked after.
 */

import { systemClock } from '../../clock.ts'
import { type Asker, waitToSend } from './wire.ts'

/** Milliseconds between two looks at what still waits. */
const pause = 50

/** Handed over in this turn of the event loop. */
let fresh: Recall[] = []
/** Those that still waited when it was over. */
const waiting = new Set<Recall>()
/** Whether there will be another look at them. */
let looking = false

/** What node-redis uses of an `AbortSignal`: it listens while the command waits, and stops when it has sent it. */
export class Recall {
  readonly aborted = false
  readonly #asker: Asker | undefined
  #takeBack: (() => void) | undefined
  #since = 0

  constructor(asker: Asker | undefined) {
    this.#asker = asker
  }

  addEventListener(_: 'abort', takeBack: () => void): void {
    this.#takeBack = takeBack
    // The client sends in the check phase of this turn, so look in that of the next.
    if (fresh.length === 0) setImmediate(() => setImmediate(lookAtFresh))
    fresh.push(this)
  }

  removeEventListener(): void {
    this.#takeBack = undefined
    waiting.delete(this)
  }

  /** Begins to wait, unless it was sent. */
  static wait(recall: Recall): void {
    if (!recall.#takeBack) return
    recall.#since = systemClock.elapsed()
    waiting.add(recall)
    recall.#asker?.signal.addEventListener('abort', () => recall.#takeBack?.(), { once: true })
    if (recall.#asker?.signal.aborted) recall.#takeBack()
  }

  /** Takes back what has waited for too long. */
  static look(recall: Recall, now: number): void {
    if (now - recall.#since >= waitToSend) recall.#takeBack?.()
  }
}

function lookAtFresh(): void {
  const handedOver = fresh
  fresh = []
  for (const recall of handedOver) Recall.wait(recall)
  lookAgain()
}

function lookAgain(): void {
  if (waiting.size === 0 || looking) return
  looking = true
  systemClock.timer(pause, () => {
    looking = false
    const now = systemClock.elapsed()
    for (const recall of waiting) Recall.look(recall, now)
    lookAgain()
  })
}
