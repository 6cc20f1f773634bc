/** The store suite over tiers: what the truth can do, the tiers can do. */

import { describe, it } from 'node:test'
import { Memory, memoryDriver, memoryStore } from '../../../packages/holdfast/src/drivers/memory.ts'
import { openSqliteStore } from '../../../packages/holdfast/src/drivers/sqlite.ts'
import { guard } from '../../../packages/holdfast/src/store/guard.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { processMemory, tiered } from '../../../packages/holdfast/src/store/tiers/tiered.ts'
import { seededPlan, withFaults } from '../../../packages/holdfast/src/testing/faults.ts'
import { storeSuite, type SuiteStoreOptions } from '../../../packages/holdfast/src/testing/suite.ts'
import { temporaryFolder } from '../../drivers/sqlite/folder.ts'

const file = temporaryFolder()('suite')
const memory = new Memory()
const shared = new Memory({ cache: true })

type Make = (options: SuiteStoreOptions) => Store

const overMemory: Make = (options) => memoryStore({ ...options, memory })
const cache: Make = (options) => memoryStore({ ...options, memory: shared })

/**
 * A cache that fails as often as not, in every way. What it is told to forget it forgets: where it doesn't, a reading may
 * be behind for the bound, which is for the schedules to judge, as are faults of the truth.
 */
const failingCache: Make = (options) => {
  const plan = seededPlan({
    seed: 7,
    rates: { fail: 0.2, loseAnswer: 0.15, loseRequest: 0.15 },
    operations: ['read', 'create', 'replace', 'sweep'],
  })
  const driver = withFaults(memoryDriver({ ...options, memory: shared }), { plan })
  return guard(driver, { ...options, circuit: false })
}

const shapes: Readonly<Record<string, Make>> = {
  'this process’s memory': (options) => tiered(processMemory(), overMemory(options)),
  'a shared cache': (options) => tiered(cache(options), overMemory(options)),
  'a shared cache that fails': (options) => tiered(failingCache(options), overMemory(options)),
  'this process’s memory over a shared cache': (options) =>
    tiered(processMemory(), tiered(cache(options), overMemory(options))),
  'this process’s memory over a shared cache that fails': (options) =>
    tiered(processMemory(), tiered(failingCache(options), overMemory(options))),
  'this process’s memory over a shared cache over SQLite': (options) =>
    tiered(processMemory(), tiered(cache(options), openSqliteStore(file, options))),
}

for (const [name, make] of Object.entries(shapes)) {
  storeSuite({ describe, it }, { name, make, another: make, reopen: make })
}
