/** The store suite over tiers: what the truth can do, the tiers can do. */

import { describe, it } from 'node:test'
import { Memory, memoryStore } from '../../../packages/holdfast/src/drivers/memory.ts'
import { openSqliteStore } from '../../../packages/holdfast/src/drivers/sqlite.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { processMemory, tiered } from '../../../packages/holdfast/src/store/tiers/tiered.ts'
import { storeSuite, type SuiteStoreOptions } from '../../../packages/holdfast/src/testing/suite.ts'
import { temporaryFolder } from '../../drivers/sqlite/folder.ts'

const file = temporaryFolder()('suite')
const memory = new Memory()
const shared = new Memory({ cache: true })

const truths: Readonly<Record<string, (options: SuiteStoreOptions) => Store>> = {
  memory: (options) => memoryStore({ ...options, memory }),
  SQLite: (options) => openSqliteStore(file, options),
}

for (const [name, truth] of Object.entries(truths)) {
  const shapes: Readonly<Record<string, (options: SuiteStoreOptions) => Store>> = {
    'this process’s memory': (options) => tiered(processMemory(), truth(options)),
    'a shared cache': (options) => tiered(memoryStore({ ...options, memory: shared }), truth(options)),
    'this process’s memory over a shared cache': (options) =>
      tiered(processMemory(), tiered(memoryStore({ ...options, memory: shared }), truth(options))),
  }
  for (const [shape, make] of Object.entries(shapes)) {
    storeSuite({ describe, it }, { name: `${shape} over ${name}`, make, another: make, reopen: make })
  }
}
