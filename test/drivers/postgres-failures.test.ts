/** Servers that are away, hang up, or refuse: errors that say whether anything was changed. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openPostgresStore, type PostgresOptions } from '../../packages/holdfast/src/drivers/postgres.ts'
import {
  HoldfastError,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { Counter } from './postgres/counter.ts'
import { Proxy } from './postgres/proxy.ts'
import { privateServer, skipPrivate } from './postgres/servers.ts'
import { Bench, poolOf, skip, url } from './postgres/targets.ts'
import { until } from '../until.ts'

const key = { collection: 'sessions', id: 'a' }
const other = { collection: 'sessions', id: 'b-the-second' }
const value = Buffer.from('before')
const load = (): Promise<unknown> => import('pg')

for (const client of ['pg', 'postgres.js'] as const) {
  describe(`PostgreSQL, lost answers over ${client}`, { skip }, () => {
    const over = (bench: Bench, address: string, options: PostgresOptions = {}): Store =>
      bench.store(options, client === 'pg' ? bench.pool(address) : bench.sql(address))

    it('settles a create, a replace and a touch whose answers were lost [races: G1]', async (t) => {
      const proxy = await Proxy.to(t, url)
      const bench = new Bench(t)
      const store = over(bench, proxy.url)
      await store.open()
      proxy.loseAnswerTo('precious')
      const made = await store.create({
        key,
        value: Buffer.from('precious'),
        labels: ['user:ada'],
        expiresAt: never,
      })
      assert.ok(made.status === 'done')
      assert.equal((await store.read(key))?.version, made.version)
      const saved = await replaced(store, proxy, made.version)
      proxy.loseAnswerTo(saved)
      const touchedAt = Date.now() + 5
      assert.deepEqual(await store.touch([{ key, version: saved, expiresAt: never, touchedAt }]), ['done'])
      assert.equal(proxy.lost, 3)
      assert.equal((await store.read(key))?.touchedAt, touchedAt)
    })

    it('settles a batch whose commit was not answered, and one that was cut before', async (t) => {
      const proxy = await Proxy.to(t, url)
      const bench = new Bench(t)
      const store = over(bench, proxy.url)
      await store.open()
      const drafts = [key, other].map((each) => ({
        type: 'create' as const,
        key: each,
        value,
        expiresAt: never,
      }))
      proxy.loseAnswerTo(other.id)
      await assert.rejects(store.write(drafts), StoreUnavailable)
      assert.deepEqual(await store.readMany([key, other]), [undefined, undefined])
      proxy.loseAnswerTo('commit\0')
      assert.equal((await store.write(drafts)).status, 'done')
      assert.equal((await store.readMany([key, other])).filter(Boolean).length, 2)
    })

    it('is an error, no wait and no answer, when the connections are cut', async (t) => {
      const proxy = await Proxy.to(t, url)
      const bench = new Bench(t)
      const store = over(bench, proxy.url, { deadline: '3s' })
      await store.create({ key, value, expiresAt: never })
      for (let i = 0; i < 5; i++) {
        const reading = Promise.allSettled(Array.from({ length: 8 }, async () => store.read(key)))
        proxy.cut()
        for (const each of await reading) {
          if (each.status === 'fulfilled') assert.ok(each.value, 'never "not there"')
          else assert.ok(each.reason instanceof HoldfastError)
        }
      }
    })
  })
}

async function replaced(store: Store, proxy: Proxy, expected: string): Promise<string> {
  proxy.loseAnswerTo('dear')
  const saved = await store.replace({ key, expected, value: Buffer.from('dear'), expiresAt: never })
  assert.ok(saved.status === 'done')
  return saved.version
}

describe('PostgreSQL, half-open connections', { skip }, () => {
  it('gives up a silent connection and is back when it speaks again', async (t) => {
    const proxy = await Proxy.to(t, url)
    const bench = new Bench(t)
    const store = openPostgresStore(proxy.url, load, { namespace: bench.namespace, deadline: '3s' })
    bench.closes(store)
    const version = (await store.create({ key, value, expiresAt: never })) as { version: string }
    proxy.silent = true
    await assert.rejects(async () => store.read(key), HoldfastError)
    await assert.rejects(
      store.replace({ key, expected: version.version, value, expiresAt: never }),
      HoldfastError,
    )
    proxy.silent = false
    await until('it answers', async () => (await store.read(key)) !== undefined)
  })
})

describe('PostgreSQL, a full pool', { skip }, () => {
  it('is waited for, as long as the deadline allows', async (t) => {
    const bench = new Bench(t)
    const store = bench.closes(openPostgresStore(url, load, { namespace: bench.namespace, deadline: '9s' }))
    await store.create({ key, value, expiresAt: never })
    const rival = await bench.pool().connect()
    await rival.query('begin')
    await rival.query('select 1 from holdfast_records where namespace = $1 for update', [bench.namespace])
    const waiting = Array.from({ length: 8 }, () => store.remove([key]))
    const reading = new Promise((resolve) => setTimeout(resolve, 100)).then(() => store.read(other))
    await new Promise((resolve) => setTimeout(resolve, 3_500))
    await rival.query('rollback')
    rival.release()
    await Promise.all(waiting)
    assert.equal(await reading, undefined)
  })
})

describe('PostgreSQL, away', { skip: skipPrivate }, () => {
  it('keeps every acknowledged change when the server is killed under load', async (t) => {
    const server = await privateServer(t)
    const store = openPostgresStore(server.url, load)
    const counter = await Counter.on(store, t)
    const load8 = counter.run(8)
    await until('some is counted', () => counter.acknowledged > 50)
    await server.kill()
    await until('failures are seen', () => counter.failed > 5)
    await server.startAgain()
    const before = counter.acknowledged
    await until('it counts again, by itself', () => counter.acknowledged > before + 50)
    counter.stop()
    await load8
    await counter.assertNothingLost()
    await store.close()
  })

  it('settles or fails what a terminated connection was doing', async (t) => {
    const server = await privateServer(t)
    const store = openPostgresStore(server.url, load)
    const counter = await Counter.on(store, t)
    const load8 = counter.run(8)
    const admin = poolOf(server.url)
    for (let i = 0; i < 20; i++) {
      await admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast'",
      )
      await until('it goes on', () => counter.acknowledged > i * 10)
    }
    counter.stop()
    await load8
    await counter.assertNothingLost()
    await admin.end()
    await store.close()
  })

  it('is unavailable at once when nothing listens, and opens later by itself', async (t) => {
    const server = await privateServer(t)
    await server.kill()
    const store = openPostgresStore(server.url, load)
    await assert.rejects(store.open(), StoreUnavailable)
    await server.startAgain()
    await store.open()
    await store.close()
  })

  it('serves a server that may only be read, and refuses to write', async (t) => {
    const server = await privateServer(t)
    const store = openPostgresStore(server.url, load)
    await store.create({ key, value, expiresAt: never })
    await store.close()
    const admin = poolOf(server.url)
    await admin.query('alter database postgres set default_transaction_read_only = on')
    await admin.end()
    const reading = openPostgresStore(server.url, load)
    assert.match((await reading.open()).description, /read-only/)
    assert.equal(reading.capabilities.watch, false)
    assert.ok(await reading.read(key))
    await assert.rejects(reading.create({ key: other, value, expiresAt: never }), StoreReadOnly)
    await assert.rejects(reading.remove([key]), StoreReadOnly)
    await reading.close()
  })

  it('refuses a standby, and takes it when it is promoted', async (t) => {
    const primary = await privateServer(t, ['wal_level = replica', "synchronous_standby_names = ''"])
    const store = openPostgresStore(primary.url, load)
    await store.create({ key, value, expiresAt: never })
    assert.equal(store.capabilities.durable.failover, false)
    await store.close()
    const standby = await privateServer(t, [], primary)
    const second = openPostgresStore(standby.url, load)
    await assert.rejects(second.open(), StoreReadOnly)
    await primary.kill()
    await standby.promote()
    assert.ok(await second.read(key))
    assert.equal((await second.create({ key: other, value, expiresAt: never })).status, 'done')
    await second.close()
  })
})

describe('PostgreSQL, deadlocks', { skip }, () => {
  it('tries again what lost to others [C20]', async (t) => {
    const bench = new Bench(t)
    const store = bench.store()
    const [a, b] = await Promise.all(
      [key, other].map((each) => store.create({ key: each, value, expiresAt: never })),
    )
    assert.ok(a?.status === 'done' && b?.status === 'done')
    const rival = await bench.pool().connect()
    // The rival is patient, so that it is the store that is made to lose.
    await rival.query("set deadlock_timeout = '60s'")
    const { pid } = (await rival.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!
    await rival.query('begin')
    const lock = (id: string): Promise<unknown> =>
      rival.query('select 1 from holdfast_records where namespace = $1 and id = $2 for update', [
        bench.namespace,
        id,
      ])
    await lock(other.id)
    const expiresAt = never
    const touching = store.touch([
      { key: other, version: b.version, expiresAt },
      { key, version: a.version, expiresAt },
    ])
    const admin = bench.pool()
    await until('the store waits', async () => {
      const { rowCount } = await admin.query(
        'select 1 from pg_stat_activity where $1 = any(pg_blocking_pids(pid))',
        [pid],
      )
      return rowCount === 1
    })
    await lock(key.id)
    await rival.query('commit')
    rival.release()
    assert.deepEqual(await touching, ['done', 'done'])
  })
})

describe('PostgreSQL, wrong addresses', () => {
  it('says what is wrong with a URL, and never repeats its password', () => {
    for (const wrong of [
      'postgres://u:hunter2@a,b/db',
      'postgres://u:hunter2%@a/db',
      'postgres://u:hunter2@a/db?sslmode=maybe',
      'postgres://u:hunter2@a/db?passwort=hunter2x',
      'postgres://u:hunter2@a:99999999/db',
      'postgres:hunter2',
    ]) {
      assert.throws(
        () => openPostgresStore(wrong, load),
        (error) =>
          error instanceof StoreMisconfigured && !JSON.stringify([error.message, error]).includes('hunter2'),
        wrong,
      )
    }
  })

  it('tells a missing database or role from a server that is away', { skip }, async () => {
    const missing = new URL(url)
    missing.pathname = '/nowhere'
    const store = openPostgresStore(missing.href, load)
    await assert.rejects(store.open(), StoreMisconfigured)
    await store.close()
    const stranger = new URL(url)
    stranger.username = 'nobody-known'
    stranger.password = 'hunter2'
    const strange = openPostgresStore(stranger.href, load)
    await assert.rejects(strange.open(), (error: Error) => {
      assert.ok(error instanceof StoreMisconfigured)
      assert.doesNotMatch(error.message, /hunter2/)
      return true
    })
    await strange.close()
  })

  it('refuses a password that a server asks for and that is wrong', { skip: skipPrivate }, async (t) => {
    const server = await privateServer(t, ['password_encryption = scram-sha-256'])
    const admin = poolOf(server.url)
    await admin.query("create role app login password 'p@ss/w%rd'")
    await admin.query('grant create on schema public to app')
    await admin.end()
    await server.askForPasswords()
    const at = (password: string): string =>
      `postgres://app:${password}@127.0.0.1:${server.port}/postgres?sslmode=prefer`
    const right = openPostgresStore(at(encodeURIComponent('p@ss/w%rd')), load)
    assert.match((await right.open()).description, /PostgreSQL/)
    await right.close()
    const wrong = openPostgresStore(at('hunter2'), load)
    await assert.rejects(wrong.open(), StoreMisconfigured)
    await wrong.close()
    const insists = openPostgresStore(at('x').replace('prefer', 'require'), load)
    await assert.rejects(insists.open(), HoldfastError)
    await insists.close()
  })
})
