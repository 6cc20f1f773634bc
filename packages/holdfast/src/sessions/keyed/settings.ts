/** Settings of sessions by secret id, and what follows from them. */

import { milliseconds } from '../../duration.ts'
import { InvalidOption } from '../../errors.ts'
import type { JsonObject } from '../../records/envelope.ts'
import type { ConflictPolicy } from '../../records/saving.ts'
import { type Instant, never } from '../../store/record.ts'
import type { KeyedOptions } from '../keyed.ts'

/** The settings, checked, in milliseconds. */
export interface KeyedSettings {
  readonly collection: string
  readonly retention: number
  /** How long a session lives at most. */
  readonly longest: Instant
  readonly markBound: number
  readonly conflicts: ConflictPolicy
  readonly userOf: (data: JsonObject) => string | undefined
}

/** @throws {InvalidOption} @throws {InvalidDuration} */
export function keyedSettings(options: KeyedOptions): KeyedSettings {
  const { longest = 'never' } = options
  return {
    collection: options.collection ?? 'sessions',
    retention: milliseconds(options.retention ?? (options.old ? '90d' : '1d'), 'retention'),
    longest: longest === 'never' ? never : positive(milliseconds(longest, 'longest'), 'longest'),
    markBound: positive(milliseconds(options.revocationBound ?? '1s', 'revocationBound'), 'revocationBound'),
    conflicts: options.conflicts ?? 'last',
    userOf: options.userOf ?? (() => undefined),
  }
}

function positive(ms: number, name: string): number {
  if (ms === 0) throw new InvalidOption(`${name} must be longer than 0`)
  return ms
}
