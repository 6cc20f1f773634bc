import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exploreSchedules, fakeClock, type ScenarioMaker } from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import {
  ClockSkew,
  InvalidExpiry,
  InvalidKey,
  InvalidLabel,
  InvalidOption,
  NotSupported,
  OutcomeUnknown,
  StoreClosed,
  StoreUnavailable,
  ValueTooLarge,
} from '../../packages/holdfast/src/errors.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { StoreOptions } from '../../packages/holdfast/src/store/store.ts'
import { sabotaged } from '../testing/sabotages.ts'
import { changed, draft, guarded, key, keys, quiet, sent, versionOf } from './guarded.ts'

describe('opening and closing', () => {
  it('opens the driver once, however many wait', async () => {
    const { store, driver } = guarded()
    await Promise.all([store.open(), store.read(key), store.create(draft), store.open()])
    assert.equal(driver.calls.filter(({ operation }) => operation === 'open').length, 1)
  })

  it('tries a failed open again at the next call', async () => {
    const { store, driver } = guarded({ plan: [{ operation: 'open', nth: 1, fault: 'fail' }] })
    await assert.rejects(async () => store.read(key), StoreUnavailable)
    assert.throws(() => store.capabilities, TypeError)
    assert.equal(await store.read(key), undefined)
    assert.equal(driver.calls.filter(({ operation }) => operation === 'open').length, 2)
    assert.equal(store.capabilities.atomicBatch, true)
  })

  it('tries it again also where the driver throws at once', async () => {
    let isThere = false
    const driver = memoryDriver()
    const open = driver.open.bind(driver)
    driver.open = (call) => {
      if (!isThere) throw new StoreUnavailable('nobody is there')
      return open(call)
    }
    const store = guard(driver)
    await assert.rejects(store.open(), StoreUnavailable)
    isThere = true
    assert.equal(await store.read(key), undefined)
  })

  it('takes an error without a name for an unavailable store', async () => {
    const { store } = guarded({ plan: [{ operation: 'open', fault: new Error('ECONNREFUSED') }] })
    await assert.rejects(store.open(), (error: StoreUnavailable) => {
      assert.ok(error instanceof StoreUnavailable)
      assert.match(error.message, /ECONNREFUSED/)
      return true
    })
  })

  it('refuses every call after close, and closes the driver once', async () => {
    let closed = 0
    const { store } = guarded({
      driver: changed(() => ({
        close: () => {
          closed++
        },
      })),
    })
    await store.open()
    await Promise.all([store.close(), store.close()])
    await store.close()
    assert.equal(closed, 1)
    const calls: (() => unknown)[] = [
      () => store.open(),
      () => store.read(key),
      () => store.readMany([key]),
      () => store.create(draft),
      () => store.replace({ ...draft, expected: '1.a' }),
      () => store.touch([{ key, version: '1.a', expiresAt: never }]),
      () => store.write([{ type: 'create', ...draft }]),
      () => store.list('sessions'),
      () => store.count('sessions'),
      () => store.scan({ index: 0, of: 1 }),
      () => store.sweep(),
      () => store.remove([key]),
      () => store.watch(() => undefined),
    ]
    for (const call of calls) await assert.rejects(async () => call(), StoreClosed, String(call))
  })

  it('does not close a driver that it never opened', async () => {
    let closed = 0
    const { store } = guarded({
      driver: changed(() => ({
        close: () => {
          closed++
        },
      })),
    })
    await store.close()
    assert.equal(closed, 0)
  })

  it('what it can do is known after close too, to those who were answered as it closed', async () => {
    const { store } = guarded()
    await store.open()
    const reading = store.read(key)
    await store.close()
    assert.equal(await reading, undefined)
    assert.equal(store.capabilities.cached, false)
  })

  it('waits for what is under way before it closes', async () => {
    const order: string[] = []
    const { promise: until, resolve } = Promise.withResolvers<undefined>()
    const driver = changed((inner) => ({
      async read(...args) {
        await until
        order.push('read')
        return await inner.read(...args)
      },
      close: () => {
        order.push('close')
      },
    }))
    const { store } = guarded({ driver })
    await store.open()
    const reading = Promise.resolve(store.read(key))
    const closing = store.close()
    await quiet()
    assert.deepEqual(order, [])
    assert.throws(() => store.read(key), StoreClosed)
    resolve(undefined)
    await Promise.all([reading, closing])
    assert.deepEqual(order, ['read', 'close'])
  })

  it('never calls a driver that was closed, whatever is asked for meanwhile', async () => {
    const make: ScenarioMaker = async (world) => {
      let closed = false
      let afterClose = 0
      const memory = memoryDriver()
      const store = guard(
        world.driver({
          ...sabotaged(memory, { caught: /./, breaks: () => ({}) }),
          async create(record, call) {
            if (closed) afterClose++
            return await memory.create(record, call)
          },
          close: () => {
            closed = true
          },
        }),
        { clock: world.clock },
      )
      await store.open()
      const create = async (): Promise<string> => {
        await world.pause('about to create')
        try {
          return (await store.create(draft)).status
        } catch (error) {
          assert.ok(error instanceof StoreClosed || error instanceof OutcomeUnknown, String(error))
          return 'failed'
        }
      }
      const close = async (): Promise<void> => {
        await world.pause('about to close')
        await store.close()
        assert.equal(closed, true)
      }
      return {
        tasks: { A: create, B: create, C: close },
        check: () => assert.equal(afterClose, 0, 'creates after close'),
      }
    }
    await exploreSchedules(make)
    await exploreSchedules(make, { faults: { loseRequest: 1 }, preemptions: 2 })
  })

  it('refuses a clock that differs by more than the margin, and only then', async () => {
    for (const [skew, margin, refused] of [
      [60_000, 60_000, false],
      [60_001, 60_000, true],
      [-60_001, 60_000, true],
      [3_600_000, undefined, false],
      [3_600_001, undefined, true],
    ] as const) {
      const driver = changed((inner) => ({ open: async (call) => ({ ...(await inner.open(call)), skew }) }))
      const { store } = guarded({ driver, store: margin === undefined ? {} : { margin } })
      if (refused) {
        await assert.rejects(
          store.open(),
          (error: ClockSkew) => error instanceof ClockSkew && error.skew === skew,
        )
      } else {
        await store.open()
      }
    }
  })

  it('refuses options that cannot be honoured', () => {
    const options: StoreOptions[] = [
      { namespace: 'Not Good' },
      { deadline: 0 },
      { maxValue: 0 },
      { maxValue: 512 * 1024 + 1 },
      { maxValue: 1.5 },
    ]
    for (const each of options) {
      assert.throws(() => guard(memoryDriver(), each), /HOLDFAST|must be|namespace/, JSON.stringify(each))
    }
    assert.throws(() => guard(memoryDriver(), { margin: -1 }), { code: 'HOLDFAST_INVALID_DURATION' })
  })
})

describe('what is asked for', () => {
  it('is refused where it is malformed, and never reaches the driver [K1 T16]', async () => {
    const { store, driver } = guarded()
    await store.open()
    const bad = { collection: 'sessions', id: '' }
    const cases: [() => unknown, new (...args: never[]) => Error][] = [
      [() => store.read(bad), InvalidKey],
      [() => store.read({ collection: 'sessions', id: '../x' }), InvalidKey],
      [() => store.read({ collection: 'Sessions', id: 'x' }), InvalidKey],
      [() => store.readMany([key, bad]), InvalidKey],
      [() => store.remove([bad]), InvalidKey],
      [() => store.create({ ...draft, key: bad }), InvalidKey],
      [() => store.create({ ...draft, labels: ['ada'] }), InvalidLabel],
      [() => store.create({ ...draft, expiresAt: Number.NaN }), InvalidExpiry],
      [() => store.create({ ...draft, expiresAt: undefined as unknown as number }), InvalidExpiry],
      [() => store.create({ ...draft, touchedAt: 0.5 }), InvalidExpiry],
      [() => store.create({ ...draft, value: Buffer.alloc(65_537) }), ValueTooLarge],
      [() => store.replace({ ...draft, expected: '1.a', labels: ['user:'] }), InvalidLabel],
      [() => store.touch([{ key, version: '1.a', expiresAt: -1 }]), InvalidExpiry],
      [() => store.touch([1, 2].map(() => ({ key, version: '1.a', expiresAt: never }))), InvalidOption],
      [() => store.write([]), InvalidOption],
      [() => store.write([1, 2].map(() => ({ type: 'create' as const, ...draft }))), InvalidOption],
      [() => store.list('sessions', { limit: 0 }), InvalidOption],
      [() => store.list('sessions', { limit: 1_001 }), InvalidOption],
      [() => store.list('Sessions'), InvalidKey],
      [() => store.count('sessions', { atMost: 0 }), InvalidOption],
      [() => store.scan({ index: 2, of: 2 }), InvalidOption],
      [() => store.sweep({ limit: 1_001 }), InvalidOption],
    ]
    for (const [call, error] of cases) await assert.rejects(async () => call(), error, String(call))
    assert.deepEqual(sent(driver), [])
  })

  it('is refused where the driver lacks the capability, by its name', async () => {
    const declare = {
      atomicBatch: false,
      listing: 'none',
      counting: false,
      scanning: false,
      watch: false,
    } as const
    const { store, driver } = guarded({ declare })
    const cases: [() => Promise<unknown>, string][] = [
      [() => store.write([{ type: 'create', ...draft }]), 'atomicBatch'],
      [() => store.list('sessions'), 'listing'],
      [() => store.count('sessions'), 'counting'],
      [() => store.scan({ index: 0, of: 1 }), 'scanning'],
      [() => store.watch(() => undefined), 'watch'],
    ]
    for (const [call, capability] of cases) {
      await assert.rejects(
        call,
        (error: NotSupported) => error instanceof NotSupported && error.capability === capability,
      )
    }
    assert.deepEqual(sent(driver), [])
  })

  it('is allowed where the listing is partial', async () => {
    const { store } = guarded({ declare: { listing: 'partial' } })
    assert.deepEqual((await store.list('sessions')).records, [])
  })

  it('is split where it is more than one call takes [K53]', async () => {
    const { store, driver } = guarded({ declare: { maxBatch: 2 } })
    const all = keys(5)
    const versions: string[] = []
    for (const each of all) versions.push(versionOf(await store.create({ ...draft, key: each })))
    const before = driver.calls.length
    const missing = { collection: 'sessions', id: 'missing' }
    const found = await store.readMany([...all, missing, all[0]!])
    assert.deepEqual(
      found.map((record) => record?.key.id),
      ['k0', 'k1', 'k2', 'k3', 'k4', undefined, 'k0'],
    )
    const touched = await store.touch(
      all.map((each, i) => ({ key: each, version: i === 3 ? '1.other' : versions[i]!, expiresAt: never })),
    )
    assert.deepEqual(touched, ['done', 'done', 'done', 'conflict', 'done'])
    await store.remove([...all, ...all])
    assert.deepEqual(
      await store.readMany(all),
      all.map(() => undefined),
    )
    const after = driver.calls.slice(before, before + 9)
    assert.deepEqual(
      after.map(({ operation, keys: { length } }) => `${operation} ${length}`),
      [
        ...['read 2', 'read 2', 'read 2'],
        ...['touch 2', 'touch 2', 'touch 1'],
        ...['remove 2', 'remove 2', 'remove 1'],
      ],
    )
  })

  it('is never split where it is all or none', async () => {
    const { store, driver } = guarded({ declare: { maxBatch: 2 } })
    const items = keys(3).map((each) => ({ type: 'create' as const, ...draft, key: each }))
    await assert.rejects(store.write(items), InvalidOption)
    assert.deepEqual(sent(driver), [])
  })

  it('is answered without a call where there is nothing to ask', async () => {
    const { store, driver } = guarded()
    assert.deepEqual(await store.readMany([]), [])
    assert.deepEqual(await store.touch([]), [])
    await store.remove([])
    assert.deepEqual(sent(driver), [])
  })

  it('is answered plainly where the driver has the answer at hand', async () => {
    const store = guard(memoryDriver())
    await store.create(draft)
    const found = store.read(key)
    assert.ok(!(found instanceof Promise))
    assert.deepEqual(found?.key, key)
  })
})

describe('a watch', () => {
  it('that comes when nobody waits for it any more is closed, so that nothing listens for ever', async () => {
    const memory = memoryDriver()
    const late = Promise.withResolvers<undefined>()
    const closed: string[] = []
    const driver = changed(() => ({
      async watch(...given) {
        const watch = await memory.watch(...given)
        await late.promise
        return {
          mark: () => watch.mark(),
          close: () => {
            closed.push('closed')
          },
        }
      },
    }))
    const clock = fakeClock()
    const store = guard(driver, { clock, deadline: '1s' })
    await store.open()
    const watching = assert.rejects(
      store.watch(() => undefined),
      { code: 'HOLDFAST_DEADLINE_EXCEEDED' },
    )
    await quiet()
    clock.advance(1_000)
    await watching
    assert.deepEqual(closed, [])
    late.resolve(undefined)
    await quiet()
    assert.deepEqual(closed, ['closed'])
  })
})
