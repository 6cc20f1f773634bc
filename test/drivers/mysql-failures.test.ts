/** Servers that are away, that hang up, that are full, or the wrong ones; and many processes at once. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { mysqlStore, openMysqlStore } from '../../packages/holdfast/src/drivers/mysql.ts'
import {
  DeadlineExceeded,
  HoldfastError,
  StoreFull,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store, Written } from '../../packages/holdfast/src/store/store.ts'
import { Proxy } from './redis/proxy.ts'
import { PrivateServer, privateServer, skipPrivate } from './mysql/servers.ts'
import { clear, closing, freshDatabase, mariadb, mysql2, poolFor, sql, targets } from './mysql/targets.ts'
import { until } from '../until.ts'

const execute = promisify(execFile)
const load = (): Promise<unknown> => import('mysql2/promise')
const [server] = targets
const url = server?.url ?? ''
const port = Number(url === '' ? 0 : new URL(url).port || 3306)
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('before')

describe('MariaDB, lost answers', { skip: server?.skip ?? 'no target' }, () => {
  for (const library of [mysql2, mariadb]) {
    it(`settles what was written and what was not, over ${library.name}`, async (t) => {
      const proxy = await Proxy.to(t, port)
      const pool = poolFor(t, library, through(proxy))
      const namespace = fresh()
      const store = closing(t, mysqlStore(pool, { namespace }))
      t.after(() => clearAway(namespace))
      await store.open()
      proxy.loseAnswerTo('commit')
      const made = versionOf(await store.create({ key, value, labels: ['user:ada'], expiresAt: never }))
      assert.equal(proxy.lost, 1)

      proxy.loseAnswerTo('dear')
      const dear = { key, expected: made, value: Buffer.from('dear'), expiresAt: never }
      const saved = versionOf(await store.replace(dear))
      assert.equal(proxy.lost, 2)

      proxy.loseAnswerTo(saved)
      const touchedAt = Date.now() + 5
      const touch = { key, version: saved, expiresAt: never, touchedAt }
      assert.deepEqual(await store.touch([touch]), ['done'])
      assert.equal(proxy.lost, 3)
      assert.equal((await store.read(key))?.touchedAt, touchedAt)

      proxy.loseAnswerTo('user:eve')
      const eve = { key: { ...key, id: 'b' }, value, labels: ['user:eve'], expiresAt: never }
      await assert.rejects(store.create(eve), StoreUnavailable, 'before the commit nothing was changed')
      assert.equal(await store.read(eve.key), undefined)
      assert.equal((await store.create(eve)).status, 'done')
    })
  }

  it('gives up a server that goes silent, and goes on when it speaks again', async (t) => {
    const proxy = await Proxy.to(t, port)
    const namespace = fresh()
    const store = closing(t, openMysqlStore(through(proxy), load, { namespace, deadline: '2s' }))
    t.after(() => clearAway(namespace))
    const version = versionOf(await store.create({ key, value, expiresAt: never }))
    proxy.goSilent()
    await assert.rejects(async () => await store.read(key), DeadlineExceeded)
    await assert.rejects(store.replace({ key, expected: version, value, expiresAt: never }), HoldfastError)
    proxy.speakAgain()
    await until('it can be read', async () => (await store.read(key))?.version === version)
    assert.equal((await store.replace({ key, expected: version, value, expiresAt: never })).status, 'done')
  })

  it('outlives connections that are killed while they are used and while they are idle', async (t) => {
    for (const library of [mysql2, mariadb]) {
      const at = await freshDatabase(t, url)
      const store = closing(t, mysqlStore(poolFor(t, library, at)))
      const broom = poolFor(t, mysql2, at)
      await store.open()
      const load = new Load(store)
      for (let round = 0; round < 5; round++) {
        await load.goesOn()
        await killAll(broom)
      }
      await load.end()
      await killAll(broom)
      await delay(20)
      await until('a create is answered', async () => {
        return (await store.create({ key, value, expiresAt: never })).status !== 'unknown'
      })
      await load.check()
    }
  })
})

describe('MariaDB, a server that goes and comes', { skip: skipPrivate }, () => {
  it('loses nothing that was acknowledged when it is killed, and needs no restart here', async (t) => {
    const own = await privateServer(t)
    for (const library of [mysql2, mariadb]) {
      const namespace = fresh()
      const pool = poolFor(t, library, own.url)
      const store = closing(t, mysqlStore(pool, { namespace, circuit: false }))
      await store.open()
      const load = new Load(store)
      await load.goesOn()
      await own.kill()
      await delay(300)
      await own.start()
      await load.goesOn()
      await load.end()
      await load.check()
    }
  })

  it('is unavailable while it is away at the start, and opens when it has come', async (t) => {
    const own = await privateServer(t)
    await own.shutDown()
    const store = closing(t, openMysqlStore(own.url, load))
    await assert.rejects(async () => await store.read(key), StoreUnavailable)
    await own.start()
    assert.equal(await store.read(key), undefined)
  })
})

describe('MariaDB, settings', { skip: skipPrivate }, () => {
  let own: PrivateServer
  before(async () => {
    own = await PrivateServer.make([])
  })
  after(() => own.stop())

  it('tells what a commit survives by what the server does', async (t) => {
    const durable = async (): Promise<unknown> => {
      const store = closing(t, openMysqlStore(own.url, load))
      return (await store.open()).capabilities.durable
    }
    assert.deepEqual(await durable(), { process: true, machine: true, failover: false })
    await own.ask('set global innodb_flush_log_at_trx_commit = 2')
    assert.deepEqual(await durable(), { process: true, machine: false, failover: false })
    await own.ask('set global innodb_flush_log_at_trx_commit = 1')
  })

  it('refuses a server that is read-only, and says so when it becomes one', async (t) => {
    await own.ask('create user if not exists app; grant all on holdfast.* to app')
    const at = own.url.replace('root@', 'app@')
    const store = closing(t, openMysqlStore(at, load))
    const version = versionOf(await store.create({ key, value, labels: ['user:a'], expiresAt: never }))
    await own.ask('set global read_only = 1')
    await assert.rejects(store.replace({ key, expected: version, value, expiresAt: never }), StoreReadOnly)
    await assert.rejects(store.create({ key: { ...key, id: 'b' }, value, expiresAt: never }), StoreReadOnly)
    await assert.rejects(store.remove([key]), StoreReadOnly)
    assert.equal((await store.read(key))?.version, version)
    await assert.rejects(closing(t, openMysqlStore(at, load)).open(), StoreReadOnly)
    await own.ask('set global read_only = 0')
    assert.equal((await store.replace({ key, expected: version, value, expiresAt: never })).status, 'done')
  })

  it('refuses a server that takes no request as large as a value', async (t) => {
    await own.ask('set global max_allowed_packet = 65536')
    await assert.rejects(closing(t, openMysqlStore(own.url, load)).open(), (error: Error) => {
      assert.ok(error instanceof StoreMisconfigured)
      assert.match(error.message, /raise max_allowed_packet to 131072/)
      return true
    })
    await own.ask('set global max_allowed_packet = 16777216')
  })

  it('says what is missing when the tables or the rights are taken away', async (t) => {
    const store = closing(t, openMysqlStore(own.url, load))
    await store.open()
    await own.ask('rename table holdfast.holdfast_records to holdfast.away')
    await assert.rejects(async () => await store.read(key), StoreMisconfigured)
    await own.ask('rename table holdfast.away to holdfast.holdfast_records')
  })
})

describe('MariaDB, no room', { skip: skipPrivate }, () => {
  it('is a full store, which still answers what it holds', async (t) => {
    const own = await privateServer(
      t,
      '--innodb-file-per-table=0',
      '--innodb-data-file-path=ibdata1:12M:autoextend:max:20M',
    )
    const store = closing(t, openMysqlStore(own.url, load, { maxValue: 512 * 1024 }))
    const version = versionOf(await store.create({ key, value: randomBytes(500_000), expiresAt: never }))
    let full: unknown
    for (let n = 0; n < 100 && !full; n++) {
      const big = { key: { ...key, id: `n${n}` }, value: randomBytes(500_000), expiresAt: never }
      full = await store.create(big).then(
        () => undefined,
        (error: unknown) => error,
      )
    }
    assert.ok(full instanceof StoreFull, String(full))
    assert.match(full.message, /nothing was changed/)
    assert.equal((await store.read(key))?.version, version)
  })
})

describe('MariaDB with TLS', { skip: skipPrivate }, () => {
  it('is spoken to when its certificate is good, and refused when not', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-tls-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const [ca, other] = [await authority(folder, 'ca'), await authority(folder, 'other')]
    await certificate(folder)
    const own = await privateServer(
      t,
      `--ssl-ca=${ca}`,
      `--ssl-cert=${folder}/server.pem`,
      `--ssl-key=${folder}/server.key`,
      '--require-secure-transport=on',
    )
    const at = own.url.replace('127.0.0.1', 'localhost')
    const opens = async (query: string, tls?: object): Promise<void> => {
      const store = openMysqlStore(`${at}${query}`, load, tls ? { tls } : {})
      try {
        await store.open()
      } finally {
        await store.close()
      }
    }
    await opens(`?ssl-ca=${ca}`)
    await opens('', { ca: await readFile(ca) })
    await opens('?ssl-mode=required')
    await opens('?ssl-mode=verify_ca', { ca: await readFile(ca, 'utf8') })
    await opens('', { rejectUnauthorized: false })
    await assert.rejects(opens(`?ssl-ca=${other}`), StoreMisconfigured)
    await assert.rejects(opens('', { ca: await readFile(other) }), StoreMisconfigured)
    await assert.rejects(opens('?ssl-mode=verify_identity'), StoreMisconfigured)
    await assert.rejects(opens(''), HoldfastError)
  })
})

describe('MariaDB, several processes', { skip: server?.skip ?? 'no target' }, () => {
  it('counts every increment of four processes once [races: K1]', async (t) => {
    const namespace = fresh()
    const store = closing(t, openMysqlStore(url, load, { namespace }))
    t.after(() => clearAway(namespace))
    const counter = { collection: 'counters', id: 'shared' }
    await store.create({ key: counter, value: Buffer.from('0'), expiresAt: never })
    const file = fileURLToPath(new URL('mysql/incrementer.ts', import.meta.url))
    const run = (): Promise<unknown> =>
      execute(process.execPath, ['--conditions=holdfast-source', file, url, namespace, '50'])
    await Promise.all([run(), run(), run(), run()])
    assert.equal(String((await store.read(counter))?.value), '200')
  })

  it('removes each expired record by one of several sweepers, and each once [C21 K62]', async (t) => {
    const namespace = fresh()
    const stores = [1, 2, 3, 4].map(() => closing(t, openMysqlStore(url, load, { namespace })))
    t.after(() => clearAway(namespace))
    const store = closing(t, openMysqlStore(url, load, { namespace }))
    const ids = Array.from({ length: 200 }, (_, n) => `id${n}`)
    await Promise.all(
      ids.map((id) => store.create({ key: { ...key, id }, value, labels: ['user:a'], expiresAt: 1 })),
    )
    const swept = await Promise.all(stores.map((store) => sweptAll(store)))
    assert.deepEqual(swept.flat().sort(), ids.sort())
  })
})

/** Creates and saves as fast as it is answered, several at a time, and remembers what was acknowledged. */
class Load {
  readonly acknowledged: { readonly id: string; readonly version: string }[] = []
  readonly #store: Store
  readonly #workers: readonly Promise<void>[]
  #isOver = false

  constructor(store: Store) {
    this.#store = store
    this.#workers = [1, 2, 3, 4].map(() => this.#work())
  }

  /** Waits until twenty more are acknowledged. */
  async goesOn(): Promise<void> {
    const before = this.acknowledged.length
    await until('the load goes on', () => this.acknowledged.length > before + 20)
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#workers)
  }

  /** Everything acknowledged is there, at the version that was acknowledged. */
  async check(): Promise<void> {
    for (const { id, version } of this.acknowledged) {
      const found = await this.#store.read({ ...key, id })
      assert.equal(found?.version, version, id)
      assert.deepEqual(found.labels, ['user:ada'])
    }
  }

  async #work(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#one()
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String(error))
        await delay(10)
      }
    }
  }

  async #one(): Promise<void> {
    const id = randomBytes(12).toString('hex')
    const made = await this.#store.create({
      key: { ...key, id },
      value,
      labels: ['user:ada'],
      expiresAt: never,
    })
    if (made.status !== 'done') return
    const saved = await this.#store.replace({
      key: { ...key, id },
      expected: made.version,
      value,
      expiresAt: never,
    })
    if (saved.status === 'done') this.acknowledged.push({ id, version: saved.version })
  }
}

async function sweptAll(store: Store): Promise<readonly string[]> {
  const ids: string[] = []
  for (let next: string | undefined = ''; next !== undefined;) {
    const batch = await store.sweep({ limit: 7, ...(next === '' ? {} : { after: next }) })
    ids.push(...batch.removed.map((each) => each.key.id))
    next = batch.next
  }
  return ids
}

async function killAll(broom: ReturnType<typeof poolFor>): Promise<void> {
  const rows = await sql(
    broom,
    'select id from information_schema.processlist where db = database() and id <> connection_id()',
  )
  for (const row of rows) await sql(broom, `kill ${Number(row['id'])}`).catch(() => undefined)
}

function through(proxy: Proxy): string {
  return url.replace(/127\.0\.0\.1:\d+|localhost:\d+/, `127.0.0.1:${new URL(proxy.url).port}`)
}

function fresh(): string {
  return `t${randomBytes(6).toString('hex')}`
}

async function clearAway(namespace: string): Promise<void> {
  const pool = mysql2.pool(url)
  await clear(pool, namespace)
  await pool.end()
}

function versionOf(written: Written): string {
  assert.equal(written.status, 'done')
  return written.version
}

async function authority(folder: string, name: string): Promise<string> {
  const file = join(folder, `${name}.pem`)
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes', '-newkey', 'rsa:2048']
  await execute('openssl', ['req', '-x509', ...subject, '-keyout', join(folder, `${name}.key`), '-out', file])
  return file
}

/** A certificate for localhost, signed by `ca`. */
async function certificate(folder: string): Promise<void> {
  const at = (name: string): string => join(folder, name)
  const request = [
    '-subj',
    '/CN=localhost',
    '-nodes',
    '-newkey',
    'rsa:2048',
    '-addext',
    'subjectAltName=DNS:localhost',
  ]
  await execute('openssl', ['req', '-new', ...request, '-keyout', at('server.key'), '-out', at('server.csr')])
  const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2']
  const signing = ['x509', '-req', '-in', at('server.csr'), ...signer, '-copy_extensions', 'copy']
  await execute('openssl', [...signing, '-out', at('server.pem')])
}
