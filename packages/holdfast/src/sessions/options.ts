/** Settings of sessions, and what follows from them. */

import { checkPrefix } from '../credentials/credential.ts'
import { type Duration, milliseconds } from '../duration.ts'
import { InvalidOption } from '../errors.ts'
import type { EventListener } from '../records/events.ts'
import type { ConflictPolicy } from '../records/saving.ts'
import { type Instant, never } from '../store/record.ts'

export interface SessionsOptions {
  /** Ends a session that was not used for so long. At least so long: up to `touchEvery` more. @default '30m' */
  readonly idle?: Duration
  /** Ends a session so long after its login (or start), however much it is used. @default '12h' */
  readonly absolute?: Duration | 'never'
  /** A session in use is prolonged at most once per this fraction of `idle`: 0 to 1. @default 0.1 */
  readonly touchEvery?: number
  /** How long the old secret is accepted after the new one was first presented. Not after a login. @default '1m' */
  readonly grace?: Duration
  /** When an old secret ends whose successor was never presented. @default '1d' */
  readonly graceCap?: Duration
  /** How long a destroyed session is remembered as destroyed. @default '1d' */
  readonly retention?: Duration
  /** How old this process's knowledge of "log out everything of this user" may be. @default '1s' */
  readonly revocationBound?: Duration
  /** What is done where two requests changed the same key to different values. @default 'fail' */
  readonly conflicts?: ConflictPolicy
  /** What credentials begin with: `[A-Za-z0-9_]{1,24}`. @default 'hfs_' */
  readonly prefix?: string
  /** The collection that they are kept in. @default 'sessions' */
  readonly collection?: string
  /** Hears what an operator should know of. */
  readonly onEvent?: EventListener
}

/** The settings, checked, in milliseconds. */
export interface SessionSettings {
  readonly idle: number
  readonly absolute: Instant
  readonly touchAfter: number
  readonly grace: number
  readonly graceCap: number
  readonly retention: number
  readonly markBound: number
  readonly conflicts: ConflictPolicy
  readonly prefix: string
  readonly collection: string
  readonly onEvent: EventListener
}

/** @throws {InvalidOption} @throws {InvalidDuration} */
export function sessionSettings(options: SessionsOptions): SessionSettings {
  const idle = positive(options.idle ?? '30m', 'idle')
  const absolute = options.absolute === 'never' ? never : positive(options.absolute ?? '12h', 'absolute')
  const touchEvery = options.touchEvery ?? 0.1
  if (!(touchEvery >= 0 && touchEvery <= 1)) {
    throw new InvalidOption(`touchEvery is a fraction from 0 to 1, not ${String(touchEvery)}`)
  }
  const prefix = options.prefix ?? 'hfs_'
  checkPrefix(prefix)
  return {
    idle,
    absolute,
    touchAfter: Math.floor(idle * touchEvery),
    grace: milliseconds(options.grace ?? '1m', 'grace'),
    graceCap: milliseconds(options.graceCap ?? '1d', 'graceCap'),
    retention: milliseconds(options.retention ?? '1d', 'retention'),
    markBound: positive(options.revocationBound ?? '1s', 'revocationBound'),
    conflicts: options.conflicts ?? 'fail',
    prefix,
    collection: options.collection ?? 'sessions',
    onEvent: options.onEvent ?? (() => undefined),
  }
}

/** When a session ends that is used now. */
export function expiryOf({ idle, touchAfter }: SessionSettings, absolute: Instant, now: number): Instant {
  // Prolonging happens at most once per `touchAfter`, so each prolongation reaches that much further.
  return Math.min(now + idle + touchAfter, absolute)
}

/** The end that nothing prolongs, for who logs in now. */
export function absoluteEnd({ absolute }: SessionSettings, now: number): Instant {
  return absolute === never ? never : now + absolute
}

function positive(duration: Duration, name: string): number {
  const ms = milliseconds(duration, name)
  if (ms === 0) throw new InvalidOption(`${name} must be longer than 0`)
  return ms
}
