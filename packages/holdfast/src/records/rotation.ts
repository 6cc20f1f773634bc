/**
 * Rotation of the secret inside the one record. Pure: envelopes in, envelopes out.
 *
 * There is no second record to leave behind, to revoke too late or to lose in a crash. The record remembers the
 * digests of the last eight predecessors; while a predecessor's window lasts it also holds the successor, sealed so
 * that only a holder of the predecessor can read it. A window opens when the successor is first presented, so a lost
 * answer costs nothing; one that never opens ends at a stated cap. A login closes all windows, which is what stops
 * session fixation.
 */

import { digestOf, equalInConstantTime } from '../credentials/digest.ts'
import { openSuccessor, sealSuccessor } from '../credentials/successor.ts'
import { type Living, mostPredecessors, type Predecessor } from './envelope.ts'

/** What a presented secret is to a record. */
export type Recognition =
  /** The current secret. */
  | { readonly as: 'current'; readonly secret: string }
  /** A predecessor in its window; `secret` is the current one. */
  | { readonly as: 'predecessor'; readonly secret: string }
  /** Was once right, and its window has ended: a very late request, or a thief. */
  | { readonly as: 'ended' }
  /** Never was. */
  | { readonly as: 'unknown' }

/** Settings of a rotation. */
export interface Windows {
  /** How long a predecessor is accepted after its successor was first presented, in milliseconds. */
  readonly grace: number
  /** When a window that never opened ends, in milliseconds after the rotation. */
  readonly cap: number
}

/** Tells what a secret is to a record. */
export function recognise(envelope: Living, id: string, secret: string, now: number): Recognition {
  const digest = digestOf(secret)
  if (equalInConstantTime(digest, envelope.digest)) return { as: 'current', secret }
  const at = envelope.past.findIndex((each) => equalInConstantTime(digest, each.digest))
  if (at < 0) return { as: 'unknown' }
  if (now >= envelope.past[at]!.ends) return { as: 'ended' }
  const current = successorOf(envelope, id, secret, at)
  return current === undefined ? { as: 'ended' } : { as: 'predecessor', secret: current }
}

/** The envelope after a rotation that leaves the predecessors a window. */
export function rotated(
  envelope: Living,
  id: string,
  secrets: { readonly current: string; readonly next: string },
  windows: Windows,
  now: number,
): Living {
  const predecessor: Predecessor = {
    digest: envelope.digest,
    ends: now + windows.cap,
    opened: false,
    next: sealSuccessor(secrets.current, id, secrets.next),
  }
  const past = [predecessor, ...envelope.past.map((each) => withoutEnded(each, now))].slice(
    0,
    mostPredecessors,
  )
  return { ...envelope, digest: digestOf(secrets.next), past }
}

/** The envelope after a change of principal or privilege: all predecessors end here and now. */
export function cycled(envelope: Living, next: string, now: number): Living {
  const past = [
    { digest: envelope.digest, ends: now, opened: true },
    ...envelope.past.map((each) => ended(each, now)),
  ]
  return { ...envelope, digest: digestOf(next), past: past.slice(0, mostPredecessors) }
}

/** Whether the current secret is presented for the first time, so that its predecessors' windows must open. */
export function hasUnopenedWindows(envelope: Living): boolean {
  return envelope.past.some(({ opened }) => !opened)
}

/** The envelope after the current secret was presented: every window that waited for it now runs. */
export function opened(envelope: Living, grace: number, now: number): Living {
  const past = envelope.past.map((each) => {
    if (each.opened) return withoutEnded(each, now)
    return withoutEnded({ ...each, opened: true, ends: Math.min(each.ends, now + grace) }, now)
  })
  return { ...envelope, past }
}

/** Follows the sealed successors from a predecessor to the current secret. */
function successorOf(envelope: Living, id: string, secret: string, at: number): string | undefined {
  let holder = secret
  for (let i = at; i >= 0; i--) {
    const sealed = envelope.past[i]!.next
    const next = sealed === undefined ? undefined : openSuccessor(holder, id, sealed)
    const expected = i === 0 ? envelope.digest : envelope.past[i - 1]!.digest
    if (next === undefined || !equalInConstantTime(digestOf(next), expected)) return undefined
    holder = next
  }
  return holder
}

function withoutEnded(predecessor: Predecessor, now: number): Predecessor {
  return now < predecessor.ends ? predecessor : ended(predecessor, now)
}

function ended({ digest, ends }: Predecessor, now: number): Predecessor {
  return { digest, ends: Math.min(ends, now), opened: true }
}
