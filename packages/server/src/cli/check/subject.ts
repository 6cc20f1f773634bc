/**
 * The store that is checked: opened for each test on a namespace of its own, and cleared of what the test left.
 *
 * Where records and label index do not change in one step, entries of the index may outlive their records until a
 * listing meets them, and those of the last seconds are left alone even then: such a store is listed once more when
 * the tests have ended. A cache of tiers is such a store too, and is cleared by itself: nobody waits for it when something
 * is removed through the tiers.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { HoldfastError, type Key, openStore, type Store } from 'holdfast'
import type { SuiteStoreOptions } from 'holdfast/testing'

/** How many keys are removed at once. */
const perCall = 100
/** How long the name of a collection may be. */
const longestCollection = 32
/** How long a store may leave entries of its index alone, in milliseconds. */
const settledAfter = 16_000

/** What was written to one namespace. */
class Traces {
  readonly keys = new Map<string, Key>()
  readonly labels = new Map<string, Set<string>>()

  note({ key, labels = [] }: Writing): void {
    this.keys.set(`${key.collection}/${key.id}`, { ...key })
    const noted = this.labels.get(key.collection) ?? new Set()
    for (const label of labels) noted.add(label)
    this.labels.set(key.collection, noted)
  }
}

interface Writing {
  readonly key: Key
  readonly labels?: readonly string[]
}

/** A namespace of which the records are gone but perhaps not the index. */
interface Unsettled {
  readonly url: string
  readonly namespace: string
  readonly traces: Traces
  /** When they were removed. */
  readonly since: number
}

export class Subject {
  readonly #url: string
  /** The stores that are caches in it. */
  readonly #caches: readonly string[]
  readonly #written = new Map<string, Traces>()
  readonly #unsettled = new Set<Unsettled>()

  constructor(url: string) {
    this.#url = url
    this.#caches = cachesOf(url)
  }

  /** Opens the store on a namespace, and notes what is written. */
  async make(options: SuiteStoreOptions): Promise<Store> {
    const traces = this.#written.get(options.namespace) ?? new Traces()
    this.#written.set(options.namespace, traces)
    const noted = this.#caches.length > 0 ? { ...writings, ...readings } : writings
    return noting(await openStore(this.#url, options), traces, noted)
  }

  /** Removes the records that were written to a namespace. */
  async clear(namespace: string): Promise<void> {
    const traces = this.#written.get(namespace)
    if (!traces) return
    await this.#removed(this.#url, namespace, traces)
    const cached = inCache(traces)
    for (const cache of this.#caches) await this.#removed(cache, namespace, cached)
    this.#written.delete(namespace)
  }

  /** Clears what is left, also of tests that could not do so themselves. Answers with the namespaces where it failed. */
  async clearAll(): Promise<readonly string[]> {
    for (const namespace of [...this.#written.keys()]) await this.clear(namespace).catch(() => undefined)
    for (const each of this.#unsettled) {
      const { url, namespace, traces, since } = each
      await delay(Math.max(0, since + settledAfter - performance.now()))
      await within(url, namespace, (store) => listAll(store, traces)).then(
        () => this.#unsettled.delete(each),
        () => undefined,
      )
    }
    const unsettled = [...this.#unsettled].map(({ namespace }) => namespace)
    return [...new Set([...this.#written.keys(), ...unsettled])]
  }

  async #removed(url: string, namespace: string, traces: Traces): Promise<void> {
    const keys = [...traces.keys.values()]
    if (keys.length === 0) return
    await within(url, namespace, async (store) => {
      for (let start = 0; start < keys.length; start += perCall) {
        await store.remove(keys.slice(start, start + perCall))
      }
      const { atomicLabels, listing } = store.capabilities
      if (!atomicLabels && listing === 'complete') {
        this.#unsettled.add({ url, namespace, traces, since: performance.now() })
      }
    })
  }
}

async function within(url: string, namespace: string, use: (store: Store) => Promise<void>): Promise<void> {
  const store = await openStore(url, { namespace })
  try {
    await use(store)
  } finally {
    await store.close()
  }
}

/** The URLs of the caches in one that names tiers. This process's own memory is gone with it. */
function cachesOf(url: string): readonly string[] {
  if (!url.startsWith('tiered:')) return []
  const tiers = url.slice('tiered:'.length).trim().split(/\s+/)
  return tiers.slice(0, -1).filter((each) => each !== 'memory:')
}

/** Where a cache keeps what was written. Entries carry no labels. */
function inCache({ keys }: Traces): Traces {
  const traces = new Traces()
  for (const { collection, id } of keys.values()) {
    const place = `cached-${collection}`
    // For a name that is too long the cache is not used.
    if (place.length <= longestCollection) traces.note({ key: { collection: place, id } })
  }
  return traces
}

/** Goes through every list that the records were in: whatever the index still holds of them is dropped by that. */
async function listAll(store: Store, { labels }: Traces): Promise<void> {
  for (const [collection, noted] of labels) {
    for (const each of [[], ...[...noted].map((label) => [label])]) {
      let after: string | undefined
      do {
        const next = after === undefined ? {} : { after }
        after = (await store.list(collection, { labels: each, limit: 1_000, values: false, ...next })).next
      } while (after !== undefined)
    }
  }
}

/** What calls ask for, by their first argument. */
type Asked = Readonly<Record<string, (given: unknown) => readonly Writing[]>>

const writings: Asked = {
  create: (draft) => [draft as Writing],
  replace: (rewrite) => [rewrite as Writing],
  write: (items) => items as readonly Writing[],
}

/** Who reads something leaves a trace in a cache, also where there is nothing. */
const readings: Asked = {
  read: (key) => [{ key: key as Key }],
  view: (key) => [{ key: key as Key }],
  readMany: (keys) => (keys as readonly Key[]).map((key) => ({ key })),
}

/** The same store; what it is asked is noted. */
function noting(store: Store, traces: Traces, asked: Asked): Store {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...given: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(member, target, given)
        const written = typeof name === 'string' ? asked[name]?.(given[0]) : undefined
        if (written) unlessRefused(answer, () => written.forEach((each) => traces.note(each)))
        return answer
      }
    },
  })
}

/** Whether it was done or not, also where nobody knows; but not where it was malformed, which the suite tries too. */
function unlessRefused(answer: unknown, then: () => void): void {
  Promise.resolve(answer).then(then, (error: unknown) => {
    const isMalformed = error instanceof HoldfastError && error.code.startsWith('HOLDFAST_INVALID_')
    if (!isMalformed) then()
  })
}
