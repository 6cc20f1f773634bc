/** Answers of servers that can't be had here, put in the place of a real one's: what the driver makes of them. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Db,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
  MongoWriteConcernError,
  type TopologyDescription,
} from 'mongodb'
import { mongodbStore } from '../../packages/holdfast/src/drivers/mongodb.ts'
import { failure } from '../../packages/holdfast/src/drivers/mongodb/failure.ts'
import {
  AnswerLost,
  ClockSkew,
  StoreFull,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { type Fields, intercepted } from './mongodb/intercepted.ts'
import { clear, connected, databaseName, freshNamespace, single } from './mongodb/targets.ts'
import { atEnd, type Ending } from './redis/ending.ts'

const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('value')
const draft = { key, value, expiresAt: never }

type Answer = Parameters<typeof intercepted>[1]

/** A store over a real server, whose answers the test may change. */
async function storeOver(test: Ending, answer: Answer, options: object = {}): Promise<Store> {
  const namespace = freshNamespace()
  const client = await connected(single.url, options)
  const database: Db = client.db(databaseName)
  const store = mongodbStore(intercepted(database, answer), { namespace })
  atEnd(test, async () => {
    await store.close()
    try {
      await clear(client, namespace)
    } finally {
      await client.close()
    }
  })
  return store
}

function serverError(code: number, message = 'told by the server'): MongoServerError {
  return new MongoServerError({ message, code })
}

describe('MongoDB, errors', () => {
  const cases: readonly (readonly [string, Error, new (message: string) => Error])[] = [
    ['a full disk', serverError(14_031, 'No space left on device'), StoreFull],
    ['a used up quota', serverError(8_000, 'you are over your space quota'), StoreFull],
    ['a member that is not the primary', serverError(10_107), StoreReadOnly],
    ['a member that is a secondary', serverError(13_435), StoreReadOnly],
    ['a missing right', serverError(13), StoreMisconfigured],
    ['a wrong password', serverError(18), StoreMisconfigured],
    ['a command that the server does not know', serverError(59), StoreMisconfigured],
    ['a validator of somebody else’s', serverError(121), StoreMisconfigured],
    ['a server that did not come into question', noServer(), StoreUnavailable],
    ['a primary that stepped down in the middle', serverError(189), AnswerLost],
    ['a server that shuts down in the middle', serverError(11_600), AnswerLost],
    ['a server that took too long', serverError(50), AnswerLost],
    ['a cut connection', new MongoNetworkError('connection 3 to 127.0.0.1:1 closed'), AnswerLost],
    ['an unconfirmed write', unconfirmed(), AnswerLost],
    ['something unheard of', new Error('?'), AnswerLost],
  ]
  for (const [what, error, expected] of cases) {
    it(`says of ${what} whether anything may have been changed [K64]`, () => {
      const coded = failure(error)
      assert.ok(coded instanceof expected, `${coded.name}: ${coded.message}`)
      assert.equal(coded.cause, error)
    })
  }
})

describe('MongoDB, other servers', { skip: single.skip }, () => {
  it('sends a command again that a member refused because it is not the primary any more', async (t) => {
    let refusals = 2
    const store = await storeOver(t, async (command, carriedOut) => {
      if ('insert' in command && refusals-- > 0) throw serverError(10_107)
      return await carriedOut()
    })
    assert.equal((await store.create(draft)).status, 'done')
    assert.equal(refusals, -1)
  })

  it('says that it can only read where no primary is found', async (t) => {
    const store = await storeOver(t, async (command, carriedOut) => {
      if ('insert' in command) throw serverError(10_107)
      return await carriedOut()
    })
    await assert.rejects(store.create(draft), StoreReadOnly)
    assert.equal(await store.read(key), undefined)
  })

  it('finds out what became of a write that was carried out and not confirmed', async (t) => {
    let isConfirmed = false
    const store = await storeOver(t, async (command, carriedOut) => {
      const reply = await carriedOut()
      if (!('insert' in command) || isConfirmed) return reply
      isConfirmed = true
      throw unconfirmed()
    })
    const made = await store.create(draft)
    assert.equal(made.status, 'done')
    assert.ok(isConfirmed)
    assert.equal((await store.read(key))?.version, made.version)
  })

  it('never takes an unconfirmed write for done, however the client tells it', async (t) => {
    let isConfirmed = false
    const store = await storeOver(t, async (command, carriedOut) => {
      if (!('insert' in command) || isConfirmed) return await carriedOut()
      isConfirmed = true
      // Not carried out at all: only a second sending makes it true.
      return { n: 1, ok: 1, writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } }
    })
    const made = await store.create(draft)
    assert.equal(made.status, 'done')
    assert.equal((await store.read(key))?.version, made.version)
  })

  it('looks again where the record changed between the write and the look', async (t) => {
    let misses = 2
    const store = await storeOver(t, async (command, carriedOut) => {
      if ('update' in command && misses-- > 0) return { n: 0, nModified: 0, ok: 1 }
      return await carriedOut()
    })
    const made = await store.create(draft)
    assert.equal(made.status, 'done')
    const saved = await store.replace({ ...draft, expected: made.version })
    assert.equal(saved.status, 'done')
    assert.equal(misses, -1)
  })

  it('asks a replica set for what most members have, and a single server for what it has', async (t) => {
    for (const setName of ['rs0', undefined]) {
      const levels = new Set<unknown>()
      const store = await storeOver(t, async (command, carriedOut) => {
        if ('find' in command) levels.add((command['readConcern'] as Fields | undefined)?.['level'])
        const reply = await carriedOut()
        if ('hello' in command && setName) return { ...reply, setName, hosts: ['a:1', 'b:1', 'c:1'] }
        // FerretDB is taken for a real one: it is asked about here, not relied upon.
        if ('buildInfo' in command) return { version: '8.0.1', ok: 1 }
        return reply
      })
      const { capabilities, description } = await store.open()
      await store.read(key)
      assert.deepEqual([...levels], [setName && 'majority'])
      assert.equal(capabilities.durable.failover, setName !== undefined)
      assert.match(
        description,
        setName ? /^MongoDB 8\.0\.1, replica set rs0, database / : /^MongoDB 8\.0\.1, database /,
      )
    }
  })

  const refused: readonly (readonly [string, Fields, RegExp])[] = [
    [
      'a secondary',
      { hello: { isWritablePrimary: false, secondary: true, setName: 'rs0' } },
      /not the primary/,
    ],
    ['an old server', { buildInfo: { version: '4.2.24', ferretdbVersion: undefined } }, /too old/],
    ['a collection with a collation', collection({ options: { collation: { locale: 'en' } } }), /collation/],
    ['a view', collection({ type: 'view', options: {} }), /is a view/],
  ]
  for (const [what, replies, message] of refused) {
    it(`refuses ${what} at open`, async (t) => {
      const store = await storeOver(t, async (command, carriedOut) => {
        const [name = ''] = Object.keys(command)
        if (name === 'buildInfo' && !(name in replies)) return { version: '7.0.0', ok: 1 }
        const reply = await carriedOut()
        return name in replies ? { ...reply, ...(replies[name] as Fields) } : reply
      })
      await assert.rejects(store.open(), (error: unknown) => {
        assert.ok(error instanceof StoreMisconfigured || error instanceof StoreReadOnly, String(error))
        assert.match(error.message, message)
        return true
      })
    })
  }

  it('refuses a client that would read from one member of several, whatever becomes of it', async (t) => {
    const answer = (hosts: readonly string[]): Answer => {
      return async (command, carriedOut) => {
        const reply = await carriedOut()
        return 'hello' in command ? { ...reply, setName: 'rs0', hosts } : reply
      }
    }
    const direct = { directConnection: true }
    await assert.rejects((await storeOver(t, answer(['a:1', 'b:1']), direct)).open(), StoreMisconfigured)
    await (await storeOver(t, answer(['a:1']), direct)).open()
    await (await storeOver(t, answer(['a:1', 'b:1']))).open()
  })

  it('refuses a server whose clock differs by more than the margin', async (t) => {
    const store = await storeOver(t, async (command, carriedOut) => {
      const reply = await carriedOut()
      return 'hello' in command ? { ...reply, localTime: new Date(Date.now() + 2 * 3_600_000) } : reply
    })
    await assert.rejects(store.open(), ClockSkew)
  })

  it('opens for a user who may not ask what the server is', async (t) => {
    const store = await storeOver(t, async (command, carriedOut) => {
      const denied = ['buildInfo', 'serverStatus', 'listCollections']
      if (denied.some((name) => name in command)) throw serverError(13, 'not authorized')
      return await carriedOut()
    })
    assert.match((await store.open()).description, /^MongoDB, database /)
    assert.equal((await store.create(draft)).status, 'done')
  })

  it('opens for a user who may not make indexes where these are there, and else says so', async (t) => {
    let mayMake = false
    const store = await storeOver(t, async (command, carriedOut) => {
      if ('createIndexes' in command && !mayMake) throw serverError(13, 'not authorized to make indexes')
      return await carriedOut()
    })
    await assert.rejects(store.open(), StoreMisconfigured)
    mayMake = true
    assert.equal((await store.create(draft)).status, 'done')
  })
})

function collection(found: Fields): Fields {
  return { listCollections: { cursor: { firstBatch: [{ name: 'x', type: 'collection', ...found }] } } }
}

function noServer(): Error {
  return new MongoServerSelectionError('nobody there', {
    servers: new Map(),
  } as unknown as TopologyDescription)
}

function unconfirmed(): Error {
  return new MongoWriteConcernError({
    ok: 1,
    writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' },
  })
}
