/** What `create` has to do. */

import assert from 'node:assert/strict'
import { never } from '../../store/record.ts'
import { assertSame, hour, keyOf, numbered, plain, second, versionOf } from './scene.ts'
import type { Stage } from './stage.ts'

export function testCreate(stage: Stage): void {
  stage.describe('create', () => {
    testFree(stage)
    testOccupied(stage)
  })
}

function testFree(stage: Stage): void {
  stage.it('stores every field of a record where the key is free', async (scene) => {
    const labels = ['user:ada', 'tenant:t1']
    const version = await scene.create('a', {
      labels,
      expiresAt: scene.now + 5 * second,
      touchedAt: scene.now - 7,
    })
    assert.deepEqual(plain(await scene.read('a')), {
      key: { collection: 'things', id: 'a' },
      version,
      labels: ['tenant:t1', 'user:ada'],
      value: 'a',
      expiresAt: scene.now + 5 * second,
      touchedAt: scene.now - 7,
    })
  })

  stage.it('stores no labels and the present time as last use unless told otherwise', async (scene) => {
    await scene.create('a')
    const { labels, touchedAt } = await scene.present('a')
    assert.deepEqual([...labels], [])
    assert.equal(touchedAt, scene.now)
  })

  stage.it('stores a label that is given twice once', async (scene) => {
    await scene.create('a', { labels: ['user:ada', 'user:ada'] })
    assert.deepEqual([...(await scene.present('a')).labels], ['user:ada'])
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
  })

  stage.it('keeps a record with an explicit `never` for ever [K4 G4 G11]', async (scene) => {
    await scene.create('a', { expiresAt: never, labels: ['user:ada'] })
    scene.clock.advance(400 * 24 * hour)
    assert.equal((await scene.read('a'))?.expiresAt, never)
    assert.deepEqual(await scene.swept(), [])
    assert.ok(await scene.read('a'))
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
  })

  stage.it('keeps records of one id in two collections apart', async (scene) => {
    const ours = await scene.create('a', { value: Buffer.from('ours') })
    const theirs = await scene.create('a', { key: keyOf('a', 'others'), value: Buffer.from('theirs') })
    assert.notEqual(ours, theirs)
    assert.equal(Buffer.from((await scene.present('a')).value).toString(), 'ours')
    const other = await scene.store.read(keyOf('a', 'others'))
    assert.ok(other)
    assert.equal(Buffer.from(other.value).toString(), 'theirs')
  })

  stage.it('stores a record that has expired already as an expired one', async (scene) => {
    await scene.create('a', { expiresAt: scene.now })
    assert.equal(await scene.read('a'), undefined)
    assert.equal((await scene.readEven('a'))?.expiresAt, scene.now)
  })
}

function testOccupied(stage: Stage): void {
  stage.it('refuses a key that a live record holds, and changes nothing [D39]', async (scene) => {
    await scene.create('a', { labels: ['user:ada'] })
    const before = await scene.present('a')
    const refused = await scene.store.create(
      scene.draft('a', {
        value: Buffer.from('other'),
        labels: ['user:eve'],
        expiresAt: scene.now + 9 * hour,
      }),
    )
    assert.equal(refused.status, 'conflict')
    assertSame(await scene.present('a'), before)
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
    await scene.assertListedIfListing([], { labels: ['user:eve'] })
  })

  stage.it('takes the key of an expired record exactly from its expiry on [T23 K5]', async (scene) => {
    await scene.create('a', { expiresAt: scene.now + second })
    scene.clock.advance(second - 1)
    assert.equal((await scene.store.create(scene.draft('a'))).status, 'conflict')
    scene.clock.advance(1)
    const version = versionOf(await scene.store.create(scene.draft('a', { value: Buffer.from('new') })))
    const record = await scene.present('a')
    assert.equal(record.version, version)
    assert.equal(Buffer.from(record.value).toString(), 'new')
    assert.equal(record.expiresAt, scene.now + hour)
  })

  stage.it('drops the labels and the last use of the expired record whose key it takes', async (scene) => {
    await scene.create('a', {
      labels: ['user:ada'],
      expiresAt: scene.now + second,
      touchedAt: scene.now + 9 * hour,
    })
    scene.clock.advance(second)
    await scene.create('a', { labels: ['user:eve'] })
    assert.deepEqual([...(await scene.present('a')).labels], ['user:eve'])
    assert.equal((await scene.present('a')).touchedAt, scene.now)
    await scene.assertListedIfListing([], { labels: ['user:ada'], expired: true })
    await scene.assertListedIfListing(['a'], { labels: ['user:eve'], expired: true })
  })

  stage.it('refuses the key of a tombstone until that expires [D29 D44 C43]', async (scene) => {
    const version = await scene.create('a', { labels: ['user:ada'] })
    const buried = await scene.replace('a', version, {
      value: Buffer.from('{}'),
      labels: [],
      expiresAt: scene.now + 24 * hour,
      setsExpiry: true,
    })
    versionOf(buried)
    scene.clock.advance(24 * hour - 1)
    assert.equal((await scene.store.create(scene.draft('a'))).status, 'conflict')
    scene.clock.advance(1)
    versionOf(await scene.store.create(scene.draft('a')))
  })

  stage.it('takes a key again after its record was removed or swept', async (scene) => {
    await scene.createAll(['a', 'b'], { expiresAt: scene.now + second, labels: ['user:ada'] })
    await scene.store.remove([keyOf('a')])
    await scene.create('a')
    scene.clock.advance(second + scene.store.margin)
    await scene.sweep()
    await scene.create('b')
    assert.ok(await scene.read('b'))
    await scene.assertListedIfListing([], { labels: ['user:ada'], expired: true })
  })

  stage.it('lets exactly one of many who create the same key at once succeed [K10]', async (scene) => {
    const drafts = numbered('writer', 12).map((name) => scene.draft('a', { value: Buffer.from(name) }))
    const written = await Promise.all(drafts.map((draft) => scene.store.create(draft)))
    const winners = written.filter(({ status }) => status === 'done')
    assert.equal(winners.length, 1)
    const winner = written.findIndex(({ status }) => status === 'done')
    const record = await scene.present('a')
    assert.equal(Buffer.from(record.value).toString(), `writer-${String(winner).padStart(3, '0')}`)
    assert.deepEqual(winners[0], { status: 'done', version: record.version })
    assert.ok(written.every(({ status }) => status === 'done' || status === 'conflict'))
  })

  stage.it('lets exactly one of many who take over an expired key succeed [races: K1]', async (scene) => {
    const old = await scene.create('a', { expiresAt: scene.now + second })
    scene.clock.advance(second)
    const written = await Promise.all(numbered('w', 8).map(() => scene.store.create(scene.draft('a'))))
    assert.equal(written.filter(({ status }) => status === 'done').length, 1)
    // Who held the key before it expired holds it no longer.
    assert.equal((await scene.replace('a', old)).status, 'conflict')
  })
}
