/** Several processes over one folder, processes that die, and what reaches the disk before an acknowledgement. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { directoryStore } from '../../packages/holdfast/src/drivers/directory.ts'
import { shardOf } from '../../packages/holdfast/src/drivers/directory/layout.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { temporaryFolder } from './directory/folder.ts'
import { start } from './sqlite/processes.ts'

const path = temporaryFolder()
const fastPath = temporaryFolder(existsSync('/dev/shm') ? '/dev/shm' : tmpdir())
const keyOf = (id: string): { collection: string; id: string } => ({ collection: 'sessions', id })

describe('several processes', () => {
  it('count one record up and lose no increment, nor make one up [D44 K38]', async () => {
    const [processes, each] = [6, 400]
    const folder = fastPath('counted')
    const store = directoryStore(folder)
    const key = { collection: 'counters', id: 'shared' }
    await store.create({ key, value: Buffer.from('0'), expiresAt: never })
    const children = Array.from({ length: processes }, () => start('increment', [folder, String(each)]))
    await Promise.all(children.map((child) => child.ended()))
    const acknowledged = children.map((child) => Number(/acknowledged (\d+)/.exec(child.output())?.[1]))
    assert.deepEqual(
      acknowledged,
      children.map(() => each),
    )
    const record = await store.read(key)
    assert.equal(Buffer.from(record!.value).toString(), String(processes * each))
    await store.close()
  })

  it('make a new store at the same time', async () => {
    const folder = path('new')
    const children = Array.from({ length: 4 }, (_, i) => start('leave', [folder, String(i)]))
    await Promise.all(children.map((child) => child.ended()))
    const store = directoryStore(folder)
    assert.equal(await store.count('sessions'), 4)
    assert.deepEqual(readdirSync(folder).sort(), ['holdfast-directory', 'ns-holdfast', 'reserve'])
    await store.close()
  })

  it('find what was acknowledged, while folders of labels come and go with their last entry [races: F1 F2 F3]', async () => {
    const folder = path('toggled')
    const stores = Array.from({ length: 4 }, () => directoryStore(folder, { deadline: '30s' }))
    const labels = ['hot:one', 'hot:two']
    const missed: string[] = []
    const toggle = async (store: Store, next: Store, id: string): Promise<void> => {
      const draft = { key: keyOf(id), value: Buffer.from(id), expiresAt: never }
      let written = await store.create(draft)
      for (let i = 0; i < 30; i++) {
        assert.equal(written.status, 'done')
        const carried = i % 2 ? [] : labels
        written = await store.replace({ ...draft, expected: written.version, labels: carried })
        const { records } = await next.list('sessions', { labels: ['hot:two'] })
        if (records.some(({ key }) => key.id === id) !== carried.length > 0) missed.push(`${id} ${i}`)
      }
    }
    await Promise.all(stores.map((store, i) => toggle(store, stores[(i + 1) % 4] ?? store, `toggled-${i}`)))
    assert.deepEqual(missed, [])
    for (const store of stores) await store.close()
  })

  it('end by themselves though nobody closed the store', async () => {
    assert.equal(await start('leave', [path(), 'x']).ended(), 0)
  })
})

describe('a process that is killed', () => {
  it('has lost nothing that it acknowledged, whenever that was, and leaves nothing behind for long', async () => {
    const folder = path('killed')
    let acknowledged = 0
    for (let round = 0; round < 4; round++) {
      const child = start('writeForEver', [folder])
      await child.said('ready')
      await sleep(100 + Math.random() * 250)
      child.process.kill('SIGKILL')
      await child.ended()
      // The last line may be cut; only whole ones are acknowledgements.
      const ids = child.output().split('\n').slice(1, -1)
      acknowledged += ids.length
      const store = directoryStore(folder, { deadline: '30s' })
      const found = await store.readMany(ids.map(keyOf))
      for (const [i, record] of found.entries()) {
        assert.equal(
          Buffer.from(record?.value ?? []).toString(),
          ids[i],
          `${ids[i]} was acknowledged and is lost`,
        )
      }
      assert.equal(await store.count('sessions', { labels: ['user:ada'] }), await store.count('sessions'))
      // Whoever uses a shard next clears away what was half written in it.
      const temps = join(folder, 'ns-holdfast', 'temp')
      for (const name of readdirSync(temps)) await touchShard(store, name.slice(0, 2))
      assert.deepEqual(readdirSync(temps), [])
      await store.close()
    }
    assert.ok(acknowledged > 0, 'no write was acknowledged in any round')
  })

  async function touchShard(store: ReturnType<typeof directoryStore>, shard: string): Promise<void> {
    const ids = Array.from({ length: 10_000 }, (_, i) => `nobody-${i}`)
    const id = ids.find((each) => shardOf(keyOf(each)) === shard)
    await store.remove([keyOf(id ?? '')])
  }
})

describe('a lock', () => {
  const key = keyOf('held')
  const lock = (folder: string): string => join(folder, 'ns-holdfast', 'locks', shardOf(key))
  const draft = { key, value: Buffer.from('value'), expiresAt: never }

  it('that another process holds is waited for', async () => {
    const folder = path('waited')
    const store = directoryStore(folder)
    await store.open()
    writeFileSync(lock(folder), '')
    const holder = start('hold', [lock(folder), '1500'])
    await holder.said('held')
    const began = performance.now()
    assert.equal((await store.create(draft)).status, 'done')
    assert.ok(performance.now() - began > 100)
    await holder.ended()
    await store.close()
  })

  it('that is held past the deadline is a definite failure, and reads go on meanwhile', async () => {
    const folder = path('stuck')
    const store = directoryStore(folder, { deadline: '1s' })
    await store.open()
    writeFileSync(lock(folder), '')
    const holder = start('hold', [lock(folder), '60000'])
    await holder.said('held')
    const failed = store.create(draft)
    assert.equal(await store.read(key), undefined)
    await assert.rejects(failed, { code: 'HOLDFAST_STORE_UNAVAILABLE', message: /locked by another process/ })
    assert.equal(await store.read(key), undefined)
    // The system drops the lock of a process that dies.
    holder.process.kill('SIGKILL')
    await holder.ended()
    assert.equal((await store.create(draft)).status, 'done')
    await store.close()
  })
})

describe('an acknowledgement', () => {
  const skip = spawnSync('strace', ['-V']).status === 0 ? false : 'strace is not installed'

  it('comes after the file, its entries and its folder were flushed', { skip }, async () => {
    const folder = path('traced')
    const log = `${folder}.trace`
    const calls = 'trace=rename,renameat,renameat2,write,fsync,fdatasync'
    await start('writeInTurn', [folder, 'full'], ['strace', '-f', '-y', '-e', calls, '-o', log]).ended()
    assert.deepEqual(steps(readFileSync(log, 'utf8')), { acknowledged: 20, missing: [] })
  })

  /** What was not flushed by the time of each acknowledgement. */
  function steps(log: string): { acknowledged: number; missing: string[] } {
    const missing: string[] = []
    const flushed = new Set<string>()
    const flushing = new Map<string, string>()
    let acknowledged = 0
    const note = (folder: string): void => {
      if (folder.includes('/temp/')) flushed.add('file')
      if (/\/labels\/.\/.{64}$/.test(folder)) flushed.add('entry')
      if (/\/labels\/.$/.test(folder)) flushed.add('folder of the entry')
      if (folder.includes('/records/') && flushed.has('renamed')) flushed.add('folder')
    }
    for (const line of log.split('\n')) {
      const [, thread = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
      const target = /^f(?:data)?sync\(\d+<([^>]*)>/.exec(call)?.[1]
      if (target !== undefined && call.includes('unfinished')) flushing.set(thread, target)
      else if (target !== undefined && call.endsWith('= 0')) note(target)
      else if (/^<\.\.\. f(data)?sync resumed>.*= 0$/.test(call)) note(flushing.get(thread) ?? '')
      if (call.startsWith('rename')) {
        for (const step of ['file', 'entry', 'folder of the entry'])
          if (!flushed.has(step)) missing.push(step)
        flushed.add('renamed')
      }
      if (!/^write\(1<.*"ack \d+/.test(call)) continue
      acknowledged++
      for (const step of ['renamed', 'folder']) if (!flushed.has(step)) missing.push(step)
      flushed.clear()
    }
    return { acknowledged, missing }
  }
})

describe('a folder that may not be written', () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  const reason = reasonAgainst(nobody)

  it('is read, and writes are refused as read-only', { skip: reason }, async () => {
    const folder = path('readonly')
    const store = directoryStore(folder)
    await store.create({ key: keyOf('there'), value: Buffer.from('value'), expiresAt: never })
    await store.close()
    spawnSync('chmod', ['-R', 'a+rX,u-w', folder])
    const { opened, read, write } = await tried(folder)
    assert.match(String(opened), /read-only/)
    assert.equal(read, 'value')
    assert.equal(write.code, 'HOLDFAST_STORE_READ_ONLY')
    assert.match(write.message, /permission/)
  })

  it('and is no store yet is refused with the cause [D47]', { skip: reason }, async () => {
    const { opened, write } = await tried(path('nobodys'))
    assert.equal((opened as Ending).code, 'HOLDFAST_STORE_MISCONFIGURED')
    assert.match((opened as Ending).message, /may not write there/)
    assert.equal(write.code, 'HOLDFAST_STORE_MISCONFIGURED')
  })

  it('and whose records may not be read is an outage, not an empty store', { skip: reason }, async () => {
    const folder = path('unreadable')
    const store = directoryStore(folder)
    await store.create({ key: keyOf('there'), value: Buffer.from('value'), expiresAt: never })
    await store.close()
    spawnSync('chmod', ['-R', 'a+rX', folder])
    chmodSync(join(folder, 'ns-holdfast', 'records', shardOf(keyOf('there'))), 0o700)
    const { read } = await tried(folder)
    assert.equal((read as Ending).code, 'HOLDFAST_STORE_UNAVAILABLE')
  })

  interface Ending {
    readonly code: string
    readonly message: string
  }

  async function tried(folder: string): Promise<{ opened: unknown; read: unknown; write: Ending }> {
    const child = start('tryAll', [folder], nobody)
    await child.ended()
    return JSON.parse(child.output()) as { opened: unknown; read: unknown; write: Ending }
  }
})

/** Why this process can't become another user, or false. */
function reasonAgainst(as: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'not root, so no other user can be tried'
  const [command = '', ...args] = as
  const { status } = spawnSync(command, [...args, process.execPath, '--version'])
  return status === 0 ? false : 'setpriv is missing, or another user may not run this Node.js'
}
