/** Redis with a limit to its memory: what is refused, and what must work all the same. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { NotSupported, StoreFull } from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { privateServer, skipPrivate } from './redis/servers.ts'
import { Bench } from './redis/targets.ts'

const hour = 3_600_000
const key = { collection: 'tokens', id: 'victim' }
const value = Buffer.alloc(2_000, 'x')
const tombstone = Buffer.from('{"revoked":true}')

describe('Redis, full memory', { skip: skipPrivate }, () => {
  it('buries, touches, marks and sweeps, and refuses what needs room', async (t) => {
    const server = await privateServer(t, '--maxmemory-policy', 'noeviction')
    const bench = new Bench(t, [server.url])
    const clock = fakeClock({ start: Date.now() })
    const store = await bench.store({ clock })
    const expiresAt = clock.now() + 2 * hour
    const made = await store.create({ key, value, labels: ['user:ada'], expiresAt })
    assert.equal(made.status, 'done')
    await store.create({ key: { collection: 'tokens', id: 'brief' }, value, expiresAt: clock.now() + 1_000 })
    assert.match(await server.ask('config', 'set', 'maxmemory', '1'), /OK/)

    await assert.rejects(store.create({ key: { ...key, id: 'new' }, value, expiresAt }), StoreFull)
    const expected = made.version
    const grown = Buffer.alloc(2_001, 'y')
    await assert.rejects(store.replace({ key, expected, value: grown, expiresAt }), StoreFull)
    assert.deepEqual((await store.read(key))?.value, new Uint8Array(value), 'a refused write changed nothing')

    assert.deepEqual(await store.touch([{ key, version: expected, expiresAt: expiresAt + 1 }]), ['done'])
    const same = await store.replace({ key, expected, value: Buffer.alloc(2_000, 'z'), expiresAt })
    assert.equal(same.status, 'done', 'no longer than before')
    const mark = {
      key: { collection: 'marks', id: 'ada' },
      value: tombstone,
      labels: ['user:ada'],
      expiresAt: never,
    }
    assert.equal((await store.create(mark)).status, 'done')
    const labels = ['revoked:492020', 'state:revoked']
    const bury = {
      key,
      expected: same.version,
      value: tombstone,
      labels,
      expiresAt,
      setsExpiry: true,
      expired: true,
    }
    assert.equal((await store.replace(bury)).status, 'done')
    assert.deepEqual(
      (await store.list('tokens', { labels })).records.map(({ key }) => key.id),
      ['victim'],
    )

    clock.advance(hour + 2_000)
    assert.deepEqual(
      (await store.sweep()).removed.map(({ key }) => key.id),
      ['brief'],
    )
    await store.remove([key])
    assert.equal(await store.read(key, { expired: true }), undefined)
  })

  it('offers no listing, counting or scanning where the server evicts', async (t) => {
    const server = await privateServer(t, '--maxmemory', '50mb', '--maxmemory-policy', 'volatile-lru')
    const bench = new Bench(t, [server.url])
    const store = await bench.store()
    await store.create({ key, value, labels: ['user:ada'], expiresAt: never })
    const { listing, counting, scanning } = store.capabilities
    assert.deepEqual({ listing, counting, scanning }, { listing: 'none', counting: false, scanning: false })
    const refused: readonly ((store: Store) => Promise<unknown>)[] = [
      (store) => store.list('tokens', { labels: ['user:ada'] }),
      (store) => store.count('tokens'),
      (store) => store.scan({ index: 0, of: 1 }),
    ]
    for (const call of refused) await assert.rejects(call(store), NotSupported)
    assert.ok(await store.read(key))
  })

  it('survives a power cut only where each write is synced before its answer', async (t) => {
    for (const [fsync, survives] of [
      ['always', true],
      ['everysec', false],
    ] as const) {
      const server = await privateServer(t, '--appendonly', 'yes', '--appendfsync', fsync)
      const bench = new Bench(t, [server.url])
      const { capabilities } = await (await bench.store()).open()
      assert.deepEqual(capabilities.durable, { process: true, machine: survives, failover: false })
    }
  })

  it('promises nothing about what it may not ask', async (t) => {
    const commands = ['--rename-command', 'CONFIG', '']
    const server = await privateServer(t, '--appendonly', 'yes', '--appendfsync', 'always', ...commands)
    const bench = new Bench(t, [server.url])
    const { capabilities } = await (await bench.store()).open()
    assert.equal(capabilities.durable.machine, false)
    assert.equal(capabilities.listing, 'complete')
  })
})
