/** A shared cache over a store: it may be down, slow, full or wrong, and that costs time, never correctness. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Memory, memoryDriver, memoryStore } from '../../../packages/holdfast/src/drivers/memory.ts'
import { StoreFull } from '../../../packages/holdfast/src/errors.ts'
import { guard } from '../../../packages/holdfast/src/store/guard.ts'
import { type Key, never } from '../../../packages/holdfast/src/store/record.ts'
import type { Store, TierFigures } from '../../../packages/holdfast/src/store/store.ts'
import { tiered } from '../../../packages/holdfast/src/store/tiers/tiered.ts'
import { type FakeClock, fakeClock } from '../../../packages/holdfast/src/testing/clock.ts'
import {
  type DriverCall,
  type Fault,
  type FaultyDriver,
  withFaults,
} from '../../../packages/holdfast/src/testing/faults.ts'

import { SlowFeed } from './slow-feed.ts'

const bound = 1_000
const patience = 100
const key: Key = { collection: 'sessions', id: 'x' }
/** Where the cache keeps it. */
const place: Key = { collection: 'cached-sessions', id: 'x' }
const draft = (value = 'one', expiresAt = never) => ({ key, value: Buffer.from(value), expiresAt })

/** Two processes over one cache and one truth. */
class Stage {
  readonly clock: FakeClock = fakeClock({ sleeps: 'instant' })
  readonly truthDriver: FaultyDriver
  readonly truth: Store
  /** Somebody who writes to the cache what he likes. */
  readonly cache: Store
  readonly one: Store
  readonly two: Store
  /** What befalls the calls to the cache from now on. */
  plan: (call: DriverCall) => Fault | undefined = () => undefined

  constructor({ maxRecords = 1_000 }: { readonly maxRecords?: number } = {}) {
    const { clock } = this
    this.truthDriver = withFaults(memoryDriver())
    this.truth = guard(this.truthDriver, { clock })
    const memory = new Memory({ maxRecords })
    this.cache = memoryStore({ memory, clock })
    const faulty = withFaults(memoryDriver({ memory }), { plan: (call) => this.plan(call) })
    const process = (): Store =>
      tiered(guard(faulty, { clock, circuit: false }), guard(this.truthDriver, { clock }), {
        bound,
        patience,
      })
    this.one = process()
    this.two = process()
  }

  /** How often the truth was read. */
  get reads(): number {
    return this.truthDriver.calls.filter(({ operation }) => operation === 'read').length
  }

  get figures(): Extract<TierFigures, { kind: 'shared' }> {
    const [tier] = this.one.figures().tiers ?? []
    assert.equal(tier?.kind, 'shared')
    return tier
  }
}

async function seen(store: Store): Promise<string | undefined> {
  const record = await store.read(key)
  await settled()
  return record && Buffer.from(record.value).toString()
}

/** Fills go on behind the answer. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise(setImmediate)
}

describe('a shared cache over a store', () => {
  it('says what the truth can do also to who has only read what was in the cache', async () => {
    const stage = new Stage()
    await stage.one.create(draft())
    await seen(stage.one)
    assert.equal(await seen(stage.two), 'one')
    assert.equal(stage.two.capabilities.cached, true)
  })

  it('is filled by a miss, with the whole record, and answers every process [D41]', async () => {
    const { one, two, truth } = new Stage()
    await one.create({ ...draft(), labels: ['user:ada'], expiresAt: 2_000_000_000_000, touchedAt: 5 })
    assert.equal(await seen(one), 'one')
    assert.deepEqual(await two.read(key), await truth.read(key))
  })

  it('spares the truth the second reading, and keeps an entry no longer than the bound', async () => {
    const stage = new Stage()
    await stage.truth.create(draft())
    await seen(stage.one)
    const before = stage.reads
    assert.equal(await seen(stage.two), 'one')
    assert.equal(stage.reads, before)
    stage.clock.advance(bound)
    assert.equal(await seen(stage.two), 'one')
    assert.equal(stage.reads, before + 1)
    assert.equal(await seen(stage.one), 'one')
    assert.equal(stage.reads, before + 1, 'what is outdated is filled anew')
  })

  it('keeps no entry longer than its record lives [D41]', async () => {
    const stage = new Stage()
    await stage.truth.create(draft('one', stage.clock.now() + 10))
    await seen(stage.one)
    stage.clock.advance(10)
    assert.equal(await seen(stage.two), undefined)
  })

  it('has no entry without an end, also of a record that never expires [C13]', async () => {
    const stage = new Stage()
    await stage.truth.create(draft('one', never))
    await seen(stage.one)
    const entry = await stage.cache.read(place)
    assert.ok(entry && entry.expiresAt <= stage.clock.now() + bound, 'what nobody removes ends by itself')
  })

  it('is told after the truth has it: a failure between leaves nothing that is not true [C25]', async () => {
    const stage = new Stage()
    await stage.truth.create(draft())
    await seen(stage.one)
    const { version: expected } = (await stage.one.read(key, { strict: true }))!
    let written: number | undefined
    stage.plan = ({ operation }) => {
      if (operation === 'remove')
        written = stage.truthDriver.calls.filter((call) => call.operation === 'replace').length
      return undefined
    }
    await stage.one.replace({ ...draft('two'), expected })
    assert.equal(written, 1, 'the truth was written when the cache was told')
  })

  it('reads the truth once for all who ask meanwhile, but never gives an answer that is older than the question', async () => {
    const memory = new Memory()
    const slow = new SlowFeed(memory)
    const clock = fakeClock({ sleeps: 'instant' })
    const cache = new Memory({ cache: true })
    const process = (driver = memoryDriver({ memory })): Store =>
      tiered(memoryStore({ memory: cache, clock }), guard(driver, { clock }), { bound, patience })
    const [reader, writer] = [process(slow.driver), process()]
    await writer.create(draft())
    slow.holdsReads = true
    const early = seen(reader)
    await settled()
    const { version: expected } = (await writer.read(key, { strict: true }))!
    await writer.replace({ ...draft('two'), expected })
    await writer.invalidate([key])
    const late = Array.from({ length: 20 }, () => seen(reader))
    await settled()
    assert.equal(slow.reads, 1)
    slow.holdsReads = false
    slow.answerReads()
    assert.equal(await early, 'one')
    assert.deepEqual(new Set(await Promise.all(late)), new Set(['two']))
    assert.equal(slow.reads, 2)
  })

  it('waits for a slow reading before its own no longer than it is patient', async () => {
    const memory = new Memory()
    const slow = new SlowFeed(memory)
    const clock = fakeClock()
    const reader = tiered(memoryStore({ clock }), guard(slow.driver, { clock }), { bound, patience })
    await guard(memoryDriver({ memory }), { clock }).create(draft())
    slow.holdsReads = true
    const early = seen(reader)
    await settled()
    slow.holdsReads = false
    const late = seen(reader)
    await settled()
    assert.equal(slow.reads, 1)
    clock.advance(patience)
    assert.equal(await late, 'one')
    slow.answerReads()
    assert.equal(await early, 'one')
  })

  it('is told of every write, so that the other process sees it at once [K11]', async () => {
    const stage = new Stage()
    await stage.truth.create(draft())
    await seen(stage.two)
    const { version: expected } = (await stage.one.read(key, { strict: true }))!
    await stage.one.replace({ ...draft('two'), expected })
    assert.equal(await seen(stage.two), 'two')
    await stage.one.remove([key])
    assert.equal(await seen(stage.two), undefined)
  })

  it('answers many, and asks the truth for what is missing', async () => {
    const stage = new Stage()
    const other = { ...key, id: 'other' }
    await stage.truth.create(draft())
    await stage.truth.create({ ...draft('two'), key: other })
    await seen(stage.one)
    const found = await stage.one.readMany([other, key, { ...key, id: 'none' }])
    assert.deepEqual(
      found.map((record) => record && Buffer.from(record.value).toString()),
      ['two', 'one', undefined],
    )
  })

  for (const fault of ['fail', 'loseAnswer', 'loseRequest', 'hang', 'hangAfter'] as const) {
    it(`whose calls ${fault}: reads and writes go on without it [D42 D43]`, async () => {
      const stage = new Stage()
      // A call that hangs is given up when the time has come.
      const ticking = setInterval(() => {
        stage.clock.advance(patience)
      }, 1)
      try {
        stage.plan = ({ operation }) => (operation === 'open' ? undefined : fault)
        await stage.one.create(draft())
        assert.equal(await seen(stage.one), 'one')
        assert.equal(await seen(stage.two), 'one')
        const { version: expected } = (await stage.two.read(key, { strict: true }))!
        assert.equal((await stage.two.replace({ ...draft('two'), expected })).status, 'done')
        assert.equal(await seen(stage.two), 'two')
        assert.ok(stage.figures.errors > 0)
      } finally {
        clearInterval(ticking)
      }
    })
  }

  it('that can’t be made to forget: the process that wrote doesn’t ask it, and an end waits for the bound', async () => {
    const stage = new Stage()
    await stage.truth.create(draft())
    await seen(stage.two)
    stage.plan = ({ operation }) => (operation === 'remove' ? 'fail' : undefined)
    const { version: expected } = (await stage.one.read(key, { strict: true }))!
    await stage.one.replace({ ...draft('two'), expected })
    assert.equal(await seen(stage.one), 'two')
    assert.equal(await seen(stage.two), 'one', 'within the bound')
    const before = stage.clock.elapsed()
    await stage.one.invalidate([key])
    assert.ok(stage.clock.elapsed() - before >= bound)
    assert.equal(await seen(stage.two), 'two')
  })

  it('that forgets when told to: an end needs no waiting', async () => {
    const stage = new Stage()
    await stage.truth.create(draft())
    const before = stage.clock.elapsed()
    await stage.one.invalidate([key])
    assert.equal(stage.clock.elapsed(), before)
  })

  it('waits for the bound where it can’t be said what has ended', async () => {
    const stage = new Stage()
    const before = stage.clock.elapsed()
    await stage.one.invalidate([])
    assert.ok(stage.clock.elapsed() - before >= bound)
  })

  it('with rubbish in it, or with what is meant for another form: that is a miss, and is overwritten', async () => {
    for (const rubbish of ['rubbish', '\n', '[1,2]\n', '{}\nx', '[9e15,"v",1,"t"]\nx']) {
      const stage = new Stage()
      await stage.truth.create(draft())
      await stage.cache.create({ key: place, value: Buffer.from(rubbish), expiresAt: never })
      assert.equal(await seen(stage.one), 'one', rubbish)
      const before = stage.reads
      assert.equal(await seen(stage.two), 'one', rubbish)
      assert.equal(stage.reads, before, rubbish)
    }
  })

  it('that is full: the truth answers', async () => {
    const stage = new Stage({ maxRecords: 1 })
    await stage.cache.create({ key: { ...key, id: 'full' }, value: Buffer.from('x'), expiresAt: never })
    await assert.rejects(stage.cache.create({ ...draft(), key: { ...key, id: 'y' } }), StoreFull)
    await stage.one.create(draft())
    assert.equal(await seen(stage.one), 'one')
  })

  it('may be the very store that is the truth', async () => {
    const clock = fakeClock({ sleeps: 'instant' })
    const memory = new Memory()
    const truth = memoryStore({ memory, clock })
    const store = tiered(memoryStore({ memory, clock }), truth)
    await store.create(draft())
    assert.equal(await seen(store), 'one')
    await store.invalidate([key])
    assert.equal(await seen(store), 'one')
    assert.ok(await truth.read(key))
  })

  it('keeps no place for what isn’t there, and none for what is too large for it', async () => {
    const stage = new Stage()
    await seen(stage.one)
    assert.equal(await stage.cache.read(place), undefined)
    const small = tiered(memoryStore({ maxValue: 50 }), stage.truth)
    await stage.truth.create(draft('x'.repeat(50)))
    assert.equal(await seen(small), 'x'.repeat(50))
    assert.equal(await seen(small), 'x'.repeat(50))
  })

  it('is rid of what has expired in it, though nobody sweeps it', async () => {
    const stage = new Stage({ maxRecords: 100_000 })
    for (let i = 0; i < 250; i++) {
      await stage.truth.create({ ...draft(), key: { ...key, id: `id-${i}` } })
      await stage.one.read({ ...key, id: `id-${i}` })
      await settled()
      stage.clock.advance(60_000)
    }
    const { records } = await stage.cache.list(place.collection, { expired: true, limit: 1_000 })
    assert.ok(records.length < 200, `${records.length} are left`)
  })
})
