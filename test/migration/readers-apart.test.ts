import assert from 'node:assert/strict'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createKrupteinAdapter, createWebCryptoAdapter, MongoStore } from 'connect-mongo'
import { RedisStore } from 'connect-redis'
import session from 'express-session'
import { Cluster } from 'ioredis'
import { Pool } from 'pg'
import { createCluster } from 'redis'
import sessionFileStore from 'session-file-store'
import { StoreMisconfigured } from '../../packages/holdfast/src/errors.ts'
import {
  connectMongoSessions,
  connectPgSimpleSessions,
  connectRedisSessions,
  type Malformed,
  sessionFileStoreSessions,
} from '../../packages/holdfast/src/migration/index.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import {
  filePlace,
  fresh,
  mongoClient,
  mongoDatabase,
  mongodbUrl,
  oldApp,
  pgStore,
  postgresUrl,
  redisClient,
  redisUrl,
} from './old-places.ts'

const withoutServer = (url: string): string | false => (url ? false : 'run this by `npm test`')

describe('reading sessions of connect-redis, apart', { skip: withoutServer(redisUrl) }, () => {
  it('never ends what has no time to live there', async (t) => {
    const client = await redisClient(t)
    const prefix = `${fresh()}:`
    const sid = await (await oldApp(t, new RedisStore({ client, prefix, disableTTL: true }))).put({ a: 1 })
    const old = connectRedisSessions(client, { prefix })
    assert.equal((await old.read(sid))?.expiresAt, never)
    await old.remove(sid)
  })

  it('takes a key of another type for nothing', async (t) => {
    const client = await redisClient(t)
    const prefix = `${fresh()}:`
    await client.hSet(`${prefix}abc`, { a: 1 })
    const told: Malformed[] = []
    const old = connectRedisSessions(client, { prefix, onMalformed: (each) => told.push(each) })
    assert.equal(await old.read('abc'), undefined)
    assert.deepEqual((await old.scan()).sessions, [])
    assert.equal(told[0]?.why, 'its key does not hold a text')
    await old.remove('abc')
  })

  const urls = (process.env['HOLDFAST_TEST_REDIS_CLUSTER'] ?? '').split(',').filter(Boolean)
  it('reads, scans and empties a cluster, by either library', { skip: urls.length === 0 }, async (t) => {
    const client = createCluster({ rootNodes: urls.map((url) => ({ url })) })
    client.on('error', () => undefined)
    await client.connect()
    const io = new Cluster(urls)
    t.after(() => {
      client.destroy()
      io.disconnect()
    })
    const prefix = `${fresh()}:`
    const app = await oldApp(t, new RedisStore({ client, prefix }))
    const sids = await Promise.all(Array.from({ length: 30 }, (_, n) => app.put({ n })))
    for (const each of [client, io]) {
      const old = connectRedisSessions(each, { prefix })
      assert.equal((await old.read(sids[3]!))?.data['n'], 3)
      const found = new Set<string>()
      let after: string | undefined
      do {
        const page = await old.scan({ limit: 5, ...(after === undefined ? {} : { after }) })
        for (const { sid } of page.sessions) found.add(sid)
        after = page.next
      } while (after !== undefined)
      assert.deepEqual([...found].sort(), [...sids].sort())
    }
    for (const sid of sids) await connectRedisSessions(io, { prefix }).remove(sid)
    assert.equal(await connectRedisSessions(client, { prefix }).read(sids[0]!), undefined)
  })
})

describe('reading sessions of connect-pg-simple, apart', { skip: withoutServer(postgresUrl) }, () => {
  it('says what to do about a table that is not there', async (t) => {
    const pool = new Pool({ connectionString: postgresUrl })
    t.after(() => pool.end())
    const old = connectPgSimpleSessions(pool, { tableName: fresh() })
    await assert.rejects(old.read('abc'), (error) => {
      assert.ok(error instanceof StoreMisconfigured)
      return /does not exist.*Name the table with tableName and schemaName/.test(error.message)
    })
  })

  it('takes no part of a name for SQL', async (t) => {
    const pool = new Pool({ connectionString: postgresUrl })
    const { names, store } = await pgStore(t, pool, `${fresh()}" where true; drop table x; --`)
    const sid = await (await oldApp(t, store)).put({ a: 1 })
    const old = connectPgSimpleSessions(pool, names)
    assert.deepEqual((await old.read(sid))?.data, { a: 1 })
    assert.throws(() => connectPgSimpleSessions(pool, { tableName: '' }), /can't be the name/)
  })
})

describe('reading sessions of connect-mongo, apart', { skip: withoutServer(mongodbUrl) }, () => {
  const adapters = {
    'kruptein, whole': { adapter: () => createKrupteinAdapter({ secret: 'a squirrel' }), stringify: true },
    'kruptein, objects': { adapter: () => createKrupteinAdapter({ secret: 'a squirrel' }), stringify: false },
    'Web Crypto': { adapter: () => createWebCryptoAdapter({ secret: 'a squirrel' }), stringify: true },
  }
  for (const [name, { adapter, stringify }] of Object.entries(adapters)) {
    it(`decrypts what ${name} encrypted with what it is given, and refuses it without`, async (t) => {
      const [dbName, collectionName] = [mongoDatabase, fresh()]
      const client = await mongoClient(t, collectionName)
      const settings = { client, dbName, collectionName, autoRemove: 'disabled', stringify } as const
      const store = MongoStore.create({ ...settings, cryptoAdapter: adapter() })
      const sid = await (await oldApp(t, store)).put({ a: { b: 1 } })
      const old = connectMongoSessions(client, { dbName, collectionName, cryptoAdapter: adapter() })
      assert.deepEqual((await old.read(sid))?.data, { a: { b: 1 } })
      assert.equal((await old.scan()).sessions.length, 1)
      const blind = connectMongoSessions(client, { dbName, collectionName })
      const others = [
        createKrupteinAdapter({ secret: 'another squirrel' }),
        createWebCryptoAdapter({ secret: 'another squirrel' }),
      ].map((cryptoAdapter) => connectMongoSessions(client, { dbName, collectionName, cryptoAdapter }))
      // With another key it is no answer either: everybody would be logged out.
      for (const each of [blind, ...others]) {
        for (const ask of [() => each.read(sid), () => each.scan()]) {
          await assert.rejects(ask, (error) => {
            assert.ok(error instanceof StoreMisconfigured)
            return error.message.includes('are encrypted')
          })
        }
      }
      const plain = { _id: 'plain', session: '{"cookie":{}}', expires: new Date(Date.now() + 60_000) }
      await client.db(dbName).collection<{ _id: string }>(collectionName).insertOne(plain)
      assert.equal(await old.read('plain'), undefined)
    })
  }

  it('finds transformed ids, and refuses to scan them', async (t) => {
    const [dbName, collectionName] = [mongoDatabase, fresh()]
    const client = await mongoClient(t, collectionName)
    const transformId = (sid: string) => `x-${sid}`
    const store = MongoStore.create({ client, dbName, collectionName, autoRemove: 'disabled', transformId })
    const sid = await (await oldApp(t, store)).put({ a: 1 })
    const old = connectMongoSessions(client, { dbName, collectionName, transformId })
    assert.deepEqual((await old.read(sid))?.data, { a: 1 })
    await assert.rejects(old.scan(), /transformId/)
    await old.remove(sid)
    assert.equal(await old.read(sid), undefined)
  })

  it('makes of dates what JSON makes of them, and never ends what has no end', async (t) => {
    const collectionName = fresh()
    const database = (await mongoClient(t, collectionName)).db(mongoDatabase)
    const born = new Date('1815-12-10T00:00:00Z')
    const collection = database.collection<{ _id: string; session: object; expires?: unknown }>(
      collectionName,
    )
    await collection.insertMany([
      { _id: 'endless', session: { cookie: {}, born } },
      { _id: 'null', session: { cookie: {} }, expires: null },
      { _id: 'text', session: { cookie: {} }, expires: '2999-01-01' },
    ])
    const old = connectMongoSessions(database, { collectionName })
    const found = await old.read('endless')
    assert.deepEqual([found?.data, found?.expiresAt], [{ born: born.toJSON() }, never])
    assert.equal(await old.read('null'), undefined)
    assert.equal(await old.read('text'), undefined)
  })
})

describe('reading sessions of session-file-store, apart', () => {
  it('refuses encrypted files', async (t) => {
    const { path } = await filePlace(t)
    const FileStore = sessionFileStore(session)
    const store = new FileStore({ path, secret: 'a squirrel', reapInterval: -1, logFn: () => undefined })
    const sid = await (await oldApp(t, store)).put({ a: 1 })
    const old = sessionFileStoreSessions(path)
    await assert.rejects(old.read(sid), /are encrypted/)
    await assert.rejects(old.scan(), /are encrypted/)
  })

  it('ends a session so long after its last access as its cookie or the option says', async (t) => {
    const { path, store } = await filePlace(t)
    const one = await (await oldApp(t, store)).put({ a: 1 })
    // The second application takes the store over.
    const other = await (await oldApp(t, store, 7_200_000)).put({ a: 1 })
    for (const sid of [one, other]) {
      const file = join(path, `${sid}.json`)
      const stored = JSON.parse(await readFile(file, 'utf8')) as { __lastAccess: number }
      stored.__lastAccess -= 1_800_000
      await writeFile(file, JSON.stringify(stored))
    }
    assert.equal(await sessionFileStoreSessions(path, { ttl: '30m' }).read(one), undefined)
    const read = sessionFileStoreSessions(path, { ttl: '31m' })
    const in1 = (await read.read(one))!.expiresAt - Date.now()
    const in2 = (await read.read(other))!.expiresAt - Date.now()
    assert.ok(in1 > 50_000 && in1 <= 60_000, String(in1))
    assert.ok(in2 > 5_390_000 && in2 <= 5_400_000, String(in2))
    assert.equal('__lastAccess' in (await read.read(one))!.data, false)
  })

  it('has its extension, and leaves other files alone', async (t) => {
    const { path, store } = await filePlace(t)
    const sid = await (await oldApp(t, store)).put({ a: 1 })
    await rename(join(path, `${sid}.json`), join(path, sid))
    assert.equal(await sessionFileStoreSessions(path).read(sid), undefined)
    const bare = sessionFileStoreSessions(path, { fileExtension: '' })
    assert.deepEqual((await bare.read(sid))?.data, { a: 1 })
    for (const each of ['.', '..']) assert.equal(await bare.read(each), undefined)
    assert.equal(await sessionFileStoreSessions(path).count(), 0)
    assert.equal(await bare.count(), 1)
  })
})
