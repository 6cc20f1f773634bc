/**
 * Listing, counting and scanning. Names come from a folder and are sorted; then each record is read and judged by what
 * it is now.
 */

import { readdirSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { InvalidCursor, StoreCorrupt } from '../../errors.ts'
import type { Call, Counting, Cursor, Listing, Page, Slice } from '../../store/contract.ts'
import { carries, isId, isLive, type Key, type Label, type StoredRecord } from '../../store/record.ts'
import { codeOf, readingFailure, vanished } from './failure.ts'
import { readRecord } from './files.ts'
import {
  allShards,
  decodedId,
  digestOf,
  digests,
  encodedId,
  keyOfName,
  type Layout,
  shards,
  shardOf,
} from './layout.ts'
import type { Found } from './opening.ts'
import type { Shard } from './shard.ts'
import { Snapshots } from './snapshots.ts'
import { unlisting } from './tasks.ts'

/** The most records that one page looks at. */
const mostLookedAt = 1_001
/** The most entries that one page puts right. */
const mostRepairs = 32
/** Milliseconds that putting right may wait for a lock: the next page can do it as well. */
const repairPatience = 20
/** After so many records others get their turn on this thread. */
const atATime = 64

export class Reading {
  readonly #found: Found
  readonly #layout: Layout
  readonly #shards: ReadonlyMap<string, Shard>
  readonly #snapshots = new Snapshots()
  readonly #warned = new Set<string>()

  constructor(found: Found, shardsByName: ReadonlyMap<string, Shard>) {
    this.#found = found
    this.#layout = found.layout
    this.#shards = shardsByName
  }

  /** One record. */
  read(key: Key, values: boolean): StoredRecord | undefined {
    return readRecord(this.#layout.records(shardOf(key)), this.#layout.record(key), key, values)
  }

  async list(listing: Listing, call: Call): Promise<Page> {
    const { collection, labels, limit, values, expired, reverse } = listing
    const after = listing.after === undefined ? undefined : listed(listing.after)
    const by = await this.#rarest(collection, labels)
    const kept = after && this.#snapshots.find(after.token)
    const names = kept ?? (await this.#names(collection, by, call))
    const records: StoredRecord[] = []
    const dead: Key[] = []
    let looked = 0
    let last = ''
    for (const id of idsBeyond(names, after?.id, reverse)) {
      if (records.length === limit || looked === mostLookedAt) {
        await this.#repair(dead, by)
        return { records, next: this.#cursor(last, names, kept && after.token) }
      }
      last = id
      if (++looked % atATime === 0) await new Promise(setImmediate)
      const key = { collection, id }
      const record = this.#whole(key, values)
      if (record === 'damaged') continue
      if (by !== undefined && record?.labels.includes(by) !== true) dead.push(key)
      if (record && (expired || isLive(record, call.now)) && carries(record.labels, labels))
        records.push(record)
    }
    if (kept) this.#snapshots.drop(after.token)
    await this.#repair(dead, by)
    return { records }
  }

  async count({ collection, labels, atMost }: Counting, call: Call): Promise<number> {
    const by = await this.#rarest(collection, labels)
    let [count, looked] = [0, 0]
    for (const id of idsBeyond(await this.#names(collection, by, call), undefined, false)) {
      if (++looked % atATime === 0) await new Promise(setImmediate)
      if (looked % atATime === 0 && call.signal.aborted) break
      const record = this.#whole({ collection, id }, false)
      if (record === undefined || record === 'damaged' || !isLive(record, call.now)) continue
      if (carries(record.labels, labels) && ++count === atMost) break
    }
    return count
  }

  /** A slice is a range of digests, so a range of shards; in a shard, records go by their names. */
  async scan({ index, of, after, limit, expired }: Slice, call: Call): Promise<Page> {
    const [from, to] = [(index * digests) / of, ((index + 1) * digests) / of]
    const start = after === undefined ? { shard: shardAt(from), name: '' } : scanned(after)
    const records: StoredRecord[] = []
    for (let shard = start.shard; shard < shards && (shard * digests) / shards < to; shard++) {
      const names = (await this.#namesIn(allShards[shard] ?? '', call)).sort()
      for (const name of names) {
        const key = keyOfName(name)
        if (!key || (shard === start.shard && name <= start.name)) continue
        const digest = digestOf(key)
        if (digest < from || digest >= to) continue
        if (records.length === limit) return { records, next: cursorOf(records) }
        const record = this.read(key, true)
        if (record && (expired || isLive(record, call.now))) records.push(record)
      }
      await new Promise(setImmediate)
    }
    return { records }
  }

  /** The names of the files of ids, in byte order of the ids. */
  async #names(collection: string, by: Label | undefined, call: Call): Promise<string[]> {
    if (by !== undefined) return (await namesIn(this.#layout.label(collection, by))).sort()
    const prefix = `${collection}.`
    const names: string[] = []
    for (const shard of allShards) {
      for (const name of await this.#namesIn(shard, call)) {
        if (name.startsWith(prefix)) names.push(name.slice(prefix.length))
      }
    }
    return names.sort()
  }

  /**
   * The files of a shard, while nobody changes it: on some file systems a folder that is read while a file in it is
   * renamed over another shows neither of the two.
   */
  async #namesIn(shard: string, call: Call): Promise<string[]> {
    const folder = this.#layout.records(shard)
    const look = (): string[] => {
      try {
        return readdirSync(folder)
      } catch (error) {
        throw readingFailure(error, folder)
      }
    }
    if (this.#found.isReadOnly || this.#found.fileSystem.renamesInPlace) return look()
    return (await this.#shards.get(shard)?.look(look, call)) ?? []
  }

  /** The label to go by: the one whose folder is smallest, as far as the file system tells. */
  async #rarest(collection: string, labels: readonly Label[]): Promise<Label | undefined> {
    if (labels.length < 2) return labels[0]
    const sizes = new Map<Label, number>()
    for (const label of labels) {
      const at = await stat(this.#layout.label(collection, label)).catch(() => undefined)
      sizes.set(label, at?.size ?? 0)
    }
    return labels.toSorted((a, b) => (sizes.get(a) ?? 0) - (sizes.get(b) ?? 0))[0]
  }

  /** A record for a listing. One that is damaged doesn't hide the others, but is made known. */
  #whole(key: Key, values: boolean): StoredRecord | undefined | 'damaged' {
    try {
      return this.read(key, values)
    } catch (error) {
      if (!(error instanceof StoreCorrupt)) throw error
      this.#warn(error)
      return 'damaged'
    }
  }

  #warn({ message, code }: StoreCorrupt): void {
    if (this.#warned.has(message) || this.#warned.size > mostLookedAt) return
    this.#warned.add(message)
    process.emitWarning(`left out: ${message}`, { type: 'HoldfastWarning', code })
  }

  /** The cursor of a listing is the id that it ended with, and what finds the names again. */
  #cursor(id: string, names: readonly string[], token: string | undefined): Cursor {
    const keptAs = token ?? this.#snapshots.keep(names)
    return keptAs === undefined ? id : `${id}.${keptAs}`
  }

  /** Drops entries that no record accounts for: left by a crash, or about to be accounted for. */
  async #repair(dead: readonly Key[], by: Label | undefined): Promise<void> {
    if (by === undefined || this.#found.isReadOnly) return
    const call = { now: 0, signal: new AbortController().signal }
    await Promise.all(
      dead.slice(0, mostRepairs).map(async (key) => {
        const task = unlisting(this.#layout, key, by)
        await this.#shards
          .get(shardOf(key))
          ?.add(task, call, repairPatience)
          .catch(() => undefined)
      }),
    )
  }
}

/** The names in a folder of labels. There is none where nothing has the label. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw readingFailure(error, folder)
  }
  const above = dirname(folder)
  if ((await stat(above).catch(() => undefined))?.isDirectory() === true) return []
  throw vanished(above)
}

/** The ids after one, in the order that is asked for, of names in ascending order. */
function* idsBeyond(
  names: readonly string[],
  after: string | undefined,
  reverse: boolean,
): Generator<string> {
  const step = reverse ? -1 : 1
  let i = reverse ? names.length - 1 : 0
  if (after !== undefined) {
    const end = encodedId(after)
    i = reverse ? countUntil(names, (name) => name < end) - 1 : countUntil(names, (name) => name <= end)
  }
  for (; i >= 0 && i < names.length; i += step) {
    const id = decodedId(names[i] ?? '')
    if (id !== undefined) yield id
  }
}

/** How many of the sorted names are on the near side, found by halving. */
function countUntil(names: readonly string[], isNear: (name: string) => boolean): number {
  let [from, to] = [0, names.length]
  while (from < to) {
    const middle = (from + to) >>> 1
    if (isNear(names[middle] ?? '')) from = middle + 1
    else to = middle
  }
  return from
}

function listed(after: Cursor): { id: string; token: string } {
  const [, id = '', token = ''] = /^([^.]*)(?:\.([A-Za-z0-9_-]{12}))?$/.exec(after) ?? []
  if (!isId(id)) throw invalid(after)
  return { id, token }
}

function shardAt(digest: number): number {
  return Math.floor((digest * shards) / digests)
}

/** The cursor of a scan is the shard and the name that it ended with. */
function cursorOf(records: readonly StoredRecord[]): Cursor {
  const { collection = '', id = '' } = records.at(-1)?.key ?? {}
  return `${collection}.${id}`
}

function scanned(after: Cursor): { shard: number; name: string } {
  const [collection = '', id = ''] = after.split('.')
  const name = `${collection}.${encodedId(id)}`
  const key = keyOfName(name)
  if (!key || after !== `${collection}.${id}`) throw invalid(after)
  return { shard: shardAt(digestOf(key)), name }
}

function invalid(cursor: Cursor): InvalidCursor {
  return new InvalidCursor(`${JSON.stringify(cursor.slice(0, 40))} is not a cursor of a page of this store`)
}
