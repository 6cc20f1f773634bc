/**
 * The scheduler: holds every task at its calls and sleeps, and lets go one step at a time.
 *
 * A step is taken when the world is quiet: no microtask is left, no call of a driver is under way, and every task
 * waits at a step, has ended, or waits for another task. Microtasks are known to be used up when a callback runs
 * that `process.nextTick` was given from within one. A task that is then neither waiting at a step nor ended gets
 * one turn of the event loop as well; after that it is taken to wait for another task.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from '../../clock.ts'
import { HoldfastError } from '../../errors.ts'
import type { Driver } from '../../store/contract.ts'
import {
  type DriverCall,
  type Ending,
  type Fault,
  type FaultOptions,
  type FaultyDriver,
  type Gate,
  withFaults,
} from '../faults.ts'
import { ScheduledClock } from './clock.ts'

/** What a scenario builds its world with. */
export interface World {
  /** Starts at a fixed time; a sleep is a point at which the scheduler chooses, and ends when it is chosen. */
  readonly clock: Clock
  /** Puts a driver under the scheduler. Calls that no task makes (setting up, checking) go straight through. */
  driver(driver: Driver, options?: Omit<FaultOptions, 'gate'>): FaultyDriver
  /** A point at which the scheduler chooses, for what tasks share besides drivers and the clock. */
  pause(what: string): Promise<void>
}

/** How a task ended. `crashed`: the search stopped it for ever at one of its calls. */
export type TaskEnd =
  | { readonly status: 'returned'; readonly value: unknown }
  | { readonly status: 'threw'; readonly error: HoldfastError }
  | { readonly status: 'crashed' }

/** What a task, or a late request, waits to do. */
export interface Step {
  /** The same in every schedule that takes the task here by the same way. */
  readonly id: string
  readonly task: string
  readonly kind: 'call' | 'answer' | 'late' | 'sleep' | 'pause'
  /** For people: what a pause or a sleep is for. */
  readonly what: string
  readonly call?: DriverCall
  /** Goes on. */
  readonly proceed: (fault: Fault | undefined) => void
}

/** The faults that a search can choose on its own. */
export type ScheduledFault = Extract<Fault, 'loseAnswer' | 'loseRequest' | 'late' | 'fail'>

/** One thing that can be done next. */
export interface Choice {
  /** The same in every schedule that comes here by the same way. */
  readonly id: string
  /** Which step; missing for `finish`, which leaves late requests undelivered for ever. */
  readonly step?: Step
  readonly what: 'go' | 'crash' | 'finish' | ScheduledFault
  /** Whether it interrupts a task that could have gone on. */
  readonly preempts: boolean
}

interface Task {
  readonly name: string
  steps: number
  end: TaskEnd | undefined
  /** Something other than one of our errors was thrown. */
  failure: { readonly error: unknown } | undefined
}

/** A task that no microtask, no call and no other task moves on may wait so many milliseconds for something else. */
const patience = 1_000

export class Scheduler implements World, Gate {
  readonly clock: Clock
  /** The steps that can be taken, in order of arrival. */
  readonly waiting: Step[] = []
  /** The ids of the steps that arrived since something was last carried out. */
  readonly fresh = new Set<string>()
  readonly #context = new AsyncLocalStorage<Task>()
  readonly #tasks = new Map<string, Task>()
  readonly #endings = new WeakMap<DriverCall, { ending?: Ending }>()
  readonly #underWay = new Set<DriverCall>()
  #landed: (() => void) | undefined
  #abandoned = false

  constructor() {
    this.clock = new ScheduledClock(this)
  }

  // ── what a scenario uses ──────────────────────────────────────────────────────────────────────────────────

  driver(driver: Driver, options: Omit<FaultOptions, 'gate'> = {}): FaultyDriver {
    return withFaults(driver, { ...options, gate: this })
  }

  async pause(what: string): Promise<void> {
    const task = this.#current()
    if (task) await this.#arrive(task, 'pause', what)
  }

  /** Waits at a sleep until it is chosen; `false` outside of tasks, where nothing waits. */
  async asleep(what: string, signal: AbortSignal | undefined): Promise<boolean> {
    const task = this.#current()
    if (!task) return false
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const step = this.#step(task, 'sleep', what, undefined, () => {
        signal?.removeEventListener('abort', aborted)
        resolve()
      })
      const aborted = (): void => {
        this.#leave(step)
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- whoever aborts chooses the reason
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', aborted, { once: true })
    })
    return true
  }

  // ── the gate of the drivers ───────────────────────────────────────────────────────────────────────────────

  task(): string | undefined {
    return this.#current()?.name
  }

  before(call: DriverCall): Promise<Fault | undefined> | undefined {
    const task = this.#current()
    if (!task) return undefined
    return this.#arrive(task, 'call', call.operation, call, () => {
      this.#underWay.add(call)
    })
  }

  after(call: DriverCall, ending: Ending): Promise<unknown> | undefined {
    const task = this.#current()
    if (!task) return undefined
    this.#note(call, ending)
    return this.#arrive(task, 'answer', call.operation, call)
  }

  late(call: DriverCall, carryOut: () => Promise<void>): void {
    const task = this.#current()
    if (!task) return
    this.#step(task, 'late', call.operation, call, () => {
      this.#underWay.add(call)
      const arrived = (): void => this.#note(call, { answer: undefined })
      carryOut().then(arrived, arrived)
    })
  }

  // ── what the search uses ──────────────────────────────────────────────────────────────────────────────────

  /** Starts every task; each runs until its first step. */
  start(tasks: Readonly<Record<string, () => Promise<unknown>>>): void {
    for (const [name, run] of Object.entries(tasks)) {
      const task: Task = { name, steps: 0, end: undefined, failure: undefined }
      this.#tasks.set(name, task)
      const ended = (end: TaskEnd): void => {
        task.end ??= end
      }
      this.#context
        .run(task, async () => await run())
        .then(
          (value) => ended({ status: 'returned', value }),
          (error: unknown) => {
            if (error instanceof HoldfastError) ended({ status: 'threw', error })
            else task.failure = { error }
          },
        )
    }
  }

  /** Resolves when there is a step to choose, or every task has ended. @throws what a task threw. */
  async quiet(): Promise<void> {
    await this.#settle()
    const given = performance.now() + patience
    while (this.waiting.length === 0 && !this.ended) {
      if (performance.now() > given) throw new Error(`${this.#stuck()} would wait for ever`)
      await new Promise((resolve) => setTimeout(resolve, 1))
      await this.#settle()
    }
  }

  /** Whether every task has returned, thrown or crashed. */
  get ended(): boolean {
    for (const { end } of this.#tasks.values()) if (!end) return false
    return true
  }

  /** Takes a step. How its call ended is known once the world is quiet. */
  take({ step, what }: Choice): { readonly ending?: Ending } {
    if (!step) return {}
    if (what === 'crash') {
      this.#crash(step.task)
      return {}
    }
    this.#leave(step)
    this.fresh.clear()
    const ending: { ending?: Ending } = {}
    if (step.call) this.#endings.set(step.call, ending)
    step.proceed(what === 'go' || what === 'finish' ? undefined : what)
    return ending
  }

  /** How each task ended. */
  ends(): Readonly<Record<string, TaskEnd>> {
    return Object.fromEntries([...this.#tasks.values()].map(({ name, end }) => [name, end!]))
  }

  /** Nothing goes on any more, not even what still waits. */
  abandon(): void {
    this.#abandoned = true
    this.waiting.length = 0
  }

  // ── inside ────────────────────────────────────────────────────────────────────────────────────────────────

  #current(): Task | undefined {
    return this.#context.getStore()
  }

  #arrive(
    task: Task,
    kind: Step['kind'],
    what: string,
    call?: DriverCall,
    onwards?: () => void,
  ): Promise<Fault | undefined> {
    return new Promise((resolve) => {
      this.#step(task, kind, what, call, (fault) => {
        onwards?.()
        resolve(fault)
      })
    })
  }

  #step(
    task: Task,
    kind: Step['kind'],
    what: string,
    call: DriverCall | undefined,
    proceed: Step['proceed'],
  ): Step {
    const id = `${task.name}#${task.steps++}`
    const step: Step = { id, task: task.name, kind, what, proceed, ...(call ? { call } : {}) }
    // Whoever crashed waits for ever, but what was already sent may arrive.
    if (this.#abandoned || (task.end?.status === 'crashed' && kind !== 'late')) return step
    this.waiting.push(step)
    this.fresh.add(id)
    return step
  }

  #leave(step: Step): void {
    const at = this.waiting.indexOf(step)
    if (at !== -1) this.waiting.splice(at, 1)
  }

  #crash(name: string): void {
    const task = this.#tasks.get(name)
    if (task) task.end = { status: 'crashed' }
    for (const step of this.waiting.filter((each) => each.task === name && each.kind !== 'late'))
      this.#leave(step)
  }

  #note(call: DriverCall, ending: Ending): void {
    const noted = this.#endings.get(call)
    if (noted) noted.ending = ending
    this.#underWay.delete(call)
    if (this.#underWay.size === 0) this.#landed?.()
  }

  async #settle(): Promise<void> {
    await microtasks()
    while (this.#underWay.size > 0) {
      await new Promise<void>((resolve) => {
        this.#landed = resolve
      })
      await microtasks()
    }
    if (this.#someElsewhere()) {
      await new Promise(setImmediate)
      if (this.#underWay.size > 0) await this.#settle()
    }
    for (const { failure } of this.#tasks.values()) if (failure) throw failure.error
  }

  /** Whether a task neither waits at a step nor has ended. */
  #someElsewhere(): boolean {
    for (const { name, end } of this.#tasks.values()) {
      if (!end && !this.waiting.some((step) => step.task === name)) return true
    }
    return false
  }

  #stuck(): string {
    const names = [...this.#tasks.values()].filter(({ end }) => !end).map(({ name }) => name)
    return `task ${names.join(' and task ')}`
  }
}

/** Resolves when no microtask is left. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    queueMicrotask(() => process.nextTick(resolve))
  })
}
