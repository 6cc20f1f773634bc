/**
 * The queue of one shard. While a batch is carried out, the tasks that come meanwhile wait and share the next one: the
 * slower the disk is, the more of them one flush carries. No process keeps the lock for longer than a batch.
 */

import { systemClock } from '../../clock.ts'
import { StoreUnavailable } from '../../errors.ts'
import type { Call } from '../../store/contract.ts'
import { keyText } from '../../store/record.ts'
import { Batch, type Pending, type Workshop } from './batch.ts'
import { clearTemps } from './files.ts'
import type { Held, Locks } from './locks.ts'
import type { Task } from './tasks.ts'

interface Waiting extends Pending {
  readonly call: Call
  /** By the system's clock: then nobody may wait any more, and the task must not begin. */
  readonly until: number
}

/** A look at the shard while nobody changes it. */
interface Looking {
  readonly look: () => unknown
  readonly call: Call
  readonly until: number
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/** The most tasks in one batch. */
const mostTasks = 64
/** Milliseconds between attempts at a lock that another process has, at most and give or take a half. */
const longestPause = 10
/** Milliseconds for which a shard is taken to be in use by others, after its lock was found taken. */
const contended = 1_000

export class Shard {
  readonly #name: string
  readonly #workshop: Workshop
  readonly #locks: Locks
  readonly #patience: number
  #waiting: (Waiting | Looking)[] = []
  #running: Promise<void> | undefined
  #metOthers = -Infinity
  #isCleared = false

  /** @param patience Milliseconds that a task waits for the lock. */
  constructor(name: string, workshop: Workshop, locks: Locks, patience: number) {
    this.#name = name
    this.#workshop = workshop
    this.#locks = locks
    this.#patience = patience
  }

  /** Carries out a task when its turn has come. */
  async add<T>(task: Task<T>, call: Call, patience = this.#patience): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      const until = systemClock.elapsed() + patience
      this.#wait({ task, call, until, resolve: resolve as (answer: unknown) => void, reject })
    })
  }

  /** Looks at the shard while nobody changes it, in whatever process. */
  async look<T>(look: () => T, call: Call): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      const until = systemClock.elapsed() + this.#patience
      this.#wait({ look, call, until, resolve: resolve as (answer: unknown) => void, reject })
    })
  }

  /** Resolves when nothing waits any more. */
  async drained(): Promise<void> {
    await this.#running
  }

  #wait(waiting: Waiting | Looking): void {
    this.#waiting.push(waiting)
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    // Those of the same turn of the event loop share the first batch.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) {
      const held = await this.#locked()
      if (!held) continue
      await this.#work()
      held.release()
      await this.#letOthersIn()
    }
    // In the same step as the last look at the queue: what comes a moment later starts anew.
    this.#running = undefined
  }

  async #work(): Promise<void> {
    await this.#clear()
    this.#dropLate()
    const [first] = this.#waiting
    if (first && 'look' in first) {
      this.#waiting.shift()
      try {
        first.resolve(first.look())
      } catch (error) {
        first.reject(error)
      }
      return
    }
    const tasks = this.#next()
    if (tasks.length > 0) await new Batch(this.#workshop, this.#name).run(tasks)
  }

  /** What a crash has left half written is removed by the next process that has the lock. */
  async #clear(): Promise<void> {
    if (this.#isCleared) return
    this.#isCleared = true
    await clearTemps(this.#workshop.layout.temps, this.#name)
  }

  /** The tasks at the head of the queue that speak of different keys. */
  #next(): Waiting[] {
    const keys = new Set<string>()
    const tasks: Waiting[] = []
    for (const each of this.#waiting) {
      if ('look' in each || tasks.length === mostTasks) break
      const key = keyText(each.task.key)
      if (keys.has(key)) break
      keys.add(key)
      tasks.push(each)
    }
    this.#waiting.splice(0, tasks.length)
    return tasks
  }

  /** The lock, or nothing when nobody waits for it any more. */
  async #locked(): Promise<Held | undefined> {
    for (let attempt = 0; this.#waiting.length > 0; attempt++) {
      try {
        const held = this.#locks.take(this.#name)
        if (held) return held
      } catch (error) {
        for (const { reject } of this.#waiting.splice(0)) reject(error)
        return undefined
      }
      this.#metOthers = systemClock.elapsed()
      const left = Math.min(...this.#waiting.map(({ until }) => until)) - this.#metOthers
      await systemClock.sleep(Math.max(0, Math.min(pauseAfter(attempt), left)))
      this.#dropLate()
    }
    return undefined
  }

  /** Nothing was begun for those whose time is over, so that is what they are told. */
  #dropLate(): void {
    const now = systemClock.elapsed()
    const isLate = ({ call, until }: Waiting | Looking): boolean => until <= now || call.signal.aborted
    const late = this.#waiting.filter(isLate)
    if (late.length === 0) return
    this.#waiting = this.#waiting.filter((each) => !late.includes(each))
    for (const { reject } of late) reject(busy(this.#workshop.layout.lock(this.#name)))
  }

  /** Whoever lets go of a lock and takes it again at once would always be faster than those who look now and then. */
  async #letOthersIn(): Promise<void> {
    if (this.#waiting.length === 0 || systemClock.elapsed() - this.#metOthers > contended) return
    await systemClock.sleep(Math.random() * longestPause)
  }
}

function pauseAfter(attempt: number): number {
  return Math.min(longestPause, 2 ** attempt) * (0.5 + Math.random())
}

function busy(lock: string): StoreUnavailable {
  return new StoreUnavailable(
    `${lock} stayed locked by another process until the deadline; nothing was changed. Look for a process that was ` +
      'stopped in the middle of a write or for a disk that is very slow, or raise the deadline',
  )
}
