/** What other libraries store sessions in, each with the reader for it. They are the real ones, over real servers. */

import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import connectPgSimple from 'connect-pg-simple'
import { MongoStore } from 'connect-mongo'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { Pool } from 'pg'
import postgres from 'postgres'
import { createClient } from 'redis'
import sessionFileStore from 'session-file-store'
import {
  connectMongoSessions,
  connectPgSimpleSessions,
  connectRedisSessions,
  type OldSessions,
  type OldSessionsOptions,
  sessionFileStoreSessions,
} from '../../packages/holdfast/src/migration/index.ts'

/** One of them, made for one test. */
export interface OldPlace {
  readonly store: session.Store
  readonly reader: (options?: OldSessionsOptions) => OldSessions
  /** A reader of the same that can't reach it. */
  readonly outage: (options?: OldSessionsOptions) => OldSessions
  /** Writes something under an id that the library itself would not write. */
  readonly damage: (sid: string, text: string) => Promise<unknown>
}

export interface OldKind {
  readonly name: string
  readonly skip: string | false
  /** How long it keeps a session whose cookie ends with the browser, in milliseconds. */
  readonly ttl: number
  readonly open: (t: TestContext) => Promise<OldPlace>
}

export const redisUrl = process.env['HOLDFAST_TEST_REDIS'] ?? ''
export const postgresUrl = process.env['HOLDFAST_TEST_POSTGRES'] ?? ''
export const mongodbUrl = process.env['HOLDFAST_TEST_MONGODB'] ?? ''

export const mongoDatabase = 'holdfast_test'

const day = 86_400_000

export const oldKinds: readonly OldKind[] = [
  { name: 'connect-redis over node-redis', skip: needs('REDIS'), ttl: day, open: redisPlace },
  { name: 'connect-redis, read by ioredis', skip: needs('REDIS'), ttl: day, open: ioRedisPlace },
  { name: 'connect-pg-simple over pg', skip: needs('POSTGRES'), ttl: day, open: (t) => pgPlace(t, 'pg') },
  {
    name: 'connect-pg-simple, read by postgres.js',
    skip: needs('POSTGRES'),
    ttl: day,
    open: (t) => pgPlace(t, 'postgres.js'),
  },
  { name: 'connect-mongo', skip: needs('MONGODB'), ttl: 14 * day, open: (t) => mongoPlace(t, true) },
  {
    name: 'connect-mongo with objects',
    skip: needs('MONGODB'),
    ttl: 14 * day,
    open: (t) => mongoPlace(t, false),
  },
  { name: 'session-file-store', skip: false, ttl: 3_600_000, open: filePlace },
]

function needs(server: string): string | false {
  const variable = `HOLDFAST_TEST_${server}`
  return process.env[variable] ? false : `${variable} is not set: run this by \`npm test\``
}

/** A name that nobody else uses. */
export function fresh(): string {
  return `old_${randomBytes(6).toString('hex')}`
}

export async function redisClient(t: TestContext) {
  const client = createClient({ url: redisUrl })
  client.on('error', () => undefined)
  await client.connect()
  t.after(() => {
    client.destroy()
  })
  return client
}

async function redisPlace(t: TestContext): Promise<OldPlace> {
  const client = await redisClient(t)
  const prefix = `${fresh()}[*]:`
  return {
    store: new RedisStore({ client, prefix }),
    reader: (options) => connectRedisSessions(client, { prefix, ...options }),
    outage: (options) => connectRedisSessions(createClient({ url: redisUrl }), options),
    damage: (sid, text) => client.set(prefix + sid, text, { expiration: { type: 'EX', value: 60 } }),
  }
}

async function ioRedisPlace(t: TestContext): Promise<OldPlace> {
  const client = await redisClient(t)
  const [before, prefix] = [`${fresh()}?:`, 'sess:']
  const io = new Redis(redisUrl, { keyPrefix: before })
  const away = new Redis({ port: 1, lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null })
  for (const each of [io, away]) each.on('error', () => undefined)
  t.after(() => {
    io.disconnect()
    away.disconnect()
  })
  return {
    store: new RedisStore({ client, prefix: before + prefix }),
    reader: (options) => connectRedisSessions(io, { prefix, ...options }),
    outage: (options) => connectRedisSessions(away, options),
    damage: (sid, text) => io.set(prefix + sid, text, 'EX', 60),
  }
}

/**
 * A schema of a test's own, with whose end that of the pool comes. However its table is called, connect-pg-simple calls
 * the constraints of it the same, so that no two can be in one schema.
 */
export async function freshSchema(t: TestContext, pool: Pool): Promise<string> {
  const name = fresh()
  await pool.query(`create schema ${name}`)
  t.after(async () => {
    await pool.query(`drop schema ${name} cascade`)
    await pool.end()
  })
  return name
}

/** A store of connect-pg-simple in a schema of its own, which it makes its table in at its first use. */
export async function pgStore(t: TestContext, pool: Pool, tableName: string) {
  const names = { schemaName: await freshSchema(t, pool), tableName }
  const Store = connectPgSimple(session)
  return {
    names,
    store: new Store({ pool, ...names, createTableIfMissing: true, pruneSessionInterval: false }),
  }
}

export async function pgPlace(t: TestContext, library: 'pg' | 'postgres.js'): Promise<OldPlace> {
  const pool = new Pool({ connectionString: postgresUrl, max: 2, options: '-c TimeZone=America/New_York' })
  const sql = postgres(postgresUrl, { max: 2, connection: { TimeZone: 'America/New_York' } })
  const { names, store } = await pgStore(t, pool, 'the "old" ones')
  // Its table is there from now on.
  await readByItself(store, 'nobody')
  t.after(() => sql.end())
  const away = 'postgres://nobody@127.0.0.1:1/none'
  const client = library === 'pg' ? pool : sql
  return {
    store,
    reader: (options) => connectPgSimpleSessions(client, { ...names, ...options }),
    outage: (options) =>
      connectPgSimpleSessions(
        library === 'pg' ? new Pool({ connectionString: away }) : postgres(away),
        options,
      ),
    damage: (sid, text) =>
      pool.query(
        `insert into ${names.schemaName}."the ""old"" ones" values ($1, $2, now() + interval '1 hour')`,
        [
          sid,
          // The table takes nothing but JSON.
          text.startsWith('{') && text.endsWith('}') ? text : JSON.stringify(text),
        ],
      ),
  }
}

/** @param collection Of the tests' database, removed when the test ends. */
export async function mongoClient(t: TestContext, collection: string): Promise<MongoClient> {
  const client = new MongoClient(mongodbUrl, { serverSelectionTimeoutMS: 2_000 })
  await client.connect()
  t.after(async () => {
    await client.db(mongoDatabase).dropCollection(collection)
    await client.close()
  })
  return client
}

async function mongoPlace(t: TestContext, stringify: boolean): Promise<OldPlace> {
  const collectionName = fresh()
  const client = await mongoClient(t, collectionName)
  const dbName = mongoDatabase
  const collection = client.db(dbName).collection<{ readonly _id: string }>(collectionName)
  return {
    store: MongoStore.create({ client, dbName, collectionName, stringify, autoRemove: 'disabled' }),
    reader: (options) => connectMongoSessions(client, { dbName, collectionName, ...options }),
    outage: (options) => {
      const away = new MongoClient('mongodb://127.0.0.1:1', { serverSelectionTimeoutMS: 200 })
      t.after(() => away.close())
      return connectMongoSessions(away.db('x'), options)
    },
    damage: (sid, session) =>
      collection.updateOne(
        { _id: sid },
        { $set: { session, expires: new Date(Date.now() + 60_000) } },
        { upsert: true },
      ),
  }
}

/** A folder in a folder: what is beside it must not be found. */
export async function filePlace(t: TestContext): Promise<OldPlace & { readonly path: string }> {
  const around = await mkdtemp(join(tmpdir(), 'holdfast-old-'))
  t.after(() => rm(around, { recursive: true, force: true }))
  const path = join(around, 'sessions')
  await mkdir(path)
  const FileStore = sessionFileStore(session)
  return {
    path,
    store: new FileStore({ path, reapInterval: -1, retries: 0, logFn: () => undefined }),
    reader: (options) => sessionFileStoreSessions(path, options),
    outage: (options) => sessionFileStoreSessions(join(around, 'unmounted'), options),
    damage: (sid, text) => writeFile(join(path, `${sid}.json`), text),
  }
}

/** An application of express-session over a store of somebody else's. */
export interface OldApp {
  /** Stores something in a session, and gives the session's secret id. */
  put(data: object): Promise<string>
}

/** @param maxAge Of the cookie in milliseconds; missing: until the browser is closed. */
export async function oldApp(t: TestContext, store: session.Store, maxAge?: number): Promise<OldApp> {
  const app = express()
  const cookie = maxAge === undefined ? {} : { cookie: { maxAge } }
  app.use(session({ store, secret: 'of old', resave: false, saveUninitialized: false, ...cookie }))
  app.post('/', express.json(), (request, response) => {
    Object.assign(request.session, request.body)
    response.json(request.sessionID)
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return {
    put: async (data) => {
      const headers = { 'content-type': 'application/json', connection: 'close' }
      const body = JSON.stringify(data)
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })
      return (await response.json()) as string
    },
  }
}

/** What the library itself reads. */
export async function readByItself(store: session.Store, sid: string): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    store.get(sid, (error: Error | null, found) => {
      // session-file-store calls a missing file an error.
      if (error && (error as NodeJS.ErrnoException).code !== 'ENOENT') reject(error)
      else resolve(found ?? undefined)
    })
  })
}
