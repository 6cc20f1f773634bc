/** Auditing a store: what is wrong in caches and listings is found and mended, and what only changes isn't reported. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateRingKey, KeyRing } from '../../packages/holdfast/src/credentials/key-ring.ts'
import { Memory, memoryDriver, memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { InvalidOption, KeyUnknown, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { auditStore } from '../../packages/holdfast/src/store/audit.ts'
import { jsonCodec, sealedCodec } from '../../packages/holdfast/src/store/codec.ts'
import type { Awaitable, Call, Driver, Listing } from '../../packages/holdfast/src/store/contract.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type Key, never, type StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { entryOf } from '../../packages/holdfast/src/store/tiers/entry.ts'
import { processMemory, tiered } from '../../packages/holdfast/src/store/tiers/tiered.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { withFaults } from '../../packages/holdfast/src/testing/faults.ts'
import { sabotaged } from '../testing/sabotages.ts'

const bound = 1_000
const value = Buffer.from('{}')

function keyOf(id: string): Key {
  return { collection: 'things', id }
}

/** Where a cache keeps it. */
function placeOf(id: string): Key {
  return { collection: 'cached-things', id }
}

/** A driver like the given one, but for some of its methods. */
function changed(driver: Driver, breaks: Partial<Driver>): Driver {
  return sabotaged(driver, { caught: /./, breaks: () => breaks })
}

async function fill(store: Store, ids: readonly string[], labels: readonly string[] = []): Promise<void> {
  for (const id of ids) await store.create({ key: keyOf(id), value, labels, expiresAt: never })
}

/** A truth, a cache over it, and somebody who writes to either what he likes. */
class Tiers {
  readonly clock = fakeClock({ sleeps: 'instant' })
  readonly cacheMemory = new Memory()
  readonly truth = memoryStore({ clock: this.clock })
  readonly cache = memoryStore({ memory: this.cacheMemory, clock: this.clock })
  /** What befalls what the tiers ask of their cache. */
  breaks: (driver: Driver) => Partial<Driver> = () => ({})

  get store(): Store {
    const driver = memoryDriver({ memory: this.cacheMemory })
    const cache = guard(changed(driver, this.breaks(driver)), { clock: this.clock, circuit: false })
    return tiered(processMemory(), tiered(cache, this.truth, { bound }))
  }

  async recordOf(id: string): Promise<StoredRecord> {
    const record = await this.truth.read(keyOf(id))
    assert.ok(record)
    return record
  }

  /** Puts something into the cache as the entry of a record. */
  async put(id: string, entry: Uint8Array, expiresAt = never): Promise<void> {
    assert.equal((await this.cache.create({ key: placeOf(id), value: entry, expiresAt })).status, 'done')
  }

  get soon(): number {
    return this.clock.now() + bound
  }
}

/** A tier's cache with one entry of each kind that is wrong, and of each that is right. */
async function damaged(): Promise<Tiers> {
  const tiers = new Tiers()
  const { truth, soon } = tiers
  await fill(truth, ['right', 'touched', 'stale', 'other', 'labelled', 'late', 'later', 'rubbish', 'gone'])
  const there = {
    right: await tiers.recordOf('right'),
    touched: await tiers.recordOf('touched'),
    stale: await tiers.recordOf('stale'),
    other: await tiers.recordOf('other'),
    late: await tiers.recordOf('late'),
    later: await tiers.recordOf('later'),
  }
  await truth.replace({ key: keyOf('stale'), expected: there.stale.version, value, expiresAt: never })
  await tiers.put('right', entryOf(there.right, soon))
  await tiers.put('touched', entryOf({ ...there.touched, touchedAt: 5, expiresAt: soon }, soon))
  await tiers.put('placeholder', new Uint8Array(0))
  await tiers.put('over', entryOf({ ...there.right, key: keyOf('over') }, tiers.clock.now() - 1))
  await tiers.put('stale', entryOf(there.stale, soon))
  await tiers.put('other', entryOf({ ...there.other, value: Buffer.from('{"a":1}') }, soon))
  await tiers.put('labelled', entryOf({ ...(await tiers.recordOf('labelled')), labels: ['user:eve'] }, soon))
  await tiers.put('late', entryOf(there.late, tiers.clock.now() + 10 * bound))
  const { version } = there.later
  await truth.replace({ key: keyOf('later'), expected: version, value, expiresAt: soon, setsExpiry: true })
  const shortened = await tiers.recordOf('later')
  await tiers.put('later', entryOf({ ...shortened, expiresAt: soon + 5 }, soon))
  await tiers.put('rubbish', Buffer.from('[1,2'))
  await tiers.put('absent', entryOf({ ...there.right, key: keyOf('absent') }, soon))
  await truth.remove([keyOf('gone')])
  await tiers.put('gone', entryOf({ ...there.right, key: keyOf('gone') }, soon))
  return tiers
}

const wrongInCache = [
  'malformed-entry rubbish',
  'orphan-entry absent',
  'orphan-entry gone',
  'outliving-entry late',
  'outliving-entry later',
  'stale-entry labelled',
  'stale-entry other',
  'stale-entry stale',
]

describe('auditing a shared cache [G43]', () => {
  it('finds each kind of wrong entry, and leaves the right ones alone', async () => {
    const { store, cache } = await damaged()
    const report = await auditStore(store)
    assert.deepEqual(report.findings.map(({ kind, key }) => `${kind} ${key.id}`).sort(), wrongInCache)
    assert.deepEqual([report.found, report.fixed], [8, 0])
    assert.deepEqual(report.kinds['orphan-entry'], { found: 2, fixed: 0 })
    assert.equal(report.caches[0]?.entries, 12)
    assert.ok(report.findings.every(({ message, key }) => message.startsWith(`things/${key.id} is `)))
    assert.equal(await cache.count('cached-things'), 12)
  })

  it('removes them if told to, after which nothing is found', async () => {
    const { store, cache } = await damaged()
    const report = await auditStore(store, { fix: true })
    assert.deepEqual([report.found, report.fixed], [8, 8])
    assert.deepEqual((await auditStore(store)).findings, [])
    assert.ok(await cache.read(placeOf('right')))
    assert.equal(await cache.count('cached-things'), 4)
  })

  it('waits for a writer who has told the truth and not yet the cache', async () => {
    const tiers = new Tiers()
    await fill(tiers.truth, ['a', 'b'])
    const [a, b] = [await tiers.recordOf('a'), await tiers.recordOf('b')]
    await tiers.put('a', entryOf({ ...a, version: '1.before' }, tiers.soon))
    await tiers.put('b', entryOf({ ...b, version: '1.before' }, tiers.soon))
    tiers.breaks = (driver) => ({
      // The first is removed; the second is removed, and was filled anew since.
      async read(keys, options, call) {
        await tiers.cache.remove([placeOf('a'), placeOf('b')])
        await tiers.put('b', entryOf({ ...b, version: '1.between' }, tiers.soon))
        return await driver.read(keys, options, call)
      },
    })
    assert.deepEqual((await auditStore(tiers.store)).findings, [])
    assert.equal((await auditStore(tiers.store, { fix: true })).found, 0)
  })

  it('goes through many pages', async () => {
    const tiers = new Tiers()
    for (let i = 0; i < 450; i++) await tiers.put(`id-${i}`, Buffer.from('rubbish'))
    const report = await auditStore(tiers.store, { fix: true })
    assert.deepEqual([report.found, report.fixed, report.findings.length], [450, 450, 100])
    assert.equal(await tiers.cache.count('cached-things'), 0)
  })

  it('says so where a cache can’t be scanned', async () => {
    const tiers = new Tiers()
    tiers.breaks = (driver) => ({
      async open(call) {
        const opened = await driver.open(call)
        return { ...opened, capabilities: { ...opened.capabilities, scanning: false } }
      },
    })
    const { caches, warnings, found } = await auditStore(tiers.store)
    assert.deepEqual([caches[0]?.audited, found], [false, 0])
    assert.match(warnings.join('\n'), /can’t be scanned, so what it holds as a cache was not audited/)
  })

  it('knows nothing where a cache can’t be reached, and is patient with one that is slow', async () => {
    const tiers = new Tiers()
    let failures = Infinity
    const failing = async <T>(ask: () => Awaitable<T>): Promise<T> => {
      await Promise.resolve()
      if (failures-- > 0) throw new StoreUnavailable('down')
      failures = 3
      return await ask()
    }
    tiers.breaks = (driver) => ({
      open: (call) => failing(() => driver.open(call)),
      scan: (scan, call) => failing(() => driver.scan(scan, call)),
      read: (keys, options, call) => failing(() => driver.read(keys, options, call)),
      remove: (keys, call) => failing(() => driver.remove(keys, call)),
    })
    await tiers.put('a', Buffer.from('rubbish'))
    await assert.rejects(auditStore(tiers.store), StoreUnavailable)
    failures = 3
    const { caches, fixed } = await auditStore(tiers.store, { fix: true })
    assert.deepEqual([caches[0]?.audited, fixed], [true, 1])
  })
})

/** A store whose index has lost some entries, `label/id`, or `/id` for the collection's own. */
class Listed {
  readonly lost = new Set<string>()
  /** A replace with labels enters them anew. */
  mends = true
  /** Called before each page of a listing. */
  before: (listing: Listing, call: Call) => unknown = () => undefined
  scans = 0
  readonly #memory = new Memory()
  readonly clock = fakeClock()
  /** Without the damage. */
  readonly whole = memoryStore({ memory: this.#memory, clock: this.clock })
  readonly store: Store

  constructor() {
    const driver = memoryDriver({ memory: this.#memory })
    const breaks: Partial<Driver> = {
      list: async (listing, call) => {
        await this.before(listing, call)
        const page = await driver.list(listing, call)
        const [label = ''] = listing.labels
        return { ...page, records: page.records.filter(({ key }) => !this.lost.has(`${label}/${key.id}`)) }
      },
      replace: (replacement, call) => {
        const { labels, key } = replacement
        if (this.mends) for (const label of labels ?? []) this.lost.delete(`${label}/${key.id}`)
        return driver.replace(replacement, call)
      },
      scan: (slice, call) => {
        this.scans++
        return driver.scan(slice, call)
      },
    }
    this.store = guard(changed(driver, breaks), { clock: this.clock })
  }
}

function labelled(report: Awaited<ReturnType<typeof auditStore>>): string[] {
  return report.findings.map(({ label = '', key, kind }) => `${kind} ${label}/${key.id}`).sort()
}

describe('auditing listings [G43]', () => {
  it('finds records that are not listed under a label, or not at all', async () => {
    const { store, lost } = new Listed()
    await fill(store, ['a', 'b', 'c'], ['user:ada', 'tenant:t'])
    for (const each of ['user:ada/b', 'tenant:t/c', '/a']) lost.add(each)
    const report = await auditStore(store)
    assert.deepEqual(labelled(report), [
      'unlisted-record /a',
      'unlisted-record tenant:t/c',
      'unlisted-record user:ada/b',
    ])
    assert.deepEqual([report.records, report.listings, report.fixed], [3, 3, 0])
    assert.match(
      report.findings.map(({ message }) => message).join('\n'),
      /things\/b is not found under user:ada/,
    )
  })

  it('enters them anew, and leaves value, expiry and time of last use', async () => {
    const { store, lost, clock } = new Listed()
    const draft = { key: keyOf('a'), value: Buffer.from('{"n":1}'), labels: ['user:ada'], touchedAt: 7 }
    await store.create({ ...draft, expiresAt: clock.now() + 50_000 })
    const before = await store.read(keyOf('a'))
    lost.add('user:ada/a')
    const report = await auditStore(store, { fix: true })
    assert.deepEqual([report.found, report.fixed], [1, 1])
    const after = await store.read(keyOf('a'))
    assert.notEqual(after?.version, before?.version)
    assert.deepEqual({ ...after, version: '' }, { ...before, version: '' })
    assert.equal((await auditStore(store)).found, 0)
  })

  it('does not claim to have mended what it could not', async () => {
    const listed = new Listed()
    await fill(listed.store, ['a'], ['user:ada'])
    listed.lost.add('user:ada/a')
    listed.mends = false
    const report = await auditStore(listed.store, { fix: true })
    assert.deepEqual([report.found, report.fixed], [1, 0])
  })

  it('needs no more memory than it may take, and finds everything all the same', async () => {
    for (const maxEntries of [1, 7, 1_000]) {
      const listed = new Listed()
      for (let i = 0; i < 60; i++) await fill(listed.store, [`id-${i}`], [`user:u${i % 20}`, 'tenant:t'])
      for (const i of [3, 17, 42]) listed.lost.add(`user:u${i % 20}/id-${i}`)
      for (const i of [5, 17]) listed.lost.add(`tenant:t/id-${i}`)
      const report = await auditStore(listed.store, { maxEntries })
      assert.deepEqual(
        labelled(report),
        [...listed.lost].map((each) => `unlisted-record ${each}`).sort(),
        `with ${maxEntries}`,
      )
      assert.deepEqual([report.records, report.listings], [60, 22])
      assert.equal(
        listed.scans > 2,
        maxEntries < 1_000,
        'the store is gone through again where memory is short',
      )
    }
  })

  it('does not report what comes, goes and changes meanwhile', async () => {
    const listed = new Listed()
    await fill(listed.store, ['a', 'b', 'c', 'd'], ['user:ada'])
    const { whole, lost } = listed
    let pages = 0
    const relabel = async (id: string): Promise<void> => {
      const { version = '' } = (await whole.read(keyOf(id))) ?? {}
      await whole.replace({
        key: keyOf(id),
        expected: version,
        value,
        labels: ['user:eve'],
        expiresAt: never,
      })
    }
    listed.before = async () => {
      await fill(whole, [`new-${pages++}`], ['user:ada'])
      if (pages === 1) {
        await whole.remove([keyOf('b')])
        await relabel('c')
      }
      // Now the sums were compared, and the ids are.
      if (pages === 3) await relabel('a')
    }
    assert.deepEqual(labelled(await auditStore(listed.store)), [])
    assert.ok(pages > 2)

    // One that is never at the same version before and after a listing may have been without the label meanwhile.
    lost.add('user:ada/d')
    listed.before = async () => {
      const { version = '' } = (await whole.read(keyOf('d'))) ?? {}
      await whole.replace({ key: keyOf('d'), expected: version, value, expiresAt: never })
    }
    assert.deepEqual(labelled(await auditStore(listed.store)), [])
    listed.before = () => undefined
    assert.deepEqual(labelled(await auditStore(listed.store)), ['unlisted-record user:ada/d'])
  })

  it('is not fooled by another record that is listed instead', async () => {
    const listed = new Listed()
    await fill(listed.store, ['a'], ['user:ada'])
    listed.lost.add('user:ada/a')
    listed.before = () => fill(listed.whole, ['b'], ['user:ada'])
    const report = await auditStore(listed.store)
    assert.deepEqual(labelled(report), ['unlisted-record user:ada/a'])
  })

  it('is not fooled by a record that was changed once, right after it was seen', async () => {
    const listed = new Listed()
    const { whole, lost } = listed
    await fill(listed.store, ['a'], ['user:ada'])
    lost.add('user:ada/a')
    let listings = 0
    listed.before = async () => {
      // After the collection and the label were summed.
      if (++listings !== 3) return
      const { version = '' } = (await whole.read(keyOf('a'))) ?? {}
      await whole.replace({ key: keyOf('a'), expected: version, value, expiresAt: never })
    }
    assert.equal((await auditStore(listed.store, { fix: true })).fixed, 1)
  })

  it('finds what a listing should not have', async () => {
    const memory = new Memory()
    const driver = memoryDriver({ memory })
    const breaks: Partial<Driver> = {
      list: (listing, call) => driver.list({ ...listing, labels: [] }, call),
    }
    const store = guard(changed(driver, breaks))
    await fill(store, ['a'], ['user:ada'])
    await fill(store, ['b'], ['user:eve'])
    const report = await auditStore(store)
    assert.deepEqual(labelled(report), ['stray-listing user:ada/b', 'stray-listing user:eve/a'])
  })

  it('finds records whose value can’t be decoded, and refuses to judge those under an unknown key', async () => {
    const codec = sealedCodec(new KeyRing([generateRingKey('one')]))
    const memory = new Memory()
    const store = memoryStore({ memory, codec })
    const [good, bad] = ['good', 'bad'].map((id) => ({ collection: 'sessions', id }))
    await store.create({ key: good!, value: codec.encode(good!, { a: 1 }), expiresAt: never })
    await store.create({ key: bad!, value: codec.encode(good!, { a: 1 }), expiresAt: never })
    const report = await auditStore(store)
    assert.deepEqual(labelled(report), ['malformed-record /bad'])
    await assert.rejects(auditStore(memoryStore({ memory, codec: jsonCodec })), KeyUnknown)
  })

  it('says so where a store can’t be listed or scanned', async () => {
    for (const missing of [{ listing: 'partial' }, { listing: 'none' }, { scanning: false }] as const) {
      const driver = memoryDriver()
      const open: Driver['open'] = async (call) => {
        const opened = await driver.open(call)
        return { ...opened, capabilities: { ...opened.capabilities, ...missing } }
      }
      const { warnings, records } = await auditStore(guard(changed(driver, { open })))
      assert.equal(records, 0)
      assert.match(warnings.join('\n'), /^the listings of .* were not audited: as it is set up it can’t /)
    }
  })
})

describe('an audit', () => {
  it('stops when it is told to', async () => {
    const { store } = new Listed()
    await fill(store, ['a', 'b'], ['user:ada'])
    const controller = new AbortController()
    const onProgress = (): void => controller.abort(new Error('enough'))
    await assert.rejects(auditStore(store, { signal: controller.signal, onProgress }), /enough/)
  })

  it('tells how far it is', async () => {
    const tiers = new Tiers()
    await fill(tiers.truth, ['a', 'b'], ['user:ada'])
    await tiers.put('c', new Uint8Array(0))
    const told: string[] = []
    await auditStore(tiers.store, {
      onProgress: ({ phase, done, total = 0 }) => told.push(`${phase} ${done}/${total}`),
    })
    assert.deepEqual(told, ['entries 1/0', 'records 2/0', 'listings 1/2', 'listings 2/2'])
  })

  it('fails as the store does, and refuses an option that can’t be kept', async () => {
    const driver = withFaults(memoryDriver(), {
      plan: ({ operation }) => (operation === 'list' ? 'fail' : undefined),
    })
    const store = guard(driver, { deadline: '2s', circuit: false })
    await fill(store, ['a'])
    await assert.rejects(auditStore(store))
    await assert.rejects(auditStore(store, { maxEntries: 0 }), InvalidOption)
  })
})
