import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type FaultOptions, type FaultyDriver, seededPlan, withFaults } from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { AnswerLost, NotSupported, StoreFull, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { Call, Replacement } from '../../packages/holdfast/src/store/contract.ts'
import { type Key, never, type StoredRecord } from '../../packages/holdfast/src/store/record.ts'

const key: Key = { collection: 'sessions', id: 'x' }
const now = 1_000_000
const call: Call = { now, signal: new AbortController().signal }
const loosely = { expired: false, strict: false }
const strictly = { expired: true, strict: true }

function record(version: string, changes: Partial<StoredRecord> = {}): StoredRecord {
  return {
    key,
    version,
    labels: [],
    value: Buffer.from(version),
    expiresAt: never,
    touchedAt: now,
    ...changes,
  }
}

function replacement(expected: string, version: string): Replacement {
  const { labels: _, ...rest } = record(version)
  return { ...rest, expected, setsExpiry: false, expired: false }
}

async function faulty(options: FaultOptions = {}): Promise<FaultyDriver> {
  const driver = withFaults(memoryDriver(), options)
  await driver.open(call)
  return driver
}

async function versionIn(driver: FaultyDriver, options = strictly): Promise<string | undefined> {
  return (await driver.read([key], options, call))[0]?.version
}

describe('withFaults', () => {
  it('changes nothing without a plan', async () => {
    const driver = await faulty()
    assert.equal(await driver.create(record('1.a'), call), 'done')
    assert.equal(await driver.replace(replacement('1.a', '2.b'), call), 'done')
    assert.deepEqual(await driver.touch([{ key, version: '2.b', expiresAt: never, touchedAt: now }], call), [
      'done',
    ])
    assert.deepEqual(await driver.read([key], loosely, call), [record('2.b')])
    assert.equal(await driver.count({ collection: 'sessions', labels: [], atMost: 9 }, call), 1)
    const { applied } = await driver.write([{ type: 'create', record: record('3.c') }], call)
    assert.equal(applied, false)
    await driver.remove([key], call)
    assert.deepEqual(await driver.sweep({ before: now, limit: 9 }, call), { removed: [] })
    await driver.close()
    assert.deepEqual(
      driver.calls.map(({ operation, nth, count, writes }) => [operation, nth, count, writes]),
      [
        ['open', 1, 1, false],
        ['create', 1, 2, true],
        ['replace', 1, 3, true],
        ['touch', 1, 4, true],
        ['read', 1, 5, false],
        ['count', 1, 6, false],
        ['write', 1, 7, true],
        ['remove', 1, 8, true],
        ['sweep', 1, 9, true],
      ],
    )
  })

  it('loses the answer of what was carried out', async () => {
    const driver = await faulty({ plan: [{ operation: 'create', fault: 'loseAnswer' }] })
    await assert.rejects(async () => driver.create(record('1.a'), call), AnswerLost)
    assert.equal(await versionIn(driver), '1.a')
  })

  it('loses a request, which is then not carried out', async () => {
    const driver = await faulty({ plan: [{ operation: 'create', fault: 'loseRequest' }] })
    await assert.rejects(async () => driver.create(record('1.a'), call), AnswerLost)
    assert.equal(await versionIn(driver), undefined)
  })

  it('carries out a late request when told to, and only once', async () => {
    const driver = await faulty({ plan: [{ operation: 'create', fault: 'late' }] })
    await assert.rejects(async () => driver.create(record('1.a'), call), AnswerLost)
    assert.equal(await versionIn(driver), undefined)
    assert.equal(await driver.deliverLate(), 1)
    assert.equal(await versionIn(driver), '1.a')
    assert.equal(await driver.deliverLate(), 0)
  })

  it('fails definitely, with the planned error if there is one', async () => {
    const full = new StoreFull('full')
    const driver = await faulty({
      plan: [
        { operation: 'create', nth: 1, fault: 'fail' },
        { operation: 'create', nth: 2, fault: full },
      ],
    })
    await assert.rejects(async () => driver.create(record('1.a'), call), StoreUnavailable)
    await assert.rejects(async () => driver.create(record('1.a'), call), full)
    assert.equal(await versionIn(driver), undefined)
    assert.equal(await driver.create(record('1.a'), call), 'done')
  })

  it('never answers until the signal aborts, before or after carrying it out', async () => {
    for (const [fault, stored] of [
      ['hang', undefined],
      ['hangAfter', '1.a'],
    ] as const) {
      const driver = await faulty({ plan: [{ operation: 'create', fault }] })
      const controller = new AbortController()
      let ended = false
      const hanging = Promise.resolve(
        driver.create(record('1.a'), { now, signal: controller.signal }),
      ).finally(() => {
        ended = true
      })
      await new Promise(setImmediate)
      assert.equal(ended, false)
      controller.abort(new Error('the deadline'))
      await assert.rejects(hanging, { message: 'the deadline' })
      assert.equal(await versionIn(driver), stored)
      await assert.rejects(
        async () => driver.create(record('1.a'), { now, signal: AbortSignal.abort(new Error('over')) }),
        {
          message: 'over',
        },
      )
    }
  })

  it('can fail to open and to watch', async () => {
    const driver = withFaults(memoryDriver(), {
      plan: [
        { operation: 'open', nth: 1, fault: 'fail' },
        { operation: 'watch', nth: 1, fault: 'fail' },
      ],
    })
    await assert.rejects(async () => driver.open(call), StoreUnavailable)
    await driver.open(call)
    await assert.rejects(async () => driver.watch(() => undefined, call), StoreUnavailable)
    const watch = await driver.watch(() => undefined, call)
    await watch.close()
  })

  it('takes a plan as a function, and as a list whose first matching rule counts', async () => {
    const byFunction = await faulty({
      plan: ({ operation, nth }) => (operation === 'read' && nth > 1 ? 'fail' : undefined),
    })
    await byFunction.read([key], loosely, call)
    await assert.rejects(async () => byFunction.read([key], loosely, call), StoreUnavailable)
    const byList = await faulty({
      plan: [
        { nth: 3, fault: 'loseRequest' },
        { nth: 3, fault: 'fail' },
        { task: 'A', fault: 'fail' },
      ],
    })
    await byList.read([key], loosely, call)
    await assert.rejects(async () => byList.read([key], loosely, call), AnswerLost)
    await byList.read([key], loosely, call)
  })

  it('declares other capabilities, and refuses what it declares away', async () => {
    const driver = withFaults(memoryDriver(), {
      declare: { atomicBatch: false, listing: 'none', counting: false, scanning: false },
    })
    const { capabilities } = await driver.open(call)
    assert.deepEqual([capabilities.atomicBatch, capabilities.listing], [false, 'none'])
    await assert.rejects(async () => driver.write([], call), NotSupported)
    await assert.rejects(
      async () => driver.count({ collection: 'a', labels: [], atMost: 1 }, call),
      NotSupported,
    )
    await assert.rejects(
      async () => driver.scan({ index: 0, of: 1, limit: 1, expired: false }, call),
      NotSupported,
    )
    const listing = { collection: 'a', labels: [], limit: 1, values: true, reverse: false, expired: false }
    await assert.rejects(async () => driver.list(listing, call), NotSupported)
  })
})

describe('a stale read', () => {
  const plan: FaultOptions['plan'] = [{ operation: 'read', fault: 'stale' }]

  it('shows what was before the last change, where the driver is cached and the read is not strict', async () => {
    const driver = await faulty({ plan, declare: { cached: true } })
    await driver.create(record('1.a'), call)
    assert.equal(await versionIn(driver, loosely), undefined)
    await driver.replace(replacement('1.a', '2.b'), call)
    assert.deepEqual(await driver.read([key], loosely, call), [record('1.a')])
    assert.equal(await versionIn(driver, strictly), '2.b')
    assert.equal(await driver.replace(replacement('1.a', '3.c'), call), 'conflict')
    assert.equal(await versionIn(driver, loosely), '1.a', 'a refused write is no change')
    await driver.remove([key], call)
    assert.equal(await versionIn(driver, loosely), '2.b')
  })

  it('does not show what has expired', async () => {
    const driver = await faulty({ plan, declare: { cached: true } })
    await driver.create(record('1.a', { expiresAt: now + 10 }), call)
    await driver.replace(replacement('1.a', '2.b'), call)
    const later = { ...call, now: now + 10 }
    assert.deepEqual(await driver.read([key], loosely, later), [undefined])
    assert.equal((await driver.read([key], { expired: true, strict: false }, later))[0]?.version, '1.a')
  })

  it('is the truth for a driver that declares no cache', async () => {
    const driver = await faulty({ plan })
    await driver.create(record('1.a'), call)
    assert.equal(await versionIn(driver, loosely), '1.a')
  })
})

describe('seededPlan', () => {
  it('gives the same faults for the same seed, about as often as asked', async () => {
    const drawn = (seed: number): string[] => {
      const plan = seededPlan({ seed, rates: { loseAnswer: 0.2, fail: 0.1 } })
      const seen = { nth: 1, count: 1, keys: [], writes: true, input: undefined }
      return Array.from({ length: 2_000 }, () => String(plan({ operation: 'replace', ...seen })))
    }
    assert.deepEqual(drawn(1), drawn(1))
    assert.notDeepEqual(drawn(1), drawn(2))
    const lost = drawn(1).filter((fault) => fault === 'loseAnswer').length
    const failed = drawn(1).filter((fault) => fault === 'fail').length
    assert.ok(lost > 320 && lost < 480, `${lost} answers lost`)
    assert.ok(failed > 140 && failed < 260, `${failed} failures`)
  })

  it('spares opening and watching, and what it is not asked for', async () => {
    const seen = { nth: 1, count: 1, keys: [], writes: false, input: undefined }
    const every = seededPlan({ seed: 1, rates: { fail: 1 } })
    assert.deepEqual(
      [every({ operation: 'open', ...seen }), every({ operation: 'watch', ...seen })],
      [undefined, undefined],
    )
    assert.equal(every({ operation: 'read', ...seen }), 'fail')
    const writes = seededPlan({ seed: 1, rates: { fail: 1 }, operations: ['create'] })
    assert.equal(writes({ operation: 'read', ...seen }), undefined)
    assert.equal(writes({ operation: 'create', ...seen }), 'fail')
  })
})
