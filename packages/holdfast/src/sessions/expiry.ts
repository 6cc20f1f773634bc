/**
 * When a session ends. Its idle timeout slides with its use; an expiry of its own takes that one's place, with the
 * meanings of Django's sessions; the absolute timeout is beyond the reach of both.
 */

import { type Duration, milliseconds } from '../duration.ts'
import { InvalidExpiry } from '../errors.ts'
import type { Living } from '../records/envelope.ts'
import type { Entry } from '../records/records.ts'
import { type Instant, never } from '../store/record.ts'
import { type Facts, factsOf } from './facts.ts'
import type { SessionSettings } from './options.ts'

/**
 * An expiry of a session's own. A number of milliseconds (negative: it is over) or a duration slides, measured from
 * each use; a `Date` is fixed; 0 ends it when the browser closes; `null` is the default.
 */
export type Expiry = Duration | Date | null

/** What `expiryAge` and `expiryDate` are asked for. */
export interface ExpiryQuestion {
  /** When it was last used, in milliseconds since 1970 UTC or as a `Date`. @default now */
  readonly modification?: number | Date
  /** Another expiry than the session's own; `null` asks for the default. The session need not be loaded then. */
  readonly expiry?: Expiry
}

/** An expiry as it is stored; `undefined` for the default. @throws {InvalidExpiry} @throws {InvalidDuration} */
export function storedExpiry(expiry: Expiry): number | string | undefined {
  if (expiry === null) return undefined
  if (!(expiry instanceof Date)) return ageOf(expiry)
  if (Number.isNaN(expiry.getTime()))
    throw new InvalidExpiry('the date that a session is to expire on is not valid')
  return expiry.toISOString()
}

/** Milliseconds from a use until the end. Negative where it is over. 0 and no expiry at all mean the default. */
export function ageFrom(modification: number, expiry: number | string | undefined, usual: number): number {
  if (typeof expiry === 'string') return Date.parse(expiry) - modification
  if (expiry === undefined || expiry === 0) return usual
  // Whoever may write to the store may have put anything there.
  return typeof expiry === 'number' ? expiry : Number.NaN
}

/** The default idle timeout of a session: longer where its user asked to be remembered. */
export function usualIdle({ idle, remember }: SessionSettings, { remembered }: Facts): number {
  return remembered === true ? remember.idle : idle
}

/** When a session ends that is used now: the stored instant. */
export function expiryOf(settings: SessionSettings, envelope: Living, now: number): Instant {
  const facts = factsOf(envelope)
  const age = ageFrom(now, facts.expiry, usualIdle(settings, facts))
  // Prolonging happens at most once per fraction of it, so each prolongation reaches that much further.
  const reach = typeof facts.expiry === 'string' ? 0 : touchAfter(settings, envelope)
  const ends = Math.max(now + age + reach, untilOf(facts))
  return Math.max(Math.min(ends, envelope.absolute), 1)
}

/** For how long a session in use needs no prolonging. */
export function touchAfter(settings: SessionSettings, envelope: Living): number {
  const facts = factsOf(envelope)
  if (facts.expiry === undefined && facts.remembered === undefined) return settings.touchAfter
  const idle = ageFrom(
    0,
    typeof facts.expiry === 'string' ? undefined : facts.expiry,
    usualIdle(settings, facts),
  )
  return Math.max(Math.floor(idle * settings.touchEvery), 0)
}

/** Whether it was used so lately that it needs no prolonging. */
export function wasUsed(settings: SessionSettings, entry: Entry, now: number): boolean {
  // Also where the expiry can't move: by `touchedAt` it is judged when the idle timeout is shortened.
  return now - entry.record.touchedAt < Math.max(restsFor(settings, entry), 1)
}

/** For how long it needs no prolonging from its last use on: shorter where that was a `refresh` which shortened it. */
function restsFor(settings: SessionSettings, { record, envelope }: Entry): number {
  const usual = touchAfter(settings, envelope)
  if (factsOf(envelope).until === undefined || record.expiresAt >= envelope.absolute) return usual
  return Math.min(usual, Math.floor((record.expiresAt - record.touchedAt) * settings.touchEvery))
}

/** The end that nothing prolongs, for who logs in now. */
export function absoluteEnd(settings: SessionSettings, remembered: boolean, now: number): Instant {
  const absolute = remembered ? settings.remember.absolute : settings.absolute
  return absolute === never ? never : now + absolute
}

/** Whether it is over by the settings of today: timeouts that were shortened since it was written count at once. */
export function isOutOfTime(settings: SessionSettings, { record, envelope }: Entry, now: number): boolean {
  const facts = factsOf(envelope)
  const longest = facts.remembered === true ? settings.remember.absolute : settings.absolute
  // Who was adopted has never logged in here, so that their session counts from its creation.
  if (now >= Math.max(envelope.authenticatedAt, envelope.createdAt) + longest) return true
  if (facts.expiry === undefined && facts.until === undefined && facts.remembered === undefined) {
    return now >= record.touchedAt + settings.idle + settings.touchAfter
  }
  // Not "now >= ends": what is no number in facts that somebody else wrote must not be valid for ever.
  return !(now < expiryOf(settings, envelope, record.touchedAt))
}

/** Whether its cookie is to end with the browser. */
export function endsWithBrowser({ browserClose }: SessionSettings, { expiry, remembered }: Facts): boolean {
  if (expiry !== undefined) return expiry === 0
  return remembered === true ? false : browserClose
}

function untilOf({ until }: Facts): number {
  return until ?? 0
}

function ageOf(expiry: Duration): number {
  return typeof expiry === 'number' && expiry < 0
    ? -milliseconds(-expiry, 'expiry')
    : milliseconds(expiry, 'expiry')
}
