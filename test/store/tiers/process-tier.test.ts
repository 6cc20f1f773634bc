/** The memory of a process over a store: never further behind than the bound, whatever the feed does. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Memory, memoryDriver, memoryStore } from '../../../packages/holdfast/src/drivers/memory.ts'
import { InvalidOption } from '../../../packages/holdfast/src/errors.ts'
import { guard } from '../../../packages/holdfast/src/store/guard.ts'
import { type Key, never, type StoredRecord } from '../../../packages/holdfast/src/store/record.ts'
import type { Store, TierFigures } from '../../../packages/holdfast/src/store/store.ts'
import { processMemory, tiered } from '../../../packages/holdfast/src/store/tiers/tiered.ts'
import { type FakeClock, fakeClock } from '../../../packages/holdfast/src/testing/clock.ts'
import { withFaults } from '../../../packages/holdfast/src/testing/faults.ts'
import { SlowFeed } from './slow-feed.ts'

const bound = 250
const key: Key = { collection: 'sessions', id: 'x' }
const draft = (value = 'one', expiresAt = never) => ({ key, value: Buffer.from(value), expiresAt })

/** A process behind a feed that the test delivers, and another one, which writes. */
class Stage {
  readonly clock: FakeClock = fakeClock()
  readonly feed: SlowFeed
  readonly reader: Store
  readonly writer: Store

  constructor(maxBytes?: number) {
    const memory = new Memory()
    this.feed = new SlowFeed(memory)
    const { clock } = this
    const cache = processMemory(maxBytes === undefined ? {} : { maxBytes })
    this.reader = tiered(cache, guard(this.feed.driver, { clock }), { bound })
    this.writer = guard(memoryDriver({ memory }), { clock })
  }

  /** With the record known here, and the feed proven to be fresh. */
  static async warm(): Promise<Stage> {
    const stage = new Stage()
    await stage.writer.create(draft())
    for (let i = 0; i < 3; i++) {
      await stage.reader.read(key)
      await settled()
      stage.feed.deliver()
      await settled()
    }
    return stage
  }

  async write(value: string): Promise<void> {
    const { version: expected } = (await this.writer.read(key))!
    await this.writer.replace({ ...draft(value), expected })
  }

  /** What the reader answers. */
  async seen(): Promise<string | undefined> {
    const record = await this.reader.read(key)
    return record && Buffer.from(record.value).toString()
  }

  get figures(): Extract<TierFigures, { kind: 'process' }> {
    const [tier] = this.reader.figures().tiers ?? []
    assert.equal(tier?.kind, 'process')
    return tier
  }
}

/** Resolves when nothing is under way that needs no timer. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
}

describe('the memory of a process over a store', () => {
  it('answers at hand, without a read of the truth [D41 G5]', async () => {
    const { feed, reader } = await Stage.warm()
    const before = feed.reads
    const record = reader.read(key) as StoredRecord
    assert.equal(Buffer.from(record.value).toString(), 'one')
    assert.equal(feed.reads, before)
  })

  it('hands out copies: what a caller does to one changes nothing', async () => {
    const { reader } = await Stage.warm()
    const { value } = reader.read(key) as StoredRecord
    value.fill(0)
    assert.equal(Buffer.from((reader.read(key) as StoredRecord).value).toString(), 'one')
  })

  it('forgets at once what the feed tells of [D44 G12]', async () => {
    const stage = await Stage.warm()
    await stage.write('two')
    stage.feed.deliver()
    assert.equal(await stage.seen(), 'two')
  })

  it('is behind the truth for no longer than the bound while the feed is silent [races: half-open feed]', async () => {
    const stage = await Stage.warm()
    await stage.write('two')
    stage.clock.advance(bound - 1)
    assert.equal(await stage.seen(), 'one')
    stage.clock.advance(1)
    assert.equal(await stage.seen(), 'two')
  })

  it('is used again when the feed speaks again', async () => {
    const stage = await Stage.warm()
    stage.clock.advance(bound)
    await stage.seen()
    stage.feed.deliver()
    await settled()
    const before = stage.feed.reads
    await stage.seen()
    assert.equal(stage.feed.reads, before)
  })

  it('drops everything when the feed breaks, and keeps nothing until it is back', async () => {
    const stage = await Stage.warm()
    stage.feed.tell({ type: 'broken', cause: new Error('cut') })
    assert.equal(stage.figures.entries, 0)
    assert.equal(stage.figures.feed.state, 'broken')
    await stage.seen()
    assert.equal(stage.figures.entries, 0)
    stage.feed.tell({ type: 'restored' })
    stage.feed.tell({ type: 'reset' })
    await stage.seen()
    assert.equal(stage.figures.entries, 1)
    assert.equal(stage.figures.feed.state, 'live')
  })

  it('does not keep what was changed while it was read [races: T1 P1fix]', async () => {
    const stage = new Stage()
    await stage.writer.create(draft())
    await stage.reader.read({ ...key, id: 'other' })
    await settled()
    const before = stage.figures.spoiled
    stage.feed.holdsReads = true
    const reading = stage.seen()
    await settled()
    await stage.write('two')
    stage.feed.deliver()
    stage.feed.answerReads()
    assert.equal(await reading, 'one', 'as it was when it was asked for')
    stage.feed.holdsReads = false
    assert.equal(await stage.seen(), 'two')
    assert.equal(stage.figures.spoiled, before + 1)
  })

  it('reads once, however many wait, and none of them ends it for the others', async () => {
    const stage = new Stage()
    await stage.writer.create(draft())
    await stage.reader.read({ ...key, id: 'other' })
    const before = stage.feed.reads
    stage.feed.holdsReads = true
    const impatient = new AbortController()
    const given = Promise.resolve(stage.reader.read(key, { signal: impatient.signal }))
    const others = [stage.seen(), stage.seen(), stage.seen()]
    await settled()
    impatient.abort(new Error('no time'))
    await assert.rejects(given, /no time/)
    stage.feed.answerReads()
    assert.deepEqual(await Promise.all(others), ['one', 'one', 'one'])
    assert.equal(stage.feed.reads, before + 1)
  })

  it('does not join a reading that is as old as the bound: what it found may have ended since [C31 D44]', async () => {
    const stage = new Stage()
    await stage.writer.create(draft())
    await stage.reader.read({ ...key, id: 'other' })
    stage.feed.holdsReads = true
    const early = stage.seen()
    await settled()
    await stage.write('two')
    // Whoever wrote it has waited for the bound by now, and said that it is done; the feed tells nothing yet.
    stage.clock.advance(bound)
    stage.feed.holdsReads = false
    assert.equal(await stage.seen(), 'two')
    stage.feed.answerReads()
    assert.equal(await early, 'one')
    assert.equal(await stage.seen(), 'two', 'and it is not kept')
  })

  it('does not join a reading that began before its own write [D44]', async () => {
    const stage = new Stage()
    await stage.writer.create(draft())
    await stage.reader.read({ ...key, id: 'other' })
    stage.feed.holdsReads = true
    const early = stage.seen()
    await settled()
    const { version: expected } = (await stage.writer.read(key))!
    await stage.reader.replace({ ...draft('two'), expected })
    const late = stage.seen()
    await settled()
    stage.feed.answerReads()
    assert.deepEqual(await Promise.all([early, late]), ['one', 'two'])
  })

  it('remembers that there is nothing, until something is created', async () => {
    const stage = new Stage()
    for (let i = 0; i < 3; i++) {
      assert.equal(await stage.seen(), undefined)
      await settled()
    }
    const before = stage.feed.reads
    assert.equal(await stage.seen(), undefined)
    assert.equal(stage.feed.reads, before)
    await stage.writer.create(draft())
    stage.feed.deliver()
    assert.equal(await stage.seen(), 'one')
  })

  it('takes an expired copy for a miss: another process may have prolonged it [K3]', async () => {
    const stage = new Stage()
    const expiresAt = stage.clock.now() + 100
    await stage.writer.create(draft('one', expiresAt))
    await stage.seen()
    await stage.seen()
    const { version } = (await stage.writer.read(key))!
    await stage.writer.touch([{ key, version, expiresAt: expiresAt + 1_000 }])
    stage.clock.advance(100)
    assert.equal(await stage.seen(), 'one')
    stage.clock.advance(1_000)
    assert.equal(await stage.seen(), undefined)
  })

  it('reads strictly from the truth', async () => {
    const stage = await Stage.warm()
    await stage.write('two')
    const record = await stage.reader.read(key, { strict: true })
    assert.equal(Buffer.from(record!.value).toString(), 'two')
    const [many] = await stage.reader.readMany([key], { strict: true })
    assert.equal(Buffer.from(many!.value).toString(), 'two')
  })

  it('reads many from here and from the truth, in their order', async () => {
    const stage = await Stage.warm()
    const other = { ...key, id: 'other' }
    await stage.writer.create({ ...draft('three'), key: other })
    const found = await stage.reader.readMany([other, key, { ...key, id: 'none' }, other])
    assert.deepEqual(
      found.map((record) => record && Buffer.from(record.value).toString()),
      ['three', 'one', undefined, 'three'],
    )
  })

  it('makes a view of a record once, and again when the record has changed', async () => {
    const stage = await Stage.warm()
    let made = 0
    const view = (record: StoredRecord): { text: string } => {
      made++
      return { text: Buffer.from(record.value).toString() }
    }
    const seen = [await stage.reader.view(key, view), await stage.reader.view(key, view)]
    assert.equal(made, 1)
    assert.equal(seen[0], seen[1])
    await stage.write('two')
    stage.feed.deliver()
    assert.deepEqual(await stage.reader.view(key, view), { text: 'two' })
    assert.equal(made, 2)
  })

  it('throws what a view throws, and asks again the next time', async () => {
    const stage = await Stage.warm()
    const broken = (): never => {
      throw new RangeError('no')
    }
    await assert.rejects(async () => stage.reader.view(key, broken), RangeError)
    assert.equal(await stage.seen(), 'one')
  })

  it('stays within its bytes, whatever is stored, and gives up what was not used', async () => {
    const maxBytes = 100_000
    const stage = new Stage(maxBytes)
    const used = { ...key, id: 'used' }
    await stage.writer.create({ ...draft(), key: used })
    for (let i = 0; i < 2_000; i++) {
      const each = { ...key, id: `id-${i}` }
      await stage.writer.create({ ...draft('x'.repeat(i % 300)), key: each })
      await stage.reader.read(each)
      await stage.reader.read(used)
      assert.ok(stage.figures.bytes <= maxBytes)
    }
    assert.ok(stage.figures.entries > 50)
    const before = stage.feed.reads
    await stage.reader.read(used)
    assert.equal(stage.feed.reads, before, 'what is used all the time stays')
  })

  it('over a store without a feed keeps each answer for the bound', async () => {
    const clock = fakeClock()
    const memory = new Memory()
    const driver = withFaults(memoryDriver({ memory }), { declare: { watch: false } })
    const reader = tiered(processMemory(), guard(driver, { clock }), { bound: '5s' })
    const writer = memoryStore({ memory, clock })
    await writer.create(draft())
    await reader.read(key)
    const { version: expected } = (await writer.read(key))!
    await writer.replace({ ...draft('two'), expected })
    clock.advance(4_999)
    assert.equal(Buffer.from((await reader.read(key))!.value).toString(), 'one')
    clock.advance(1)
    assert.equal(Buffer.from((await reader.read(key))!.value).toString(), 'two')
  })

  it('says that something has ended when the bound has passed, where others share the store [C31]', async () => {
    for (const shared of [true, false]) {
      const clock = fakeClock({ sleeps: 'instant' })
      const driver = withFaults(memoryDriver(), { declare: { shared } })
      const store = tiered(processMemory(), guard(driver, { clock }), { bound })
      await store.create(draft())
      const before = clock.elapsed()
      await store.invalidate([key])
      assert.equal(clock.elapsed() - before, shared ? bound : 0)
    }
  })

  it('refuses limits and bounds that make no sense', () => {
    assert.throws(() => processMemory({ maxBytes: 0 }), InvalidOption)
    assert.throws(() => tiered(processMemory(), memoryStore(), { bound: 0 }), InvalidOption)
    assert.throws(() => tiered(processMemory(), memoryStore(), { patience: 5 }), InvalidOption)
    const store = memoryStore()
    assert.throws(() => tiered(store, store), InvalidOption)
    assert.throws(() => tiered(tiered(processMemory(), store), memoryStore()), InvalidOption)
  })
})
