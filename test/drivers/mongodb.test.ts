import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CommandStartedEvent, Db, Document, MongoClient } from 'mongodb'
import {
  type MongodbDatabase,
  type MongodbOptions,
  mongodbStore,
  openMongodbStore,
} from '../../packages/holdfast/src/drivers/mongodb.ts'
import { ClientMissing, RecordCorrupt, StoreMisconfigured } from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Draft, Store } from '../../packages/holdfast/src/store/store.ts'
import { type Fields, intercepted } from './mongodb/intercepted.ts'
import { clear, connected, databaseName, freshNamespace, single } from './mongodb/targets.ts'
import { atEnd, type Ending } from './redis/ending.ts'

const load = (): Promise<unknown> => import('mongodb')
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('value')

/** One test's store, its client and its documents. */
class Bench {
  readonly namespace = freshNamespace()
  readonly client: MongoClient

  private constructor(client: MongoClient) {
    this.client = client
  }

  /** @param query Settings for the URL, which it must not have itself. */
  static async on(test: Ending, options: object = {}, query = ''): Promise<Bench> {
    const [address = '', own = ''] = single.url.split('?')
    const path = /^mongodb:\/\/[^/]*\//.test(address) ? address : `${address}/`
    const bench = new Bench(await connected(`${path}?${own || query}`, options))
    atEnd(test, async () => {
      try {
        await clear(bench.client, bench.namespace)
      } finally {
        await bench.client.close()
      }
    })
    return bench
  }

  store(options: MongodbOptions = {}): Store {
    return mongodbStore(this.client.db(databaseName), { namespace: this.namespace, ...options })
  }

  get name(): string {
    return `holdfast_${this.namespace}`
  }

  /** The documents as another client of plain settings sees them. */
  async documents(): Promise<Document[]> {
    return await this.client.db(databaseName).collection(this.name).find().sort({ _id: 1 }).toArray()
  }

  /** The commands that are sent while `act` runs. */
  async commandsOf(act: () => Promise<unknown>): Promise<Document[]> {
    const commands: Document[] = []
    const hear = ({ command }: CommandStartedEvent): void => {
      commands.push(command)
    }
    this.client.on('commandStarted', hear)
    await act()
    this.client.off('commandStarted', hear)
    return commands
  }
}

function draft(id: string, given: Partial<Draft> = {}): Draft {
  return { key: { collection: 'sessions', id }, value, expiresAt: never, ...given }
}

/** Creates a record, and answers with its version. */
async function created(store: Store, id: string, given: Partial<Draft> = {}): Promise<string> {
  const written = await store.create(draft(id, given))
  if (written.status !== 'done') assert.fail(written.status)
  return written.version
}

describe('MongoDB, what is kept', { skip: single.skip }, () => {
  it('is one document for each record, and a collection for each namespace', async (t) => {
    const bench = await Bench.on(t)
    const store = bench.store({ margin: '1m' })
    const expiresAt = Date.now() + 60_000
    const version = await created(store, 'a', { labels: ['user:ada'], expiresAt, touchedAt: 5 })
    const forever = await created(store, 'b')
    const [a = {}, b = {}] = await bench.documents()
    const { slot, value: bytes, ...rest } = a
    assert.deepEqual(rest, {
      _id: 'sessions/a',
      version,
      labels: ['sessions/user:ada'],
      expiresAt,
      touchedAt: 5,
      purgeAt: new Date(expiresAt + 120_000),
    })
    assert.match(String(slot), /^[0-9a-f]{4}\/sessions\/a$/)
    assert.equal(String(bytes), 'value')
    assert.equal(b['version'], forever)
    assert.equal(b['expiresAt'], never)
    assert.deepEqual(b['purgeAt'], new Date(8.64e15))
  })

  it('moves the purge with the expiry, and never forward alone', async (t) => {
    const bench = await Bench.on(t)
    const store = bench.store({ margin: '1m' })
    const expiresAt = Date.now() + 60_000
    const expected = await created(store, 'a', { expiresAt })
    const purgeAt = async (): Promise<unknown> => (await bench.documents())[0]?.['purgeAt']
    const touch = { key, version: expected, expiresAt: expiresAt + 5, touchedAt: 7 }
    assert.deepEqual(await store.touch([touch]), ['done'])
    assert.deepEqual(await purgeAt(), new Date(expiresAt + 5 + 120_000))
    const kept = await store.replace({ key, expected, value, expiresAt })
    if (kept.status !== 'done') assert.fail(kept.status)
    assert.deepEqual(await purgeAt(), new Date(expiresAt + 5 + 120_000))
    const shortened = { key, expected: kept.version, value, expiresAt: 9, setsExpiry: true }
    assert.equal((await store.replace(shortened)).status, 'done')
    assert.deepEqual(await purgeAt(), new Date(9 + 120_000))
  })

  it('is found by indexes that are made once, also by several stores at once', async (t) => {
    const bench = await Bench.on(t)
    const stores = [bench.store(), bench.store(), bench.store()]
    const [first] = await Promise.all(stores.map((store) => store.open()))
    await bench.store().open()
    const indexes = await bench.client.db(databaseName).collection(bench.name).listIndexes().toArray()
    const purges = first?.capabilities.nativeExpiry ?? false
    assert.deepEqual((indexes as Fields[]).map((index) => [index['name'], index['key']]).sort(), [
      ['_id_', { _id: 1 }],
      ['expiry', { expiresAt: 1 }],
      ['labels', { labels: 1, _id: 1 }],
      ...(purges ? [['purge', { purgeAt: 1 }]] : []),
      ['slot', { slot: 1 }],
    ])
  })

  it('is refused where a collection of that name is no place for records', async (t) => {
    const bench = await Bench.on(t)
    await bench.client.db(databaseName).createCollection(bench.name, { capped: true, size: 4_096 })
    await assert.rejects(bench.store().open(), (error: unknown) => {
      assert.ok(error instanceof StoreMisconfigured, String(error))
      assert.match(error.message, /capped/)
      return true
    })
  })

  it('is an error where a field is missing, and never "not there" or "for ever" [K4 G4 G11]', async (t) => {
    const bench = await Bench.on(t)
    const store = bench.store()
    await created(store, 'a', { labels: ['user:ada'] })
    const expected = await created(store, 'b', { labels: ['user:ada'] })
    const documents = bench.client.db(databaseName).collection<Document & { _id: string }>(bench.name)
    await documents.updateOne({ _id: 'sessions/b' }, { $unset: { expiresAt: 1 } })
    const b = { collection: 'sessions', id: 'b' }
    await assert.rejects(async () => await store.read(b), RecordCorrupt)
    await assert.rejects(store.create(draft('b')), RecordCorrupt)
    await assert.rejects(store.replace({ key: b, expected, value, expiresAt: never }), RecordCorrupt)
    const { records } = await store.list('sessions', { labels: ['user:ada'] })
    assert.deepEqual(
      records.map((record) => record.key.id),
      ['a'],
    )
  })
})

describe('MongoDB, what is asked', { skip: single.skip }, () => {
  it('is of the primary and of most members’ disks, whatever the URL says', async (t) => {
    const loose =
      'readPreference=secondaryPreferred&w=0&journal=false&readConcernLevel=available&retryWrites=true'
    const bench = await Bench.on(t, { monitorCommands: true }, loose)
    const store = bench.store()
    await store.open()
    const commands = await bench.commandsOf(async () => {
      const expected = await created(store, 'a', { labels: ['user:ada'], expiresAt: 5 })
      await created(store, 'a', { labels: ['user:ada'] })
      await store.replace({ key, expected, value, expiresAt: never })
      await store.touch([{ key, version: expected, expiresAt: never }])
      await store.read(key)
      await store.list('sessions', { labels: ['user:ada'] })
      await store.count('sessions')
      await store.scan({ index: 0, of: 1 })
      await store.sweep()
      await store.remove([key])
    })
    assert.ok(commands.length >= 12, `${commands.length} commands`)
    for (const command of commands) {
      const isWrite = 'insert' in command || 'update' in command || 'delete' in command
      const concern = command['writeConcern'] as Fields | undefined
      const asked = concern && [concern['w'], concern['j']]
      assert.deepEqual(asked, isWrite ? ['majority', true] : undefined)
      assert.equal((command['$readPreference'] as Fields | undefined)?.['mode'] ?? 'primary', 'primary')
      assert.notEqual((command['readConcern'] as Fields | undefined)?.['level'], 'available')
      assert.equal(command['txnNumber'], undefined, 'no command is repeated by the client')
    }
  })

  it('comes back as it went in, whatever types the client was told to use', async (t) => {
    const settings = {
      promoteValues: false,
      promoteBuffers: false,
      ignoreUndefined: true,
      serializeFunctions: true,
    }
    for (const options of [
      settings,
      { useBigInt64: true },
      { promoteLongs: false, fieldsAsRaw: { value: true } },
    ]) {
      const bench = await Bench.on(t, options)
      const store = bench.store()
      const bytes = Buffer.from([0, 255, 128, 10])
      const version = await created(store, 'a', { value: bytes, labels: ['user:ada'], touchedAt: 2 ** 31 })
      assert.deepEqual(await store.read(key), {
        key,
        version,
        labels: ['user:ada'],
        value: new Uint8Array(bytes),
        expiresAt: never,
        touchedAt: 2 ** 31,
      })
      assert.equal((await store.list('sessions', { labels: ['user:ada'] })).records.length, 1)
      await store.close()
    }
  })

  it('is answered in full where the values are more than one reply of the server may hold', async (t) => {
    const bench = await Bench.on(t)
    const options = { namespace: bench.namespace, maxValue: 524_288, deadline: '30s' } as const
    const store = mongodbStore(cutting(bench.client.db(databaseName)), options)
    const ids = Array.from({ length: 20 }, (_, i) => `big-${String(i).padStart(2, '0')}`)
    for (const [i, id] of ids.entries()) {
      await created(store, id, { value: Buffer.alloc(524_288, i), labels: ['user:ada', 'tenant:t'] })
    }
    const keys = ids.map((id) => ({ collection: 'sessions', id }))
    const read = await store.readMany(keys)
    assert.deepEqual(
      read.map((record) => record?.value[0]),
      ids.map((_, i) => i),
    )
    for (const labels of [[], ['user:ada'], ['tenant:t', 'user:ada']]) {
      assert.deepEqual(await listed(store, labels, 100), ids)
    }
    const scanned: string[] = []
    for (let after: string | undefined, pages = 0; pages === 0 || after !== undefined; pages++) {
      const page = await store.scan({ index: 0, of: 1, limit: 100, ...(after !== undefined && { after }) })
      scanned.push(...page.records.map((record) => record.key.id))
      after = page.next
    }
    assert.deepEqual(scanned.toSorted(), ids)
  })

  it('looks at a bounded number of documents for a page, however sparse the intersection', async (t) => {
    const bench = await Bench.on(t, { monitorCommands: true })
    const store = bench.store()
    await created(store, 'n0000')
    const [model = {}] = await bench.documents()
    // Two labels, each of 1,200 records, and three records that have both.
    const both = new Set([5, 1_190, 2_396])
    const copies = Array.from({ length: 2_397 }, (_, i) => {
      const _id = `sessions/m${String(i).padStart(4, '0')}`
      const labels = both.has(i) ? ['client:web', 'tenant:t'] : [i % 2 ? 'client:web' : 'tenant:t']
      return { ...model, _id, slot: `0000/${_id}`, labels: labels.map((label) => `sessions/${label}`) }
    })
    await bench.client.db(databaseName).collection<Document & { _id: string }>(bench.name).insertMany(copies)
    const pages: number[] = []
    const commands = await bench.commandsOf(async () => {
      const found = await listed(store, ['client:web', 'tenant:t'], 10, pages)
      assert.deepEqual(found, ['m0005', 'm1190', 'm2396'])
    })
    assert.ok(pages.length >= 2, 'a page may be short')
    const limits = commands.flatMap((command) => ('find' in command ? [Number(command['limit'])] : []))
    assert.ok(limits.length >= 2 && limits.every((limit) => limit > 0 && limit <= 1_000), limits.join(' '))
  })

  it('is refused at open where the options ask for more than a single server has', async (t) => {
    const bench = await Bench.on(t)
    const { capabilities } = await bench.store().open()
    assert.deepEqual([capabilities.atomicBatch, capabilities.watch], [false, false])
    for (const options of [{ transactions: true }, { changeStreams: true }]) {
      await assert.rejects(bench.store(options).open(), (error: unknown) => {
        assert.ok(error instanceof StoreMisconfigured, String(error))
        assert.match(error.message, /replica set/)
        return true
      })
    }
  })

  it('tells what the server is and promises no more than it keeps', async (t) => {
    const bench = await Bench.on(t)
    const { description, capabilities, skew = 0 } = await bench.store().open()
    assert.match(description, /^(MongoDB|FerretDB) \d+\.\d+/)
    assert.ok(Math.abs(skew) < 3_000, `${skew} ms`)
    const isFerret1 = description.startsWith('FerretDB 1.')
    assert.equal(capabilities.shared, !isFerret1)
    assert.equal(capabilities.nativeExpiry, !isFerret1)
    assert.deepEqual(capabilities.durable, { process: true, machine: !isFerret1, failover: false })
  })
})

describe('MongoDB, by URL', () => {
  it(
    'keeps to the database of the URL, and closes the client that it made',
    { skip: single.skip },
    async (t) => {
      const bench = await Bench.on(t)
      const host = new URL(single.url).host
      const store = openMongodbStore(`mongodb://${host}/${databaseName}`, load, {
        namespace: bench.namespace,
      })
      await created(store, 'a')
      assert.equal((await bench.documents()).length, 1)
      await store.close()
      const given = bench.store()
      await given.open()
      await given.close()
      assert.equal((await bench.documents()).length, 1, 'a client that was given is not closed')
    },
  )

  it('refuses what cannot be right, and never repeats a password [T19 T22]', async () => {
    const wrong = [
      'mongodb:app',
      'mongodb://',
      'mongodb://localhost',
      'mongodb://localhost/?tls=true',
      'mongodb://ada:s3c/ret@localhost/app',
      'mongodb://ada:s3c%ret@localhost/app',
      'mongodb://ada:s3c@ret@localhost/app',
      'mongodb://ada:s3cret@localhost:99999/app',
      'mongodb://ada:s3cret@localhost/app?readPreference=nearby',
    ]
    for (const url of wrong) {
      await assert.rejects(
        async () => await openMongodbStore(url, load).open(),
        (error: unknown) => {
          assert.ok(error instanceof StoreMisconfigured, `${url}: ${String(error)}`)
          assert.ok(!/s3c|cret/.test(`${error.message}${String(error.cause)}`), error.message)
          return true
        },
      )
    }
    const tls = { tls: { servername: 'db' } }
    assert.throws(() => openMongodbStore('mongodb://localhost/app?tls=false', load, tls), StoreMisconfigured)
  })

  it('says what to install where the client is not there', async () => {
    const store = openMongodbStore('mongodb://localhost/app', () => Promise.resolve({}))
    await assert.rejects(store.open(), ClientMissing)
  })

  it('takes the port, the host and the database that MongoDB’s own tools take unless told [T19]', async () => {
    const seen: string[] = []
    const stop = new Error('seen')
    function MongoClient(url: string): void {
      seen.push(url)
      throw stop
    }
    for (const url of ['mongodb:///app', 'mongodb://ada:pw@/app?tls=true', 'mongodb://h:1,i:2/app']) {
      await assert.rejects(
        openMongodbStore(url, () => Promise.resolve({ MongoClient })).open(),
        StoreMisconfigured,
      )
    }
    assert.deepEqual(seen, [
      'mongodb://localhost/app',
      'mongodb://ada:pw@localhost/app?tls=true',
      'mongodb://h:1,i:2/app',
    ])
  })
})

/** Ends replies early, as MongoDB does from 16 MiB on, and FerretDB never: here at 9 MiB, which is faster to test. */
function cutting(database: Db): MongodbDatabase {
  return intercepted(database, async (_, carriedOut) => {
    const reply = await carriedOut()
    const cursor = reply['cursor'] as { readonly firstBatch: readonly Fields[] } | undefined
    if (!cursor) return reply
    let bytes = 0
    const firstBatch = cursor.firstBatch.filter((document) => {
      bytes += Buffer.from((document['value'] ?? '') as Buffer).byteLength + 200
      return bytes < 9 * 1024 * 1024
    })
    return { ...reply, cursor: { ...cursor, firstBatch } }
  })
}

/** The ids of all pages of a listing, in their order. */
async function listed(
  store: Store,
  labels: readonly string[],
  limit: number,
  sizes: number[] = [],
): Promise<string[]> {
  const ids: string[] = []
  for (let after: string | undefined, pages = 0; pages === 0 || after !== undefined; pages++) {
    const page = await store.list('sessions', { labels, limit, ...(after !== undefined && { after }) })
    ids.push(...page.records.map((record) => record.key.id))
    sizes.push(page.records.length)
    after = page.next
  }
  return ids
}
