/**
 * A driver that fails on purpose.
 *
 * Wraps a driver, below the guard, and lets each call suffer what networks and servers do to calls: the answer or
 * the request is lost, the request arrives late, the store fails, an answer never comes, a cache answers with what
 * was true a while ago. Which call suffers what is said by a plan, so that a run can be repeated exactly.
 */

import { AnswerLost, NotSupported, StoreUnavailable } from '../errors.ts'
import type {
  Awaitable,
  Call,
  Capabilities,
  Driver,
  Opened,
  Operation,
  ReadOptions,
} from '../store/contract.ts'
import type { Key, StoredRecord } from '../store/record.ts'
import { seededRandom } from './faults/random.ts'
import { Past } from './faults/past.ts'

/** The calls of a driver that can fail. */
export type OperationName =
  | 'open'
  | 'create'
  | 'replace'
  | 'touch'
  | 'read'
  | 'write'
  | 'list'
  | 'count'
  | 'scan'
  | 'sweep'
  | 'remove'
  | 'watch'

/**
 * What befalls a call:
 * - `loseAnswer`: it is carried out and throws `AnswerLost`;
 * - `loseRequest`: it is not carried out and throws `AnswerLost`;
 * - `late`: throws `AnswerLost`, and is carried out when {@link FaultyDriver.deliverLate} is called;
 * - `fail`: it is not carried out and throws `StoreUnavailable`;
 * - `hang`: it is not carried out and never answers, until its signal aborts;
 * - `hangAfter`: it is carried out and never answers, until its signal aborts;
 * - `stale`: a read that isn't strict, of a driver that declares `cached`, is answered with what was true before the
 *   last change of each record; every other call ignores it;
 * - an error: it is not carried out and throws that.
 */
export type Fault = 'loseAnswer' | 'loseRequest' | 'late' | 'fail' | 'hang' | 'hangAfter' | 'stale' | Error

/** One call of a driver, as a plan sees it. */
export interface DriverCall {
  readonly operation: OperationName
  /** Which call of this operation it is, counted from 1. */
  readonly nth: number
  /** Which call of any operation it is, counted from 1. */
  readonly count: number
  /** The task that made it, under a scheduler. */
  readonly task?: string
  /** The keys that it names; empty for listing, counting, scanning and sweeping, which may meet any. */
  readonly keys: readonly Key[]
  /** Whether it may change something. */
  readonly writes: boolean
  /** The call's first argument. */
  readonly input: unknown
}

/** Says what befalls a call; `undefined`: nothing. */
export type FaultPlan = (call: DriverCall) => Fault | undefined

/** One line of a plan that is written as a list. What is left out matches every call. */
export interface FaultRule {
  readonly operation?: OperationName
  /** Counted per operation if one is named, otherwise over all calls; from 1. */
  readonly nth?: number
  readonly task?: string
  readonly fault: Fault
}

/** How a call ended, for whoever watches it. */
export type Ending = { readonly answer: unknown } | { readonly error: unknown }

/** What stands at both ends of each call: the scheduler is one. */
export interface Gate {
  /** Waits until the call may be carried out, and tells which fault befalls it. */
  before(call: DriverCall): Awaitable<Fault | undefined>
  /** Waits until its answer may arrive. */
  after(call: DriverCall, ending: Ending): Awaitable<unknown>
  /** Takes a late request, to carry it out when it likes. Without it they wait for `deliverLate`. */
  late?(call: DriverCall, carryOut: () => Promise<void>): void
  /** The task that makes the call. */
  task?(): string | undefined
}

/** Settings of {@link withFaults}. */
export interface FaultOptions {
  /** What befalls which call: a function, or a list whose first matching rule counts. @default nothing ever fails */
  readonly plan?: FaultPlan | readonly FaultRule[]
  /** Stands at both ends of each call but `open`, `watch` and `close`. */
  readonly gate?: Gate
  /** Replaces capabilities that the driver declares; what is declared away is refused, as the driver would. */
  readonly declare?: Partial<Capabilities>
}

/** A driver that fails on purpose. */
export interface FaultyDriver extends Driver {
  /** Every call so far, in order. */
  readonly calls: readonly DriverCall[]
  /** Carries out the requests that were `late`, in order, and tells how many. What they answer is lost. */
  deliverLate(): Promise<number>
}

/** Wraps a driver so that its calls fail as planned. */
export function withFaults(driver: Driver, options: FaultOptions = {}): FaultyDriver {
  return new Faulty(driver, options)
}

/** Settings of {@link seededPlan}. */
export interface SeededPlan {
  /** The same seed gives the same faults to the same calls. */
  readonly seed: number
  /** The part of the calls, from 0 to 1, that each fault befalls. */
  readonly rates: Readonly<Partial<Record<Exclude<Fault, Error>, number>>>
  /** Which operations may fail. @default all but `open` and `watch` */
  readonly operations?: readonly OperationName[]
}

/** A plan that draws faults at random, the same ones for the same seed. */
export function seededPlan({ seed, rates, operations }: SeededPlan): FaultPlan {
  const random = seededRandom(seed)
  const faults = Object.entries(rates) as [Exclude<Fault, Error>, number][]
  return ({ operation }) => {
    // One number per call, whether it may fail or not: so a plan for fewer operations hits the same calls.
    let drawn = random()
    if (operations ? !operations.includes(operation) : operation === 'open' || operation === 'watch')
      return undefined
    return faults.find(([, rate]) => (drawn -= rate) < 0)?.[0]
  }
}

function asPlan(plan: FaultOptions['plan']): FaultPlan {
  if (plan === undefined) return () => undefined
  if (typeof plan === 'function') return plan
  return (call) => plan.find((rule) => matches(rule, call))?.fault
}

function matches(rule: FaultRule, call: DriverCall): boolean {
  if (rule.operation !== undefined && rule.operation !== call.operation) return false
  if (rule.task !== undefined && rule.task !== call.task) return false
  return rule.nth === undefined || rule.nth === (rule.operation === undefined ? call.count : call.nth)
}

class Faulty implements FaultyDriver {
  readonly calls: DriverCall[] = []
  readonly #driver: Driver
  readonly #plan: FaultPlan
  readonly #gate: Gate | undefined
  readonly #declare: Partial<Capabilities>
  readonly #counts = new Map<OperationName, number>()
  readonly #past = new Past()
  readonly #late: (() => Promise<void>)[] = []
  #capabilities: Capabilities | undefined

  constructor(driver: Driver, { plan, gate, declare = {} }: FaultOptions) {
    this.#driver = driver
    this.#plan = asPlan(plan)
    this.#gate = gate
    this.#declare = declare
  }

  async open(call: Call): Promise<Opened> {
    const seen = this.#seen('open', [], false, undefined)
    const opened = await this.#suffer(seen, this.#plan(seen), call, () => this.#driver.open(call))
    this.#capabilities = { ...opened.capabilities, ...this.#declare }
    return { ...opened, capabilities: this.#capabilities }
  }

  create(record: StoredRecord, call: Call) {
    return this.#through('create', [record.key], record, call, () => this.#driver.create(record, call))
  }

  replace(replacement: Parameters<Driver['replace']>[0], call: Call) {
    return this.#through('replace', [replacement.key], replacement, call, () =>
      this.#driver.replace(replacement, call),
    )
  }

  touch(touches: Parameters<Driver['touch']>[0], call: Call) {
    const keys = touches.map(({ key }) => key)
    return this.#through('touch', keys, touches, call, () => this.#driver.touch(touches, call))
  }

  read(keys: readonly Key[], options: Required<ReadOptions>, call: Call) {
    return this.#through('read', keys, keys, call, (fault) => {
      const truth = (): ReturnType<Driver['read']> => this.#driver.read(keys, options, call)
      if (fault !== 'stale' || options.strict || !this.#capabilities?.cached) return truth()
      return this.#past.read(keys, options, call.now, truth)
    })
  }

  write(operations: readonly Operation[], call: Call) {
    const keys = operations.map((each) => (each.type === 'create' ? each.record.key : each.key))
    this.#refuseUnless('atomicBatch', this.#capabilities?.atomicBatch)
    return this.#through('write', keys, operations, call, () => this.#driver.write(operations, call))
  }

  list(listing: Parameters<Driver['list']>[0], call: Call) {
    this.#refuseUnless('listing', this.#capabilities?.listing !== 'none')
    return this.#through('list', [], listing, call, () => this.#driver.list(listing, call))
  }

  count(counting: Parameters<Driver['count']>[0], call: Call) {
    this.#refuseUnless('counting', this.#capabilities?.counting)
    return this.#through('count', [], counting, call, () => this.#driver.count(counting, call))
  }

  scan(slice: Parameters<Driver['scan']>[0], call: Call) {
    this.#refuseUnless('scanning', this.#capabilities?.scanning)
    return this.#through('scan', [], slice, call, () => this.#driver.scan(slice, call))
  }

  sweep(sweeping: Parameters<Driver['sweep']>[0], call: Call) {
    return this.#through('sweep', [], sweeping, call, () => this.#driver.sweep(sweeping, call))
  }

  remove(keys: readonly Key[], call: Call) {
    return this.#through('remove', keys, keys, call, () => this.#driver.remove(keys, call))
  }

  async watch(listener: Parameters<Driver['watch']>[0], call: Call) {
    this.#refuseUnless('watch', this.#capabilities?.watch)
    const seen = this.#seen('watch', [], false, undefined)
    return await this.#suffer(seen, this.#plan(seen), call, () => this.#driver.watch(listener, call))
  }

  close(): Awaitable<void> {
    return this.#driver.close()
  }

  async deliverLate(): Promise<number> {
    const waiting = this.#late.splice(0)
    for (const carryOut of waiting) await carryOut()
    return waiting.length
  }

  async #through<T>(
    operation: OperationName,
    keys: readonly Key[],
    input: unknown,
    call: Call,
    carryOut: (fault: Fault | undefined) => Awaitable<T>,
  ): Promise<T> {
    const seen = this.#seen(operation, keys, changing.has(operation), input)
    const fault = (await this.#gate?.before(seen)) ?? this.#plan(seen)
    let answer: T
    try {
      answer = await this.#suffer(seen, fault, call, async () => {
        if (seen.writes && this.#capabilities?.cached) await this.#past.keep(this.#driver, keys, call)
        return await carryOut(fault)
      })
    } catch (error) {
      await this.#gate?.after(seen, { error })
      throw error
    }
    await this.#gate?.after(seen, { answer })
    return answer
  }

  async #suffer<T>(
    seen: DriverCall,
    fault: Fault | undefined,
    call: Call,
    carryOut: () => Awaitable<T>,
  ): Promise<T> {
    switch (fault) {
      case undefined:
      case 'stale':
        return await carryOut()
      case 'fail':
        throw new StoreUnavailable(`${seen.operation} failed, as planned`)
      case 'loseRequest':
        throw new AnswerLost(`the request of ${seen.operation} was lost, as planned`)
      case 'loseAnswer':
        await quietly(carryOut)
        throw new AnswerLost(`the answer of ${seen.operation} was lost, as planned`)
      case 'late':
        this.#postpone(seen, () => quietly(carryOut))
        throw new AnswerLost(`the request of ${seen.operation} is late, as planned`)
      case 'hang':
        return await untilAborted(call.signal)
      case 'hangAfter':
        await quietly(carryOut)
        return await untilAborted(call.signal)
      default:
        throw fault
    }
  }

  #postpone(seen: DriverCall, carryOut: () => Promise<void>): void {
    if (this.#gate?.late) this.#gate.late(seen, carryOut)
    else this.#late.push(carryOut)
  }

  #seen(operation: OperationName, keys: readonly Key[], writes: boolean, input: unknown): DriverCall {
    const task = this.#gate?.task?.()
    const nth = 1 + (this.#counts.get(operation) ?? 0)
    this.#counts.set(operation, nth)
    const seen: DriverCall = {
      operation,
      nth,
      count: 1 + this.calls.length,
      ...(task === undefined ? {} : { task }),
      keys,
      writes,
      input,
    }
    this.calls.push(seen)
    return seen
  }

  #refuseUnless(capability: keyof Capabilities, has: boolean | undefined): void {
    if (has === false) throw new NotSupported(`${capability} was declared away`, capability)
  }
}

const changing: ReadonlySet<OperationName> = new Set([
  'create',
  'replace',
  'touch',
  'write',
  'sweep',
  'remove',
])

/** Carries out a call whose answer nobody will see, be it an error. */
async function quietly(carryOut: () => unknown): Promise<void> {
  try {
    await carryOut()
  } catch {
    // The answer is lost, and with it the error.
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const aborted = (): void => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- whoever aborts chooses the reason
      reject(signal.reason)
    }
    if (signal.aborted) aborted()
    else signal.addEventListener('abort', aborted, { once: true })
  })
}
