/** What `sweep` and `remove` have to do. */

import assert from 'node:assert/strict'
import { assertSame, hour, keyOf, numbered, second, versionOf } from './scene.ts'
import { assertRefused, type Stage } from './stage.ts'

export function testSweep(stage: Stage): void {
  stage.describe('sweep', () => {
    testBoundaries(stage)
    testBatches(stage)
    testFreshLooks(stage)
  })
  stage.describe('remove', () => {
    testRemove(stage)
  })
}

function testBoundaries(stage: Stage): void {
  stage.itSweeping(
    'removes what expired at least the margin ago, and nothing a millisecond earlier [T23 C17 K67]',
    async (scene) => {
      await scene.create('a', { expiresAt: scene.now + second, labels: ['user:ada'] })
      await scene.create('b', { expiresAt: scene.now + second + 1, labels: ['user:ada'] })
      await scene.create('live', { labels: ['user:ada'], expiresAt: scene.now + 9 * hour })
      scene.clock.advance(second + scene.store.margin - 1)
      assert.deepEqual(await scene.swept(), [])
      assert.ok(await scene.readEven('a'))
      await scene.assertListedIfListing(['a', 'b', 'live'], { expired: true })
      scene.clock.advance(1)
      assert.deepEqual(await scene.swept(), ['a'])
      assert.equal(await scene.readEven('a'), undefined)
      assert.ok(await scene.readEven('b'))
      scene.clock.advance(1)
      assert.deepEqual(await scene.swept(), ['b'])
      assert.ok(await scene.read('live'))
      await scene.assertListedIfListing(['live'], { labels: ['user:ada'], expired: true })
    },
  )

  stage.it('removes nothing and fails at nothing when nothing has expired [K68]', async (scene) => {
    assert.deepEqual(await scene.sweep(), [[]])
    await scene.createAll(['a', 'b'])
    assert.deepEqual(await scene.swept(), [])
    assert.ok((await scene.read('a')) && (await scene.read('b')))
  })

  stage.itSweeping(
    'tells what it removed: key, labels and expiry, of every collection [C21]',
    async (scene) => {
      const expiresAt = scene.now + second
      await scene.create('a', { expiresAt, labels: ['user:ada', 'tenant:t1'] })
      await scene.create('b', { expiresAt: expiresAt + 1, key: keyOf('b', 'others') })
      scene.clock.advance(second + 1 + scene.store.margin)
      const removed = (await scene.sweep()).flat().map(({ key, labels, expiresAt: when }) => ({
        key: { ...key },
        labels: [...labels],
        when,
      }))
      removed.sort((a, b) => a.when - b.when)
      assert.deepEqual(removed, [
        { key: keyOf('a'), labels: ['tenant:t1', 'user:ada'], when: expiresAt },
        { key: keyOf('b', 'others'), labels: [], when: expiresAt + 1 },
      ])
    },
  )

  stage.itSweeping(
    'goes no further than an earlier time that it is given, and never past the margin',
    async (scene) => {
      const start = scene.now
      await scene.create('a', { expiresAt: start + second })
      await scene.create('b', { expiresAt: start + 2 * second })
      await scene.create('c', { expiresAt: start + 2 * second + scene.store.margin })
      scene.clock.advance(2 * second + scene.store.margin)
      const early = await scene.store.sweep({ before: start + second })
      assert.deepEqual(
        early.removed.map(({ key }) => key.id),
        ['a'],
      )
      const late = await scene.store.sweep({ before: scene.now + 99 * hour })
      assert.deepEqual(
        late.removed.map(({ key }) => key.id),
        ['b'],
      )
      assert.ok(await scene.readEven('c'))
    },
  )

  stage.itSweeping('sweeps a tombstone when its retention is over, and frees its key', async (scene) => {
    const version = await scene.create('a')
    const burial = { value: new Uint8Array(0), labels: [], expiresAt: scene.now + 5 * hour, setsExpiry: true }
    versionOf(await scene.replace('a', version, burial))
    scene.clock.advance(5 * hour + scene.store.margin - 1)
    assert.deepEqual(await scene.swept(), [])
    scene.clock.advance(1)
    assert.deepEqual(await scene.swept(), ['a'])
    await scene.create('a')
  })
}

function testBatches(stage: Stage): void {
  for (const [what, count] of [
    ['no', 0],
    ['half a', 5],
    ['exactly one', 10],
    ['exactly two', 20],
    ['two and a half', 25],
  ] as const) {
    stage.itSweeping(
      `removes ${what} batch of expired records, each answered once [C21 K62 K63 K66]`,
      async (scene) => {
        const ids = numbered('expired', count)
        await Promise.all(
          ids.map((id, i) => scene.create(id, { expiresAt: scene.now + 1 + i, labels: ['user:ada'] })),
        )
        await scene.createAll(numbered('live', 12), { labels: ['user:ada'], expiresAt: scene.now + 9 * hour })
        scene.clock.advance(count + scene.store.margin)
        assert.deepEqual(await scene.swept(10), ids)
        assert.deepEqual(await scene.swept(10), [])
        for (const id of ids) assert.equal(await scene.readEven(id), undefined)
        await scene.assertListedIfListing(numbered('live', 12), { labels: ['user:ada'], expired: true })
      },
    )
  }

  stage.itSweeping('comes to an end when more records than a batch share one expiry [K64]', async (scene) => {
    const ids = numbered('expired', 23)
    await scene.createAll(ids, { expiresAt: scene.now + second })
    scene.clock.advance(second + scene.store.margin)
    assert.deepEqual(await scene.swept(5), ids)
  })

  stage.itSweeping('removes as well what expires while it is under way [K65]', async (scene) => {
    await scene.createAll(numbered('a', 4), { expiresAt: scene.now + second })
    await scene.createAll(numbered('b', 3), { expiresAt: scene.now + 2 * second })
    scene.clock.advance(second + scene.store.margin)
    const first = await scene.store.sweep({ limit: 2 })
    scene.clock.advance(second)
    const rest = await scene.swept(2)
    assert.equal(first.removed.length + rest.length, 7)
  })

  stage.itSweeping(
    'commits each batch: what it answered with is gone, whatever comes after [K61 K66]',
    async (scene) => {
      const ids = numbered('expired', 9)
      await scene.createAll(ids, { expiresAt: scene.now + second })
      scene.clock.advance(second + scene.store.margin)
      const { removed } = await scene.store.sweep({ limit: 4 })
      const swept = removed.map(({ key }) => key.id)
      for (const id of ids) assert.equal((await scene.readEven(id)) === undefined, swept.includes(id))
      assert.ok(swept.length <= 4)
    },
  )

  stage.itSweeping('answers with each record to at most one of the sweepers at work [C21]', async (scene) => {
    const other = stage.canShare ? await scene.another() : scene.store
    const ids = numbered('expired', 60)
    await scene.createAll(ids, { expiresAt: scene.now + second })
    scene.clock.advance(second + scene.store.margin)
    const sweeps = await Promise.all([scene.sweep(7), scene.sweep(9, other), scene.sweep(7)])
    // A sweeper may pass by what another holds at that instant, and that one let go of: the next one finds it.
    const removed = [...sweeps, await scene.sweep()].flat(2).map(({ key }) => key.id)
    assert.deepEqual(removed.toSorted(), ids)
  })

  stage.it('refuses a limit out of range', async (scene) => {
    for (const limit of [0, 1.5, 1_001]) {
      await assertRefused('HOLDFAST_INVALID_OPTION', () => scene.store.sweep({ limit }))
    }
  })
}

function testFreshLooks(stage: Stage): void {
  stage.itSweeping(
    'goes by the expiry of now: touched, replaced and re-created records stay [races: F4]',
    async (scene) => {
      const versions = await scene.createAll(['dead', 'touched', 'replaced', 'buried', 'recreated'], {
        expiresAt: scene.now + second,
        labels: ['user:ada'],
      })
      const expiresAt = scene.now + 9 * hour
      assert.equal(await scene.touch('touched', versions.get('touched') ?? '', expiresAt), 'done')
      versionOf(await scene.replace('replaced', versions.get('replaced') ?? '', { expiresAt }))
      scene.clock.advance(second)
      await scene.create('recreated', { expiresAt, labels: ['user:ada'] })
      versionOf(
        await scene.replace('buried', versions.get('buried') ?? '', {
          expiresAt,
          setsExpiry: true,
          expired: true,
        }),
      )
      scene.clock.advance(scene.store.margin)
      assert.deepEqual(await scene.swept(), ['dead'])
      for (const id of ['touched', 'replaced', 'recreated', 'buried'])
        assert.ok(await scene.read(id), `${id} is there`)
      await scene.assertListedIfListing(['buried', 'recreated', 'replaced', 'touched'], {
        labels: ['user:ada'],
      })
    },
  )

  stage.itSweeping('removes a record whose expiry was brought forward', async (scene) => {
    const version = await scene.create('a', { expiresAt: scene.now + 99 * hour, labels: ['user:ada'] })
    versionOf(await scene.replace('a', version, { expiresAt: scene.now + second, setsExpiry: true }))
    scene.clock.advance(second + scene.store.margin)
    assert.deepEqual(await scene.swept(), ['a'])
    await scene.assertListedIfListing([], { expired: true })
  })

  stage.it('frees the key: the next record has nothing of the last', async (scene) => {
    await scene.create('a', { expiresAt: scene.now + second, labels: ['user:ada'] })
    scene.clock.advance(second + scene.store.margin)
    await scene.sweep()
    await scene.create('a', { labels: ['user:eve'] })
    await scene.assertListedIfListing([], { labels: ['user:ada'], expired: true })
    await scene.assertListedIfListing(['a'], { labels: ['user:eve'] })
    assert.deepEqual(await scene.swept(), [])
  })
}

function testRemove(stage: Stage): void {
  stage.it('removes whatever the keys hold: live, expired, tombstones, nothing', async (scene) => {
    await scene.createAll(['a', 'b', 'kept'], { labels: ['user:ada'] })
    await scene.create('expired', { expiresAt: scene.now, labels: ['user:ada'] })
    await scene.create('a', { key: keyOf('a', 'others') })
    const kept = await scene.present('kept')
    await scene.store.remove([keyOf('a'), keyOf('missing'), keyOf('expired'), keyOf('a'), keyOf('b')])
    for (const id of ['a', 'b', 'expired', 'missing']) assert.equal(await scene.readEven(id), undefined)
    assertSame(await scene.present('kept'), kept)
    assert.ok(await scene.store.read(keyOf('a', 'others')))
    await scene.assertListedIfListing(['kept'], { labels: ['user:ada'], expired: true })
    await scene.store.remove([keyOf('a')])
    await scene.store.remove([])
  })

  stage.it('removes hundreds of keys in one call', async (scene) => {
    const ids = numbered('many', 250)
    await scene.createAll(ids)
    await scene.store.remove(ids.slice(5).map((id) => keyOf(id)))
    const left = await scene.store.readMany(
      ids.map((id) => keyOf(id)),
      { expired: true },
    )
    assert.equal(left.filter((record) => record !== undefined).length, 5)
  })

  stage.itSweeping('leaves nothing for a sweep to answer with', async (scene) => {
    await scene.createAll(['a', 'b'], { expiresAt: scene.now + second })
    await scene.store.remove([keyOf('a')])
    scene.clock.advance(second + scene.store.margin)
    assert.deepEqual(await scene.swept(), ['b'])
  })
}
