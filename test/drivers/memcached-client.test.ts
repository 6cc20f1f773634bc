/** The client: what it sends where, its limits, and what it makes of the servers' answers. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mkdtemp, rm, chmod } from 'node:fs/promises'
import { describe, it } from 'node:test'
import {
  memcachedClient,
  type MemcachedClientOptions,
  type OwnMemcachedClient,
} from '../../packages/holdfast/src/drivers/memcached.ts'
import { addresses } from '../../packages/holdfast/src/drivers/memcached/client/address.ts'
import { Ring } from '../../packages/holdfast/src/drivers/memcached/client/ring.ts'
import { locationOf } from '../../packages/holdfast/src/drivers/memcached/location.ts'
import {
  AnswerLost,
  InvalidKey,
  InvalidOption,
  StoreClosed,
  StoreMisconfigured,
  StoreUnavailable,
  ValueTooLarge,
} from '../../packages/holdfast/src/errors.ts'
import { Proxy } from './memcached/proxy.ts'
import { PrivateServer, privateServer, skipPrivate } from './memcached/servers.ts'
import { stampKey, targets } from './memcached/targets.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { until } from '../until.ts'

const [single] = targets
const skip = single?.skip ?? 'no target'
const text = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString()

function client(
  test: Ending,
  servers: readonly string[],
  options: MemcachedClientOptions = {},
): OwnMemcachedClient {
  const made = memcachedClient(servers, { stampKey: stampKey(), ...options })
  atEnd(test, () => made.close())
  return made
}

/** A key that nobody else uses. */
const fresh = (): string => `test:${crypto.randomUUID()}`

for (const target of targets) {
  describe(`Memcached, client of ${target.name}`, { skip: target.skip }, () => {
    it('gets, sets, adds, swaps and deletes, with any bytes as the value', async (t) => {
      const cache = client(t, target.servers)
      const key = fresh()
      const every = Uint8Array.from({ length: 256 }, (_, i) => i)
      assert.deepEqual(await cache.get([key]), [undefined])
      assert.equal(await cache.set(key, every, { add: true }), 'stored')
      assert.equal(await cache.set(key, Buffer.from('second'), { add: true }), 'exists')
      const [item] = await cache.get([key])
      assert.ok(item)
      assert.deepEqual(item.value, every)
      assert.equal(await cache.set(key, Buffer.from('END\r\nmn\r\n'), { cas: item.cas }), 'stored')
      assert.equal(await cache.set(key, Buffer.from('late'), { cas: item.cas }), 'exists')
      assert.equal(text((await cache.get([key]))[0]?.value), 'END\r\nmn\r\n')
      assert.equal(await cache.set(key, new Uint8Array(0)), 'stored')
      assert.equal((await cache.get([key]))[0]?.value.length, 0)
      const [last] = await cache.get([key])
      assert.ok(last)
      assert.equal(await cache.delete(key), true)
      assert.equal(await cache.delete(key), false)
      assert.equal(await cache.set(key, Buffer.from('gone'), { cas: last.cas }), 'missing')
      await assert.rejects(cache.set(key, Buffer.from('x'), { cas: 'mine' }), TypeError)
    })

    it('gets many, in the order in which they were asked for, and none for what is not there', async (t) => {
      const cache = client(t, target.servers)
      const keys = Array.from({ length: 300 }, fresh)
      const there = keys.filter((_, i) => i % 3 > 0)
      await Promise.all(there.map((key) => cache.set(key, Buffer.from(key))))
      const items = await cache.get(keys)
      assert.deepEqual(
        items.map((item) => text(item?.value)),
        keys.map((key, i) => (i % 3 > 0 ? key : undefined)),
      )
      assert.deepEqual(await cache.get([]), [])
    })

    it('has a server drop a key at an absolute time, however far away', async (t) => {
      const cache = client(t, target.servers)
      const [past, near, far, beyond] = [fresh(), fresh(), fresh(), fresh()]
      const now = Math.floor(Date.now() / 1_000)
      // A number of seconds up to thirty days is a duration to the server: 5 must not be "in five seconds".
      await cache.set(past, Buffer.from('x'), { expires: 5 })
      await cache.set(near, Buffer.from('x'), { expires: now + 3_600 })
      await cache.set(far, Buffer.from('x'), { expires: now + 400 * 86_400 })
      await cache.set(beyond, Buffer.from('x'), { expires: 2 ** 31 + 5 })
      const items = await cache.get([past, near, far, beyond])
      assert.deepEqual(
        items.map((item) => item !== undefined),
        [false, true, true, true],
      )
    })

    it('introduces its servers', async (t) => {
      const reports = await client(t, target.servers).servers()
      assert.deepEqual(reports.map(({ name }) => name).toSorted(), [...target.servers].toSorted())
      for (const { version, time, longestItem, evicts } of reports) {
        assert.match(version, /^\d+\.\d+/)
        assert.ok(Math.abs(time - Date.now() / 1_000) < 5)
        assert.equal(longestItem, 2 ** 20)
        assert.equal(evicts, true)
      }
    })

    it('refuses keys and values that cannot be stored before anything is sent', async (t) => {
      const cache = client(t, target.servers)
      for (const key of ['', 'a b', 'a\r\nflush_all', 'é', 'x'.repeat(251)]) {
        await assert.rejects(cache.get([key]), InvalidKey)
        await assert.rejects(cache.set(key, Buffer.from('x')), InvalidKey)
        await assert.rejects(cache.delete(key), InvalidKey)
      }
      const longest = 'x'.repeat(250)
      await cache.set(longest, Buffer.from('x'))
      await cache.delete(longest)
      // The server would drop what the key holds before it says that the new value is too long.
      const key = fresh()
      await cache.set(key, Buffer.from('before'))
      await assert.rejects(cache.set(key, Buffer.alloc(2 ** 20)), ValueTooLarge)
      assert.equal(text((await cache.get([key]))[0]?.value), 'before')
      assert.equal(await cache.set(key, Buffer.alloc(2 ** 20 - key.length - 128)), 'stored')
    })

    it('refuses everything once it was closed', async (t) => {
      const cache = client(t, target.servers)
      await cache.set(fresh(), Buffer.from('x'))
      cache.close()
      await assert.rejects(cache.get(['a']), StoreClosed)
      await assert.rejects(cache.set('a', Buffer.from('x')), StoreClosed)
    })
  })
}

describe('Memcached, connections', { skip }, () => {
  const server = single?.servers[0] ?? ''
  const port = Number(server.split(':')[1])

  it('understands answers in pieces of any size', async (t) => {
    const proxy = await Proxy.to(t, port)
    for (const size of [1, 2, 3, 7]) {
      proxy.dice(size)
      const cache = client(t, [proxy.name], { connections: 1 })
      const keys = Array.from({ length: 20 }, fresh)
      await Promise.all(keys.map((key) => cache.set(key, Buffer.from(`\r\n${key}\r\n`))))
      const items = await cache.get(keys)
      assert.deepEqual(
        items.map((item) => text(item?.value)),
        keys.map((key) => `\r\n${key}\r\n`),
      )
    }
  })

  it('sends many requests over few connections', async (t) => {
    const proxy = await Proxy.to(t, port)
    const cache = client(t, [proxy.name], { connections: 2 })
    await Promise.all(Array.from({ length: 5 }, () => cache.get([fresh()])))
    assert.equal(proxy.connections, 1, 'a few requests need no second connection')
    await Promise.all(Array.from({ length: 500 }, () => cache.get([fresh()])))
    await until('the second is open', () => cache.health()[0]?.connections === 2)
    await Promise.all(Array.from({ length: 500 }, () => cache.get([fresh()])))
    assert.equal(proxy.connections, 2)
  })

  it('uses the connection used last, and closes the one that stays idle [K71]', async (t) => {
    const proxy = await Proxy.to(t, port)
    const cache = client(t, [proxy.name], { connections: 2, idle: 50 })
    await Promise.all(Array.from({ length: 500 }, () => cache.get([fresh()])))
    await until('the second is open', () => cache.health()[0]?.connections === 2)
    await until('one is left', async () => {
      await cache.get([fresh()])
      return cache.health()[0]?.connections === 1
    })
    await cache.get([fresh()])
    assert.equal(proxy.connections, 2, 'none was opened in its place')
  })

  it('fails, saying so, when all connections stay busy [K71]', { skip: skipPrivate }, async (t) => {
    const slow = await privateServer(t)
    const cache = client(t, [slow.name], { connections: 1, pipeline: 4, wait: 100, timeout: 9_000 })
    await cache.get(['a'])
    await slow.standStill()
    const asked = Array.from({ length: 4 }, () => cache.get(['a']))
    const started = performance.now()
    await assert.rejects(cache.get(['a']), (error) => {
      assert.ok(error instanceof StoreUnavailable)
      assert.match(error.message, /all 1 connections to .* stayed busy for 100 ms/)
      return true
    })
    assert.ok(performance.now() - started < 6_000)
    slow.goOn()
    await Promise.all(asked)
    await cache.get(['a'])
  })

  it(
    'never swaps by the token of a server that was restarted, which counts anew [races: K1]',
    { skip: skipPrivate },
    async (t) => {
      const own = await privateServer(t)
      const options = { stampKey: stampKey() }
      const [mine, other] = [client(t, [own.name], options), client(t, [own.name], options)]
      const token = async (): Promise<string | undefined> =>
        / c(\d+)/.exec(await own.ask('mg lease c\r\n'))?.[1]
      await mine.set('lease', Buffer.from('mine'))
      const [held] = await mine.get(['lease'])
      assert.ok(held)
      const before = await token()
      await own.kill()
      await own.start()
      await until('it is back', async () => (await other.set('lease', Buffer.from('theirs'))) === 'stored')
      for (let i = 0; (await token()) !== before && i < 20; i++)
        await other.set('lease', Buffer.from('theirs'))
      assert.equal(await token(), before, 'another item has the same token now')
      await until('it is back', async () => await mine.get(['lease']).then(() => true))
      assert.equal(await mine.set('lease', Buffer.from('mine again'), { cas: held.cas }), 'exists')
      assert.equal(text((await other.get(['lease']))[0]?.value), 'theirs')
    },
  )

  it(
    'gives a connection up that is silent, and opens another',
    { skip: skipPrivate, timeout: 30_000 },
    async (t) => {
      const slow = await privateServer(t)
      const cache = client(t, [slow.name], { timeout: 500, connectTimeout: 500 })
      await cache.set('a', Buffer.from('x'))
      await slow.standStill()
      const started = performance.now()
      await assert.rejects(cache.set('a', Buffer.from('y')), (error) => {
        assert.ok(error instanceof AnswerLost)
        return error.message.endsWith('did not answer within 500 ms')
      })
      assert.ok(performance.now() - started < 8_000)
      assert.equal(cache.health()[0]?.state, 'down')
      slow.goOn()
      await until('it answers', async () => (await cache.get(['a']))[0] !== undefined)
      assert.equal(cache.health()[0]?.state, 'up')
    },
  )

  it('does not send what was given up while it waited for a place', { skip: skipPrivate }, async (t) => {
    const slow = await privateServer(t)
    const cache = client(t, [slow.name], { connections: 1, pipeline: 1, wait: 5_000, timeout: 5_000 })
    await cache.get(['a'])
    await slow.standStill()
    const first = cache.get(['a'])
    const reason = new Error('no longer wanted')
    const controller = new AbortController()
    const second = cache.set('late', Buffer.from('x'), { signal: controller.signal })
    const rejected = assert.rejects(second, reason)
    controller.abort(reason)
    slow.goOn()
    await first
    await rejected
    assert.deepEqual(await cache.get(['late']), [undefined])
  })

  it('refuses options that make no sense', () => {
    assert.throws(() => memcachedClient(['a'], { connections: 0 }), InvalidOption)
    assert.throws(() => memcachedClient(['a'], { pipeline: 1.5 }), InvalidOption)
    assert.throws(() => memcachedClient(['a'], { timeout: 0 }), InvalidOption)
    assert.throws(() => memcachedClient(['a'], { stampKey: 'a b' }), InvalidKey)
  })
})

describe('Memcached, servers that do not speak the protocol', () => {
  const cases: [string, (line: string) => string][] = [
    ['another kind of server', () => 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['too old a server', () => 'ERROR\r\n'],
    ['a server that asks for a login', () => 'CLIENT_ERROR unauthenticated\r\n'],
    ['a server that repeats no numbers', (line) => (line.startsWith('mg') ? 'EN\r\n' : 'END\r\n')],
  ]
  for (const [what, answer] of cases) {
    it(`refuses ${what}`, async (t) => {
      const name = await answering(t, (socket, line) => socket.write(answer(line)))
      await assert.rejects(client(t, [name]).get(['a']), StoreMisconfigured)
    })
  }

  it('never gives the answer to one request to another: it hangs up instead', async (t) => {
    let held: string | undefined
    const name = await answering(t, (socket, line) => {
      const opaque = / (O\d+)$/.exec(line)?.[1] ?? ''
      const key = line.split(' ')[1] ?? ''
      if (line.startsWith('stats')) socket.write('STAT item_size_max 1048576\r\nEND\r\n')
      else if (line.startsWith('ms')) socket.write(`HD ${opaque}\r\n`)
      else if (key === 'first') held = opaque
      else if (key !== 'second') socket.write(`EN ${opaque}\r\n`)
      else {
        // The two answers have changed places.
        socket.write(`VA 6 c2 ${opaque}\r\nsecond\r\n`)
        socket.write(`VA 5 c1 ${held ?? ''}\r\nfirst\r\n`)
      }
    })
    const cache = client(t, [name], { connections: 1 })
    await cache.get(['ready'])
    const [first, second] = await Promise.allSettled([cache.get(['first']), cache.get(['second'])])
    for (const each of [first, second]) {
      assert.equal(each.status, 'rejected')
      assert.ok(each.reason instanceof AnswerLost)
    }
    assert.deepEqual(await cache.get(['ready']), [undefined], 'it connects again')
  })
})

/** A server that answers each line as it is told to. Lines of values are not told apart from commands. */
async function answering(test: Ending, answer: (socket: Socket, line: string) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      for (const line of data.toString().split('\r\n')) {
        if (/^(m[gsnd]|stats|flush_all)/.test(line)) answer(socket, line)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(test, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('Memcached, other ways to a server', { skip: skipPrivate }, () => {
  it('connects to a Unix socket', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-memcached-'))
    await chmod(folder, 0o777)
    atEnd(t, () => rm(folder, { recursive: true }))
    const path = join(folder, 'a.sock')
    const server = new PrivateServer(0, ['-s', path, '-a', '777'])
    atEnd(t, () => server.kill())
    await server.spawn()
    const cache = client(t, [path])
    await until('it listens', async () => (await cache.set('a', Buffer.from('x'))) === 'stored')
    assert.equal(text((await cache.get(['a']))[0]?.value), 'x')
  })

  it('connects over IPv6', async (t) => {
    const server = await privateServer(t, '-l', '::1')
    const cache = client(t, [`[::1]:${server.port}`])
    await cache.set('a', Buffer.from('x'))
    assert.equal(text((await cache.get(['a']))[0]?.value), 'x')
  })
})

describe('Memcached, names of servers', () => {
  const names = (servers: readonly string[]): readonly string[] => addresses(servers).map(({ name }) => name)

  it('have a port, and come in one order', () => {
    assert.deepEqual(names(['b', 'a:1', '[::1]', '[::1]:5', '/run/m.sock']), [
      '/run/m.sock',
      '[::1]:11211',
      '[::1]:5',
      'a:1',
      'b:11211',
    ])
  })

  it('are refused when they cannot be right', () => {
    for (const wrong of [
      [],
      [''],
      ['a', 'a:11211'],
      ['a:0'],
      ['a:65536'],
      ['a:b'],
      ['::1'],
      ['a b'],
      ['u@a'],
    ]) {
      assert.throws(() => addresses(wrong), StoreMisconfigured)
    }
  })

  it('are read from a URL [T20]', () => {
    const plain = { secure: false, settings: {} }
    assert.deepEqual(locationOf('memcached://h1,h2:5'), { ...plain, servers: ['h1', 'h2:5'] })
    assert.deepEqual(locationOf('memcached://[::1]:5/'), { ...plain, servers: ['[::1]:5'] })
    assert.deepEqual(locationOf('memcacheds://h'), { ...plain, servers: ['h'], secure: true })
    assert.deepEqual(locationOf('memcached:///run/a%20b.sock'), { ...plain, servers: ['/run/a b.sock'] })
    const settings = { listing: 'partial', role: 'cache' }
    assert.deepEqual(locationOf('memcached://h?listing=partial&role=cache'), {
      ...plain,
      servers: ['h'],
      settings,
    })
    const wrong = [
      ...['', '//', '///', '//h,', '//u:hunter2@h', '//h/1', '//h?a=hunter2', '///%ff', 'h'],
      ...['//h?listing=complete', '//h?role=', '//h#hunter2'],
    ]
    for (const rest of wrong) {
      assert.throws(
        () => locationOf(`memcached:${rest}`),
        (error) => error instanceof StoreMisconfigured && !error.message.includes('hunter2'),
      )
    }
  })
})

describe('Memcached, the ring', () => {
  const keys = Array.from({ length: 10_000 }, (_, i) => `holdfast:sessions/${i}`)
  const shares = (names: readonly string[]): Map<string, string> => {
    const ring = new Ring(names)
    return new Map(keys.map((key) => [key, names[ring.of(key)] ?? '']))
  }

  it('spreads keys evenly', () => {
    const names = ['a:1', 'b:1', 'c:1']
    const found = [...shares(names).values()]
    for (const name of names) {
      const share = found.filter((each) => each === name).length / keys.length
      assert.ok(share > 0.25 && share < 0.42, `${name} has ${share}`)
    }
  })

  it('moves only the keys of the server that is taken out', () => {
    const before = shares(['a:1', 'b:1', 'c:1'])
    const after = shares(['a:1', 'c:1'])
    for (const key of keys) {
      if (before.get(key) !== 'b:1') assert.equal(after.get(key), before.get(key))
    }
  })

  it('is the same in every process: these keys stay where they are for good', () => {
    const names = ['a:1', 'b:1', 'c:1']
    const ring = new Ring(names)
    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((key) => names[ring.of(key)]?.charAt(0)).join(''),
      'bbaabcac',
    )
    assert.notEqual(ring.id, new Ring(['a:1', 'b:1']).id)
  })
})
