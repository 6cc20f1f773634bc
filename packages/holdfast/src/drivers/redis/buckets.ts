/**
 * What goes through the buckets: scanning, by the index of keys, and sweeping, by the index of expiries. Both indexes
 * lie in the slots of their records and travel with them, so a cursor is good on every server and after a fail-over.
 */

import { InvalidCursor } from '../../errors.ts'
import type { Page, Slice, Swept, SweptBatch, Sweeping } from '../../store/contract.ts'
import { isLive, type Key, type StoredRecord } from '../../store/record.ts'
import { bucketCount, keyOf, type Layout, separate, text } from './layout.ts'
import type { Records } from './records.ts'
import { remove, run } from './scripts.ts'
import { all } from '../../store/parts.ts'
import type { Wire } from './wire.ts'

/** How many buckets are asked in one go: few first, and more while they turn out to be empty. */
const firstGroup = 8
const largestGroup = 512

/** A member of a bucket's index. */
interface Found {
  readonly bucket: number
  readonly member: string
}

/** Where a walk is: the bucket, and the last member of it that was seen. */
interface Position {
  readonly bucket: number
  readonly after: string
}

export class Buckets {
  readonly #wire: Wire
  readonly #layout: Layout
  readonly #records: Records

  constructor(wire: Wire, layout: Layout, records: Records) {
    this.#wire = wire
    this.#layout = layout
    this.#records = records
  }

  async scan({ index, of, after, limit, expired }: Slice, now: number): Promise<Page> {
    const first = Math.ceil((bucketCount * index) / of)
    const end = Math.ceil((bucketCount * (index + 1)) / of)
    const start = after === undefined ? { bucket: first, after: '' } : parsed(after)
    if (start.bucket < first || start.bucket >= end) throw new InvalidCursor('not a cursor of this slice')
    const found = await this.#walk(start, end, limit, (tag, count, member) => {
      const from = member === '' ? '-' : `(${member}`
      return ['ZRANGEBYLEX', `${tag}k`, from, '+', 'LIMIT', '0', String(count)]
    })
    const keys = found.flatMap(({ member }) => keyOf(member) ?? [])
    const read = await this.#records.page(keys, true)
    const records = read.filter((record): record is StoredRecord => {
      return record !== undefined && (expired || isLive(record, now))
    })
    const last = found.at(-1)
    if (found.length < limit || !last) return { records }
    return { records, next: `${last.bucket}.${last.member}` }
  }

  async sweep({ before, limit, after }: Sweeping): Promise<SweptBatch> {
    const start = after === undefined ? 0 : parsed(after).bucket
    const found = await this.#walk({ bucket: start, after: '' }, bucketCount, limit, (tag, count) => {
      return ['ZRANGEBYSCORE', `${tag}e`, '-inf', String(before), 'LIMIT', '0', String(count)]
    })
    const settled = await Promise.allSettled(
      found.map(async ({ member }) => {
        const key = keyOf(member)
        return key && (await this.remove(key, String(before)))
      }),
    )
    const removed = settled.flatMap((each) => (each.status === 'fulfilled' && each.value ? [each.value] : []))
    const failed = settled.findIndex((each) => each.status === 'rejected')
    // Nobody else will be told of what was removed here, so an error of some must not hide the others.
    if (failed >= 0 && removed.length === 0) throw (settled[failed] as PromiseRejectedResult).reason
    const next = failed >= 0 ? found[failed] : found.length === limit ? found.at(-1) : undefined
    return next ? { removed, next: `${next.bucket}.` } : { removed }
  }

  /**
   * Removes a record from its bucket; with `before` only if it expired by then.
   *
   * @returns what was removed, to exactly one of those who ask
   */
  async remove(key: Key, before = ''): Promise<Swept | undefined> {
    const { member, record, keys, expiries, bucket } = this.#layout.place(key)
    const channel = this.#layout.channel(bucket, this.#wire.cluster)
    const reply = await run(this.#wire, remove, [record, keys, expiries], [member, before, channel])
    if (!Array.isArray(reply)) return undefined
    const [expiresAt, labels] = reply.map(text)
    return {
      key: { collection: key.collection, id: key.id },
      labels: separate(labels ?? ''),
      expiresAt: Number(expiresAt),
    }
  }

  /** Asks bucket after bucket for members, in groups, until there are `limit` or no bucket is left. */
  async #walk(
    start: Position,
    end: number,
    limit: number,
    asking: (tag: string, count: number, after: string) => readonly string[],
  ): Promise<readonly Found[]> {
    const found: Found[] = []
    let { bucket, after } = start
    let group = firstGroup
    while (bucket < end && found.length < limit) {
      const asked = Array.from({ length: Math.min(group, end - bucket) }, (_, i) => bucket + i)
      const count = limit - found.length
      const replies = await all(
        `asking ${asked.length} buckets`,
        asked.map((each, i) => {
          const tag = this.#layout.tag(each)
          return this.#wire.send(tag, asking(tag, count, i === 0 ? after : ''))
        }),
      )
      for (const [i, members] of replies.entries()) {
        for (const member of members as readonly unknown[])
          found.push({ bucket: bucket + i, member: text(member) })
      }
      bucket += asked.length
      after = ''
      group = Math.min(group * 2, largestGroup)
    }
    return found.slice(0, limit)
  }
}

function parsed(cursor: string): Position {
  const match = /^(\d{1,4})\.([a-z0-9-]{1,32}\/[A-Za-z0-9_~-]{1,120})?$/.exec(cursor)
  const bucket = Number(match?.[1])
  if (!match || bucket >= bucketCount) throw new InvalidCursor('not a cursor of this store')
  return { bucket, after: match[2] ?? '' }
}
