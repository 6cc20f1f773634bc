/** Writes as a driver gets them: checked, complete, and with a version drawn. */

import type { Operation, Touch } from './contract.ts'
import { checkInstant, checkKey, checkValue, orderedLabels, type StoredRecord } from './record.ts'
import { nextVersion } from './stamp.ts'
import type { BatchItem, Draft, Prolongation, Rewrite } from './store.ts'

/** @param longest The longest value, in bytes. @throws {InvalidKey} @throws {ValueTooLarge} @throws {InvalidExpiry} */
export function stamped(draft: Draft, now: number, longest: number): StoredRecord {
  const { key, value, expiresAt, touchedAt = now } = draft
  checkWrite(draft, touchedAt, longest)
  const labels = orderedLabels(draft.labels ?? [])
  return { key, version: nextVersion(now), labels, value, expiresAt, touchedAt }
}

/** @throws As `stamped` does. */
export function replacementOf(
  rewrite: Rewrite,
  now: number,
  longest: number,
): Extract<Operation, { type: 'replace' }> {
  const { key, expected, value, expiresAt, touchedAt = now } = rewrite
  checkWrite(rewrite, touchedAt, longest)
  return {
    type: 'replace',
    key,
    expected,
    version: nextVersion(now, expected),
    value,
    expiresAt,
    touchedAt,
    setsExpiry: rewrite.setsExpiry ?? false,
    expired: rewrite.expired ?? false,
    ...(rewrite.labels === undefined ? {} : { labels: orderedLabels(rewrite.labels) }),
  }
}

/** @throws {InvalidKey} @throws {InvalidExpiry} */
export function touched({ key, version, expiresAt, touchedAt }: Prolongation, now: number): Touch {
  const at = touchedAt ?? now
  checkKey(key)
  checkInstant(expiresAt, 'expiresAt')
  checkInstant(at, 'touchedAt')
  return { key, version, expiresAt, touchedAt: at }
}

/** @throws As `stamped` does. */
export function operationOf(item: BatchItem, now: number, longest: number): Operation {
  if (item.type === 'create') return { type: 'create', record: stamped(item, now, longest) }
  if (item.type === 'replace') return replacementOf(item, now, longest)
  return { type: 'touch', ...touched(item, now) }
}

function checkWrite({ key, value, expiresAt }: Draft | Rewrite, touchedAt: number, longest: number): void {
  checkKey(key)
  checkValue(key, value, longest)
  checkInstant(expiresAt, 'expiresAt')
  checkInstant(touchedAt, 'touchedAt')
}
