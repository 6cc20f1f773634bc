/**
 * The store that is checked: opened for each test on a namespace of its own, and cleared of what the test left.
 *
 * Where records and label index do not change in one step, entries of the index may outlive their records until a
 * listing meets them, and those of the last seconds are left alone even then: such a store is listed once more when
 * the tests have ended.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { HoldfastError, type Key, openStore, type Store } from 'holdfast'
import type { SuiteStoreOptions } from 'holdfast/testing'

/** How many keys are removed at once. */
const perCall = 100
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

export class Subject {
  readonly #url: string
  readonly #written = new Map<string, Traces>()
  /** The namespaces of which the records are gone but perhaps not the index, and since when. */
  readonly #unsettled = new Map<string, { readonly traces: Traces; readonly since: number }>()

  constructor(url: string) {
    this.#url = url
  }

  /** Opens the store on a namespace, and notes what is written. */
  async make(options: SuiteStoreOptions): Promise<Store> {
    const traces = this.#written.get(options.namespace) ?? new Traces()
    this.#written.set(options.namespace, traces)
    return noting(await openStore(this.#url, options), traces)
  }

  /** Removes the records that were written to a namespace. */
  async clear(namespace: string): Promise<void> {
    const traces = this.#written.get(namespace)
    if (!traces) return
    const keys = [...traces.keys.values()]
    if (keys.length > 0) {
      await this.#within(namespace, async (store) => {
        for (let start = 0; start < keys.length; start += perCall) {
          await store.remove(keys.slice(start, start + perCall))
        }
        const { atomicLabels, listing } = store.capabilities
        if (!atomicLabels && listing === 'complete') {
          this.#unsettled.set(namespace, { traces, since: performance.now() })
        }
      })
    }
    this.#written.delete(namespace)
  }

  /** Clears what is left, also of tests that could not do so themselves. Answers with the namespaces where it failed. */
  async clearAll(): Promise<readonly string[]> {
    for (const namespace of [...this.#written.keys()]) await this.clear(namespace).catch(() => undefined)
    for (const [namespace, { traces, since }] of this.#unsettled) {
      await delay(Math.max(0, since + settledAfter - performance.now()))
      await this.#within(namespace, (store) => listAll(store, traces)).then(
        () => this.#unsettled.delete(namespace),
        () => undefined,
      )
    }
    return [...this.#written.keys(), ...this.#unsettled.keys()]
  }

  async #within(namespace: string, use: (store: Store) => Promise<void>): Promise<void> {
    const store = await openStore(this.#url, { namespace })
    try {
      await use(store)
    } finally {
      await store.close()
    }
  }
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

/** The same store; what it is asked to write is noted. */
function noting(store: Store, traces: Traces): Store {
  const writings: Readonly<Record<string, (given: unknown) => readonly Writing[]>> = {
    create: (draft) => [draft as Writing],
    replace: (rewrite) => [rewrite as Writing],
    write: (items) => items as readonly Writing[],
  }
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...given: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(member, target, given)
        const written = typeof name === 'string' ? writings[name]?.(given[0]) : undefined
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
