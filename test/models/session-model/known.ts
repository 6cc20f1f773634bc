/** A session as the model has it, and what each thing that can be done makes of it. */

import { isDeepStrictEqual } from 'node:util'
import type { Session } from '../../../packages/holdfast/src/sessions/session.ts'

export const settings = {
  idle: 100_000,
  touchEvery: 0.1,
  absolute: 400_000,
  grace: 20_000,
  graceCap: 150_000,
} as const
export const touchAfter = 10_000

/** A secret that a session has or had. */
export interface Secret {
  /** Missing: made by a step whose answer was lost, so that no client has it. */
  credential?: string
  ends: number
  opened: boolean
}

/** A session as the model has it. */
export interface Known {
  readonly id: string
  alive: boolean
  user: string | undefined
  data: Record<string, unknown>
  expiresAt: number
  touchedAt: number
  absolute: number
  /** The current one first. */
  secrets: Secret[]
  /** How many revocations there had been when its login began. */
  begun: number
}

/** A session object that a request holds. */
export interface Held {
  readonly session: Session
  known: Known | undefined
  credential: string | undefined
  base: Record<string, unknown>
  changes: Map<string, unknown>
  cleared: boolean
  /** When the session was last used, as far as the object can know. */
  touchedAt: number
}

export const deleted = Symbol('deleted')
/** What storing can come to. */
export type Outcome =
  'done' | 'HOLDFAST_SESSION_GONE' | 'HOLDFAST_CONFLICTING_CHANGE' | 'HOLDFAST_REVOKED_MEANWHILE'

/** Data with changes. */
export function applied(
  data: Record<string, unknown>,
  changes: ReadonlyMap<string, unknown>,
): Record<string, unknown> {
  const next = { ...data }
  for (const [name, value] of changes) {
    if (value === deleted) delete next[name]
    else next[name] = value
  }
  return next
}

export function saved(known: Known, held: Held, now: number): void {
  if (held.changes.size === 0 && !held.cleared) return
  known.data = applied(held.cleared ? {} : known.data, held.changes)
  prolonged(known, now)
}

export function rotated(known: Known, held: Held, now: number): void {
  saved(known, held, now)
  // Somebody else rotated since: their secret is taken over.
  if (held.credential !== undefined && known.secrets[0]!.credential !== held.credential) {
    known.secrets[0]!.credential ??= held.session.credential!
    return
  }
  newSecret(known, held.session.credential)
  Object.assign(known.secrets[1]!, { ends: now + settings.graceCap, opened: false })
  used(known, now)
}

export function cycled(known: Known, held: Held, now: number): void {
  saved(known, held, now)
  newSecret(known, held.session.credential)
  for (const each of known.secrets.slice(1))
    Object.assign(each, { ends: Math.min(each.ends, now), opened: true })
  used(known, now)
}

export function newSecret(known: Known, credential: string | undefined): void {
  const isNew = known.secrets.every((each) => each.credential !== credential)
  known.secrets.unshift({
    ...(isNew && credential !== undefined ? { credential } : {}),
    ends: Infinity,
    opened: true,
  })
}

export function open(known: Known, now: number): void {
  for (const each of known.secrets.slice(1)) {
    if (each.opened) continue
    Object.assign(each, { opened: true, ends: Math.min(each.ends, now + settings.grace) })
  }
  used(known, now)
}

/** Prolongs what was not used for a while. */
export function prolonged(known: Known, now: number): void {
  if (now - known.touchedAt >= touchAfter) used(known, now)
}

export function used(known: Known, now: number): void {
  known.touchedAt = Math.max(known.touchedAt, now)
  known.expiresAt = Math.max(known.expiresAt, expiry(known.absolute, now))
}

export function expiry(absolute: number, now: number): number {
  return Math.min(now + settings.idle + touchAfter, absolute)
}

export function isAlive(known: Known, now: number): boolean {
  return known.alive && now < known.expiresAt && now < known.absolute
}

export function mayOpen(known: Known, secret: Secret, now: number): boolean {
  const age = known.secrets.indexOf(secret)
  return isAlive(known, now) && age >= 0 && age <= 8 && now < secret.ends
}

/** What storing the changes of an object must come to. */
export function outcomeOf({ known, credential, base, changes, cleared }: Held, now: number): Outcome {
  const secret = known?.secrets.find((each) => each.credential === credential)
  if (!known || !secret || !mayOpen(known, secret, now)) return 'HOLDFAST_SESSION_GONE'
  for (const [name, mine] of cleared ? [] : changes) {
    const [theirs, before] = [known.data[name], base[name]]
    const wanted = mine === deleted ? undefined : mine
    if (!isDeepStrictEqual(theirs, before) && !isDeepStrictEqual(theirs, wanted))
      return 'HOLDFAST_CONFLICTING_CHANGE'
  }
  return 'done'
}
