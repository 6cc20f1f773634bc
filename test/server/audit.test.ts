/** `holdfast store audit` over real servers that were damaged by hand. */

import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { never, openStore, Sessions, type Store, type StoredRecord } from 'holdfast'
import { entryOf } from '../../packages/holdfast/src/store/tiers/entry.ts'
import { clear, command, connected, everywhere, freshNamespace, targets } from '../drivers/redis/targets.ts'
import { inTerminal } from './in-terminal.ts'
import { type Ended, folderFor, type Tree } from './running.ts'
import { cleared, server } from './servers.ts'

const postgres = server('PostgreSQL', 'HOLDFAST_TEST_POSTGRES')
const mariadb = server('MariaDB', 'HOLDFAST_TEST_MARIADB')
const redis = server('Redis', 'HOLDFAST_TEST_REDIS')
const memcached = server('Memcached', 'HOLDFAST_TEST_MEMCACHED')

interface Place {
  readonly folder: string
  readonly namespace: string
  /** Audits a store; what it says. */
  readonly audit: (url: string, ...flags: readonly string[]) => Promise<Ended>
  readonly open: (url: string) => Promise<Store>
}

async function place(t: TestContext): Promise<Place> {
  const folder = await folderFor(t)
  const namespace = freshNamespace()
  return {
    folder,
    namespace,
    audit: async (url, ...flags) =>
      await inTerminal(['store', 'audit', '--store', url, '--namespace', namespace, ...flags], { folder }),
    open: async (url) => await openStore(url, { namespace }),
  }
}

/** Signs in three times; answers with the ids of the sessions. */
async function signedIn(store: Store, user: string): Promise<readonly string[]> {
  const sessions = new Sessions(store)
  const ids: string[] = []
  for (let i = 0; i < 3; i++) {
    ids.push((await sessions.start({ login: await sessions.begin({ user }) })).id ?? '')
  }
  return ids
}

/** What a report says of each finding. */
function found({ out }: Ended): readonly string[] {
  const { findings } = JSON.parse(out) as Tree
  return findings!.map(
    (each) =>
      `${each['kind']} ${each['key']!['id']}${JSON.stringify(each).includes('"fixed":true') ? ' fixed' : ''}`,
  )
}

/** Sees a finding told, mended, and gone. */
async function mended(
  audit: (...flags: string[]) => Promise<Ended>,
  wrong: readonly string[],
): Promise<void> {
  const expected = [...wrong].sort()
  const looked = await audit('--json')
  assert.equal(looked.code, 1, looked.err)
  assert.match(looked.err, /wrong; --fix mends what can be mended \(HOLDFAST_AUDIT_FAILED\)\n$/)
  assert.deepEqual([...found(looked)].sort(), expected)
  const fixed = await audit('--fix', '--json')
  assert.deepEqual([fixed.code, fixed.err], [0, ''])
  assert.deepEqual(
    [...found(fixed)].sort(),
    expected.map((each) => `${each} fixed`),
  )
  const again = await audit('--json')
  assert.deepEqual([again.code, found(again)], [0, []])
}

describe('holdfast store audit mends a listing [G43]', () => {
  it('of PostgreSQL that has lost a row', { skip: postgres.skip }, async (t) => {
    const { audit, open, namespace } = await place(t)
    const store = await open(postgres.url)
    t.after(() => cleared(store))
    const [, id = ''] = await signedIn(store, 'ada')
    await signedIn(store, 'eve')
    const client = new Client({ connectionString: postgres.url })
    await client.connect()
    const deleted = await client.query(
      "delete from holdfast_labels where namespace = $1 and label = 'user:ada' and id = $2",
      [namespace, id],
    )
    await client.end()
    assert.equal(deleted.rowCount, 1)
    const sessions = new Sessions(store)
    assert.equal((await sessions.list({ user: 'ada' })).sessions.length, 2)
    await mended((...flags) => audit(postgres.url, ...flags), [`unlisted-record ${id}`])
    assert.equal((await sessions.list({ user: 'ada' })).sessions.length, 3)
  })

  it('of MariaDB that has lost a row', { skip: mariadb.skip }, async (t) => {
    const { audit, open, namespace } = await place(t)
    const store = await open(mariadb.url)
    t.after(() => cleared(store))
    const [, id = ''] = await signedIn(store, 'ada')
    const client = await createConnection(mariadb.url.replace('mariadb:', 'mysql:'))
    await client.execute(
      "delete from holdfast_labels where namespace = ? and label = 'user:ada' and id = ?",
      [namespace, id],
    )
    await client.end()
    await mended((...flags) => audit(mariadb.url, ...flags), [`unlisted-record ${id}`])
    assert.equal((await new Sessions(store).list({ user: 'ada' })).sessions.length, 3)
  })

  it('of SQLite that has lost a row', async (t) => {
    const { folder, audit, open, namespace } = await place(t)
    const url = `sqlite://${folder}/store.db`
    const store = await open(url)
    t.after(() => store.close())
    const [, id = ''] = await signedIn(store, 'ada')
    const database = new DatabaseSync(`${folder}/store.db`)
    database
      .prepare("delete from holdfast_labels where namespace = ? and label = 'user:ada' and id = ?")
      .run(namespace, id)
    database.close()
    await mended((...flags) => audit(url, ...flags), [`unlisted-record ${id}`])
    assert.equal((await new Sessions(store).list({ user: 'ada' })).sessions.length, 3)
  })

  for (const { name, urls, skip } of targets) {
    it(`of Redis (${name}) that has lost a member`, { skip }, async (t) => {
      const { audit, open, namespace } = await place(t)
      const url = urls.length === 1 ? urls[0]! : `redis://${urls.map((each) => new URL(each).host).join(',')}`
      const client = await connected(urls)
      t.after(async () => {
        await clear(client, namespace)
        client.destroy()
      })
      const store = await open(url)
      t.after(() => store.close())
      const [id = ''] = await signedIn(store, 'ada')
      const names = (
        await everywhere(client, 'KEYS', `{${namespace}:*}i:sessions/user:ada`)
      ).flat() as string[]
      assert.equal(names.length, 1)
      assert.equal(await command(client, names[0]!, 'ZREM', names[0]!, id), 1)
      await mended((...flags) => audit(url, ...flags), [`unlisted-record ${id}`])
      assert.equal((await new Sessions(store).list({ user: 'ada' })).sessions.length, 3)
    })
  }
})

describe('holdfast store audit over SQLite', () => {
  it('shows a table of what is wrong, and ends with 1', async (t) => {
    const { folder, audit, open, namespace } = await place(t)
    const url = `sqlite://${folder}/store.db`
    const store = await open(url)
    const [id = ''] = await signedIn(store, 'ada')
    await store.close()
    const database = new DatabaseSync(`${folder}/store.db`)
    database
      .prepare("delete from holdfast_labels where namespace = ? and label = 'user:ada' and id = ?")
      .run(namespace, id)
    database.close()
    const { code, out, err } = await audit(url)
    assert.deepEqual(
      [code, err],
      [1, 'holdfast: 1 thing is wrong; --fix mends what can be mended (HOLDFAST_AUDIT_FAILED)\n'],
    )
    assert.match(out, /^store +SQLite .*\nrecords +3\nlistings +\d\nfound +1\nfixed +0\nseconds +[\d.]+\n\n/)
    assert.match(
      out,
      /\nKIND +NOW +WHAT\nunlisted-record +left +sessions\/\S+ is not found under user:ada\n$/,
    )
  })

  it('shows on a terminal how far it is', async (t) => {
    const { folder, open, namespace } = await place(t)
    const url = `sqlite://${folder}/store.db`
    const store = await open(url)
    await signedIn(store, 'ada')
    await store.close()
    const line = ['store', 'audit', '--store', url, '--namespace', namespace]
    const { code, out, err } = await inTerminal(line, { folder, isTTY: true })
    assert.equal(code, 0)
    assert.match(out, /\nfound +0\n/)
    assert.match(err, /looked at \d+ records in /)
    assert.match(err, /looked at \d+ of 2 listings in /)
  })
})

/** A record as an entry of a cache, put there by hand. */
async function put(cache: Store, record: StoredRecord, lives: number): Promise<void> {
  const key = { collection: `cached-${record.key.collection}`, id: record.key.id }
  const entry = entryOf(record, Date.now() + lives)
  await cache.remove([key])
  assert.equal((await cache.create({ key, value: entry, expiresAt: never })).status, 'done')
}

async function recordsOf(store: Store, count: number): Promise<readonly StoredRecord[]> {
  for (let i = 0; i < count; i++) {
    const key = { collection: 'things', id: `id-${i}` }
    await store.create({ key, value: Buffer.from(`${i}`), labels: ['user:ada'], expiresAt: never })
  }
  return (await store.list('things')).records
}

describe('holdfast store audit over tiers', () => {
  const truths = [
    { name: 'PostgreSQL', skip: postgres.skip || redis.skip, url: () => postgres.url },
    { name: 'SQLite', skip: redis.skip, url: (folder: string) => `sqlite://${folder}/store.db` },
  ]
  for (const { name, skip, url } of truths) {
    it(`finds and mends what is wrong in Redis over ${name} [G43]`, { skip }, async (t) => {
      const { folder, namespace, audit, open } = await place(t)
      const truth = await open(url(folder))
      const cache = await open(redis.url)
      const client = await connected([redis.url])
      t.after(async () => {
        await cache.close()
        await clear(client, namespace)
        client.destroy()
        await cleared(truth)
      })
      const [right, stale, late, gone, rubbish] = await recordsOf(truth, 5)
      const minute = 60_000
      await put(cache, right!, 1_500)
      await put(cache, { ...stale!, version: '1.before' }, minute)
      await put(cache, late!, minute)
      await put(cache, gone!, minute)
      await truth.remove([gone!.key])
      const place_ = { collection: 'cached-things', id: rubbish!.key.id }
      await cache.create({ key: place_, value: Buffer.from('rubbish'), expiresAt: never })
      for (const top of ['', 'memory: ']) {
        await mended(
          (...flags) => audit(`tiered: ${top}${redis.url} ${url(folder)}`, ...flags),
          ['stale-entry id-1', 'outliving-entry id-2', 'orphan-entry id-3', 'malformed-entry id-4'],
        )
        await put(cache, { ...stale!, version: '1.before' }, minute)
        await put(cache, late!, minute)
        await put(cache, gone!, minute)
        await cache.create({ key: place_, value: Buffer.from('rubbish'), expiresAt: never })
      }
    })
  }

  it('finds nothing while services work on it', { skip: postgres.skip || redis.skip }, async (t) => {
    const { namespace, audit, open } = await place(t)
    const url = `tiered: memory: ${redis.url} ${postgres.url}`
    const store = await open(url)
    const client = await connected([redis.url])
    t.after(async () => {
      await clear(client, namespace)
      client.destroy()
      await cleared(store)
    })
    const sessions = new Sessions(store)
    let isOver = false
    let rounds = 0
    const busy = async (user: string): Promise<void> => {
      while (!isOver) {
        const { credential = '' } = await sessions.start({ login: await sessions.begin({ user }) })
        await sessions.load(credential)
        const session = await sessions.load(credential)
        session.set('n', rounds++)
        await session.save()
        if (rounds % 3 === 0) await sessions.logout(credential)
      }
    }
    const working = ['ada', 'eve', 'bob'].map(busy)
    for (let i = 0; i < 3 || rounds < 10; i++) {
      const ended = await audit(url, '--json')
      assert.equal(ended.code, 0, ended.err)
      assert.deepEqual(found(ended), [])
    }
    isOver = true
    await Promise.all(working)
  })

  it('says that Memcached can’t be scanned, and audits the truth', { skip: memcached.skip }, async (t) => {
    const { folder, audit, open } = await place(t)
    const url = `tiered: ${memcached.url} sqlite://${folder}/store.db`
    const store = await open(url)
    await signedIn(store, 'ada')
    await store.close()
    const { code, out, err } = await audit(url, '--json')
    assert.equal(code, 0)
    assert.match(
      err,
      /^holdfast: warning: Memcached .* can’t be scanned, so what it holds as a cache was not audited/,
    )
    const { records, caches } = JSON.parse(out) as Tree
    assert.deepEqual([records, caches![0]!['audited']], [3, false])
  })

  it('knows nothing where the cache is down', async (t) => {
    const { folder, audit, open } = await place(t)
    const url = `sqlite://${folder}/store.db`
    await (await open(url)).close()
    const { code, out, err } = await audit(`tiered: redis://127.0.0.1:1 ${url}`)
    assert.deepEqual([code, out], [69, ''])
    assert.match(err, /HOLDFAST_STORE_UNAVAILABLE/)
  })

  it('says that Memcached as the truth can’t be audited', { skip: memcached.skip }, async (t) => {
    const { audit } = await place(t)
    const { code, err } = await audit(memcached.url)
    assert.equal(code, 0)
    assert.match(err, /warning: the listings of Memcached .* were not audited/)
  })
})
