import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fakeClock } from 'holdfast/testing'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { sweepAll } from '../../packages/holdfast/src/store/sweep.ts'

const hour = 3_600_000

/** A store that holds so many expired records, and a living one. */
async function expired(count: number): Promise<Store> {
  const clock = fakeClock()
  const store = memoryStore({ clock })
  const value = Buffer.from('value')
  for (let i = 0; i < count; i++) {
    const key = { collection: 'sessions', id: `s${i}` }
    await store.create({ key, value, expiresAt: clock.now() + 1 })
  }
  const key = { collection: 'sessions', id: 'living' }
  await store.create({ key, value, expiresAt: clock.now() + 3 * hour })
  clock.advance(2 * hour)
  return store
}

describe('sweepAll', () => {
  it('removes all that has expired, in batches of a hundred, and tells of each', async () => {
    const store = await expired(250)
    const told: [removed: number, batch: number][] = []
    const onProgress = (removed: number, batch: readonly unknown[]) => told.push([removed, batch.length])
    assert.equal(await sweepAll(store, { onProgress }), 250)
    assert.deepEqual(told, [
      [100, 100],
      [200, 100],
      [250, 50],
    ])
    assert.equal((await store.list('sessions', { expired: true })).records.length, 1)
  })

  it('takes batches as large as it is told', async () => {
    const store = await expired(250)
    const batches: number[] = []
    await sweepAll(store, { limit: 1_000, onProgress: (_, batch) => batches.push(batch.length) })
    assert.deepEqual(batches, [250])
  })

  it('stops between two batches', async () => {
    const store = await expired(250)
    const stopping = new AbortController()
    const onProgress = () => {
      stopping.abort()
    }
    await assert.rejects(sweepAll(store, { signal: stopping.signal, onProgress }), { name: 'AbortError' })
    assert.equal((await store.list('sessions', { limit: 1_000, expired: true })).records.length, 151)
  })
})
