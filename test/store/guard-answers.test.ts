/** What the guard makes of a driver's answers: versions, expiry, deadlines, errors. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exploreSchedules, fakeClock, type FaultOptions, withFaults } from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import {
  DeadlineExceeded,
  OutcomeUnknown,
  PartialAnswer,
  RecordCorrupt,
  StoreFull,
  StoreUnavailable,
} from '../../packages/holdfast/src/errors.ts'
import type { Driver } from '../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type Key, never } from '../../packages/holdfast/src/store/record.ts'
import { versionNumber } from '../../packages/holdfast/src/store/stamp.ts'
import {
  changed,
  draft,
  guarded,
  key,
  keys,
  methodsOf,
  quiet,
  sent,
  stored,
  value,
  versionOf,
} from './guarded.ts'

describe('versions', () => {
  it('are drawn anew for each write, and their number rises even when the clock goes back [races: K1 T4]', async () => {
    const { store, clock } = guarded()
    const first = versionOf(await store.create(draft))
    assert.equal(versionNumber(first), clock.now())
    clock.set(clock.now() - 60_000)
    const second = versionOf(await store.replace({ ...draft, expected: first }))
    assert.equal(versionNumber(second), versionNumber(first) + 1)
    clock.set(clock.now() + 120_000)
    const third = versionOf(await store.replace({ ...draft, expected: second }))
    assert.equal(versionNumber(third), clock.now())
  })

  it('tell two holders of one lease apart, in every schedule [races: K1]', async () => {
    const { complete } = await exploreSchedules(async (world) => {
      const store = guard(world.driver(memoryDriver()), { clock: world.clock, margin: 5 })
      const lease = { collection: 'leases', id: 'preload' }
      const mine = versionOf(await store.create({ key: lease, value, expiresAt: world.clock.now() + 10 }))
      const end = (): number => world.clock.now() + 1_000
      const prolong = async (): Promise<string> => {
        await world.clock.sleep(1)
        return (await store.replace({ key: lease, expected: mine, value, expiresAt: end() })).status
      }
      const takeOver = async (): Promise<string> => {
        await world.clock.sleep(20)
        await store.sweep()
        return (await store.create({ key: lease, value, expiresAt: end() })).status
      }
      return {
        tasks: { holder: prolong, other: takeOver },
        check: ({ holder, other }) => {
          const held = [holder, other].filter((end) => end?.status === 'returned' && end.value === 'done')
          assert.equal(held.length, 1)
        },
      }
    })
    assert.ok(complete)
  })
})

describe('an expired record', () => {
  /** A driver that never looks at the expiry when it reads. */
  const careless = (): Driver =>
    changed((inner) => ({
      read: (all, options, call) => inner.read(all, { ...options, expired: true }, call),
      list: (listing, call) => inner.list({ ...listing, expired: true }, call),
      scan: (slice, call) => inner.scan({ ...slice, expired: true }, call),
    }))

  it('is not returned unless asked for, whatever the driver says [K3 K5 T23]', async () => {
    const { store, clock } = guarded({ driver: careless() })
    await store.create({ ...draft, expiresAt: clock.now() + 10 })
    const reads: ((expired: boolean) => Promise<number>)[] = [
      async (expired) => ((await store.read(key, { expired })) ? 1 : 0),
      async (expired) => (await store.readMany([key], { expired })).filter(Boolean).length,
      async (expired) => (await store.list('sessions', { expired })).records.length,
      async (expired) => (await store.scan({ index: 0, of: 1, expired })).records.length,
    ]
    clock.advance(9)
    for (const read of reads) assert.deepEqual([await read(false), await read(true)], [1, 1])
    clock.advance(1)
    for (const read of reads) assert.deepEqual([await read(false), await read(true)], [0, 1])
  })

  it('is hidden also when it expires while the driver answers', async () => {
    const clock = fakeClock()
    const driver = changed((inner) => ({
      async read(...args) {
        const found = await inner.read(...args)
        clock.advance(10)
        return found
      },
    }))
    const store = guard(driver, { clock })
    await store.create({ ...draft, expiresAt: clock.now() + 10 })
    assert.equal(await store.read(key), undefined)
  })

  it('is swept only after the margin, however early that is asked for', async () => {
    const { store, clock } = guarded({ store: { margin: 1_000 } })
    await store.create({ ...draft, expiresAt: clock.now() + 10 })
    clock.advance(1_009)
    assert.deepEqual((await store.sweep({ before: never })).removed, [])
    clock.advance(1)
    assert.deepEqual(
      (await store.sweep()).removed.map((swept) => swept.key),
      [key],
    )
  })
})

describe('a deadline', () => {
  it('ends a read, and tells the driver', async () => {
    let reason: unknown
    const clock = fakeClock()
    const driver = changed(() => ({
      read: (_, __, call) =>
        new Promise((_resolve, reject) => {
          call.signal.addEventListener('abort', () => {
            reason = call.signal.reason
            reject(call.signal.reason as Error)
          })
        }),
    }))
    const store = guard(driver, { clock, deadline: '2s' })
    await store.open()
    const reading = Promise.resolve(store.read(key))
    const settled = assert.rejects(reading, DeadlineExceeded)
    clock.advance(1_999)
    await quiet()
    assert.equal(reason, undefined)
    clock.advance(1)
    await settled
    assert.equal((reason as unknown as DeadlineExceeded).code, 'HOLDFAST_DEADLINE_EXCEEDED')
  })

  it('ends a write, which is then settled', async () => {
    for (const [fault, expected] of [
      ['hangAfter', 'done'],
      ['hang', 'unknown'],
    ] as const) {
      const clock = fakeClock()
      const store = guard(withFaults(memoryDriver(), { plan: [{ operation: 'create', nth: 1, fault }] }), {
        clock,
      })
      await store.open()
      const writing = store.create(draft).then(
        ({ status }) => status,
        (error: unknown) => (error instanceof OutcomeUnknown ? 'unknown' : error),
      )
      await quiet()
      clock.advance(5_000)
      assert.equal(await writing, expected, fault)
    }
  })

  it('leaves no timer behind, however a call ends', async () => {
    const clock = fakeClock()
    let running = 0
    const counting = {
      ...methodsOf(clock),
      timer(ms: number, callback: () => void) {
        running++
        const cancel = clock.timer(ms, callback)
        return () => {
          running--
          cancel()
        }
      },
    }
    const plan: FaultOptions['plan'] = [
      { operation: 'read', nth: 2, fault: 'fail' },
      { operation: 'create', nth: 2, fault: 'loseAnswer' },
    ]
    const store = guard(withFaults(memoryDriver(), { plan }), { clock: counting })
    await store.read(key)
    await assert.rejects(async () => store.read(key), StoreUnavailable)
    await store.create(draft)
    await store.create({ ...draft, key: keys(1)[0]! })
    assert.equal(running, 0)
  })
})

describe("a caller's signal", () => {
  it('that has aborted already stops a call before it is sent', async () => {
    const { store, driver } = guarded()
    await store.open()
    const signal = AbortSignal.abort(new Error('hung up'))
    for (const call of [
      () => store.read(key, { signal }),
      () => store.readMany([key], { signal }),
      () => store.create(draft, { signal }),
      () => store.list('sessions', { signal }),
      () => store.sweep({ signal }),
    ]) {
      await assert.rejects(async () => call(), { message: 'hung up' })
    }
    assert.deepEqual(sent(driver), [])
  })

  it('ends the waiting of one reader, and of nobody else', async () => {
    const { promise: until, resolve } = Promise.withResolvers<undefined>()
    const driver = changed((inner) => ({
      async read(...args) {
        await until
        return await inner.read(...args)
      },
    }))
    const { store } = guarded({ driver })
    await store.create(draft)
    const controller = new AbortController()
    const [one, other] = [store.read(key, { signal: controller.signal }), store.read(key)]
    controller.abort(new Error('hung up'))
    await assert.rejects(Promise.resolve(one), { message: 'hung up' })
    resolve(undefined)
    assert.deepEqual((await other)?.key, key)
  })

  it('does not abort a write that was sent', async () => {
    const { promise: until, resolve } = Promise.withResolvers<undefined>()
    let aborted = false
    const driver = changed((inner) => ({
      async create(record, call) {
        call.signal.addEventListener('abort', () => (aborted = true))
        await until
        return await inner.create(record, call)
      },
    }))
    const { store } = guarded({ driver })
    await store.open()
    const controller = new AbortController()
    const writing = store.create(draft, { signal: controller.signal })
    await quiet()
    controller.abort()
    resolve(undefined)
    versionOf(await writing)
    assert.equal(aborted, false)
  })
})

describe('figures', () => {
  it('count calls, errors and time', async () => {
    const clock = fakeClock()
    const slow = [30, 10]
    const driver = changed((inner) => ({
      async read(...args) {
        clock.advance(slow.shift() ?? 0)
        return await inner.read(...args)
      },
    }))
    const store = guard(withFaults(driver, { plan: [{ operation: 'create', nth: 1, fault: 'fail' }] }), {
      clock,
    })
    await store.read(key)
    await store.read(key)
    await assert.rejects(store.create(draft), StoreUnavailable)
    await store.create(draft)
    const { read, create, open } = store.figures().operations
    assert.deepEqual(read, { calls: 2, errors: 0, totalMs: 40, maxMs: 30 })
    assert.deepEqual([create?.calls, create?.errors, open?.calls], [2, 1, 1])
  })
})

describe('errors of a driver', () => {
  it('reach the caller of a read as they are if they are ours, otherwise as an unavailable store', async () => {
    for (const error of [new StoreFull('full'), new RecordCorrupt('bad')]) {
      const { store } = guarded({ plan: [{ operation: 'read', fault: error }] })
      await assert.rejects(async () => store.read(key), error)
    }
    const { store } = guarded({
      plan: [{ operation: 'read', fault: new TypeError('undefined is not a function') }],
    })
    await assert.rejects(async () => store.read(key), StoreUnavailable)
  })

  it('make a lost answer be asked for once more, where nothing is changed by it', async () => {
    const once = guarded({ plan: [{ operation: 'read', nth: 1, fault: 'loseAnswer' }] })
    assert.equal(await once.store.read(key), undefined)
    assert.deepEqual(sent(once.driver), ['read', 'read'])
    const always = guarded({ plan: [{ operation: 'read', fault: 'loseAnswer' }] })
    await assert.rejects(async () => always.store.read(key), StoreUnavailable)
    assert.deepEqual(sent(always.driver), ['read', 'read'])
  })

  it('tell what was answered when one shard is down', async () => {
    const partial = new PartialAnswer('a shard is down', [undefined, { answer: undefined }])
    const { store } = guarded({ plan: [{ operation: 'read', fault: partial }] })
    await assert.rejects(store.readMany(keys(2)), ({ answers, message }: PartialAnswer) => {
      assert.deepEqual([answers, message], [[undefined, { answer: undefined }], 'a shard is down'])
      return true
    })
  })

  it('tell what was answered in the order of the request, also when it was split or named a key twice', async () => {
    const partial = new PartialAnswer('a shard is down', [undefined, { answer: undefined }])
    const { store } = guarded({
      declare: { maxBatch: 2 },
      plan: [{ operation: 'read', nth: 2, fault: partial }],
    })
    const [k0, k1, k2, k3, k4] = keys(5) as [Key, Key, Key, Key, Key]
    await assert.rejects(store.readMany([k3, k1, k0, k2, k4, k1]), (error: PartialAnswer) => {
      // Asked for as k3 k1, then k0 k2, of which only k2 was answered; then no more.
      assert.deepEqual(
        error.answers.map((each) => each !== undefined),
        [true, true, false, true, false, true],
      )
      assert.equal(error.message, 'a shard is down')
      return true
    })
  })
})

describe('a write whose failure is definite', () => {
  it('is not sent again, and changed nothing', async () => {
    const full = new StoreFull('full')
    const { store, driver } = guarded({ plan: [{ nth: 2, fault: full }] })
    await assert.rejects(store.create(draft), full)
    assert.deepEqual(sent(driver), ['create'])
    assert.equal(await stored(store), undefined)
  })
})
