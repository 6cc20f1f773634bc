/** What the SQLite driver does beyond the store suite: files, schema, labels as bytes, slices, the change log. */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'

import {
  openSqliteStore,
  type SqliteDatabase,
  sqliteStore,
} from '../../packages/holdfast/src/drivers/sqlite.ts'
import { ChangeLog, ChangeReader } from '../../packages/holdfast/src/drivers/sqlite/change-log.ts'
import { errorOf, failureOf } from '../../packages/holdfast/src/drivers/sqlite/failure.ts'
import { migrate, migrations, schemaVersion } from '../../packages/holdfast/src/drivers/sqlite/migrations.ts'
import { InvalidCursor, StoreMisconfigured } from '../../packages/holdfast/src/errors.ts'
import type { Change } from '../../packages/holdfast/src/store/contract.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { temporaryFolder } from './sqlite/folder.ts'

const path = temporaryFolder()
const keyOf = (id: string): { collection: string; id: string } => ({ collection: 'sessions', id })

async function create(
  store: Store,
  id: string,
  labels: readonly string[] = [],
  expiresAt = never,
): Promise<string> {
  const written = await store.create({
    key: keyOf(id),
    value: Buffer.from(`value of ${id}`),
    labels,
    expiresAt,
  })
  assert.equal(written.status, 'done')
  return written.version
}

async function idsWith(store: Store, ...labels: string[]): Promise<string[]> {
  const ids: string[] = []
  for (let after: string | undefined; ;) {
    const page = await store.list('sessions', { labels, limit: 7, ...(after === undefined ? {} : { after }) })
    ids.push(...page.records.map(({ key }) => key.id))
    if (page.next === undefined) return ids
    after = page.next
  }
}

/** The finder's rows that no record accounts for, and the labels of records that it lacks. */
function differences(database: DatabaseSync): unknown[] {
  const carried = `select namespace, collection, j.value as label, r.id from holdfast_records r, json_each(labels) j`
  const found = 'select namespace, collection, label, id from holdfast_labels'
  return [`${carried} except ${found}`, `${found} except ${carried}`].flatMap((sql) =>
    database.prepare(sql).all(),
  )
}

describe('labels', () => {
  it('are compared as bytes: case, blanks and accents tell users apart', async () => {
    const store = openSqliteStore(':memory:')
    const labels = [
      'user:ada',
      'user:ada ',
      'user:Ada',
      'user:ad\u00e1',
      'user:ada\u0301',
      'user:ad\u{1f600}',
    ]
    for (const [i, label] of labels.entries()) await create(store, `s${i}`, [label])
    for (const [i, label] of labels.entries()) assert.deepEqual(await idsWith(store, label), [`s${i}`])
    await store.close()
  })

  it('change with the record and never apart from it [races: F1 F3]', async () => {
    const database = new DatabaseSync(':memory:')
    const clock = fakeClock()
    const store = sqliteStore(database, { clock })
    const soon = clock.now() + 1_000
    let version = await create(store, 'a', ['user:ada', 'tenant:t1'], soon)
    const replace = async (labels?: readonly string[]): Promise<void> => {
      const written = await store.replace({
        key: keyOf('a'),
        expected: version,
        value: Buffer.from('v'),
        expiresAt: soon,
        ...(labels && { labels }),
      })
      assert.equal(written.status, 'done')
      version = written.version
      assert.deepEqual(differences(database), [])
    }
    await replace()
    assert.deepEqual(await idsWith(store, 'user:ada'), ['a'])
    await replace(['user:bob', 'tenant:t1'])
    assert.deepEqual([await idsWith(store, 'user:ada'), await idsWith(store, 'user:bob')], [[], ['a']])

    clock.advance(1_000)
    await create(store, 'a', ['user:eve'])
    assert.deepEqual(differences(database), [])
    assert.deepEqual(await idsWith(store, 'user:bob'), [])
    await store.remove([keyOf('a')])
    assert.deepEqual(database.prepare('select * from holdfast_labels').all(), [])
    database.close()
  })

  it('that match rarely are found through short pages, each of bounded work', async () => {
    const database = new DatabaseSync(':memory:')
    const store = sqliteStore(database)
    const ids = Array.from({ length: 3_000 }, (_, i) => `s${String(i).padStart(4, '0')}`)
    await Promise.all(
      ids.map((id, i) =>
        create(store, id, [i % 2 ? 'a:odd' : 'a:even', i % 1_000 < 500 ? 'b:low' : 'b:high']),
      ),
    )
    const expected = ids.filter((_, i) => i % 2 === 1 && i % 1_000 >= 500)
    assert.deepEqual(await idsWith(store, 'a:odd', 'b:high'), expected)
    assert.equal(await store.count('sessions', { labels: ['a:odd', 'b:high'] }), 750)
    // Where no record has both, one page gives up after its share of the index instead of walking all of it.
    const none = await store.list('sessions', { labels: ['a:odd', 'a:even'], limit: 1_000 })
    assert.deepEqual(none.records, [])
    assert.notEqual(none.next, undefined)
    assert.deepEqual(await idsWith(store, 'a:odd', 'a:even'), [])
    database.close()
  })
})

describe('queries', () => {
  it('all go by an index', async () => {
    const database = new DatabaseSync(':memory:')
    const asked = new Set<string>()
    const noting: SqliteDatabase = {
      exec: (sql) => database.exec(sql),
      prepare: (sql) => {
        asked.add(sql)
        return database.prepare(sql)
      },
    }
    const store = sqliteStore(noting)
    await create(store, 'a', ['user:ada', 'x:1'])
    for (const labels of [[], ['user:ada'], ['user:ada', 'x:1']]) {
      await store.list('sessions', { labels, after: '0', reverse: true })
      await store.list('sessions', { labels, values: false })
      await store.count('sessions', { labels })
    }
    await store.scan({ index: 0, of: 2 })
    await (await store.watch(() => undefined)).mark()
    const ours = [...asked].filter((sql) => /holdfast_(records|labels|changes)/.test(sql))
    assert.ok(ours.length > 15)
    for (const sql of ours) {
      const plan = database.prepare(`explain query plan ${sql}`).all() as { detail: string }[]
      const details = plan.map(({ detail }) => detail).join('; ')
      // A scan of a subquery is bounded by the subquery.
      assert.doesNotMatch(details, /SCAN (holdfast|r\b|o\b)|TEMP B-TREE/, `${sql}\n${details}`)
    }
    database.close()
  })

  it('refuse a cursor that no page ended with', async () => {
    const store = openSqliteStore(':memory:')
    await create(store, 'a')
    await assert.rejects(async () => await store.list('sessions', { after: "' or 1" }), InvalidCursor)
    await assert.rejects(async () => await store.scan({ index: 0, of: 1, after: 'a' }), InvalidCursor)
    await store.close()
  })
})

describe('a touch', () => {
  it('does not rewrite a large value', async () => {
    const file = path()
    const database = new DatabaseSync(file)
    database.exec('pragma journal_mode = wal')
    const store = sqliteStore(database, { maxValue: 400_000 })
    assert.equal((await store.open()).capabilities.cheapTouch, true)
    const soon = Date.now() + 60_000
    const { version } = (await store.create({
      key: keyOf('a'),
      value: Buffer.alloc(400_000, 'x'),
      expiresAt: soon,
    })) as {
      version: string
    }
    database.exec('pragma wal_checkpoint(truncate)')
    assert.deepEqual(await store.touch([{ key: keyOf('a'), version, expiresAt: soon + 1_000 }]), ['done'])
    const { size } = statSync(`${file}-wal`)
    assert.ok(size > 0 && size < 40_000, `the log has ${size} bytes after a touch`)
    database.close()
  })
})

describe('a file', () => {
  it('is made, kept and found again', async () => {
    const file = path()
    const first = openSqliteStore(file)
    await create(first, 'a', ['user:ada'])
    await first.close()
    const second = openSqliteStore(file)
    assert.equal(Buffer.from((await second.read(keyOf('a')))?.value ?? []).toString(), 'value of a')
    assert.deepEqual(await idsWith(second, 'user:ada'), ['a'])
    const mark = new DatabaseSync(file).prepare('pragma application_id').get()
    assert.deepEqual({ ...mark }, { application_id: Buffer.from('Hold').readInt32BE() })
    assert.match((await second.open()).description, /^SQLite 3\.\d+\.\d+, .*\.db$/)
    await second.close()
  })

  it('may be shared by several namespaces, which see nothing of each other', async () => {
    const file = path()
    const one = openSqliteStore(file, { namespace: 'one' })
    const two = openSqliteStore(file, { namespace: 'two' })
    await create(one, 'a', ['user:ada'])
    assert.equal(await two.read(keyOf('a')), undefined)
    assert.deepEqual(await idsWith(two, 'user:ada'), [])
    await create(two, 'a', ['user:ada'])
    await two.remove([keyOf('a')])
    assert.deepEqual(await idsWith(one, 'user:ada'), ['a'])
    await one.close()
    await two.close()
  })

  it('is refused with its cause and cure where it cannot be', async () => {
    const folder = dirname(path())
    mkdirSync(join(folder, 'folder.db'))
    writeFileSync(join(folder, 'plain'), '')
    const refusals: readonly (readonly [string, RegExp])[] = [
      [join(folder, 'missing', 'x.db'), /folder is missing\. Create /],
      [join(folder, 'plain', 'x.db'), /is not a folder/],
      [join(folder, 'folder.db'), /is a folder: name a file/],
    ]
    for (const [file, message] of refusals) await assertRefused(file, 'HOLDFAST_STORE_MISCONFIGURED', message)
    assert.throws(() => openSqliteStore(''), StoreMisconfigured)
  })

  it('of another kind is refused and left as it is', async () => {
    const file = path('text')
    const text = 'this is not a database. '.repeat(100)
    writeFileSync(file, text)
    await assertRefused(file, 'HOLDFAST_STORE_CORRUPT', /not an SQLite database/)
    assert.equal(readFileSync(file, 'utf8'), text)
  })

  it('of another application is refused and left as it is, but its owner may hand it in', async () => {
    const file = path('foreign')
    const database = new DatabaseSync(file)
    database.exec('create table theirs (x); pragma user_version = 7')
    await assertRefused(file, 'HOLDFAST_STORE_MISCONFIGURED', /another application/)
    const pragma = (name: string): unknown => Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0]
    const before = [pragma('journal_mode'), pragma('user_version'), pragma('application_id')]
    const given = sqliteStore(database)
    await create(given, 'a')
    await given.close()
    assert.deepEqual([pragma('journal_mode'), pragma('user_version'), pragma('application_id')], before)
    // It was not closed either: this would throw.
    database.exec('select 1')
    // Now it has our tables, so another process may open it by its path.
    const opened = openSqliteStore(file)
    assert.notEqual(await opened.read(keyOf('a')), undefined)
    await opened.close()
    database.close()
  })

  it('that is damaged gives a coded error, never "not there"', async () => {
    const file = path('damaged')
    const store = openSqliteStore(file)
    const ids = Array.from({ length: 400 }, (_, i) => `s${i}`)
    await Promise.all(ids.map((id) => create(store, id, ['user:ada'])))
    await store.close()
    const handle = openSync(file, 'r+')
    // Everything after the schema's page.
    writeSync(handle, Buffer.alloc(statSync(file).size - 4_096, 0xee), 0, undefined, 4_096)
    const damaged = openSqliteStore(file)
    await assert.rejects(async () => await damaged.read(keyOf('s1')), { code: 'HOLDFAST_STORE_CORRUPT' })
    await damaged.close()
  })

  async function assertRefused(file: string, code: string, message: RegExp): Promise<void> {
    const store = openSqliteStore(file)
    await assert.rejects(async () => await store.open(), { code, message })
    await store.close()
  }
})

describe('what SQLite reports', () => {
  it('is known by its text where a runtime tells no number, as Deno does at times', () => {
    const codes = {
      'database is locked': 'HOLDFAST_STORE_UNAVAILABLE',
      'database or disk is full': 'HOLDFAST_STORE_FULL',
      'attempt to write a readonly database': 'HOLDFAST_STORE_READ_ONLY',
      'database disk image is malformed': 'HOLDFAST_STORE_CORRUPT',
    }
    for (const [text, code] of Object.entries(codes)) {
      const reported = Object.assign(new Error(text), { code: 'ERR_SQLITE_ERROR' })
      assert.equal(errorOf(failureOf(reported), 'a.db').code, code, text)
    }
    const locked = Object.assign(new Error('database is locked'), { code: 'ERR_SQLITE_ERROR' })
    assert.equal(failureOf(locked).failure, 'busy', 'so it is waited for')
  })
})

describe('a failed open', () => {
  it('is tried again at the next call', async () => {
    const file = join(dirname(path()), 'not-yet', 'store.db')
    const store = openSqliteStore(file)
    await assert.rejects(async () => await store.open(), { code: 'HOLDFAST_STORE_MISCONFIGURED' })
    mkdirSync(dirname(file))
    await create(store, 'a')
    assert.equal(existsSync(file), true)
    await store.close()
  })
})

describe('the schema', () => {
  it('is brought from each earlier version to the last, with what is stored', async () => {
    for (let from = 0; from < migrations.length; from++) {
      const file = path(`from-${from}`)
      const database = new DatabaseSync(file)
      migrate(database, migrations.slice(0, from))
      assert.equal(schemaVersion(database), from)
      if (from > 0) {
        database.exec(
          `insert into holdfast_records (namespace, collection, id, version, labels, expires_at, touched_at, bucket, value)
             values ('holdfast', 'sessions', 'old', '1.a', '["user:ada"]', ${never}, 1, 0, x'6f6c64');
           insert into holdfast_labels (namespace, collection, label, id) values ('holdfast', 'sessions', 'user:ada', 'old')`,
        )
      }
      database.close()
      const store = openSqliteStore(file)
      await store.open()
      assert.deepEqual(await idsWith(store, 'user:ada'), from > 0 ? ['old'] : [])
      await create(store, 'new', ['user:ada'])
      await (await store.watch(() => undefined)).mark()
      await store.close()
    }
  })

  it('is made once when somebody else was faster', () => {
    const file = path('race')
    const [slow, fast] = [new DatabaseSync(file), new DatabaseSync(file)]
    let isFirst = true
    const overtaken: SqliteDatabase = {
      prepare: (sql) => slow.prepare(sql),
      exec: (sql) => {
        // Between looking and taking the lock, the other one does all there is to do.
        if (sql.startsWith('begin') && isFirst) migrate(fast, migrations)
        isFirst = false
        slow.exec(sql)
      },
    }
    migrate(overtaken, migrations)
    assert.equal(schemaVersion(slow), migrations.length)
    slow.close()
    fast.close()
  })

  it('of a newer version is refused', async () => {
    const file = path('newer')
    const database = new DatabaseSync(file)
    migrate(database, [...migrations, 'create table holdfast_later (x)'])
    database.close()
    const store = openSqliteStore(file)
    await assert.rejects(async () => await store.open(), {
      code: 'HOLDFAST_STORE_MISCONFIGURED',
      message: /newer Holdfast/,
    })
    await store.close()
  })

  it('is not half changed by a step that fails', () => {
    const database = new DatabaseSync(':memory:')
    migrate(database, migrations)
    const broken = 'create table holdfast_half (x); insert into nowhere values (1)'
    assert.throws(() => migrate(database, [...migrations, broken]), /nowhere/)
    assert.equal(schemaVersion(database), migrations.length)
    assert.deepEqual(database.prepare("select 1 from sqlite_schema where name = 'holdfast_half'").all(), [])
    database.close()
  })
})

describe('the change log', () => {
  it('is trimmed, and tells a reader that fell behind to start anew', () => {
    const database = new DatabaseSync(':memory:')
    migrate(database, migrations)
    const log = new ChangeLog(database, 'holdfast')
    const slow = new ChangeReader(database, 'holdfast')
    const keys = Array.from({ length: 500 }, (_, i) => `sessions/s${i}`)
    log.add(keys)
    assert.equal(slow.next()?.length, 500)
    for (let i = 0; i < 300; i++) log.add(keys)
    assert.equal(slow.next(), undefined)
    log.add(['sessions/after'])
    assert.deepEqual(slow.next(), [keyOf('after')])
    const { rows } = database.prepare('select count(*) as rows from holdfast_changes').get() as {
      rows: number
    }
    assert.ok(rows < 210, `${rows} rows`)
    database.close()
  })

  it('resets a watch that fell behind, which then goes on', async () => {
    const database = new DatabaseSync(':memory:')
    const store = sqliteStore(database)
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    database.exec(
      `insert into holdfast_changes select max(position) + 1, 'holdfast', 'sessions/lost' from holdfast_changes;
       delete from holdfast_changes where position < (select max(position) from holdfast_changes)`,
    )
    await watch.mark()
    assert.deepEqual(changes, [{ type: 'reset' }])
    await create(store, 'a')
    await watch.mark()
    assert.deepEqual(changes.slice(1), [{ type: 'changed', keys: [keyOf('a')] }])
    database.close()
  })

  it('that cannot be read breaks the watch until it can be again', async () => {
    const database = new DatabaseSync(':memory:')
    const store = sqliteStore(database)
    const types: string[] = []
    const watch = await store.watch(({ type }) => types.push(type))
    database.exec('alter table holdfast_changes rename to hidden')
    await assert.rejects(async () => await watch.mark(), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    await assert.rejects(async () => await watch.mark())
    assert.deepEqual(types, ['broken'])
    database.exec('alter table hidden rename to holdfast_changes')
    await watch.mark()
    assert.deepEqual(types, ['broken', 'restored', 'reset'])
    database.close()
  })
})

describe('capabilities', () => {
  it('say what the settings of a connection that was handed in promise', async () => {
    const promises: readonly (readonly [string, object])[] = [
      ['journal_mode = delete', { process: true, machine: true, failover: false }],
      ['journal_mode = wal; pragma synchronous = normal', { process: true, machine: false, failover: false }],
      ['journal_mode = memory', { process: false, machine: false, failover: false }],
      ['synchronous = off', { process: true, machine: false, failover: false }],
    ]
    for (const [pragmas, durable] of promises) {
      const database = new DatabaseSync(path())
      database.exec(`pragma ${pragmas}`)
      const store = sqliteStore(database)
      assert.deepEqual((await store.open()).capabilities.durable, durable, pragmas)
      database.close()
    }
    const memory = await openSqliteStore(':memory:').open()
    assert.deepEqual(memory.capabilities.durable, { process: false, machine: false, failover: false })
    assert.equal(memory.capabilities.shared, false)
  })
})
