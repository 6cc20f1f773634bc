/**
 * Exhaustive search over the schedules of concurrent tasks.
 *
 * Races are found by luck in a test that merely runs things at once. Here a scheduler decides, at every call to the
 * driver, whose call is carried out and whose answer arrives next, and the search tries every such order by running
 * the scenario again from its beginning, each time with other choices (depth first, nothing is remembered but the
 * choices). It can also let a task stop for ever at any point, as a crash does, and lose answers and requests.
 *
 * What is under control: the calls of a driver that the scheduler wraps, and sleeps on its clock. Between two of
 * these points a task must need nothing but microtasks and other tasks: no timers, no sockets. The wrapped driver
 * itself may take as long as it likes; the scheduler waits for it.
 */

import { InvalidOption } from '../errors.ts'
import type { Awaitable } from '../store/contract.ts'
import { choicesOf, type Rules } from './schedule/choices.ts'
import { RandomWalk, Replay, Search, type Strategy } from './schedule/search.ts'
import {
  type Choice,
  type ScheduledFault,
  Scheduler,
  type TaskEnd,
  type World,
} from './schedule/scheduler.ts'
import { readableSteps, type Taken } from './schedule/trace.ts'

export type { ScheduledFault, TaskEnd, World } from './schedule/scheduler.ts'

/** What is run once per schedule. */
export interface Scenario {
  /** What happens at once, by name. A task may throw one of our coded errors; any other error fails the schedule. */
  readonly tasks: Readonly<Record<string, () => Promise<unknown>>>
  /** Throws when what the tasks left behind is wrong. */
  check(ends: Readonly<Record<string, TaskEnd>>): Awaitable<void>
  /** Lets go of what was made, whatever happened. */
  dispose?(): Awaitable<void>
}

/** Builds a scenario from scratch. Must do the same each time, but for random ids and secrets. */
export type ScenarioMaker = (world: World) => Awaitable<Scenario>

/** Settings of {@link exploreSchedules}. */
export interface ExploreOptions {
  /**
   * `none`: every order. `independent`: of orders that differ only in whose step comes first of two that cannot
   * influence each other (calls on different keys, two reads, the arrival of an answer), one is enough. Sound only
   * if tasks share nothing but the drivers and the clock, and `check` looks at the final state and at what each
   * task returned, not at the order in which tasks did things. @default 'none'
   */
  readonly reduction?: 'none' | 'independent'
  /**
   * At most so many times per schedule another task goes on although the last one could. Most races need two.
   * Not with `reduction`. @default no bound
   */
  readonly preemptions?: number
  /** At most so many tasks per schedule stop for ever at a call, before or after it is carried out. @default 0 */
  readonly crashes?: number
  /** At most so many faults of each kind per schedule, tried at every call that they can befall. @default none */
  readonly faults?: Readonly<Partial<Record<ScheduledFault, number>>>
  /** The search ends after so many schedules, and says so in what it answers. @default 1,000,000 */
  readonly maxSchedules?: number
  /** A schedule with more steps is given up, and counted as `cut`. @default 1,000 */
  readonly maxSteps?: number
  /** Instead of all schedules, so many that are drawn at random. */
  readonly random?: { readonly schedules: number; readonly seed: number }
}

/** What a search did. */
export interface Exploration {
  /** How many schedules were run to their end and checked. */
  readonly schedules: number
  /** How many were left halfway because they only repeat one that was run. */
  readonly pruned: number
  /** How many were given up for their length. */
  readonly cut: number
  /** Whether every schedule was run that the options allow. */
  readonly complete: boolean
  /** The steps of the longest schedule. */
  readonly longest: number
  /** All this in a sentence, with the bounds. */
  readonly summary: string
}

/** A schedule after which the check failed. */
export class ScheduleFailure extends Error {
  /** What happened, one line per step. */
  readonly steps: readonly string[]
  /** For {@link replaySchedule}. */
  readonly choices: readonly string[]

  constructor(message: string, steps: readonly string[], choices: readonly string[], cause: unknown) {
    super(message, { cause })
    this.name = 'ScheduleFailure'
    this.steps = steps
    this.choices = choices
  }
}

/**
 * Runs a scenario under every schedule.
 *
 * @throws {ScheduleFailure} for the first schedule that fails, or one with fewer switches between tasks if there is.
 */
export async function exploreSchedules(
  make: ScenarioMaker,
  options: ExploreOptions = {},
): Promise<Exploration> {
  const settings = settled(options)
  const found = await search(make, settings)
  if (!found.failure) return found.exploration
  throw failureOf(await simplest(make, settings, found.failure), found.exploration.schedules)
}

/** Runs a scenario under one schedule, as a {@link ScheduleFailure} names it. @throws {ScheduleFailure} */
export async function replaySchedule(make: ScenarioMaker, choices: readonly string[]): Promise<void> {
  const run = await runOnce(make, new Replay(choices), { ...settled({}), replayed: true })
  if (run.end === 'failed') throw failureOf(run, 1)
}

interface Settings extends Rules {
  readonly maxSchedules: number
  readonly maxSteps: number
  readonly random: ExploreOptions['random']
}

function settled(options: ExploreOptions): Settings {
  const { reduction = 'none', preemptions, crashes = 0, faults = {}, random } = options
  if (reduction !== 'none' && preemptions !== undefined) {
    throw new InvalidOption(
      'a bound on preemptions does not go together with a reduction: it would hide schedules',
    )
  }
  return {
    reduced: reduction === 'independent',
    preemptions: preemptions ?? Infinity,
    crashes,
    faults,
    replayed: false,
    maxSchedules: options.maxSchedules ?? 1_000_000,
    maxSteps: options.maxSteps ?? 1_000,
    random,
  }
}

interface Run {
  readonly end: 'passed' | 'failed' | 'pruned' | 'cut'
  readonly taken: readonly Taken[]
  readonly error?: unknown
}

/** So many schedules are run before the event loop gets a turn: for signals, timeouts and garbage. */
const breath = 64

async function search(
  make: ScenarioMaker,
  settings: Settings,
): Promise<{ exploration: Exploration; failure?: Run }> {
  const strategy: Strategy = settings.random ? new RandomWalk(settings.random) : new Search(settings.reduced)
  const counts = { passed: 0, failed: 0, pruned: 0, cut: 0, longest: 0 }
  let failure: Run | undefined
  let more = true
  for (let runs = 1; more && counts.passed < settings.maxSchedules; runs++) {
    const run = await runOnce(make, strategy, settings)
    counts[run.end]++
    counts.longest = Math.max(counts.longest, run.taken.length)
    if (run.end === 'failed') {
      failure = run
      break
    }
    more = strategy.next()
    if (runs % breath === 0) await new Promise(setImmediate)
  }
  const exploration = explorationOf(counts, settings, !more && !failure)
  return failure ? { exploration, failure } : { exploration }
}

/** A failure is read by people, so the same one is looked for with as few switches as possible. */
async function simplest(make: ScenarioMaker, settings: Settings, first: Run): Promise<Run> {
  for (let preemptions = 0; preemptions <= 3; preemptions++) {
    const bounded = { ...settings, reduced: false, random: undefined, preemptions, maxSchedules: 5_000 }
    if (preemptions > settings.preemptions) break
    const { failure } = await search(make, bounded)
    if (failure) return failure
  }
  return first
}

async function runOnce(make: ScenarioMaker, strategy: Strategy, settings: Settings): Promise<Run> {
  const scheduler = new Scheduler()
  const taken: Taken[] = []
  const scenario = await make(scheduler)
  strategy.begin()
  try {
    scheduler.start(scenario.tasks)
    const end = await runTasks(scheduler, strategy, settings, taken)
    if (end !== 'passed') return { end, taken }
    await scenario.check(scheduler.ends())
    return { end, taken }
  } catch (error) {
    return { end: 'failed', taken, error }
  } finally {
    scheduler.abandon()
    await scenario.dispose?.()
  }
}

async function runTasks(
  scheduler: Scheduler,
  strategy: Strategy,
  settings: Settings,
  taken: Taken[],
): Promise<'passed' | 'pruned' | 'cut'> {
  const choices: Choice[] = []
  for (;;) {
    await scheduler.quiet()
    const options = choicesOf(scheduler, settings, choices)
    if (options.length === 0) return 'passed'
    if (choices.length === settings.maxSteps) return 'cut'
    const choice = strategy.choose(options)
    if (!choice) return 'pruned'
    choices.push(choice)
    if (choice.what === 'finish') return 'passed'
    taken.push({ choice, ending: scheduler.take(choice) })
  }
}

function explorationOf(
  counts: { passed: number; failed: number; pruned: number; cut: number; longest: number },
  settings: Settings,
  ended: boolean,
): Exploration {
  const schedules = counts.passed + counts.failed
  const complete = ended && counts.cut === 0 && !settings.random
  const bounds = [
    settings.random
      ? `drawn at random from seed ${settings.random.seed}`
      : complete
        ? 'all of them'
        : 'not all of them',
    settings.preemptions < Infinity ? `at most ${settings.preemptions} preemptions` : '',
    settings.crashes > 0 ? `at most ${settings.crashes} crashes` : '',
    ...Object.entries(settings.faults).map(([fault, most]) => `at most ${most} ${fault}`),
    settings.reduced ? `${counts.pruned} pruned as equal to one of them` : '',
    counts.cut > 0 ? `${counts.cut} cut after ${settings.maxSteps} steps` : '',
  ]
  const summary = `${schedules} schedules, ${bounds.filter((each) => each !== '').join(', ')}`
  return { schedules, pruned: counts.pruned, cut: counts.cut, complete, longest: counts.longest, summary }
}

function failureOf(run: Run, schedules: number): ScheduleFailure {
  const steps = readableSteps(run.taken)
  const choices = run.taken.map(({ choice }) => choice.id)
  const why = run.error instanceof Error ? run.error.message : String(run.error)
  const lines = steps.map((step, i) => `${String(i + 1).padStart(3)}. ${step}`)
  return new ScheduleFailure(
    `found in schedule ${schedules}: ${why}\n${lines.join('\n')}\nreplay: ${JSON.stringify(choices)}`,
    steps,
    choices,
    run.error,
  )
}
