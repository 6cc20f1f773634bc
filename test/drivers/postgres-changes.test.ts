/** The change log by itself: what readers are told of it, and what is trimmed. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'
import { ChangeLog, ChangeReader } from '../../packages/holdfast/src/drivers/postgres/change-log.ts'
import { Feed } from '../../packages/holdfast/src/drivers/postgres/feed.ts'
import { databaseOf } from '../../packages/holdfast/src/drivers/postgres/given.ts'
import { Bench, skip } from './postgres/targets.ts'
import { until } from '../until.ts'

const enter = 'insert into holdfast_changes (namespace, keys) values ($1, $2)'

async function keptOf(pool: Pool, namespace: string): Promise<readonly string[]> {
  const { rows } = await pool.query<{ keys: string }>(
    'select keys from holdfast_changes where namespace = $1 order by keys',
    [namespace],
  )
  return rows.map(({ keys }) => keys)
}

describe('PostgreSQL, the change log', { skip }, () => {
  it('tells a reader that was away for too long to start anew', async (t) => {
    const bench = new Bench(t)
    await bench.store().open()
    const reader = new ChangeReader(databaseOf(bench.pool(), true), bench.namespace)
    const position = await reader.begin()
    await bench.pool().query(enter, [bench.namespace, 'sessions/a'])
    const late = await reader.since({ ...position, at: position.at - 31_000 })
    assert.equal(late.keys, undefined)
    const intime = await reader.since({ ...position, at: position.at - 20_000 })
    assert.deepEqual(intime.keys, [{ collection: 'sessions', id: 'a' }])
    assert.deepEqual((await reader.since(intime.position)).keys, [])
  })

  it('is trimmed of what was committed before, and of nothing that a reader may still have to see', async (t) => {
    const bench = new Bench(t)
    await bench.store().open()
    const pool = bench.pool()
    const log = new ChangeLog(databaseOf(pool, true), bench.namespace, 0)
    await pool.query(enter, [bench.namespace, 'sessions/old'])
    const rival = await pool.connect()
    await rival.query('begin')
    await rival.query(enter, [bench.namespace, 'sessions/open'])
    await pool.query(enter, [bench.namespace, 'sessions/young'])
    // The first time it only notes where the log is.
    const trimmed = async (): Promise<void> => {
      log.wrote()
      await new Promise((resolve) => setTimeout(resolve, 40))
      await log.close()
    }
    await trimmed()
    assert.equal((await keptOf(pool, bench.namespace)).length, 2)
    await trimmed()
    await until('it is trimmed', async () => !(await keptOf(pool, bench.namespace)).includes('sessions/old'))
    await rival.query('commit')
    rival.release()
    assert.deepEqual(await keptOf(pool, bench.namespace), ['sessions/open', 'sessions/young'])
    await trimmed()
    await trimmed()
    assert.deepEqual(await keptOf(pool, bench.namespace), [])
  })

  it('grows by one row for each write, and by none for touches and refusals', async (t) => {
    const bench = new Bench(t)
    const store = bench.store()
    const key = { collection: 'sessions', id: 'a' }
    const draft = { key, value: Buffer.from('a'), expiresAt: Date.now() + 60_000 }
    const made = await store.create(draft)
    assert.ok(made.status === 'done')
    await store.create(draft)
    await store.replace({ ...draft, expected: 'not.this' })
    await store.touch([{ key, version: made.version, expiresAt: draft.expiresAt + 1 }])
    assert.deepEqual(await keptOf(bench.pool(), bench.namespace), ['sessions/a'])
    await store.replace({ ...draft, expected: made.version })
    assert.deepEqual(await keptOf(bench.pool(), bench.namespace), ['sessions/a', 'sessions/a'])
  })

  it('is listened to by nobody once the feed was closed, also where it was closed while it began', async (t) => {
    const bench = new Bench(t)
    await bench.store().open()
    const pool = bench.pool()
    const database = databaseOf(pool, true)
    const reader = new ChangeReader(database, bench.namespace)
    const began = Promise.withResolvers<undefined>()
    const begin = async () => {
      await began.promise
      return await reader.begin()
    }
    const slowly = {
      begin,
      since: async (from: Parameters<ChangeReader['since']>[0]) => await reader.since(from),
    } as Pick<ChangeReader, 'begin' | 'since'> as ChangeReader
    const feed = new Feed(database, slowly, `holdfast_${bench.namespace}`, true)
    const watching = assert.rejects(
      feed.watch(() => undefined),
      { code: 'HOLDFAST_STORE_UNAVAILABLE' },
    )
    feed.close()
    began.resolve(undefined)
    await watching
    await delay(200)
    assert.equal(pool.totalCount - pool.idleCount, 0, 'no connection is held')
  })
})
