/** Servers that are away, that hang up, or that are the wrong ones: errors that say whether anything was changed. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  openRedisStore,
  type RedisClient,
  type RedisCluster,
  redisStore,
} from '../../packages/holdfast/src/drivers/redis.ts'
import { parsed } from '../../packages/holdfast/src/drivers/redis/address.ts'
import {
  ClockSkew,
  HoldfastError,
  StoreMisconfigured,
  StoreReadOnly,
  StoreUnavailable,
} from '../../packages/holdfast/src/errors.ts'
import type { Change } from '../../packages/holdfast/src/store/contract.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { Proxy } from './redis/proxy.ts'
import { privateServer, skipPrivate } from './redis/servers.ts'
import {
  Bench,
  clear,
  type ClusterClient,
  connected,
  connectedToServer,
  freshNamespace,
  type ServerClient,
  targets,
} from './redis/targets.ts'
import { until } from '../until.ts'

const [server, cluster] = targets
const key = { collection: 'sessions', id: 'a' }
const value = Buffer.from('before')

describe('Redis, lost answers', { skip: server?.skip ?? 'no target' }, () => {
  const port = Number(new URL(server?.urls[0] ?? 'redis://none:1').port)

  it('settles a create, a replace and a touch whose answers were lost', async (t) => {
    const proxy = await Proxy.to(t, port)
    const bench = new Bench(t, [proxy.url])
    const store = await bench.store()
    await store.open()
    proxy.loseAnswerTo('precious')
    const made = await store.create({
      key,
      value: Buffer.from('precious'),
      labels: ['user:ada'],
      expiresAt: never,
    })
    assert.equal(made.status, 'done')
    assert.equal(proxy.lost, 1)
    assert.equal((await store.read(key))?.version, made.version)

    proxy.loseAnswerTo('dear')
    const expected = made.version
    const saved = await store.replace({ key, expected, value: Buffer.from('dear'), expiresAt: never })
    assert.equal(saved.status, 'done')
    assert.equal(proxy.lost, 2)

    proxy.loseAnswerTo(saved.version)
    const touchedAt = Date.now() + 5
    assert.deepEqual(await store.touch([{ key, version: saved.version, expiresAt: never, touchedAt }]), [
      'done',
    ])
    assert.equal(proxy.lost, 3)
    assert.equal((await store.read(key))?.touchedAt, touchedAt)
  })

  it('settles a create whose promise was lost', async (t) => {
    const proxy = await Proxy.to(t, port)
    const bench = new Bench(t, [proxy.url])
    const store = await bench.store()
    await store.open()
    proxy.loseAnswerTo('user:ada')
    const made = await store.create({ key, value, labels: ['user:ada'], expiresAt: never })
    assert.equal(made.status, 'done')
    assert.equal(proxy.lost, 1)
    assert.equal((await store.list('sessions', { labels: ['user:ada'] })).records.length, 1)
  })

  it('tells watchers when the feed broke and when it is back', async (t) => {
    const proxy = await Proxy.to(t, port)
    const bench = new Bench(t, [proxy.url])
    const direct = new Bench(t, server?.urls ?? [])
    const store = await bench.store()
    const writer = redisStore(await direct.client(), { namespace: bench.namespace })
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    proxy.cut()
    await until('it is broken', () => changes.length > 0)
    assert.equal(changes[0]?.type, 'broken')
    await until('it is back', () => changes.some(({ type }) => type === 'reset'))
    assert.deepEqual(
      changes.map(({ type }) => type),
      ['broken', 'restored', 'reset'],
    )
    changes.length = 0
    await writer.create({ key, value, expiresAt: never })
    await watch.mark()
    assert.deepEqual(changes, [{ type: 'changed', keys: [key] }])
    await watch.close()
    await writer.close()
  })
})

describe('Redis, away', { skip: skipPrivate }, () => {
  it('is unavailable, not empty, when the server is gone', async (t) => {
    const server = await privateServer(t)
    const bench = new Bench(t, [server.url], { clears: false })
    const store = await bench.store()
    await store.create({ key, value, expiresAt: never })
    await server.kill()
    await assert.rejects(async () => store.read(key), StoreUnavailable)
    await assert.rejects(store.list('sessions'), StoreUnavailable)
    await assert.rejects(store.create({ key: { ...key, id: 'b' }, value, expiresAt: never }), HoldfastError)
  })

  it('is an error and no wait when it opens a server that is not there', async (t) => {
    const server = await privateServer(t)
    const { url } = server
    await server.kill()
    const store = openRedisStore(url, () => import('redis'))
    await assert.rejects(store.open(), StoreUnavailable)
    await store.close()
  })

  it('refuses a replica', async (t) => {
    const master = await privateServer(t)
    const replica = await privateServer(t, '--replicaof', `127.0.0.1 ${master.port}`)
    const bench = new Bench(t, [replica.url])
    await assert.rejects((await bench.store()).open(), StoreReadOnly)
  })
})

describe('Redis, wrong servers and URLs', { skip: server?.skip ?? 'no target' }, () => {
  it('refuses a single client of a cluster', { skip: cluster?.skip ?? false }, async () => {
    const client = await connectedToServer(cluster?.urls[0] ?? '')
    await assert.rejects(redisStore(client).open(), StoreMisconfigured)
    client.destroy()
  })

  it('opens by URL, a server and a cluster, and closes what it opened', async () => {
    for (const target of targets.filter(({ skip }) => skip === false)) {
      const namespace = freshNamespace()
      const url = `valkey://${target.urls.map((each) => new URL(each).host).join(',')}`
      const store = openRedisStore(url, () => import('redis'), { namespace })
      assert.equal((await store.create({ key, value, expiresAt: never })).status, 'done')
      const changes: Change[] = []
      const watch = await store.watch((change) => changes.push(change))
      await store.remove([key])
      await watch.mark()
      assert.deepEqual(changes, [{ type: 'changed', keys: [key] }])
      await store.close()
      const client = await connected(target.urls)
      await clear(client, namespace)
      client.destroy()
    }
  })

  it('refuses masters whose clocks are too far apart', { skip: cluster?.skip ?? false }, async () => {
    const client = (await connected(cluster?.urls ?? [])) as ClusterClient
    const [wrong] = client.masters
    const skewed = answering(client, async (node) => {
      const one = await client.nodeClient(node as MasterNode)
      if (node !== wrong) return one
      return answered(one, 'TIME', ([seconds, rest]) => [String(Number(seconds) + 6), rest])
    })
    await assert.rejects(redisStore(skewed).open(), (error) => {
      assert.ok(error instanceof ClockSkew)
      assert.ok(Math.abs(error.skew - 6_000) < 3_000)
      return true
    })
    const { skew } = await redisStore(skewed, { promise: '20s' }).open()
    assert.ok(Math.abs((skew ?? 0) - 6_000) < 3_000)
    client.destroy()
  })

  it('refuses a server that is too old', async () => {
    const client = await connectedToServer(server?.urls[0] ?? '')
    const old = answered(client, 'INFO', ([info = '']) =>
      info.replace(/redis_version:\S+/, 'redis_version:6.0.16'),
    )
    await assert.rejects(redisStore(old).open(), StoreMisconfigured)
    client.destroy()
  })

  it('says what is wrong with a URL, and never repeats its password [T18]', () => {
    for (const url of [
      'redis://u:hunter2@a b',
      'redis://u:hunter2@a:port',
      'redis://u:hunter2@a/1/2',
      'redis://u:hunter2@a/one',
      'redis://u:hunter2@a?db=1',
      'redis://u:hunter2%E0%A4@a',
      'redis://:hunter2@a,b/3',
      'redis:hunter2',
      'redis+sentinel://:hunter2@a,b',
      'redis+sentinel://:hunter2@a/mymaster/one',
    ]) {
      assert.throws(
        () => openRedisStore(url, () => import('redis')),
        (error) =>
          error instanceof StoreMisconfigured && !JSON.stringify([error.message, error]).includes('hunter2'),
      )
    }
  })
})

describe('Redis by URL', { skip: skipPrivate }, () => {
  it('understands hosts, ports, passwords and databases [T18]', () => {
    const address = { secure: false, login: {}, database: 0, master: '' }
    const local = { host: 'localhost', port: 6_379 }
    for (const [url, expected] of [
      ['redis://', { ...address, kind: 'server', hosts: [local] }],
      ['valkey://localhost', { ...address, kind: 'server', hosts: [local] }],
      ['redis://:7000/3', { ...address, kind: 'server', hosts: [{ ...local, port: 7_000 }], database: 3 }],
      [
        'valkeys://[::1]:7000',
        { ...address, kind: 'server', secure: true, hosts: [{ host: '::1', port: 7_000 }] },
      ],
      [
        'redis://:p%40ss%2Cword%2F@localhost',
        { ...address, kind: 'server', login: { password: 'p@ss,word/' }, hosts: [local] },
      ],
      [
        'rediss://ada:x@a,b:7001',
        {
          ...address,
          kind: 'cluster',
          secure: true,
          login: { username: 'ada', password: 'x' },
          hosts: [
            { host: 'a', port: 6_379 },
            { host: 'b', port: 7_001 },
          ],
        },
      ],
      [
        'redis+sentinel://a,b:7001/my%20master/2',
        {
          ...address,
          kind: 'sentinel',
          hosts: [
            { host: 'a', port: 26_379 },
            { host: 'b', port: 7_001 },
          ],
          database: 2,
          master: 'my master',
        },
      ],
    ] as const)
      assert.deepEqual(parsed(url), expected, url)
  })

  it('signs in with a percent-encoded password, and keeps to its database [T18]', async (t) => {
    const server = await privateServer(t)
    await server.ask('config', 'set', 'requirepass', 'p@ss,w/rd')
    const at = `127.0.0.1:${server.port}`
    const store = openRedisStore(`redis://:${encodeURIComponent('p@ss,w/rd')}@${at}/3`, () => import('redis'))
    assert.equal((await store.create({ key, value, expiresAt: Date.now() + 60_000 })).status, 'done')
    await store.close()
    const listed = await server.ask('-a', 'p@ss,w/rd', '--no-auth-warning', 'info', 'keyspace')
    assert.match(listed, /db3:keys=\d+,expires=1/, 'and a record has an expiry of the server’s')
    assert.doesNotMatch(listed, /db0/)
    const wrong = openRedisStore(`redis://:wrong@${at}`, () => import('redis'))
    await assert.rejects(wrong.open(), (error) => {
      assert.ok(error instanceof StoreMisconfigured, String(error))
      return !error.message.includes('p@ss')
    })
    await wrong.close()
  })

  it('finds a whole cluster by the address of one node', { skip: cluster?.skip ?? false }, async (t) => {
    const [url = ''] = cluster?.urls ?? []
    const bench = new Bench(t, cluster?.urls ?? [])
    await bench.client()
    const store = openRedisStore(url, () => import('redis'), { namespace: bench.namespace })
    assert.match((await store.open()).description, /a cluster of 3 masters/)
    const ids = Array.from({ length: 20 }, (_, i) => `s${i}`)
    await Promise.all(ids.map((id) => store.create({ key: { ...key, id }, value, expiresAt: never })))
    assert.equal(await store.count('sessions'), ids.length)
    const changes: Change[] = []
    const watch = await store.watch((change) => changes.push(change))
    await store.remove(ids.map((id) => ({ ...key, id })))
    await watch.mark()
    assert.equal(changes.length, ids.length)
    await store.close()
    // A cluster has no other database.
    await assert.rejects(openRedisStore(`${url}/3`, () => import('redis')).open(), StoreMisconfigured)
  })
})

type MasterNode = ClusterClient['masters'][number]

/** The client with another answer to one command. */
function answered(
  client: ServerClient,
  command: string,
  change: (answer: readonly string[]) => unknown,
): RedisClient {
  return {
    duplicate: () => client.duplicate(),
    sendCommand: async (args, options) => {
      const answer = await (client as RedisClient).sendCommand(args, options)
      return args[0] === command
        ? change(Array.isArray(answer) ? answer.map(String) : [String(answer)])
        : answer
    },
  }
}

/** The cluster with other clients of its nodes. */
function answering(client: ClusterClient, nodeClient: RedisCluster['nodeClient']): RedisCluster {
  const { masters } = client
  const sendCommand: RedisCluster['sendCommand'] = (...all) => (client as RedisCluster).sendCommand(...all)
  return { masters, sendCommand, nodeClient }
}
