/** The suite over connections of better-sqlite3, and what is different about them. */

import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { DatabaseSync } from 'node:sqlite'

import { sqliteStore } from '../../packages/holdfast/src/drivers/sqlite.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { temporaryFolder } from './sqlite/folder.ts'

const path = temporaryFolder()
const key = { collection: 'sessions', id: 'a' }
const draft = { key, value: Buffer.from('value'), labels: ['user:ada'], expiresAt: never }

/** It would end the process, so nothing native may be loaded. */
const skip =
  Number(process.versions['napi']) < 10 &&
  `better-sqlite3 13 crashes on Node.js ${process.version}: it needs 22.14`

describe('with connections of better-sqlite3 that were handed in', { skip }, () => {
  const file = path('better')
  const [database, other] = [opened(file), opened(file)]
  after(() => {
    database.close()
    other.close()
  })
  storeSuite(
    { describe, it },
    {
      name: 'sqliteStore',
      make: (options) => sqliteStore(database, options),
      another: (options) => sqliteStore(other, options),
      reopen: (options) => sqliteStore(database, options),
    },
  )
})

describe('a connection that answers with bigints and arrays', () => {
  const connections = {
    'better-sqlite3': () => opened(path('bigints')).defaultSafeIntegers(),
    'node:sqlite': () => new DatabaseSync(path('bigints'), { readBigInts: true, returnArrays: true }),
  }
  for (const [name, connect] of Object.entries(connections)) {
    it(
      `is used all the same, and stays as it is: ${name}`,
      { skip: name !== 'node:sqlite' && skip },
      async () => {
        const database = connect()
        const before = database.prepare('select 1 as one').get()
        const store = sqliteStore(database)
        const { status } = await store.create(draft)
        assert.equal(status, 'done')
        const [record] = (await store.list('sessions', { labels: ['user:ada'] })).records
        assert.deepEqual([record?.expiresAt, record?.labels], [never, ['user:ada']])
        assert.equal((await store.read(key))?.expiresAt, never)
        assert.equal((await store.scan({ index: 0, of: 1 })).records[0]?.expiresAt, never)
        assert.equal(await store.count('sessions', { labels: ['user:ada'] }), 1)
        await (await store.watch(() => undefined)).mark()
        await store.close()
        assert.deepEqual(database.prepare('select 1 as one').get(), before)
        // A second store finds the schema as it left it.
        assert.notEqual(await sqliteStore(database).read(key), undefined)
        database.close()
      },
    )
  }
})

describe('a write that was acknowledged over better-sqlite3', { skip }, () => {
  it('is promised to survive a power cut only where its settings promise that', async () => {
    const database = opened(path('durable'))
    const durable = async (): Promise<boolean> => {
      const store = sqliteStore(database)
      const { capabilities } = await store.open()
      await store.close()
      return capabilities.durable.machine
    }
    // With a write-ahead log it flushes less than SQLite itself does, unless it is told.
    assert.equal(await durable(), false)
    database.pragma('synchronous = full')
    assert.equal(await durable(), true)
    database.close()
  })
})

describe('what better-sqlite3 reports', { skip }, () => {
  it('of a locked file is waited for, and a definite failure in the end', async () => {
    const file = path('locked')
    const [database, holder] = [opened(file), opened(file)]
    const store = sqliteStore(database, { deadline: '1s' })
    await store.open()
    holder.exec('begin immediate')
    const refused = create(store)
    assert.equal(await store.read(key), undefined)
    assert.equal(await refused, 'HOLDFAST_STORE_UNAVAILABLE')
    const waiting = create(store)
    holder.exec('commit')
    assert.equal(await waiting, 'done')
    database.close()
    holder.close()
  })

  it('while its owner reads row by row is waited for', async () => {
    const database = opened(path('iterated'))
    const store = sqliteStore(database)
    await store.open()
    const rows = database.prepare('select 1 union all select 2').iterate()
    rows.next()
    const waiting = create(store)
    await new Promise((resolve) => setTimeout(resolve, 20))
    rows.return?.()
    assert.equal(await waiting, 'done')
    database.close()
  })

  it('of a full and of a read-only file, and of a closed connection, has its code', async () => {
    const file = path('full')
    const database = opened(file)
    const store = sqliteStore(database, { maxValue: 400_000 })
    await store.open()
    database.pragma('max_page_count = 60')
    assert.equal(await create(store, Buffer.alloc(400_000)), 'HOLDFAST_STORE_FULL')
    assert.equal(await create(store), 'done')
    database.close()

    const readOnly = new Database(file, { readonly: true, timeout: 0 })
    const read = sqliteStore(readOnly)
    assert.match((await read.open()).description, /read-only/)
    assert.notEqual(await read.read(key), undefined)
    await assert.rejects(read.create({ ...draft, key: { ...key, id: 'b' } }), {
      code: 'HOLDFAST_STORE_READ_ONLY',
    })
    readOnly.close()
    await assert.rejects(async () => await read.read(key), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
  })

  async function create(store: Store, value: Uint8Array = Buffer.from('value')): Promise<string> {
    try {
      return (await store.create({ ...draft, value })).status
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error)
    }
  }
})

function opened(file: string): Database.Database {
  const database = new Database(file, { timeout: 0 })
  database.pragma('journal_mode = wal')
  return database
}
