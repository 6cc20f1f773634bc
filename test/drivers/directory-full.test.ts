/** A full disk: what is refused, what is kept, and that destroying and revoking still work. */

import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { directoryStore } from '../../packages/holdfast/src/drivers/directory.ts'
import { HoldfastError } from '../../packages/holdfast/src/errors.ts'
import type { Key } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { smallDisk } from './sqlite/disk.ts'

const keyOf = (id: string): Key => ({ collection: 'sessions', id })
const hour = 3_600_000
const clock = fakeClock()

async function create(store: Store, id: string, bytes: number): Promise<string> {
  try {
    const expiresAt = clock.now() + hour
    const value = Buffer.alloc(bytes, id)
    return (await store.create({ key: keyOf(id), value, labels: ['user:ada'], expiresAt })).status
  } catch (error) {
    return error instanceof HoldfastError ? error.code : String(error)
  }
}

/** Creates until ten in a row found no room. Answers with what was created. */
async function fill(store: Store, bytes: number): Promise<string[]> {
  const kept: string[] = []
  for (let [i, refused] = [0, 0]; refused < 10; i++) {
    const id = `${bytes}-${i}`
    const answer = await create(store, id, bytes)
    assert.match(answer, /^(done|HOLDFAST_STORE_FULL)$/)
    if (answer === 'done') kept.push(id)
    refused = answer === 'done' ? 0 : refused + 1
  }
  return kept
}

async function ids(store: Store): Promise<string[]> {
  const { records } = await store.list('sessions', { labels: ['user:ada'], limit: 1_000 })
  return records.map(({ key }) => key.id)
}

describe('a full disk', () => {
  it('keeps its word on every answer, leaves room for burials and sweeps, and recovers', async (t) => {
    const disk = smallDisk(4)
    if (!disk) {
      t.skip('no small disk can be mounted here (not root on Linux)')
      return
    }
    const folder = join(disk.folder, 'store')
    const store = directoryStore(folder, { clock })
    try {
      await store.open()
      const reserved = (): number => readdirSync(join(folder, 'reserve')).length
      const atFirst = reserved()
      assert.ok(atFirst > 5)
      // At last with the smallest there are, so that not a single block is left.
      const kept = [...(await fill(store, 20_000)), ...(await fill(store, 10))]
      assert.deepEqual(await ids(store), kept.toSorted())
      assert.deepEqual(readdirSync(join(folder, 'ns-holdfast', 'temp')), [], 'what failed left room behind')

      // Revoking changes the labels, and so needs new folders too.
      for (const [i, id] of kept.slice(0, 20).entries()) {
        const record = await store.read(keyOf(id))
        const buried = await store.replace({
          key: keyOf(id),
          expected: record!.version,
          value: Buffer.from('{}'),
          labels: ['state:revoked', `revoked:${i}`],
          expiresAt: clock.now() + 9 * hour,
          expired: true,
        })
        assert.equal(buried.status, 'done')
      }
      assert.deepEqual(await ids(store), kept.slice(20).toSorted())
      await store.remove([keyOf(kept[20]!)])

      clock.advance(3 * hour)
      const { removed } = await store.sweep({ limit: 1_000 })
      assert.equal(removed.length, kept.length - 21)
      assert.equal(await create(store, 'after-the-sweep', 20_000), 'done')
      rmSync(disk.filler)
      assert.equal(await create(store, 'room-again', 20_000), 'done')
      assert.ok(reserved() >= atFirst, `of ${atFirst} files of the reserve ${reserved()} are left`)
    } finally {
      await store.close()
      disk.unmount()
    }
  })
})
