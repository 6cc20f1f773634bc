/** That a store opens, closes, keeps namespaces apart, is shared and endures, as far as it says that it does. */

import assert from 'node:assert/strict'
import type { Capabilities } from '../../store/contract.ts'
import type { Store } from '../../store/store.ts'
import { assertSame, hour, idsOf, keyOf, numbered, plain, second, versionOf } from './scene.ts'
import type { Scene } from './scene.ts'
import { assertRefused, type Stage } from './stage.ts'

export function testStore(stage: Stage): void {
  stage.describe('store', () => {
    testLife(stage)
    testNamespaces(stage)
  })
  if (stage.canShare) stage.describe('stores on the same data', () => testSharing(stage))
  if (stage.canReopen) stage.describe('store that is opened again', () => testDurability(stage))
}

function testLife(stage: Stage): void {
  stage.it('says what it is and what it can do', async (scene) => {
    const { description, capabilities, skew = 0 } = await scene.store.open()
    assert.ok(description.length > 0)
    assert.ok(Math.abs(skew) <= scene.store.margin)
    assert.deepEqual(capabilities, scene.store.capabilities)
    assertDeclared(capabilities)
  })

  stage.it('was given to the suite with what is needed to test what it declares', async (scene) => {
    const { shared, durable } = scene.store.capabilities
    if (shared) assert.ok(stage.canShare, 'a store that is shared between processes needs `another`')
    if (durable.process) assert.ok(stage.canReopen, 'a store that survives its process needs `reopen`')
  })

  stage.itSweeping(
    'uses the settings that it is given',
    async (scene) => {
      assert.equal(scene.store.namespace, scene.namespace)
      assert.equal(scene.store.clock, scene.clock)
      assert.equal(scene.store.margin, 90_000)
      assert.equal(scene.store.maxValue, 1_000)
      await scene.create('a', { expiresAt: scene.now + second, value: Buffer.alloc(1_000) })
      await assertRefused('HOLDFAST_VALUE_TOO_LARGE', () => scene.create('b', { value: Buffer.alloc(1_001) }))
      scene.clock.advance(second + 90_000 - 1)
      assert.deepEqual(await scene.swept(), [])
      scene.clock.advance(1)
      assert.deepEqual(await scene.swept(), ['a'])
    },
    { margin: '90s', maxValue: 1_000 },
  )

  stage.it('refuses every call after it was closed, and can be closed again', async (scene) => {
    const version = await scene.create('a')
    const { store } = scene
    await store.close()
    await store.close()
    const key = keyOf('a')
    const calls: (() => unknown)[] = [
      () => store.open(),
      () => store.create(scene.draft('b')),
      () => store.replace(scene.rewrite('a', version)),
      () => store.touch([{ key, version, expiresAt: scene.now + hour }]),
      () => store.read(key),
      () => store.readMany([key]),
      () => store.write([{ type: 'create', ...scene.draft('b') }]),
      () => store.list('things'),
      () => store.count('things'),
      () => store.scan({ index: 0, of: 1 }),
      () => store.sweep(),
      () => store.remove([key]),
      () => store.watch(() => undefined),
    ]
    for (const call of calls) await assertRefused('HOLDFAST_STORE_CLOSED', call)
  })

  stage.it('carries out what was under way when it is closed', async (scene) => {
    const written = numbered('a', 10).map((id) => scene.store.create(scene.draft(id)))
    await Promise.all([...written, scene.store.close()])
    for (const each of written) versionOf(await each)
  })

  stage.it('counts its calls', async (scene) => {
    await scene.create('a')
    await scene.present('a')
    const figures = scene.store.figures().operations
    assert.equal(figures['create']?.calls, 1)
    assert.ok((figures['read']?.calls ?? 0) >= 1)
  })
}

function assertDeclared(capabilities: Capabilities): void {
  const { durable, listing, maxBatch, ...flags } = capabilities
  assert.deepEqual(Object.keys(durable).toSorted(), ['failover', 'machine', 'process'])
  for (const flag of Object.values(durable)) assert.equal(typeof flag, 'boolean')
  assert.ok(['complete', 'partial', 'none'].includes(listing))
  assert.ok(Number.isSafeInteger(maxBatch) && maxBatch >= 1)
  const names = [
    'atomicBatch',
    'atomicLabels',
    'cached',
    'cheapTouch',
    'counting',
    'nativeExpiry',
    'scanning',
    'shared',
    'watch',
  ]
  assert.deepEqual(Object.keys(flags).toSorted(), names)
  for (const flag of Object.values(flags)) assert.equal(typeof flag, 'boolean')
}

function testNamespaces(stage: Stage): void {
  stage.itSweeping('keeps the records of one namespace from another', async (scene) => {
    const apart = await scene.apart(`${scene.namespace}-x`)
    const ours = await scene.create('a', { labels: ['user:ada'], expiresAt: scene.now + second })
    assert.equal(await scene.read('a', apart), undefined)
    assert.equal((await apart.replace(scene.rewrite('a', ours))).status, 'gone')
    assert.deepEqual(
      [...(await apart.touch([{ key: keyOf('a'), version: ours, expiresAt: scene.now + hour }]))],
      ['gone'],
    )
    const theirs = await scene.create('a', { labels: ['user:ada'], value: Buffer.from('theirs') }, apart)
    const before = plain(await scene.read('a', apart))
    await assertOnlyOurs(scene.store, ours)
    await assertOnlyOurs(apart, theirs)
    scene.clock.advance(second + scene.store.margin)
    assert.deepEqual((await scene.sweep(10, apart)).flat(), [])
    assert.deepEqual(await scene.swept(), ['a'])
    await scene.store.remove([keyOf('a')])
    assert.deepEqual(plain(await apart.read(keyOf('a'), { expired: true })), before)
  })

  stage.it('keeps namespaces and collections apart that read alike when put together', async (scene) => {
    const inner = scene.namespace
    const apart = await scene.apart(`${inner}-a`)
    const long = { collection: 'a-b', id: 'b-c' }
    const short = { collection: 'b', id: 'b-c' }
    const other = { collection: 'a', id: 'b-b-c' }
    await scene.create('x', { key: long, value: Buffer.from('long') })
    await scene.create('x', { key: other, value: Buffer.from('other') })
    await scene.create('x', { key: short, value: Buffer.from('short') }, apart)
    assert.equal(Buffer.from((await scene.store.read(long))?.value ?? []).toString(), 'long')
    assert.equal(Buffer.from((await scene.store.read(other))?.value ?? []).toString(), 'other')
    assert.equal(Buffer.from((await apart.read(short))?.value ?? []).toString(), 'short')
    assert.equal(await apart.read(long), undefined)
    assert.equal(await scene.store.read(short), undefined)
  })
}

async function assertOnlyOurs(store: Store, version: string): Promise<void> {
  const { listing, scanning, counting } = store.capabilities
  if (listing === 'complete') {
    for (const labels of [[], ['user:ada']]) {
      const { records } = await store.list('things', { labels, expired: true })
      assert.deepEqual(
        records.map((record) => record.version),
        [version],
      )
    }
  }
  if (counting) assert.equal(await store.count('things', { labels: ['user:ada'] }), 1)
  if (scanning) {
    const { records } = await store.scan({ index: 0, of: 1, expired: true })
    assert.deepEqual(
      records.map((record) => record.version),
      [version],
    )
  }
}

function testSharing(stage: Stage): void {
  stage.it('see each other’s writes as soon as these are acknowledged', async (scene) => {
    const other = await scene.another()
    const first = await scene.create('a', { labels: ['user:ada'] })
    assertSame(await scene.read('a', other), await scene.present('a'))
    const second = versionOf(await other.replace(scene.rewrite('a', first, { labels: ['user:eve'] })))
    assert.equal((await scene.present('a')).version, second)
    await scene.assertListedIfListing([], { labels: ['user:ada'] })
    await scene.assertListedIfListing(['a'], { labels: ['user:eve'] })
    assert.equal((await scene.replace('a', first)).status, 'conflict')
    assert.equal((await other.create(scene.draft('a'))).status, 'conflict')
    await scene.store.remove([keyOf('a')])
    assert.equal(await scene.read('a', other), undefined)
    assert.equal((await other.replace(scene.rewrite('a', second))).status, 'gone')
  })

  stage.it('let exactly one of their writers replace one version', async (scene) => {
    const other = await scene.another()
    let version = await scene.create('a')
    for (let round = 0; round < 5; round++) {
      const rivals = [scene.store, other, scene.store, other, scene.store, other]
      const written = await Promise.all(rivals.map((store) => store.replace(scene.rewrite('a', version))))
      const done = written.filter(({ status }) => status === 'done')
      assert.equal(done.length, 1)
      version = versionOf(done[0] as (typeof written)[0])
      assert.equal((await scene.present('a')).version, version)
    }
  })

  stage.it('let exactly one of them create a key', async (scene) => {
    const other = await scene.another()
    for (const id of numbered('key', 5)) {
      const rivals = [scene.store, other, scene.store, other]
      const written = await Promise.all(rivals.map((store) => store.create(scene.draft(id))))
      assert.equal(written.filter(({ status }) => status === 'done').length, 1)
    }
  })

  stage.it('let a store go on when the other is closed', async (scene) => {
    const other = await scene.another()
    const version = await scene.create('a', {}, other)
    await other.close()
    versionOf(await scene.replace('a', version))
  })
}

function testDurability(stage: Stage): void {
  stage.it(
    'holds everything that was acknowledged before, if it says that it survives the process',
    async (scene) => {
      if (!scene.store.capabilities.durable.process) return
      const versions = await scene.createAll(numbered('many', 20), { labels: ['user:ada'] })
      const version = versionOf(
        await scene.replace('many-000', versions.get('many-000') ?? '', { labels: ['user:eve'] }),
      )
      await scene.touch('many-001', versions.get('many-001') ?? '', scene.now + 9 * hour)
      await scene.store.remove([keyOf('many-002')])
      await scene.create('expired', { expiresAt: scene.now })
      const before = await everything(scene)
      await scene.reopen()
      assert.deepEqual(await everything(scene), before)
      const left = ['many-001', ...numbered('many', 20).slice(3)]
      await scene.assertListedIfListing(left, { labels: ['user:ada'] })
      await scene.assertListedIfListing(['many-000'], { labels: ['user:eve'] })
      assert.equal((await scene.replace('many-000', versions.get('many-000') ?? '')).status, 'conflict')
      versionOf(await scene.replace('many-000', version))
      assert.equal((await scene.store.create(scene.draft('many-003'))).status, 'conflict')
      await scene.create('many-002')
    },
  )
}

async function everything(scene: Scene): Promise<unknown[]> {
  const ids = [...numbered('many', 20), 'expired']
  const records = await scene.store.readMany(
    ids.map((id) => keyOf(id)),
    { expired: true },
  )
  return [...records.map(plain), ...idsOf(records.filter((record) => record !== undefined))]
}
