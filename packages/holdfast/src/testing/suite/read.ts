/** What `read` has to do. */

import assert from 'node:assert/strict'
import type { StoredRecord } from '../../store/record.ts'
import { assertSame, keyOf, numbered, second } from './scene.ts'
import type { Stage } from './stage.ts'

export function testRead(stage: Stage): void {
  stage.describe('read', () => {
    stage.it('answers undefined for what is not there [K2]', async (scene) => {
      assert.equal(await scene.read('a'), undefined)
      assert.equal(await scene.readEven('a'), undefined)
      assert.deepEqual(await scene.store.readMany([keyOf('a'), keyOf('b')]), [undefined, undefined])
      assert.deepEqual(await scene.store.readMany([]), [])
    })

    stage.it(
      'does not return a record from its expiry on, unless asked for the expired [K3 K5 K67 T23]',
      async (scene) => {
        await scene.create('a', { expiresAt: scene.now + second, labels: ['user:ada'] })
        scene.clock.advance(second - 1)
        const before = await scene.read('a')
        assert.ok(before)
        scene.clock.advance(1)
        assert.equal(await scene.read('a'), undefined)
        assert.equal(await scene.store.read(keyOf('a')), undefined)
        assert.deepEqual(await scene.store.readMany([keyOf('a')]), [undefined])
        assertSame(await scene.readEven('a'), before)
        scene.clock.advance(scene.store.margin - 1)
        await scene.sweep()
        assertSame(await scene.readEven('a'), before)
      },
    )

    stage.it(
      'answers many keys in their order, missing, expired and repeated ones in their places [K53]',
      async (scene) => {
        const versions = await scene.createAll(['b', 'a', 'c'])
        const other = await scene.create('a', { key: keyOf('a', 'others') })
        await scene.create('expired', { expiresAt: scene.now })
        const keys = [
          keyOf('c'),
          keyOf('missing'),
          keyOf('a'),
          keyOf('expired'),
          keyOf('a', 'others'),
          keyOf('b'),
          keyOf('a'),
        ]
        const found = await scene.store.readMany(keys)
        const expected = [
          versions.get('c'),
          undefined,
          versions.get('a'),
          undefined,
          other,
          versions.get('b'),
          versions.get('a'),
        ]
        assert.deepEqual(versionsOf(found), expected)
        const even = await scene.store.readMany(keys, { expired: true })
        assert.equal(even[3]?.key.id, 'expired')
        assert.deepEqual(versionsOf(even).toSpliced(3, 1), expected.toSpliced(3, 1))
        for (const [i, record] of found.entries())
          if (record) assert.deepEqual({ ...record.key }, { ...keys[i] })
      },
    )

    stage.it('answers hundreds of keys in one call', async (scene) => {
      const ids = numbered('many', 300)
      const there = ids.filter((_, i) => i % 3 !== 1)
      const versions = await scene.createAll(there)
      const found = await scene.store.readMany(ids.toReversed().map((id) => keyOf(id)))
      assert.deepEqual(
        versionsOf(found),
        ids.toReversed().map((id) => versions.get(id)),
      )
    })

    stage.it('reads strictly what was written last', async (scene) => {
      let version = await scene.create('a')
      for (let i = 0; i < 5; i++) {
        const written = await scene.replace('a', version, { value: Buffer.from(String(i)) })
        assert.ok(written.status === 'done')
        version = written.version
        const record = await scene.store.read(keyOf('a'), { strict: true })
        assert.equal(record?.version, version)
        assert.equal(Buffer.from(record.value).toString(), String(i))
        assertSame(await scene.store.read(keyOf('a')), record)
      }
    })
  })
}

function versionsOf(records: readonly (StoredRecord | undefined)[]): (string | undefined)[] {
  return records.map((record) => record?.version)
}
