/** Admission: whether what a client presents opens a record. The same steps for sessions and tokens. */

import type { CredentialParts } from '../credentials/credential.ts'
import type { Awaitable } from '../store/contract.ts'
import type { Living } from './envelope.ts'
import type { EventListener } from './events.ts'
import type { Entry, Found, Records } from './records.ts'
import { type Recognition, recognise } from './rotation.ts'

/** A record that was opened by a secret that is its own. */
export interface Admitted {
  readonly entry: Entry
  /** The secret that the client carries from now on: its successor where a predecessor was presented. */
  readonly secret: string
  readonly as: 'current' | 'predecessor'
}

/** Why nothing was opened, where more than "nothing there" is known. */
export interface Refused {
  /** The record is closed: whoever meets it finishes it. */
  readonly closed?: true
  /** The secret was rotated away, and its window has ended. */
  readonly late?: true
}

/**
 * Opens a record by a credential that was parsed.
 *
 * What is not there, dead, expired, corrupt or struck by a mark is refused as a value. A store that can't answer is
 * an error, and so is a record sealed under an unknown key: neither may look like a logout.
 *
 * @param isOver What the kind itself refuses although it has not expired.
 * @param options.strict Asks the truth at once. @default false
 */
export function admit(
  records: Records,
  parts: CredentialParts,
  onEvent: EventListener,
  isOver: (entry: Entry) => boolean = () => false,
  { strict = false }: { readonly strict?: boolean } = {},
): Awaitable<Admitted | Refused> {
  // Every request comes through here: where the store's answer is at hand, no promise is made.
  const found = records.find(parts.id, { strict })
  if (!(found instanceof Promise)) return judged(records, parts, onEvent, isOver, found)
  return found.then((read) => judged(records, parts, onEvent, isOver, read))
}

function judged(
  records: Records,
  parts: CredentialParts,
  onEvent: EventListener,
  isOver: (entry: Entry) => boolean,
  found: Found,
): Awaitable<Admitted | Refused> {
  const recognition = recognised(records, found, parts.secret)
  if (records.store.capabilities.cached && mayBeBehind(found, recognition, isOver)) {
    // The cache may be one rotation, login or touch behind: the truth decides before anybody is turned away.
    return Promise.resolve(records.find(parts.id, { strict: true })).then((truth) =>
      settled(records, parts.id, onEvent, isOver, truth, recognised(records, truth, parts.secret)),
    )
  }
  return settled(records, parts.id, onEvent, isOver, found, recognition)
}

function settled(
  records: Records,
  id: string,
  onEvent: EventListener,
  isOver: (entry: Entry) => boolean,
  found: Found,
  recognition: Recognition | undefined,
): Awaitable<Admitted | Refused> {
  if (found.state === 'corrupt')
    onEvent({ type: 'corrupt', collection: records.collection, id, cause: found.cause })
  if (found.state !== 'live') return isRight(recognition) && found.state === 'closed' ? { closed: true } : {}
  if (!isRight(recognition)) return refused(records, id, recognition, onEvent)
  if (isOver(found.entry)) return {}
  const admitted: Admitted = { entry: found.entry, secret: recognition.secret, as: recognition.as }
  const struck = records.marks.strikes(found.entry)
  if (struck instanceof Promise) return struck.then((is) => (is ? {} : admitted))
  return struck ? {} : admitted
}

/**
 * Whether a record may be ended by this secret: any that was ever its own may, the late ones too. By the truth, and
 * also where it has just expired: a touch that is under way would prolong it after its owner was told that it is over.
 */
export async function mayEnd(records: Records, { id, secret }: CredentialParts): Promise<boolean> {
  const envelope: Living | undefined = await records.remains(id)
  return envelope !== undefined && recognise(envelope, id, secret, records.now).as !== 'unknown'
}

/** Whether something was opened. */
export function isAdmitted(answer: Admitted | Refused): answer is Admitted {
  return 'entry' in answer
}

function recognised(records: Records, found: Found, secret: string): Recognition | undefined {
  if (found.state !== 'live' && found.state !== 'closed') return undefined
  const { record, envelope } = found.entry
  return recognise(envelope, record.key.id, secret, records.now)
}

/** Whether the truth could know better. What is dead stays dead, so a tombstone is final wherever it was read. */
function mayBeBehind(
  found: Found,
  recognition: Recognition | undefined,
  isOver: (entry: Entry) => boolean,
): boolean {
  if (found.state === 'dead' || found.state === 'closed') return false
  return found.state !== 'live' || !isRight(recognition) || isOver(found.entry)
}

function isRight(
  recognition: Recognition | undefined,
): recognition is Extract<Recognition, { readonly secret: string }> {
  return recognition?.as === 'current' || recognition?.as === 'predecessor'
}

function refused(
  { collection }: Records,
  id: string,
  recognition: Recognition | undefined,
  onEvent: EventListener,
): Refused {
  const late = recognition?.as === 'ended'
  onEvent({ type: late ? 'late-secret' : 'wrong-secret', collection, id })
  return late ? { late } : {}
}
