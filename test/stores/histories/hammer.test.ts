/** What the hammer records of a store with a fault is refused by the checker; of a right one it isn't. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { memoryDriver } from '../../../packages/holdfast/src/drivers/memory.ts'
import type { Driver } from '../../../packages/holdfast/src/store/contract.ts'
import { type StoredRecord, keyText } from '../../../packages/holdfast/src/store/record.ts'
import { guard } from '../../../packages/holdfast/src/store/guard.ts'
import { sabotaged } from '../../testing/sabotages.ts'
import { type Violation, violation } from './checker.ts'
import { Hammer } from './hammer.ts'

/** Hammers a driver that takes a moment for each call. */
async function wrongWith(breaks: (driver: Driver) => Partial<Driver>): Promise<Violation | undefined> {
  const driver = sabotaged(slow(memoryDriver()), { caught: /./, breaks })
  const hammers = [0, 1, 2].map((i) => {
    const store = guard(driver, { circuit: false })
    return new Hammer(store, { name: `p${i}`, seed: i, time: 0, least: 300, loops: 2 })
  })
  const recordings = await Promise.all(hammers.map((hammer) => hammer.run()))
  const events = recordings.flatMap((each) => each.events)
  for (const history of Map.groupBy(events, ({ key }) => key).values()) {
    const wrong = violation(history)
    if (wrong) return wrong
  }
  return undefined
}

function slow(driver: Driver): Driver {
  return sabotaged(driver, {
    caught: /./,
    breaks: () => ({
      async replace(replacement, call) {
        await delay(1)
        return await driver.replace(replacement, call)
      },
      async read(keys, options, call) {
        const found = await driver.read(keys, options, call)
        await delay(1)
        return found
      },
    }),
  })
}

describe('what is recorded', () => {
  it('of a store that is right can be explained', async () => {
    assert.equal(await wrongWith(() => ({})), undefined)
  })

  const faults: Readonly<Record<string, (driver: Driver) => Partial<Driver>>> = {
    'that reads, waits and writes': (driver) => ({
      async replace(replacement, call) {
        const [found] = await driver.read([replacement.key], { expired: false, strict: true }, call)
        if (!found) return 'gone'
        if (found.version !== replacement.expected) return 'conflict'
        await delay(1)
        const [now] = await driver.read([replacement.key], { expired: false, strict: true }, call)
        return await driver.replace({ ...replacement, expected: now?.version ?? '' }, call)
      },
    }),
    'that answers from a cache': (driver) => {
      const cache = new Map<string, StoredRecord>()
      return {
        async read([key], options, call) {
          const cached = cache.get(keyText(key!))
          if (cached && Math.random() < 0.2) return [cached]
          const found = await driver.read([key!], options, call)
          if (found[0]) cache.set(keyText(key!), found[0])
          return found
        },
      }
    },
    'that says done before it is': (driver) => ({
      replace(replacement, call) {
        setTimeout(() => void driver.replace(replacement, call), 3)
        return 'done'
      },
    }),
    'that forgets now and then that something is there': (driver) => ({
      read: async (keys, options, call) =>
        Math.random() < 0.1 ? [undefined] : await driver.read(keys, options, call),
    }),
    'whose saves undo touches': (driver) => ({
      async replace(replacement, call) {
        const outcome = await driver.replace(replacement, call)
        if (outcome !== 'done') return outcome
        const [found] = await driver.read([replacement.key], { expired: true, strict: true }, call)
        if (found?.version !== replacement.version) return outcome
        await driver.remove([replacement.key], call)
        await driver.create({ ...found, touchedAt: replacement.touchedAt }, call)
        return outcome
      },
    }),
  }
  for (const [name, breaks] of Object.entries(faults)) {
    it(`of a store ${name} can't`, async () => {
      assert.ok(await wrongWith(breaks), 'nothing was found')
    })
  }
})
