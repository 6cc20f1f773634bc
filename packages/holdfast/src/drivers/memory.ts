/**
 * Records in the memory of this process: for tests, for development, for programs of one process that may forget
 * everything when they end, and, with `cache: true`, for the upper tier over another store.
 *
 * Layout: per namespace and collection a map by id, the ids in order (chunks of a few hundred), and the carriers of
 * each label in the same order; per namespace a heap by expiry. A record takes about 0.4 KiB besides its own data.
 *
 * Expiry: exact. Expired records stay until they are swept, or until the memory is full (then they go first and the
 * watchers are told, but no sweep answers with them). A sweep takes them from the heap, and looks at nothing else.
 *
 * Atomic: everything, batches and labels included, because no `await` lies between look and write. Answers are given
 * plainly. Bounded: see `Memory`.
 *
 * Not durable, and not shared between processes. Stores in one process share a `Memory` that is given to them.
 */

import { InvalidCursor, InvalidOption } from '../errors.ts'
import type {
  BatchOutcome,
  Call,
  Capabilities,
  Driver,
  Opened,
  Operation,
  Outcome,
  ReadOptions,
  Replacement,
  Touch,
  View,
  Watch,
} from '../store/contract.ts'
import { guard } from '../store/guard.ts'
import { isLive, type Key, type StoredRecord } from '../store/record.ts'
import type { Store, StoreOptions } from '../store/store.ts'
import { type Entry, recordOf } from './memory/entry.ts'
import { Memory, type MemoryLimits } from './memory/memory.ts'
import { countEntries, listPage, scanPage } from './memory/pages.ts'
import type { Space } from './memory/space.ts'
import { demandOf, isDone, keyOf, outcomeOf, type Step } from './memory/step.ts'

export { Memory } from './memory/memory.ts'
export type { MemoryLimits } from './memory/memory.ts'

/** Settings of a memory store. */
export interface MemoryOptions extends MemoryLimits {
  /** The memory that it shares with other stores; their namespaces keep apart. @default one of its own */
  readonly memory?: Memory
}

/**
 * A store in the memory of this process.
 *
 * @throws {InvalidOption} for a limit out of range, or limits beside a `memory` that has its own.
 */
export function memoryStore(options: StoreOptions & MemoryOptions = {}): Store {
  return guard(memoryDriver(options), options)
}

/** The driver under {@link memoryStore}, for those who wrap it. */
export function memoryDriver(options: Pick<StoreOptions, 'namespace'> & MemoryOptions = {}): Driver {
  const { memory, maxBytes, maxRecords, cache } = options
  if (memory && (maxBytes ?? maxRecords ?? cache) !== undefined) {
    throw new InvalidOption('a shared memory has limits of its own: give them to `new Memory(…)`')
  }
  return new MemoryDriver(memory ?? new Memory(options), options.namespace ?? 'holdfast')
}

/** What a sweep's cursor says: there is more. The heap knows where. */
const more = 'more'

class MemoryDriver implements Driver {
  readonly #memory: Memory
  readonly #space: Space
  readonly #watches = new Set<Watch>()

  constructor(memory: Memory, namespace: string) {
    this.#memory = memory
    this.#space = memory.space(namespace)
  }

  open(): Opened {
    const { isCache, maxRecords, maxBytes } = this.#memory
    const kind = isCache ? 'cache' : 'store'
    const description = `memory ${kind} of up to ${maxRecords} records and ${maxBytes} bytes`
    return { capabilities: capabilities(isCache), description }
  }

  create(record: StoredRecord, call: Call): 'done' | 'conflict' {
    return this.write([{ type: 'create', record }], call).applied ? 'done' : 'conflict'
  }

  replace(replacement: Replacement, call: Call): Outcome {
    return this.write([{ type: 'replace', ...replacement }], call).outcomes[0] ?? 'gone'
  }

  touch(touches: readonly Touch[], { now }: Call): readonly Outcome[] {
    return touches.map((touch) => {
      const step = this.#judged({ type: 'touch', ...touch }, now)
      if (step.outcome === 'done') this.#apply(step)
      return step.outcome
    })
  }

  read(
    keys: readonly Key[],
    { expired }: Required<ReadOptions>,
    { now }: Call,
  ): (StoredRecord | undefined)[] {
    return keys.map((key) => {
      const entry = this.#space.find(key)
      if (!entry || !(expired || isLive(entry, now))) return undefined
      this.#memory.use(entry)
      return recordOf(entry)
    })
  }

  view<T>(key: Key, view: View<T>, now: number): T | undefined {
    const entry = this.#space.find(key)
    if (!entry || !isLive(entry, now)) return undefined
    this.#memory.use(entry)
    return this.#memory.looks.at(entry, view)
  }

  write(operations: readonly Operation[], { now }: Call): BatchOutcome {
    const judged = (): Step[] => operations.map((operation) => this.#judged(operation, now))
    let steps = judged()
    // An expired record that was to be buried may have made the room: it is gone then.
    if (steps.every(isDone) && this.#memory.makeRoom(demandOf(steps), now)) steps = judged()
    const applied = steps.every(isDone)
    if (applied) {
      for (const step of steps) this.#apply(step)
      this.#tell(operations)
    }
    return { applied, outcomes: steps.map(({ outcome }) => outcome) }
  }

  list(...[listing, { now }]: Parameters<Driver['list']>): ReturnType<Driver['list']> {
    return listPage(this.#space, listing, now)
  }

  count(...[counting, { now }]: Parameters<Driver['count']>): number {
    return countEntries(this.#space, counting, now)
  }

  scan(...[slice, { now }]: Parameters<Driver['scan']>): ReturnType<Driver['scan']> {
    return scanPage(this.#space, slice, now)
  }

  sweep(...[{ before, limit, after }]: Parameters<Driver['sweep']>): ReturnType<Driver['sweep']> {
    if (after !== undefined && after !== more)
      throw new InvalidCursor('this is no cursor of a sweep in memory')
    const { expiry } = this.#space
    const removed = []
    let first = expiry.first
    for (; first && first.expiresAt <= before && removed.length < limit; first = expiry.first) {
      removed.push({ key: keyOfEntry(first), labels: first.labels, expiresAt: first.expiresAt })
      this.#memory.delete(first)
    }
    this.#space.tell(removed.map(({ key }) => key))
    return first && first.expiresAt <= before ? { removed, next: more } : { removed }
  }

  remove(keys: readonly Key[]): void {
    const entries = keys.map((key) => this.#space.find(key)).filter((entry) => entry !== undefined)
    for (const entry of entries) this.#memory.delete(entry)
    this.#space.tell(entries.map(keyOfEntry))
  }

  watch(...[listener]: Parameters<Driver['watch']>): Watch {
    const stop = this.#space.listen(listener)
    const watch: Watch = {
      // Listeners are told before a write is acknowledged, so nothing is ever on its way.
      mark: () => undefined,
      close: () => {
        stop()
        this.#watches.delete(watch)
      },
    }
    this.#watches.add(watch)
    return watch
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) await watch.close()
  }

  #judged(operation: Operation, now: number): Step {
    const entry = this.#space.find(keyOf(operation))
    if (entry) this.#memory.use(entry)
    return { operation, entry, outcome: outcomeOf(operation, entry, now) }
  }

  #apply({ operation, entry }: Step): void {
    if (operation.type === 'create') {
      if (entry) this.#memory.delete(entry)
      this.#memory.add(this.#space, operation.record)
      return
    }
    if (!entry) return
    const touchedAt = Math.max(entry.touchedAt, operation.touchedAt)
    const later = Math.max(entry.expiresAt, operation.expiresAt)
    if (operation.type === 'touch') this.#memory.prolong(entry, later, touchedAt)
    else {
      const expiresAt = operation.setsExpiry ? operation.expiresAt : later
      this.#memory.change(entry, { ...operation, expiresAt, touchedAt })
    }
  }

  #tell(operations: readonly Operation[]): void {
    if (this.#space.watched) this.#space.tell(operations.filter(({ type }) => type !== 'touch').map(keyOf))
  }
}

function keyOfEntry({ shelf, id }: Entry): Key {
  return { collection: shelf.collection, id }
}

function capabilities(isCache: boolean): Capabilities {
  return {
    durable: { process: false, machine: false, failover: false },
    shared: false,
    // A cache drops the living when it is full, so its listings may miss what was stored.
    listing: isCache ? 'partial' : 'complete',
    scanning: true,
    counting: true,
    atomicBatch: true,
    atomicLabels: true,
    nativeExpiry: false,
    cheapTouch: true,
    cached: false,
    watch: true,
    maxBatch: 10_000,
  }
}
