/** Watching: the change log is looked at every few milliseconds, after each write of one's own, and at a mark. */

import { systemClock } from '../../clock.ts'
import type { Awaitable, Change, Watch } from '../../store/contract.ts'
import { ChangeReader } from './change-log.ts'
import type { SqliteDatabase } from './database.ts'
import { errorOf, type Failure, failureOf } from './failure.ts'
import { pauseAfter } from './queue.ts'

/** Milliseconds between two looks. */
const lookEvery = 25
/** How often a mark looks at a locked database before it gives up: about five seconds. */
const mostLooks = 200

type Listener = (change: Change) => void

export class Feed {
  readonly #database: SqliteDatabase
  readonly #namespace: string
  readonly #file: string
  readonly #listeners = new Set<Listener>()
  #reader: ChangeReader | undefined
  #stopTimer: (() => void) | undefined
  #broken: Failure | undefined

  constructor(database: SqliteDatabase, namespace: string, file: string) {
    this.#database = database
    this.#namespace = namespace
    this.#file = file
  }

  /** Starts telling `listener` of every change from now on. */
  watch(listener: Listener): Watch {
    this.#reader ??= new ChangeReader(this.#database, this.#namespace)
    // A function of its own for each watch, so that one listener may watch twice.
    const told: Listener = (change) => {
      listener(change)
    }
    this.#listeners.add(told)
    this.#stopTimer ??= this.#lookLater()
    return {
      mark: () => this.#mark(0),
      close: () => {
        this.#listeners.delete(told)
        if (this.#listeners.size === 0) this.close()
      },
    }
  }

  /** Tells what has been committed since the last look. Never throws: a failure breaks the feed until it is over. */
  look(): void {
    const failure = this.#tryToLook()
    if (failure && failure.failure !== 'busy') this.#break(failure)
  }

  /** Ends all watches. */
  close(): void {
    this.#listeners.clear()
    this.#stopTimer?.()
    this.#stopTimer = undefined
    this.#reader = undefined
    this.#broken = undefined
  }

  #lookLater(): () => void {
    return systemClock.timer(lookEvery, () => {
      this.#stopTimer = this.#lookLater()
      this.look()
    })
  }

  #tryToLook(): Failure | undefined {
    if (!this.#reader) return undefined
    let keys
    try {
      keys = this.#reader.next()
    } catch (error) {
      return failureOf(error)
    }
    const wasBroken = this.#broken !== undefined
    this.#broken = undefined
    if (wasBroken) this.#tell({ type: 'restored' })
    if (wasBroken || !keys) this.#tell({ type: 'reset' })
    if (keys && keys.length > 0) this.#tell({ type: 'changed', keys })
    return undefined
  }

  #mark(looks: number): Awaitable<void> {
    const failure = this.#tryToLook()
    if (!failure) return
    if (failure.failure === 'busy' && looks < mostLooks) {
      return systemClock.sleep(pauseAfter(looks)).then(() => this.#mark(looks + 1))
    }
    this.#break(failure)
    return Promise.reject(errorOf(failure, this.#file))
  }

  #break(failure: Failure): void {
    if (this.#broken) return
    this.#broken = failure
    this.#tell({ type: 'broken', cause: errorOf(failure, this.#file) })
  }

  #tell(change: Change): void {
    for (const listener of [...this.#listeners]) listener(change)
  }
}
