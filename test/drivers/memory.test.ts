/** What the memory driver promises beyond the contract; the contract itself is tested in memory-suite.test.ts. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  Memory,
  memoryDriver,
  type MemoryOptions,
  memoryStore,
} from '../../packages/holdfast/src/drivers/memory.ts'
import { InvalidOption, StoreFull } from '../../packages/holdfast/src/errors.ts'
import type { Call, Change, Page } from '../../packages/holdfast/src/store/contract.ts'
import { keyText, type StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import type { Draft, Store, StoreOptions } from '../../packages/holdfast/src/store/store.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'

const hour = 3_600_000

function scene(options: MemoryOptions & StoreOptions = {}) {
  const clock = fakeClock()
  const store = memoryStore({ clock, ...options })
  const draft = (id: string, given: Partial<Draft> = {}): Draft => ({
    key: { collection: 'sessions', id },
    value: Buffer.alloc(100),
    expiresAt: clock.now() + hour,
    ...given,
  })
  const create = async (id: string, given: Partial<Draft> = {}): Promise<string> => {
    const written = await store.create(draft(id, given))
    assert.ok(written.status === 'done')
    return written.version
  }
  const ids = async (): Promise<string[]> =>
    idsOf(await store.list('sessions', { expired: true, limit: 1_000 }))
  return { clock, store, draft, create, ids }
}

function idsOf({ records }: Page): string[] {
  return records.map(({ key }) => key.id)
}

function tombstone(expected: string, expiresAt: number, value = Buffer.alloc(150)) {
  return {
    key: { collection: 'sessions', id: 'a' },
    expected,
    value,
    labels: [],
    expiresAt,
    setsExpiry: true,
  }
}

async function heard(store: Store): Promise<string[]> {
  const keys: string[] = []
  await store.watch((change: Change) => {
    if (change.type === 'changed') keys.push(...change.keys.map(keyText))
  })
  return keys
}

describe('a full memory', () => {
  it('refuses new records by number, and changes nothing', async () => {
    const { store, draft, create, ids } = scene({ maxRecords: 2 })
    await create('a')
    await create('b')
    await assert.rejects(store.create(draft('c')), StoreFull)
    assert.deepEqual(await ids(), ['a', 'b'])
    assert.equal((await store.create(draft('a'))).status, 'conflict')
    await store.remove([draft('a').key])
    await create('c')
  })

  it('refuses new records and growing values by bytes', async () => {
    const { store, draft, create } = scene({ maxBytes: 5_000 })
    const version = await create('a', { value: Buffer.alloc(2_000) })
    await create('b', { value: Buffer.alloc(1_000) })
    await assert.rejects(store.create(draft('c', { value: Buffer.alloc(2_000) })), StoreFull)
    const rewrite = { ...draft('a'), expected: version }
    await assert.rejects(store.replace({ ...rewrite, value: Buffer.alloc(4_000) }), StoreFull)
    assert.equal((await store.read(draft('a').key))?.version, version)
    const same = await store.replace({ ...rewrite, value: Buffer.alloc(2_000) })
    assert.equal(same.status, 'done')
  })

  it('frees the room of what is removed, swept, replaced and taken over, to the byte', async () => {
    const memory = new Memory()
    const { store, clock, draft, create } = scene({ memory })
    const labels = ['user:ada', 'user:ädä']
    const version = await create('a', { labels })
    await create('b', { labels, expiresAt: clock.now() + 1 })
    await store.replace({
      ...draft('a'),
      expected: version,
      value: Buffer.alloc(9_000),
      labels: ['user:eve'],
    })
    clock.advance(1)
    await create('b', { expiresAt: clock.now() + 1 })
    await store.remove([draft('a').key])
    clock.advance(1 + hour)
    await store.sweep()
    assert.equal(memory.records, 0)
    assert.equal(memory.bytes, 0)
  })

  it('removes the expired first, the longest expired before the others, and tells of it', async () => {
    const { clock, store, create, ids } = scene({ maxRecords: 3 })
    await create('older', { expiresAt: clock.now() + 1 })
    await create('young', { expiresAt: clock.now() + 2 })
    await create('live')
    const keys = await heard(store)
    clock.advance(1)
    await create('a')
    assert.deepEqual(await ids(), ['a', 'live', 'young'])
    await assert.rejects(create('b'), StoreFull)
    clock.advance(1)
    await create('b')
    assert.deepEqual(await ids(), ['a', 'b', 'live'])
    assert.deepEqual(keys.sort(), ['sessions/a', 'sessions/b', 'sessions/older', 'sessions/young'])
  })

  it('does not refuse touches, what does not grow, and burying', async () => {
    const { clock, store, draft, create } = scene({ maxBytes: 600 })
    const version = await create('a', { value: Buffer.alloc(50) })
    await assert.rejects(
      store.replace({ ...draft('a'), expected: version, value: Buffer.alloc(300) }),
      StoreFull,
    )
    const [touched] = await store.touch([{ key: draft('a').key, version, expiresAt: clock.now() + 9 * hour }])
    assert.equal(touched, 'done')
    const labels = ['state:revoked', 'revoked:2026-01-01T00']
    const buried = await store.replace({
      ...tombstone(version, clock.now() + hour, Buffer.alloc(500)),
      labels,
    })
    assert.equal(buried.status, 'done')
  })

  it('buries what has expired, though that may be removed for others', async () => {
    const { clock, store, draft, create } = scene({ maxBytes: 1_000, maxRecords: 1 })
    const version = await create('a', { value: Buffer.alloc(1), expiresAt: clock.now() + 1 })
    clock.advance(1)
    const buried = await store.replace({
      ...tombstone(version, clock.now() + hour, Buffer.alloc(400)),
      expired: true,
    })
    assert.equal(buried.status, 'done')
    assert.equal((await store.read(draft('a').key))?.value.byteLength, 400)
  })

  it('lets a burial be no way to grow without bound', async () => {
    const { clock, store, create } = scene({ maxBytes: 1_000 })
    const version = await create('a')
    await assert.rejects(
      store.replace(tombstone(version, clock.now() + hour, Buffer.alloc(2_000))),
      StoreFull,
    )
  })

  it('keeps an eighth in reserve for marks', async () => {
    const { store, draft, create } = scene({ maxRecords: 8 })
    for (let i = 0; i < 8; i++) await create(`s${i}`)
    const mark = (id: string) => store.create(draft(id, { key: { collection: 'marks', id } }))
    assert.equal((await mark('m1')).status, 'done')
    await assert.rejects(mark('m2'), StoreFull)
    await assert.rejects(create('s9'), StoreFull)
  })

  it('applies nothing of a batch for which there is no room', async () => {
    const { store, draft, create, ids } = scene({ maxRecords: 3 })
    const version = await create('a', { labels: ['user:ada'] })
    const replace = { type: 'replace' as const, ...draft('a'), expected: version, labels: [] }
    const creates = ['b', 'c', 'd'].map((id) => ({ type: 'create' as const, ...draft(id) }))
    await assert.rejects(store.write([replace, ...creates]), StoreFull)
    assert.deepEqual(await ids(), ['a'])
    assert.deepEqual((await store.read(draft('a').key))?.labels, ['user:ada'])
    assert.equal((await store.write([replace, ...creates.slice(1)])).status, 'done')
  })

  it('answers gone when the room was made of the record that a batch was to bury', async () => {
    const { clock, store, draft, create } = scene({ maxRecords: 1 })
    const version = await create('a', { expiresAt: clock.now() + 1 })
    clock.advance(1)
    const bury = { type: 'replace' as const, ...tombstone(version, clock.now() + hour), expired: true }
    const written = await store.write([bury, { type: 'create', ...draft('b') }])
    assert.deepEqual(written, { status: 'refused', outcomes: ['gone', 'done'] })
  })
})

describe('a memory as a cache', () => {
  it('drops what was not used for longest, and tells of it', async () => {
    const { clock, store, draft, create, ids } = scene({ maxRecords: 3, cache: true })
    const keys = await heard(store)
    const version = await create('a')
    await create('b')
    await create('c')
    await store.read(draft('b').key)
    await store.touch([{ key: draft('a').key, version, expiresAt: clock.now() + 2 * hour }])
    keys.length = 0
    await create('d')
    assert.deepEqual(await ids(), ['a', 'b', 'd'])
    assert.deepEqual(keys, ['sessions/c', 'sessions/d'])
    await create('e')
    assert.deepEqual(await ids(), ['a', 'd', 'e'])
    assert.equal(store.capabilities.listing, 'partial')
  })

  it('drops the expired before anything that lives', async () => {
    const { clock, store, draft, create, ids } = scene({ maxRecords: 2, cache: true })
    await create('live')
    await create('expired', { expiresAt: clock.now() + 1 })
    clock.advance(1)
    await store.read(draft('expired').key, { expired: true })
    await create('new')
    assert.deepEqual(await ids(), ['live', 'new'])
  })

  it('refuses what would not fit if it were empty, and drops nothing for it', async () => {
    const { store, draft, create, ids } = scene({ maxBytes: 5_000, cache: true })
    await create('a')
    await assert.rejects(store.create(draft('b', { value: Buffer.alloc(6_000) })), StoreFull)
    assert.deepEqual(await ids(), ['a'])
  })

  it('keeps to its bounds over thousands of writes', async () => {
    const memory = new Memory({ maxRecords: 50, maxBytes: 20_000, cache: true })
    const { store, create } = scene({ memory })
    for (let i = 0; i < 2_000; i++) {
      await create(`s${i}`, { value: Buffer.alloc((i * 7_919) % 700), labels: [`user:${i % 9}`] })
      assert.ok(memory.records <= 50 && memory.bytes <= 20_000)
    }
    assert.ok((await store.count('sessions')) > 10)
  })
})

describe('a shared memory', () => {
  it('is bounded over all of its stores, and frees the expired of each for the others', async () => {
    const memory = new Memory({ maxRecords: 2 })
    const one = scene({ memory, namespace: 'one' })
    const two = scene({ memory, namespace: 'two' })
    await one.create('a', { expiresAt: one.clock.now() + 1 })
    await two.create('a')
    await assert.rejects(two.create('b'), StoreFull)
    two.clock.advance(1)
    await two.create('b')
    assert.deepEqual(await one.ids(), [])
    assert.deepEqual(await two.ids(), ['a', 'b'])
  })

  it('tells nothing to the watchers of a store that was closed', async () => {
    const memory = new Memory()
    const [one, two] = [scene({ memory }), scene({ memory })]
    const keys = await heard(one.store)
    await one.store.close()
    await two.create('a')
    assert.deepEqual(keys, [])
  })

  it('has limits of its own', () => {
    const memory = new Memory()
    for (const limit of [{ maxBytes: 1 }, { maxRecords: 1 }, { cache: false }]) {
      assert.throws(() => memoryStore({ memory, ...limit }), InvalidOption)
    }
  })
})

describe('memoryStore', () => {
  it('refuses limits that are none', () => {
    for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => memoryStore({ maxBytes: limit }), InvalidOption)
      assert.throws(() => memoryStore({ maxRecords: limit }), InvalidOption)
    }
    assert.throws(() => memoryStore({ maxRecords: 14_000_001 }), InvalidOption)
  })

  it('gives its answers plainly, without a promise', async () => {
    const { store, draft, create } = scene()
    await create('a')
    assert.ok(!(store.read(draft('a').key) instanceof Promise))
    const call: Call = { now: 0, signal: new AbortController().signal }
    const driver = memoryDriver()
    const { key, value, expiresAt } = draft('a')
    assert.equal(
      driver.create({ key, value, expiresAt, version: '1.x', labels: [], touchedAt: 0 }, call),
      'done',
    )
    assert.ok(Array.isArray(driver.read([key], { expired: false, strict: true }, call)))
  })

  it('looks at a bounded number of records for one page, and at all of them in the end', async () => {
    const { store, create } = scene()
    const count = 12_000
    for (let i = 0; i < count; i++) {
      const both = i === 7_000
      const labels = both ? ['even:yes', 'odd:yes'] : [i % 2 ? 'odd:yes' : 'even:yes']
      await create(`s${String(i).padStart(6, '0')}`, { labels })
    }
    const labels = ['even:yes', 'odd:yes']
    const first = await store.list('sessions', { labels })
    assert.deepEqual(
      idsOf(first),
      ['s007000'].filter(() => first.records.length > 0),
    )
    assert.ok(first.next, 'one page does not look at six thousand records')
    const second = await store.list('sessions', { labels, after: first.next })
    assert.deepEqual([...idsOf(first), ...idsOf(second)], ['s007000'])
    assert.equal(second.next, undefined)
    const slice = await store.scan({ index: 0, of: 4_096, limit: 1_000 })
    assert.ok(slice.next !== undefined && slice.records.length < 100)
  })
})

describe('the indexes of a large memory', () => {
  it('agree with the records after thousands of random changes', async () => {
    const { clock, store, draft } = scene()
    const random = generator(20_260_101)
    const versions = new Map<string, string>()
    for (let i = 0; i < 12_000; i++) {
      const id = `s${random(3_000)}`
      const given = {
        labels: [`user:${random(40)}`, `state:${random(2)}`],
        expiresAt: clock.now() + 1 + random(9_000),
      }
      const version = versions.get(id)
      const kind = random(6)
      if (kind === 0) await store.remove([draft(id).key])
      else if (kind === 1 && version)
        await store.touch([{ key: draft(id).key, version, expiresAt: given.expiresAt }])
      else if (kind === 2 && version) {
        const written = await store.replace({ ...draft(id, given), expected: version, setsExpiry: true })
        if (written.status === 'done') versions.set(id, written.version)
      } else {
        const written = await store.create(draft(id, given))
        if (written.status === 'done') versions.set(id, written.version)
      }
      if (i % 10 === 0) clock.advance(1)
    }
    await assertConsistent(store, [...versions.keys()])
    clock.advance(9_000 + hour)
    await sweepInOrder(store)
    assert.deepEqual(idsOf(await store.list('sessions', { expired: true })), [])
  })

  it('stay in order through rising, falling and shuffled ids, and through removal of most', async () => {
    const { store, draft, create } = scene()
    const rising = Array.from({ length: 3_000 }, (_, i) => `a${String(i).padStart(5, '0')}`)
    const falling = rising.map((id) => `b${id}`).reverse()
    const random = generator(7)
    const shuffled = rising.map((id) => `c${random(1_000_000)}-${id}`)
    const all = [...rising, ...falling, ...shuffled]
    for (const id of all) await create(id)
    assert.deepEqual(await every(store, false), all.toSorted())
    const removed = new Set(all.filter((_, i) => i % 50 !== 0))
    await store.remove([...removed].map((id) => draft(id).key))
    const left = all.filter((id) => !removed.has(id)).sort()
    assert.deepEqual(await every(store, false), left)
    assert.deepEqual(await every(store, true), left.toReversed())
  })
})

/** Compares every listing with what reading the records one by one says. */
async function assertConsistent(store: Store, ids: readonly string[]): Promise<void> {
  const keys = ids.map((id) => ({ collection: 'sessions', id }))
  const records = (await store.readMany(keys, { expired: true })).filter((record) => record !== undefined)
  const carriers = (label: string): string[] =>
    records
      .filter(({ labels }) => labels.includes(label))
      .map(({ key }) => key.id)
      .sort()
  assert.ok(records.length > 500)
  assert.deepEqual(await every(store, false), records.map(({ key }) => key.id).sort())
  for (let user = 0; user < 40; user++) {
    const page = await store.list('sessions', { labels: [`user:${user}`], expired: true, limit: 1_000 })
    assert.deepEqual(idsOf(page), carriers(`user:${user}`))
    const both = await store.list('sessions', {
      labels: [`user:${user}`, 'state:1'],
      expired: true,
      limit: 1_000,
    })
    assert.deepEqual(
      idsOf(both),
      carriers(`user:${user}`).filter((id) => carriers('state:1').includes(id)),
    )
  }
}

/** Sweeps everything, and asserts that what expires first goes first. */
async function sweepInOrder(store: Store): Promise<void> {
  const expiries: number[] = []
  for (let more = true; more;) {
    const { removed, next } = await store.sweep({ limit: 7 })
    expiries.push(...removed.map(({ expiresAt }) => expiresAt))
    more = next !== undefined
  }
  assert.deepEqual(
    expiries,
    expiries.toSorted((a, b) => a - b),
  )
}

async function every(store: Store, reverse: boolean): Promise<string[]> {
  const records: StoredRecord[] = []
  for (let after: string | undefined; ;) {
    const options = {
      expired: true,
      limit: 997,
      reverse,
      values: false,
      ...(after === undefined ? {} : { after }),
    }
    const page = await store.list('sessions', options)
    records.push(...page.records)
    if (page.next === undefined) return records.map(({ key }) => key.id)
    after = page.next
  }
}

/** Whole numbers below a bound, the same in every run. */
function generator(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}
