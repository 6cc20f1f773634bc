import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, it, type TestContext } from 'node:test'
import { openStore, type Store, Tokens } from 'holdfast'
import { freshNamespace } from '../drivers/redis/targets.ts'
import { inTerminal } from './in-terminal.ts'
import { type Ended, ended, folderFor, start, type Tree } from './running.ts'
import { cleared, servers } from './servers.ts'

/** A folder with stores in files, and a namespace, for one test. */
async function place(t: TestContext) {
  const folder = await folderFor(t)
  const namespace = freshNamespace()
  return {
    folder,
    namespace,
    url: (name: string) => `sqlite://${folder}/${name}.db`,
    open: async (url: string, name = namespace): Promise<Store> =>
      await openStore(url, { namespace: name, deadline: '30s' }),
    copy: async (...line: readonly string[]): Promise<Ended> =>
      await inTerminal(['store', 'copy', '--namespace', namespace, ...line], { folder }),
  }
}

async function fill(store: Store, count: number): Promise<void> {
  for (let start = 0; start < count; start += 500) {
    await store.write(
      Array.from({ length: Math.min(500, count - start) }, (_, i) => ({
        type: 'create',
        key: { collection: 'sessions', id: `id-${start + i}` },
        value: Buffer.from(`value of ${start + i}`),
        labels: [`user:u${i % 50}`],
        expiresAt: Date.now() + 3_600_000,
      })),
    )
  }
}

function asJson({ code, out, err }: Ended): Tree {
  assert.equal(code, 0, err)
  return JSON.parse(out) as Tree
}

/** A copy in a process of its own. */
function started(t: TestContext, folder: string, line: readonly string[]): ChildProcess {
  const child = start(['store', 'copy', ...line], { folder })
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** Waits until a store holds so many sessions. */
async function holding(store: Store, least: number): Promise<void> {
  while ((await store.count('sessions', { atMost: least })) < least) await delay(5)
}

/** Its URL is the test's folder. */
const aFolder = { name: 'a folder', url: '', skip: false } as const

describe('holdfast store copy', () => {
  it('copies everything to another store, and says what it did', async (t) => {
    const { url, open, copy, namespace } = await place(t)
    const source = await open(url('from'))
    await fill(source, 250)
    const { credential } = await new Tokens(source).issue({ user: 'ada', expiresIn: '1h' })
    await source.close()
    const { code, out, err } = await copy(url('from'), url('to'), '--to-namespace', 'moved')
    assert.deepEqual([code, err], [0, ''])
    assert.match(
      out,
      new RegExp(`^from +SQLite .*from\\.db, namespace ${namespace}\nto +SQLite .*, namespace moved\n`),
    )
    assert.match(
      out,
      /records +251\nof these created now +251\nthere before +0\nverified +count and digest are equal\n/,
    )
    const target = await open(url('to'), 'moved')
    assert.equal((await new Tokens(target).verify(credential))?.user, 'ada')
    assert.deepEqual((await target.list('meta')).records, [])
    await target.close()
    const again = asJson(await copy(url('from'), url('to'), '--to-namespace', 'moved', '--json'))
    assert.deepEqual([again['created'], again['present'], again['others']], [0, 251, 0])
    assert.deepEqual(again['from'], again['to'])
  })

  for (const { name, url: server, skip } of [...servers, aFolder]) {
    it(`copies from SQLite over ${name} and back`, { skip }, async (t) => {
      const { folder, url, open, copy } = await place(t)
      // Each write to FerretDB takes as long as twenty to the others.
      const count = name === 'MongoDB' ? 100 : 500
      const source = await open(url('from'))
      await fill(source, count)
      await source.close()
      const middle = server || `dir://${folder}/dir`
      const there = asJson(await copy(url('from'), middle, '--json'))
      const target = await open(middle)
      try {
        assert.equal((await target.list('sessions', { labels: ['user:u7'] })).records.length, count / 50)
        const back = asJson(await copy(middle, url('to'), '--json'))
        for (const report of [there, back]) {
          assert.equal(report['created'], count)
          assert.deepEqual(report['from'], there['from'])
          assert.deepEqual(report['to'], there['from'])
        }
      } finally {
        await cleared(target)
      }
      const end = await open(url('to'))
      assert.equal((await end.list('sessions', { labels: ['user:u7'] })).records.length, count / 50)
      await end.close()
    })
  }

  const memcached = process.env['HOLDFAST_TEST_MEMCACHED']
  const skip = memcached ? false : 'HOLDFAST_TEST_MEMCACHED is not set: run this by `npm test`'
  it('copies to Memcached with a warning, each record read back, and not from it', { skip }, async (t) => {
    const { url, open, copy } = await place(t)
    const source = await open(url('from'))
    await fill(source, 500)
    await source.close()
    const { code, out, err } = await copy(url('from'), memcached!)
    assert.equal(code, 0, err)
    assert.match(err, /warning: the target can't list what belongs to a user/)
    assert.match(out, /verified +each record was read back\n/)
    const target = await open(memcached!)
    const found = await target.read({ collection: 'sessions', id: 'id-77' })
    assert.equal(Buffer.from(found!.value).toString(), 'value of 77')
    await target.close()
    const refused = await copy(memcached!, url('to'))
    assert.equal(refused.code, 1)
    assert.match(refused.err, /can't be copied from: it can't list what it holds.*HOLDFAST_NOT_SUPPORTED/)
  })

  it('goes on after it was killed, and ends with the same', async (t) => {
    const { folder, url, open, copy, namespace } = await place(t)
    const source = await open(url('from'))
    const target = await open(url('to'))
    await fill(source, 20_000)
    const child = started(t, folder, [url('from'), url('to'), '--namespace', namespace])
    await holding(target, 2_000)
    child.kill('SIGKILL')
    const { code } = await ended(child)
    assert.equal(code, null, 'it was killed before its end')
    const report = asJson(await copy(url('from'), url('to'), '--json'))
    assert.equal(report['resumed'], true)
    assert.ok((report['created'] as unknown as number) < 18_001)
    assert.equal((report['from'] as Tree)['records'], 20_000)
    assert.deepEqual(report['from'], report['to'])
    assert.equal(await target.count('sessions'), 20_000)
    await source.close()
    await target.close()
  })

  it('ends tidily on SIGINT, and goes on afterwards', async (t) => {
    const { folder, url, open, copy, namespace } = await place(t)
    const source = await open(url('from'))
    const target = await open(url('to'))
    await fill(source, 20_000)
    const child = started(t, folder, [url('from'), url('to'), '--namespace', namespace])
    await holding(target, 2_000)
    child.kill('SIGINT')
    const { code, err } = await ended(child)
    assert.equal(code, 1)
    assert.match(err, /^holdfast: ended before it was done; .*\(HOLDFAST_INTERRUPTED\)\n$/)
    const copied = await target.count('sessions')
    const report = asJson(await copy(url('from'), url('to'), '--json'))
    assert.deepEqual([report['resumed'], report['created']], [true, 20_000 - copied])
    assert.ok((report['present'] as unknown as number) <= 400, 'what was done is not looked at again')
    await source.close()
    await target.close()
  })

  it('fails when a record was altered meanwhile, names it, and mends it when told to', async (t) => {
    const { folder, url, open, copy, namespace } = await place(t)
    const source = await open(url('from'))
    const target = await open(url('to'))
    await fill(source, 20_000)
    const child = started(t, folder, [url('from'), url('to'), '--namespace', namespace])
    await holding(target, 1_000)
    const [copied] = (await target.list('sessions', { limit: 1 })).records
    const record = (await source.read(copied!.key))!
    const change = { key: record.key, expected: record.version, expiresAt: record.expiresAt }
    await source.replace({ ...change, value: Buffer.from('altered') })
    const { code, err } = await ended(child)
    assert.equal(code, 1)
    assert.match(err, /^holdfast: 1 records are not in the target .*HOLDFAST_TRANSFER_MISMATCH\)\n$/)
    assert.ok(err.includes(`sessions/${record.key.id} differs`), err)
    const again = await copy(url('from'), url('to'))
    assert.deepEqual([again.code, /HOLDFAST_TRANSFER_CONFLICT/.test(again.err)], [1, true])
    const mended = asJson(await copy(url('from'), url('to'), '--overwrite', '--json'))
    assert.equal(mended['overwritten'], 1)
    assert.equal(Buffer.from((await target.read(record.key))!.value).toString(), 'altered')
    await source.close()
    await target.close()
  })

  it('takes URLs from the environment, where their passwords stay out of the process list', async (t) => {
    const { folder, url, open, namespace } = await place(t)
    const source = await open(url('from'))
    await fill(source, 10)
    await source.close()
    const environment = { OLD: url('from'), NEW: url('to') }
    const line = ['store', 'copy', '--namespace', namespace]
    const copied = await inTerminal([...line, 'env:OLD', 'env:NEW', '--json'], { folder, environment })
    assert.equal(asJson(copied)['created'], 10)
    const { code, err } = await inTerminal([...line, 'env:OLD', 'env:OTHER'], { folder, environment })
    assert.equal(code, 2)
    assert.match(err, /env:OTHER names a variable .* not set/)
  })

  it('shows how far it is on a terminal', async (t) => {
    const { folder, url, open, namespace } = await place(t)
    const source = await open(url('from'))
    await fill(source, 3_000)
    await source.close()
    const line = ['store', 'copy', url('from'), url('to'), '--namespace', namespace]
    const { code, err } = await inTerminal(line, { folder, isTTY: true })
    assert.equal(code, 0)
    assert.match(err, /copying \[.*\] \d+ of about \d+ records, \d+/)
    assert.match(err, /verifying \[/)
  })

  it('refuses what can’t be', async (t) => {
    const { url, open, copy } = await place(t)
    await (await open(url('from'))).close()
    const refused = async (code: number, message: RegExp, ...line: readonly string[]): Promise<void> => {
      const ended = await copy(...line)
      assert.deepEqual([ended.code, ended.out], [code, ''], ended.err)
      assert.match(ended.err, message)
      assert.equal(ended.err.trim().split('\n').length, 1, ended.err)
    }
    await refused(2, /memory: is inside one process.*HOLDFAST_USAGE/, 'memory:', url('to'))
    await refused(2, /memory: is inside one process.*HOLDFAST_USAGE/, url('from'), 'memory:')
    await refused(69, /there is no store at .*missing\.db/, url('missing'), url('to'))
    await refused(2, /are the same store/, url('from'), url('from'))
    await refused(2, /HOLDFAST_UNKNOWN_SCHEME/, url('from'), 'ftp://somewhere')
    await refused(69, /HOLDFAST_STORE_UNAVAILABLE/, url('from'), 'redis://ada:secret@127.0.0.1:1')
  })
})
