/** Touches that are written behind: together, in time, in order, and never silently lost. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Memory, memoryDriver, memoryStore } from '../../../packages/holdfast/src/drivers/memory.ts'
import { DeadlineExceeded, InvalidOption, StoreUnavailable } from '../../../packages/holdfast/src/errors.ts'
import type { RecordEvent } from '../../../packages/holdfast/src/records/events.ts'
import { Sessions } from '../../../packages/holdfast/src/sessions/sessions.ts'
import type { Driver, Outcome } from '../../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../../packages/holdfast/src/store/guard.ts'
import type { Key } from '../../../packages/holdfast/src/store/record.ts'
import type { Deferred, Store, TouchFigures } from '../../../packages/holdfast/src/store/store.ts'
import { processMemory, tiered } from '../../../packages/holdfast/src/store/tiers/tiered.ts'
import { type FakeClock, fakeClock } from '../../../packages/holdfast/src/testing/clock.ts'

const second = 1_000
const hour = 3_600 * second
const touchDelay = 2 * second
const keyOf = (id: string): Key => ({ collection: 'sessions', id })

/** A store whose touches are recorded, held back or refused, below tiers that gather them. */
class Stage {
  readonly clock: FakeClock = fakeClock()
  readonly truth: Store
  readonly store: Store
  /** The ids of each batch that reached the driver. */
  readonly batches: string[][] = []
  /** Stands in the way of a batch. */
  barrier: (() => Promise<unknown>) | undefined

  constructor(over = (truth: Store): Store => tiered(processMemory(), truth, { touchDelay })) {
    const driver: Driver = memoryDriver({ memory: new Memory() })
    const touch = driver.touch.bind(driver)
    driver.touch = async (touches, call) => {
      this.batches.push(touches.map(({ key }) => key.id))
      await this.barrier?.()
      return await touch(touches, call)
    }
    this.truth = guard(driver, { clock: this.clock })
    this.store = over(this.truth)
  }

  async create(id: string, lives = hour): Promise<string> {
    const expiresAt = this.clock.now() + lives
    const written = await this.truth.create({ key: keyOf(id), value: Buffer.from('one'), expiresAt })
    return written.status === 'done' ? written.version : assert.fail(written.status)
  }

  /** Resolves when the touch is taken. */
  async touch(
    id: string,
    version: string,
    {
      lives = 2 * hour,
      by = this.clock.now() + hour,
    }: { readonly lives?: number; readonly by?: number } = {},
  ): Promise<Taken> {
    const expiresAt = this.clock.now() + lives
    return taken(await this.store.touchBehind({ key: keyOf(id), version, expiresAt }, by))
  }

  async expiry(id: string): Promise<number | undefined> {
    return (await this.truth.read(keyOf(id), { strict: true }))?.expiresAt
  }

  get figures(): TouchFigures {
    return this.store.figures().tiers?.[0]?.touches ?? assert.fail('touches are counted')
  }
}

/** A promise in an object: who waits for the place doesn't wait for the outcome. */
interface Taken {
  readonly coming: Promise<Outcome>
}

function taken(deferred: Deferred): Taken {
  return typeof deferred === 'object' ? deferred : assert.fail(`it was written at once: ${deferred}`)
}

/** Resolves when nothing is under way that needs no timer. */
async function settled(): Promise<void> {
  for (let i = 0; i < 8; i++) await new Promise(setImmediate)
}

describe('touches written behind', () => {
  it('are written together when the delay is over, in order of their keys, and each is told [C28]', async () => {
    const stage = new Stage()
    const versions = new Map<string, string>()
    for (const id of ['c', 'a', 'b']) versions.set(id, await stage.create(id))
    const before = await stage.expiry('a')
    const c = await stage.touch('c', versions.get('c')!)
    stage.clock.advance(touchDelay / 2)
    const a = await stage.touch('a', versions.get('a')!)
    const b = await stage.touch('b', 'another.version')
    await settled()
    assert.deepEqual([stage.batches, await stage.expiry('a'), stage.figures.waiting], [[], before, 3])
    stage.clock.advance(touchDelay / 2)
    assert.deepEqual(await Promise.all([a.coming, b.coming, c.coming]), ['done', 'conflict', 'done'])
    assert.deepEqual(stage.batches, [['a', 'b', 'c']])
    assert.ok((await stage.expiry('a'))! > before!)
    assert.deepEqual([stage.figures.waiting, stage.figures.written], [0, 3])
  })

  it('of one version are written as one that goes as far as the furthest [C28]', async () => {
    const stage = new Stage()
    const version = await stage.create('x')
    const expiresAt = stage.clock.now() + 5 * hour
    const far = await stage.touch('x', version, { lives: 5 * hour })
    const near = await stage.touch('x', version, { lives: 2 * hour })
    stage.clock.advance(touchDelay)
    assert.deepEqual(await Promise.all([far.coming, near.coming]), ['done', 'done'])
    assert.deepEqual([stage.batches, await stage.expiry('x')], [[['x']], expiresAt])
  })

  it('of several versions of one key are written in their order, one batch after the other [C28 C30]', async () => {
    const stage = new Stage()
    const first = await stage.create('x')
    const old = await stage.touch('x', first)
    const written = await stage.store.replace({
      key: keyOf('x'),
      expected: first,
      value: Buffer.from('two'),
      expiresAt: stage.clock.now() + hour,
    })
    const young = await stage.touch('x', written.status === 'done' ? written.version : '')
    const order: string[] = []
    void old.coming.then(() => order.push('old'))
    void young.coming.then(() => order.push('young'))
    stage.clock.advance(touchDelay)
    assert.deepEqual(await Promise.all([old.coming, young.coming]), ['conflict', 'done'])
    assert.deepEqual(
      [stage.batches, order],
      [
        [['x'], ['x']],
        ['old', 'young'],
      ],
    )
  })

  it('are in the truth before the record would expire there, however long the delay', async () => {
    const stage = new Stage((truth) => tiered(processMemory(), truth, { touchDelay: '50m' }))
    const lives = 60 * second
    const version = await stage.create('x', lives)
    const end = stage.clock.now() + lives
    const touched = await stage.touch('x', version, { by: end })
    while (stage.clock.now() < end - 1) {
      stage.clock.advance(1 * second)
      await settled()
    }
    assert.equal(await touched.coming, 'done')
    stage.clock.advance(second)
    assert.ok(await stage.expiry('x'), 'it outlives its first end')
  })

  it('that come in its last seconds are written at once, and take along what waits', async () => {
    const stage = new Stage()
    const other = await stage.touch('other', await stage.create('other'))
    const last = await stage.touch('x', await stage.create('x', second), { by: stage.clock.now() + second })
    stage.clock.advance(0)
    assert.deepEqual(await Promise.all([other.coming, last.coming]), ['done', 'done'])
    assert.deepEqual(stage.batches, [['other', 'x']])
  })

  it('are written early when there are as many as are written at once', async () => {
    const stage = new Stage()
    const ids = Array.from({ length: 200 }, (_, i) => `x${i}`)
    const all = []
    for (const id of ids) all.push(await stage.touch(id, await stage.create(id)))
    stage.clock.advance(0)
    await Promise.all(all.map((each) => each.coming))
    assert.deepEqual(stage.batches, [ids.toSorted()])
  })

  it('each caller of a batch that failed is told so, and the next batch is tried [C28]', async () => {
    const stage = new Stage()
    const versions = [await stage.create('a'), await stage.create('b')]
    stage.barrier = () => Promise.reject(new StoreUnavailable('gone for lunch'))
    const a = await stage.touch('a', versions[0]!)
    const again = await stage.touch('a', versions[0]!)
    const b = await stage.touch('b', versions[1]!)
    stage.clock.advance(touchDelay)
    for (const each of [a, again, b]) {
      await assert.rejects(each.coming, (error) => error instanceof StoreUnavailable)
    }
    stage.barrier = undefined
    const later = await stage.touch('a', versions[0]!)
    stage.clock.advance(touchDelay)
    assert.equal(await later.coming, 'done')
    assert.deepEqual([stage.figures.failed, stage.figures.written], [2, 1])
  })

  it('that nobody asks about fail without ending the process', async () => {
    const stage = new Stage()
    const version = await stage.create('x')
    stage.barrier = () => Promise.reject(new StoreUnavailable('gone for lunch'))
    await stage.touch('x', version)
    stage.clock.advance(touchDelay)
    await settled()
    assert.equal(stage.figures.failed, 1)
  })

  it('find a full queue and wait for a place, which can be seen; memory stays bounded [C29]', async () => {
    const stage = new Stage()
    const { promise: held, resolve: letGo } = Promise.withResolvers<undefined>()
    stage.barrier = () => held
    // The batch that is held up has left the queue: behind it there is room for ten thousand.
    for (let i = 0; i < 200; i++) await stage.touch(`first${i}`, 'v.1')
    stage.clock.advance(0)
    for (let i = 0; i < 10_000; i++) await stage.touch(`x${i}`, 'v.1')
    const outside = stage.touch('outside', 'v.1')
    await settled()
    assert.deepEqual(
      [stage.figures.waiting, stage.figures.outside, stage.figures.stalled],
      [10_000, 1, 1],
      'it is not taken',
    )
    // Who touches again what already waits needs no place.
    await stage.touch('x1', 'v.1')
    letGo(undefined)
    stage.clock.advance(0)
    const { coming } = await outside
    stage.clock.advance(touchDelay)
    assert.equal(await coming, 'gone')
    assert.equal(stage.figures.outside, 0)
  })

  it('that find no place in time are refused, and tell why [C29]', async () => {
    const stage = new Stage()
    const { promise: held, resolve: letGo } = Promise.withResolvers<undefined>()
    stage.barrier = () => held
    for (let i = 0; i < 200; i++) await stage.touch(`first${i}`, 'v.1')
    stage.clock.advance(0)
    for (let i = 0; i < 10_000; i++) await stage.touch(`x${i}`, 'v.1')
    const refused = assert.rejects(
      stage.touch('outside', 'v.1'),
      (error) => error instanceof DeadlineExceeded && /can’t keep up/.test(error.message),
    )
    await settled()
    stage.clock.advance(stage.truth.deadline)
    await refused
    letGo(undefined)
  })

  it('that are malformed are refused alone: nobody else’s fails with them', async () => {
    const stage = new Stage()
    const version = await stage.create('x')
    const good = await stage.touch('x', version)
    await assert.rejects(stage.touch('not an id', version), { code: 'HOLDFAST_INVALID_KEY' })
    await assert.rejects(stage.touch('y', version, { lives: Number.NaN }), {
      code: 'HOLDFAST_INVALID_EXPIRY',
    })
    stage.clock.advance(touchDelay)
    assert.equal(await good.coming, 'done')
  })

  it('are written when the store is closed', async () => {
    const stage = new Stage()
    const touched = await stage.touch('x', await stage.create('x'))
    await stage.store.close()
    assert.equal(await touched.coming, 'done')
  })

  it('pass through tiers that gather none, and each forgets what was written', async () => {
    const cache = new Memory({ cache: true })
    const stage = new Stage((truth) =>
      tiered(
        processMemory(),
        tiered(memoryStore({ memory: cache, clock: truth.clock }), truth, { touchDelay }),
      ),
    )
    const version = await stage.create('x')
    const key = keyOf('x')
    for (let i = 0; i < 3; i++) await stage.store.read(key)
    const { coming } = taken(
      await stage.store.touchBehind(
        { key, version, expiresAt: stage.clock.now() + 9 * hour },
        stage.clock.now() + hour,
      ),
    )
    const expiresAt = stage.clock.now() + 9 * hour
    stage.clock.advance(touchDelay)
    assert.equal(await coming, 'done')
    assert.equal((await stage.store.read(key))?.expiresAt, expiresAt)
  })

  it('must not wait as long as the margin', () => {
    const truth = memoryStore({ margin: '10m' })
    assert.throws(() => tiered(processMemory(), truth, { touchDelay: '10m' }), InvalidOption)
    assert.throws(() => tiered(processMemory(), truth, { touchDelay: 0 }), InvalidOption)
  })
})

describe('sessions whose touches are written behind', () => {
  it('are loaded without waiting for them, and live on by them [C22]', async () => {
    const stage = new Stage()
    const sessions = new Sessions(stage.store, { idle: '30m', absolute: '12h' })
    const session = await sessions.start({ data: { cart: 1 } })
    const credential = session.credential!
    for (let hours = 0; hours < 10; hours++) {
      for (let i = 0; i < 4; i++) {
        stage.clock.advance(15 * 60 * second)
        const loaded = await sessions.load(credential)
        assert.equal(loaded.get('cart'), 1, `after ${hours} hours and ${i} quarters`)
        await settled()
      }
    }
    assert.ok(stage.batches.length >= 30)
  })

  it('live on by them where a request that is no use of it saves meanwhile, in this process or another', async () => {
    for (const isHere of [true, false]) {
      const stage = new Stage()
      const sessions = new Sessions(stage.store, { idle: '30m' })
      const there = tiered(processMemory(), stage.truth, { touchDelay })
      const polled = isHere ? sessions : new Sessions(there, { idle: '30m' })
      const { credential } = await sessions.start({ user: 'ada' })
      for (let pages = 0; pages < 3; pages++) {
        stage.clock.advance(20 * 60 * second)
        assert.equal((await sessions.load(credential)).user, 'ada', `page ${pages}`)
        const poll = await polled.load(credential, { keepAlive: false })
        poll.set('polls', pages)
        await poll.save()
        stage.clock.advance(touchDelay)
        await settled()
      }
    }
  })

  it('tell of a touch that could not be written, and stay valid until their time', async () => {
    const stage = new Stage()
    const events: string[] = []
    const onEvent = ({ type }: RecordEvent): void => {
      if (type === 'touch-failed') events.push(type)
    }
    const sessions = new Sessions(stage.store, { idle: '30m', onEvent })
    const { credential } = await sessions.start({ data: { cart: 1 } })
    stage.barrier = () => Promise.reject(new StoreUnavailable('gone for lunch'))
    stage.clock.advance(15 * 60 * second)
    assert.equal((await sessions.load(credential)).get('cart'), 1)
    assert.deepEqual(events, [])
    stage.clock.advance(touchDelay)
    await settled()
    assert.deepEqual(events, ['touch-failed'])
    assert.equal((await sessions.load(credential)).get('cart'), 1)
    stage.clock.advance(hour)
    assert.equal((await sessions.load(credential)).get('cart'), undefined)
  })

  it('do not come back by a touch that was still waiting when they were destroyed', async () => {
    const stage = new Stage()
    const sessions = new Sessions(stage.store, { idle: '30m' })
    const session = await sessions.start({ data: { cart: 1 } })
    stage.clock.advance(15 * 60 * second)
    await sessions.load(session.credential)
    assert.equal(stage.figures.waiting, 1)
    assert.equal(await sessions.logout(session.credential!), true)
    stage.clock.advance(touchDelay)
    await settled()
    assert.equal(stage.figures.written, 1)
    assert.equal((await sessions.load(session.credential)).get('cart'), undefined)
  })
})
