/** Schedules as people read them. */

import type { Operation, Outcome, Page, Replacement, SweptBatch, Touch } from '../../store/contract.ts'
import { type Key, keyText, type StoredRecord, type Version } from '../../store/record.ts'
import type { DriverCall, Ending } from '../faults.ts'
import type { Choice } from './scheduler.ts'

/** One step that was taken, and how its call ended. */
export interface Taken {
  readonly choice: Choice
  readonly ending: { readonly ending?: Ending }
}

/** One line per step. An answer that arrives at once has no line of its own. */
export function readableSteps(taken: readonly Taken[]): string[] {
  const versions = new Versions()
  const lines: string[] = []
  taken.forEach(({ choice, ending }, i) => {
    const { step, what } = choice
    if (!step) return
    const previous = taken[i - 1]?.choice.step
    if (what === 'go' && step.kind === 'answer' && previous?.kind === 'call' && previous.call === step.call)
      return
    lines.push(`task ${step.task}: ${line(choice, ending.ending, versions)}`)
  })
  return lines
}

function line({ step, what }: Choice, ending: Ending | undefined, versions: Versions): string {
  if (!step) return ''
  const call = step.call ? asked(step.call, versions) : ''
  if (what === 'crash') {
    return `stops for ever ${step.kind === 'answer' ? 'after' : 'before'} ${call === '' ? step.what : call}`
  }
  if (step.kind === 'sleep') return `wakes after ${step.what}`
  if (step.kind === 'pause') return step.what
  if (step.kind === 'answer') return `gets the answer of ${call}`
  if (step.kind === 'late') return `the late request arrives: ${call}`
  if (what === 'go') return `${call} → ${answered(step.call, ending, versions)}`
  return `${call} → ${suffered[what] ?? what}`
}

const suffered: Readonly<Record<string, string>> = {
  loseAnswer: 'carried out, and the answer is lost',
  loseRequest: 'the request is lost',
  late: 'the request is late',
  fail: 'fails',
}

/** Short names for version stamps: v1, v2 … in the order in which they are met. */
class Versions {
  readonly #names = new Map<Version, string>()

  name(version: Version): string {
    const known = this.#names.get(version) ?? `v${this.#names.size + 1}`
    this.#names.set(version, known)
    return known
  }
}

function asked(call: DriverCall, versions: Versions): string {
  const keys = call.keys.map(shownKey).join(', ')
  switch (call.operation) {
    case 'create':
      return `create ${keys} as ${versions.name((call.input as StoredRecord).version)}`
    case 'replace': {
      const { expected, version } = call.input as Replacement
      return `replace ${keys} ${versions.name(expected)} by ${versions.name(version)}`
    }
    case 'touch': {
      const touches = call.input as readonly Touch[]
      return `touch ${touches.map(({ key, version }) => `${shownKey(key)} ${versions.name(version)}`).join(', ')}`
    }
    case 'write': {
      const operations = call.input as readonly Operation[]
      return `write ${operations.map(({ type }, i) => `${type} ${shownKey(call.keys[i]!)}`).join(', ')}`
    }
    case 'list':
    case 'count': {
      const { collection, labels } = call.input as { collection: string; labels: readonly string[] }
      return [call.operation, collection, ...labels].join(' ')
    }
    default:
      return keys === '' ? call.operation : `${call.operation} ${keys}`
  }
}

function answered(call: DriverCall | undefined, ending: Ending | undefined, versions: Versions): string {
  if (!call || !ending) return 'no answer yet'
  if ('error' in ending) return ending.error instanceof Error ? ending.error.name : String(ending.error)
  const { answer } = ending
  switch (call.operation) {
    case 'read': {
      const records = answer as readonly (StoredRecord | undefined)[]
      return records.map((record) => (record ? versions.name(record.version) : 'nothing')).join(', ')
    }
    case 'write':
      return (answer as { outcomes: readonly Outcome[] }).outcomes.join(', ')
    case 'list':
    case 'scan': {
      const { records } = answer as Page
      return records.length === 0 ? 'nothing' : records.map(({ key }) => shownKey(key)).join(', ')
    }
    case 'sweep':
      return `${(answer as SweptBatch).removed.length} removed`
    case 'touch':
      return (answer as readonly Outcome[]).join(', ')
    default:
      return typeof answer === 'string' || typeof answer === 'number' ? String(answer) : 'done'
  }
}

/** Random ids are long; their beginning tells them apart. */
function shownKey(key: Key): string {
  const text = keyText(key)
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}
