/** The process's copy of marks: never older than its bound, whatever the feed does. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { SlowFeed } from '../store/tiers/slow-feed.ts'
import { Marks } from '../../packages/holdfast/src/records/marks.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Epochs } from '../../packages/holdfast/src/records/envelope.ts'
import { type FakeClock, fakeClock } from '../../packages/holdfast/src/testing/clock.ts'

const bound = 1_000
const ada = marked(['user:ada'])

/** What marks see of a record. */
function marked(labels: readonly string[], epochs: Epochs = {}) {
  return { record: { key: { collection: 'sessions', id: 'one' }, labels }, envelope: { epochs } }
}

interface Stage {
  readonly clock: FakeClock
  readonly feed: SlowFeed
  /** The marks of the process behind the feed. */
  readonly reader: Marks
  /** The marks of another process. */
  readonly writer: Marks
}

function stage(): Stage {
  const memory = new Memory()
  const clock = fakeClock()
  const feed = new SlowFeed(memory)
  const options = { collection: 'sessions', longest: never, bound }
  return {
    clock,
    feed,
    reader: new Marks(guard(feed.driver, { clock }), options),
    writer: new Marks(guard(memoryDriver({ memory }), { clock }), options),
  }
}

/** As a stage, with a copy that is there and fresh. */
async function warm(): Promise<Stage> {
  const set = stage()
  for (let i = 0; i < 3; i++) {
    assert.equal(await set.reader.strikes(ada), false)
    await settled()
  }
  return set
}

/** Resolves when nothing is under way that needs no timer. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
}

describe('the copy of marks', () => {
  it('is at hand, without a read and without a promise, while it is fresh', async () => {
    const { feed, reader } = await warm()
    const before = feed.reads
    assert.equal(reader.strikes(ada), false)
    assert.equal(feed.reads, before)
  })

  it('knows a mark at once when the feed tells, and within the bound when it doesn’t', async () => {
    const { clock, feed, reader, writer } = await warm()
    await writer.raise(['user:ada'])
    clock.advance(bound - 1)
    feed.deliver()
    assert.equal(await reader.strikes(ada), true)
  })

  it('is not used beyond the bound while the feed is silent [races: half-open feed]', async () => {
    const { clock, feed, reader, writer } = await warm()
    await writer.raise(['user:ada'])
    clock.advance(bound)
    assert.equal(await reader.strikes(ada), true)
    // Nobody had to wait for the echo, and the next one is judged by the truth too.
    const before = feed.reads
    assert.equal(await reader.strikes(ada), true)
    assert.ok(feed.reads > before)
  })

  it('counts as fresh from when its echo was asked for, not from when it came', async () => {
    const { clock, feed, reader, writer } = await warm()
    clock.advance(bound)
    // Asks for an echo, and is told the truth meanwhile.
    assert.equal(await reader.strikes(ada), false)
    await settled()
    clock.advance(bound - 1)
    await reader.strikes(ada)
    feed.deliver()
    await settled()
    // The echo proved what was true one bound ago less one millisecond.
    await writer.raise(['user:ada'])
    clock.advance(1)
    assert.equal(await reader.strikes(ada), true)
  })

  it('asks for an echo again when one never comes', async () => {
    const { clock, feed, reader } = await warm()
    clock.advance(bound)
    await reader.strikes(ada)
    clock.advance(bound)
    feed.echo = 'at once'
    await reader.strikes(ada)
    const before = feed.reads
    assert.equal(reader.strikes(ada), false)
    assert.equal(feed.reads, before)
  })

  for (const echo of ['rejects', 'throws'] as const) {
    it(`reads the truth when the echo ${echo}`, async () => {
      const { clock, feed, reader, writer } = await warm()
      feed.echo = echo
      await writer.raise(['user:ada'])
      clock.advance(bound)
      assert.equal(await reader.strikes(ada), true)
      await settled()
      assert.equal(await reader.strikes(ada), true)
    })
  }

  it('is not used between `broken` and `restored`, and is dropped by both', async () => {
    const { feed, reader, writer } = await warm()
    feed.tell({ type: 'broken', cause: new Error('cut') })
    await writer.raise(['user:ada'])
    assert.equal(await reader.strikes(ada), true)
    feed.tell({ type: 'restored' })
    feed.tell({ type: 'reset' })
    assert.equal(await reader.strikes(ada), true)
  })

  it('is dropped by a reset', async () => {
    const { feed, reader, writer } = await warm()
    await writer.raise(['user:ada'])
    feed.tell({ type: 'reset' })
    assert.equal(await reader.strikes(ada), true)
  })

  it('does not keep what was read before an invalidation and arrived after it [races: P1fix]', async () => {
    const { feed, reader, writer } = await warm()
    feed.tell({ type: 'reset' })
    feed.holdsReads = true
    const reading = reader.strikes(ada)
    await settled()
    await writer.raise(['user:ada'])
    feed.deliver()
    feed.holdsReads = false
    feed.answerReads()
    assert.equal(await reading, false, 'it was asked before the mark was raised')
    assert.equal(await reader.strikes(ada), true)
  })

  it('is left alone when the store cannot be watched, and watching is tried again', async () => {
    const { feed, reader, writer } = stage()
    feed.refusesToWatch = true
    assert.equal(await reader.strikes(ada), false)
    await settled()
    await writer.raise(['user:ada'])
    assert.equal(await reader.strikes(ada), true)
    await settled()
    assert.ok(feed.watches >= 2)
  })

  it('forgets what this process raised itself before the feed tells', async () => {
    const { reader } = await warm()
    await reader.raise(['user:ada'])
    assert.equal(await reader.strikes(ada), true)
  })
})

describe('marks', () => {
  it('strike what began before them, and nothing that began after', async () => {
    const { writer } = stage()
    const labels = ['user:ada', 'tenant:t1']
    const before = await writer.epochs(labels)
    await writer.raise(['user:ada', 'tenant:t1'])
    const after = await writer.epochs(labels)
    assert.equal(await writer.strikesStrictly(marked(labels, before)), true)
    assert.equal(await writer.strikesStrictly(marked(labels, after)), false)
    assert.equal(await writer.strikesStrictly(marked(['user:ada'], before)), false)
    assert.equal(await writer.strikesStrictly(marked(['user:bob', 'tenant:t1'])), false)
  })

  it('of one instant are told apart, also when the clock goes back [C23]', async () => {
    const { clock, writer } = stage()
    const first = await writer.raise(['user:ada'])
    clock.set(clock.now() - 60_000)
    const epochs = await writer.epochs(['user:ada'])
    const second = await writer.raise(['user:ada'])
    assert.ok(second.epoch > first.epoch)
    assert.equal(await writer.strikesStrictly(marked(['user:ada'], epochs)), true)
  })

  it('that can’t be read are an error, never "no mark"', async () => {
    const memory = new Memory()
    const store = guard(memoryDriver({ memory }))
    const marks = new Marks(store, { collection: 'sessions', longest: never, bound })
    await marks.raise(['user:ada'])
    const { records } = await store.list('marks')
    const [record] = records
    assert.ok(record)
    const damaged = Buffer.from('{"marks":[{"labels":[]}]}')
    await store.replace({ key: record.key, expected: record.version, value: damaged, expiresAt: never })
    await assert.rejects(marks.epochs(['user:ada']), { code: 'HOLDFAST_RECORD_CORRUPT' })
    await assert.rejects(marks.raise(['user:ada']), { code: 'HOLDFAST_RECORD_CORRUPT' })
  })

  it('of some hundred label sets keep the newest, and all that are younger than the margin', async () => {
    const memory = new Memory()
    const clock = fakeClock({ sleeps: 'instant' })
    const store = guard(memoryDriver({ memory }), { clock })
    const marks = new Marks(store, { collection: 'sessions', longest: never, bound })
    for (let i = 0; i < 410; i++) await marks.raise(['user:ada', `client:${i}`])
    const first = marked(['client:0', 'user:ada'])
    assert.equal(await marks.strikesStrictly(first), true, 'a login could still be under way')
    clock.advance(3_600_001)
    await marks.raise(['user:ada', 'client:new'])
    assert.equal(await marks.strikesStrictly(first), false)
    assert.equal(await marks.strikesStrictly(marked(['client:new', 'user:ada'])), true)
  })
})
