import { describe, it } from 'node:test'
import { Memory, memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'

const memory = new Memory()

storeSuite(
  { describe, it },
  {
    name: 'memory store',
    make: (options) => memoryStore({ ...options, memory }),
    another: (options) => memoryStore({ ...options, memory }),
    reopen: (options) => memoryStore({ ...options, memory }),
  },
)
storeSuite(
  { describe, it },
  { name: 'memory store as a cache', make: (options) => memoryStore({ ...options, cache: true }) },
)
