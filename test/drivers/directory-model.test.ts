/** Random sequences of operations over a folder, compared with the contract. */

import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { directoryDriver } from '../../packages/holdfast/src/drivers/directory.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type ModelledStore, type ModelWorld, storeModel } from '../../packages/holdfast/src/testing/model.ts'
import { temporaryFolder } from './directory/folder.ts'

/** How many sequences each test runs; HOLDFAST_TEST_RUNS multiplies by as much as is wanted. */
const factor = Number(process.env['HOLDFAST_TEST_RUNS'] ?? 1)

const path = temporaryFolder(existsSync('/dev/shm') ? '/dev/shm' : tmpdir())

describe('a random sequence of operations on a directory store, closed and opened again', () => {
  for (const faults of [false, true]) {
    const what = faults ? ', with lost answers and requests' : ''
    it(`is answered as the contract says${what} [D29 D36 C14 C21 K64 K67 K68 T23]`, async () => {
      const folder = path('model')
      await storeModel(fc, { runs: 10 * factor, faults, make: (world) => inFolder(folder, world) })
    })
  }
})

function inFolder(folder: string, { clock, namespace, wrap }: ModelWorld): ModelledStore {
  const driver = directoryDriver(folder, { namespace })
  const open = (): ModelledStore['store'] => guard(wrap(driver), { clock, namespace, circuit: false })
  let store = open()
  return {
    store,
    async reopen() {
      await store.close()
      store = open()
      await store.open()
      return store
    },
    async dispose() {
      await store.close()
    },
  }
}
