/**
 * Names and shapes of what is kept in Redis. Every name begins with `{<namespace>:<bucket>}`, so that what changes
 * in one script lies in one slot of a cluster; there are 4,096 buckets, drawn from a digest of what they hold.
 */

import { hash } from 'node:crypto'
import { RecordCorrupt } from '../../errors.ts'
import { type Key, keyText, type Label, type StoredRecord } from '../../store/record.ts'

/** How many buckets a namespace has. */
export const bucketCount = 4_096

/** Where one record lives. */
export interface Place {
  readonly bucket: number
  /** `{namespace:bucket}` */
  readonly tag: string
  /** `collection/id`, the record's member in the indexes of its bucket. */
  readonly member: string
  /** HASH: v version, d value, l labels, e expiry, t time of the last touch. */
  readonly record: string
  /** ZSET of all members of the bucket, in byte order. */
  readonly keys: string
  /** ZSET of all members of the bucket by expiry. */
  readonly expiries: string
}

/** Where the finder of one label lives. */
export interface LabelPlace {
  /** ZSET of the ids that were promised to carry the label, in byte order. */
  readonly ids: string
  /** HASH of the stamps of these promises. */
  readonly stamps: string
}

/** The layout of one namespace. */
export class Layout {
  readonly #namespace: string

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  /** `{namespace:bucket}`: what decides about the slot. */
  tag(bucket: number): string {
    return `{${this.#namespace}:${bucket.toString(16).padStart(3, '0')}}`
  }

  /** A pattern of SCAN that the names of all records fit. */
  anyRecord(): string {
    return `{${this.#namespace}:???}r:*`
  }

  place(key: Key): Place {
    const member = keyText(key)
    const bucket = bucketOf(member)
    const tag = this.tag(bucket)
    return { bucket, tag, member, record: `${tag}r:${member}`, keys: `${tag}k`, expiries: `${tag}e` }
  }

  label(collection: string, label: Label): LabelPlace {
    const name = `${collection}/${label}`
    const tag = this.tag(bucketOf(name))
    return { ids: `${tag}i:${name}`, stamps: `${tag}p:${name}` }
  }

  /** On which channel the changes of a bucket are told: in a cluster by bucket, so that each master tells its own. */
  channel(bucket: number, cluster: boolean): string {
    return cluster
      ? `${this.#namespace}:changes:${bucket.toString(16).padStart(3, '0')}`
      : `${this.#namespace}:changes`
  }
}

/** The first 12 bits of the digest. */
function bucketOf(text: string): number {
  return Number.parseInt(hash('sha256', text, 'hex').slice(0, 3), 16)
}

/** The key that a member stands for; `undefined` for what no writer of ours made. */
export function keyOf(member: string): Key | undefined {
  const slash = member.indexOf('/')
  if (slash < 1) return undefined
  return { collection: member.slice(0, slash), id: member.slice(slash + 1) }
}

/**
 * The finder of a whole collection is a label like any other, one for each first character of the ids so that it is
 * spread over the slots. No label of a user's begins with an asterisk.
 */
export function partOf(id: string): Label {
  return `*${id.charAt(0)}`
}

/** The finders of a whole collection, in byte order of the ids that they hold. */
export const parts: readonly Label[] = Array.from(
  '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~',
  partOf,
)

/** Labels as one text. None contains U+0000. */
export function joined(labels: readonly Label[]): string {
  return labels.join('\0')
}

/** The labels of such a text. */
export function separate(text: string): readonly Label[] {
  return text === '' ? [] : text.split('\0')
}

/** The fields of a record in the order in which {@link recordOf} expects them; the value last, where it is wanted. */
export function fields(values: boolean): readonly string[] {
  return values ? ['v', 'l', 'e', 't', 'd'] : ['v', 'l', 'e', 't']
}

/**
 * The record of a reply to `HMGET` with {@link fields}; `undefined` when there is none.
 *
 * @throws {RecordCorrupt} when some fields are there and others missing: a missing expiry is not "for ever".
 */
export function recordOf(key: Key, reply: unknown, values = true): StoredRecord | undefined {
  const [version, labels, expiresAt, touchedAt, value] = reply as readonly unknown[]
  if (
    [version, labels, expiresAt, touchedAt, value].every((field) => field === null || field === undefined)
  ) {
    return undefined
  }
  const record = {
    key: { collection: key.collection, id: key.id },
    version: text(version),
    labels: separate(text(labels)),
    value: values && value instanceof Uint8Array ? new Uint8Array(value) : new Uint8Array(),
    expiresAt: instant(expiresAt),
    touchedAt: instant(touchedAt),
  }
  const whole = record.version !== '' && labels !== null && (value !== null || !values)
  if (!whole || !Number.isSafeInteger(record.expiresAt) || !Number.isSafeInteger(record.touchedAt)) {
    throw new RecordCorrupt(`${keyText(key)} is not a record that this library wrote`)
  }
  return record
}

/** Like {@link recordOf}, for pages: what is corrupt is no record, and must not hide the others. */
export function recordIfWhole(key: Key, reply: unknown, values: boolean): StoredRecord | undefined {
  try {
    return recordOf(key, reply, values)
  } catch (error) {
    if (error instanceof RecordCorrupt) return undefined
    throw error
  }
}

/** A reply as text. */
export function text(reply: unknown): string {
  if (typeof reply === 'string') return reply
  return reply instanceof Uint8Array
    ? Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength).toString()
    : ''
}

function instant(reply: unknown): number {
  const written = text(reply)
  return written === '' ? Number.NaN : Number(written)
}
