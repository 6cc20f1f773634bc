/** What `replace` has to do. */

import assert from 'node:assert/strict'
import { never } from '../../store/record.ts'
import { assertSame, hour, keyOf, numbered, plain, second, versionOf } from './scene.ts'
import type { Stage } from './stage.ts'

export function testReplace(stage: Stage): void {
  stage.describe('replace', () => {
    testOutcomes(stage)
    testLabels(stage)
    testExpiries(stage)
    testExpired(stage)
    testRivals(stage)
  })
}

function testOutcomes(stage: Stage): void {
  stage.it('writes value and version where the version is the expected one', async (scene) => {
    const first = await scene.create('a', { labels: ['user:ada'] })
    scene.clock.advance(second)
    const version = versionOf(await scene.replace('a', first, { value: Buffer.from('new') }))
    assert.notEqual(version, first)
    assert.deepEqual(plain(await scene.read('a')), {
      key: { collection: 'things', id: 'a' },
      version,
      labels: ['user:ada'],
      value: 'new',
      expiresAt: scene.now + hour,
      touchedAt: scene.now,
    })
  })

  stage.it('answers conflict at another version, and changes nothing', async (scene) => {
    const first = await scene.create('a', { labels: ['user:ada'] })
    const second = versionOf(await scene.replace('a', first))
    const before = await scene.present('a')
    const labels = ['user:eve']
    for (const expected of [first, `${second}x`, 'nonsense']) {
      const refused = await scene.replace('a', expected, { labels, expiresAt: scene.now + 9 * hour })
      assert.equal(refused.status, 'conflict')
    }
    assertSame(await scene.present('a'), before)
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
    await scene.assertListedIfListing([], { labels })
  })

  stage.it('answers gone where nothing is, and creates nothing [D29 D39 T26]', async (scene) => {
    assert.equal((await scene.replace('a', '1.x', { labels: ['user:ada'] })).status, 'gone')
    assert.equal((await scene.replace('a', '1.x', { expired: true })).status, 'gone')
    assert.equal(await scene.readEven('a'), undefined)
    await scene.assertListedIfListing([], { expired: true })
  })

  stage.itSweeping('does not bring back what was removed or swept [D29 D44 C43]', async (scene) => {
    const removed = await scene.create('removed')
    const swept = await scene.create('swept', { expiresAt: scene.now + second })
    await scene.store.remove([keyOf('removed')])
    scene.clock.advance(second + scene.store.margin)
    await scene.sweep()
    for (const expired of [false, true]) {
      assert.equal((await scene.replace('removed', removed, { expired })).status, 'gone')
      assert.equal((await scene.replace('swept', swept, { expired })).status, 'gone')
    }
    assert.equal(await scene.readEven('removed'), undefined)
    assert.equal(await scene.readEven('swept'), undefined)
  })

  stage.it(
    'does not undo a burial: a late save, touch or create finds the tombstone [D29 D44]',
    async (scene) => {
      const version = await scene.create('a', { labels: ['user:ada'] })
      const burial = {
        value: Buffer.from('{}'),
        labels: [],
        expiresAt: scene.now + 24 * hour,
        setsExpiry: true,
      }
      const tombstone = versionOf(await scene.replace('a', version, burial))
      assert.equal((await scene.replace('a', version, { labels: ['user:ada'] })).status, 'conflict')
      assert.equal(await scene.touch('a', version, scene.now + 99 * hour), 'conflict')
      assert.equal((await scene.store.create(scene.draft('a'))).status, 'conflict')
      const record = await scene.present('a')
      assert.equal(record.version, tombstone)
      assert.equal(record.expiresAt, burial.expiresAt)
      assert.equal(Buffer.from(record.value).toString(), '{}')
      await scene.assertListedIfListing([], { labels: ['user:ada'], expired: true })
    },
  )

  stage.it('does not write to a later record of the same key [races: K1]', async (scene) => {
    const old = await scene.create('a')
    await scene.store.remove([keyOf('a')])
    const young = await scene.create('a')
    assert.notEqual(young, old)
    assert.equal((await scene.replace('a', old)).status, 'conflict')
    assert.equal((await scene.present('a')).version, young)
  })
}

function testLabels(stage: Stage): void {
  stage.it('leaves the labels and their index alone when it gives none', async (scene) => {
    const version = await scene.create('a', { labels: ['user:ada', 'tenant:t1'] })
    versionOf(await scene.replace('a', version))
    assert.deepEqual([...(await scene.present('a')).labels], ['tenant:t1', 'user:ada'])
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
    await scene.assertListedIfListing(['a'], { labels: ['tenant:t1'] })
  })

  stage.it('makes the labels exactly those that it gives', async (scene) => {
    const version = await scene.create('a', { labels: ['user:ada', 'tenant:t1'] })
    versionOf(await scene.replace('a', version, { labels: ['user:ada', 'state:revoked'] }))
    assert.deepEqual([...(await scene.present('a')).labels], ['state:revoked', 'user:ada'])
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
    await scene.assertListedIfListing(['a'], { labels: ['state:revoked'] })
    await scene.assertListedIfListing([], { labels: ['tenant:t1'], expired: true })
  })

  stage.it('takes all labels away when it gives an empty list, and can give them back', async (scene) => {
    const first = await scene.create('a', { labels: ['user:ada'] })
    const second = versionOf(await scene.replace('a', first, { labels: [] }))
    assert.deepEqual([...(await scene.present('a')).labels], [])
    await scene.assertListedIfListing([], { labels: ['user:ada'], expired: true })
    await scene.assertListedIfListing(['a'])
    versionOf(await scene.replace('a', second, { labels: ['user:ada'] }))
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
  })
}

function testExpiries(stage: Stage): void {
  stage.it('keeps the later expiry, so that a save does not undo a touch [races: A4]', async (scene) => {
    const version = await scene.create('a', { expiresAt: scene.now + hour })
    assert.equal(await scene.touch('a', version, scene.now + 5 * hour), 'done')
    const saved = versionOf(await scene.replace('a', version, { expiresAt: scene.now + 2 * hour }))
    assert.equal((await scene.present('a')).expiresAt, scene.now + 5 * hour)
    versionOf(await scene.replace('a', saved, { expiresAt: scene.now + 6 * hour }))
    assert.equal((await scene.present('a')).expiresAt, scene.now + 6 * hour)
  })

  stage.it(
    'sets the expiry as given when that is what it is for: earlier, later, never and back',
    async (scene) => {
      let version = await scene.create('a', { expiresAt: scene.now + 5 * hour })
      for (const expiresAt of [scene.now + hour, scene.now + 9 * hour, never, scene.now + second]) {
        version = versionOf(await scene.replace('a', version, { expiresAt, setsExpiry: true }))
        assert.equal((await scene.present('a')).expiresAt, expiresAt)
      }
      scene.clock.advance(second)
      assert.equal(await scene.read('a'), undefined)
    },
  )

  stage.it('can end a record at once by its expiry', async (scene) => {
    const version = await scene.create('a', { labels: ['user:ada'] })
    versionOf(await scene.replace('a', version, { expiresAt: scene.now, setsExpiry: true }))
    assert.equal(await scene.read('a'), undefined)
    assert.equal((await scene.readEven('a'))?.expiresAt, scene.now)
    await scene.assertListedIfListing([], { labels: ['user:ada'] })
  })

  stage.it('keeps `never` against an expiry that does not set it', async (scene) => {
    const version = await scene.create('a', { expiresAt: never })
    versionOf(await scene.replace('a', version, { expiresAt: scene.now + hour }))
    assert.equal((await scene.present('a')).expiresAt, never)
  })

  stage.it('keeps the later time of last use', async (scene) => {
    const touchedAt = scene.now + 50
    const first = await scene.create('a', { touchedAt })
    const second = versionOf(await scene.replace('a', first, { touchedAt: touchedAt - 1 }))
    assert.equal((await scene.present('a')).touchedAt, touchedAt)
    const burial = { touchedAt: touchedAt - 2, setsExpiry: true, labels: [] }
    const third = versionOf(await scene.replace('a', second, burial))
    assert.equal((await scene.present('a')).touchedAt, touchedAt)
    versionOf(await scene.replace('a', third, { touchedAt: touchedAt + 1 }))
    assert.equal((await scene.present('a')).touchedAt, touchedAt + 1)
  })

  stage.it('succeeds at a version that was touched since: touches keep versions', async (scene) => {
    const version = await scene.create('a')
    await scene.touch('a', version, scene.now + 2 * hour)
    versionOf(await scene.replace('a', version))
  })
}

function testExpired(stage: Stage): void {
  stage.it('answers gone exactly from the expiry on, and revives nothing [T23 K5 K60]', async (scene) => {
    const first = await scene.create('a', { expiresAt: scene.now + second })
    scene.clock.advance(second - 1)
    const version = versionOf(await scene.replace('a', first, { expiresAt: scene.now + 1 }))
    scene.clock.advance(1)
    const before = await scene.present('a')
    assert.equal((await scene.replace('a', version, { expiresAt: scene.now + hour })).status, 'gone')
    assert.equal((await scene.replace('a', first)).status, 'gone')
    assertSame(await scene.present('a'), before)
    assert.equal(await scene.read('a'), undefined)
  })

  stage.it('replaces an expired record when allowed: only burying does that', async (scene) => {
    const version = await scene.create('a', { expiresAt: scene.now + second, labels: ['user:ada'] })
    scene.clock.advance(second)
    assert.equal((await scene.replace('a', `${version}x`, { expired: true })).status, 'conflict')
    const retained = scene.now + 24 * hour
    const burial = {
      value: Buffer.from('{}'),
      labels: [],
      expiresAt: retained,
      setsExpiry: true,
      expired: true,
    }
    const tombstone = versionOf(await scene.replace('a', version, burial))
    const record = await scene.read('a')
    assert.equal(record?.version, tombstone)
    assert.equal(record.expiresAt, retained)
    await scene.assertListedIfListing([], { labels: ['user:ada'], expired: true })
    assert.equal((await scene.replace('a', version)).status, 'conflict')
  })

  stage.it('replaces a live record as well when the expired are allowed', async (scene) => {
    const version = await scene.create('a')
    versionOf(await scene.replace('a', version, { expired: true }))
  })
}

function testRivals(stage: Stage): void {
  stage.it('lets exactly one of many writers replace one version [C26]', async (scene) => {
    const version = await scene.create('a', { labels: ['user:ada'] })
    const names = numbered('writer', 12)
    const written = await Promise.all(
      names.map((name) =>
        scene.replace('a', version, { value: Buffer.from(name), labels: [`user:${name}`] }),
      ),
    )
    const winner = written.findIndex(({ status }) => status === 'done')
    assert.equal(written.filter(({ status }) => status === 'done').length, 1)
    assert.equal(written.filter(({ status }) => status === 'conflict').length, names.length - 1)
    const record = await scene.present('a')
    assert.deepEqual(written[winner], { status: 'done', version: record.version })
    assert.equal(Buffer.from(record.value).toString(), names[winner])
    assert.deepEqual([...record.labels], [`user:${names[winner] ?? ''}`])
    for (const name of names) {
      await scene.assertListedIfListing(name === names[winner] ? ['a'] : [], { labels: [`user:${name}`] })
    }
  })

  stage.it('loses no increment of writers who try again until they succeed [C26]', async (scene) => {
    await scene.create('a', { value: Buffer.from('0') })
    const increment = async (): Promise<void> => {
      for (let tries = 0; tries < 1_000; tries++) {
        const { version, value } = await scene.present('a')
        const next = Buffer.from(String(Number(Buffer.from(value).toString()) + 1))
        if ((await scene.replace('a', version, { value: next })).status === 'done') return
      }
      assert.fail('a writer among six was never let through')
    }
    await Promise.all(
      numbered('w', 6).map(async () => {
        for (let i = 0; i < 4; i++) await increment()
      }),
    )
    assert.equal(Buffer.from((await scene.present('a')).value).toString(), '24')
  })

  stage.it(
    'never gives one key the same version twice, and orders the writes of one record',
    async (scene) => {
      const seen = new Set<string>()
      for (let life = 0; life < 3; life++) {
        let version = await scene.create('a')
        seen.add(version)
        for (let i = 0; i < 6; i++) {
          const next = versionOf(await scene.replace('a', version))
          assert.ok(Number.parseInt(next, 10) > Number.parseInt(version, 10), `${next} is after ${version}`)
          seen.add((version = next))
        }
        await scene.store.remove([keyOf('a')])
      }
      assert.equal(seen.size, 3 * 7)
    },
  )
}
