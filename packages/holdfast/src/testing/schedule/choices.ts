/** What a scheduler can do next, in the order in which a search tries it. */

import type { DriverCall } from '../faults.ts'
import type { Choice, ScheduledFault, Scheduler, Step } from './scheduler.ts'

/** What a search may do. */
export interface Rules {
  readonly reduced: boolean
  readonly preemptions: number
  readonly crashes: number
  readonly faults: Readonly<Partial<Record<ScheduledFault, number>>>
  /** A schedule is repeated: everything is allowed, for the schedule says what was done. */
  readonly replayed: boolean
}

const allFaults: readonly ScheduledFault[] = ['loseAnswer', 'loseRequest', 'late', 'fail']

/** Everything that can be done next; nothing when the run is over. */
export function choicesOf(scheduler: Scheduler, rules: Rules, before: readonly Choice[]): Choice[] {
  const steps = candidates(scheduler, rules, before)
  const choices = scheduler.ended && scheduler.waiting.length > 0 ? [finish] : []
  const preempted = before.filter(({ preempts }) => preempts).length
  const current = before.findLast(({ step, what }) => step && step.kind !== 'late' && what !== 'crash')?.step
    ?.task
  for (const step of steps) {
    const preempts = interrupts(step, current, scheduler.waiting)
    if (preempts && preempted >= rules.preemptions) continue
    choices.push({ id: step.id, step, what: 'go', preempts })
  }
  for (const step of steps) {
    const preempts = interrupts(step, current, scheduler.waiting)
    if (preempts && preempted >= rules.preemptions) continue
    for (const what of faultsFor(step, rules, before)) {
      choices.push({ id: `${step.id} ${what}`, step, what, preempts })
    }
  }
  for (const step of steps) {
    if (mayCrash(scheduler, step, rules, before)) {
      choices.push({ id: `${step.id} crash`, step, what: 'crash', preempts: false })
    }
  }
  return choices
}

const finish: Choice = { id: 'finish', what: 'finish', preempts: false }

/** The steps to choose from: the last task's first, sleepers last. */
function candidates({ waiting }: Scheduler, rules: Rules, before: readonly Choice[]): readonly Step[] {
  if (rules.reduced) {
    // What no other task can notice need not be tried in any other order.
    const unnoticed = waiting.find(({ kind }) => kind === 'answer' || kind === 'pause')
    if (unnoticed) return [unnoticed]
  }
  if (waiting.length < 2) return waiting
  const current = before.at(-1)?.step?.task
  const rank = ({ task, kind }: Step): number => (kind === 'sleep' ? 2 : task === current ? 0 : 1)
  return [...waiting].sort((a, b) => rank(a) - rank(b))
}

function interrupts(step: Step, current: string | undefined, waiting: readonly Step[]): boolean {
  if (step.kind === 'late') return false
  if (step.kind === 'sleep') return waiting.some(({ kind }) => kind !== 'sleep' && kind !== 'late')
  if (step.task === current) return false
  return waiting.some(({ task, kind }) => task === current && kind !== 'sleep' && kind !== 'late')
}

function faultsFor({ kind, call }: Step, rules: Rules, before: readonly Choice[]): readonly ScheduledFault[] {
  if (kind !== 'call' || !call) return []
  if (rules.replayed) return allFaults
  return allFaults.filter((fault) => {
    const most = rules.faults[fault] ?? 0
    if (most === 0 || !canBefall(fault, call)) return false
    return before.filter(({ what }) => what === fault).length < most
  })
}

/** A read changes nothing, so it makes no difference to it whether its request or its answer is lost. */
function canBefall(fault: ScheduledFault, { writes }: DriverCall): boolean {
  return writes || fault === 'fail' || fault === 'loseAnswer'
}

/**
 * A task that stops at a step does nothing more, so it makes no difference when it stops: only what has just arrived
 * may. A reduction finds the equal ones by itself, and needs them offered everywhere.
 */
function mayCrash({ fresh }: Scheduler, step: Step, rules: Rules, before: readonly Choice[]): boolean {
  if (step.kind === 'late') return false
  if (rules.replayed) return true
  if (rules.crashes === 0 || (!rules.reduced && !fresh.has(step.id))) return false
  return before.filter(({ what }) => what === 'crash').length < rules.crashes
}

/** Whether it makes no difference which of two things is done first, and neither prevents the other. */
export function independent(a: Choice, b: Choice): boolean {
  if (!a.step || !b.step || a.step.task === b.step.task) return false
  // They share a budget: the one may use up what the other needs.
  if (a.what !== 'go' && b.what !== 'go') return false
  if (a.what === 'crash' || b.what === 'crash') return true
  return unnoticed(a.step) || unnoticed(b.step) || apart(a.step, b.step)
}

function unnoticed({ kind }: Step): boolean {
  return kind === 'answer' || kind === 'pause'
}

function apart(a: Step, b: Step): boolean {
  // A sleep moves the clock, which everybody sees.
  if (!a.call || !b.call) return false
  if (!a.call.writes && !b.call.writes) return true
  const [x, y] = [a.call.keys, b.call.keys]
  // No keys: it may meet any record.
  if (x.length === 0 || y.length === 0) return false
  return !x.some((key) => y.some((other) => other.id === key.id && other.collection === key.collection))
}
