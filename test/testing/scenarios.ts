/** Scenarios for the tests of the schedule search. */

import assert from 'node:assert/strict'
import {
  type ExploreOptions,
  exploreSchedules,
  type ScenarioMaker,
  ScheduleFailure,
  type World,
} from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type Key, never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'

export const x: Key = { collection: 'sessions', id: 'x' }
export const y: Key = { collection: 'sessions', id: 'y' }

export function storeIn(world: World): Store {
  return guard(world.driver(memoryDriver()), { clock: world.clock })
}

export async function numberAt(store: Store, key: Key): Promise<{ n: number; version: string }> {
  const record = await store.read(key)
  assert.ok(record)
  return { n: Number(Buffer.from(record.value).toString()), version: record.version }
}

export function number(n: number): Buffer {
  return Buffer.from(String(n))
}

/** Tasks that each add one. `again` says whether one whose write was refused tries again. */
export function adders(names: string, again: boolean): ScenarioMaker {
  return async (world) => {
    const store = storeIn(world)
    await store.create({ key: x, value: number(0), expiresAt: never })
    const add = async (): Promise<void> => {
      for (;;) {
        const { n, version } = await numberAt(store, x)
        const written = await store.replace({
          key: x,
          expected: version,
          value: number(n + 1),
          expiresAt: never,
        })
        if (written.status === 'done' || !again) return
      }
    }
    return {
      tasks: Object.fromEntries(names.split(/(?:)/).map((name) => [name, add])),
      check: async () => assert.equal((await numberAt(store, x)).n, names.length),
    }
  }
}

/** Tasks that each read so many times: nothing depends on anything. */
export function readers(names: string, reads: number): ScenarioMaker {
  return (world) => {
    const store = storeIn(world)
    const read = async (): Promise<void> => {
      for (let i = 0; i < reads; i++) await store.read(x)
    }
    return store.open().then(() => ({
      tasks: Object.fromEntries(names.split(/(?:)/).map((name) => [name, read])),
      check: () => undefined,
    }))
  }
}

export async function failureOf(make: ScenarioMaker, options?: ExploreOptions): Promise<ScheduleFailure> {
  const failure = await exploreSchedules(make, options).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(failure instanceof ScheduleFailure, `no schedule failed, but there was ${String(failure)}`)
  return failure
}
