/** What locks were for elsewhere, over every store: nobody holds one here, and yet nothing is lost. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { never, type Version } from '../../packages/holdfast/src/store/record.ts'
import type { Rewrite, Store, Written } from '../../packages/holdfast/src/store/store.ts'
import { openRoom, type Place, places } from './places.ts'

const collection = 'tokens'
const labels = ['user:ada']
const value = Buffer.from('{}')

describe('every store, without locks', () => {
  for (const place of places) {
    describe(place.name, { skip: place.skip }, () => {
      it('changes a record under its own present version only, and keeps nobody from reading [K54]', () =>
        inRoom(place, async (store) => {
          const [mine, other] = [versionOf(await create(store, 'a')), versionOf(await create(store, 'b'))]
          assert.deepEqual(await replace(store, 'a', other), { status: 'conflict' }, 'the version of another')
          const [first, second] = await Promise.all([replace(store, 'a', mine), replace(store, 'a', mine)])
          assert.deepEqual([first.status, second.status].sort(), ['conflict', 'done'], 'one of two at once')
          assert.deepEqual(await replace(store, 'a', mine), { status: 'conflict' }, 'what is outdated')
          const now = versionOf(first.status === 'done' ? first : second)
          const writes = follow(store, now)
          for (let i = 0; i < 50; i++) assert.ok(await store.read({ collection, id: 'a' }))
          const { version } = await writes
          assert.equal((await store.read({ collection, id: 'a' }))?.version, version)
        }))

      it('finds everything that many create, relabel and bury at once under one label [K54 K38]', () =>
        inRoom(place, async (store) => {
          const ids = Array.from({ length: 24 }, (_, i) => `id-${String(i).padStart(2, '0')}`)
          await Promise.all(
            ids.map(async (id, i) => {
              const version = versionOf(await create(store, id))
              if (i % 3 === 1) await replace(store, id, version, { labels: [...labels, 'state:new'] })
              if (i % 3 === 2) await replace(store, id, version, { labels: ['state:revoked'] })
            }),
          )
          if (store.capabilities.listing !== 'complete') return
          const listed = async (label: string): Promise<readonly string[]> => {
            const { records } = await store.list(collection, { labels: [label], limit: 1_000 })
            return records.map(({ key }) => key.id)
          }
          const every = (rest: number): readonly string[] => ids.filter((_, i) => i % 3 === rest)
          assert.deepEqual(
            await listed('user:ada'),
            ids.filter((_, i) => i % 3 !== 2),
          )
          assert.deepEqual(await listed('state:new'), every(1))
          assert.deepEqual(await listed('state:revoked'), every(2))
        }))
    })
  }
})

async function inRoom(place: Place, test: (store: Store) => Promise<void>): Promise<void> {
  const room = await place.room()
  try {
    const store = await openRoom(room)
    try {
      await test(store)
    } finally {
      await store.close()
    }
  } finally {
    await room.remove()
  }
}

async function create(store: Store, id: string): Promise<Written> {
  return await store.create({ key: { collection, id }, value, labels, expiresAt: never })
}

async function replace(
  store: Store,
  id: string,
  expected: Version,
  more: Pick<Rewrite, 'labels'> = {},
): Promise<Written> {
  return await store.replace({ key: { collection, id }, expected, value, expiresAt: never, ...more })
}

/** Saves a record twenty times, each at the version before. */
async function follow(store: Store, version: Version): Promise<{ readonly version: Version }> {
  let last = version
  for (let i = 0; i < 20; i++) last = versionOf(await replace(store, 'a', last))
  return { version: last }
}

function versionOf(written: Written): Version {
  assert.ok(written.status === 'done', written.status)
  return written.version
}
