/** The ledger and the witness notice what they are there for. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryDriver } from '../../../packages/holdfast/src/drivers/memory.ts'
import { OutcomeUnknown, StoreFull, StoreUnavailable } from '../../../packages/holdfast/src/errors.ts'
import type { Driver } from '../../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../../packages/holdfast/src/store/guard.ts'
import { sabotaged } from '../../testing/sabotages.ts'
import { Ledger } from './ledger.ts'
import { Witness } from './witness.ts'

/** A ledger over a driver with a fault. */
function ledgerOver(breaks: (driver: Driver) => Partial<Driver>): Ledger {
  const driver = sabotaged(memoryDriver(), { caught: /./, breaks })
  return new Ledger(guard(driver, { circuit: false }), new Witness(500))
}

describe('the ledger notices', () => {
  it('nothing where everything is right', async () => {
    const ledger = ledgerOver(() => ({}))
    await ledger.create('a')
    await ledger.replace('a', 'changed')
    await ledger.readAll()
    await ledger.assertKept()
  })

  it('a write that was said not to have happened, and has', async () => {
    const ledger = ledgerOver((driver) => ({
      async create(record, call) {
        await driver.create(record, call)
        throw new StoreUnavailable('the connection was cut')
      },
    }))
    assert.deepEqual(await ledger.create('a'), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    await assert.rejects(ledger.assertKept(), /a is \{.*\} and may be \["nothing"\]/)
  })

  it('a write that was acknowledged, and has not happened', async () => {
    const ledger = ledgerOver(() => ({ create: () => 'done' }))
    await ledger.create('a')
    await assert.rejects(ledger.assertKept(), /a is "nothing"/)
  })

  it('a write of unknown outcome that happened by half: it is there and not listed', async () => {
    const ledger = ledgerOver((driver) => ({
      async create(record, call) {
        await driver.create({ ...record, labels: record.labels.slice(1) }, call)
        throw new OutcomeUnknown('the answer was lost')
      },
    }))
    await ledger.create('a')
    await assert.rejects(ledger.assertKept(), /a is \{/)
  })

  it('an outage that looks like nothing there', async () => {
    const ledger = ledgerOver(() => ({ read: (keys) => keys.map(() => undefined) }))
    await ledger.create('a')
    await assert.rejects(ledger.read('a'), /a is "nothing"/)
    await assert.rejects(ledger.readAll(), /a is "nothing"/)
  })

  it('a listing that lags behind', async () => {
    const ledger = ledgerOver(() => ({ list: () => ({ records: [] }) }))
    await ledger.create('a')
    await assert.rejects(ledger.assertKept(), /what is listed by own:a/)
  })
})

describe('the witness notices', () => {
  const witness = new Witness(50)

  it('a call that hangs', async () => {
    await assert.rejects(
      witness.see('a call', () => new Promise(() => undefined)),
      /a call hangs/,
    )
  })

  it('an error without a code, and one that explains nothing', async () => {
    const failing = (error: Error): Promise<unknown> => witness.see('a call', () => Promise.reject(error))
    await assert.rejects(failing(new Error('boom')), /boom/)
    await assert.rejects(failing(new StoreFull('no room')), /failed with HOLDFAST_STORE_FULL/)
    assert.deepEqual(await failing(new StoreUnavailable('away')), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
  })
})
