/** What is the driver's own: its tables, its settings, its statements. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  mysqlMigrations,
  type MysqlPool,
  mysqlScript,
  mysqlStore,
  openMysqlStore,
} from '../../packages/holdfast/src/drivers/mysql.ts'
import { MysqlDatabase } from '../../packages/holdfast/src/drivers/mysql/database.ts'
import { mysql } from '../../packages/holdfast/src/drivers/sql/dialect.ts'
import { statement } from '../../packages/holdfast/src/drivers/sql/statement.ts'
import { StoreMisconfigured, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { openStore } from '../../packages/holdfast/src/store/open.ts'
import type { Store, Written } from '../../packages/holdfast/src/store/store.ts'
import { ask, closing, freshDatabase, mariadb, mysql2, poolFor, sql, targets } from './mysql/targets.ts'
import { until } from '../until.ts'

const load = (): Promise<unknown> => import('mysql2/promise')
const [server] = targets
const url = server?.url ?? ''
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('v')

describe('MariaDB by URL', { skip: server?.skip ?? 'no target' }, () => {
  it('opens both schemes, and a password of any characters, which no error shows [T17]', async (t) => {
    const at = await freshDatabase(t, url)
    const name = at.split('/').at(-1) ?? ''
    const root = poolFor(t, mysql2, url)
    const password = "p@ss/w:rd?#%'"
    await sql(
      root,
      `create or replace user '${name.slice(-12)}' identified by 'p@ss/w:rd?#%'''`,
      `grant all on ${name}.* to '${name.slice(-12)}'`,
    )
    t.after(() => sql(root, `drop user '${name.slice(-12)}'`).catch(() => undefined))
    const place = at.replace(/^mariadb:\/\/[^@]*@/, '')
    for (const scheme of ['mysql', 'mariadb']) {
      const login = `${scheme}://${name.slice(-12)}:${encodeURIComponent(password)}@`
      const store = closing(t, await openStore(`${login}${place}`))
      assert.equal(
        (await store.create({ key: { ...key, id: scheme }, value, expiresAt: never })).status,
        'done',
      )
      await assert.rejects(openStore(`${login.replace('p%40ss', 'secret')}${place}`), (error: Error) => {
        assert.ok(error instanceof StoreMisconfigured)
        assert.doesNotMatch(`${error.message} ${String(error.cause)} ${error.stack ?? ''}`, /secret|w:rd/)
        return true
      })
    }
    await sql(root, `drop user '${name.slice(-12)}'`)
  })

  it('says what is wrong with a URL, without repeating it', () => {
    const wrong = [
      ['mysql://root:hidden@h/', /one database/],
      ['mysql://root:hidden@h/a/b', /one database/],
      ['mysql://root:hidden@h/a?sslmode=on', /unknown parameter "sslmode"; known are ssl-mode/],
      ['mysql://root:hidden@h/a?ssl-mode=maybe', /unknown ssl-mode; known are disabled/],
      ['mysql://root:hidden%zz@h/a', /percent-encoded/],
      ['postgres://root:hidden@h/a', /not a URL of MySQL/],
      ['mysql://root:hidden@h/a?ssl-ca=/none', /cannot be read/],
    ] as const
    for (const [text, reason] of wrong) {
      assert.throws(
        () => openMysqlStore(text, load),
        (error: Error) => {
          assert.ok(error instanceof StoreMisconfigured)
          assert.match(error.message, reason)
          assert.doesNotMatch(error.message, /hidden/)
          return true
        },
      )
    }
    const tls = { ca: 'x' }
    assert.throws(() => openMysqlStore('mysql://h/a?ssl-mode=disabled', load, { tls }), /leave out either/)
    assert.throws(() => openMysqlStore('mysql://h/a', load, { tls: { servername: 'b' } }), /tls.servername/)
  })

  it('says when nobody is there, and when the database is not', async () => {
    await assert.rejects(openStore('mysql://root@127.0.0.1:1/holdfast'), StoreUnavailable)
    await assert.rejects(openStore(url.replace(/\/[^/]*$/, '/none')), StoreMisconfigured)
  })
})

describe('MariaDB, tables', { skip: server?.skip ?? 'no target' }, () => {
  it('are made once by many who open a new database at the same moment', async (t) => {
    const at = await freshDatabase(t, url)
    const stores = Array.from({ length: 6 }, () => closing(t, openMysqlStore(at, load)))
    await Promise.all(stores.map((store) => store.open()))
    const rows = await sql(poolFor(t, mysql2, at), 'select step from holdfast_schema')
    assert.equal(rows.length, mysqlMigrations.length)
  })

  it('are what is checked in, however they were made [K69]', async (t) => {
    const expected = await readFile(new URL('mysql/schema.sql', import.meta.url), 'utf8')
    const opened = await freshDatabase(t, url)
    await closing(t, openMysqlStore(opened, load)).open()
    assert.equal(await dump(poolFor(t, mysql2, opened)), expected)

    const printed = await freshDatabase(t, url)
    const pool = poolFor(t, mysql2, printed)
    for (const text of mysqlScript().split(/;\n/).filter(Boolean)) await sql(pool, text)
    assert.equal(await dump(pool), expected)
    await closing(t, openMysqlStore(printed, load, { migrate: false })).open()
    assert.equal(mysqlScript(mysqlMigrations.length), '')
  })

  it('are only checked with migrate: false, and can be made after a crash half-way', async (t) => {
    const at = await freshDatabase(t, url)
    const pool = poolFor(t, mysql2, at)
    await assert.rejects(closing(t, mysqlStore(pool, { migrate: false })).open(), (error: Error) => {
      assert.ok(error instanceof StoreMisconfigured)
      assert.match(error.message, /has no tables of Holdfast .* "holdfast store migrate URL"/)
      return true
    })
    const [first = ''] = mysqlMigrations[0]?.statements ?? []
    await sql(pool, first)
    await closing(t, mysqlStore(pool)).open()
  })

  it('of a newer release are worked on if it says so, and refused otherwise', async (t) => {
    const at = await freshDatabase(t, url)
    const pool = poolFor(t, mysql2, at)
    await closing(t, mysqlStore(pool)).open()
    await sql(pool, 'insert into holdfast_schema (step, needs) values (900, 1)')
    await closing(t, mysqlStore(pool)).open()
    await sql(pool, 'insert into holdfast_schema (step, needs) values (901, 901)')
    await assert.rejects(closing(t, mysqlStore(pool)).open(), /newer Holdfast/)
  })

  it('that cannot be made for want of rights are asked for', async (t) => {
    const at = await freshDatabase(t, url)
    const name = at.split('/').at(-1) ?? ''
    const root = poolFor(t, mysql2, url)
    await sql(
      root,
      `create user poor_${name.slice(-6)}`,
      `grant select on ${name}.* to poor_${name.slice(-6)}`,
    )
    const poor = openMysqlStore(at.replace('root@', `poor_${name.slice(-6)}@`), load)
    await assert.rejects(poor.open(), /this user may not make tables. Run "holdfast store migrate URL"/)
    await sql(root, `drop user poor_${name.slice(-6)}`)
  })
})

describe('MariaDB, connections that would not do', { skip: server?.skip ?? 'no target' }, () => {
  for (const [setting, reason] of [
    ['autocommit = 0', /autocommit off/],
    ["tx_isolation = 'READ-UNCOMMITTED'", /not committed/],
  ] as const) {
    it(`refuses ${setting}`, async (t) => {
      const pool = poolFor(t, mariadb, url, { initSql: `set session ${setting}`, resetAfterUse: false })
      await assert.rejects(closing(t, mysqlStore(pool)).open(), (error: Error) => {
        assert.ok(error instanceof StoreMisconfigured)
        assert.match(error.message, reason)
        return true
      })
    })
  }
})

describe('mysqlStore', () => {
  it('refuses what is no pool of promises', async (t) => {
    const { createPool } = await import('mysql2')
    const pool = createPool('mysql://localhost/holdfast')
    t.after(() => {
      pool.end()
    })
    assert.throws(() => mysqlStore(pool as unknown as MysqlPool), /hand in its promises, pool.promise\(\)/)
    assert.throws(() => mysqlStore({} as MysqlPool), TypeError)
  })
})

describe('MariaDB, transactions', { skip: server?.skip ?? 'no target' }, () => {
  for (const library of [mysql2, mariadb]) {
    it(`given up between two statements leave nothing open on their connection, over ${library.name}`, async (t) => {
      const at = await freshDatabase(t, url)
      const pool = poolFor(t, library, at, { connectionLimit: 1 })
      await sql(pool, 'create table t (i int primary key) engine = InnoDB')
      const database = new MysqlDatabase({ pool: () => pool, begin: mysql.begin, patience: 5_000 })
      const insert = statement(mysql, 'insert into t values (:i)')
      const giving = new AbortController()
      const given = database.transaction(async (session) => {
        await session.run(insert, { i: 1 })
        giving.abort()
      }, giving.signal)
      await assert.rejects(given, StoreUnavailable)
      const refused = database.transaction(async (session) => {
        await session.run(insert, { i: 2 })
        await session.run(insert, { i: 2 })
      }, new AbortController().signal)
      await assert.rejects(refused, StoreUnavailable)
      await database.transaction((session) => session.run(insert, { i: 3 }), new AbortController().signal)
      assert.deepEqual(await sql(poolFor(t, mysql2, at), 'select i from t'), [{ i: 3 }])
    })
  }
})

describe('MariaDB, statements', { skip: server?.skip ?? 'no target' }, () => {
  it('leave no entry of a label behind, of whatever bytes', async (t) => {
    const at = await freshDatabase(t, url)
    const pool = poolFor(t, mariadb, at)
    const store = closing(t, mysqlStore(pool))
    const labels = [
      'user:a',
      'user:a ',
      'user:A',
      'user:á',
      'user:\u{1F511}"\\',
      "user:'; -- %",
      'user:\uFFFF\t',
    ]
    for (const id of ['a', 'b', 'c']) {
      await store.create({ key: { ...key, id }, value, labels, expiresAt: id === 'c' ? 1 : never })
    }
    for (const label of labels) {
      assert.equal((await store.list('sessions', { labels: [label] })).records.length, 2, label)
    }
    const found = await store.read({ ...key, id: 'a' })
    assert.deepEqual(found?.labels.length, labels.length)
    await store.replace({
      key: { ...key, id: 'a' },
      expected: found.version,
      value,
      labels: [],
      expiresAt: never,
    })
    await store.remove([{ ...key, id: 'b' }])
    assert.equal((await store.sweep()).removed.length, 1)
    assert.deepEqual(await sql(pool, 'select label from holdfast_labels'), [])
  })

  it('win over a deadlock: the loser is tried again', async (t) => {
    const at = await freshDatabase(t, url)
    const pool = poolFor(t, mysql2, at)
    const failures: unknown[] = []
    const store = closing(t, mysqlStore(noting(poolFor(t, mysql2, at), failures)))
    const keys = [
      { ...key, id: 'a' },
      { ...key, id: 'b' },
    ]
    const versions: string[] = []
    for (const each of keys)
      versions.push(versionOf(await store.create({ key: each, value, expiresAt: never })))
    const other = await pool.getConnection()
    const locked = (id: string): string =>
      `update holdfast_records set touched_at = touched_at + 1
       where namespace = 'holdfast' and collection = 'sessions' and id = '${id}'`
    await ask(other, 'start transaction')
    // Many changed rows make it the dearer one, so that the store's transaction is the victim.
    await ask(other, "insert into holdfast_labels select 'x', 'x', 'x:x', seq from seq_1_to_500")
    await ask(other, locked('b'))
    const write = store.write(
      keys.map((each, i) => ({
        type: 'replace',
        key: each,
        expected: versions[i] ?? '',
        value,
        expiresAt: never,
      })),
    )
    const isWaiting = `select 1 from information_schema.innodb_trx
      join information_schema.processlist on id = trx_mysql_thread_id
      where trx_state = 'LOCK WAIT' and db = database()`
    // The server shows anew only what nobody has looked at for a tenth of a second.
    await until('it waits', async () => {
      await delay(150)
      return (await sql(pool, isWaiting)).length > 0
    })
    await ask(other, locked('a'))
    await ask(other, 'rollback')
    await other.release()
    assert.equal((await write).status, 'done')
    assert.deepEqual(failures, ['ER_LOCK_DEADLOCK'])
  })

  it('that wait for a lock beyond the deadline end with a code or as unknown', async (t) => {
    const at = await freshDatabase(t, url)
    const pool = poolFor(t, mysql2, at)
    const store = closing(t, mysqlStore(pool, { deadline: '2s' }))
    const version = versionOf(await store.create({ key, value, expiresAt: never }))
    const other = await pool.getConnection()
    await ask(other, 'start transaction')
    await ask(other, 'select 1 from holdfast_records for update')
    await assert.rejects(store.replace({ key, expected: version, value, expiresAt: never }), {
      code: 'HOLDFAST_OUTCOME_UNKNOWN',
    })
    assert.equal((await store.create({ key, value, labels: ['user:a'], expiresAt: never })).status, 'unknown')
    assert.equal((await store.read(key))?.version, version, 'reads wait for nobody')
    await ask(other, 'rollback')
    await other.release()
  })

  it('look at no more rows with many records of others than with none [K58 K69]', async (t) => {
    const at = await freshDatabase(t, url)
    const pool = poolFor(t, mysql2, at, { connectionLimit: 1 })
    const store = closing(t, mysqlStore(pool))
    await store.open()
    const before = await rowsLookedAt(store, pool, 'a')
    await sql(
      pool,
      `insert into holdfast_records select 'holdfast', 'sessions', concat('other', seq), '1.x', '["user:other","tenant:t"]',
         if(seq % 2, 9007199254740991, seq), 1, crc32(seq), 'v' from seq_1_to_20000`,
      "insert into holdfast_labels select 'holdfast', 'sessions', 'user:other', concat('other', seq) from seq_1_to_20000",
      "insert into holdfast_labels select 'holdfast', 'sessions', 'tenant:t', concat('other', seq) from seq_1_to_20000",
    )
    const after = await rowsLookedAt(store, pool, 'b')
    for (const [operation, rows] of after) {
      const few = before.get(operation) ?? 0
      // The rarest of several labels is found by counting each up to 200.
      assert.ok(rows <= few + 450, `${operation}: ${few} rows, then ${rows}`)
    }
  })
})

/** What each operation has the server look at, over the only connection of the pool. */
async function rowsLookedAt(
  store: Store,
  pool: MysqlPool,
  prefix: string,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  const measure = async <T>(operation: string, run: () => Promise<T>): Promise<T> => {
    await sql(pool, 'flush status')
    const answer = await run()
    const rows = await sql(pool, "show session status like 'Handler_read%'")
    counts.set(
      operation,
      rows.reduce((sum, row) => sum + Number(row['Value']), 0),
    )
    return answer
  }
  const keys = ['1', '2', '3'].map((n) => ({ ...key, id: `${prefix}${n}` }))
  const labels = [`user:${prefix}`, 'tenant:t']
  const versions: string[] = []
  for (const each of keys) {
    const made = await measure('create', () => store.create({ key: each, value, labels, expiresAt: never }))
    versions.push(versionOf(made))
  }
  const [first = key] = keys
  const [expected = ''] = versions
  const touches = keys.map((each, i) => ({ key: each, version: versions[i] ?? '', expiresAt: never }))
  await measure('read', async () => await store.read(first))
  await measure('read many', () => store.readMany(keys))
  await measure('touch', () => store.touch(touches.slice(0, 1)))
  await measure('touch many', () => store.touch(touches))
  await measure('list', async () => await store.list('sessions', { labels: [`user:${prefix}`] }))
  await measure('list by two', async () => await store.list('sessions', { labels }))
  await measure('count', () => store.count('sessions', { labels }))
  const saved = await measure('save', () => store.replace({ key: first, expected, value, expiresAt: never }))
  const version = versionOf(saved)
  await measure('relabel', () =>
    store.replace({ key: first, expected: version, value, labels: [], expiresAt: never }),
  )
  await measure('remove', () => store.remove(keys))
  await measure('sweep', () => store.sweep({ limit: 3 }))
  await measure('scan', async () => await store.scan({ index: 1, of: 4_096, limit: 3 }))
  return counts
}

/** The tables as the server shows them, without what it adds by its own defaults. */
async function dump(pool: MysqlPool): Promise<string> {
  const tables = []
  for (const table of ['holdfast_labels', 'holdfast_records', 'holdfast_schema']) {
    const [row] = await sql(pool, `show create table ${table}`)
    tables.push(String(row?.['Create Table']).replace(/ DEFAULT CHARSET=.*?(?= ROW_FORMAT|$)/, ''))
  }
  return `${tables.join(';\n\n')};\n`
}

/** The pool, with the codes of all statements that fail. */
function noting(pool: MysqlPool, failures: unknown[]): MysqlPool {
  return {
    async getConnection() {
      const connection = await pool.getConnection()
      const noted = (error: unknown): never => {
        failures.push((error as { readonly code?: unknown }).code)
        throw error
      }
      return new Proxy(connection, {
        get: (target, name) => {
          const member: unknown = Reflect.get(target, name)
          if (typeof member !== 'function') return member
          return (...given: unknown[]) => {
            const answer: unknown = Reflect.apply(member, target, given)
            return answer instanceof Promise ? answer.catch(noted) : answer
          }
        },
      })
    },
  }
}

function versionOf(written: Written): string {
  assert.equal(written.status, 'done')
  return written.version
}
