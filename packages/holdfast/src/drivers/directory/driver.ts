/** The driver: reads on the caller's thread, and changes through the queues of the shards. */

import { rm } from 'node:fs/promises'

import { HoldfastError, NotSupported, PartialAnswer, StoreClosed } from '../../errors.ts'
import type {
  Awaitable,
  BatchOutcome,
  Call,
  Counting,
  Driver,
  Listing,
  Opened,
  Outcome,
  Page,
  ReadOptions,
  Replacement,
  Slice,
  Sweeping,
  SweptBatch,
  Touch,
  Watch,
} from '../../store/contract.ts'
import { isLive, type Key, type StoredRecord } from '../../store/record.ts'
import { Finder } from './finder.ts'
import { allShards, type Layout, shardOf } from './layout.ts'
import { Locks } from './locks.ts'
import { capabilitiesOf, descriptionOf, fillReserve, type Found, openRoot, temporaryRoot } from './opening.ts'
import { Reading } from './reading.ts'
import { Reserve } from './reserve.ts'
import { Shard } from './shard.ts'
import { Sweep } from './sweep.ts'
import { creating, removing, replacing, type Task, touching } from './tasks.ts'

/** What the driver was told. */
export interface Settings {
  /** The folder; missing, a temporary one is made. */
  readonly path: string | undefined
  readonly namespace: string
  readonly acceptsShared: boolean
  /** Milliseconds that a change waits for a lock. */
  readonly patience: number
}

interface Parts {
  readonly found: Found
  readonly locks: Locks
  readonly shards: ReadonlyMap<string, Shard>
  readonly reading: Reading
  readonly sweep: Sweep
}

/** How many connections to lock files are kept open. */
const mostLocks = 64

export class DirectoryDriver implements Driver {
  readonly #settings: Settings
  #parts: Parts | undefined

  constructor(settings: Settings) {
    this.#settings = settings
  }

  async open(): Promise<Opened> {
    const { path, namespace, acceptsShared } = this.#settings
    const isTemporary = path === undefined
    const root = path ?? (await temporaryRoot())
    const found = await openRoot(root, namespace, { isTemporary, acceptsShared }).catch(
      async (error: unknown) => {
        if (isTemporary) await rm(root, { recursive: true, force: true })
        throw error
      },
    )
    const reserve = new Reserve(found.root)
    if (!found.isReadOnly) await fillReserve(reserve)
    const locks = new Locks(found.layout, mostLocks)
    const shards = this.#shardsOf(found.layout, locks, reserve)
    const reading = new Reading(found, shards)
    this.#parts = { found, locks, shards, reading, sweep: new Sweep(found.layout, shards) }
    return { capabilities: capabilitiesOf(found), description: descriptionOf(found) }
  }

  async create(record: StoredRecord, call: Call): Promise<'done' | 'conflict'> {
    return await this.#change(creating(record, call.now), call)
  }

  async replace(replacement: Replacement, call: Call): Promise<Outcome> {
    return await this.#change(replacing(replacement, call.now), call)
  }

  async touch(touches: readonly Touch[], call: Call): Promise<readonly Outcome[]> {
    const changes = touches.map((each) => this.#change(touching(each, call.now), call))
    return allOf(await Promise.allSettled(changes), 'touched')
  }

  read(
    keys: readonly Key[],
    { expired }: Required<ReadOptions>,
    call: Call,
  ): Awaitable<readonly (StoredRecord | undefined)[]> {
    const { reading } = this.#open
    const visible = (key: Key): StoredRecord | undefined => {
      const record = reading.read(key, true)
      return record && (expired || isLive(record, call.now)) ? record : undefined
    }
    if (keys.length === 1) return keys.map(visible)
    return allOf(
      keys.map((key) => settled(() => visible(key))),
      'read',
    )
  }

  write(): Awaitable<BatchOutcome> {
    throw new NotSupported('a directory store has no atomic batches', 'atomicBatch')
  }

  async list(listing: Listing, call: Call): Promise<Page> {
    return await this.#open.reading.list(listing, call)
  }

  async count(counting: Counting, call: Call): Promise<number> {
    return await this.#open.reading.count(counting, call)
  }

  async scan(slice: Slice, call: Call): Promise<Page> {
    return await this.#open.reading.scan(slice, call)
  }

  async sweep(sweeping: Sweeping, call: Call): Promise<SweptBatch> {
    return await this.#open.sweep.sweep(sweeping, call)
  }

  async remove(keys: readonly Key[], call: Call): Promise<void> {
    const changes = keys.map((key) => this.#change(removing(key), call))
    allOf(await Promise.allSettled(changes), 'removed')
  }

  watch(): Awaitable<Watch> {
    throw new NotSupported('a directory store tells nobody of changes', 'watch')
  }

  async close(): Promise<void> {
    const parts = this.#parts
    if (!parts) return
    await Promise.all([...parts.shards.values()].map((shard) => shard.drained()))
    this.#parts = undefined
    parts.locks.close()
    if (parts.found.isTemporary) await rm(parts.found.root, { recursive: true, force: true })
  }

  get #open(): Parts {
    if (!this.#parts) throw new StoreClosed('the store is not open')
    return this.#parts
  }

  #shardsOf(layout: Layout, locks: Locks, reserve: Reserve): ReadonlyMap<string, Shard> {
    const workshop = { layout, finder: new Finder(), reserve }
    const { patience } = this.#settings
    return new Map(allShards.map((name) => [name, new Shard(name, workshop, locks, patience)]))
  }

  async #change<T>(task: Task<T>, call: Call): Promise<T> {
    const shard = this.#open.shards.get(shardOf(task.key))
    if (!shard) throw new TypeError('there is a shard for every key')
    return await shard.add(task, call)
  }
}

function settled<T>(act: () => T): PromiseSettledResult<T> {
  try {
    return { status: 'fulfilled', value: act() }
  } catch (reason) {
    return { status: 'rejected', reason }
  }
}

/** All answers, or what there is of them as an error. */
function allOf<T>(results: readonly PromiseSettledResult<T>[], done: string): T[] {
  const failed = results.filter((each) => each.status === 'rejected')
  const [first] = failed
  if (!first) return results.map((each) => (each as PromiseFulfilledResult<T>).value)
  const cause: unknown = first.reason
  if (failed.length === results.length) throw cause
  throw new PartialAnswer(
    `${failed.length} of ${results.length} records could not be ${done}: ${cause instanceof HoldfastError ? cause.message : String(cause)}`,
    results.map((each) => (each.status === 'fulfilled' ? { answer: each.value } : undefined)),
    { cause },
  )
}
