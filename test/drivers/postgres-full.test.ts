/** A full disk under PostgreSQL: under its tables, and under its write-ahead log. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { openPostgresStore } from '../../packages/holdfast/src/drivers/postgres.ts'
import { failure, isUsable } from '../../packages/holdfast/src/drivers/postgres/failure.ts'
import { AnswerLost, HoldfastError, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { never, type Version } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { privateServer, type PrivateServer, skipPrivate } from './postgres/servers.ts'
import { poolOf } from './postgres/targets.ts'
import { type SmallDisk, smallDisk } from './sqlite/disk.ts'
import { until } from '../until.ts'

const execute = promisify(execFile)
const load = (): Promise<unknown> => import('pg')
const collection = 'sessions'
const hour = 3_600_000

/** What was acknowledged: the version that each record must have. */
type Kept = Map<string, Version>

/** The codes of what was refused, by the id of the record. */
type Refused = ReadonlyMap<string, string>

/** What may have happened: its answer was lost together with the server. */
const unsettled = new Set(['HOLDFAST_OUTCOME_UNKNOWN', 'HOLDFAST_DEADLINE_EXCEEDED'])

describe('PostgreSQL on a full disk', { skip: skipPrivate }, () => {
  it('refuses what has no room, keeps its word on everything else, and recovers without a restart', async (t) => {
    const disk = diskFor(t, 24)
    if (!disk) return
    const server = await privateServer(t)
    await placeTables(server, disk)
    const store = openPostgresStore(server.url, load)
    t.after(() => store.close())
    await store.open()
    const kept: Kept = new Map()
    const refused = [...(await fill(store, kept, 20_000)), ...(await fill(store, kept, 300))]
    assert.deepEqual([...new Set(refused.map(([, code]) => code))], ['HOLDFAST_STORE_FULL'])
    t.diagnostic(`full with ${kept.size} records`)
    await assertKept(store, kept)

    const buried = await buryAll(store, kept)
    t.diagnostic(`of ${kept.size} burials ${buried} found room without any being made`)
    await assertKept(store, kept)

    await rm(disk.filler)
    assert.equal(await created(store, kept, 'room-again', 20_000), 'done')
    assert.equal(await buryAll(store, kept), kept.size, 'with room, every burial is done')
    await assertKept(store, kept)
  })

  it('goes away when its log has no room, loses nothing that it acknowledged, and is met again', async (t) => {
    const disk = diskFor(t, 64)
    if (!disk) return
    // It would otherwise begin its log anew as soon as it can.
    const server = await privateServer(t, ['wal_keep_size = 1GB'])
    await placeLog(server, disk)
    const store = openPostgresStore(server.url, load, { deadline: '2s' })
    t.after(() => store.close())
    await store.open()
    const kept: Kept = new Map()
    const refused = await fill(store, kept, 60_000)
    t.diagnostic(`gone with ${kept.size} records: ${[...new Set(refused.values())].join(', ')}`)
    assert.equal([...refused.values()].at(-1), 'HOLDFAST_STORE_UNAVAILABLE')
    await assert.rejects(async () => await store.read(keyOf('60000-0')), StoreUnavailable)

    await rm(disk.filler)
    await execute('mount', ['-o', 'remount,size=128m', disk.folder])
    await until('it has stopped', () =>
      server.kill().then(
        () => true,
        () => true,
      ),
    )
    await server.startAgain()
    await until('the store has found it again', () => isThere(store, '60000-0'))
    await assertKept(store, kept, refused)
    assert.equal(await created(store, kept, 'room-again', 20_000), 'done')
    assert.equal(await buryAll(store, kept), kept.size)
    await assertKept(store, kept, refused)
  })
})

describe('a server that has stopped itself', () => {
  // What it was doing may have been committed: it died before it could say so.
  it('has not answered, whatever it stopped for', () => {
    const panic = Object.assign(new Error('No space left on device'), { code: '53100', severity: 'PANIC' })
    assert.ok(failure(panic) instanceof AnswerLost)
    assert.equal(isUsable(panic), false)
  })
})

/** A small disk that PostgreSQL may enter. */
function diskFor(t: TestContext, megabytes: number): SmallDisk | undefined {
  const disk = smallDisk(megabytes)
  if (!disk) {
    t.skip('no small disk can be mounted here (not root on Linux)')
    return undefined
  }
  t.after(() => {
    disk.unmount()
  })
  return disk
}

/** Only the tables of the store are on the small disk. */
async function placeTables(server: PrivateServer, disk: SmallDisk): Promise<void> {
  const folder = join(disk.folder, 'tables')
  await lent(folder, disk, server)
  const pool = poolOf(server.url)
  await pool.query(`create tablespace small location '${folder}'`)
  await pool.query('alter role postgres set default_tablespace = small')
  await pool.end()
}

/** Only the write-ahead log is on the small disk. */
async function placeLog(server: PrivateServer, disk: SmallDisk): Promise<void> {
  const folder = join(disk.folder, 'log')
  const log = join(server.data, 'pg_wal')
  await server.kill()
  await lent(folder, disk, server)
  await execute('cp', ['-a', `${log}/.`, folder])
  await rm(log, { recursive: true })
  await symlink(folder, log)
  await server.startAgain()
}

/** A folder on the disk that is the server's. */
async function lent(folder: string, disk: SmallDisk, server: PrivateServer): Promise<void> {
  await chmod(disk.folder, 0o755)
  await mkdir(folder, { mode: 0o700 })
  const { uid, gid } = await stat(server.data)
  await chown(folder, uid, gid)
}

function keyOf(id: string): { collection: string; id: string } {
  return { collection, id }
}

/** Creates until ten in a row were refused. Answers with the refusals. */
async function fill(store: Store, kept: Kept, bytes: number): Promise<Refused> {
  const codes = new Map<string, string>()
  for (let [i, refused] = [0, 0]; refused < 10; i++) {
    const id = `${bytes}-${i}`
    const answer = await created(store, kept, id, bytes)
    refused = answer === 'done' ? 0 : refused + 1
    if (answer !== 'done') codes.set(id, answer)
  }
  return codes
}

async function created(store: Store, kept: Kept, id: string, bytes: number): Promise<string> {
  const draft = { key: keyOf(id), value: randomBytes(bytes), labels: ['user:ada'], expiresAt: never }
  const answer = await coded(() => store.create(draft))
  if (typeof answer === 'string') return answer
  if (answer.status === 'done') kept.set(id, answer.version)
  return answer.status
}

/** Buries what is still alive, and says how many are buried now: each is, or was refused and is as it was. */
async function buryAll(store: Store, kept: Kept): Promise<number> {
  let buried = 0
  for (const [id, expected] of kept) {
    const record = await store.read(keyOf(id))
    if (record?.labels[0] === 'state:revoked') {
      buried++
      continue
    }
    const answer = await coded(() =>
      store.replace({
        key: keyOf(id),
        expected,
        value: Buffer.from('{}'),
        labels: ['state:revoked'],
        expiresAt: Date.now() + hour,
        setsExpiry: true,
        expired: true,
      }),
    )
    if (typeof answer === 'string') {
      assert.equal(answer, 'HOLDFAST_STORE_FULL')
      continue
    }
    assert.ok(answer.status === 'done')
    kept.set(id, answer.version)
    buried++
  }
  return buried
}

/** What it answers, or its code; an error without one fails the test. */
async function coded<T>(call: () => Promise<T>): Promise<T | string> {
  try {
    return await call()
  } catch (error) {
    assert.ok(error instanceof HoldfastError, String(error))
    return error.code
  }
}

/** Everything acknowledged can be read at the version that was acknowledged, and is listed; nothing that was refused is. */
async function assertKept(store: Store, kept: Kept, refused: Refused = new Map()): Promise<void> {
  for (const [id, version] of kept) assert.equal((await store.read(keyOf(id)))?.version, version, id)
  const listed: string[] = []
  for (const label of ['user:ada', 'state:revoked']) {
    for (let after: string | undefined = ''; after !== undefined;) {
      const page = await store.list(collection, {
        labels: [label],
        limit: 1_000,
        ...(after ? { after } : {}),
      })
      listed.push(...page.records.map(({ key }) => key.id))
      after = page.next
    }
  }
  const sure = listed.filter((id) => kept.has(id) || !unsettled.has(refused.get(id) ?? ''))
  assert.deepEqual(sure.toSorted(), [...kept.keys()].toSorted())
}

async function isThere(store: Store, id: string): Promise<boolean> {
  return (await coded(async () => await store.read(keyOf(id)))) instanceof Object
}
