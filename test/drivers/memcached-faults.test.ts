/** Servers that die, hang, hang up, are full or come back: coded errors and right answers, never "not there". */

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { memcachedClient } from '../../packages/holdfast/src/drivers/memcached.ts'
import {
  HoldfastError,
  OutcomeUnknown,
  PartialAnswer,
  StoreFull,
  StoreMisconfigured,
  StoreUnavailable,
} from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { Bench } from './memcached/bench.ts'
import { Proxy } from './memcached/proxy.ts'
import { type PrivateServer, privateServer, skipPrivate } from './memcached/servers.ts'
import { stampKey } from './memcached/targets.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { until } from '../until.ts'

const collection = 'sessions'
const key = { collection, id: 'a' }
const value = Buffer.from('before')
const ids = Array.from({ length: 60 }, (_, i) => `id-${String(i).padStart(2, '0')}`)
const keys = ids.map((id) => ({ collection, id }))

async function three(test: Ending): Promise<readonly [PrivateServer, PrivateServer, PrivateServer]> {
  const [a, b, c] = await Promise.all([privateServer(test), privateServer(test), privateServer(test)])
  return [a, b, c]
}

/** Creates all of them. Answers with their versions. */
async function filled(store: Store): Promise<ReadonlyMap<string, string>> {
  const written = await Promise.all(keys.map((each) => store.create({ key: each, value, expiresAt: never })))
  return new Map(
    written.map((each, i) => {
      assert.equal(each.status, 'done')
      return [ids[i]!, each.version] as const
    }),
  )
}

/** Reads each by itself: its value, or why there is none. */
async function each(store: Store): Promise<ReadonlyMap<string, string | Error | undefined>> {
  const settled = await Promise.allSettled(keys.map(async (one) => store.read(one)))
  const found = new Map<string, string | Error | undefined>()
  settled.forEach((one, i) => {
    const result = one.status === 'rejected' ? (one.reason as Error) : one.value
    found.set(ids[i]!, result && 'key' in result ? Buffer.from(result.value).toString() : result)
  })
  return found
}

describe('Memcached, one of three servers away', { skip: skipPrivate }, () => {
  it('fails for its keys alone, never answers "not there", and never asks another server [K71]', async (t) => {
    const [dead, ...alive] = await three(t)
    const bench = new Bench(
      t,
      [dead, ...alive].map(({ name }) => name),
    )
    const store = bench.store()
    await filled(store)
    await dead.kill()
    const found = await each(store)
    const failed = ids.filter((id) => found.get(id) instanceof Error)
    assert.ok(
      failed.length > 5 && failed.length < 40,
      `${failed.length} of ${ids.length} belong to the dead one`,
    )
    for (const id of ids) {
      const one = found.get(id)
      if (one instanceof Error) assert.ok(one instanceof StoreUnavailable)
      else assert.equal(one, 'before')
    }
    for (const id of failed.slice(0, 3)) {
      const fresh = { key: { collection, id }, value, expiresAt: never }
      await assert.rejects(store.create(fresh), StoreUnavailable)
      await assert.rejects(store.remove([fresh.key]), HoldfastError)
    }
    const items = await Promise.all(alive.map((server) => server.ask('stats\r\n')))
    const count = items.reduce((sum, stats) => sum + Number(/curr_items (\d+)/.exec(stats)?.[1]), 0)
    assert.equal(count, ids.length - failed.length + 2, 'the others hold what is theirs, and their stamps')

    await assert.rejects(store.readMany(keys), (error) => {
      assert.ok(error instanceof PartialAnswer)
      assert.equal(error.answers.length, keys.length)
      error.answers.forEach((answer, i) => {
        assert.equal(answer === undefined, failed.includes(ids[i]!))
        if (answer) assert.equal((answer.answer as { key: { id: string } }).key.id, ids[i])
      })
      return true
    })
  })

  it('goes on under load while it dies, and uses it again when it is back', async (t) => {
    const servers = await three(t)
    const [dying] = servers
    const store = new Bench(
      t,
      servers.map(({ name }) => name),
    ).store()
    const versions = new Map(await filled(store))
    let isOver = false
    const done = new Map<string, number>()
    let failed = 0
    const worker = async (id: string): Promise<void> => {
      for (let i = 0; !isOver; i++) {
        const expected = versions.get(id)!
        try {
          const rewrite = {
            key: { collection, id },
            expected,
            value: Buffer.from(`${id} ${i}`),
            expiresAt: never,
          }
          const written = await store.replace(rewrite)
          if (written.status === 'done') {
            versions.set(id, written.version)
            done.set(id, (done.get(id) ?? 0) + 1)
          } else {
            // It was lost with the server's memory, or the answer to the write before was.
            const found = await store.read({ collection, id })
            if (found) versions.set(id, found.version)
            else versions.set(id, await recreated(id))
          }
        } catch (error) {
          assert.ok(error instanceof HoldfastError, String(error))
          failed++
          await delay(5)
        }
      }
    }
    const recreated = async (id: string): Promise<string> => {
      const made = await store.create({ key: { collection, id }, value, expiresAt: never })
      return made.status === 'done' ? made.version : ''
    }
    const written = ids.slice(0, 12)
    const workers = written.map(worker)
    const goOn = async (what: string): Promise<void> => {
      const before = new Map(done)
      await until(what, () => written.every((id) => (done.get(id) ?? 0) > (before.get(id) ?? 0) + 5))
    }
    await goOn('each is written')
    await dying.kill()
    await until('some fail', () => failed > 20)
    await dying.start()
    await goOn('each is written again')
    isOver = true
    await Promise.all(workers)
    await until('all of them can be read', async () => {
      return [...(await each(store)).values()].every((one) => !(one instanceof Error))
    })
    for (const id of written) {
      const found = await store.read({ collection, id })
      assert.equal(found?.version, versions.get(id), 'what was acknowledged last is what is there')
    }
  })

  it('leaves a dead server alone for a while, and asks it at once when all are dead [K71]', async (t) => {
    const [alive, other] = await Promise.all([privateServer(t), privateServer(t)])
    let attempts = 0
    const dead = createServer((socket) => {
      attempts++
      socket.destroy()
    })
    atEnd(t, () => void dead.close())
    await other.kill()
    dead.listen(other.port, '127.0.0.1')
    await other.kill()
    const client = memcachedClient([alive.name, other.name], { stampKey: stampKey(), retry: 1_000 })
    atEnd(t, () => client.close())
    dead.close()
    await until('the port is free', () => !dead.listening)
    await other.start()
    const theirs = await keysOf(client, other)
    await other.kill()
    await until(
      'it fails',
      async () =>
        await client.get([theirs[0]!]).then(
          () => false,
          () => true,
        ),
    )
    dead.listen(other.port, '127.0.0.1')
    attempts = 0
    const started = performance.now()
    const elapsed = (): number => performance.now() - started
    let asked = 0
    for (; asked < 100 || elapsed() < 1_500; asked++) {
      await assert.rejects(client.get([theirs[asked % theirs.length]!]), StoreUnavailable)
      await delay(2)
    }
    assert.ok(attempts <= 3 + elapsed() / 500, `${asked} requests made ${attempts} attempts to connect`)
    assert.equal(client.health().find(({ name }) => name === other.name)?.state, 'down')

    await alive.kill()
    await Promise.allSettled(Array.from({ length: 20 }, (_, i) => client.get([`other-${i}`])))
    dead.close()
    await until('the port is free', () => !dead.listening)
    await other.start()
    // Its mark has most of a second to go, but nobody else is alive.
    assert.deepEqual(await client.get([theirs[0]!]), [undefined])
  })
})

/** Keys that belong to one of the servers. */
async function keysOf(
  client: ReturnType<typeof memcachedClient>,
  server: PrivateServer,
): Promise<readonly string[]> {
  const candidates = Array.from({ length: 40 }, (_, i) => `probe-${i}`)
  await Promise.all(candidates.map((one) => client.set(one, Buffer.from('x'))))
  const owned: string[] = []
  for (const one of candidates) if ((await server.ask(`mg ${one}\r\n`)).startsWith('HD')) owned.push(one)
  await Promise.all(candidates.map((one) => client.delete(one)))
  assert.ok(owned.length > 0)
  return owned
}

describe('Memcached, an index whose server is away', { skip: skipPrivate }, () => {
  for (const how of ['dead', 'hanging'] as const) {
    it(`keeps nobody from logging in: ${how} [K31]`, async (t) => {
      const servers = await three(t)
      const names = servers.map(({ name }) => name)
      const bench = new Bench(t, names)
      const client = bench.client({ timeout: 300, wait: 300 })
      const options = { listing: 'partial', indexDeadline: 100, circuit: false } as const
      const store = bench.store(options, client)
      const labels = ['user:ada']
      const made = await store.create({ key, value, labels, expiresAt: never })
      assert.equal(made.status, 'done')
      const index = `${bench.namespace}:${collection}:${hash('sha256', 'user:ada', 'base64url')}`
      const owners = await Promise.all(servers.map((server) => server.ask(`mg ${index}\r\n`)))
      const owner = servers[owners.findIndex((answer) => answer.startsWith('HD'))]!
      await (how === 'dead' ? owner.kill() : owner.standStill())
      let done = 0
      for (const one of keys.slice(0, 20)) {
        const started = performance.now()
        const written = await store
          .create({ key: one, value, labels, expiresAt: never })
          .catch(() => undefined)
        if (!written) continue
        assert.equal(written.status, 'done')
        assert.ok(performance.now() - started < 4_000)
        done++
      }
      assert.ok(done > 5, `${done} of 20 records belong to the other two servers`)
      await assert.rejects(
        store.list(collection, { labels }),
        HoldfastError,
        'a listing is not shorter instead',
      )
      owner.goOn()
    })
  }
})

describe('Memcached, a server that hangs', { skip: skipPrivate }, () => {
  it('is an error before the deadline and no wait, and has lost nothing when it goes on', async (t) => {
    const server = await privateServer(t)
    const bench = new Bench(t, [server.name])
    const store = bench.store({ deadline: '3s', circuit: false }, bench.client({ timeout: '1s', wait: '1s' }))
    const version = (await filled(store)).get('id-00')!
    await server.standStill()
    const started = performance.now()
    const read = assert.rejects(async () => store.read(keys[0]!), HoldfastError)
    const late = { key: keys[0]!, expected: version, value: Buffer.from('late'), expiresAt: never }
    const written = assert.rejects(store.replace(late), HoldfastError)
    const created = assert.rejects(store.create({ key, value, expiresAt: never }), HoldfastError)
    await Promise.all([read, written, created])
    assert.ok(performance.now() - started < 10_000)
    server.goOn()
    await until('it answers', async () => await store.readMany(keys).then(() => true))
    const found = await each(store)
    for (const id of ids.slice(1)) assert.equal(found.get(id), 'before')
    assert.match(String(found.get('id-00')), /^(before|late)$/)
  })

  it('fails at the deadline of the store, where that is shorter than the client’s patience', async (t) => {
    const server = await privateServer(t)
    const bench = new Bench(t, [server.name])
    const store = bench.store({ deadline: '2s', circuit: false }, bench.client({ timeout: '30s' }))
    await filled(store)
    await server.standStill()
    const started = performance.now()
    await assert.rejects(async () => store.read(keys[0]!), { code: 'HOLDFAST_DEADLINE_EXCEEDED' })
    await assert.rejects(store.create({ key, value, expiresAt: never }), OutcomeUnknown)
    assert.ok(performance.now() - started < 15_000)
    server.goOn()
    await until('it answers', async () => (await each(store)).get('id-00') === 'before')
  })
})

describe('Memcached, connections that are cut', { skip: skipPrivate }, () => {
  it('settles a create, a replace and a touch whose answers were lost', async (t) => {
    const server = await privateServer(t)
    const proxy = await Proxy.to(t, server.port)
    const store = new Bench(t, [proxy.name]).store({ listing: 'partial' })
    await store.open()
    proxy.loseAnswerTo('precious')
    const labels = ['user:ada']
    const made = await store.create({ key, value: Buffer.from('precious'), labels, expiresAt: never })
    assert.equal(made.status, 'done')
    assert.equal(proxy.lost, 1)
    assert.equal((await store.list(collection, { labels })).records.length, 1, 'and it is found')
    proxy.loseAnswerTo('dear')
    const saved = await store.replace({
      key,
      expected: made.version,
      value: Buffer.from('dear'),
      expiresAt: never,
    })
    assert.equal(saved.status, 'done')
    assert.equal(proxy.lost, 2)
    proxy.loseAnswerTo('ms ')
    const touchedAt = Date.now() + 5
    const touched = await store.touch([{ key, version: saved.version, expiresAt: never, touchedAt }])
    assert.deepEqual(touched, ['done'])
    assert.equal(proxy.lost, 3)
    const found = await store.read(key)
    assert.deepEqual([found?.version, found?.touchedAt], [saved.version, touchedAt])
  })

  it('gives right answers or errors, wherever in a pipeline or in a value the connection is cut', async (t) => {
    const server = await privateServer(t)
    const proxy = await Proxy.to(t, server.port)
    const bench = new Bench(t, [proxy.name])
    const direct = memcachedClient([server.name], { stampKey: stampKey() })
    atEnd(t, () => direct.close())
    const names = ids.map((id) => `${bench.namespace}:${id}`)
    await Promise.all(names.map((name) => direct.set(name, Buffer.from(`\r\n${name}\r\n`))))
    const client = bench.client({ connections: 1 })
    for (let bytes = 1; bytes < 2_500; bytes += 97) {
      await until('it is connected', async () => await client.get([names[0]!]).then(() => true))
      proxy.cutAfter(bytes)
      const settled = await Promise.allSettled(names.map(async (name) => await client.get([name])))
      settled.forEach((one, i) => {
        if (one.status === 'rejected') {
          assert.ok(one.reason instanceof HoldfastError, String(one.reason))
        } else assert.equal(Buffer.from(one.value[0]?.value ?? []).toString(), `\r\n${names[i]}\r\n`)
      })
    }
    assert.equal(proxy.lost, 26)
  })

  it('reads through a cut, since nothing is changed by asking again', async (t) => {
    const server = await privateServer(t)
    const proxy = await Proxy.to(t, server.port)
    const store = new Bench(t, [proxy.name]).store()
    await filled(store)
    for (const bytes of [10, 500, 2_000]) {
      proxy.cutAfter(bytes)
      const found = await store.readMany(keys)
      assert.ok(found.every((record) => record && Buffer.from(record.value).toString() === 'before'))
    }
    assert.equal(proxy.lost, 3)
  })
})

describe('Memcached, full memory', { skip: skipPrivate }, () => {
  const large = Buffer.alloc(20_000, 'x')
  const fill = async (store: Store): Promise<{ readonly stored: number; readonly error: unknown }> => {
    for (let i = 0; i < 500; i++) {
      try {
        await store.create({ key: { collection, id: `fill-${i}` }, value: large, expiresAt: never })
      } catch (error) {
        return { stored: i, error }
      }
    }
    return { stored: 500, error: undefined }
  }

  it('is told where the server refuses, and creating drops nobody’s record', async (t) => {
    const server = await privateServer(t, '-m', '2', '-M')
    const store = new Bench(t, [server.name]).store()
    assert.match((await store.open()).description, /a cache that drops everything at a restart/)
    const { stored, error } = await fill(store)
    assert.ok(error instanceof StoreFull, String(error))
    const taken = { key: { collection, id: 'fill-0' }, value: large, expiresAt: never }
    assert.deepEqual(await store.create(taken), { status: 'conflict' })
    for (let i = 0; i < stored; i++) {
      assert.ok(await store.read({ collection, id: `fill-${i}` }), `fill-${i} is there`)
    }
  })

  it('never says "nothing was changed" of a replace that the server refused: it has dropped the record', async (t) => {
    const server = await privateServer(t, '-m', '2', '-M')
    const store = new Bench(t, [server.name]).store()
    const { stored } = await fill(store)
    let lost = 0
    for (let i = 0; i < Math.min(stored, 10); i++) {
      const one = { collection, id: `fill-${i}` }
      const found = await store.read(one)
      assert.ok(found)
      const rewrite = { key: one, expected: found.version, value: large, expiresAt: never }
      const written = await store.replace(rewrite).catch((error: unknown) => error)
      const after = await store.read(one)
      if (written instanceof Error) {
        assert.ok(
          !(written instanceof StoreFull),
          'a definite failure would promise that the record is still there',
        )
      } else if (after === undefined) {
        assert.deepEqual(written, { status: 'unknown' })
        lost++
      } else assert.equal((written as { status: string }).status, 'done')
    }
    assert.ok(lost > 0, 'the server did refuse')
  })

  it('makes room where the server evicts: a record that was dropped is gone, the others are as they were', async (t) => {
    const server = await privateServer(t, '-m', '2')
    const store = new Bench(t, [server.name]).store()
    assert.equal((await fill(store)).error, undefined)
    let left = 0
    for (let i = 0; i < 500; i++) {
      const found = await store.read({ collection, id: `fill-${i}` })
      if (!found) continue
      left++
      assert.deepEqual(Buffer.from(found.value), large)
    }
    assert.ok(left > 10 && left < 400, `${left} of 500 are left`)
  })
})

describe('Memcached, old copies', { skip: skipPrivate }, () => {
  it('of a server that was away are the newest: nobody could write its keys meanwhile [races: T2]', async (t) => {
    const servers = await three(t)
    const names = servers.map(({ name }) => name)
    const bench = new Bench(t, names)
    const options = { timeout: 400, wait: 400, retry: 100 }
    const [one, other] = [
      bench.store({ circuit: false }, bench.client(options)),
      bench.store({ circuit: false }, bench.client(options)),
    ]
    const versions = await filled(one)
    await other.readMany(keys)
    await servers[0].standStill()
    const away: string[] = []
    const kept: string[] = []
    for (const [id, expected] of versions) {
      const burial = { key: { collection, id }, expected, value: Buffer.from('buried'), expiresAt: never }
      const written = await (id < 'id-30' ? one : other).replace(burial).catch(() => undefined)
      ;(written ? kept : away).push(id)
    }
    assert.ok(away.length > 5 && kept.length > 20)
    servers[0].goOn()
    await until('it is back', async () => {
      return [...(await each(other)).values()].every((found) => !(found instanceof Error))
    })
    const found = await each(other)
    for (const id of kept) assert.equal(found.get(id), 'buried', 'what was acknowledged holds')
    // A burial that was not acknowledged may have been carried out late, and says so.
    for (const id of away) assert.match(String(found.get(id)), /^(before|buried)$/)
  })

  it('of another list of servers are refused, until they are flushed on purpose', async (t) => {
    const [a, b, c] = await three(t)
    const bench = new Bench(t, [])
    const two = [a.name, b.name]
    const all = [a.name, b.name, c.name]
    const first = bench.store({}, bench.client({}, two))
    const versions = await filled(first)

    const refused = bench.store({}, bench.client({}, all))
    await assert.rejects(refused.open(), (error) => {
      assert.ok(error instanceof StoreMisconfigured)
      assert.match(error.message, /was used under another list of servers .* whenListChanged/)
      return true
    })
    assert.equal((await each(first)).get('id-00'), 'before', 'refusing has changed nothing')

    const second = bench.store({}, bench.client({ whenListChanged: 'flush' }, all))
    assert.ok([...(await each(second)).values()].every((found) => found === undefined))
    for (const [id] of versions) {
      await second.create({ key: { collection, id }, value: Buffer.from('tombstone'), expiresAt: never })
    }
    // Back to the first list: what moved to the third server is buried there, and older copies are not to be read.
    await assert.rejects(bench.store({}, bench.client({}, two)).open(), StoreMisconfigured)
    // The other servers name the list; one that was not in it is flushed with them.
    const third = bench.store({}, bench.client({ whenListChanged: 'flush' }, [b.name, c.name]))
    await third.open()
    const back = bench.client({}, two)
    await assert.rejects(bench.store({}, back).open(), StoreMisconfigured)
  })

  it('of a server that another list has used meanwhile are refused when it is back', async (t) => {
    const [a, b, c] = await three(t)
    const bench = new Bench(t, [])
    const client = bench.client({ retry: 100 }, [a.name, b.name])
    const store = bench.store({ circuit: false }, client)
    await filled(store)
    await b.kill()
    await b.start()
    const theirs = bench.store({}, bench.client({}, [b.name, c.name]))
    await theirs.create({ key, value, expiresAt: never })
    // Where it was cut off while a connection was being opened, it is left alone for a moment.
    await until('it is looked at', async () => {
      return [...(await each(store)).values()].some((one) => one instanceof StoreMisconfigured)
    })
    const found = [...(await each(store)).values()]
    const refusals = found.filter((one) => one instanceof StoreMisconfigured)
    assert.ok(refusals.length > 5)
    assert.equal(found.filter((one) => one === undefined).length, 0)
    assert.equal(found.filter((one) => one === 'before').length, ids.length - refusals.length)
  })

  it('are not in a server that was restarted, which is used again as it is', async (t) => {
    const [a, b] = await three(t)
    const bench = new Bench(t, [a.name, b.name])
    const store = bench.store({ circuit: false })
    await filled(store)
    await b.kill()
    await b.start()
    await until('it is back', async () => {
      return [...(await each(store)).values()].every((found) => !(found instanceof Error))
    })
    const gone = [...(await each(store)).values()].filter((found) => found === undefined)
    assert.ok(gone.length > 5 && gone.length < ids.length)
    assert.match(await b.ask(`mg ${bench.stampKey} v\r\n`), /^VA 32/)
    // The order in which servers are named decides nothing.
    assert.ok((await bench.store({}, bench.client({}, [b.name, a.name])).open()).capabilities)
  })
})
