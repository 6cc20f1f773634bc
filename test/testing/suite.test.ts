/** That the store suite can fail: each of many sabotaged drivers makes it fail, where it should. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Memory, memoryDriver, memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import type { Capabilities, Driver } from '../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type StoreSuiteOptions, storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { sabotaged, sabotages } from './sabotages.ts'

interface Result {
  readonly title: string
  readonly error?: unknown
}

/** The smallest test runner: collects, runs one after the other, reports. */
async function run(options: StoreSuiteOptions, only = /./): Promise<Result[]> {
  const tests: { readonly title: string; readonly body: () => Promise<void> }[] = []
  const path: string[] = []
  const describe = (name: string, body: () => void): void => {
    path.push(name)
    body()
    path.pop()
  }
  const it = (name: string, body: () => Promise<void>): void => {
    const title = [...path, name].join(' > ')
    if (only.test(title)) tests.push({ title, body })
  }
  storeSuite({ describe, it }, options)
  const results: Result[] = []
  for (const { title, body } of tests) {
    try {
      await body()
      results.push({ title })
    } catch (error) {
      results.push({ title, error })
    }
  }
  return results
}

function failures(results: readonly Result[]): Result[] {
  return results.filter((result) => 'error' in result)
}

/** A memory store whose driver has been tampered with. */
function suiteOf(name: string, tamper: (driver: Driver) => Driver): StoreSuiteOptions {
  const memory = new Memory()
  return {
    name,
    make: (options) => guard(tamper(memoryDriver({ ...options, memory })), options),
    another: (options) => guard(tamper(memoryDriver({ ...options, memory })), options),
  }
}

describe('storeSuite', () => {
  it('passes over a sound driver', async () => {
    const results = await run(suiteOf('sound', (driver) => driver))
    assert.deepEqual(failures(results), [])
    assert.ok(results.length > 100)
  })

  it('passes over the same driver through `memoryStore`, without a second store', async () => {
    const results = await run({ name: 'alone', make: (options) => memoryStore(options) })
    assert.deepEqual(failures(results), [])
  })

  for (const [fault, sabotage] of Object.entries(sabotages)) {
    it(`finds out when ${fault}`, async () => {
      const suite = suiteOf('broken', (driver) => sabotaged(driver, sabotage))
      const results = await run(suite, sabotage.caught)
      assert.ok(failures(results).length > 0, `passed: ${results.map(({ title }) => title).join(', ')}`)
    })
  }
})

describe('storeSuite over a store that can do less', () => {
  const less: Record<string, Partial<Capabilities>> = {
    'no listing': { listing: 'none' },
    'partial listing': { listing: 'partial' },
    'no scan': { scanning: false },
    'no count': { counting: false },
    'no atomic batch': { atomicBatch: false },
    'no watch': { watch: false },
    'small batches': { maxBatch: 7 },
    nothing: {
      listing: 'none',
      scanning: false,
      counting: false,
      atomicBatch: false,
      watch: false,
      maxBatch: 1,
    },
  }
  for (const [what, capabilities] of Object.entries(less)) {
    it(`asks no more of it than it declares: ${what}`, async () => {
      const suite = suiteOf(what, (driver) =>
        sabotaged(driver, { caught: /./, breaks: (inner) => declaring(inner, capabilities) }),
      )
      assert.deepEqual(failures(await run(suite)), [])
    })
  }

  it('finds out when what is not declared is done all the same', async () => {
    // A store of another make than ours, without our guard in front of it.
    const unguarded: StoreSuiteOptions = {
      name: 'unguarded',
      make(options) {
        const store = memoryStore(options)
        return new Proxy(store, {
          get(target, name) {
            if (name === 'capabilities')
              return { ...target.capabilities, counting: false, watch: false, listing: 'none' }
            const value: unknown = Reflect.get(target, name, target)
            return typeof value === 'function' ? (value.bind(target) as unknown) : value
          },
        })
      },
    }
    const titles = failures(await run(unguarded)).map(({ title }) => title)
    for (const group of ['count', 'watch', 'list']) {
      assert.ok(
        titles.some((title) => title.startsWith(`unguarded > ${group} >`)),
        `no test of ${group} failed`,
      )
    }
  })
})

function declaring(driver: Driver, declared: Partial<Capabilities>): Partial<Driver> {
  return {
    async open(call) {
      const opened = await driver.open(call)
      return { ...opened, capabilities: { ...opened.capabilities, ...declared } }
    },
  }
}
