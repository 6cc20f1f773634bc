/** A session as the model has it, and what each thing that can be done makes of it. */

import { isDeepStrictEqual } from 'node:util'
import { assemble, mintId, mintSecret, parse } from '../../../packages/holdfast/src/credentials/credential.ts'
import type { Session } from '../../../packages/holdfast/src/sessions/session.ts'

export const settings = {
  idle: 100_000,
  touchEvery: 0.1,
  absolute: 400_000,
  grace: 20_000,
  graceCap: 150_000,
} as const

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
  /** An expiry of its own, in milliseconds. */
  expiry: number | undefined
  /** Until when it was prolonged on purpose. */
  until: number
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
  /** Those of the changes that were made inside of stored values. */
  inside: Set<string>
  cleared: boolean
  /** The expiry that is to be set; `null` for the default. */
  expiry: number | null | undefined
  /** What its request came with: it may be ended by that. */
  readonly presented?: { readonly known: Known; readonly secret: Secret }
  /** What the client was to carry already when its request came with an earlier one. */
  readonly successor?: string | undefined
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
  if (isClean(held)) return
  known.data = applied(held.cleared ? {} : known.data, held.changes)
  if (held.expiry === undefined) prolonged(known, now)
  else ended(known, held.expiry, now)
}

/** Whether it has nothing to store. */
export function isClean({ changes, cleared, expiry }: Held): boolean {
  return changes.size === 0 && !cleared && expiry === undefined
}

/** It was given an expiry of its own, or the default again. */
export function ended(known: Known, expiry: number | null, now: number): void {
  known.expiry = expiry ?? undefined
  known.until = 0
  known.touchedAt = Math.max(known.touchedAt, now)
  known.expiresAt = expiryOf(known, now)
}

/** It was prolonged on purpose, or shortened. */
export function refreshed(known: Known, held: Held, age: number | undefined, now: number): void {
  if (age === 0) {
    known.alive = false
    return
  }
  saved(known, held, now)
  if (age === undefined) {
    used(known, now)
    return
  }
  known.until = now + age
  known.touchedAt = Math.max(known.touchedAt, now)
  known.expiresAt = Math.min(known.until, known.absolute)
}

/** What another user left is dropped, and what was changed inside of it. */
export function loggedIn(known: Known, held: Held, user: string, now: number): void {
  const isAnother = known.user !== undefined && known.user !== user
  if (isAnother) {
    known.data = applied({}, new Map([...held.changes].filter(([name]) => !held.inside.has(name))))
    Object.assign(known, { expiry: undefined, until: 0 })
  } else saved(known, held, now)
  Object.assign(known, { user, absolute: now + settings.absolute })
  if (held.expiry === undefined) {
    known.touchedAt = Math.max(known.touchedAt, now)
    known.expiresAt = expiryOf(known, now)
  } else ended(known, held.expiry, now)
}

export function rotated(known: Known, held: Held, now: number): void {
  saved(known, held, now)
  // Somebody else rotated since: their secret is taken over.
  const hasSuccessor = held.successor !== undefined && held.credential === held.successor
  if (hasSuccessor || (held.credential !== undefined && known.secrets[0]!.credential !== held.credential)) {
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
  if (now - known.touchedAt >= restsFor(known)) used(known, now)
}

export function used(known: Known, now: number): void {
  known.touchedAt = Math.max(known.touchedAt, now)
  known.expiresAt = Math.max(known.expiresAt, expiryOf(known, now))
}

export function expiryOf(known: Pick<Known, 'expiry' | 'until' | 'absolute'>, now: number): number {
  const ends = now + (known.expiry || settings.idle) + touchAfterOf(known)
  return Math.min(Math.max(ends, known.until), known.absolute)
}

/** For how long it needs no prolonging from its last use on. */
export function restsFor(known: Known): number {
  const { until, expiresAt, touchedAt, absolute } = known
  if (until === 0 || expiresAt >= absolute) return touchAfterOf(known)
  return Math.min(touchAfterOf(known), (expiresAt - touchedAt) * settings.touchEvery)
}

function touchAfterOf({ expiry }: Pick<Known, 'expiry'>): number {
  return (expiry || settings.idle) * settings.touchEvery
}

export function isAlive(known: Known, now: number): boolean {
  return known.alive && now < known.expiresAt && now < known.absolute
}

export function mayOpen(known: Known, secret: Secret, now: number): boolean {
  const age = known.secrets.indexOf(secret)
  return isAlive(known, now) && age >= 0 && age <= 8 && now < secret.ends
}

/** What storing the changes of an object must come to. */
export function outcomeOf(
  { known, credential, base, changes, cleared }: Held,
  now: number,
  dropsAll = false,
): Outcome {
  const secret = known?.secrets.find((each) => each.credential === credential)
  if (!known || !secret || !mayOpen(known, secret, now)) return 'HOLDFAST_SESSION_GONE'
  for (const [name, mine] of cleared || dropsAll ? [] : changes) {
    const [theirs, before] = [known.data[name], base[name]]
    const wanted = mine === deleted ? undefined : mine
    if (!isDeepStrictEqual(theirs, before) && !isDeepStrictEqual(theirs, wanted))
      return 'HOLDFAST_CONFLICTING_CHANGE'
  }
  return 'done'
}

/** What a request ends that found no session: what it came with, if that was ever its own. */
export function endedBy({ session, presented }: Held): Known | undefined {
  if (!presented || session.isDestroyed) return undefined
  return presented.known.secrets.indexOf(presented.secret) <= 8 ? presented.known : undefined
}

/** Changes a list inside of the session, or puts one in. */
export function push({ session, changes, inside }: Held, what: number): void {
  const list = session.get('l') as unknown as number[] | undefined
  if (list === undefined) session.set('l', [what])
  else list.push(what)
  if (list !== undefined && !changes.has('l')) inside.add('l')
  changes.set('l', [...((session.get('l') as unknown as number[] | undefined) ?? [])])
}

export function secretOf(credential: string): string {
  return parse('hfs_', credential)?.secret ?? ''
}

/** A credential that was never given out: of an id that there is, if there is one. */
export function garbage(known: Known | undefined): string {
  return assemble('hfs_', { id: known?.id ?? mintId(), secret: mintSecret() })
}
