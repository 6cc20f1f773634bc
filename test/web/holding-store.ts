/** A store whose writes of one kind wait until they are let go: what a slow network does. */

import type { Store } from '../../packages/holdfast/src/store/store.ts'

export interface Holding {
  readonly held: Store
  /** Resolves when a write is about to be sent. */
  readonly arrived: Promise<unknown>
  readonly open: () => void
}

export function holding(store: Store, method: 'create' | 'replace' = 'create'): Holding {
  const [arrival, gate] = [Promise.withResolvers<unknown>(), Promise.withResolvers<unknown>()]
  const late = async (...given: never[]): Promise<unknown> => {
    arrival.resolve(undefined)
    await gate.promise
    const write = store[method].bind(store) as (...given: never[]) => Promise<unknown>
    return await write(...given)
  }
  const held = new Proxy(store, {
    get: (target, name) => {
      if (name === method) return late
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return {
    held,
    arrived: arrival.promise,
    open: () => {
      gate.resolve(undefined)
    },
  }
}
