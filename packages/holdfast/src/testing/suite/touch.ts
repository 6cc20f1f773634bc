/** What `touch` has to do. */

import assert from 'node:assert/strict'
import { never } from '../../store/record.ts'
import { assertSame, hour, keyOf, numbered, plain, second, versionOf } from './scene.ts'
import type { Stage } from './stage.ts'

export function testTouch(stage: Stage): void {
  stage.describe('touch', () => {
    testOne(stage)
    testMany(stage)
  })
}

function testOne(stage: Stage): void {
  stage.it('prolongs and moves the last use, and leaves value, labels and version alone', async (scene) => {
    const version = await scene.create('a', { labels: ['user:ada'] })
    const before = await scene.present('a')
    scene.clock.advance(second)
    assert.equal(await scene.touch('a', version, scene.now + 2 * hour), 'done')
    const after = await scene.present('a')
    assertSame(after, { ...before, expiresAt: scene.now + 2 * hour, touchedAt: scene.now })
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
    scene.clock.advance(2 * hour - 1)
    assert.ok(await scene.read('a'))
    scene.clock.advance(1)
    assert.equal(await scene.read('a'), undefined)
  })

  stage.it('never shortens, and never moves the last use back [races: A4]', async (scene) => {
    const version = await scene.create('a', { expiresAt: scene.now + 2 * hour, touchedAt: scene.now + 50 })
    const before = await scene.present('a')
    assert.equal(await scene.touch('a', version, scene.now + hour, scene.now + 49), 'done')
    assertSame(await scene.present('a'), before)
    assert.equal(await scene.touch('a', version, scene.now + hour, scene.now + 51), 'done')
    assertSame(await scene.present('a'), { ...before, touchedAt: scene.now + 51 })
    assert.equal(await scene.touch('a', version, scene.now + 3 * hour, scene.now), 'done')
    assertSame(await scene.present('a'), {
      ...before,
      expiresAt: scene.now + 3 * hour,
      touchedAt: scene.now + 51,
    })
  })

  stage.it('answers done when there is nothing to prolong', async (scene) => {
    const version = await scene.create('a')
    const { expiresAt, touchedAt } = await scene.present('a')
    assert.equal(await scene.touch('a', version, expiresAt, touchedAt), 'done')
    assert.equal(await scene.touch('a', version, expiresAt, touchedAt), 'done')
  })

  stage.it('prolongs to `never`, and `never` stays', async (scene) => {
    const version = await scene.create('a')
    assert.equal(await scene.touch('a', version, never), 'done')
    assert.equal(await scene.touch('a', version, scene.now + hour), 'done')
    assert.equal((await scene.present('a')).expiresAt, never)
  })

  stage.it('answers conflict at another version, and changes nothing [races: A4]', async (scene) => {
    const first = await scene.create('a')
    versionOf(await scene.replace('a', first, { expiresAt: scene.now + 30 * second, setsExpiry: true }))
    const before = await scene.present('a')
    assert.equal(await scene.touch('a', first, scene.now + 99 * hour), 'conflict')
    assert.equal(await scene.touch('a', 'nonsense', scene.now + 99 * hour), 'conflict')
    assertSame(await scene.present('a'), before)
  })

  stage.it('answers gone where nothing is, and creates nothing', async (scene) => {
    assert.equal(await scene.touch('a', '1.x', scene.now + hour), 'gone')
    assert.equal(await scene.readEven('a'), undefined)
  })

  stage.it('answers gone exactly from the expiry on, and never revives [T23 K5]', async (scene) => {
    const version = await scene.create('a', { expiresAt: scene.now + second })
    const later = await scene.create('b', { expiresAt: scene.now + second })
    scene.clock.advance(second - 1)
    assert.equal(await scene.touch('b', later, scene.now + 2), 'done')
    scene.clock.advance(1)
    const before = await scene.present('a')
    assert.equal(await scene.touch('a', version, scene.now + hour), 'gone')
    assert.equal(await scene.touch('a', `${version}x`, scene.now + hour), 'gone')
    assertSame(await scene.present('a'), before)
    assert.equal(await scene.read('a'), undefined)
    assert.ok(await scene.read('b'))
    scene.clock.advance(1)
    assert.equal(await scene.read('b'), undefined)
  })
}

function testMany(stage: Stage): void {
  stage.it('answers for each key in its place', async (scene) => {
    const first = await scene.create('changed')
    versionOf(await scene.replace('changed', first))
    const here = await scene.create('here', { key: keyOf('here', 'others') })
    const expired = await scene.create('expired', { expiresAt: scene.now })
    const expiresAt = scene.now + 2 * hour
    const outcomes = await scene.store.touch([
      { key: keyOf('missing'), version: '1.x', expiresAt },
      { key: keyOf('here', 'others'), version: here, expiresAt },
      { key: keyOf('changed'), version: first, expiresAt },
      { key: keyOf('expired'), version: expired, expiresAt },
    ])
    assert.deepEqual([...outcomes], ['gone', 'done', 'conflict', 'gone'])
    assert.equal((await scene.store.read(keyOf('here', 'others')))?.expiresAt, expiresAt)
    assert.deepEqual([...(await scene.store.touch([]))], [])
  })

  stage.it('gives each of many keys its own expiry and time [C20]', async (scene) => {
    const ids = numbered('many', 150)
    const versions = await scene.createAll(ids)
    const touchOf = (id: string, i: number) => ({
      key: keyOf(id),
      version: versions.get(id) ?? '',
      expiresAt: scene.now + 2 * hour + i,
      touchedAt: scene.now + i,
    })
    const outcomes = await scene.store.touch(ids.map(touchOf))
    assert.ok(outcomes.length === ids.length && outcomes.every((outcome) => outcome === 'done'))
    const records = await scene.store.readMany(ids.map((id) => keyOf(id)))
    for (const [i, record] of records.entries()) {
      assert.equal(record?.expiresAt, scene.now + 2 * hour + i)
      assert.equal(record.touchedAt, scene.now + i)
    }
  })

  stage.it(
    'lets rivals touch the same keys in opposite orders: all are done, the latest stays [C20]',
    async (scene) => {
      const ids = numbered('many', 30)
      const versions = await scene.createAll(ids)
      const touches = (order: readonly string[], expiresAt: number) =>
        scene.store.touch(order.map((id) => ({ key: keyOf(id), version: versions.get(id) ?? '', expiresAt })))
      const rivals = [1, 2, 3, 4].map((n) =>
        touches(n % 2 ? ids : ids.toReversed(), scene.now + (1 + n) * hour),
      )
      for (const outcomes of await Promise.all(rivals))
        assert.ok(outcomes.every((outcome) => outcome === 'done'))
      const records = await scene.store.readMany(ids.map((id) => keyOf(id)))
      for (const record of records) assert.equal(record?.expiresAt, scene.now + 5 * hour)
    },
  )

  stage.it('touches beside saves without disturbing them', async (scene) => {
    const version = await scene.create('a', { labels: ['user:ada'] })
    const touches = numbered('t', 6).map((_, i) => scene.touch('a', version, scene.now + (2 + i) * hour))
    const saved = versionOf(await scene.replace('a', version, { value: Buffer.from('saved') }))
    const outcomes = await Promise.all(touches)
    assert.ok(outcomes.every((outcome) => outcome === 'done' || outcome === 'conflict'))
    const last = outcomes.lastIndexOf('done')
    const record = await scene.present('a')
    assert.deepEqual(plain(record), {
      key: { collection: 'things', id: 'a' },
      version: saved,
      labels: ['user:ada'],
      value: 'saved',
      expiresAt: last < 0 ? scene.now + hour : scene.now + (2 + last) * hour,
      touchedAt: scene.now,
    })
  })
}
