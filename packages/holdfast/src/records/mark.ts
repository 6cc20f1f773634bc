/** One mark: what it strikes. `marks.ts` keeps them. */

import { carries, type Label, type StoredRecord } from '../store/record.ts'
import type { Living } from './envelope.ts'

/** One mark. */
export interface Mark {
  /** What it strikes: records that carry all of them. The one that governs it first, the others in byte order. */
  readonly labels: readonly Label[]
  /** Records with a smaller epoch for `labels[0]` are dead. */
  readonly epoch: number
  /** Ids that it spares: "all my other devices". */
  readonly except?: readonly string[]
}

/** The collection that marks are kept in. */
export const marksCollection = 'marks'

/** What an entry shows to be judged by marks. */
export interface Marked {
  readonly record: Pick<StoredRecord, 'key' | 'labels'>
  readonly envelope: Pick<Living, 'epochs'>
}

/** Whether any of the marks strikes the record. */
export function strikes(marks: readonly (readonly Mark[])[], { record, envelope }: Marked): boolean {
  const { key, labels } = record
  const { id } = key
  const { epochs } = envelope
  return marks.some((ofOne) =>
    ofOne.some(
      (mark) =>
        mark.epoch > (epochs[mark.labels[0]!] ?? 0) &&
        carries(labels, mark.labels) &&
        !mark.except?.includes(id),
    ),
  )
}

/** Whether a later mark strikes all that an earlier one does: whom it spares, that one spared too. */
export function isCovered(earlier: Mark, later: Mark): boolean {
  const spared = later.except ?? []
  return (
    sameLabels(earlier.labels, later.labels) &&
    spared.every((each) => earlier.except?.includes(each) === true)
  )
}

/** The greatest epoch of the marks; 0 where there are none. */
export function highest(marks: readonly Mark[]): number {
  return marks.reduce((most, { epoch }) => Math.max(most, epoch), 0)
}

function sameLabels(a: readonly Label[], b: readonly Label[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i])
}

/** Whether that is a mark which came out of the store. */
export function isMark(stored: unknown): stored is Mark {
  if (typeof stored !== 'object' || stored === null) return false
  const { labels, epoch, except } = stored as Record<string, unknown>
  return (
    Array.isArray(labels) &&
    labels.length > 0 &&
    labels.every((each) => typeof each === 'string') &&
    typeof epoch === 'number' &&
    (except === undefined || Array.isArray(except))
  )
}
