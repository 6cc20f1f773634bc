/** Random sequences of operations over every driver, compared with the contract. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ModelWorld, storeModel } from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { openSqliteDriver } from '../../packages/holdfast/src/drivers/sqlite.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { temporaryFolder } from '../drivers/sqlite/folder.ts'
import { kinds } from '../models/stores.ts'

/** How many sequences each test runs; HOLDFAST_TEST_RUNS multiplies by as much as is wanted. */
const factor = Number(process.env['HOLDFAST_TEST_RUNS'] ?? 1)

const file = temporaryFolder()

for (const faults of [false, true]) {
  const what = faults ? 'with lost answers and requests, ' : ''

  describe(`a random sequence of operations ${what}is answered as the contract says [D29 D36 D40 C14 C15 C21 K64 K67 K68 T23 T26]`, () => {
    it('in memory', async () => {
      const ran = await storeModel(fc, {
        runs: 300 * factor,
        faults,
        make: ({ clock, namespace, wrap }) => ({
          store: guard(wrap(memoryDriver({ namespace })), { clock, namespace, circuit: false }),
        }),
      })
      assert.ok(ran.steps > 10 * ran.runs, 'the sequences are long enough to find something')
    })

    it('in SQLite, in a file that is closed and opened again', async () => {
      await storeModel(fc, { runs: 10 * factor, faults, make: (world) => inFile(file(), world) })
    })

    it('in SQLite, in memory', async () => {
      await storeModel(fc, {
        runs: 100 * factor,
        faults,
        make: ({ clock, namespace, wrap }) => ({
          store: guard(wrap(openSqliteDriver(':memory:', { namespace })), {
            clock,
            namespace,
            circuit: false,
          }),
        }),
      })
    })

    for (const { name, skip, connect } of kinds) {
      it(`on ${name}`, { skip }, async () => {
        const connected = await connect()
        try {
          await storeModel(fc, {
            runs: 6 * factor,
            faults,
            make: ({ clock, namespace, wrap }) => ({
              store: guard(wrap(connected.driver(namespace)), { clock, namespace, circuit: false }),
              dispose: () => connected.clear(namespace),
            }),
          })
        } finally {
          await connected.close()
        }
      })
    }
  })
}

async function inFile(path: string, { clock, namespace, wrap }: ModelWorld) {
  const open = () => guard(wrap(openSqliteDriver(path, { namespace })), { clock, namespace, circuit: false })
  let store = open()
  return {
    store,
    async reopen() {
      await store.close()
      store = open()
      await store.open()
      return store
    },
  }
}
