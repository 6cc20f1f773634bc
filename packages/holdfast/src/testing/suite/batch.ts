/** What `write` has to do. */

import assert from 'node:assert/strict'
import type { BatchItem } from '../../store/store.ts'
import { assertSame, hour, keyOf, numbered, plain, second } from './scene.ts'
import type { Scene } from './scene.ts'
import type { Stage } from './stage.ts'

export function testBatch(stage: Stage): void {
  stage.describe('write', () => {
    stage.itWith(
      'atomicBatch',
      'does creates, replaces and touches over several collections together',
      async (scene) => {
        const replaced = await scene.create('replaced', { labels: ['user:ada'] })
        const touched = await scene.create('touched')
        const written = await scene.store.write([
          { type: 'create', ...scene.draft('made', { key: keyOf('made', 'names'), labels: ['user:ada'] }) },
          { type: 'replace', ...scene.rewrite('replaced', replaced, { labels: ['user:eve'] }) },
          { type: 'touch', key: keyOf('touched'), version: touched, expiresAt: scene.now + 2 * hour },
        ])
        assert.ok(written.status === 'done')
        const made = await scene.store.read(keyOf('made', 'names'))
        assert.deepEqual(written.versions, [
          made?.version,
          (await scene.present('replaced')).version,
          touched,
        ])
        assert.deepEqual([...(made?.labels ?? [])], ['user:ada'])
        assert.equal(Buffer.from((await scene.present('replaced')).value).toString(), 'rewritten')
        assert.equal((await scene.present('touched')).expiresAt, scene.now + 2 * hour)
        await scene.assertListedIfListing([], { labels: ['user:ada'] })
        await scene.assertListedIfListing(['replaced'], { labels: ['user:eve'] })
      },
    )

    stage.itWith(
      'atomicBatch',
      'does nothing when one cannot be done, wherever it stands in the batch',
      async (scene) => {
        const version = await scene.create('here', { labels: ['user:ada'] })
        const gone: BatchItem = { type: 'replace', ...scene.rewrite('missing', '1.x') }
        const conflict: BatchItem = { type: 'create', ...scene.draft('here') }
        const late: BatchItem = {
          type: 'touch',
          key: keyOf('missing'),
          version: '1.x',
          expiresAt: scene.now + hour,
        }
        for (const [refused, outcome] of [
          [gone, 'gone'],
          [conflict, 'conflict'],
          [late, 'gone'],
        ] as const) {
          for (const position of [0, 1, 2])
            await assertNothingDone(scene, version, refused, outcome, position)
        }
      },
    )

    stage.itWith(
      'atomicBatch',
      'answers for each operation what it would have answered alone',
      async (scene) => {
        const version = await scene.create('here')
        const expired = await scene.create('expired', { expiresAt: scene.now })
        const written = await scene.store.write([
          { type: 'create', ...scene.draft('free') },
          { type: 'create', ...scene.draft('here') },
          { type: 'replace', ...scene.rewrite('expired', expired) },
          { type: 'touch', key: keyOf('missing'), version, expiresAt: scene.now + hour },
        ])
        assert.ok(written.status === 'refused')
        assert.deepEqual([...written.outcomes], ['done', 'conflict', 'gone', 'gone'])
        assert.equal(await scene.readEven('free'), undefined)
      },
    )

    stage.itWith(
      'atomicBatch',
      'keeps to the rules that hold for each operation alone [T23]',
      async (scene) => {
        const expiring = { expiresAt: scene.now + second, labels: ['user:ada'] }
        const versions = await scene.createAll(['taken', 'buried'], expiring)
        const kept = await scene.create('kept', {
          expiresAt: scene.now + 5 * hour,
          touchedAt: scene.now + hour,
        })
        const touched = await scene.create('touched', { expiresAt: scene.now + 5 * hour })
        scene.clock.advance(second)
        const written = await scene.store.write([
          { type: 'create', ...scene.draft('taken', { labels: ['user:eve'] }) },
          {
            type: 'replace',
            ...scene.rewrite('buried', versions.get('buried') ?? '', { expired: true, labels: [] }),
          },
          { type: 'replace', ...scene.rewrite('kept', kept) },
          { type: 'touch', key: keyOf('touched'), version: touched, expiresAt: scene.now + hour },
        ])
        assert.equal(written.status, 'done')
        await scene.assertListedIfListing([], { labels: ['user:ada'], expired: true })
        await scene.assertListedIfListing(['taken'], { labels: ['user:eve'] })
        assert.equal((await scene.present('buried')).expiresAt, scene.now + hour)
        assert.equal((await scene.present('kept')).expiresAt, scene.now - second + 5 * hour)
        assert.equal((await scene.present('kept')).touchedAt, scene.now - second + hour)
        assert.equal((await scene.present('touched')).expiresAt, scene.now - second + 5 * hour)
      },
    )

    stage.itWith(
      'atomicBatch',
      'lets one of several rivals over the same keys win as a whole',
      async (scene) => {
        const versions = await scene.createAll(['x', 'y'])
        const names = numbered('writer', 6)
        const written = await Promise.all(
          names.map((name, i) => {
            const order = i % 2 ? ['x', 'y'] : ['y', 'x']
            return scene.store.write(
              order.map((id) => ({
                type: 'replace' as const,
                ...scene.rewrite(id, versions.get(id) ?? '', { value: Buffer.from(name) }),
              })),
            )
          }),
        )
        assert.equal(written.filter(({ status }) => status === 'done').length, 1)
        const winner = names[written.findIndex(({ status }) => status === 'done')]
        for (const id of ['x', 'y'])
          assert.equal(Buffer.from((await scene.present(id)).value).toString(), winner)
      },
    )

    stage.itWith('atomicBatch', 'stores a batch of a hundred records', async (scene) => {
      const ids = numbered('many', Math.min(100, scene.store.capabilities.maxBatch))
      const written = await scene.store.write(
        ids.map((id) => ({ type: 'create' as const, ...scene.draft(id) })),
      )
      assert.ok(written.status === 'done')
      const found = await scene.store.readMany(ids.map((id) => keyOf(id)))
      assert.deepEqual(
        found.map((record) => record?.version),
        [...written.versions],
      )
    })
  })
}

/** A batch of one that can't be done, at the position, between others that could be. */
async function assertNothingDone(
  scene: Scene,
  version: string,
  refused: BatchItem,
  outcome: string,
  position: number,
): Promise<void> {
  const before = plain(await scene.present('here'))
  const other: BatchItem =
    refused.type === 'create'
      ? { type: 'create', ...scene.draft('other', { labels: ['user:ada'] }) }
      : { type: 'replace', ...scene.rewrite('here', version, { labels: [] }) }
  const possible: BatchItem[] = [other, { type: 'create', ...scene.draft('free', { labels: ['user:ada'] }) }]
  const written = await scene.store.write(possible.toSpliced(position, 0, refused))
  assert.ok(written.status === 'refused')
  assert.deepEqual([...written.outcomes], ['done', 'done'].toSpliced(position, 0, outcome))
  assert.deepEqual(plain(await scene.present('here')), before)
  for (const id of ['free', 'other', 'missing']) assertSame(await scene.readEven(id), undefined)
  await scene.assertListedIfListing(['here'], { labels: ['user:ada'], expired: true })
}
