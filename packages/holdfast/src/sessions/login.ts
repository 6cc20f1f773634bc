/** A login: who logs in, and what was true when it began. */

import { type Epochs, labelsOf, type Living } from '../records/envelope.ts'
import type { Entry } from '../records/records.ts'
import type { Label } from '../store/record.ts'

/** A login that has begun: made by `sessions.begin` before the credential is checked. Plain data, may be stored. */
export interface Login {
  readonly user: string
  /** The epochs of the user's marks when it began. */
  readonly epochs: Epochs
  /** When it began, milliseconds since 1970 UTC. */
  readonly at: number
  /** The other labels whose epochs were read. @default [] */
  readonly labels?: readonly Label[]
}

/** What the login is about begins anew with it; an epoch that the session had before must not make up for it. */
export function epochsAfter({ user, labels = [], epochs }: Login, before: Epochs): Epochs {
  const renewed = labelsOf(user, labels)
  const kept = Object.entries(before).filter(([each]) => !renewed.includes(each))
  return { ...Object.fromEntries(kept), ...epochs }
}

/** What a session can be listed by after a login: what was somebody else's is not for who logs in now. */
export function labelsAfter(login: Login, { envelope, record }: Entry): readonly Label[] {
  return labelsOf(login.user, isAnother(envelope, login) ? (login.labels ?? []) : record.labels)
}

/** Whether somebody else is logged in. */
export function isAnother({ user }: Living, login: Login | undefined): boolean {
  return login !== undefined && user !== undefined && user !== login.user
}
