/** Calls to a driver: each with its time, its deadline and its place in the figures. */

import type { Clock } from '../clock.ts'
import { AnswerLost, DeadlineExceeded, HoldfastError, OutcomeUnknown, StoreUnavailable } from '../errors.ts'
import { Circuit } from './circuit.ts'
import type { Awaitable, Call } from './contract.ts'
import { Deadlines, Timed } from './deadlines.ts'
import type { Sent } from './settle.ts'
import type { CallOptions, StoreFigures } from './store.ts'

/** How often a request that changes nothing by being repeated is sent. */
const mostSendings = 3
/** Milliseconds before the first repetition; doubled for each further one. */
const firstPause = 10

interface Figures {
  calls: number
  errors: number
  totalMs: number
  maxMs: number
}

/** One call's time and signal. */
export class OneCall implements Call {
  readonly now: number
  readonly #outer: AbortSignal | undefined
  #controller: AbortController | undefined
  #ended: unknown

  constructor(now: number, outer: AbortSignal | undefined) {
    this.now = now
    this.#outer = outer
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#ended !== undefined) this.#controller.abort(this.#ended)
    return this.#outer ? AbortSignal.any([this.#outer, this.#controller.signal]) : this.#controller.signal
  }

  /** Whether nobody waits for it any more. */
  get isOver(): boolean {
    return this.#ended !== undefined
  }

  /** Whether the caller gave up. */
  get isAbandoned(): boolean {
    return this.#outer?.aborted ?? false
  }

  /** Calls back when the caller gives up; the answer undoes that. */
  whenAbandoned(giveUp: (reason: unknown) => void): (() => void) | undefined {
    const outer = this.#outer
    if (!outer) return undefined
    const aborted = (): void => {
      giveUp(outer.reason)
    }
    outer.addEventListener('abort', aborted, { once: true })
    return () => {
      outer.removeEventListener('abort', aborted)
    }
  }

  /** Tells the driver that nobody waits any more. */
  end(reason: unknown): void {
    this.#ended = reason
    this.#controller?.abort(reason)
  }
}

/** One call that is waited for: until its answer, its deadline or its caller's abort, whichever is first. */
class Waiting extends Timed {
  #isOver = false
  readonly #call: OneCall
  readonly #lateness: () => DeadlineExceeded
  readonly #failed: (error: unknown) => void
  readonly #forget: (() => void) | undefined

  constructor(call: OneCall, lateness: () => DeadlineExceeded, failed: (error: unknown) => void) {
    super()
    this.#call = call
    this.#lateness = lateness
    this.#failed = failed
    this.#forget = call.whenAbandoned((reason) => {
      this.#giveUp(reason)
    })
  }

  late(): void {
    this.#giveUp(this.#lateness())
  }

  /** Whether this is the first that ends it. */
  end(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#forget?.()
    return true
  }

  #giveUp(reason: unknown): void {
    this.#call.end(reason)
    this.#failed(reason)
  }
}

export class Calls {
  readonly #clock: Clock
  readonly #deadline: number
  readonly #deadlines: Deadlines
  readonly #figures = new Map<string, Figures>()
  readonly #circuit: Circuit
  #underWay = 0
  #whenIdle: (() => void)[] = []

  /**
   * @param deadline How long one call may take, in milliseconds.
   * @param circuit Whether a store that is down is left alone.
   */
  constructor(clock: Clock, deadline: number, circuit = true) {
    this.#clock = clock
    this.#deadline = deadline
    this.#deadlines = new Deadlines(clock, deadline)
    this.#circuit = new Circuit(clock, circuit)
  }

  /**
   * Asks what changes nothing. A lost answer is asked for again.
   *
   * @throws {DeadlineExceeded}
   * @throws {StoreUnavailable} for every failure that the driver did not name.
   */
  ask<T>(operation: string, options: CallOptions, run: (call: OneCall) => Awaitable<T>): Awaitable<T> {
    options.signal?.throwIfAborted()
    const call = new OneCall(this.#clock.now(), options.signal)
    let answer: Awaitable<T>
    try {
      answer = this.#started(operation, call, run)
    } catch (error) {
      throw asRead(operation, error)
    }
    if (!(answer instanceof Promise)) return answer
    return this.#asked(operation, options, run, answer)
  }

  /** Sends a request that may be repeated until it is answered. @throws {OutcomeUnknown} when it never is. */
  async repeat<T>(operation: string, options: CallOptions, run: (call: OneCall) => Awaitable<T>): Promise<T> {
    this.begin()
    try {
      return await this.#repeated(operation, options, run)
    } finally {
      this.end()
    }
  }

  async #repeated<T>(
    operation: string,
    options: CallOptions,
    run: (call: OneCall) => Awaitable<T>,
  ): Promise<T> {
    const pause = this.pauses(options, this.#clock.elapsed())
    let sent = await this.send(operation, options, run)
    for (let sendings = 1; 'lost' in sent; sendings++) {
      if (sendings === mostSendings || !(await pause(sendings))) throw unknown(operation, sent.lost)
      try {
        sent = await this.send(operation, {}, run)
      } catch (error) {
        // However definite this failure is, it says nothing about the sending before.
        throw unknown(operation, error)
      }
    }
    return sent.answer
  }

  /** Sends a request that must not be repeated. @throws {OutcomeUnknown} when its answer is lost. */
  async once<T>(operation: string, options: CallOptions, run: (call: OneCall) => Awaitable<T>): Promise<T> {
    const sent = await this.send(operation, options, run)
    if ('answer' in sent) return sent.answer
    throw unknown(operation, sent.lost)
  }

  /**
   * Sends a write once. The caller's signal counts only before it is sent: a client that hangs up must not abort a
   * save. Definite failures reject; everything after which it may have happened is `lost`.
   */
  async send<T>(
    operation: string,
    options: CallOptions,
    run: (call: OneCall) => Awaitable<T>,
  ): Promise<Sent<T>> {
    options.signal?.throwIfAborted()
    try {
      return { answer: await this.#started(operation, new OneCall(this.#clock.now(), undefined), run) }
    } catch (error) {
      if (isDefinite(error)) throw error
      return { lost: error }
    }
  }

  /**
   * The pauses between the sendings of one request: growing, and false once the deadline has passed.
   *
   * @param started When the request was first sent, on the clock that never goes back.
   */
  pauses(options: CallOptions, started: number): (sendings: number) => Promise<boolean> {
    const ends = started + this.#deadline
    return async (sendings) => {
      if (options.signal?.aborted) return false
      const pause = firstPause * 2 ** (sendings - 1)
      if (this.#clock.elapsed() + pause >= ends) return false
      await this.#clock.sleep(pause)
      return true
    }
  }

  /** Counts a call whose answer was at hand. */
  count(operation: string): void {
    this.#figuresOf(operation).calls++
  }

  /** Begins what may take several calls, with pauses between them: {@link idle} waits for its {@link end}. */
  begin(): void {
    this.#underWay++
  }

  end(): void {
    this.#underWay--
    if (this.#underWay > 0) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /** Resolves when no call is under way. */
  async idle(): Promise<void> {
    if (this.#underWay === 0) return
    await new Promise<void>((resolve) => {
      this.#whenIdle.push(resolve)
    })
  }

  /** Calls, errors and times per operation, and whether the store is being asked at all. */
  figures(): StoreFigures {
    const operations = [...this.#figures].map(([operation, figures]) => [operation, { ...figures }] as const)
    return { operations: Object.fromEntries(operations), circuit: this.#circuit.figures }
  }

  async #asked<T>(
    operation: string,
    { signal }: CallOptions,
    run: (call: OneCall) => Awaitable<T>,
    first: Promise<T>,
  ): Promise<T> {
    this.begin()
    try {
      try {
        return await first
      } catch (error) {
        // One more try: nothing is changed by asking again, and a cut connection is often back at once.
        if (!(error instanceof AnswerLost)) throw error
        return await this.#started(operation, new OneCall(this.#clock.now(), signal), run)
      }
    } catch (error) {
      throw signal?.aborted ? signal.reason : asRead(operation, error)
    } finally {
      this.end()
    }
  }

  /** Runs one call and counts it, now or when its promise settles. */
  #started<T>(operation: string, call: OneCall, run: (call: OneCall) => Awaitable<T>): Awaitable<T> {
    const tries = this.#circuit.admit()
    const figures = this.#figuresOf(operation)
    const started = this.#clock.elapsed()
    try {
      const answer = run(call)
      if (answer instanceof Promise) return this.#inTime(operation, answer, call, figures, started, tries)
      this.#succeeded(figures, started)
      return answer
    } catch (error) {
      this.#failed(figures, started, call.isAbandoned ? undefined : error, tries)
      throw error
    }
  }

  /**
   * The driver's answer, or `DeadlineExceeded`, or the reason of the caller's abort, whichever is first. Runs at every
   * call, so it is one promise with one pair of callbacks, not a race with a timer of its own.
   */
  #inTime<T>(
    operation: string,
    answer: Promise<T>,
    call: OneCall,
    figures: Figures,
    started: number,
    tries: boolean,
  ): Promise<T> {
    this.begin()
    return new Promise((resolve, reject) => {
      const failed = (error: unknown): void => {
        if (!waiting.end()) return
        this.#deadlines.end(waiting)
        this.#failed(figures, started, call.isAbandoned ? undefined : error, tries)
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the driver or the caller chose it
        reject(error)
        this.end()
      }
      const waiting = new Waiting(call, () => this.#lateness(operation), failed)
      this.#deadlines.start(waiting, started)
      answer.then((value) => {
        if (!waiting.end()) return
        this.#deadlines.end(waiting)
        this.#succeeded(figures, started)
        resolve(value)
        this.end()
      }, failed)
    })
  }

  #lateness(operation: string): DeadlineExceeded {
    return new DeadlineExceeded(`${operation} was not answered within ${this.#deadline} ms`)
  }

  #figuresOf(operation: string): Figures {
    let figures = this.#figures.get(operation)
    if (!figures) {
      figures = { calls: 0, errors: 0, totalMs: 0, maxMs: 0 }
      this.#figures.set(operation, figures)
    }
    return figures
  }

  #succeeded(figures: Figures, started: number): void {
    this.#circuit.answered()
    this.#count(figures, started)
  }

  /** @param error Missing where the caller gave up, which says nothing about the store. */
  #failed(figures: Figures, started: number, error: unknown, tried: boolean): void {
    this.#circuit.failed(error, tried)
    figures.errors++
    this.#count(figures, started)
  }

  #count(figures: Figures, started: number): void {
    const took = this.#clock.elapsed() - started
    figures.calls++
    figures.totalMs += took
    if (took > figures.maxMs) figures.maxMs = took
  }
}

/** Whether a failed write certainly changed nothing. */
function isDefinite(error: unknown): boolean {
  return error instanceof HoldfastError && !(error instanceof AnswerLost || error instanceof DeadlineExceeded)
}

function asRead(operation: string, error: unknown): unknown {
  if (error instanceof HoldfastError && !(error instanceof AnswerLost)) return error
  const why = error instanceof Error ? error.message : String(error)
  return new StoreUnavailable(`${operation} failed: ${why}`, { cause: error })
}

function unknown(operation: string, cause: unknown): OutcomeUnknown {
  return new OutcomeUnknown(`the answer to ${operation} was lost: it may or may not have happened`, { cause })
}
