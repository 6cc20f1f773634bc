/**
 * The envelope: what the value of a session's or token's record holds besides their own data.
 *
 * State, principal and absolute deadline stand in here, inside the value, because the value can be sealed: someone
 * who may write to the store but has no key cannot bring a revoked record back, prolong it or give it to another
 * user by changing the columns beside it.
 */

import { InvalidOption, RecordCorrupt } from '../errors.ts'
import type { Json } from '../store/codec.ts'
import { type Instant, type Key, keyText, type Label, label, type StoredRecord } from '../store/record.ts'

/** A plain JSON object. */
export type JsonObject = Record<string, Json | undefined>

/** A copy of what was stored, however deep: `structuredClone` gives up long before JSON does. */
export function copyOf(data: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(data)) as JsonObject
}

/** A secret that was rotated away, remembered so that late requests find its successor and theft is noticed. */
export interface Predecessor {
  /** Digest of the secret. */
  readonly digest: string
  /** Until when it is still accepted: the stated cap, and from the successor's first use the end of the window. */
  readonly ends: Instant
  /** Whether the successor was presented, which opened the window. */
  readonly opened: boolean
  /** The successor's secret, sealed so that only a holder of this secret can read it. Missing when it has ended. */
  readonly next?: string
}

/** By label, the epoch of the marks that the record was created under. Missing means 0: there was none. */
export type Epochs = Readonly<Record<Label, number>>

/** The envelope of what is alive, or closed: about to be buried, refused everywhere, its labels kept. */
export interface Living {
  readonly state: 'live' | 'closed'
  /** Digest of the current secret. */
  readonly digest: string
  /** Newest first, at most {@link mostPredecessors}. */
  readonly past: readonly Predecessor[]
  /** The principal. The record carries it as `user:` too, where it can be listed by. */
  readonly user?: string
  /** The record it was derived from. */
  readonly parent?: string
  readonly createdAt: number
  /** When the principal proved who they are. Rotation carries it on. */
  readonly authenticatedAt: number
  /** The end that no touch and no save goes beyond. */
  readonly absolute: Instant
  /** The latest expiry that the record ever had, where one was shortened: how long a tombstone must be kept. */
  readonly latest: Instant
  readonly epochs: Epochs
  /** What the kind keeps about itself: who wrote them checks them. Missing where there is nothing to say. */
  readonly facts?: JsonObject
  /** What the application keeps in it. */
  readonly data: JsonObject
}

/** What a first envelope says that isn't the same in each. */
export type Begun = Pick<Living, 'digest' | 'absolute' | 'epochs' | 'data'> &
  Partial<Pick<Living, 'user' | 'createdAt' | 'authenticatedAt' | 'latest'>>

/** The envelope of a record that begins now: its principal has just proved who they are, unless it says otherwise. */
export function firstEnvelope(
  now: Instant,
  { digest, absolute, epochs, data, createdAt = now, authenticatedAt = now, latest = 0, ...who }: Begun,
): Living {
  return {
    state: 'live',
    digest,
    past: [],
    createdAt,
    authenticatedAt,
    absolute,
    latest,
    epochs,
    data,
    ...who,
  }
}

/** What is left of what was destroyed or revoked: no secret, no data. */
export interface Tombstone {
  readonly state: 'dead'
  /** When it was buried. */
  readonly at: number
  /** Why: a word or two, for people. */
  readonly why: string
  /** When it would have expired on its own. */
  readonly ends: Instant
  readonly user?: string
}

export type Envelope = Living | Tombstone

/** How many predecessors of a secret are remembered. */
export const mostPredecessors = 8

/** What is stored for an envelope: the same without what is empty. */
export function packed(envelope: Envelope): JsonObject {
  if (envelope.state === 'dead') return { ...envelope }
  const { past, epochs, ...rest } = envelope
  return {
    ...rest,
    ...(past.length > 0 ? { past: past.map((each) => ({ ...each })) } : {}),
    ...(Object.keys(epochs).length > 0 ? { epochs: { ...epochs } } : {}),
  }
}

/**
 * Checks what came out of the store.
 *
 * @throws {RecordCorrupt} when it is not an envelope, or its principal is not the one that the record is listed by.
 */
export function unpacked(record: Pick<StoredRecord, 'key' | 'labels'>, stored: unknown): Envelope {
  if (isTombstone(stored)) return stored
  if (!isLiving(stored)) throw corrupt(record.key, 'does not hold a session or token')
  // What was decoded is nobody else's, so it is completed in place: this runs at every request.
  const envelope: Living = Object.assign(stored, {
    past: stored.past ?? none,
    epochs: stored.epochs ?? noEpochs,
  })
  const owner = record.labels.find((each) => each.startsWith('user:'))
  if (owner !== (envelope.user === undefined ? undefined : `user:${envelope.user}`)) {
    throw corrupt(record.key, 'is listed under another user than the one that it holds')
  }
  return envelope
}

/** Refuses labels that only the rules may set: `user:` means the owner, and nobody else. @throws {InvalidOption} */
export function checkOthers(labels: readonly Label[]): void {
  const owner = labels.find((each) => each.startsWith('user:'))
  if (owner !== undefined)
    throw new InvalidOption(`the label ${JSON.stringify(owner)} is set by naming the user`)
}

/** The labels that a filter asks for: all that were given must match, also two of different users. */
export function filterLabels({
  user,
  labels = [],
}: {
  readonly user?: string
  readonly labels?: readonly Label[]
}): readonly Label[] {
  return user === undefined ? labels : [label('user', user), ...labels]
}

/** The labels of a record of this principal. */
export function labelsOf(user: string | undefined, others: readonly Label[]): readonly Label[] {
  const rest = others.filter((each) => !each.startsWith('user:'))
  return user === undefined ? rest : [label('user', user), ...rest]
}

function isTombstone(stored: unknown): stored is Tombstone {
  if (!isObject(stored) || stored['state'] !== 'dead') return false
  return isNumber(stored['at']) && isText(stored['why']) && isNumber(stored['ends'])
}

const none: readonly Predecessor[] = []
const noEpochs: Epochs = {}

type StoredLiving = Omit<Living, 'past' | 'epochs'> & Partial<Pick<Living, 'past' | 'epochs'>>

function isLiving(stored: unknown): stored is StoredLiving {
  if (!isObject(stored)) return false
  const { state, digest, past, user, parent, epochs, facts } = stored
  return (
    (state === 'live' || state === 'closed') &&
    isText(digest) &&
    (past === undefined || (Array.isArray(past) && past.every(isPredecessor))) &&
    (user === undefined || isText(user)) &&
    (parent === undefined || isText(parent)) &&
    (epochs === undefined || (isObject(epochs) && Object.values(epochs).every(isNumber))) &&
    (facts === undefined || isObject(facts)) &&
    isNumber(stored['createdAt']) &&
    isNumber(stored['authenticatedAt']) &&
    isNumber(stored['absolute']) &&
    isNumber(stored['latest']) &&
    isObject(stored['data'])
  )
}

function isPredecessor(stored: unknown): boolean {
  if (!isObject(stored)) return false
  const { digest, ends, opened, next } = stored
  return (
    isText(digest) && isNumber(ends) && typeof opened === 'boolean' && (next === undefined || isText(next))
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}

function corrupt(key: Key, why: string): RecordCorrupt {
  return new RecordCorrupt(`${keyText(key)} ${why}`)
}
