/** Several processes over one file, processes that die, and what reaches the disk before an acknowledgement. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

import { openSqliteStore, sqliteStore } from '../../packages/holdfast/src/drivers/sqlite.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { temporaryFolder } from './sqlite/folder.ts'
import { start } from './sqlite/processes.ts'

const path = temporaryFolder()

describe('several processes', () => {
  it('count one record up and lose no increment, nor make one up [D44 K38]', async () => {
    const file = path()
    const store = openSqliteStore(file)
    const key = { collection: 'counters', id: 'shared' }
    await store.create({ key, value: Buffer.from('0'), expiresAt: never })
    const children = Array.from({ length: 4 }, () => start('increment', [file, '50']))
    await Promise.all(children.map((child) => child.ended()))
    const acknowledged = children.map((child) => Number(/acknowledged (\d+)/.exec(child.output())?.[1]))
    assert.deepEqual(acknowledged, [50, 50, 50, 50])
    const record = await store.read(key)
    assert.equal(Buffer.from(record!.value).toString(), '200')
    await store.close()
  })

  it('open a new file at the same time', async () => {
    const file = path()
    const children = Array.from({ length: 4 }, (_, i) => start('leave', [file, String(i)]))
    await Promise.all(children.map((child) => child.ended()))
    const store = openSqliteStore(file)
    assert.equal(await store.count('sessions'), 4)
    await store.close()
  })

  it('are told of each other by watch, at the latest at a mark', async () => {
    const file = path()
    const store = openSqliteStore(file)
    const seen = new Set<string>()
    const watch = await store.watch((change) => {
      if (change.type === 'changed') for (const { id } of change.keys) seen.add(id)
    })
    const child = start('leave', [file, 'elsewhere'])
    await child.said('written')
    await watch.mark()
    assert.deepEqual([...seen], ['left-elsewhere'])

    const later = start('leave', [file, 'later'])
    await later.ended()
    // Without a mark too: the feed looks by itself.
    while (!seen.has('left-later')) await sleep(5)
    await child.ended()
    await watch.close()
    await store.close()
  })

  it('end by themselves though nobody closed the store', async () => {
    const child = start('leave', [path(), 'x'])
    assert.equal(await child.ended(), 0)
  })
})

describe('a process that is killed', () => {
  it('has lost nothing that it acknowledged, whenever that was', async () => {
    const file = path()
    const rounds = 4
    let acknowledged = 0
    for (let round = 0; round < rounds; round++) {
      const child = start('writeForEver', [file])
      await child.said('ready')
      await sleep(30 + Math.random() * 250)
      child.process.kill('SIGKILL')
      await child.ended()
      const lines = child.output().split('\n')
      // The last line may be cut; only whole ones are acknowledgements.
      const ids = lines.slice(1, -1)
      acknowledged += ids.length
      const store = openSqliteStore(file, { deadline: '30s' })
      const found = await store.readMany(ids.map((id) => ({ collection: 'sessions', id })))
      for (const [i, record] of found.entries()) {
        assert.equal(
          Buffer.from(record?.value ?? []).toString(),
          ids[i],
          `${ids[i]} was acknowledged and is lost`,
        )
      }
      assert.equal(await store.count('sessions', { labels: ['user:ada'] }), await store.count('sessions'))
      await store.close()
    }
    assert.ok(acknowledged > 0, 'no write was acknowledged in any round')
  })
})

describe('an acknowledgement', () => {
  const strace = spawnSync('strace', ['-V']).status === 0
  const skip = strace ? false : 'strace is not installed'

  it('comes after the log was written and flushed', { skip }, async () => {
    const { acknowledged, unflushed, unwritten } = await traced('full')
    assert.deepEqual({ acknowledged, unflushed, unwritten }, { acknowledged: 20, unflushed: 0, unwritten: 0 })
  })

  it('is found out by the same check where nothing is flushed', { skip }, async () => {
    const { acknowledged, unflushed, unwritten } = await traced('normal')
    assert.deepEqual(
      { acknowledged, unflushed, unwritten },
      { acknowledged: 20, unflushed: 20, unwritten: 0 },
    )
  })

  it('is promised to survive a power cut only where it does', async () => {
    for (const synchronous of ['full', 'normal'] as const) {
      const store = openSqliteStore(path(), { synchronous })
      const { durable } = (await store.open()).capabilities
      assert.deepEqual(durable, { process: true, machine: synchronous === 'full', failover: false })
      await store.close()
    }
  })
})

interface Trace {
  acknowledged: number
  unflushed: number
  unwritten: number
}

/** Runs a writer under strace and looks, at each acknowledgement, at what had become of the log by then. */
async function traced(synchronous: string): Promise<Trace> {
  const file = path(`traced-${synchronous}`)
  const log = `${file}.trace`
  const calls = 'trace=pwrite64,pwritev,write,fsync,fdatasync'
  await start('writeInTurn', [file, synchronous], ['strace', '-f', '-y', '-e', calls, '-o', log]).ended()
  const trace: Trace = { acknowledged: 0, unflushed: 0, unwritten: 0 }
  const flushing = new Set<string>()
  let isWritten = false
  let isFlushed = false
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [, thread = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const isLog = call.includes('.db-wal>')
    const isSync = /^f(data)?sync\(/.test(call)
    if (isLog && /^pwrite/.test(call)) [isWritten, isFlushed] = [true, false]
    if (isLog && isSync && call.includes('unfinished')) flushing.add(thread)
    if (isLog && isSync && call.endsWith('= 0')) isFlushed = true
    if (/^<\.\.\. f(data)?sync resumed>/.test(call) && flushing.delete(thread))
      isFlushed = call.endsWith('= 0')
    if (!/^write\(1<.*"ack \d+/.test(call)) continue
    trace.acknowledged++
    if (!isWritten) trace.unwritten++
    if (!isFlushed) trace.unflushed++
    isWritten = false
  }
  return trace
}

describe('a file that may not be written', () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  const reason = reasonAgainst(nobody)

  it('is read, and writes are refused as read-only', { skip: reason }, async () => {
    const { file, database } = await withRecord('delete')
    database.close()
    chmodSync(file, 0o444)
    const { opened, read, write } = await tried(file, nobody)
    assert.match(String(opened), /read-only/)
    assert.equal(read, 'value')
    assert.equal(write.code, 'HOLDFAST_STORE_READ_ONLY')
    assert.match(write.message, /permission/)
  })

  it('is refused with the cause where its log cannot be made', { skip: reason }, async () => {
    const { file, database } = await withRecord('wal')
    database.close()
    chmodSync(file, 0o444)
    const { opened } = await tried(file, nobody)
    const { code, message } = opened as Ending
    assert.equal(code, 'HOLDFAST_STORE_MISCONFIGURED')
    assert.match(message, /log, which this process may not make/)
  })

  it('is refused with the cause where its folder admits no new file', { skip: reason }, async () => {
    const { opened, write } = await tried(path(), nobody)
    assert.equal((opened as Ending).code, 'HOLDFAST_STORE_MISCONFIGURED')
    assert.equal(write.code, 'HOLDFAST_STORE_MISCONFIGURED')
  })
})

interface Ending {
  readonly code: string
  readonly message: string
}

async function withRecord(journal: string): Promise<{ file: string; database: DatabaseSync }> {
  const file = path()
  const database = new DatabaseSync(file)
  database.exec(`pragma journal_mode = ${journal}`)
  const store = sqliteStore(database)
  await store.create({
    key: { collection: 'sessions', id: 'there' },
    value: Buffer.from('value'),
    expiresAt: never,
  })
  await store.close()
  return { file, database }
}

async function tried(
  file: string,
  as: readonly string[],
): Promise<{ opened: unknown; read: unknown; write: Ending }> {
  const child = start('tryAll', [file], as)
  await child.ended()
  return JSON.parse(child.output()) as { opened: unknown; read: unknown; write: Ending }
}

/** Why this process can't become another user, or false. */
function reasonAgainst(as: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'not root, so no other user can be tried'
  const [command = '', ...args] = as
  const { status } = spawnSync(command, [...args, process.execPath, '--version'])
  return status === 0 ? false : 'setpriv is missing, or another user may not run this Node.js'
}
