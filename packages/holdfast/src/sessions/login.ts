/** A login: who logs in, and what was true when it began. */

import { InvalidOption, InvalidValue, RevokedMeanwhile, SessionGone, TooManySessions } from '../errors.ts'
import { type Epochs, labelsOf, type Living } from '../records/envelope.ts'
import type { Entry } from '../records/records.ts'
import { type Label, orderedLabels } from '../store/record.ts'

/** A login that has begun: made by `sessions.begin` before the credential is checked. Plain data, may be stored. */
export interface Login {
  readonly user: string
  /** The epochs of the user's marks when it began. */
  readonly epochs: Epochs
  /** When it began, milliseconds since 1970 UTC. */
  readonly at: number
  /** The other labels whose epochs were read, and that its session carries. @default [] */
  readonly labels?: readonly Label[]
}

/** Whether it is a login, and not only a user. */
export function isBegun(login: Login | string): login is Login {
  return typeof (login as Partial<Login> | undefined | null)?.user === 'string'
}

/** Whether an error tells that the session of a login was ended again. */
export function isTakenBack(error: unknown): boolean {
  return error instanceof RevokedMeanwhile || error instanceof TooManySessions || error instanceof SessionGone
}

/** A number would be stored, and be nobody when it is read. @throws {InvalidOption} */
export function checkUser(user: unknown): void {
  if (typeof user === 'string') return
  throw new InvalidOption(`a user is named by a text, such as String(id), and not by ${typeof user}`)
}

/** Whom an application's own function names: nobody by `null` too. @throws {InvalidValue} */
export function namedUser(given: unknown): string | undefined {
  if (given === undefined || given === null) return undefined
  if (typeof given === 'string' && given !== '') return given
  throw new InvalidValue(
    'what names the user of a session answers with a text, such as String(id), or undefined where nobody is logged in',
  )
}

/** What the login is about begins anew with it; an epoch that the session had before must not make up for it. */
export function epochsAfter({ user, labels = [], epochs }: Login, before: Epochs): Epochs {
  const renewed = labelsOf(user, labels)
  const kept = Object.entries(before).filter(([each]) => !renewed.includes(each))
  return { ...Object.fromEntries(kept), ...epochs }
}

/** What a session can be listed by after a login: what was somebody else's is not for who logs in now. */
export function labelsAfter(login: Login, { envelope, record }: Entry): readonly Label[] {
  return labelsWith(login, isAnother(envelope, login) ? [] : record.labels)
}

/** What a session can be listed by that begins with a login, or without: whoever revokes by one of them must find it. */
export function labelsWith(login: Login | undefined, others: readonly Label[]): readonly Label[] {
  return orderedLabels(labelsOf(login?.user, [...others, ...(login?.labels ?? [])]))
}

/** Whether somebody else is logged in. */
export function isAnother({ user }: Living, login: Login | undefined): boolean {
  return login !== undefined && user !== undefined && user !== login.user
}
