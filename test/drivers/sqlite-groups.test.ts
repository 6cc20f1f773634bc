/** Group commit: what shares a transaction, what an error in it does to the others, and what a locked file does. */

import assert from 'node:assert/strict'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'

import {
  openSqliteDriver,
  openSqliteStore,
  sqliteDriver,
  sqliteStore,
} from '../../packages/holdfast/src/drivers/sqlite.ts'
import { HoldfastError } from '../../packages/holdfast/src/errors.ts'
import { never, type StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { smallDisk } from './sqlite/disk.ts'
import { temporaryFolder } from './sqlite/folder.ts'
import { start } from './sqlite/processes.ts'

const path = temporaryFolder()

const keyOf = (id: string): StoredRecord['key'] => ({ collection: 'sessions', id })

async function create(store: Store, id: string, bytes = 10): Promise<string> {
  try {
    const { status } = await store.create({
      key: keyOf(id),
      value: Buffer.alloc(bytes, id),
      labels: ['user:ada'],
      expiresAt: never,
    })
    return status
  } catch (error) {
    return error instanceof HoldfastError ? error.code : String(error)
  }
}

function count(database: DatabaseSync, sql: string): unknown {
  return Object.values(database.prepare(sql).get() ?? {})[0]
}

describe('writes of one moment', () => {
  it('share transactions, and each is visible to others when it is answered', async () => {
    const file = path()
    const store = openSqliteStore(file)
    await store.open()
    const other = new DatabaseSync(file)
    const isThere = other.prepare('select 1 from holdfast_records where id = ?')
    const invisible: string[] = []
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        await create(store, `at-once-${i}`)
        if (!isThere.get(`at-once-${i}`)) invisible.push(`at-once-${i}`)
      }),
    )
    assert.deepEqual(invisible, [])
    // One row of the change log is one transaction; the first row is the schema's.
    const transactions = Number(count(other, 'select count(*) from holdfast_changes')) - 1
    assert.ok(transactions < 50, `${transactions} transactions for 100 writes`)
    other.close()
    await store.close()
  })

  it('do not disturb each other by conflicts, refused batches or what is gone', async () => {
    const store = openSqliteStore(':memory:')
    await create(store, 'there')
    const fresh = { value: Buffer.from('new'), expiresAt: never }
    const answers = await Promise.all([
      create(store, 'a'),
      create(store, 'there'),
      store.replace({ key: keyOf('nowhere'), expected: '1.x', ...fresh }),
      store.write([
        { type: 'create', key: keyOf('in-batch'), ...fresh },
        { type: 'create', key: keyOf('there'), ...fresh },
      ]),
      create(store, 'b'),
    ])
    assert.deepEqual(answers, [
      'done',
      'conflict',
      { status: 'gone' },
      { status: 'refused', outcomes: ['done', 'conflict'] },
      'done',
    ])
    const { records } = await store.list('sessions')
    assert.deepEqual(
      records.map(({ key }) => key.id),
      ['a', 'b', 'there'],
    )
    await store.close()
  })
})

describe('a full database', () => {
  it('fails the writes that find no room and none of their neighbours', async () => {
    const database = new DatabaseSync(path())
    database.exec('pragma journal_mode = wal; pragma max_page_count = 60')
    const store = sqliteStore(database, { maxValue: 400_000 })
    await store.open()
    // Number 35 and number 50 alone are larger than the whole database may become.
    const isLarge = (i: number): boolean => i === 35 || i === 50
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => create(store, `w${i}`, isLarge(i) ? 350_000 : 20)),
    )
    assert.deepEqual(
      answers,
      Array.from({ length: 60 }, (_, i) => (isLarge(i) ? 'HOLDFAST_STORE_FULL' : 'done')),
    )
    const found = await store.readMany(Array.from({ length: 60 }, (_, i) => keyOf(`w${i}`)))
    assert.deepEqual(
      found.map((record) => record !== undefined),
      Array.from({ length: 60 }, (_, i) => !isLarge(i)),
    )
    assert.equal(await store.count('sessions', { labels: ['user:ada'] }), 58)
    await store.close()
    database.close()
  })

  it('on a full disk keeps its word on every answer, has room for burials, and recovers', async (t) => {
    const disk = smallDisk(24)
    if (!disk) {
      t.skip('no small disk can be mounted here (not root on Linux)')
      return
    }
    const store = openSqliteStore(join(disk.folder, 'full.db'))
    const kept: string[] = []
    try {
      const refused: string[] = []
      for (let round = 0; refused.length < 30; round++) {
        const ids = Array.from({ length: 10 }, (_, i) => `r${round}-${i}`)
        const answers = await Promise.all(ids.map((id) => create(store, id, 20_000)))
        for (const [i, id] of ids.entries()) (answers[i] === 'done' ? kept : refused).push(id)
        for (const answer of answers) assert.match(answer, /^(done|HOLDFAST_STORE_FULL)$/)
      }
      await assertKept(store, kept, refused)
      // Room is reserved for burying, labels included.
      const revoked = kept.splice(0, 100)
      for (const id of revoked) {
        const record = await store.read(keyOf(id))
        assert.equal(await buried(store, record!), 'done')
      }
      assert.equal(await store.count('sessions', { labels: ['state:revoked'] }), 100)
      await store.remove(revoked.map(keyOf))
      assert.equal(await store.count('sessions', { labels: ['user:ada'] }), kept.length)

      rmSync(disk.filler)
      assert.equal(await create(store, 'room-again', 20_000), 'done')
      await assertKept(store, [...kept, 'room-again'], refused)
    } finally {
      await store.close()
      disk.unmount()
    }
  })
})

async function buried(store: Store, { key, version: expected }: StoredRecord): Promise<string> {
  const value = Buffer.from('{}')
  const labels = ['state:revoked', `revoked:${key.id}`]
  const written = await store.replace({ key, expected, value, labels, expiresAt: never, expired: true })
  return written.status
}

async function assertKept(store: Store, kept: readonly string[], refused: readonly string[]): Promise<void> {
  const found = await store.readMany([...kept, ...refused].map(keyOf))
  const there = found.flatMap((record) => (record ? [record.key.id] : []))
  assert.deepEqual(there, kept)
}

describe('a locked file', () => {
  const stores: Readonly<Record<string, (file: string) => { store: Store; close: () => void }>> = {
    'with the writing thread': (file) => ({ store: openSqliteStore(file), close: () => undefined }),
    'with a connection that was handed in': (file) => {
      const database = new DatabaseSync(file)
      return { store: sqliteStore(database), close: () => database.close() }
    },
  }
  for (const [name, open] of Object.entries(stores)) {
    it(`neither blocks the event loop nor fails a write, ${name}`, async () => {
      const file = path()
      const { store, close } = open(file)
      await store.open()
      const child = start('hold', [file, '300'])
      await child.said('held')
      let ticks = 0
      const ticking = setInterval(() => ticks++, 5)
      const answers = await Promise.all([create(store, 'a'), create(store, 'b')])
      clearInterval(ticking)
      assert.deepEqual(answers, ['done', 'done'])
      assert.ok(ticks >= 5, `timers fired ${ticks} times while the file was locked`)
      await child.ended()
      await store.close()
      close()
    })
  }

  it('neither blocks the event loop nor fails an open or a read', async () => {
    const file = path()
    const database = new DatabaseSync(file)
    const given = sqliteStore(database)
    await create(given, 'a')
    // Without a write-ahead log a writer that commits keeps readers out as well.
    const child = start('hold', [file, '300', 'exclusive'])
    await child.said('held')
    const opened = openSqliteStore(file)
    let ticks = 0
    const ticking = setInterval(() => ticks++, 5)
    const found = await Promise.all([given.read(keyOf('a')), opened.read(keyOf('a'))])
    clearInterval(ticking)
    assert.deepEqual(
      found.map((record) => record?.key.id),
      ['a', 'a'],
    )
    assert.ok(ticks >= 5, `timers fired ${ticks} times while the file was locked`)
    await child.ended()
    await given.close()
    database.close()
    await opened.close()
  })

  it('fails a write when nobody waits any more, and it is not carried out later', async () => {
    const file = path()
    const drivers = { thread: openSqliteDriver(file), given: sqliteDriver(new DatabaseSync(file)) }
    const call = { now: Date.now(), signal: new AbortController().signal }
    const holder = new DatabaseSync(file)
    for (const [id, driver] of Object.entries(drivers)) {
      await driver.open(call)
      holder.exec('begin immediate')
      const record = {
        key: keyOf(id),
        version: '1.a',
        labels: [],
        value: Buffer.from('x'),
        expiresAt: never,
        touchedAt: 1,
      }
      const write = driver.create(record, { now: 1, signal: AbortSignal.timeout(600) })
      await assert.rejects(async () => await write, { code: 'HOLDFAST_STORE_UNAVAILABLE', message: /locked/ })
      holder.exec('commit')
      // Whatever was still on its way has arrived when a later write is answered.
      await driver.create({ ...record, key: keyOf(`${id}-later`) }, call)
      await sleep(50)
      const [found, later] = await driver.read(
        [keyOf(id), keyOf(`${id}-later`)],
        { expired: true, strict: true },
        call,
      )
      assert.equal(found, undefined)
      assert.notEqual(later, undefined)
      await driver.close()
    }
    holder.close()
  })

  it('that stays locked past the deadline is a definite failure that names the cause', async () => {
    const file = path()
    const holder = new DatabaseSync(file)
    const given = new DatabaseSync(file)
    const stores = [openSqliteStore(file, { deadline: '1s' }), sqliteStore(given, { deadline: '1s' })]
    for (const store of stores) await store.open()
    holder.exec('begin immediate')
    for (const [i, store] of stores.entries()) {
      const draft = { key: keyOf(`late-${i}`), value: Buffer.from('x'), expiresAt: never }
      const expected = { code: 'HOLDFAST_STORE_UNAVAILABLE', message: /stayed locked by another connection/ }
      await assert.rejects(store.create(draft), expected)
    }
    holder.exec('commit')
    for (const [i, store] of stores.entries()) {
      assert.equal(await store.read(keyOf(`late-${i}`)), undefined)
      assert.equal(await create(store, `late-${i}`), 'done')
      await store.close()
    }
    for (const each of [holder, given]) each.close()
  })

  it('waits while the owner of the connection has a transaction open, and leaves that alone', async () => {
    const database = new DatabaseSync(':memory:')
    const store = sqliteStore(database)
    await store.open()
    database.exec('create table mine (x); begin; insert into mine values (1)')
    const writing = create(store, 'a')
    await sleep(30)
    database.exec('insert into mine values (2); commit')
    assert.equal(await writing, 'done')
    assert.equal(count(database, 'select count(*) from mine'), 2)
    database.close()
  })
})

describe('the writing thread', () => {
  it('may die: what it left unanswered is settled, and the next write has another one', async () => {
    const workers: Worker[] = []
    const note = (worker: Worker): void => void workers.push(worker)
    process.on('worker', note)
    const store = openSqliteStore(path())
    await store.open()
    const writing = Promise.all(Array.from({ length: 200 }, (_, i) => create(store, `w${i}`)))
    await sleep(1)
    await workers[0]!.terminate()
    const answers = await writing
    assert.deepEqual(new Set(answers), new Set(['done']))
    assert.equal(await create(store, 'afterwards'), 'done')
    assert.equal(await store.count('sessions'), 201)
    assert.equal(workers.length, 2)
    process.off('worker', note)
    await store.close()
  })

  it('keeps the log from growing without end', async () => {
    const file = path()
    const store = openSqliteStore(file)
    for (let i = 0; i < 60; i++) {
      await Promise.all(Array.from({ length: 10 }, (_, j) => create(store, `w${i}-${j}`, 20_000)))
    }
    const { size } = statSync(`${file}-wal`)
    assert.ok(size < 6_000_000, `the log has ${size} bytes after 12 MB of values`)
    await store.close()
    assert.equal(statSync(`${file}-wal`, { throwIfNoEntry: false }), undefined)
  })
})
