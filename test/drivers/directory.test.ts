/** What the directory driver does beyond the store suite: names, formats, links, damage, leftovers, what it refuses. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'

import { directoryStore, openDirectoryStore } from '../../packages/holdfast/src/drivers/directory.ts'
import { fileSystemOf } from '../../packages/holdfast/src/drivers/directory/file-system.ts'
import {
  decodedId,
  encodedId,
  keyOfName,
  Layout,
  nameOf,
  shardOf,
} from '../../packages/holdfast/src/drivers/directory/layout.ts'
import { Damaged, decoded, encoded } from '../../packages/holdfast/src/drivers/directory/record-file.ts'
import { InvalidOption, StoreMisconfigured } from '../../packages/holdfast/src/errors.ts'
import { compareBytes, type Key, never, type StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import type { Store, StoreOptions } from '../../packages/holdfast/src/store/store.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { until } from '../until.ts'
import { temporaryFolder } from './directory/folder.ts'

const path = temporaryFolder()
const keyOf = (id: string): Key => ({ collection: 'sessions', id })
const hour = 3_600_000

/** A store, its folder, and where things lie in it. */
async function opened(options: StoreOptions = {}): Promise<{ store: Store; layout: Layout }> {
  const folder = path()
  const store = directoryStore(folder, options)
  await store.open()
  return { store, layout: new Layout(folder, 'holdfast') }
}

async function create(
  store: Store,
  id: string,
  labels: readonly string[] = [],
  expiresAt = never,
): Promise<string> {
  const written = await store.create({ key: keyOf(id), value: Buffer.from(id), labels, expiresAt })
  assert.equal(written.status, 'done')
  return written.version
}

async function idsWith(store: Store, labels: readonly string[] = [], limit = 100): Promise<string[]> {
  const ids: string[] = []
  for (let after: string | undefined; ;) {
    const page = await store.list('sessions', { labels, limit, ...(after === undefined ? {} : { after }) })
    ids.push(...page.records.map(({ key }) => key.id))
    if (page.next === undefined) return ids
    after = page.next
  }
}

/** Every path below a folder. */
function all(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map(({ parentPath, name }) =>
    join(parentPath, name),
  )
}

describe('names of files', () => {
  const characters = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~-')
  const randomId = (): string =>
    Array.from({ length: randomInt(1, 121) }, () => characters[randomInt(characters.length)]).join('')
  const ids = [
    ...characters,
    ...characters.flatMap((a) => ['a', 'A', '-'].map((b) => a + b)),
    ...['con', 'CON', 'nul', 'aux.'.slice(0, 3), '~'.repeat(120), 'Z'.repeat(120)],
    ...Array.from({ length: 500 }, randomId),
  ]

  it('are told apart where case is ignored, sort as the ids do, and fit [D6 T16]', () => {
    const distinct = [...new Set(ids)]
    const names = distinct.map((id) => nameOf({ collection: 'c'.repeat(32), id }))
    assert.equal(new Set(names.map((name) => name.toUpperCase())).size, distinct.length)
    for (const name of names) assert.match(name, /^[a-z][a-z0-9-]*\.[0-9a-v]{1,192}$/)
    assert.deepEqual(
      distinct.toSorted((a, b) => compareBytes(encodedId(a), encodedId(b))),
      distinct.toSorted(compareBytes),
    )
    assert.ok(Math.max(...names.map((name) => name.length)) + 'xx.'.length <= 255)
  })

  it('stand for one id each, and other names for none', () => {
    for (const id of ids) assert.equal(decodedId(encodedId(id)), id)
    const name = encodedId('ab')
    for (const other of [
      '',
      name.toUpperCase(),
      `${name}0`,
      name.slice(0, -1),
      `${name.slice(0, -1)}1`,
      '..',
      'zz',
    ]) {
      assert.equal(decodedId(other), undefined, other)
    }
    for (const other of ['', 'sessions', 'Sessions.c4', '../x.c4', 'sessions.c4.tmp', '.DS_Store', '.c4']) {
      assert.equal(keyOfName(other), undefined, other)
    }
  })

  it('keep records apart whose ids differ in case only [D6]', async () => {
    const { store, layout } = await opened()
    const some = ['a', 'A', 'aa', 'aA', 'Aa', 'AA']
    for (const id of some) await create(store, id, ['user:ada', `user:${id}`])
    for (const id of some) assert.equal(Buffer.from((await store.read(keyOf(id)))!.value).toString(), id)
    const names = all(layout.home).map((each) => each.toLowerCase())
    assert.equal(new Set(names).size, names.length)
    await store.close()
  })

  it('other than ours are left alone wherever they turn up', async () => {
    const { store, layout } = await opened()
    await create(store, 'a', ['user:ada'])
    const foreign = [
      join(layout.records('00'), '.DS_Store'),
      join(layout.records(shardOf(keyOf('a'))), 'sessions.notes.txt'),
      join(layout.label('sessions', 'user:ada'), 'Thumbs.db'),
      join(layout.expiry, 'readme'),
    ]
    for (const each of foreign) writeFileSync(each, 'mine')
    assert.deepEqual(await idsWith(store, ['user:ada']), ['a'])
    assert.deepEqual(await idsWith(store), ['a'])
    assert.equal((await store.scan({ index: 0, of: 1 })).records.length, 1)
    await store.sweep()
    for (const each of foreign) assert.equal(readFileSync(each, 'utf8'), 'mine')
    await store.close()
  })
})

describe('what is made', () => {
  it('may be read and written by its owner only', { skip: process.platform === 'win32' }, async () => {
    const { store, layout } = await opened()
    await create(store, 'a', ['user:ada'], Date.now() + hour)
    for (const each of [layout.root, ...all(layout.root)]) {
      const at = lstatSync(each)
      assert.equal(at.mode & 0o777, at.isDirectory() ? 0o700 : 0o600, each)
    }
    await store.close()
  })

  it('lies inside of the folder, whatever the id [D46 T16]', async () => {
    const { store, layout } = await opened()
    const before = readdirSync(dirname(layout.root))
    for (const id of ['../escaped', '..', 'a/b', 'a\\b', '/etc/passwd']) {
      await assert.rejects(create(store, id), { code: 'HOLDFAST_INVALID_KEY' })
    }
    assert.deepEqual(readdirSync(dirname(layout.root)), before)
    await store.close()
  })
})

describe('the format of a record', () => {
  const record = {
    key: keyOf('a'),
    version: '1.x',
    labels: ['user:ad\u{1f600}'],
    value: Buffer.from('value\n\0'),
    expiresAt: never,
    touchedAt: 7,
  }
  const whole = (bytes: Buffer): StoredRecord => decoded(bytes, bytes.length, record.key, true)

  it('gives back what was stored', () => {
    assert.deepEqual(whole(encoded(record)), record)
    const head = encoded(record).subarray(0, -record.value.length)
    assert.deepEqual(decoded(head, encoded(record).length, record.key, false), {
      ...record,
      value: new Uint8Array(0),
    })
  })

  it('shows every torn end, every changed byte and every other key', () => {
    const bytes = encoded(record)
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => whole(bytes.subarray(0, length)), Damaged, `${length} bytes`)
    }
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 0x11
      assert.throws(() => whole(changed), Damaged, `byte ${at}`)
    }
    assert.throws(() => whole(Buffer.concat([bytes, Buffer.from('x')])), Damaged)
    assert.throws(
      () => decoded(bytes, bytes.length, keyOf('b'), true),
      /holds sessions\/a instead of sessions\/b/,
    )
    const later = Buffer.from(bytes.toString('latin1').replace('record 1', 'record 2'), 'latin1')
    assert.throws(() => whole(later), /newer Holdfast/)
  })
})

describe('a record that is damaged', () => {
  /** A store with `a` and `b`, where `a` is half of what it was. */
  async function damaged(clock = fakeClock()): Promise<{ store: Store; layout: Layout; file: string }> {
    const { store, layout } = await opened({ clock })
    for (const id of ['a', 'b']) await create(store, id, ['user:ada'], clock.now() + hour)
    const file = layout.record(keyOf('a'))
    writeFileSync(file, readFileSync(file).subarray(0, -1))
    return { store, layout, file }
  }

  it('is an error that names it, and never "not there" [T10]', async () => {
    const { store, file } = await damaged()
    const expected = { code: 'HOLDFAST_STORE_CORRUPT', message: new RegExp(`^${file} .*torn`) }
    await assert.rejects(async () => await store.read(keyOf('a')), expected)
    await assert.rejects(create(store, 'a'), expected)
    await assert.rejects(
      store.replace({ key: keyOf('a'), expected: '1.x', value: Buffer.from(''), expiresAt: never }),
      expected,
    )
    await assert.rejects(store.scan({ index: 0, of: 1 }), expected)
    await assert.rejects(store.readMany([keyOf('a'), keyOf('b'), keyOf('c')]), (error: unknown) => {
      assert.ok(error instanceof Error && 'answers' in error && Array.isArray(error.answers))
      const [first, second, third] = error.answers as ({ answer: unknown } | undefined)[]
      assert.equal(first, undefined)
      assert.notEqual(second?.answer, undefined)
      assert.deepEqual(third, { answer: undefined })
      return true
    })
    await store.close()
  })

  it('does not hide the others from a listing, which warns of it once', async () => {
    const { store, file } = await damaged()
    const warnings: (Error & { code?: string })[] = []
    const listen = (warning: Error): number => warnings.push(warning)
    process.on('warning', listen)
    for (const labels of [['user:ada'], []]) assert.deepEqual(await idsWith(store, labels), ['b'])
    assert.equal(await store.count('sessions', { labels: ['user:ada'] }), 1)
    await new Promise(setImmediate)
    process.off('warning', listen)
    assert.deepEqual(
      warnings.map(({ code, message }) => [code, message.includes(file)]),
      [['HOLDFAST_STORE_CORRUPT', true]],
    )
    await store.close()
  })

  it('does not stop a sweep, and can be removed', async () => {
    const clock = fakeClock()
    const { store } = await damaged(clock)
    clock.advance(2 * hour)
    const { removed, next } = await store.sweep()
    assert.deepEqual([removed.map(({ key }) => key.id), next], [['b'], undefined])
    await store.remove([keyOf('a')])
    await create(store, 'a')
    await store.close()
  })
})

describe('a link', () => {
  const skip = process.platform === 'win32' && 'links are not made on Windows'

  /** Puts a link to a file or folder outside in the place of something. */
  function linked(at: string, target: string): void {
    if (existsSync(at) && lstatSync(at).isDirectory()) rmdirSync(at)
    else if (existsSync(at)) unlinkSync(at)
    symlinkSync(target, at)
  }

  function outsideFile(): string {
    const file = path('outside')
    writeFileSync(file, 'theirs')
    return file
  }

  function outsideFolder(): string {
    const folder = path('outside')
    mkdirSync(folder)
    return folder
  }

  it('in the place of a record is neither read nor written through', { skip }, async () => {
    const { store, layout } = await opened()
    const target = outsideFile()
    const version = await create(store, 'a')
    linked(layout.record(keyOf('a')), target)
    const code = 'HOLDFAST_STORE_CORRUPT'
    await assert.rejects(async () => await store.read(keyOf('a')), { code, message: /not followed/ })
    await assert.rejects(create(store, 'a'), { code })
    const rewrite = { key: keyOf('a'), expected: version, value: Buffer.from('x'), expiresAt: never }
    await assert.rejects(store.replace(rewrite), { code })
    await store.remove([keyOf('a')])
    assert.equal(readFileSync(target, 'utf8'), 'theirs')
    await store.close()
  })

  it(
    'in the place of what is being written, of an entry or of a lock is not followed',
    { skip },
    async () => {
      const { store, layout } = await opened()
      const target = outsideFile()
      const shard = shardOf(keyOf('a'))
      linked(layout.temp(shard, 0), target)
      await create(store, 'a')
      // The link was no file of ours in the way, so it was removed.
      assert.ok(lstatSync(layout.record(keyOf('a'))).isFile())

      const labels = layout.label('sessions', 'user:ada')
      mkdirSync(labels)
      linked(join(labels, encodedId('b')), join(dirname(target), 'made-by-link'))
      await assert.rejects(create(store, 'b', ['user:ada']), { code: 'HOLDFAST_STORE_CORRUPT' })
      assert.equal(await store.read(keyOf('b')), undefined)

      const lock = layout.lock(shardOf(keyOf('c')))
      linked(lock, target)
      await assert.rejects(create(store, 'c'), { code: 'HOLDFAST_STORE_CORRUPT', message: /not followed/ })
      linked(lock, join(dirname(target), 'made-by-link'))
      await assert.rejects(create(store, 'c'), { code: 'HOLDFAST_STORE_CORRUPT', message: /not followed/ })
      assert.equal(existsSync(join(dirname(target), 'made-by-link')), false)
      assert.equal(readFileSync(target, 'utf8'), 'theirs')
      await store.close()
    },
  )

  it('in the place of a folder gets nothing written into its target', { skip }, async () => {
    const { store, layout } = await opened()
    const target = outsideFolder()
    linked(layout.label('sessions', 'user:ada'), target)
    await assert.rejects(create(store, 'a', ['user:ada']), { code: 'HOLDFAST_STORE_CORRUPT' })
    const soon = Date.now() + hour
    linked(layout.hour(Math.floor(soon / hour)), target)
    await assert.rejects(create(store, 'a', [], soon), { code: 'HOLDFAST_STORE_CORRUPT' })
    assert.deepEqual(readdirSync(target), [])
    await store.close()
    for (const folder of [layout.records('7f'), layout.temps, join(layout.home, 'labels', '0')]) {
      linked(folder, target)
      const again = directoryStore(layout.root)
      await assert.rejects(again.open(), { code: 'HOLDFAST_STORE_CORRUPT', message: /symbolic link/ })
      unlinkSync(folder)
    }
    assert.deepEqual(readdirSync(target), [])
  })

  it('to a pipe or a device blocks nobody', { skip }, async () => {
    const { store, layout } = await opened()
    const pipe = layout.record(keyOf('a'))
    if (spawnSync('mkfifo', [pipe]).status === 0) {
      await assert.rejects(async () => await store.read(keyOf('a')), { code: 'HOLDFAST_STORE_CORRUPT' })
    }
    await store.close()
  })

  it('that its owner names as the folder is followed', { skip }, async () => {
    const target = outsideFolder()
    const link = path('link')
    symlinkSync(target, link)
    const store = directoryStore(link)
    // The folder was made with the permissions of everybody else's.
    chmodSync(target, 0o755)
    await create(store, 'a')
    assert.ok(readdirSync(target).includes('holdfast-directory'))
    await store.close()
  })
})

describe('leftovers of a crash', () => {
  it('are cleared away by the next who use the shard', async () => {
    const { store, layout } = await opened()
    const shard = shardOf(keyOf('a'))
    const left = [0, 1, 63].map((n) => layout.temp(shard, n))
    for (const each of left) writeFileSync(each, 'half a rec')
    await create(store, 'a')
    assert.deepEqual(left.filter(existsSync), [])
    await store.close()
  })

  it('in the index are not listed, and dropped by whoever meets them [races: F1 F3]', async () => {
    const { store, layout } = await opened()
    await create(store, 'kept', ['user:ada'])
    await create(store, 'other', ['user:eve'])
    const folder = layout.label('sessions', 'user:ada')
    for (const id of ['never-made', 'other']) writeFileSync(join(folder, encodedId(id)), '')
    // Who lists does not wait long for a lock, so the next one may have to finish it.
    for (let i = 0; i === 0 || (i < 50 && readdirSync(folder).length > 1); i++) {
      assert.deepEqual(await idsWith(store, ['user:ada']), ['kept'])
    }
    assert.deepEqual(readdirSync(folder), [encodedId('kept')])
    assert.deepEqual(await idsWith(store, ['user:eve']), ['other'])
    await store.close()
  })

  it('among the hints are dropped by the sweep [races: F4]', async () => {
    const clock = fakeClock()
    const { store, layout } = await opened({ clock })
    const now = Math.floor(clock.now() / hour)
    const shard = shardOf(keyOf('never-made'))
    mkdirSync(layout.hour(now - 5))
    writeFileSync(join(layout.hour(now - 5), `${shard}.${nameOf(keyOf('never-made'))}`), '')
    assert.deepEqual(await store.sweep(), { removed: [] })
    // Entries that are too many are removed after the answer, and before the end.
    await store.close()
    assert.deepEqual(readdirSync(layout.expiry), [])
  })
})

describe('the hints at what expires', () => {
  it('stay as they are when a record is touched, and are moved by the sweep [T23 D49]', async () => {
    const clock = fakeClock()
    const { store, layout } = await opened({ clock })
    const version = await create(store, 'a', [], clock.now() + hour)
    await create(store, 'b', [], clock.now() + hour)
    const hours = readdirSync(layout.expiry)
    await store.touch([{ key: keyOf('a'), version, expiresAt: clock.now() + 9 * hour }])
    assert.deepEqual(readdirSync(layout.expiry), hours)
    clock.advance(3 * hour)
    const { removed } = await store.sweep()
    assert.deepEqual(
      removed.map(({ key }) => key.id),
      ['b'],
    )
    await until('its hint is moved', () =>
      isDeepStrictEqual(readdirSync(layout.expiry), [String(Number(hours[0]) + 8)]),
    )
    clock.advance(8 * hour)
    assert.equal((await store.sweep()).removed.length, 1)
    await store.close()
    assert.deepEqual(readdirSync(layout.expiry), [])
  })
})

describe('a long listing', () => {
  it('goes on in another process, and with what has come and gone meanwhile', async () => {
    const { store, layout } = await opened({ deadline: '60s' })
    const ids = Array.from({ length: 1_300 }, (_, i) => `s${String(i).padStart(4, '0')}`)
    await Promise.all(ids.map((id) => create(store, id, ['user:ada'])))
    const other = directoryStore(layout.root)
    const first = await store.list('sessions', { labels: ['user:ada'], limit: 500 })
    assert.match(first.next ?? '', /^s0499\../)
    await create(store, 's9999', ['user:ada'])
    await store.remove([keyOf('s0600')])
    for (const each of [store, other]) {
      const after = first.next ?? ''
      const rest = await each.list('sessions', { labels: ['user:ada'], limit: 1_000, after })
      const found = rest.records.map(({ key }) => key.id).filter((id) => id !== 's9999')
      assert.deepEqual(
        found,
        ids.slice(500).filter((id) => id !== 's0600'),
      )
    }
    assert.deepEqual(await idsWith(store, ['user:ada'], 333), [
      ...ids.filter((id) => id !== 's0600'),
      's9999',
    ])
    await assert.rejects(store.list('sessions', { after: 'a.b.c!' }), { code: 'HOLDFAST_INVALID_CURSOR' })
    await store.close()
    await other.close()
  })
})

describe('a folder', () => {
  it('is made, kept and found again', async () => {
    const { store, layout } = await opened()
    await create(store, 'a', ['user:ada'])
    await store.close()
    const again = directoryStore(layout.root)
    assert.deepEqual(await idsWith(again, ['user:ada']), ['a'])
    const { description, capabilities } = await again.open()
    assert.ok(description.startsWith(`directory ${layout.root}`), description)
    assert.deepEqual([capabilities.shared, capabilities.durable.process], [true, true])
    await again.close()
  })

  it('may hold several namespaces, which see nothing of each other', async () => {
    const { store: one, layout } = await opened()
    const two = directoryStore(layout.root, { namespace: 'two' })
    await create(one, 'a', ['user:ada'])
    assert.equal(await two.read(keyOf('a')), undefined)
    assert.deepEqual(await idsWith(two, ['user:ada']), [])
    await two.remove([keyOf('a')])
    assert.deepEqual(await idsWith(one, ['user:ada']), ['a'])
    await one.close()
    await two.close()
  })

  it('is refused with its cause and cure where it cannot be one [D47]', async () => {
    const [file, full, open, newer] = [path('file'), path('full'), path('open'), path('newer')]
    writeFileSync(file, '')
    for (const folder of [full, open, newer]) mkdirSync(folder, 0o700)
    writeFileSync(join(full, 'thesis.txt'), 'mine')
    chmodSync(open, 0o777)
    writeFileSync(join(newer, 'holdfast-directory'), 'holdfast directory 2\n')
    const refusals: readonly (readonly [string, RegExp])[] = [
      [join(path('missing'), 'store'), /folder above it is missing\. Create /],
      [file, /is not a folder/],
      [join(file, 'store'), /is not a folder/],
      [full, /not empty, and not the folder of a Holdfast store/],
      [open, /chmod go-w/],
      [newer, /newer Holdfast/],
    ]
    for (const [at, message] of refusals) {
      const store = directoryStore(at)
      await assert.rejects(store.open(), { code: 'HOLDFAST_STORE_MISCONFIGURED', message }, at)
      await store.close()
    }
    assert.deepEqual(readdirSync(full), ['thesis.txt'])
    assert.throws(() => directoryStore(''), StoreMisconfigured)
    assert.throws(() => directoryStore('x', { sharedFileSystem: 'maybe' as 'refused' }), InvalidOption)
  })

  it('that was refused can be opened once it is put right', async () => {
    const folder = join(path('not-yet'), 'store')
    const store = directoryStore(folder)
    await assert.rejects(store.open(), { code: 'HOLDFAST_STORE_MISCONFIGURED' })
    mkdirSync(dirname(folder))
    await create(store, 'a')
    await store.close()
  })

  it('that vanishes is an outage, not an empty store, and is used again when it is back', async () => {
    const { store, layout } = await opened()
    const version = await create(store, 'a', ['user:ada'])
    const away = `${layout.root}.away`
    renameSync(layout.root, away)
    const code = 'HOLDFAST_STORE_UNAVAILABLE'
    await assert.rejects(async () => await store.read(keyOf('a')), { code, message: /vanished/ })
    await assert.rejects(create(store, 'b'), { code })
    const touch = { key: keyOf('a'), version, expiresAt: never }
    await assert.rejects(store.touch([touch]), { code })
    await assert.rejects(store.list('sessions'), { code })
    await assert.rejects(store.list('sessions', { labels: ['user:ada'] }), { code })
    await assert.rejects(store.scan({ index: 0, of: 1 }), { code })
    await assert.rejects(store.sweep(), { code })
    renameSync(away, layout.root)
    assert.notEqual(await store.read(keyOf('a')), undefined)
    await create(store, 'b')
    await store.close()
  })

  it('whose lock files were removed is locked by new ones', async () => {
    const { store, layout } = await opened()
    await create(store, 'a')
    const lock = layout.lock(shardOf(keyOf('a')))
    unlinkSync(lock)
    await store.remove([keyOf('a')])
    assert.ok(statSync(lock).isFile())
    await store.close()
  })
})

describe('without a path', () => {
  it('a temporary folder is used, warned of, and removed at the end [T21]', async () => {
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    const store = openDirectoryStore(undefined)
    const { description, capabilities } = await store.open()
    const { code, message } = await warned
    const folder = /directory (\S+)/.exec(description)?.[1] ?? ''
    assert.equal(code, 'HOLDFAST_TEMPORARY_FOLDER')
    assert.ok(message.includes(folder))
    assert.deepEqual(capabilities.durable, { process: false, machine: false, failover: false })
    assert.equal(capabilities.shared, false)
    await create(store, 'a')
    assert.ok(existsSync(folder))
    await store.close()
    assert.equal(existsSync(folder), false)
  })
})

describe('a file system', () => {
  it('that machines share is told from local ones by its number', () => {
    const shared = [0x6969, 0xff534d42, -11317950, 0x65735546, 0x01021997]
    assert.deepEqual(
      shared.map((magic) => fileSystemOf(magic)).map(({ name, isShared }) => [name, isShared]),
      ['NFS', 'SMB', 'SMB', 'FUSE', '9P'].map((name) => [name, true]),
    )
    assert.deepEqual(fileSystemOf(0xef53), {
      name: 'ext4',
      isShared: false,
      isVolatile: false,
      renamesInPlace: true,
    })
    assert.equal(fileSystemOf(0x01021994).isVolatile, true)
    assert.equal(fileSystemOf(1).isShared, false)
  })
})
