/** What `watch` has to do. */

import assert from 'node:assert/strict'
import type { Change } from '../../store/contract.ts'
import { keyText } from '../../store/record.ts'
import type { Store } from '../../store/store.ts'
import { hour, keyOf, numbered, second, versionOf } from './scene.ts'
import type { Scene } from './scene.ts'
import type { Stage } from './stage.ts'

export function testWatch(stage: Stage): void {
  stage.describe('watch', () => {
    stage.itWith(
      'watch',
      'tells of every create, replace and remove before a mark set after it',
      async (scene) => {
        const feed = await Feed.on(scene.store)
        const version = await scene.create('a')
        await feed.assertTold('things/a')
        versionOf(await scene.replace('a', version))
        await feed.assertTold('things/a')
        await scene.store.remove([keyOf('a')])
        await feed.assertTold('things/a')
        await scene.create('a', { key: keyOf('a', 'others'), labels: ['user:ada'] })
        await feed.assertTold('others/a')
        await feed.close()
      },
    )

    stage.itWith('watch', 'tells of burials, taken over keys and shortened lives', async (scene) => {
      const version = await scene.create('a')
      await scene.create('b', { expiresAt: scene.now + second })
      scene.clock.advance(second)
      const feed = await Feed.on(scene.store)
      const burial = { labels: [], expiresAt: scene.now + second, setsExpiry: true, expired: true }
      versionOf(await scene.replace('a', version, burial))
      await feed.assertTold('things/a')
      await scene.create('b')
      await feed.assertTold('things/b')
      await feed.close()
    })

    stage.itWith('watch', 'tells of what a sweep removes', async (scene) => {
      await scene.createAll(['a', 'b'], { expiresAt: scene.now + second })
      scene.clock.advance(second + scene.store.margin)
      const feed = await Feed.on(scene.store)
      assert.equal((await scene.swept()).length, 2)
      await feed.assertTold('things/a', 'things/b')
      await feed.close()
    })

    stage.itWith('watch', 'tells of each write of a batch', async (scene) => {
      if (!scene.store.capabilities.atomicBatch) return
      const version = await scene.create('a')
      const feed = await Feed.on(scene.store)
      const written = await scene.store.write([
        { type: 'replace', ...scene.rewrite('a', version) },
        { type: 'create', ...scene.draft('b', { key: keyOf('b', 'others') }) },
      ])
      assert.equal(written.status, 'done')
      await feed.assertTold('things/a', 'others/b')
      await feed.close()
    })

    stage.itWith('watch', 'says nothing of touches', async (scene) => {
      const version = await scene.create('a')
      await scene.create('before')
      const feed = await Feed.on(scene.store)
      await feed.settle()
      assert.equal(await scene.touch('a', version, scene.now + 5 * hour), 'done')
      await feed.settle()
      assert.ok(!feed.told.has('things/a'), 'a touch is not told')
      await feed.close()
    })

    stage.itWith('watch', 'misses none of many writes at once', async (scene) => {
      const feed = await Feed.on(scene.store)
      const ids = numbered('many', 120)
      await scene.createAll(ids)
      await feed.assertTold(...ids.map((id) => `things/${id}`))
      await feed.close()
    })

    stage.itWith('watch', 'tells every watcher, until it is closed', async (scene) => {
      const [first, second] = [await Feed.on(scene.store), await Feed.on(scene.store)]
      await scene.create('a')
      await first.assertTold('things/a')
      await second.assertTold('things/a')
      await first.close()
      await scene.create('b')
      await second.assertTold('things/b')
      assert.ok(!first.told.has('things/b') && first.resets === 0, 'a closed watch is told nothing')
      await second.close()
    })

    stage.itWith('watch', 'answers marks at any time, many at once too', async (scene) => {
      const feed = await Feed.on(scene.store)
      await Promise.all([feed.settle(), feed.settle(), feed.settle()])
      await scene.create('a')
      await Promise.all([feed.settle(), feed.settle()])
      await feed.assertTold('things/a')
      await feed.close()
    })

    stage.itWith('watch', 'tells nothing of another namespace', async (scene) => {
      const apart = await scene.apart(`${scene.namespace}-x`)
      const feed = await Feed.on(scene.store)
      await scene.create('secret', {}, apart)
      await scene.create('ours')
      await feed.assertTold('things/ours')
      assert.ok(!feed.told.has('things/secret'))
      await feed.close()
    })

    if (stage.canShare) testShared(stage)
  })
}

function testShared(stage: Stage): void {
  stage.itWith('watch', 'tells of what another store on the same data does', async (scene) => {
    const other = await scene.another()
    const feed = await Feed.on(scene.store)
    const version = await scene.create('a', { expiresAt: scene.now + second }, other)
    await feed.assertTold('things/a')
    versionOf(await other.replace(scene.rewrite('a', version, { expiresAt: scene.now })))
    await feed.assertTold('things/a')
    await scene.create('b', {}, other)
    await feed.assertTold('things/b')
    await other.remove([keyOf('b')])
    await feed.assertTold('things/b')
    scene.clock.advance(second + scene.store.margin)
    await assertSweptElsewhere(scene, other)
    await feed.assertTold('things/a')
    await feed.close()
  })
}

async function assertSweptElsewhere(scene: Scene, other: Store): Promise<void> {
  const removed = (await scene.sweep(10, other)).flat()
  assert.deepEqual(
    removed.map(({ key }) => key.id),
    ['a'],
  )
}

/** A watcher that remembers what it was told. */
class Feed {
  readonly told = new Set<string>()
  resets = 0
  #mark: () => unknown = () => undefined
  #close: () => unknown = () => undefined

  static async on(store: Store): Promise<Feed> {
    const feed = new Feed()
    const watch = await store.watch((change) => {
      feed.#hear(change)
    })
    feed.#mark = () => watch.mark()
    feed.#close = () => watch.close()
    return feed
  }

  /** Waits until everything committed before this call has been told. */
  async settle(): Promise<void> {
    await this.#mark()
  }

  /** Asserts that the keys were told since the last time, by name or by a reset, and forgets what was told. */
  async assertTold(...keys: readonly string[]): Promise<void> {
    await this.settle()
    for (const key of keys) {
      assert.ok(
        this.resets > 0 || this.told.has(key),
        `${key} was told; told were ${[...this.told].join(', ')}`,
      )
    }
    this.told.clear()
    this.resets = 0
  }

  async close(): Promise<void> {
    await this.#close()
  }

  #hear(change: Change): void {
    if (change.type === 'changed') for (const key of change.keys) this.told.add(keyText(key))
    if (change.type === 'reset') this.resets++
    assert.notEqual(change.type, 'broken', 'the feed holds')
  }
}
