/** Which commands reach the server: none that walks through all names, and few. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { connect } from 'node:net'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { privateServer, skipPrivate } from './redis/servers.ts'
import { Bench, intercepted } from './redis/targets.ts'
import { until } from '../until.ts'

/** Everything that the driver sends, and what its scripts call. */
const known = new Set([
  ...[
    'HELLO',
    'CLIENT',
    'PING',
    'INFO',
    'TIME',
    'CONFIG',
    'EVAL',
    'EVALSHA',
    'SUBSCRIBE',
    'UNSUBSCRIBE',
    'PUBLISH',
  ],
  ...['GET', 'MGET', 'ZCARD', 'ZRANGEBYLEX', 'ZREVRANGEBYLEX', 'ZRANGEBYSCORE'],
  ...['GETRANGE', 'SETRANGE', 'SET', 'DEL', 'PEXPIREAT'],
  ...['HGET', 'HMGET', 'HSET', 'HDEL', 'ZADD', 'ZREM', 'ZSCORE'],
])

describe('Redis, the commands that it is sent', { skip: skipPrivate }, () => {
  it('are none that walk through the names, whatever the store does', async (t) => {
    const server = await privateServer(t)
    const sent = await monitored(t, server.port)
    const bench = new Bench(t, [server.url], { clears: false })
    const clock = fakeClock({ start: Date.now() })
    const store = await bench.store({ clock })
    const watch = await store.watch(() => undefined)
    const key = { collection: 'sessions', id: 'a' }
    const value = Buffer.from('{}')
    const labels = ['tenant:t', 'user:ada']
    const made = await store.create({ key, value, labels, expiresAt: clock.now() + 1_000 })
    assert.equal(made.status, 'done')
    const expected = made.version
    await store.touch([{ key, version: expected, expiresAt: clock.now() + 2_000 }])
    await store.replace({ key, expected, value, labels: ['user:ada'], expiresAt: never, setsExpiry: true })
    await store.read(key)
    await store.readMany([key, { ...key, id: 'b' }])
    await store.list('sessions', { labels })
    await store.list('sessions', { reverse: true })
    await store.count('sessions', { labels: ['user:ada'] })
    await store.scan({ index: 0, of: 1 })
    await store.create({ key: { ...key, id: 'brief' }, value, labels, expiresAt: clock.now() + 1_000 })
    clock.advance(3 * 3_600_000)
    assert.equal((await store.sweep()).removed.length, 1)
    await store.remove([key])
    await watch.mark()
    await watch.close()
    await until('it has been seen', () => sent().has('ZRANGEBYSCORE'))
    assert.deepEqual(
      [...sent()].filter((name) => !known.has(name)),
      [],
    )
    for (const walking of ['KEYS', 'SCAN', 'HSCAN', 'ZSCAN', 'SSCAN', 'RANDOMKEY', 'SMEMBERS', 'HGETALL'])
      assert.ok(!sent().has(walking), walking)
  })

  // On a server of its own: others' tests take its scripts away, which costs commands.
  it('are few where many records, buckets or entries are asked for', async (t) => {
    const server = await privateServer(t)
    const bench = new Bench(t, [server.url], { clears: false })
    let sent: string[] = []
    const client = intercepted(await bench.client(), ([name]) => {
      sent.push(String(name))
      return Promise.resolve()
    })
    const store = await bench.store({}, client)
    const keys = Array.from({ length: 600 }, (_, i) => ({ collection: 'sessions', id: `s${i}` }))
    const labels = ['user:ada']
    await Promise.all(
      keys.map((key) => store.create({ key, value: Buffer.from('{}'), labels, expiresAt: never })),
    )
    const takes = async (most: number, call: () => Promise<unknown>): Promise<void> => {
      // The first time may teach the server a script.
      await call()
      sent = []
      await call()
      assert.ok(sent.length <= most, `${sent.length} instead of ${most}: ${sent.join(' ')}`)
    }
    await store.list('sessions', { labels, limit: 1 })
    await takes(3, async () => await store.readMany(keys))
    await takes(4, () => store.list('sessions', { labels, limit: 1_000 }))
    await takes(5, () => store.list('sessions', { labels, limit: 1_000, values: false }))
    await takes(12, () => store.sweep())
    await takes(15, () => store.scan({ index: 0, of: 1, limit: 1_000 }))
  })
})

/** The names of all commands that a server is sent from now on, also by scripts. */
async function monitored(t: Ending, port: number): Promise<() => ReadonlySet<string>> {
  const socket = connect(port, '127.0.0.1')
  atEnd(t, () => {
    socket.destroy()
  })
  let lines = ''
  socket.on('data', (data) => (lines += data.toString('latin1')))
  socket.write('MONITOR\r\n')
  await until('it is monitored', () => lines.startsWith('+OK'))
  return () => new Set(Array.from(lines.matchAll(/\] "([^"]*)"/g), ([, name = '']) => name.toUpperCase()))
}
