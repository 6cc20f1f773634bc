import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateRingKey, KeyRing, Sessions, Tokens } from 'holdfast'
import {
  type DriverCall,
  fakeClock,
  type FaultOptions,
  type FaultyDriver,
  withFaults,
} from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { openSqliteStore } from '../../packages/holdfast/src/drivers/sqlite.ts'
import { sealedCodec } from '../../packages/holdfast/src/store/codec.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { keyText, never, type StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import type { Store, StoreOptions } from '../../packages/holdfast/src/store/store.ts'
import { transfer, type TransferProgress } from '../../packages/holdfast/src/store/transfer.ts'
import { Adding, isSame } from '../../packages/holdfast/src/store/transfer/tally.ts'
import { changed } from './guarded.ts'

const hour = 3_600_000

/** Two stores in memory on one clock. */
function pair(faults: { readonly from?: FaultOptions; readonly to?: FaultOptions } = {}): {
  from: Store
  to: Store
  driver: FaultyDriver
  clock: ReturnType<typeof fakeClock>
} {
  const clock = fakeClock({ sleeps: 'instant' })
  const driver = withFaults(memoryDriver(), faults.to)
  const from = guard(withFaults(memoryDriver(), faults.from), { clock })
  return { from, to: guard(driver, { clock }), driver, clock }
}

async function fill(store: Store, count: number, given: { readonly value?: Uint8Array } = {}): Promise<void> {
  for (let i = 0; i < count; i++) {
    await store.create({
      key: { collection: i % 3 === 0 ? 'tokens' : 'sessions', id: `id-${i}` },
      value: given.value ?? Buffer.from(`value ${i}`),
      labels: [`user:u${i % 7}`, 'tenant:a'],
      expiresAt: i % 5 === 0 ? never : store.clock.now() + hour + i,
      touchedAt: store.clock.now() - i,
    })
  }
}

/** Everything in a store, but for versions, in the order of the keys. */
async function contents(store: Store): Promise<unknown[]> {
  const records: StoredRecord[] = []
  let after: string | undefined
  do {
    const page = await store.scan({
      index: 0,
      of: 1,
      expired: true,
      ...(after === undefined ? {} : { after }),
    })
    records.push(...page.records)
    after = page.next
  } while (after !== undefined)
  return records
    .map(({ version: _, value, ...rest }) => ({ ...rest, value: Buffer.from(value).toString('latin1') }))
    .sort((a, b) => (keyText(a.key) < keyText(b.key) ? -1 : 1))
}

function code(expected: string, message = /./): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Error && 'code' in error, String(error))
    assert.equal(error.code, expected)
    assert.match(error.message, message)
    return true
  }
}

describe('a transfer', () => {
  it('moves everything: labels, expiry, last use, tombstones, the expired that are kept', async () => {
    const { from, to, clock } = pair()
    await fill(from, 500)
    const sessions = new Sessions(from)
    const session = await sessions.start({ user: 'ada', data: { cart: [1] } })
    const gone = await sessions.start({ user: 'eve', data: {} })
    await sessions.revoke({ user: 'eve' })
    const expired = { value: Buffer.from('x'), labels: ['user:ada'] }
    await from.create({
      ...expired,
      key: { collection: 'offline', id: 'late' },
      expiresAt: clock.now() - hour + 1,
    })
    await from.create({
      ...expired,
      key: { collection: 'offline', id: 'old' },
      expiresAt: clock.now() - hour,
    })
    const report = await transfer(from, to)
    const all = await contents(from)
    assert.deepEqual(
      await contents(to),
      all.filter((record) => (record as StoredRecord).key.id !== 'old'),
    )
    assert.deepEqual(
      [report.created, report.present, report.overwritten, report.left, report.others, report.resumed],
      [all.length - 1, 0, 0, 1, 0, false],
    )
    assert.deepEqual(report.from, report.to)
    assert.equal(report.from.records, all.length - 1)
    assert.deepEqual(report.warnings, [])
    const moved = new Sessions<{ cart: number[] }>(to)
    assert.deepEqual((await moved.load(session.credential)).get('cart'), [1])
    assert.equal((await moved.load(gone.credential)).isNew, true)
  })

  it('moves between namespaces and kinds of stores, sealed values as they are', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-test-'))
    after(() => rm(folder, { recursive: true, force: true }))
    const ring = new KeyRing([generateRingKey('a')])
    const options: StoreOptions = { namespace: 'first' }
    const from = openSqliteStore(join(folder, 'from.db'), { ...options, codec: sealedCodec(ring) })
    const made = await new Tokens(from).issue({ user: 'ada', expiresIn: '1h', scopes: ['read'] })
    await fill(from, 50)
    const plain = openSqliteStore(join(folder, 'from.db'), options)
    const to = guard(memoryDriver(), { namespace: 'second' })
    const back = openSqliteStore(join(folder, 'to.db'), { namespace: 'third' })
    const there = await transfer(plain, to)
    const again = await transfer(to, back)
    assert.deepEqual(there.from, again.to)
    assert.deepEqual(await contents(back), await contents(from))
    await back.close()
    const sealed = openSqliteStore(join(folder, 'to.db'), { namespace: 'third', codec: sealedCodec(ring) })
    assert.equal((await new Tokens(sealed).verify(made.credential))?.user, 'ada')
    for (const store of [from, plain, sealed]) await store.close()
  })

  it('goes on where it was stopped, and leaves nothing of its own behind', async () => {
    const { from, to } = pair()
    await fill(from, 600)
    const stop = new AbortController()
    const stopped = transfer(from, to, {
      page: 5,
      signal: stop.signal,
      onProgress: ({ records }) => records > 300 && stop.abort(new Error('stopped here')),
    })
    await assert.rejects(stopped, /stopped here/)
    const copied = (await contents(to)).length - 1
    assert.ok(copied > 250 && copied < 400, `${copied} were copied`)
    const seen: TransferProgress[] = []
    const report = await transfer(from, to, { onProgress: (progress) => seen.push(progress) })
    assert.equal(report.resumed, true)
    assert.equal(report.created, 600 - copied)
    assert.ok(report.present <= 20, `${report.present} were looked at again`)
    assert.ok((seen[0]?.records ?? 0) > 250, 'it begins to count where it was')
    assert.deepEqual(await contents(to), await contents(from))
  })

  it('writes down how far it is, at most once a second, only what the target has acknowledged', async () => {
    const { from, to, driver, clock } = pair()
    await fill(from, 400)
    let pages = 0
    const report = await transfer(from, to, {
      page: 5,
      onProgress: () => {
        if (++pages % 20 === 0) clock.advance(1_000)
      },
    })
    assert.equal(report.created, 400)
    const written = driver.calls.filter(({ operation, keys }) => {
      return operation === 'replace' && keys[0]?.collection === 'meta'
    })
    assert.ok(
      written.length >= 3 && written.length <= pages / 20,
      `${written.length} times in ${pages} pages`,
    )
    const first = written[0]!
    const state = JSON.parse(Buffer.from((first.input as { value: Uint8Array }).value).toString()) as {
      seen: number
      underWay: Record<string, { seen: number }>
    }
    const seen = Object.values(state.underWay).reduce((sum, place) => sum + place.seen, state.seen)
    const before = driver.calls.slice(0, first.count)
    const created = before.flatMap(({ operation, keys }) => (operation === 'write' ? keys : []))
    assert.ok(seen > 30 && seen <= created.length, `${seen} are written down, ${created.length} were created`)
  })

  it('is told from another one by its name', async () => {
    const { from, to } = pair()
    await fill(from, 100)
    const stop = new AbortController()
    const some = { page: 2, signal: stop.signal, onProgress: () => stop.abort(), name: 'one' }
    await assert.rejects(transfer(from, to, some))
    const other = await transfer(from, to, { name: 'other' })
    assert.equal(other.resumed, false)
    assert.equal(other.created + other.present, 100)
    const resumed = await transfer(from, to, { name: 'one' })
    assert.deepEqual([resumed.resumed, resumed.created], [true, 0])
  })

  it('begins anew when asked to, and when a slice can’t be gone on with', async () => {
    const { from, to } = pair()
    await fill(from, 300)
    const stop = new AbortController()
    const some = { page: 2, signal: stop.signal, onProgress: () => stop.abort() }
    await assert.rejects(transfer(from, to, some))
    const [journal] = (await to.list('meta')).records
    assert.ok(journal)
    const state = JSON.parse(Buffer.from(journal.value).toString()) as { underWay: Record<string, object> }
    for (const index of Object.keys(state.underWay))
      state.underWay[index] = { after: 'of another kind', seen: 2 }
    const value = Buffer.from(JSON.stringify(state))
    await to.replace({ key: journal.key, expected: journal.version, value, expiresAt: never })
    const resumed = await transfer(from, to)
    assert.equal(resumed.resumed, true)
    assert.deepEqual(await contents(to), await contents(from))
    const anew = await transfer(from, to, { restart: true })
    assert.deepEqual([anew.resumed, anew.created, anew.present], [false, 0, 300])
  })

  it('leaves the journals of other transfers where they are', async () => {
    const { from, to, clock } = pair()
    await fill(from, 50)
    const first = guard(memoryDriver(), { clock })
    await fill(first, 100)
    const stop = new AbortController()
    await assert.rejects(
      transfer(first, from, {
        page: 2,
        signal: stop.signal,
        onProgress: () => stop.abort(),
        conflicts: 'overwrite',
      }),
    )
    assert.equal((await from.list('meta')).records.length, 1)
    await transfer(from, to)
    assert.deepEqual((await to.list('meta')).records, [])
    assert.equal((await from.list('meta')).records.length, 1)
  })

  it('estimates how much there is', async () => {
    const { from, to } = pair()
    await fill(from, 1_000)
    const seen: TransferProgress[] = []
    await transfer(from, to, { onProgress: (progress) => seen.push(progress) })
    const copying = seen.filter(({ phase }) => phase === 'copying')
    const verifying = seen.filter(({ phase }) => phase === 'verifying')
    assert.equal(copying.at(-1)?.records, 1_000)
    assert.equal(copying.at(-1)?.estimate, 1_000)
    assert.equal(verifying.at(-1)?.records, 2_001, 'the journal is seen in the target')
    for (const { records, estimate } of copying.slice(copying.length >> 1)) {
      assert.ok(estimate !== undefined && estimate > 700 && estimate < 1_400, `${estimate} at ${records}`)
    }
  })

  it('has a bounded number of pages under way', async () => {
    let underWay = 0
    let most = 0
    const gate = {
      before: async () => {
        most = Math.max(most, ++underWay)
        await new Promise(setImmediate)
        return undefined
      },
      after: () => {
        underWay--
      },
    }
    const { from, to } = pair({ to: { gate, declare: { atomicBatch: false } } })
    await fill(from, 500)
    await transfer(from, to, { concurrency: 2, page: 3 })
    assert.ok(most >= 2 && most <= 7, `${most} calls at once`)
  })
})

describe('a record that is in the target already', () => {
  it('is left as it is, and named, where it differs', async () => {
    const { from, to, clock } = pair()
    await fill(from, 20)
    const key = { collection: 'tokens', id: 'id-3' }
    await to.create({ key, value: Buffer.from('other'), expiresAt: never })
    const before = await to.read(key)
    await assert.rejects(transfer(from, to), code('HOLDFAST_TRANSFER_CONFLICT', /tokens\/id-3/))
    assert.deepEqual(await to.read(key), before)
    // An expired one would be no obstacle to creating. It may be the tombstone of what must not come back.
    const later = { collection: 'tokens', id: 'id-6' }
    const dead = { key: later, value: Buffer.from('dead'), expiresAt: clock.now() - 1 }
    const { from: source, to: target } = pair()
    await fill(source, 20)
    await target.create(dead)
    await assert.rejects(transfer(source, target), code('HOLDFAST_TRANSFER_CONFLICT', /tokens\/id-6/))
    assert.equal(Buffer.from((await target.read(later, { expired: true }))!.value).toString(), 'dead')
  })

  it('becomes the source’s where that is asked for', async () => {
    const { from, to, clock } = pair()
    await fill(from, 30)
    await transfer(from, to)
    const changed = (await from.read({ collection: 'sessions', id: 'id-1' }))!
    clock.advance(1_000)
    const rewrite = {
      key: changed.key,
      expected: changed.version,
      value: Buffer.from('new'),
      labels: ['user:eve'],
    }
    await from.replace({ ...rewrite, expiresAt: clock.now() + 1, setsExpiry: true })
    const touched = (await from.read({ collection: 'sessions', id: 'id-2' }))!
    await from.touch([{ ...touched, expiresAt: clock.now() + 2 * hour }])
    await assert.rejects(transfer(from, to), code('HOLDFAST_TRANSFER_CONFLICT', /let it overwrite/))
    const report = await transfer(from, to, { conflicts: 'overwrite', restart: true })
    assert.deepEqual([report.created, report.present, report.overwritten], [0, 28, 2])
    assert.deepEqual(await contents(to), await contents(from))
    assert.deepEqual((await to.list('sessions', { labels: ['user:eve'] })).records.length, 1)
  })

  it('may come into being while its page is on the way', async () => {
    for (const value of ['value 7', 'other']) {
      const inner = memoryDriver()
      const clock = fakeClock({ sleeps: 'instant' })
      const from = guard(memoryDriver(), { clock })
      const beside = guard(inner, { clock })
      await fill(from, 20)
      const { key, labels, expiresAt, touchedAt } = (await from.read({ collection: 'sessions', id: 'id-7' }))!
      const gate = {
        before: async ({ operation, keys }: DriverCall) => {
          const isIts = operation === 'write' && keys.some(({ id }) => id === 'id-7')
          if (isIts) await beside.create({ key, labels, expiresAt, touchedAt, value: Buffer.from(value) })
          return undefined
        },
        after: () => undefined,
      }
      const to = guard(withFaults(inner, { gate }), { clock })
      if (value === 'other') {
        await assert.rejects(transfer(from, to), code('HOLDFAST_TRANSFER_CONFLICT', /sessions\/id-7/))
      } else {
        const report = await transfer(from, to)
        assert.deepEqual([report.created, report.present], [19, 1])
        assert.deepEqual(await contents(to), await contents(from))
      }
    }
  })

  it('of its own is left alone where the source does not have it', async () => {
    const { from, to } = pair()
    await fill(from, 30)
    const own = { key: { collection: 'sessions', id: 'own' }, value: Buffer.from('own'), expiresAt: never }
    await to.create(own)
    const report = await transfer(from, to)
    assert.equal(report.others, 1)
    assert.ok(await to.read(own.key))
  })
})

describe('verifying a transfer', () => {
  it('fails when a record was altered meanwhile, in either store, and names it', async () => {
    for (const where of ['from', 'to'] as const) {
      const { from, to } = pair()
      await fill(from, 100)
      const key = { collection: 'sessions', id: 'id-7' }
      const altered = await alter({ from, to }[where], key)
      const failed = transfer(from, to, { onProgress: altered })
      await assert.rejects(failed, code('HOLDFAST_TRANSFER_MISMATCH', /^1 records .*sessions\/id-7 differs/))
      assert.deepEqual((await to.list('meta')).records, [], 'the next run begins anew')
      await assert.rejects(transfer(from, to), code('HOLDFAST_TRANSFER_CONFLICT', /sessions\/id-7/))
      const report = await transfer(from, to, { conflicts: 'overwrite' })
      assert.deepEqual([report.resumed, report.overwritten], [true, 1])
      assert.deepEqual((await to.read(key))?.value, (await from.read(key))?.value)
    }
  })

  it('fails when a record has vanished from the target', async () => {
    const { from, to } = pair()
    await fill(from, 100)
    const failed = transfer(from, to, {
      onProgress: ({ phase }) => {
        if (phase === 'verifying') void to.remove([{ collection: 'tokens', id: 'id-9' }])
      },
    })
    await assert.rejects(failed, code('HOLDFAST_TRANSFER_MISMATCH', /tokens\/id-9 is missing/))
    assert.equal((await transfer(from, to)).created, 1)
  })

  it('fails when scanning the target misses a record', async () => {
    const { from, clock } = pair()
    await fill(from, 100)
    const forgetful = changed((driver) => ({
      scan: async (slice, call) => {
        const page = await driver.scan(slice, call)
        return { ...page, records: page.records.filter(({ key }) => key.id !== 'id-7') }
      },
    }))
    const failed = transfer(from, guard(forgetful, { clock }))
    await assert.rejects(failed, code('HOLDFAST_TRANSFER_MISMATCH', /finds 99 instead of 100/))
  })

  it('reads each record back where the target can’t scan', async () => {
    const { from, to } = pair({ to: { declare: { scanning: false, listing: 'none', atomicBatch: false } } })
    await fill(from, 100)
    const report = await transfer(from, to)
    assert.deepEqual([report.created, report.to, report.others], [100, undefined, undefined])
    assert.match(report.warnings.join('\n'), /the target can't list/)
    const { from: source, to: blind } = pair({ to: { declare: { scanning: false } } })
    await fill(source, 100)
    const key = { collection: 'sessions', id: 'id-7' }
    const failed = transfer(source, blind, { onProgress: await alter(source, key) })
    await assert.rejects(failed, code('HOLDFAST_TRANSFER_MISMATCH', /sessions\/id-7 differs/))
  })
})

/** What alters a record, once, as soon as verifying has begun. */
async function alter(store: Store, key: StoredRecord['key']): Promise<(progress: TransferProgress) => void> {
  await store.open()
  let done = false
  return ({ phase }) => {
    if (phase !== 'verifying' || done) return
    done = true
    void (async () => {
      const found = (await store.read(key))!
      const value = Buffer.from('altered')
      await store.replace({ key, expected: found.version, value, expiresAt: found.expiresAt })
    })()
  }
}

describe('a transfer that can’t be', () => {
  it('is refused where the source can’t scan', async () => {
    const { from, to } = pair({ from: { declare: { scanning: false } } })
    await assert.rejects(transfer(from, to), code('HOLDFAST_NOT_SUPPORTED', /can't be copied from/))
  })

  it('is refused from a store to itself', async () => {
    const { from } = pair()
    await fill(from, 10)
    const before = await contents(from)
    await assert.rejects(transfer(from, from), code('HOLDFAST_INVALID_OPTION', /are the same store/))
    assert.deepEqual(await contents(from), before)
  })

  it('stops at a value that is too long for the target, names it, and goes on when there is room', async () => {
    const { from, to } = pair()
    await fill(from, 100)
    const key = { collection: 'sessions', id: 'long' }
    await from.create({ key, value: Buffer.alloc(2_000), expiresAt: never })
    const memory = memoryDriver()
    const clock = to.clock
    const small = guard(memory, { clock, maxValue: 1_000 })
    await assert.rejects(transfer(from, small), code('HOLDFAST_VALUE_TOO_LARGE', /sessions\/long/))
    const large = guard(memory, { clock })
    await transfer(from, large)
    assert.deepEqual(await contents(large), await contents(from))
  })

  it('refuses settings outside their bounds', async () => {
    const { from, to } = pair()
    for (const options of [{ concurrency: 0 }, { concurrency: 65 }, { page: 0 }, { page: 1.5 }]) {
      await assert.rejects(transfer(from, to, options), code('HOLDFAST_INVALID_OPTION'))
    }
  })

  it('gives way to another one of the same source', async () => {
    const { from, to, clock } = pair()
    await fill(from, 300)
    let second: Promise<unknown> | undefined
    const first = transfer(from, to, {
      page: 5,
      onProgress: () => {
        second ??= transfer(from, to)
        clock.advance(1_500)
      },
    })
    await assert.rejects(first, code('HOLDFAST_TRANSFER_CONFLICT', /has taken over/))
    await second
    assert.deepEqual(await contents(to), await contents(from))
  })

  it('fails with the store’s own error when that fails, and goes on afterwards', async () => {
    const broken = new Set(['write'])
    const { from, to } = pair({
      to: { plan: ({ operation, nth }) => (broken.has(operation) && nth === 4 ? 'fail' : undefined) },
    })
    await fill(from, 300)
    await assert.rejects(transfer(from, to, { page: 5 }), code('HOLDFAST_STORE_UNAVAILABLE'))
    const copied = (await contents(to)).length
    assert.ok(copied < 100, `${copied} were copied, though one page failed early`)
    await transfer(from, to)
    assert.deepEqual(await contents(to), await contents(from))
  })

  it('settles lost answers, in batches and alone', async () => {
    for (const atomicBatch of [true, false]) {
      const { from, to } = pair({
        to: {
          declare: { atomicBatch },
          plan: ({ count, writes }) =>
            writes && count % 3 === 0 ? 'loseAnswer' : writes && count % 5 === 0 ? 'loseRequest' : undefined,
        },
      })
      await fill(from, 300)
      const report = await transfer(from, to)
      assert.equal(report.from.records, 300)
      assert.deepEqual(await contents(to), await contents(from))
    }
  })
})

describe('a tally', () => {
  const record: StoredRecord = {
    key: { collection: 'sessions', id: 'a' },
    version: '1.x',
    labels: ['a:1', 'b:2'],
    value: Buffer.from('value'),
    expiresAt: 5,
    touchedAt: 3,
  }
  function tally(...records: readonly StoredRecord[]): string {
    const adding = new Adding()
    for (const each of records) adding.add(each)
    return adding.total.digest
  }

  it('does not depend on the order or on versions', () => {
    const others = ['b', 'c', 'd'].map((id) => ({ ...record, key: { ...record.key, id } }))
    assert.equal(tally(record, ...others), tally(...others.toReversed(), { ...record, version: '2.y' }))
  })

  it('tells every other difference', () => {
    const others: StoredRecord[] = [
      { ...record, key: { collection: 'tokens', id: 'a' } },
      { ...record, key: { collection: 'sessions', id: 'b' } },
      { ...record, labels: ['a:1'] },
      { ...record, labels: ['a:1', 'b:3'] },
      { ...record, labels: ['a:1', 'b:2', 'c:3'] },
      { ...record, value: Buffer.from('valuf') },
      { ...record, expiresAt: 6 },
      { ...record, touchedAt: 4 },
    ]
    assert.equal(new Set([record, ...others].map((each) => tally(each))).size, others.length + 1)
    for (const other of others) {
      const isSameKey = other.key === record.key
      if (isSameKey) assert.deepEqual([isSame(record, other), isSame(other, record)], [false, false])
    }
    assert.notEqual(tally(record, record), tally(record))
    assert.notEqual(tally(record, record), tally(others[0]!, others[0]!))
  })
})
