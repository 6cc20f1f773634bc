/** That values survive byte by byte, that nothing is shared with the caller, and what is refused. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  defaultValueBytes,
  type Key,
  maxLabelBytes,
  maxLabels,
  maxValueBytes,
  never,
} from '../../store/record.ts'
import { assertBytes, assertSame, hour, keyOf, plain, second, versionOf } from './scene.ts'
import type { Scene } from './scene.ts'
import { assertRefused, type Stage } from './stage.ts'

export function testBounds(stage: Stage): void {
  stage.describe('values', () => {
    testValues(stage)
    testCopies(stage)
  })
  stage.describe('limits', () => {
    testLimits(stage)
    testRefusals(stage)
  })
}

function testValues(stage: Stage): void {
  stage.it(
    'come back byte for byte: none, each of the 256, and what text encodings would spoil',
    async (scene) => {
      const every = Uint8Array.from({ length: 256 }, (_, i) => i)
      const values = [
        new Uint8Array(0),
        Uint8Array.of(0),
        Uint8Array.of(0, 0, 0),
        Uint8Array.of(0xff, 0xfe, 0x00, 0x80),
        Buffer.from('a\r\nb\n\0c'),
        Buffer.from('\ufeff{"a":"\u00e9\ud83d\ude00"}'),
        every,
        // A view into a larger buffer: only the view is the value.
        every.subarray(100, 110),
        Buffer.from(every.buffer, 3, 7),
      ]
      let version: string | undefined
      for (const [i, value] of values.entries()) {
        await scene.create(`new-${i}`, { value })
        assertBytes((await scene.present(`new-${i}`)).value, value)
        if (version === undefined) version = await scene.create('a', { value })
        else version = versionOf(await scene.replace('a', version, { value }))
        assertBytes((await scene.present('a')).value, value)
        const [listed] = scene.store.capabilities.listing === 'none' ? [] : await scene.list()
        if (listed) assertBytes(listed.value, value)
      }
    },
  )

  stage.it('come back at every size up to 64 KiB', async (scene) => {
    for (const size of [1, 127, 128, 255, 256, 4_095, 4_096, 16_383, 65_535, defaultValueBytes]) {
      const value = randomBytes(size)
      await scene.create(`size-${size}`, { value })
      assertBytes((await scene.present(`size-${size}`)).value, value)
    }
  })

  stage.it('longer than the limit are refused, and nothing is stored', async (scene) => {
    const value = Buffer.alloc(scene.store.maxValue + 1)
    await assertRefused('HOLDFAST_VALUE_TOO_LARGE', () => scene.create('a', { value }))
    assert.equal(await scene.readEven('a'), undefined)
    const version = await scene.create('a')
    const before = await scene.present('a')
    await assertRefused('HOLDFAST_VALUE_TOO_LARGE', () => scene.replace('a', version, { value }))
    assertSame(await scene.present('a'), before)
  })

  const larger = 'of 512 KiB are stored where the store is configured for them'
  stage.it(
    larger,
    async (scene) => {
      const value = randomBytes(maxValueBytes)
      const version = await scene.create('a', { value })
      assertBytes((await scene.present('a')).value, value)
      versionOf(await scene.replace('a', version, { value: value.toReversed() }))
      assertBytes((await scene.present('a')).value, value.toReversed())
      await assertRefused('HOLDFAST_VALUE_TOO_LARGE', () =>
        scene.create('b', { value: Buffer.alloc(maxValueBytes + 1) }),
      )
    },
    { maxValue: maxValueBytes },
  )
}

function testCopies(stage: Stage): void {
  stage.it('and all else that is passed in may be changed afterwards [K8 K51]', async (scene) => {
    const draft = {
      key: keyOf('a'),
      value: Buffer.from('first'),
      labels: ['user:ada'],
      expiresAt: scene.now + hour,
    }
    const created = versionOf(await scene.store.create(draft))
    const first = plain(await scene.present('a'))
    draft.value.fill(0)
    draft.labels[0] = 'user:eve'
    Object.assign(draft.key, { id: 'b', collection: 'others' })
    assert.deepEqual(plain(await scene.present('a')), first)
    const rewrite = { ...scene.rewrite('a', created), value: Buffer.from('second'), labels: ['user:ada'] }
    versionOf(await scene.store.replace(rewrite))
    const second = plain(await scene.present('a'))
    rewrite.value.fill(0)
    rewrite.labels[0] = 'user:eve'
    Object.assign(rewrite.key, { id: 'b' })
    assert.deepEqual(plain(await scene.present('a')), second)
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
    await scene.assertListedIfListing([], { labels: ['user:eve'] })
  })

  stage.it('and all else that is handed out may be changed [K51]', async (scene) => {
    await scene.create('a', { labels: ['user:ada', 'tenant:t1'] })
    const before = plain(await scene.present('a'))
    for (const handedOut of await everyWayToRead(scene)) {
      spoil(handedOut)
      assert.deepEqual(plain(await scene.present('a')), before)
    }
    await scene.assertListedIfListing(['a'], { labels: ['user:ada'] })
  })

  stage.it('of one record do not share memory with those of another', async (scene) => {
    await scene.createAll(['a', 'b'], { value: Buffer.from('same') })
    const [a, b] = await scene.store.readMany([keyOf('a'), keyOf('b')])
    assert.ok(a && b)
    a.value.fill(0)
    assert.equal(Buffer.from(b.value).toString(), 'same')
    assert.equal(Buffer.from((await scene.present('a')).value).toString(), 'same')
  })
}

async function everyWayToRead(
  scene: Scene,
): Promise<{ readonly key: Key; readonly value: Uint8Array; readonly labels: readonly string[] }[]> {
  const { capabilities } = scene.store
  const [read, many] = [await scene.present('a'), await scene.store.readMany([keyOf('a')])]
  const listed = capabilities.listing === 'none' ? [] : await scene.list()
  const scanned = capabilities.scanning ? await scene.scan(0, 1) : []
  return [read, ...many, ...listed, ...scanned].filter((record) => record !== undefined)
}

/** Changes what can be changed of a record; a frozen part is as good as a copy. */
function spoil(record: {
  readonly key: Key
  readonly value: Uint8Array
  readonly labels: readonly string[]
}): void {
  record.value.fill(0)
  if (!Object.isFrozen(record.labels)) (record.labels as string[]).splice(0, 1, 'user:eve')
  if (!Object.isFrozen(record.key)) Object.assign(record.key, { id: 'b' })
  if (!Object.isFrozen(record)) Object.assign(record, { version: 'x', expiresAt: 0, touchedAt: 0 })
}

function testLimits(stage: Stage): void {
  stage.itSweeping(
    'hold a key, labels and a namespace of full length through every operation',
    async (scene) => {
      const longest = await scene.apart(`n${scene.namespace}-`.padEnd(32, 'n').slice(0, 32))
      const key = { collection: 'c'.padEnd(32, '-9'), id: '~'.repeat(120) }
      const names = Array.from({ length: maxLabels }, (_, i) => `l${i}`.padEnd(32, '-'))
      const labels = names
        .map((name, i) => `${name}:${(i % 2 ? '\u{1F600}' : 'x').repeat(maxLabelBytes / (i % 2 ? 4 : 1))}`)
        .sort()
      const draft = { key, labels, value: Buffer.from('x'), expiresAt: scene.now + second }
      const version = versionOf(await longest.create(draft))
      const [outcome] = await longest.touch([{ key, version, expiresAt: scene.now + 2 * second }])
      assert.equal(outcome, 'done')
      const replaced = versionOf(await longest.replace({ ...draft, expected: version }))
      const record = await longest.read(key)
      assert.equal(record?.version, replaced)
      assert.deepEqual([...record.labels], labels)
      if (longest.capabilities.listing === 'complete') {
        const { records } = await longest.list(key.collection, { labels, limit: 1 })
        assert.deepEqual(plain(records[0]), plain(record))
      }
      scene.clock.advance(2 * second + longest.margin)
      const { removed } = await longest.sweep()
      assert.deepEqual(
        removed.map(({ key: { id } }) => id),
        [key.id],
      )
    },
  )

  stage.it('hold instants from 0 to `never`', async (scene) => {
    for (const [i, expiresAt] of [2 ** 31, 2 ** 32 + 1, 2 ** 42, 2 ** 52 + 1, never - 1, never].entries()) {
      const at = Math.max(expiresAt, scene.now + second)
      const touchedAt = Math.min(expiresAt, never - 1)
      await scene.create(`at-${i}`, { expiresAt: at, touchedAt })
      const record = await scene.present(`at-${i}`)
      assert.equal(record.expiresAt, at)
      assert.equal(record.touchedAt, touchedAt)
    }
    await scene.create('zero', { touchedAt: 0 })
    assert.equal((await scene.present('zero')).touchedAt, 0)
  })
}

/** Each with its code. Spaces, capitals in names and too long values are refused, never corrected. */
const refusals = {
  HOLDFAST_INVALID_KEY: [
    ...['', 'a b', 'a.b', 'a/b', 'a:b', 'é', 'a\0', 'x'.repeat(121)].map((id) => ({ key: keyOf(id) })),
    ...['', 'Things', '9things', 'things/x', 'th ings', 'x'.repeat(33)].map((collection) => ({
      key: { collection, id: 'a' },
    })),
  ],
  HOLDFAST_INVALID_LABEL: [
    ...[
      '',
      'ada',
      ':ada',
      'user:',
      'User:ada',
      '9:ada',
      'us er:ada',
      'user:a\0b',
      'user:\ud800',
      `${'x'.repeat(33)}:a`,
    ],
    `user:${'x'.repeat(maxLabelBytes + 1)}`,
    `user:${'é'.repeat(maxLabelBytes / 2 + 1)}`,
  ].map((label) => ({ labels: [label] })),
  HOLDFAST_INVALID_EXPIRY: [undefined, null, Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, '5', 2 ** 53].map(
    (expiresAt) => ({
      expiresAt: expiresAt as number,
    }),
  ),
}

function testRefusals(stage: Stage): void {
  for (const [code, malformed] of Object.entries(refusals)) {
    stage.it(`refuse what is malformed with ${code}, and store nothing [K1 K4]`, async (scene) => {
      for (const given of malformed) {
        await assertRefused(code, () => scene.store.create(scene.draft('a', given)))
      }
      assert.equal(await scene.readEven('a'), undefined)
      await scene.assertListedIfListing([], { expired: true })
      const version = await scene.create('a')
      const before = await scene.present('a')
      for (const given of malformed) {
        await assertRefused(code, () => scene.store.replace({ ...scene.rewrite('a', version), ...given }))
      }
      assertSame(await scene.present('a'), before)
    })
  }

  stage.it('refuse more than 16 labels', async (scene) => {
    const labels = Array.from({ length: maxLabels + 1 }, (_, i) => `l${i}:x`)
    await assertRefused('HOLDFAST_INVALID_LABEL', () => scene.create('a', { labels }))
    assert.equal(await scene.readEven('a'), undefined)
    await scene.create('a', { labels: labels.slice(1) })
    assert.equal((await scene.present('a')).labels.length, maxLabels)
  })

  stage.it('refuse malformed keys in every other operation', async (scene) => {
    const key = keyOf('a b')
    const { store } = scene
    const calls = [
      () => store.read(key),
      () => store.readMany([keyOf('a'), key]),
      () => store.remove([key]),
      () => store.touch([{ key, version: 'x', expiresAt: scene.now + hour }]),
    ]
    for (const call of calls) await assertRefused('HOLDFAST_INVALID_KEY', call)
  })
}
