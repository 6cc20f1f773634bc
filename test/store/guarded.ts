/** Guarded stores over drivers that fail as planned, for the tests of the guard. */

import assert from 'node:assert/strict'
import { fakeClock, type FaultOptions, type FaultyDriver, withFaults } from 'holdfast/testing'
import type { Clock } from '../../packages/holdfast/src/clock.ts'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import type { Driver } from '../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type Key, never } from '../../packages/holdfast/src/store/record.ts'
import type { Store, StoreOptions, Written } from '../../packages/holdfast/src/store/store.ts'
import { sabotaged } from '../testing/sabotages.ts'

export const key: Key = { collection: 'sessions', id: 'x' }
export const value = Buffer.from('{}')
export const draft = { key, value, expiresAt: never }

export function keys(count: number): Key[] {
  return Array.from({ length: count }, (_, i) => ({ collection: 'sessions', id: `k${i}` }))
}

/** A guarded store over a driver that fails as planned, and its clock, whose pauses take no real time. */
export function guarded(options: FaultOptions & { store?: StoreOptions; driver?: Driver } = {}): {
  store: Store
  driver: FaultyDriver
  clock: ReturnType<typeof fakeClock>
} {
  const clock = fakeClock({ sleeps: 'instant' })
  const driver = withFaults(options.driver ?? memoryDriver(), options)
  return { store: guard(driver, { clock, ...options.store }), driver, clock }
}

/** A driver with some methods exchanged. */
export function changed(breaks: (driver: Driver) => Partial<Driver>): Driver {
  return sabotaged(memoryDriver(), { caught: /./, breaks })
}

export function sent(driver: FaultyDriver): string[] {
  return driver.calls.map(({ operation }) => operation).filter((operation) => operation !== 'open')
}

export function versionOf(written: Written): string {
  assert.ok(written.status === 'done', `it was ${written.status}`)
  return written.version
}

export async function stored(store: Store): Promise<string | undefined> {
  return (await store.read(key, { expired: true }))?.version
}

/** A clock whose methods can be exchanged. */
export function methodsOf(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    elapsed: () => clock.elapsed(),
    sleep: (ms, options) => clock.sleep(ms, options),
    timer: (ms, callback) => clock.timer(ms, callback),
  }
}

/** Lets everything happen that needs no time. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate)
}
