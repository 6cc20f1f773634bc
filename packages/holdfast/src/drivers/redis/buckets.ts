/**
 * What goes through the buckets: scanning, by the index of keys, and sweeping, by the index of expiries. Both indexes
 * lie in the slots of their records and travel with them, so a cursor is good on every server and after a fail-over.
 */

import { InvalidCursor } from '../../errors.ts'
import type { Page, Slice, Swept, SweptBatch, Sweeping } from '../../store/contract.ts'
import { isLive, type Key, type StoredRecord } from '../../store/record.ts'
import { bucketCount, keyOf, type Layout, separate, text } from './layout.ts'
import type { Records } from './records.ts'
import { members, remove, run } from './scripts.ts'
import { all } from '../../store/parts.ts'
import type { Wire } from './wire.ts'

/** How many buckets are asked in one go: few first, and more while they turn out to be empty. */
const firstGroup = 8
/** Of a single server one script asks that many. */
const largestGroup = 512
/** How many commands of one call are under way at most. */
const mostUnderWay = 256

/** A member of a bucket's index. */
interface Found {
  readonly bucket: number
  readonly member: string
}

/** Which members of each bucket's index. */
interface Search {
  readonly index: 'k' | 'e'
  readonly command: 'ZRANGEBYLEX' | 'ZRANGEBYSCORE'
  readonly from: string
  readonly to: string
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
    const search: Search = { index: 'k', command: 'ZRANGEBYLEX', from: '-', to: '+' }
    const found = await this.#walk(start, end, limit, search)
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
    const search: Search = { index: 'e', command: 'ZRANGEBYSCORE', from: '-inf', to: String(before) }
    const found = await this.#walk({ bucket: start, after: '' }, bucketCount, limit, search)
    const settled = await settledInGroups(found, async ({ member }) => {
      const key = keyOf(member)
      return key && (await this.remove(key, String(before)))
    })
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
    const { record, keys, expiries, bucket } = this.#layout.place(key)
    const channel = this.#layout.channel(bucket, this.#wire.cluster)
    const reply = await run(this.#wire, remove, [record, keys, expiries], [before, channel])
    if (!Array.isArray(reply)) return undefined
    const [expiresAt, labels] = reply.map(text)
    return {
      key: { collection: key.collection, id: key.id },
      labels: separate(labels ?? ''),
      expiresAt: Number(expiresAt),
    }
  }

  /** Asks bucket after bucket for members, in groups, until there are `limit` or no bucket is left. */
  async #walk(start: Position, end: number, limit: number, search: Search): Promise<readonly Found[]> {
    const found: Found[] = []
    let { bucket, after } = start
    let group = firstGroup
    const most = this.#wire.cluster ? mostUnderWay : largestGroup
    while (bucket < end && found.length < limit) {
      const asked = Array.from({ length: Math.min(group, end - bucket) }, (_, i) => bucket + i)
      const from = after === '' ? '' : `(${after}`
      const count = String(limit - found.length)
      const replies = this.#wire.cluster
        ? await this.#askedOneByOne(asked, count, search, from)
        : await this.#askedTogether(asked, count, search, from)
      found.push(...replies)
      bucket += asked.length
      after = ''
      group = Math.min(group * 4, most)
    }
    return found.slice(0, limit)
  }

  /** In a cluster each bucket is asked by a command of its own, because it may lie anywhere. */
  async #askedOneByOne(
    buckets: readonly number[],
    count: string,
    { index, command, from, to }: Search,
    after: string,
  ): Promise<readonly Found[]> {
    const replies = await all(
      `asking ${buckets.length} buckets`,
      buckets.map((bucket, i) => {
        const name = this.#layout.tag(bucket) + index
        const first = (i === 0 && after) || from
        return this.#wire.send(name, [command, name, first, to, 'LIMIT', '0', count])
      }),
    )
    return replies.flatMap((found, i) => {
      return (found as readonly unknown[]).map((each) => ({ bucket: buckets[i] ?? 0, member: text(each) }))
    })
  }

  async #askedTogether(
    buckets: readonly number[],
    count: string,
    { index, command, from, to }: Search,
    after: string,
  ): Promise<readonly Found[]> {
    const [first = '', ...more] = buckets.map((bucket) => this.#layout.tag(bucket) + index)
    const reply = await run(this.#wire, members, [first, ...more], [count, command, from, to, after])
    return (reply as readonly unknown[]).map((each) => {
      const [place, member = ''] = text(each).split(' ')
      return { bucket: (buckets[0] ?? 0) + Number(place), member }
    })
  }
}

/** Does something with each, to its end, with not too many under way at a time. */
async function settledInGroups<T, R>(
  each: readonly T[],
  act: (one: T) => Promise<R>,
): Promise<readonly PromiseSettledResult<R>[]> {
  const settled: PromiseSettledResult<R>[] = []
  for (let i = 0; i < each.length; i += mostUnderWay)
    settled.push(...(await Promise.allSettled(each.slice(i, i + mostUnderWay).map(act))))
  return settled
}

function parsed(cursor: string): Position {
  const match = /^(\d{1,4})\.([a-z0-9-]{1,32}\/[A-Za-z0-9_~-]{1,120})?$/.exec(cursor)
  const bucket = Number(match?.[1])
  if (!match || bucket >= bucketCount) throw new InvalidCursor('not a cursor of this store')
  return { bucket, after: match[2] ?? '' }
}
