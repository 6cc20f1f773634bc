/**
 * A model of how the Redis driver keeps a record and one of its labels, which lie on two servers with clocks of their
 * own: small enough to try every order in which the steps of several processes can happen, every crash and every
 * ticking of the two clocks.
 *
 * Each step is what one script or command does at one server. `Rule` switches each protective line of the protocol
 * off, so that the search can show what it is there for.
 */

/** The protocol: with all lines, or without some of them. */
export interface Rule {
  /** The writer enters the label before the record. */
  readonly indexFirst: boolean
  /** The record's script refuses after the promise's deadline. */
  readonly deadline: boolean
  /** The repairer doubts an entry only after its promise has lapsed. */
  readonly waits: boolean
  /** … and then only reads the record. */
  readonly readsAfter: boolean
  /** … and allows for the difference of the clocks. */
  readonly allowsDrift: boolean
  /** It takes the entry out only if its stamp is unchanged. */
  readonly compares: boolean
  /** Each promise has a stamp of its own. */
  readonly renews: boolean
  /** A deadline never moves back. */
  readonly monotone: boolean
  /** Writers never take an entry out. */
  readonly writersKeep: boolean
}

/** The protocol of the driver. */
export const wholeRule: Rule = {
  indexFirst: true,
  deadline: true,
  waits: true,
  readsAfter: true,
  allowsDrift: true,
  compares: true,
  renews: true,
  monotone: true,
  writersKeep: true,
}

/** What a process does. */
export type Role = 'create' | 'add' | 'drop' | 'remove' | 'repair' | 'touch' | 'prune'

/** Where the search begins, and how much may happen. */
export interface Scene {
  readonly rule: Rule
  readonly roles: readonly Role[]
  /** There is a record already: with or without the label, entered long ago. */
  readonly record?: { readonly labelled: boolean; readonly expiresAt?: number }
  readonly crashes?: number
  readonly ticks?: number
  /** How often the label's clock may go back, as after a fail-over. */
  readonly stepsBack?: number
  /** How far the clocks may be apart. @default 1 */
  readonly drift?: number
}

/** What the search found. */
export interface Search {
  /** How many different schedules there are, from the first step to the last. */
  readonly schedules: bigint
  readonly states: number
  /** A schedule after which a record carries the label and can't be found by it. */
  readonly unfindable?: readonly string[]
}

interface Process {
  readonly role: Role
  readonly at: number
  /** What it has read: a version, a deadline, a stamp. */
  readonly version: number
  readonly deadline: number
  readonly stamp: number
  readonly tries: number
}

interface State {
  readonly processes: readonly Process[]
  readonly record: { readonly version: number; readonly labelled: boolean; readonly expiresAt: number } | null
  readonly entry: { readonly deadline: number; readonly stamp: number; readonly score: number } | null
  /** The clocks of the two servers. */
  readonly labelTime: number
  readonly recordTime: number
  readonly drawn: number
  readonly crashes: number
  readonly ticks: number
  readonly stepsBack: number
}

const over = -1
const promiseWindow = 1
const mostTries = 2

/** Tries all schedules of a scene. */
export function search(scene: Scene): Search {
  const counts = new Map<string, bigint>()
  const path: string[] = []
  let unfindable: readonly string[] | undefined
  const visit = (state: State): bigint => {
    const name = JSON.stringify(state)
    const known = counts.get(name)
    if (known !== undefined) return known
    if (state.processes.every(({ at }) => at === over)) {
      if (state.record?.labelled === true && !state.entry) unfindable ??= [...path]
      counts.set(name, 1n)
      return 1n
    }
    let schedules = 0n
    for (const [what, next] of successors(scene, state)) {
      path.push(what)
      schedules += visit(next)
      path.pop()
    }
    counts.set(name, schedules)
    return schedules
  }
  const schedules = visit(beginning(scene))
  return { schedules, states: counts.size, ...(unfindable ? { unfindable } : {}) }
}

function beginning({ roles, record, crashes = 0, ticks = 0, stepsBack = 0 }: Scene): State {
  const idle = { at: 0, version: 0, deadline: 0, stamp: 0, tries: 0 }
  return {
    processes: roles.map((role) => ({ role, ...idle })),
    record: record ? { version: 0, labelled: record.labelled, expiresAt: record.expiresAt ?? 99 } : null,
    entry: record?.labelled === true ? { deadline: -99, stamp: 0, score: record.expiresAt ?? 99 } : null,
    labelTime: 0,
    recordTime: 0,
    drawn: 0,
    crashes,
    ticks,
    stepsBack,
  }
}

/** All that can happen next. */
function* successors(scene: Scene, state: State): Generator<readonly [string, State]> {
  const { drift = 1 } = scene
  for (const [i, process] of state.processes.entries()) {
    if (process.at === over) continue
    yield [`${process.role} ${i}.${process.at}`, step(scene.rule, drift, state, i, process)]
    if (state.crashes > 0 && process.at > 0) {
      yield [`${process.role} ${i} crashes`, { ...moved(state, i, { at: over }), crashes: state.crashes - 1 }]
    }
  }
  const apart = state.labelTime - state.recordTime
  if (state.ticks > 0) {
    const ticks = state.ticks - 1
    if (apart < drift) yield ['label ticks', { ...state, labelTime: state.labelTime + 1, ticks }]
    if (apart > -drift) yield ['record ticks', { ...state, recordTime: state.recordTime + 1, ticks }]
  }
  if (state.stepsBack > 0 && apart > -drift) {
    yield ['label goes back', { ...state, labelTime: state.labelTime - 1, stepsBack: state.stepsBack - 1 }]
  }
}

function step(rule: Rule, drift: number, state: State, i: number, process: Process): State {
  switch (process.role) {
    case 'create':
      return creating(rule, state, i, process)
    case 'add':
      return adding(rule, state, i, process)
    case 'drop':
      return dropping(rule, state, i, process)
    case 'remove':
      return { ...moved(state, i, { at: over }), record: null }
    case 'repair':
      return repairing(rule, drift, state, i, process)
    case 'touch':
      return touching(state, i, process)
    case 'prune':
      return pruning(state, i)
  }
}

/** Promise, then record; or, without `indexFirst`, record, then entry. */
function creating(rule: Rule, state: State, i: number, process: Process): State {
  const first = rule.indexFirst ? 0 : 1
  if (process.at === first) return promising(rule, state, i, process, rule.indexFirst ? 1 : over)
  if (state.record) return moved(state, i, { at: over })
  if (isLate(rule, state, process)) return again(state, i, process, 0)
  return written(state, i, true, rule.indexFirst ? over : 1)
}

/** Reads, promises, and replaces at the version that it read. */
function adding(rule: Rule, state: State, i: number, process: Process): State {
  if (process.at === 0) return reading(state, i)
  if (process.at === 1) return promising(rule, state, i, process, 2)
  if (state.record?.version !== process.version) return moved(state, i, { at: over })
  if (isLate(rule, state, process)) return again(state, i, process, 1)
  return written(state, i, true, over)
}

/** Reads, and replaces without the label; the broken writer then takes the entry out. */
function dropping(rule: Rule, state: State, i: number, process: Process): State {
  if (process.at === 0) return reading(state, i)
  if (process.at === 2) return { ...moved(state, i, { at: over }), entry: null }
  if (state.record?.version !== process.version) return moved(state, i, { at: over })
  return written(state, i, false, rule.writersKeep ? over : 2)
}

/** Looks at the entry, at the record, and takes the entry out. */
function repairing(rule: Rule, drift: number, state: State, i: number, process: Process): State {
  if (process.at === 2) {
    const same = state.entry && (!rule.compares || state.entry.stamp === process.stamp)
    return { ...moved(state, i, { at: over }), entry: same ? null : state.entry }
  }
  const looksAtRecord = process.at === (rule.readsAfter ? 1 : 0)
  if (looksAtRecord) return moved(state, i, { at: state.record?.labelled === true ? over : process.at + 1 })
  if (!state.entry) return moved(state, i, { at: over })
  const allowed = rule.allowsDrift ? drift : 0
  const lapsed = !rule.waits || state.labelTime > state.entry.deadline + allowed
  return moved(state, i, { at: lapsed ? process.at + 1 : over, stamp: state.entry.stamp })
}

/** The broken toucher: the record's expiry, then the entry's score. */
function touching(state: State, i: number, process: Process): State {
  const expiresAt = 9
  if (process.at === 0)
    return { ...moved(state, i, { at: 1 }), record: state.record && { ...state.record, expiresAt } }
  return { ...moved(state, i, { at: over }), entry: state.entry && { ...state.entry, score: expiresAt } }
}

/** The broken pruner: takes out what has expired by its score. */
function pruning(state: State, i: number): State {
  const expired = state.entry && state.entry.score <= state.labelTime
  return { ...moved(state, i, { at: over }), entry: expired ? null : state.entry }
}

function reading(state: State, i: number): State {
  return moved(state, i, state.record ? { at: 1, version: state.record.version } : { at: over })
}

function promising(rule: Rule, state: State, i: number, { tries }: Process, next: number): State {
  const wanted = state.labelTime + promiseWindow
  const deadline = rule.monotone ? Math.max(wanted, state.entry?.deadline ?? wanted) : wanted
  const stamp = rule.renews || !state.entry ? state.drawn + 1 : state.entry.stamp
  const entry = { deadline, stamp, score: 99 }
  return { ...moved(state, i, { at: next, deadline, tries: tries + 1 }), entry, drawn: state.drawn + 1 }
}

function isLate(rule: Rule, state: State, { deadline }: Process): boolean {
  return rule.indexFirst && rule.deadline && state.recordTime > deadline
}

function again(state: State, i: number, { tries }: Process, at: number): State {
  return moved(state, i, { at: tries < mostTries ? at : over })
}

function written(state: State, i: number, labelled: boolean, next: number): State {
  const version = state.drawn + 1
  const expiresAt = state.record?.expiresAt ?? 99
  return { ...moved(state, i, { at: next }), record: { version, labelled, expiresAt }, drawn: version }
}

/** What a process remembers after its end would only multiply the states. */
function moved(state: State, i: number, change: Partial<Process>): State {
  const forgotten = { version: 0, deadline: 0, stamp: 0, tries: 0 }
  const processes = state.processes.map((process, at) => {
    if (at !== i) return process
    const next = { ...process, ...change }
    return next.at === over ? { ...next, ...forgotten } : next
  })
  return { ...state, processes }
}
