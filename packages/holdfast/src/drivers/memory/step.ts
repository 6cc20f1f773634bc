/** One operation of a batch on its way: what its key holds, what would come of it, and how much room it takes. */

import type { Operation, Outcome } from '../../store/contract.ts'
import { isLive, type Key } from '../../store/record.ts'
import { bytesOf, type Entry } from './entry.ts'
import type { Demand } from './memory.ts'

export interface Step {
  readonly operation: Operation
  readonly entry: Entry | undefined
  readonly outcome: Outcome
}

/** A burial leaves no more than this, so it may pass a full memory. */
const mostBuriedBytes = 2_048

export function keyOf(operation: Operation): Key {
  return operation.type === 'create' ? operation.record.key : operation.key
}

export function isDone({ outcome }: Step): boolean {
  return outcome === 'done'
}

/** What the operation would answer, given what its key holds. */
export function outcomeOf(operation: Operation, entry: Entry | undefined, now: number): Outcome {
  const live = entry !== undefined && isLive(entry, now)
  if (operation.type === 'create') return live ? 'conflict' : 'done'
  if (!entry || !(live || (operation.type === 'replace' && operation.expired))) return 'gone'
  const expected = operation.type === 'replace' ? operation.expected : operation.version
  return entry.version === expected ? 'done' : 'conflict'
}

/** What the steps add to the memory, all together; what must not fail for want of room is left out. */
export function demandOf(steps: readonly Step[]): Demand {
  let bytes = 0
  let records = 0
  let reserved = true
  for (const { operation, entry } of steps) {
    if (operation.type === 'touch' || isBurial(operation, entry)) continue
    bytes += bytesAfter(operation, entry) - (entry?.bytes ?? 0)
    if (!entry) records++
    if (keyOf(operation).collection !== 'marks') reserved = false
  }
  return { bytes, records, reserved }
}

function isBurial(operation: Operation, entry: Entry | undefined): boolean {
  if (operation.type !== 'replace') return false
  const clears = operation.labels !== undefined && operation.setsExpiry
  return operation.expired || (clears && bytesAfter(operation, entry) <= mostBuriedBytes)
}

function bytesAfter(operation: Exclude<Operation, { type: 'touch' }>, entry: Entry | undefined): number {
  const { key, value, labels } = operation.type === 'create' ? operation.record : operation
  return bytesOf(key.id.length, value.byteLength, labels ?? entry?.labels ?? [])
}
