/** What the memory driver keeps of the records that are looked at again and again. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import type { StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'

const hour = 3_600_000

function scene() {
  const clock = fakeClock()
  const store = memoryStore({ clock })
  const key = (id: string) => ({ collection: 'sessions', id })
  let made = 0
  /** What stands in a record, made anew each time. */
  const view = ({ value, expiresAt, touchedAt, labels }: StoredRecord) => {
    made++
    return { text: Buffer.from(value).toString(), expiresAt, touchedAt, labels }
  }
  const create = async (id: string, text: string): Promise<string> => {
    const written = await store.create({
      key: key(id),
      value: Buffer.from(text),
      expiresAt: clock.now() + hour,
    })
    assert.ok(written.status === 'done')
    return written.version
  }
  return { clock, store, key, view, create, made: () => made }
}

describe('a view of a record in memory', () => {
  it('is made once as long as the record stays as it is, for each way to look at it', async () => {
    const { store, key, view, create, made } = scene()
    await create('a', 'one')
    const seen = store.view(key('a'), view)
    assert.equal(store.view(key('a'), view), seen)
    assert.equal(made(), 1)
    const length = ({ value }: StoredRecord): number => value.byteLength
    assert.equal(store.view(key('a'), length), 3)
    assert.deepEqual(store.view(key('a'), view), seen)
  })

  it('follows what is replaced, touched, relabelled, removed and created anew', async () => {
    const { clock, store, key, view, create } = scene()
    const look = () => store.view(key('a'), view) as ReturnType<typeof view> | undefined
    const version = await create('a', 'one')
    assert.equal(look()?.text, 'one')
    const rewrite = { key: key('a'), value: Buffer.from('two'), expiresAt: clock.now() + hour }
    const written = await store.replace({ ...rewrite, expected: version, labels: ['user:ada'] })
    assert.ok(written.status === 'done')
    assert.equal(look()?.text, 'two')
    assert.deepEqual(look()?.labels, ['user:ada'])
    clock.advance(1_000)
    const expiresAt = clock.now() + 2 * hour
    await store.touch([{ key: key('a'), version: written.version, expiresAt }])
    assert.equal(look()?.expiresAt, expiresAt)
    assert.equal(look()?.touchedAt, clock.now())
    await store.remove([key('a')])
    assert.equal(look(), undefined)
    await create('a', 'three')
    assert.equal(look()?.text, 'three')
  })

  it('ends with the record, to the millisecond, and is not answered to who asks for the expired', async () => {
    const { clock, store, key, view, create, made } = scene()
    await create('a', 'one')
    clock.advance(hour - 1)
    assert.ok(store.view(key('a'), view))
    clock.advance(1)
    assert.equal(store.view(key('a'), view), undefined)
    assert.equal(made(), 1)
    assert.ok(await store.view(key('a'), view, { expired: true }))
    assert.equal(made(), 2)
  })

  it('is right for more records than are kept, and for long ones, which are not kept', async () => {
    const { store, key, view, create, made } = scene()
    const ids = Array.from({ length: 3_000 }, (_, i) => `s${String(i)}`)
    for (const id of ids) await create(id, id)
    for (let round = 0; round < 2; round++) {
      for (const id of ids) {
        assert.equal((store.view(key(id), view) as ReturnType<typeof view>).text, id)
      }
    }
    assert.equal(made(), 6_000, 'whoever goes through all of them finds none of the last thousand')
    await create('long', 'x'.repeat(5_000))
    await store.view(key('long'), view)
    await store.view(key('long'), view)
    assert.equal(made(), 6_002)
  })

  it('keeps nothing of a view that throws, and stops where its caller has given up', async () => {
    const { store, key, create } = scene()
    await create('a', 'one')
    let isBroken = true
    const fragile = (): string => {
      if (isBroken) throw new RangeError('not today')
      return 'fine'
    }
    assert.throws(() => store.view(key('a'), fragile), RangeError)
    isBroken = false
    assert.equal(store.view(key('a'), fragile), 'fine')
    const signal = AbortSignal.abort(new Error('gave up'))
    assert.throws(() => store.view(key('a'), fragile, { signal }), /gave up/)
  })

  it('counts as a read', async () => {
    const { store, key, view, create } = scene()
    await create('a', 'one')
    for (let i = 0; i < 5; i++) await store.view(key('a'), view)
    assert.equal(store.figures().operations['read']?.calls, 5)
  })
})
