/** Settings of sessions by secret id, and what follows from them. */

import { type Duration, milliseconds } from '../../duration.ts'
import type { JsonObject } from '../../records/envelope.ts'
import type { EventListener } from '../../records/events.ts'
import { checkConflicts, type ConflictPolicy } from '../../records/saving.ts'
import type { Instant } from '../../store/record.ts'
import { namedUser } from '../login.ts'
import { positive, positiveOrNever } from '../options.ts'
import type { OldSessionReader } from './old.ts'

export interface KeyedOptions {
  /** The collection that they are kept in. @default 'sessions' */
  readonly collection?: string
  /**
   * How long a destroyed session is remembered as destroyed. With `old` it must be longer than the sessions live that
   * are read there. @default '1d', with `old` '90d'
   */
  readonly retention?: Duration
  /** Ends a session so long after its creation, however much it is used. @default 'never' */
  readonly longest?: Duration | 'never'
  /** What is done where two requests changed the same key to different values. @default 'last' */
  readonly conflicts?: ConflictPolicy
  /** How old this process's knowledge of "log out everything of this user" may be. @default '1s' */
  readonly revocationBound?: Duration
  /** Names the user of a session, by whom it is then listed and revoked. @default nobody */
  readonly userOf?: (data: JsonObject) => string | undefined
  /** Reads what another library has stored: a session is taken over when it is first asked for. */
  readonly old?: OldSessionReader
  /** Hears what an operator should know of. */
  readonly onEvent?: EventListener
}

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
  const { userOf } = options
  const conflicts = options.conflicts ?? 'last'
  checkConflicts(conflicts)
  return {
    collection: options.collection ?? 'sessions',
    retention: milliseconds(options.retention ?? (options.old ? '90d' : '1d'), 'retention'),
    longest: positiveOrNever(options.longest ?? 'never', 'longest'),
    markBound: positive(options.revocationBound ?? '1s', 'revocationBound'),
    conflicts,
    userOf: (data) => userOf && namedUser(userOf(data)),
  }
}
