/** That labels are compared as bytes, and keys as well: what differs in any byte is somebody else. */

import assert from 'node:assert/strict'
import { compareBytes } from '../../store/record.ts'
import { keyOf } from './scene.ts'
import type { Stage } from './stage.ts'

/** Labels that a collation, a pattern, a normaliser or a careless separator would take for one another. */
const alike = {
  'small and capital letters': [
    'user:ada',
    'user:Ada',
    'user:ADA',
    'user:strasse',
    'user:straße',
    'user:ı',
    'user:i',
    'user:I',
  ],
  'spaces at the end, in front and within': [
    'user:ada',
    'user:ada ',
    'user:ada  ',
    'user: ada',
    'user:a da',
    'user:ada\t',
    'user:ada\n',
    'user:ada\u00a0',
    'user: ',
  ],
  'composed and decomposed Unicode': [
    'user:\u00e9',
    'user:e\u0301',
    'user:e',
    'user:\u00c5',
    'user:\u212b',
    'user:A\u030a',
  ],
  'characters beyond the basic plane': [
    'user:\ud83d\ude00',
    'user:\ud83d\ude01',
    'user:\uff5e',
    'user:\ud835\udc9c',
    'user:\uffff',
    'user:\udbff\udfff',
  ],
  'patterns and quotes': [
    'user:a%',
    'user:a_',
    'user:ab',
    'user:a*',
    'user:a?',
    'user:[a]',
    "user:a'b",
    'user:a"b',
    'user:a\\b',
    'user:a\\\\b',
    'user:{a}',
    'user:$1',
  ],
  separators: [
    'user:a',
    'user:a:b',
    'user:a/b',
    'user:a|b',
    'user:a,b',
    'user:a;b',
    'user:a.b',
    'user:a\u0001b',
    'user:a\u001fb',
    'user:a=b',
    'user:a&b',
    'user:b',
  ],
  'prefixes and other names': [
    'user:ada',
    'user:ad',
    'user:adam',
    'users:ada',
    'tenant:ada',
    'u:ada',
    'user-x:ada',
    'x-user:ada',
  ],
  numbers: [
    'user:1',
    'user:01',
    'user:1.0',
    'user:1e0',
    'user:10',
    'user:+1',
    'user:-1',
    'user:null',
    'user:undefined',
    'user:true',
  ],
}

export function testLabels(stage: Stage): void {
  stage.describe('labels', () => {
    for (const [what, labels] of Object.entries(alike)) {
      stage.it(`are compared as bytes: ${what} [K56]`, async (scene) => {
        const idOf = new Map(labels.map((label, i) => [label, `carrier-${String(i).padStart(2, '0')}`]))
        await Promise.all(labels.map((label) => scene.create(idOf.get(label) ?? '', { labels: [label] })))
        for (const label of labels) {
          const id = idOf.get(label) ?? ''
          assert.deepEqual([...(await scene.present(id)).labels], [label])
          await scene.assertListedIfListing([id], { labels: [label] })
          if (scene.store.capabilities.counting) {
            assert.equal(await scene.store.count('things', { labels: [label] }), 1)
          }
        }
      })

      stage.it(`are stored in byte order, all on one record: ${what}`, async (scene) => {
        await scene.create('a', { labels: labels.toReversed() })
        assert.deepEqual([...(await scene.present('a')).labels], labels.toSorted(compareBytes))
        for (const label of labels) await scene.assertListedIfListing(['a'], { labels: [label] })
        await scene.assertListedIfListing(['a'], { labels })
      })
    }

    stage.it('of three users who differ in case and a space stay three', async (scene) => {
      const users = ['user:ada', 'user:Ada', 'user:ada ']
      await Promise.all(users.map((label, i) => scene.create(`s${i}`, { labels: [label] })))
      for (const [i, label] of users.entries())
        await scene.assertListedIfListing([`s${i}`], { labels: [label] })
    })
  })

  stage.describe('ids', () => {
    stage.it('are compared as bytes', async (scene) => {
      const ids = [
        'a',
        'A',
        'a-',
        'a_',
        'a~',
        '-a',
        '_',
        '-',
        '~',
        '0',
        '00',
        'aa',
        'Aa',
        'aA',
        'AA',
        '1',
        '1e0',
        '01',
      ]
      const versions = await scene.createAll(ids)
      assert.equal(new Set(versions.values()).size, ids.length)
      for (const id of ids) {
        const record = await scene.present(id)
        assert.equal(record.key.id, id)
        assert.equal(record.version, versions.get(id))
        assert.equal(Buffer.from(record.value).toString(), id)
      }
      await scene.store.remove([keyOf('a'), keyOf('_'), keyOf('00')])
      const left = ids.filter((id) => !['a', '_', '00'].includes(id))
      for (const id of ids) assert.equal((await scene.read(id)) !== undefined, left.includes(id))
      await scene.assertListedIfListing(left.toSorted())
    })
  })
}
