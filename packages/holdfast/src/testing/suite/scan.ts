/** What `scan` has to do. */

import assert from 'node:assert/strict'
import { keyText, type StoredRecord } from '../../store/record.ts'
import { hour, keyOf, numbered, plain, second, versionOf } from './scene.ts'
import type { Scene } from './scene.ts'
import { assertRefused, type Stage } from './stage.ts'

export function testScan(stage: Stage): void {
  stage.describe('scan', () => {
    stage.itWith(
      'scanning',
      'divides everything into slices: each record in exactly one, tombstones too [C43]',
      async (scene) => {
        const expected = await populate(scene)
        for (const [of, limit] of [
          [1, 100],
          [2, 3],
          [7, 1],
          [7, 1_000],
          [64, 7],
        ] as const) {
          const found: string[] = []
          for (let index = 0; index < of; index++)
            found.push(...textsOf(await scene.scan(index, of, { limit })))
          assert.deepEqual(found.toSorted(), expected, `${of} slices in pages of ${limit}`)
        }
      },
    )

    stage.itWith('scanning', 'draws the slices evenly, whatever the ids look like', async (scene) => {
      await scene.createAll(numbered('0190a6e4-5b7a-7c3e', 100))
      for (let index = 0; index < 4; index++) {
        const { length } = await scene.scan(index, 4)
        // 25 are expected; fewer than 4 or more than 60 come about less than once in a million runs.
        assert.ok(length >= 4 && length <= 60, `slice ${index} of 4 has ${length} of 100 records`)
      }
    })

    stage.itWith(
      'scanning',
      'keeps a record in its slice when it is written or created again',
      async (scene) => {
        const ids = numbered('many', 20)
        await scene.createAll(ids)
        const before = textsOf(await scene.scan(0, 2)).toSorted()
        for (const id of ids.slice(0, 10))
          versionOf(await scene.replace(id, (await scene.present(id)).version))
        await scene.store.remove(ids.slice(10).map((id) => keyOf(id)))
        await scene.createAll(ids.slice(10))
        assert.deepEqual(textsOf(await scene.scan(0, 2)).toSorted(), before)
      },
    )

    stage.itWith('scanning', 'answers with whole records', async (scene) => {
      await scene.createAll(['a', 'b'], { labels: ['user:ada', 'tenant:t1'], touchedAt: scene.now - 5 })
      const found = await scene.scan(0, 1)
      assert.equal(found.length, 2)
      for (const record of found) assert.deepEqual(plain(record), plain(await scene.present(record.key.id)))
    })

    stage.itWith(
      'scanning',
      'leaves out the expired, unless asked for them, exactly from their expiry on [T23]',
      async (scene) => {
        await scene.createAll(['a', 'b'], { expiresAt: scene.now + second })
        await scene.create('c')
        scene.clock.advance(second - 1)
        assert.equal((await scene.scan(0, 1)).length, 3)
        scene.clock.advance(1)
        assert.deepEqual(textsOf(await scene.scan(0, 1, { limit: 1 })), ['things/c'])
        const even = textsOf(await scene.scan(0, 1, { limit: 1, expired: true })).toSorted()
        assert.deepEqual(even, ['things/a', 'things/b', 'things/c'])
      },
    )

    stage.itWith(
      'scanning',
      'returns what is there throughout exactly once, whatever comes and goes between pages',
      async (scene) => {
        const staying = numbered('m', 24)
        const leaving = numbered('n', 8)
        const versions = await scene.createAll([...staying, ...leaving])
        const found = await scene.scan(0, 1, { limit: 4 }, async (page) => {
          await scene.createAll([`a-new-${page}`, `m-${page}-new`, `z-new-${page}`])
          await scene.store.remove([keyOf(leaving[page % leaving.length] ?? '')])
          const id = staying[(page * 5) % staying.length] ?? ''
          const expiresAt = scene.now + (2 + page) * hour
          versions.set(id, versionOf(await scene.replace(id, versions.get(id) ?? '', { expiresAt })))
          const touched = staying[(page * 7) % staying.length] ?? ''
          await scene.touch(touched, versions.get(touched) ?? '', expiresAt)
        })
        const ids = found.map(({ key }) => key.id)
        assert.equal(new Set(ids).size, ids.length, 'no record is returned twice')
        assert.deepEqual(ids.filter((id) => staying.includes(id)).toSorted(), staying)
      },
    )

    stage.itWith('scanning', 'refuses a cursor that is none, and slices that are none', async (scene) => {
      const { store } = scene
      await assertRefused('HOLDFAST_INVALID_CURSOR', () =>
        store.scan({ index: 0, of: 1, after: 'no cursor of yours!' }),
      )
      for (const [index, of] of [
        [-1, 2],
        [2, 2],
        [0, 0],
        [0.5, 2],
        [0, 1.5],
      ] as const) {
        await assertRefused('HOLDFAST_INVALID_OPTION', () => store.scan({ index, of }))
      }
    })
  })
}

/** Records in several collections, a tombstone and an expired one among them. Answers with the keys of the live. */
async function populate(scene: Scene): Promise<string[]> {
  const ids = numbered('many', 40)
  await scene.createAll(ids, { labels: ['user:ada'] })
  const burial = { value: new Uint8Array(0), labels: [], expiresAt: scene.now + 24 * hour, setsExpiry: true }
  const buried = ids[0] ?? ''
  versionOf(await scene.replace(buried, (await scene.present(buried)).version, burial))
  for (const collection of ['a', 'others', 'z-9']) {
    for (const id of ['~', '-', ids[5] ?? '']) await scene.create(id, { key: keyOf(id, collection) })
  }
  await scene.create('expired', { expiresAt: scene.now })
  const others = ['a', 'others', 'z-9'].flatMap((name) =>
    ['~', '-', ids[5] ?? ''].map((id) => `${name}/${id}`),
  )
  return [...ids.map((id) => `things/${id}`), ...others].toSorted()
}

function textsOf(records: readonly StoredRecord[]): string[] {
  return records.map(({ key }) => keyText(key))
}
