/** Stores by their URL, over the real servers where there are any. */

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { InvalidOption, StoreMisconfigured, UnknownScheme } from '../../packages/holdfast/src/errors.ts'
import { openStore } from '../../packages/holdfast/src/store/open.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { freshNamespace } from '../stores/places.ts'

const key = { collection: 'sessions', id: 'opened' }

/** Writes and reads a record, so that the URL has led to a store that works. */
async function assertWorks(store: Store): Promise<void> {
  const expiresAt = store.clock.now() + 60_000
  const written = await store.create({ key, value: Buffer.from('{}'), expiresAt })
  assert.equal(written.status, 'done')
  const record = await store.read(key, { strict: true })
  assert.equal(Buffer.from(record?.value ?? []).toString(), '{}')
  await store.remove([key])
}

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-open-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function refusal(url: string): Promise<Error> {
  const error = await openStore(url).then(
    async (store) => {
      await store.close()
      assert.fail(`${url} was opened`)
    },
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof Error)
  return error
}

describe('a store is opened by its URL', () => {
  it('a file, under each of its names [T15]', async (t) => {
    const folder = await folderFor(t)
    for (const url of [`file://${folder}/a.db`, `sqlite://${folder}/b.db`, `sqlite:${folder}/c%20d.db`]) {
      const store = await openStore(url)
      await assertWorks(store)
      await store.close()
    }
    const files = (await readdir(folder)).filter((name) => name.endsWith('.db'))
    assert.deepEqual(files.sort(), ['a.db', 'b.db', 'c d.db'])
  })

  it('a folder, with one file a record [T16]', async (t) => {
    const folder = await folderFor(t)
    const store = await openStore(`dir://${folder}/sessions`)
    await assertWorks(store)
    await store.close()
    assert.ok((await stat(join(folder, 'sessions'))).isDirectory())
  })

  it('a temporary folder where none is named, with a warning [T16 T21]', async () => {
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    const store = await openStore('dir:')
    await assertWorks(store)
    const { code, message } = await warned
    assert.equal(code, 'HOLDFAST_TEMPORARY_FOLDER')
    const { description } = await store.open()
    assert.match(message, /logged out by a restart/)
    assert.match(description, new RegExp(tmpdir()))
    await store.close()
  })

  it('memory [T21]', async () => {
    for (const url of ['memory:', 'memory://']) {
      const store = await openStore(url)
      await assertWorks(store)
      await store.close()
    }
  })

  const servers = [
    ['PostgreSQL', 'HOLDFAST_TEST_POSTGRES', ''],
    ['MySQL and MariaDB', 'HOLDFAST_TEST_MARIADB', 'T17'],
    ['MySQL', 'HOLDFAST_TEST_MYSQL', 'T17'],
    ['Redis', 'HOLDFAST_TEST_REDIS', 'T18'],
    ['Redis with Sentinel', 'HOLDFAST_TEST_REDIS_SENTINEL', 'T18'],
    ['Valkey', 'HOLDFAST_TEST_VALKEY', 'T18'],
    ['MongoDB', 'HOLDFAST_TEST_MONGODB', 'T19'],
    ['Memcached', 'HOLDFAST_TEST_MEMCACHED', 'T20'],
  ] as const
  for (const [name, variable, rows] of servers) {
    const url = process.env[variable]
    const skip = url === undefined && `${variable} is not set: run this by \`npm test\``
    it(`${name}${rows ? ` [${rows}]` : ''}`, { skip }, async () => {
      const store = await openStore(url!, { namespace: freshNamespace() })
      await assertWorks(store)
      const { description } = await store.open()
      assert.match(description, /\S+ \d+\.\d+/, 'it says what it is and of which version')
      await store.close()
    })
  }

  it('tiers, of which only the truth has to be there [D42 D43]', async (t) => {
    const folder = await folderFor(t)
    const store = await openStore(`tiered: memory: redis://127.0.0.1:1 memory: sqlite:${folder}/a.db`)
    await assertWorks(store)
    const { description } = await store.open()
    assert.match(
      description,
      /^this process’s memory over a cache that can’t be reached over this .* over SQLite/,
    )
    await store.close()
  })

  it('or refused, naming the schemes that there are [T22 K52]', async () => {
    for (const url of ['foo://somewhere', 'mongo://somewhere', 'Redis://somewhere', 'just-a-word', '']) {
      const error = await refusal(url)
      assert.ok(error instanceof UnknownScheme, `${url}: ${error.message}`)
      for (const scheme of ['sqlite:', 'file:', 'dir:', 'memory:', 'postgres:', 'mysql:', 'mariadb:']) {
        assert.ok(error.message.includes(` ${scheme}`), scheme)
      }
      for (const scheme of ['redis:', 'rediss:', 'valkey:', 'memcached:', 'mongodb:', 'mongodb+srv:']) {
        assert.ok(error.message.includes(` ${scheme}`), scheme)
      }
    }
  })

  it('or refused where the address can’t be right', async () => {
    const wrong = [
      'memory:somewhere',
      'sqlite:',
      'sqlite://relative/path',
      'sqlite:a.db?mode=ro',
      'sqlite:%E0%A4%A.db',
      'file://host/path',
      'dir://host/path',
      'postgres://a,b/db',
      'postgres://host/db?sslmode=nonsense',
      'mysql://host',
      'mariadb://:0x/db',
      'redis://host/not-a-number',
      'redis://a,b/1',
      'redis+sentinel://host',
      'memcached://host:port',
      'mongodb://host',
    ]
    for (const url of wrong) {
      const error = await refusal(url)
      assert.ok(error instanceof StoreMisconfigured, `${url}: ${error.name} ${error.message}`)
    }
  })

  it('or refused where the tiers can’t be told apart', async () => {
    for (const url of ['tiered:', 'tiered: memory:', 'tiered: memory: tiered: memory: memory:'])
      assert.ok((await refusal(url)) instanceof StoreMisconfigured, url)
    assert.ok((await refusal('tiered: gopher: memory:')) instanceof UnknownScheme)
  })

  it('and a password is never shown [T17 T18]', async () => {
    const password = 'p%C3%A4ss%2Fw%40rd'
    const plain = decodeURIComponent(password)
    const dead = '127.0.0.1:9'
    for (const url of [
      `postgres://ada:${password}@${dead}/db`,
      `mysql://ada:${password}@${dead}/db`,
      `redis://ada:${password}@${dead}/0`,
      `redis+sentinel://ada:${password}@${dead}/main`,
      `mongodb://ada:${password}@${dead}/db?serverSelectionTimeoutMS=500`,
      `postgres://ada:${password}@${dead}/db?sslmode=nonsense`,
      `redis://ada:${password}@${dead}/x`,
      `mysql://ada:${password}@:port/db`,
      `mongodb://ada:${password}@${dead}/`,
    ]) {
      const error = await refusal(url)
      const said = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String(error.stack)
      assert.ok(!said.includes(password) && !said.includes(plain), `${url.split(':')[0]!}: ${error.message}`)
    }
  })

  it('and `tls` is refused where there is no server', async () => {
    for (const url of ['memory:', 'sqlite::memory:', 'dir:']) {
      await assert.rejects(openStore(url, { tls: {} }), InvalidOption)
    }
  })
})
