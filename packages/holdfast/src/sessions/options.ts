/** Settings of sessions, and what follows from them. */

import { checkPrefix } from '../credentials/credential.ts'
import { type Duration, milliseconds } from '../duration.ts'
import { InvalidOption } from '../errors.ts'
import type { JsonObject } from '../records/envelope.ts'
import type { EventListener } from '../records/events.ts'
import { checkConflicts, type ConflictPolicy } from '../records/saving.ts'
import { type Instant, never } from '../store/record.ts'
import { type BindingOptions, checkBinding } from './binding.ts'
import { checkSchema, type SessionSchema } from './schema.ts'

export type { EventListener, RecordEvent } from '../records/events.ts'
export type { ConflictPolicy } from '../records/saving.ts'

/** How many sessions one user may have. */
export interface SessionLimit {
  /** At least 1. */
  readonly perUser: number
  readonly over: 'oldest' | 'refuse'
}

/** @typeParam Data What a session holds. */
export interface SessionsOptions<Data extends object = JsonObject> {
  /** Ends a session that was not used for so long. At least so long: up to `touchEvery` more. @default '30m' */
  readonly idle?: Duration
  /** Ends a session so long after its login (or start), however much it is used. @default '12h' */
  readonly absolute?: Duration | 'never'
  /** A session in use is prolonged at most once per this fraction of `idle`: 0 to 1. @default 0.1 */
  readonly touchEvery?: number
  /** Timeouts of who asked to be remembered: `login(…, { remember: true })`. @default 14 and 90 days */
  readonly remember?: { readonly idle?: Duration; readonly absolute?: Duration | 'never' }
  /** Cookies end when the browser closes, where a session says nothing else. @default false */
  readonly browserClose?: boolean
  /** Gives a session in use a new secret this often. Its absolute timeout stays. @default 'never' */
  readonly rotateEvery?: Duration | 'never'
  /** How long the old secret is accepted after the new one was first presented. Not after a login. @default '1m' */
  readonly grace?: Duration
  /** When an old secret ends whose successor was never presented. @default '1d' */
  readonly graceCap?: Duration
  /** How long a destroyed session is remembered as destroyed. @default '1d' */
  readonly retention?: Duration
  /** How old this process's knowledge of "log out everything of this user" may be. @default '1s' */
  readonly revocationBound?: Duration
  /** What is done where two requests changed the same key to different values. @default 'fail' */
  readonly conflicts?: ConflictPolicy<Data>
  /**
   * Checks the data before it is stored, and makes the present form of what was stored before: a schema of any library
   * that speaks Standard Schema. Its output must be JSON, and must pass it again. Stored data that it refuses is not
   * shown, an event tells of it, and the first change replaces it.
   */
  readonly schema?: SessionSchema<Data>
  /** What a session is bound to, and what is done when it is used from elsewhere. @default nothing */
  readonly binding?: BindingOptions
  /** How long address and user agent of a session are kept for "your sessions" pages. @default not at all */
  readonly devices?: Duration
  /**
   * How many sessions one user may have, and what a login does that is one too many: the one whose login is oldest
   * ends, or the login is refused. @default any number
   */
  readonly limit?: SessionLimit
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
  readonly touchEvery: number
  /** Milliseconds in which a session in use needs no prolonging. */
  readonly touchAfter: number
  readonly remember: { readonly idle: number; readonly absolute: Instant }
  readonly browserClose: boolean
  readonly rotateEvery: Instant
  readonly grace: number
  readonly graceCap: number
  readonly retention: number
  readonly markBound: number
  readonly conflicts: ConflictPolicy
  readonly schema: SessionSchema | undefined
  readonly binding: BindingOptions
  /** Milliseconds; 0: they are not kept. */
  readonly devices: number
  readonly limit: SessionLimit | undefined
  readonly prefix: string
  readonly collection: string
  readonly onEvent: EventListener
}

/** @throws {InvalidOption} @throws {InvalidDuration} */
export function sessionSettings<Data extends object>(options: SessionsOptions<Data>): SessionSettings {
  const idle = positive(options.idle ?? '30m', 'idle')
  const { remember = {}, limit } = options
  const absolute = positiveOrNever(options.absolute ?? '12h', 'absolute')
  const touchEvery = options.touchEvery ?? 0.1
  if (!(touchEvery >= 0 && touchEvery <= 1)) {
    throw new InvalidOption(`touchEvery is a fraction from 0 to 1, not ${String(touchEvery)}`)
  }
  const prefix = options.prefix ?? 'hfs_'
  const conflicts = (options.conflicts ?? 'fail') as ConflictPolicy
  checkPrefix(prefix)
  checkConflicts(conflicts)
  if (limit) checkLimit(limit)
  checkBinding(options.binding ?? {})
  if (options.schema) checkSchema(options.schema)
  return {
    idle,
    absolute,
    remember: {
      idle: positive(remember.idle ?? '14d', 'remember.idle'),
      absolute: positiveOrNever(remember.absolute ?? '90d', 'remember.absolute'),
    },
    browserClose: options.browserClose ?? false,
    rotateEvery: positiveOrNever(options.rotateEvery ?? 'never', 'rotateEvery'),
    schema: options.schema,
    binding: options.binding ?? {},
    devices: milliseconds(options.devices ?? 0, 'devices'),
    limit,
    touchEvery,
    touchAfter: Math.floor(idle * touchEvery),
    grace: milliseconds(options.grace ?? '1m', 'grace'),
    graceCap: milliseconds(options.graceCap ?? '1d', 'graceCap'),
    retention: milliseconds(options.retention ?? '1d', 'retention'),
    markBound: positive(options.revocationBound ?? '1s', 'revocationBound'),
    conflicts,
    prefix,
    collection: options.collection ?? 'sessions',
    onEvent: options.onEvent ?? (() => undefined),
  }
}

/** How long any session can live. */
export function longestLife({ absolute, remember }: SessionSettings): Instant {
  return Math.max(absolute, remember.absolute)
}

/** @throws {InvalidOption} */
function checkLimit({ perUser, over }: SessionLimit): void {
  if (!(Number.isInteger(perUser) && perUser > 0)) {
    throw new InvalidOption(`limit.perUser is a whole number from 1 on, not ${String(perUser)}`)
  }
  if (!['oldest', 'refuse'].includes(over)) {
    throw new InvalidOption(`limit.over is 'oldest' or 'refuse', not ${JSON.stringify(over)}`)
  }
}

/** @throws {InvalidOption} @throws {InvalidDuration} */
export function positiveOrNever(duration: Duration | 'never', name: string): Instant {
  return duration === 'never' ? never : positive(duration, name)
}

/** @throws {InvalidOption} @throws {InvalidDuration} */
export function positive(duration: Duration, name: string): number {
  const ms = milliseconds(duration, name)
  if (ms === 0) throw new InvalidOption(`${name} must be longer than 0`)
  return ms
}
