import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { MongoStore } from 'connect-mongo'
import { RedisStore } from 'connect-redis'
import type session from 'express-session'
import { KeyedSessions, openStore } from 'holdfast'
import { Pool } from 'pg'
import { inTerminal } from '../server/in-terminal.ts'
import { folderFor, type Tree } from '../server/running.ts'
import {
  filePlace,
  fresh,
  mongoClient,
  mongodbUrl,
  mongoDatabase,
  oldApp,
  pgStore,
  postgresUrl,
  redisClient,
  redisUrl,
} from './old-places.ts'

interface Named {
  readonly url: string
  readonly store: session.Store
}

/** Each kind as a command names it. */
const kinds: Readonly<Record<string, { skip: boolean; open: (t: TestContext) => Promise<Named> }>> = {
  'connect-redis': { skip: redisUrl === '', open: ofRedis },
  'connect-pg-simple': { skip: postgresUrl === '', open: ofPostgres },
  'connect-mongo': { skip: mongodbUrl === '', open: ofMongo },
  'session-file-store': { skip: false, open: ofFiles },
}

async function ofRedis(t: TestContext): Promise<Named> {
  const client = await redisClient(t)
  const prefix = `${fresh()}&%:`
  const url = `connect-redis+${redisUrl}?prefix=${encodeURIComponent(prefix)}`
  return { url, store: new RedisStore({ client, prefix }) }
}

async function ofPostgres(t: TestContext): Promise<Named> {
  const pool = new Pool({ connectionString: postgresUrl })
  const { names, store } = await pgStore(t, pool, fresh())
  const { schemaName, tableName } = names
  const url = `connect-pg-simple+${postgresUrl}?application_name=x&table=${tableName}&schema=${schemaName}`
  return { url, store }
}

async function ofMongo(t: TestContext): Promise<Named> {
  const collectionName = fresh()
  const client = await mongoClient(t, collectionName)
  const store = MongoStore.create({ client, dbName: mongoDatabase, collectionName, autoRemove: 'disabled' })
  const url = new URL(mongodbUrl)
  url.pathname = `/${mongoDatabase}`
  return { url: `connect-mongo+${url.href}?collection=${collectionName}`, store }
}

async function ofFiles(t: TestContext): Promise<Named> {
  const { path, store } = await filePlace(t)
  return { url: `session-file-store://${path}?ttl=7200`, store }
}

async function copied(t: TestContext, ...line: readonly string[]) {
  const folder = await folderFor(t)
  const target = `sqlite://${folder}/to.db`
  const run = (...more: readonly string[]) =>
    inTerminal(['store', 'copy', ...line, target, ...more], { folder })
  return { target, run, ended: await run('--json') }
}

describe('holdfast store copy, of another library', () => {
  for (const [name, { skip, open }] of Object.entries(kinds)) {
    it(`copies the sessions of ${name}`, { skip: skip && 'run this by `npm test`' }, async (t) => {
      const { url, store } = await open(t)
      const app = await oldApp(t, store)
      const sid = await app.put({ passport: { user: 'ada' }, n: 1 })
      const other = await app.put({ n: 2 })
      const { target, run, ended } = await copied(t, '--user', 'passport.user', url)
      assert.equal(ended.code, 0, ended.err)
      const report = JSON.parse(ended.out) as Tree
      assert.deepEqual([report['sessions'], report['created'], report['malformed']], [2, 2, 0])
      const again = await run()
      assert.match(
        again.out,
        /sessions +2\nof these created now +0\nthere before +2\nverified +each session was read back\n/,
      )
      const opened = await openStore(target)
      const sessions = new KeyedSessions(opened)
      try {
        const { sessions: found } = await sessions.list({ user: 'ada' })
        assert.deepEqual(
          found.map(({ id }) => id),
          [sessions.idOf(sid)],
        )
        assert.equal((await sessions.read(other))?.data['n'], 2)
        assert.equal(await sessions.revoke({ user: 'ada' }), 1)
      } finally {
        await opened.close()
      }
    })
  }

  const nodes = (process.env['HOLDFAST_TEST_REDIS_CLUSTER'] ?? '').split(',').filter(Boolean)
  const skip = nodes.length > 0 ? false : 'run this by `npm test`'
  it('refuses a node of a cluster, which has only some of the sessions', { skip }, async (t) => {
    const { ended } = await copied(t, `connect-redis+${nodes[0]!}?prefix=${fresh()}`)
    assert.equal(ended.code, 2, ended.out)
    assert.match(ended.err, /node of a cluster.*copyOldSessions/)
  })

  it('takes all of a parameter that has an equals sign in it', { skip: redisUrl === '' }, async (t) => {
    const client = await redisClient(t)
    const prefix = `${fresh()}=1:`
    const sid = await (await oldApp(t, new RedisStore({ client, prefix }))).put({ n: 1 })
    const { target, ended } = await copied(t, `connect-redis+${redisUrl}?prefix=${prefix}`)
    assert.equal(ended.code, 0, ended.err)
    const opened = await openStore(target)
    t.after(() => opened.close())
    assert.equal((await new KeyedSessions(opened).read(sid))?.data['n'], 1)
  })

  it('counts what is malformed, and leaves it behind', async (t) => {
    const { path, store, damage } = await filePlace(t)
    await (await oldApp(t, store)).put({ n: 1 })
    await damage('broken', '{')
    const { ended } = await copied(t, `session-file-store://${path}`)
    const report = JSON.parse(ended.out) as Tree
    assert.deepEqual([report['sessions'], report['malformed']], [1, 1])
  })

  const nonsense: readonly (readonly [RegExp, ...string[]])[] = [
    [/named like connect-redis\+redis:/, 'connect-redis+postgres://localhost'],
    [/not the address of one Redis/, 'connect-redis+redis://:hush@a:1,b:2'],
    [/not the address of one MongoDB/, 'connect-mongo+mongodb://:hush@'],
    [/named like connect-pg-simple\+postgres:/, 'connect-pg-simple:table'],
    [/named like connect-mongo\+mongodb:/, 'connect-mongo+mongo://localhost'],
    [/write session-file-store:relative/, 'session-file-store://relative'],
    [/whole seconds/, 'session-file-store:./sessions?ttl=1h'],
    [/percent-encoded/, 'connect-redis+redis://localhost?prefix=%zz'],
    [/no parameter prefx here: known are prefix/, 'connect-redis+redis://localhost?prefx=sess:'],
    [/no parameter TTL here: known are ttl and extension/, 'session-file-store:./sessions?TTL=60'],
    [/the folder is not validly percent-encoded/, 'session-file-store:./100%'],
    [/--overwrite is for/, 'session-file-store:./sessions', '--overwrite'],
    [/path of a member/, 'session-file-store:./sessions', '--user', 'a..b'],
  ]
  for (const [message, ...line] of nonsense) {
    it(`refuses ${line.join(' ').replace('hush', '…')}`, async (t) => {
      const { ended } = await copied(t, ...line)
      assert.equal(ended.code, 2, ended.err)
      assert.match(ended.err, message)
      assert.doesNotMatch(ended.err, /hush/)
    })
  }

  it('says what is not there, and no password', async (t) => {
    const away = [
      'connect-redis+redis://user:hush@127.0.0.1:1',
      'connect-pg-simple+postgres://user:hush@127.0.0.1:1/app',
      'connect-mongo+mongodb://user:hush@127.0.0.1:1/app',
    ]
    for (const url of away) {
      const { ended } = await copied(t, url)
      assert.equal(ended.code === 69 || ended.code === 1, true, ended.err)
      assert.match(ended.err, /HOLDFAST_STORE_UNAVAILABLE/)
      assert.doesNotMatch(ended.err + ended.out, /hush/)
    }
  })

  it('says that a folder is not there', async (t) => {
    const { ended } = await copied(t, 'session-file-store:./nowhere')
    assert.equal(ended.code, 69)
    assert.match(ended.err, /nowhere\): there is no such folder \(HOLDFAST_STORE_MISCONFIGURED\)/)
  })

  it('refuses what is for other libraries only, elsewhere', async (t) => {
    const { ended } = await copied(t, 'sqlite:from.db', '--user', 'a')
    assert.equal(ended.code, 2)
    assert.match(ended.err, /--user and --seal are for sessions that another library stored/)
  })
})
