/** What `list` and `count` have to do. */

import assert from 'node:assert/strict'
import type { ListOptions } from '../../store/store.ts'
import { hour, idsOf, keyOf, numbered, plain, second, versionOf } from './scene.ts'
import { assertRefused, type Stage } from './stage.ts'

/** Ids that databases order differently: digits, capitals, small letters and the three other characters. */
const awkwardIds = [
  '-',
  '--',
  '-a',
  '0',
  '00',
  '9',
  'A',
  'AA',
  'Z',
  '_',
  '_a',
  'a',
  'a-',
  'a0',
  'aA',
  'a_',
  'aa',
  'a~',
  'z',
  '~',
  '~~',
]

export function testList(stage: Stage): void {
  stage.describe('list', () => {
    testOrder(stage)
    testMatching(stage)
    testPages(stage)
    testChangesBetweenPages(stage)
  })
  stage.describe('count', () => {
    testCount(stage)
  })
}

function testOrder(stage: Stage): void {
  stage.itWith(
    'listing',
    'orders ids by their bytes, in both directions and with every size of pages',
    async (scene) => {
      await scene.createAll(awkwardIds.toReversed())
      await scene.createAll(
        awkwardIds.toReversed().map((id) => `x${id}`),
        { labels: ['user:ada'] },
      )
      const all = [...awkwardIds, ...awkwardIds.map((id) => `x${id}`)].sort()
      for (const limit of [1, 3, 7, 1_000]) {
        await scene.assertListed(all, { limit })
        await scene.assertListed(all.toReversed(), { limit, reverse: true })
        await scene.assertListed(
          awkwardIds.map((id) => `x${id}`),
          { limit, labels: ['user:ada'] },
        )
      }
    },
  )

  stage.itWith('listing', 'answers with whole records', async (scene) => {
    const labels = ['tenant:t1', 'user:ada']
    await scene.createAll(['a', 'b'], { labels, expiresAt: scene.now + 2 * hour, touchedAt: scene.now - 5 })
    for (const record of await scene.list({ labels: ['user:ada'] })) {
      assert.deepEqual(plain(record), plain(await scene.present(record.key.id)))
    }
  })

  stage.itWith(
    'listing',
    'spares the values when they are not wanted, and nothing else [K59]',
    async (scene) => {
      await scene.createAll(['a', 'b'], { labels: ['user:ada', 'tenant:t1'] })
      for (const labels of [[], ['user:ada'], ['user:ada', 'tenant:t1']]) {
        for (const record of await scene.list({ labels, values: false })) {
          assert.equal(record.value.byteLength, 0)
          const whole = await scene.present(record.key.id)
          assert.deepEqual(plain(record), plain({ ...whole, value: new Uint8Array(0) }))
        }
      }
    },
  )

  stage.itWith(
    'listing',
    'finds nothing in an empty collection, and only what is in the one asked for',
    async (scene) => {
      await scene.assertListed([])
      await scene.assertListed([], { labels: ['user:ada'] })
      await scene.create('a', { key: keyOf('a', 'others'), labels: ['user:ada'] })
      await scene.assertListed([])
      await scene.assertListed([], { labels: ['user:ada'] })
      const { records } = await scene.store.list('others', { labels: ['user:ada'] })
      if (scene.store.capabilities.listing === 'complete') assert.deepEqual(idsOf(records), ['a'])
    },
  )
}

function testMatching(stage: Stage): void {
  stage.itWith('listing', 'finds what carries all of the labels [K47 K48 K56]', async (scene) => {
    await scene.create('a', { labels: ['user:ada', 'tenant:t1', 'client:web'] })
    await scene.create('b', { labels: ['user:ada', 'tenant:t2', 'client:web'] })
    await scene.create('c', { labels: ['user:ada'] })
    await scene.create('d', { labels: ['user:eve', 'tenant:t1', 'client:web'] })
    await scene.create('e')
    const cases: [string[], string[]][] = [
      [['user:ada'], ['a', 'b', 'c']],
      [['tenant:t1'], ['a', 'd']],
      [['user:ada', 'tenant:t1'], ['a']],
      [
        ['tenant:t1', 'client:web'],
        ['a', 'd'],
      ],
      [
        ['client:web', 'user:ada', 'client:web'],
        ['a', 'b'],
      ],
      [['user:ada', 'tenant:t1', 'client:web'], ['a']],
      [['user:eve', 'tenant:t2'], []],
      [['user:ada', 'tenant:t3'], []],
      [['user:nobody'], []],
      [[], ['a', 'b', 'c', 'd', 'e']],
    ]
    for (const [labels, expected] of cases) {
      await scene.assertListed(expected, { labels })
      await scene.assertListed(expected.toReversed(), { labels, limit: 1, reverse: true })
    }
  })

  stage.itWith('listing', 'pages through a sparse intersection of broad labels', async (scene) => {
    const ids = numbered('many', 60)
    await Promise.all(
      ids.map((id, i) => {
        const labels = [i % 2 ? 'odd:yes' : 'odd:no', i % 3 ? 'three:no' : 'three:yes', 'all:yes']
        return scene.create(id, { labels })
      }),
    )
    const expected = ids.filter((_, i) => i % 6 === 3)
    for (const limit of [1, 3, 100]) {
      const labels = ['all:yes', 'odd:yes', 'three:yes']
      await scene.assertListed(expected, { labels, limit })
      await scene.assertListed(expected.toReversed(), { labels, limit, reverse: true })
    }
  })

  stage.itWith(
    'listing',
    'leaves out the expired, unless asked for them, exactly from their expiry on [T23 K67 C15]',
    async (scene) => {
      const labels = ['user:ada']
      await scene.create('a', { labels, expiresAt: scene.now + second })
      await scene.create('b', { labels, expiresAt: scene.now + second + 1 })
      await scene.create('c', { labels })
      scene.clock.advance(second - 1)
      await scene.assertListed(['a', 'b', 'c'], { labels })
      scene.clock.advance(1)
      for (const limit of [1, 2, 100]) {
        await scene.assertListed(['b', 'c'], { labels, limit })
        await scene.assertListed(['b', 'c'], { limit })
        await scene.assertListed(['a', 'b', 'c'], { labels, limit, expired: true })
      }
      scene.clock.advance(1)
      await scene.assertListed(['c'], { labels })
      await scene.assertListed(['c', 'b', 'a'], { expired: true, reverse: true })
    },
  )

  stage.itWith(
    'listing',
    'finds a record by its expiry of now: touched, shortened, created again [races: F4]',
    async (scene) => {
      const labels = ['user:ada']
      const expiresAt = scene.now + second
      const versions = await scene.createAll(['again', 'shortened', 'touched'], { labels, expiresAt })
      await scene.touch('touched', versions.get('touched') ?? '', scene.now + hour)
      const shortened = { expiresAt: scene.now + 1, setsExpiry: true }
      versionOf(await scene.replace('shortened', versions.get('shortened') ?? '', shortened))
      scene.clock.advance(1)
      await scene.assertListed(['again', 'touched'], { labels })
      scene.clock.advance(second)
      await scene.create('again', { labels })
      await scene.assertListed(['again', 'touched'], { labels })
      await scene.assertListed(['again', 'shortened', 'touched'], { labels, expired: true })
    },
  )
}

function testPages(stage: Stage): void {
  stage.itWith(
    'listing',
    'returns each record exactly once, whatever the size of the pages [C14]',
    async (scene) => {
      const ids = numbered('many', 50)
      await scene.createAll(ids, { labels: ['user:ada'] })
      for (const limit of [1, 3, 7, 49, 50, 51]) {
        await scene.assertListed(ids, { labels: ['user:ada'], limit })
        await scene.assertListed(ids.toReversed(), { limit, reverse: true })
      }
    },
  )

  stage.itWith('listing', 'ends with a page that has no cursor', async (scene) => {
    await scene.createAll(['a', 'b'])
    const page = await scene.store.list('things', { limit: 1_000 })
    // A page may be short while there is more, but in the end the cursors stop: `list` of the scene checks that.
    if (page.next === undefined && scene.store.capabilities.listing === 'complete') {
      assert.deepEqual(idsOf(page.records), ['a', 'b'])
    }
    await scene.assertListed(['a', 'b'], { limit: 2 })
  })

  stage.itWith('listing', 'refuses a cursor that is none, and limits out of range', async (scene) => {
    await scene.create('a')
    await assertRefused('HOLDFAST_INVALID_CURSOR', () =>
      scene.store.list('things', { after: 'no cursor of yours!' }),
    )
    await assertRefused('HOLDFAST_INVALID_CURSOR', () =>
      scene.store.list('things', { after: 'no cursor of yours!', labels: ['user:ada'], reverse: true }),
    )
    for (const limit of [0, -1, 1.5, 1_001, Number.NaN]) {
      await assertRefused('HOLDFAST_INVALID_OPTION', () => scene.store.list('things', { limit }))
    }
  })
}

function testChangesBetweenPages(stage: Stage): void {
  for (const [direction, reverse] of [
    ['ascending', false],
    ['descending', true],
  ] as const) {
    for (const labels of [[], ['user:ada'], ['user:ada', 'tenant:t1']]) {
      const by =
        labels.length === 0 ? 'a whole collection' : `${labels.length} label${labels.length > 1 ? 's' : ''}`
      const title = `stays complete while records come and go between its pages: ${direction}, by ${by} [C14 races: E1]`
      stage.itWith('listing', title, (scene) => assertStable(scene, { labels, reverse, limit: 4 }))
    }
  }

  stage.itWith(
    'listing',
    'goes on where it was when the record at the end of a page is removed or relabelled',
    async (scene) => {
      const labels = ['user:ada']
      const ids = numbered('many', 12)
      const versions = await scene.createAll(ids, { labels })
      let seen = 0
      const found = await scene.list({ labels, limit: 3 }, async (page) => {
        const last = ids[3 * page - 1] ?? ''
        if (page % 2) await scene.store.remove([keyOf(last)])
        else versionOf(await scene.replace(last, versions.get(last) ?? '', { labels: [] }))
        seen = page
      })
      if (scene.store.capabilities.listing === 'complete') assert.deepEqual(idsOf(found), ids)
      assert.ok(seen > 0)
    },
  )
}

async function assertStable(
  scene: Parameters<Parameters<Stage['it']>[1]>[0],
  options: ListOptions,
): Promise<void> {
  const labels = ['user:ada', 'tenant:t1']
  const staying = numbered('m', 24)
  const leaving = staying.filter((_, i) => i % 3 === 0).map((id) => `${id}-leaving`)
  const versions = await scene.createAll([...staying, ...leaving], { labels })
  const found = await scene.list(options, async (page) => {
    // Before the cursor, behind it, and everywhere between what was there.
    await scene.createAll(
      [`a-new-${page}`, `m-${String((page * 7) % 24).padStart(3, '0')}-new-${page}`, `z-new-${page}`],
      { labels },
    )
    const id = leaving[page % leaving.length] ?? ''
    if (page % 2) await scene.store.remove([keyOf(id)])
    else await scene.replace(id, versions.get(id) ?? '', { labels: ['user:eve'] })
    const touched = staying.map((each, i) => ({
      key: keyOf(each),
      version: versions.get(each) ?? '',
      expiresAt: scene.now + (2 + ((i * 5 + page) % 9)) * hour,
    }))
    await scene.store.touch(touched)
    const saved = staying[(page * 5) % staying.length] ?? ''
    versions.set(saved, versionOf(await scene.replace(saved, versions.get(saved) ?? '')))
  })
  const ids = idsOf(found)
  assert.equal(new Set(ids).size, ids.length, 'no record is returned twice')
  const ordered = ids.toSorted()
  assert.deepEqual(ids, options.reverse ? ordered.toReversed() : ordered)
  if (scene.store.capabilities.listing !== 'complete') return
  assert.deepEqual(
    ordered.filter((id) => staying.includes(id)),
    staying,
    'what stayed is returned',
  )
}

function testCount(stage: Stage): void {
  stage.itWith(
    'counting',
    'counts what a listing finds: live, with all of the labels [C15 K56]',
    async (scene) => {
      await scene.createAll(numbered('a', 5), { labels: ['user:ada', 'tenant:t1'] })
      await scene.createAll(numbered('b', 4), { labels: ['user:ada', 'tenant:t2'] })
      await scene.createAll(numbered('c', 3), {
        labels: ['user:eve', 'tenant:t1'],
        expiresAt: scene.now + second,
      })
      await scene.create('a', { key: keyOf('a', 'others'), labels: ['user:ada'] })
      const assertCounted = async (expected: number, labels: string[]): Promise<void> => {
        assert.equal(await scene.store.count('things', { labels }), expected)
        if (scene.store.capabilities.listing === 'complete') {
          assert.equal((await scene.ids({ labels })).length, expected)
        }
      }
      scene.clock.advance(second - 1)
      await assertCounted(12, [])
      await assertCounted(8, ['tenant:t1'])
      scene.clock.advance(1)
      await assertCounted(9, [])
      await assertCounted(9, ['user:ada'])
      await assertCounted(5, ['tenant:t1'])
      await assertCounted(5, ['tenant:t1', 'user:ada'])
      await assertCounted(0, ['user:eve'])
      await assertCounted(0, ['user:nobody'])
      await assertCounted(0, ['user:ada', 'tenant:t3'])
    },
  )

  stage.itWith('counting', 'counts no further than asked', async (scene) => {
    await scene.createAll(numbered('a', 7), { labels: ['user:ada'] })
    await scene.createAll(numbered('expired', 7), { labels: ['user:ada'], expiresAt: scene.now })
    for (const labels of [[], ['user:ada']]) {
      for (const atMost of [1, 6, 7, 8]) {
        assert.equal(await scene.store.count('things', { labels, atMost }), Math.min(7, atMost))
      }
    }
    await assertRefused('HOLDFAST_INVALID_OPTION', () => scene.store.count('things', { atMost: 0 }))
  })

  stage.itWith('counting', 'follows every write', async (scene) => {
    const labels = ['user:ada']
    const count = (): Promise<number> => scene.store.count('things', { labels })
    assert.equal(await count(), 0)
    const first = await scene.create('a', { labels })
    const second = versionOf(await scene.replace('a', first))
    assert.equal(await count(), 1)
    const third = versionOf(await scene.replace('a', second, { labels: [] }))
    assert.equal(await count(), 0)
    versionOf(await scene.replace('a', third, { labels }))
    assert.equal(await count(), 1)
    await scene.store.remove([keyOf('a')])
    assert.equal(await count(), 0)
  })
}
