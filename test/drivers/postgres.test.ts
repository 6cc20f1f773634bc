/** What is PostgreSQL's own: the schema, several processes, what its settings promise, the feed. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  migratePostgres,
  openPostgresStore,
  postgresMigrations,
  postgresStore,
  postgresScript,
} from '../../packages/holdfast/src/drivers/postgres.ts'
import { postgres as dialect } from '../../packages/holdfast/src/drivers/sql/dialect.ts'
import { statement } from '../../packages/holdfast/src/drivers/sql/statement.ts'
import { StoreMisconfigured, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { Change } from '../../packages/holdfast/src/store/contract.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { privateServer, skipPrivate } from './postgres/servers.ts'
import { Bench, poolOf, skip, url } from './postgres/targets.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { assertDumped } from './sql/dump.ts'
import { until } from '../until.ts'

const execute = promisify(execFile)
const load = (): Promise<unknown> => import('pg')
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('before')

/** A database that holds nothing yet, dropped with the test. */
async function emptyDatabase(test: Ending): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = poolOf(url, { max: 1 })
  await admin.query(`create database ${name}`)
  atEnd(test, async () => {
    await admin.query(`drop database ${name} with (force)`)
    await admin.end()
  })
  const address = new URL(url)
  address.pathname = `/${name}`
  return address.href
}

describe('PostgreSQL, the schema', { skip }, () => {
  it('is what the checked-in dump says', async (t) => {
    const address = await emptyDatabase(t)
    await openPostgresStore(address, load).open()
    const pool = poolOf(address)
    atEnd(t, () => pool.end())
    const columns = await pool.query<
      Record<'table_name' | 'column_name' | 'data_type' | 'collation_name', string>
    >(
      `select table_name, column_name, data_type, coalesce(collation_name, '-') as collation_name
       from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position`,
    )
    const indexes = await pool.query<{ indexdef: string }>(
      "select indexdef from pg_indexes where schemaname = 'public' order by indexname",
    )
    const tables = await pool.query<{ line: string }>(
      `select relname || ' ' || relpersistence::text || ' ' || coalesce(array_to_string(reloptions, ','), '-') as line
       from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname`,
    )
    assertDumped('schema-postgres.txt', [
      ...tables.rows.map(({ line }) => line),
      ...columns.rows.map((each) =>
        [each.table_name, each.column_name, each.data_type, each.collation_name].join(' '),
      ),
      ...indexes.rows.map(({ indexdef }) => indexdef),
    ])
  })

  it('is made once when many open an empty database at once', async (t) => {
    const address = await emptyDatabase(t)
    const stores = Array.from({ length: 8 }, () => openPostgresStore(address, load))
    await Promise.all(stores.map((store) => store.open()))
    const made = await Promise.all(stores.map((store) => store.create({ key, value, expiresAt: never })))
    assert.deepEqual(made.map(({ status }) => status).sort(), [...Array<string>(7).fill('conflict'), 'done'])
    await Promise.all(stores.map((store) => store.close()))
  })

  it('can be made by hand from the printed script', async (t) => {
    const address = await emptyDatabase(t)
    const pool = poolOf(address)
    atEnd(t, () => pool.end())
    await pool.query(postgresScript())
    const store = openPostgresStore(address, load, { migrate: false })
    assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
    await store.close()
    assert.equal(postgresScript(postgresMigrations.length), '')
    assert.deepEqual(await migratePostgres(address, load), { from: 2, to: 2, applied: [] })
  })

  it('is only checked where migrate is off, and by who may not make tables', async (t) => {
    const address = await emptyDatabase(t)
    const pool = poolOf(address)
    atEnd(t, () => pool.end())
    const checking = openPostgresStore(address, load, { migrate: false })
    await assert.rejects(checking.open(), /holdfast store migrate/)
    const role = `role_${randomBytes(6).toString('hex')}`
    await pool.query(`create role ${role} login; revoke create on schema public from public`)
    atEnd(t, async () => {
      await pool.query(`drop owned by ${role}; drop role ${role}`)
    })
    const poor = new URL(address)
    poor.username = role
    const store = openPostgresStore(poor.href, load)
    await assert.rejects(store.open(), (error: Error) => {
      assert.ok(error instanceof StoreMisconfigured)
      assert.match(error.message, /may not make tables.*holdfast store migrate/)
      return true
    })
    assert.deepEqual((await migratePostgres(address, load)).applied.length, postgresMigrations.length)
    await pool.query(`grant select, insert, update, delete on all tables in schema public to ${role}`)
    assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
    await store.close()
  })

  it('may be a newer release’s that only added to it, and no other', async (t) => {
    const address = await emptyDatabase(t)
    await migratePostgres(address, load)
    const pool = poolOf(address)
    atEnd(t, () => pool.end())
    await pool.query('insert into holdfast_schema (step, needs) values (3, 2)')
    const store = openPostgresStore(address, load)
    assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
    await store.close()
    await pool.query('insert into holdfast_schema (step, needs) values (4, 4)')
    const older = openPostgresStore(address, load)
    await assert.rejects(older.open(), (error: Error) => {
      assert.ok(error instanceof StoreMisconfigured)
      assert.match(error.message, /newer Holdfast.*Update/)
      return true
    })
  })

  it('needs a database in UTF8', async (t) => {
    const name = `test_${randomBytes(6).toString('hex')}`
    const admin = poolOf(url, { max: 1 })
    await admin.query(`create database ${name} encoding 'LATIN1' locale 'C' template template0`)
    atEnd(t, async () => {
      await admin.query(`drop database ${name} with (force)`)
      await admin.end()
    })
    const address = new URL(url)
    address.pathname = `/${name}`
    await assert.rejects(openPostgresStore(address.href, load).open(), /UTF8/)
  })
})

describe('PostgreSQL, the planner', { skip }, () => {
  it('goes by the key, also in a namespace that it knows nothing of', async (t) => {
    const address = await emptyDatabase(t)
    await migratePostgres(address, load)
    const pool = poolOf(address)
    // Everything known is of another namespace, so that of this one nothing seems to be there.
    await pool.query(
      `insert into holdfast_records select 'known', 'sessions', 'k' || i, '1.a', '[]', ${never}, 0, i, 'v'
       from generate_series(1, 3000) i`,
    )
    await pool.query('analyze')
    const store = postgresStore(pool, { namespace: 'unknown' })
    for (let i = 0; i < 8; i++) {
      const id = `u${i}`
      const made = await store.create({
        key: { ...key, id },
        value,
        labels: ['user:a', 'tenant:t'],
        expiresAt: never,
      })
      assert.ok(made.status === 'done')
      const saved = await store.replace({
        key: { ...key, id },
        expected: made.version,
        value,
        expiresAt: never,
      })
      assert.ok(saved.status === 'done')
      const expected = saved.version
      await store.replace({ key: { ...key, id }, expected, value, labels: ['user:a'], expiresAt: never })
      await store.touch([{ key: { ...key, id }, version: expected, expiresAt: never }])
      await store.read({ ...key, id })
      await store.readMany([key, { ...key, id }])
      await store.list('sessions', { labels: ['user:a'] })
      await store.list('sessions', { labels: ['user:a', 'tenant:t'] })
      await store.count('sessions', { labels: ['user:a', 'tenant:t'] })
      await store.remove([{ ...key, id }])
    }
    await store.close()
    await pool.end()
    const admin = poolOf(address)
    const { rows } = await admin.query<{ by: string; scans: string }>(
      `select indexrelname as by, idx_scan as scans from pg_stat_user_indexes where indexrelname like '%\\_by\\_%'
       union all select relname, seq_scan from pg_stat_user_tables where relname = 'holdfast_records'`,
    )
    await admin.end()
    const used = Object.fromEntries(rows.map(({ by, scans }) => [by, Number(scans)]))
    assert.equal(used['holdfast_records_by_expiry'], 0)
    assert.equal(used['holdfast_records_by_bucket'], 0)
  })

  it('keeps no copies of the rows that a lookup finds', async (t) => {
    const address = await emptyDatabase(t)
    await migratePostgres(address, load)
    const pool = poolOf(address)
    atEnd(t, () => pool.end())
    const labelled =
      "(select collection, id from holdfast_labels where namespace = 'known' and label = 'l1' order by id limit 101) asked"
    const keys = dialect.rows('keys', { collection: 'name', id: 'id' })
    await pool.query(
      `insert into holdfast_records select 'known', 'sessions', 'k' || i, '1.a', '[]', ${never}, 0, i, 'v'
       from generate_series(1, 3000) i`,
    )
    // Records with several labels: an id that comes again among the entries is not one that is looked up again.
    await pool.query(
      "insert into holdfast_labels select 'known', 'sessions', 'l' || j, 'k' || i from generate_series(1, 3000) i, generate_series(1, 8) j",
    )
    await pool.query('analyze')
    for (const [asked, how] of [[labelled, { optional: true }] as const, [keys, {}] as const]) {
      const source = `select r.value from ${dialect.lookup(asked, 'holdfast_records', ['collection', 'id'], how)}`
      const { text, parameters } = statement(dialect, source)
      const values = { namespace: 'known', keys: '[]' }
      const { rows } = await pool.query<{ 'QUERY PLAN': string }>(
        `explain ${text}`,
        parameters.map((name) => values[name as keyof typeof values]),
      )
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      assert.match(plan, /Index Scan using holdfast_records_pkey/)
      assert.doesNotMatch(plan, /Memoize/)
    }
  })
})

describe('PostgreSQL, several processes', { skip }, () => {
  it('lose no increment [races: G1]', async (t) => {
    const bench = new Bench(t)
    const counter = { collection: 'counters', id: 'shared' }
    const store = bench.store()
    await store.create({ key: counter, value: Buffer.from('0'), expiresAt: never })
    const program = fileURLToPath(new URL('postgres/incrementer.ts', import.meta.url))
    const run = (): Promise<unknown> =>
      execute(process.execPath, ['--conditions=holdfast-source', program, url, bench.namespace, '150'])
    await Promise.all([run(), run(), run()])
    const record = await store.read(counter, { strict: true })
    assert.equal(Buffer.from(record?.value ?? []).toString(), '450')
  })

  it('leave no entry of a label behind, whoever wins', async (t) => {
    const bench = new Bench(t)
    const stores = [bench.store(), bench.store()]
    for (let round = 0; round < 30; round++) {
      const id = `r${round}`
      const made = stores.map((store, i) =>
        store.create({ key: { ...key, id }, value, labels: [`user:u${i}`, 'tenant:t'], expiresAt: never }),
      )
      const [won] = (await Promise.all(made)).filter(({ status }) => status === 'done')
      assert.ok(won?.status === 'done')
      await Promise.all(
        stores.map((store, i) =>
          store.replace({
            key: { ...key, id },
            expected: won.version,
            value,
            labels: [`state:s${i}`],
            expiresAt: never,
          }),
        ),
      )
    }
    const { rows } = await bench.pool().query<{ n: number }>(
      `select count(*)::int as n from holdfast_labels l join holdfast_records r using (namespace, collection, id)
       where namespace = $1 and r.labels::jsonb ? l.label`,
      [bench.namespace],
    )
    const all = await bench
      .pool()
      .query('select 1 from holdfast_labels where namespace = $1', [bench.namespace])
    assert.equal(rows[0]?.n, 30)
    assert.equal(all.rowCount, 30)
  })

  it('sweep at once without waiting for each other, and without what others hold', async (t) => {
    const bench = new Bench(t)
    const store = bench.store({ margin: '10s' })
    const expiresAt = Date.now() - 60_000
    await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        store.create({ key: { ...key, id: `e${i}` }, value, labels: ['user:a'], expiresAt }),
      ),
    )
    const rival = await bench.pool().connect()
    await rival.query('begin')
    await rival.query("select 1 from holdfast_records where namespace = $1 and id = 'e7' for update", [
      bench.namespace,
    ])
    const batches = await Promise.all([store.sweep({ limit: 25 }), store.sweep({ limit: 25 })])
    const swept = batches.flatMap(({ removed }) => removed.map((each) => each.key.id))
    assert.equal(new Set(swept).size, swept.length)
    assert.ok(swept.length >= 25 && !swept.includes('e7'))
    await rival.query('rollback')
    rival.release()
    const rest = await store.sweep({ limit: 100 })
    assert.equal(swept.length + rest.removed.length, 40)
  })
})

describe('PostgreSQL, what its settings promise', { skip }, () => {
  it('says that it survives a power cut only where commits are flushed', async (t) => {
    const bench = new Bench(t)
    const safe = await bench.store().open()
    assert.deepEqual(safe.capabilities.durable, { process: true, machine: true, failover: false })
    const relaxed = bench.pool(url, { options: '-c synchronous_commit=off' })
    const open = await bench.store({}, relaxed).open()
    assert.deepEqual(open.capabilities.durable, { process: true, machine: false, failover: false })
  })

  // On a server of its own, because whatever else is written there would not be flushed either.
  it('flushes a burial also where ordinary commits are not', { skip: skipPrivate }, async (t) => {
    const server = await privateServer(t, ['synchronous_commit = off', 'wal_writer_delay = 10s'])
    const pool = poolOf(server.url)
    const store = postgresStore(pool)
    // What was written before the burial is flushed with it, and nothing else flushes it so soon. What the server and
    // the store write of their own accord after the burial may wait.
    const positions = async (): Promise<{ written: string; flushed: string }> => {
      const { rows } = await pool.query<{ written: string; flushed: string }>(
        'select pg_current_wal_insert_lsn() as written, pg_current_wal_flush_lsn() as flushed',
      )
      return rows[0] ?? assert.fail('the server told its positions')
    }
    for (let round = 0; round < 5; round++) {
      const made = await store.create({ key: { ...key, id: `s${round}` }, value, expiresAt: never })
      assert.ok(made.status === 'done')
      const { written } = await positions()
      const burial = { labels: [], expiresAt: Date.now() + 60_000, setsExpiry: true, expired: true }
      await store.replace({ key: { ...key, id: `s${round}` }, expected: made.version, value, ...burial })
      const { flushed } = await positions()
      const { rows } = await pool.query<{ ahead: boolean }>('select $1::pg_lsn > $2::pg_lsn as ahead', [
        flushed,
        written,
      ])
      assert.equal(rows[0]?.ahead, true, 'all that was written up to the burial is flushed')
    }
    await store.close()
    await pool.end()
  })

  it('counts a standby that commits wait for', { skip: skipPrivate }, async (t) => {
    const server = await privateServer(t, ["synchronous_standby_names = 's1'", 'synchronous_commit = local'])
    const store = openPostgresStore(server.url, load)
    assert.equal((await store.open()).capabilities.durable.failover, false)
    await store.close()
    const waiting = openPostgresStore(`${server.url}?options=-c%20synchronous_commit%3Don`, load)
    assert.equal((await waiting.open()).capabilities.durable.failover, true)
    await waiting.close()
  })
})

describe('PostgreSQL, watching', { skip }, () => {
  it('goes on telling when the connection that listens is killed', async (t) => {
    const bench = new Bench(t)
    const store = bench.store()
    const admin = bench.pool()
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    const listener = async (): Promise<number | undefined> => {
      const { rows } = await admin.query<{ pid: number }>(
        `select pid from pg_stat_activity where query = $1`,
        [`listen "holdfast_${bench.namespace}"`],
      )
      return rows[0]?.pid
    }
    await until('it listens', async () => (await listener()) !== undefined)
    const first = await listener()
    await admin.query('select pg_terminate_backend($1)', [first])
    await store.create({ key, value, expiresAt: never })
    await watch.mark()
    assert.deepEqual(changes, [{ type: 'changed', keys: [key] }])
    await until('it listens again', async () => ![undefined, first].includes(await listener()))
    await watch.close()
  })

  it('is woken by other processes, at once by a burial', async (t) => {
    const bench = new Bench(t)
    const [store, writer] = [bench.store(), bench.store()]
    const told: number[] = []
    const watch = await store.watch(() => told.push(performance.now()))
    await until('it listens', async () => {
      const { rowCount } = await bench
        .pool()
        .query('select 1 from pg_stat_activity where query = $1', [`listen "holdfast_${bench.namespace}"`])
      return rowCount === 1
    })
    const waited: number[] = []
    for (let i = 0; i < 5; i++) {
      const each = { ...key, id: `s${i}` }
      const made = await writer.create({ key: each, value, expiresAt: never })
      assert.ok(made.status === 'done')
      await until('the create is told', () => told.length === 2 * i + 1)
      const before = performance.now()
      const expected = made.version
      await writer.replace({ key: each, expected, value, labels: [], expiresAt: never, expired: true })
      await until('the burial is told', () => told.length === 2 * i + 2)
      waited.push((told.at(-1) ?? Infinity) - before)
    }
    // Without being woken it looks half a second after it has last found something: then none of these is short.
    assert.ok(Math.min(...waited) < 400, waited.join(' '))
    await watch.close()
  })

  it('tells what was committed late by a transaction that began early', async (t) => {
    const bench = new Bench(t)
    const store = bench.store({ listen: false })
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    const rival = await bench.pool().connect()
    await rival.query('begin')
    await rival.query("insert into holdfast_changes (namespace, keys) values ($1, 'sessions/late')", [
      bench.namespace,
    ])
    await store.create({ key, value, expiresAt: never })
    await watch.mark()
    await rival.query('commit')
    rival.release()
    await watch.mark()
    assert.deepEqual(changes, [
      { type: 'changed', keys: [key] },
      { type: 'changed', keys: [{ collection: 'sessions', id: 'late' }] },
    ])
    await watch.close()
  })

  it('tells broken, restored and reset, and fails marks in between', { skip: skipPrivate }, async (t) => {
    const server = await privateServer(t)
    const store = openPostgresStore(server.url, load)
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    await server.kill()
    await assert.rejects(async () => watch.mark(), StoreUnavailable)
    await server.startAgain()
    await until('it is back', () => changes.at(-1)?.type === 'reset')
    assert.deepEqual(
      changes.map(({ type }) => type),
      ['broken', 'restored', 'reset'],
    )
    await until('a mark holds', async () => {
      await watch.mark()
      return true
    })
    const admin = poolOf(server.url)
    const { rows } = await admin.query("select 1 from pg_stat_activity where query like 'listen %'")
    await admin.end()
    assert.ok(rows.length <= 1, 'a connection that listens and that nobody closes any more')
    await watch.close()
    await store.close()
  })

  it('starts anew when a crash of the server has emptied the log unnoticed', async (t) => {
    const bench = new Bench(t)
    const store = bench.store({ listen: false })
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    const admin = bench.pool()
    await admin.query("delete from holdfast_changes where namespace = ''")
    await watch.mark()
    assert.deepEqual(changes, [{ type: 'reset' }])
    await store.create({ key, value, expiresAt: never })
    await watch.mark()
    assert.deepEqual(changes.at(-1), { type: 'changed', keys: [key] })
    await watch.close()
  })
})
