/**
 * What the driver does with transactions and change streams. The store suite tests them for real wherever
 * HOLDFAST_TEST_MONGODB_REPLICA_SET gives a replica set; here sessions and streams do as the test says.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RunCommandOptions } from 'mongodb'
import { type MongodbDatabase, mongodbStore } from '../../packages/holdfast/src/drivers/mongodb.ts'
import { StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { Change } from '../../packages/holdfast/src/store/contract.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { BatchItem, Store } from '../../packages/holdfast/src/store/store.ts'
import type { Fields } from './mongodb/intercepted.ts'
import { labelled, ScriptedSession, ScriptedStream } from './mongodb/scripted.ts'
import { clear, connected, databaseName, freshNamespace, single } from './mongodb/targets.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { until } from '../until.ts'

const value = Buffer.from('value')
const a = { collection: 'sessions', id: 'a' }
const b = { collection: 'tokens', id: 'b' }
const both: readonly BatchItem[] = [
  { type: 'create', key: a, value, expiresAt: never },
  { type: 'create', key: b, value, expiresAt: never, labels: ['user:ada'] },
]

/** A single server that is taken for a replica set. */
class Stage {
  readonly notes: string[] = []
  readonly streams: ScriptedStream[] = []
  /** What the server would say to a commit; what comes before a command of a transaction. */
  commit: () => void = () => undefined
  before: (command: Fields) => void = () => undefined
  store!: Store

  static async on(test: Ending): Promise<Stage> {
    const stage = new Stage()
    const namespace = freshNamespace()
    const client = await connected(single.url)
    const database = client.db(databaseName)
    const taken: MongodbDatabase = {
      databaseName,
      client: {
        connect: () => client.connect(),
        startSession: () =>
          new ScriptedSession(stage.notes, () => {
            stage.commit()
          }),
      },
      collection: () => ({
        watch: () => {
          const stream = new ScriptedStream()
          stage.streams.push(stream)
          return stream
        },
      }),
      async command(command, { session, ...options } = {}) {
        if (session) stage.before(command)
        const reply: Fields = await database.command(command, options as RunCommandOptions)
        stage.#echo(command)
        if ('hello' in command) return { ...reply, setName: 'rs0', hosts: ['a:1', 'b:1', 'c:1'] }
        return 'buildInfo' in command ? { version: '8.0.0', ok: 1 } : reply
      },
    }
    const asked = { transactions: true, changeStreams: true, deadline: '2s', circuit: false } as const
    stage.store = mongodbStore(taken, { namespace, ...asked })
    atEnd(test, async () => {
      await stage.store.close()
      try {
        await clear(client, namespace)
      } finally {
        await client.close()
      }
    })
    return stage
  }

  /** The streams tell of what was inserted, marks among it, as a server's would. */
  #echo(command: Fields): void {
    if (!('insert' in command)) return
    const [{ _id } = {}] = command['documents'] as readonly Fields[]
    for (const stream of this.streams) stream.feed({ operationType: 'insert', documentKey: { _id } })
  }

  get stream(): ScriptedStream {
    const stream = this.streams.at(-1)
    assert.ok(stream)
    return stream
  }
}

describe('MongoDB, transactions', { skip: single.skip }, () => {
  it('commit all writes of a batch at once, acknowledged by most members', async (t) => {
    const { store, notes } = await Stage.on(t)
    const written = await store.write(both)
    if (written.status !== 'done') assert.fail(written.status)
    assert.deepEqual(notes, ['start snapshot majority', 'commit', 'end'])
    const records = await store.readMany([a, b])
    assert.deepEqual(
      records.map((record) => record?.version),
      written.versions,
    )
    const [expected = '', version = ''] = written.versions
    const next = await store.write([
      { type: 'replace', key: a, expected, value: Buffer.from('next'), expiresAt: never },
      { type: 'touch', key: b, version, expiresAt: never, touchedAt: Date.now() + 9 },
    ])
    assert.equal(next.status, 'done')
    assert.equal(Buffer.from((await store.read(a))?.value ?? []).toString(), 'next')
  })

  it('write nothing where one write is refused, and commit what they read', async (t) => {
    const { store, notes } = await Stage.on(t)
    assert.equal((await store.create({ key: b, value, expiresAt: never })).status, 'done')
    assert.deepEqual(await store.write(both), { status: 'refused', outcomes: ['done', 'conflict'] })
    assert.deepEqual(notes, ['start snapshot majority', 'commit', 'end'])
    assert.equal(await store.read(a), undefined)
  })

  it('begin again when somebody else was faster', async (t) => {
    const stage = await Stage.on(t)
    let isOvertaken = true
    stage.before = (command) => {
      if (!('insert' in command) || !isOvertaken) return
      isOvertaken = false
      throw labelled('WriteConflict', 'TransientTransactionError')
    }
    assert.equal((await stage.store.write(both)).status, 'done')
    const start = 'start snapshot majority'
    assert.deepEqual(stage.notes, [start, 'abort', 'end', start, 'commit', 'end'])
  })

  it('are settled by a read when the answer to the commit is lost', async (t) => {
    const stage = await Stage.on(t)
    stage.commit = () => {
      throw labelled('connection closed', 'UnknownTransactionCommitResult')
    }
    assert.equal((await stage.store.write(both)).status, 'done')
    assert.deepEqual(stage.notes, ['start snapshot majority', 'commit', 'end'])
  })

  it('have changed nothing when they fail before the commit', async (t) => {
    const stage = await Stage.on(t)
    stage.before = () => {
      throw new Error('connection closed')
    }
    await assert.rejects(stage.store.write(both), StoreUnavailable)
    assert.deepEqual(stage.notes, ['start snapshot majority', 'abort', 'end'])
  })
})

describe('MongoDB, change streams', { skip: single.skip }, () => {
  it('tell of keys whose version changed, and of nothing else', async (t) => {
    const stage = await Stage.on(t)
    const told: Change[] = []
    const watch = await stage.store.watch((change) => told.push(change))
    const documentKey = { _id: 'sessions/a' }
    const updated = (updatedFields: Fields): Fields => ({ updateDescription: { updatedFields } })
    stage.stream.feed(
      { operationType: 'update', documentKey, ...updated({ touchedAt: 5, expiresAt: 9 }) },
      { operationType: 'update', documentKey, ...updated({ version: '1.a', value: 'x' }) },
      { operationType: 'delete', documentKey: { _id: 'tokens/b' } },
      { operationType: 'replace', documentKey: { _id: 'tokens/c' } },
      { operationType: 'drop' },
    )
    await watch.mark()
    assert.deepEqual(told, [
      { type: 'changed', keys: [a] },
      { type: 'changed', keys: [b] },
      { type: 'changed', keys: [{ collection: 'tokens', id: 'c' }] },
      { type: 'reset' },
    ])
    await watch.close()
    assert.ok(stage.stream.isClosed)
  })

  for (const [why, end] of [
    ['the client can’t mend it', new Error('resume of change stream was not possible')],
    ['the collection is dropped', { operationType: 'invalidate' }],
  ] as const) {
    it(`say that they broke when ${why}, come back, and have everything looked at again`, async (t) => {
      const stage = await Stage.on(t)
      const told: Change['type'][] = []
      const watch = await stage.store.watch((change) => told.push(change.type))
      const first = stage.stream
      const lost = watch.mark()
      first.feed(end)
      // A mark under way comes in time or is refused: it never waits for what is gone.
      await Promise.allSettled([lost])
      await until('the feed is back', () => told.at(-1) === 'reset')
      assert.deepEqual(told.slice(-3), ['broken', 'restored', 'reset'])
      assert.ok(first.isClosed && stage.stream !== first)
      await watch.mark()
      await watch.close()
    })
  }

  it('refuse marks while they are broken', async (t) => {
    const stage = await Stage.on(t)
    const told: Change['type'][] = []
    let marked: Promise<unknown> = Promise.resolve()
    const watch = await stage.store.watch((change) => {
      told.push(change.type)
      if (change.type === 'broken') marked = Promise.resolve(watch.mark()).catch((error: unknown) => error)
    })
    stage.stream.feed(new Error('gone'))
    await until('the feed is back', () => told.includes('reset'))
    assert.ok((await marked) instanceof StoreUnavailable)
    await watch.close()
  })

  it('end with the store, and quietly', async (t) => {
    const stage = await Stage.on(t)
    const told: Change[] = []
    await stage.store.watch((change) => told.push(change))
    await stage.store.close()
    assert.ok(stage.stream.isClosed)
    assert.deepEqual(told, [])
  })
})
