/**
 * Names and shapes of what is kept in Redis. Every name begins with `{<namespace>:<bucket>}`, so that what changes
 * in one script lies in one slot of a cluster; there are 4,096 buckets, drawn from a digest of what they hold.
 */

import { type Key, keyText, type Label } from '../../store/record.ts'

/** How many buckets a namespace has. */
export const bucketCount = 4_096

/** Where one record lives. */
export interface Place {
  readonly bucket: number
  /** `{namespace:bucket}` */
  readonly tag: string
  /** `collection/id`, the record's member in the indexes of its bucket. */
  readonly member: string
  /** The record: a string, as in `form.ts`. */
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
  /** The tags of the buckets, made when they are first needed. */
  readonly #tags: (string | undefined)[] = []

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  /** `{namespace:bucket}`: what decides about the slot. */
  tag(bucket: number): string {
    return (this.#tags[bucket] ??= `{${this.#namespace}:${bucket.toString(16).padStart(3, '0')}}`)
  }

  /** A pattern of SCAN that the names of all records fit. */
  anyRecord(): string {
    return `{${this.#namespace}:???}r:*`
  }

  /** The name of a record, for those who only read it. */
  record(key: Key): string {
    const member = keyText(key)
    return `${this.tag(bucketOf(member))}r:${member}`
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

/**
 * The first 12 bits of a digest: FNV-1a with the finish of MurmurHash3, without which texts that differ in their last
 * letter only would be neighbours. It spreads, and protects nothing; a cryptographic one cost more than all else that is
 * done here for a read.
 */
function bucketOf(text: string): number {
  let digest = 0x811c9dc5
  for (let i = 0; i < text.length; i++) digest = Math.imul(digest ^ text.charCodeAt(i), 0x01000193)
  digest = Math.imul(digest ^ (digest >>> 16), 0x85ebca6b)
  digest = Math.imul(digest ^ (digest >>> 13), 0xc2b2ae35)
  return (digest ^ (digest >>> 16)) >>> 20
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

/** A reply as text. */
export function text(reply: unknown): string {
  if (typeof reply === 'string') return reply
  return reply instanceof Uint8Array
    ? Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength).toString()
    : ''
}
