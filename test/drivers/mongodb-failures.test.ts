/** Servers that are away, hang up, stand still, are full, or want to know who is there: each ends in a coded error. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MongoClient } from 'mongodb'
import {
  type MongodbOptions,
  mongodbStore,
  openMongodbStore,
} from '../../packages/holdfast/src/drivers/mongodb.ts'
import {
  DeadlineExceeded,
  HoldfastError,
  OutcomeUnknown,
  StoreFull,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { certificates } from './mongodb/certificates.ts'
import { privateServer, skipPrivate } from './mongodb/servers.ts'
import { clear, connected, databaseName, freshNamespace, single } from './mongodb/targets.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { Proxy } from './redis/proxy.ts'
import { until } from '../until.ts'

const load = (): Promise<unknown> => import('mongodb')
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('before')
/** On a machine that is busy, what comes before the trouble takes its time, too. */
const deadline = '3s'

/** A store with a client of its own, closed at the end. */
function opened(test: Ending, url: string, options: MongodbOptions = {}): Store {
  const store = openMongodbStore(url, load, { deadline, circuit: false, ...options })
  atEnd(test, () => store.close())
  return store
}

describe('MongoDB, lost answers', { skip: single.skip }, () => {
  it('settles a create, a replace, a touch and a removal whose answers were lost [K64]', async (t) => {
    const namespace = freshNamespace()
    const proxy = await Proxy.to(t, Number(new URL(single.url).port))
    const admin = await connected(single.url)
    atEnd(t, async () => {
      await clear(admin, namespace)
      await admin.close()
    })
    const store = opened(t, `mongodb://127.0.0.1:${new URL(proxy.url).port}/${databaseName}`, { namespace })
    await store.open()

    proxy.loseAnswerTo('precious')
    const made = await store.create({ key, value: Buffer.from('precious'), expiresAt: never })
    assert.equal(made.status, 'done')
    assert.equal(proxy.lost, 1)
    assert.equal((await store.read(key))?.version, made.version)

    proxy.loseAnswerTo('dear')
    const expected = made.version
    const saved = await store.replace({ key, expected, value: Buffer.from('dear'), expiresAt: never })
    assert.equal(saved.status, 'done')
    assert.equal(proxy.lost, 2)

    proxy.loseAnswerTo(saved.version)
    const touchedAt = Date.now() + 5
    const touch = { key, version: saved.version, expiresAt: never, touchedAt }
    assert.deepEqual(await store.touch([touch]), ['done'])
    assert.equal(proxy.lost, 3)
    assert.equal((await store.read(key))?.touchedAt, touchedAt)

    proxy.loseAnswerTo('sessions/a')
    assert.equal((await store.read(key))?.version, saved.version)
    assert.equal(proxy.lost, 4)

    proxy.loseAnswerTo('delete')
    await store.remove([key])
    assert.equal(proxy.lost, 5)
    assert.equal(await store.read(key), undefined)
  })
})

describe('MongoDB, servers in trouble', { skip: skipPrivate }, () => {
  it('is an error while nobody is there, and works when somebody is', async (t) => {
    const server = await privateServer(t)
    const own = opened(t, server.url())
    const client = new MongoClient(server.url(), { serverSelectionTimeoutMS: 300 })
    atEnd(t, () => client.close())
    const given = mongodbStore(client, { deadline, circuit: false, namespace: 'other' })
    atEnd(t, () => given.close())
    for (const store of [own, given]) {
      await assert.rejects(async () => await store.read(key), isAway)
      await assert.rejects(store.create({ key, value, expiresAt: never }), isAway)
    }
    await server.start()
    for (const store of [own, given]) {
      assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
      assert.deepEqual((await store.read(key))?.value, new Uint8Array(value))
    }
  })

  it('says before a write is sent that a server which went away was not reached', async (t) => {
    const server = await privateServer(t)
    await server.start()
    const store = opened(t, server.url('?serverSelectionTimeoutMS=200'))
    await store.open()
    await server.kill()
    // The connections that stood are found out to be cut, one by one.
    await until('new connections are needed', async () => {
      const failed = await Promise.resolve(store.read(key)).catch((error: unknown) => error)
      assert.ok(isAway(failed), String(failed))
      return failed instanceof Error && /REFUSED/.test(failed.message)
    })
    await assert.rejects(store.create({ key, value, expiresAt: never }), StoreUnavailable)
  })

  it('loses no acknowledged increment when the server is killed and started again under load', async (t) => {
    const server = await privateServer(t)
    await server.start()
    const store = opened(t, server.url())
    const made = await store.create({ key, value: Buffer.from('0'), expiresAt: never })
    assert.equal(made.status, 'done')
    const tally = { done: 0, unknown: 0, failed: 0 }
    const ends = new AbortController()
    t.after(() => {
      ends.abort()
    })
    const writing = Promise.all(Array.from({ length: 6 }, () => incrementing(store, ends.signal, tally)))
    const goesOn = (what: string, holds: () => boolean) => Promise.race([until(what, holds), writing])
    await goesOn('they write', () => tally.done > 5)
    await server.kill()
    await goesOn('they meet the outage', () => tally.failed > 0)
    await server.start()
    const before = tally.done
    await goesOn('they write again', () => tally.done > before + 10)
    ends.abort()
    await writing
    const record = await store.read(key)
    const n = Number(Buffer.from(record?.value ?? []).toString())
    assert.ok(n >= tally.done && n <= tally.done + tally.unknown, `${n} of ${JSON.stringify(tally)}`)
  })

  it('keeps its deadline while the server stands still, and goes on with it afterwards', async (t) => {
    const server = await privateServer(t)
    await server.start()
    const store = opened(t, server.url())
    const made = await store.create({ key, value, expiresAt: never })
    assert.equal(made.status, 'done')
    await server.standStill()
    const began = Date.now()
    const expected = made.version
    await Promise.all([
      assert.rejects(async () => await store.read(key), DeadlineExceeded),
      assert.rejects(
        store.replace({ key, expected, value: Buffer.from('late'), expiresAt: never }),
        OutcomeUnknown,
      ),
    ])
    assert.ok(Date.now() - began < 15_000, `it took ${Date.now() - began} ms`)
    server.goOn()
    await until('the store answers', async () => {
      try {
        return (await store.read(key)) !== undefined
      } catch (error) {
        assert.ok(error instanceof HoldfastError)
        return false
      }
    })
  })

  it('says that the disk is full, and still reads and buries', async (t) => {
    const server = await privateServer(t)
    await server.start('max_page_count(300)')
    const store = opened(t, server.url())
    const made = await store.create({ key, value: Buffer.alloc(60_000), expiresAt: never })
    assert.equal(made.status, 'done')
    await assert.rejects(async () => {
      for (let i = 0; i < 40; i++) {
        const draft = { key: { collection: 'sessions', id: `b${i}` }, value: Buffer.alloc(60_000) }
        assert.equal((await store.create({ ...draft, expiresAt: never })).status, 'done')
      }
    }, StoreFull)
    assert.equal((await store.read(key))?.version, made.version)
    const burial = { key, expected: made.version, value: Buffer.alloc(0), expiresAt: 1, setsExpiry: true }
    assert.equal((await store.replace(burial)).status, 'done')
    assert.equal(await store.read(key), undefined)
  })

  it('says that the server can only be read', async (t) => {
    const server = await privateServer(t)
    await server.start()
    const store = opened(t, server.url())
    const made = await store.create({ key, value, expiresAt: never })
    assert.equal(made.status, 'done')
    await server.kill()
    await server.start('query_only(1)')
    const expected = made.version
    await until('the server is back', async () => {
      const outcome = await store
        .replace({ key, expected, value, expiresAt: never })
        .catch((error: unknown) => error)
      return outcome instanceof StoreReadOnly
    })
    assert.equal((await store.read(key))?.version, expected)
    const other = { collection: 'sessions', id: 'b' }
    await assert.rejects(store.create({ key: other, value, expiresAt: never }), StoreReadOnly)
  })

  it('names a wrong password as such, and never shows it', async (t) => {
    const server = await privateServer(t, () => [
      '--test-enable-new-auth',
      '--setup-database=holdfast',
      '--setup-username=ada',
      '--setup-password=p@ss:w/rd',
    ])
    await server.start()
    const at = `127.0.0.1:${server.port}/holdfast`
    const store = opened(t, `mongodb://ada:p%40ss%3Aw%2Frd@${at}`)
    assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
    const wrong = opened(t, `mongodb://ada:s3cret@${at}`)
    await assert.rejects(wrong.open(), (error: unknown) => {
      assert.ok(error instanceof StoreMisconfigured, String(error))
      assert.match(error.message, /user/)
      assert.ok(!`${error.stack}`.includes('s3cret'))
      return true
    })
  })

  it('speaks TLS when it is asked to, and only to whom it trusts', async (t) => {
    const files = await certificates(t)
    const server = await privateServer(t, (port) => [
      `--listen-tls=127.0.0.1:${port}`,
      `--listen-tls-cert-file=${files.certificate}`,
      `--listen-tls-key-file=${files.key}`,
      '--listen-addr=',
    ])
    await server.start()
    const trusting = openMongodbStore(server.url(), load, { deadline, tls: { ca: files.authority } })
    atEnd(t, () => trusting.close())
    assert.equal((await trusting.create({ key, value, expiresAt: never })).status, 'done')
    const byUrl = opened(t, server.url('?tls=true&tlsAllowInvalidCertificates=true'))
    assert.deepEqual((await byUrl.read(key))?.value, new Uint8Array(value))
    const doubting = opened(t, server.url('?tls=true&serverSelectionTimeoutMS=300'))
    await assert.rejects(doubting.open(), StoreUnavailable)
    const plain = opened(t, server.url('?serverSelectionTimeoutMS=300'))
    await assert.rejects(plain.open(), StoreUnavailable)
  })
})

/** Adds one again and again, each at the version that it read. */
async function incrementing(
  store: Store,
  ends: AbortSignal,
  tally: { done: number; unknown: number; failed: number },
): Promise<void> {
  while (!ends.aborted) {
    try {
      const record = await store.read(key)
      assert.ok(record, 'an outage never looks like a record that is not there')
      const n = Number(Buffer.from(record.value).toString()) + 1
      const expected = record.version
      const { status } = await store.replace({
        key,
        expected,
        value: Buffer.from(String(n)),
        expiresAt: never,
      })
      assert.notEqual(status, 'gone')
      if (status === 'done') tally.done++
      if (status === 'unknown') tally.unknown++
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String(error))
      tally.failed++
      if (error instanceof OutcomeUnknown) tally.unknown++
    }
  }
}

function isAway(error: unknown): boolean {
  return error instanceof StoreUnavailable || error instanceof DeadlineExceeded
}
