/** The circuit in front of a store that is down. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Fault } from 'holdfast/testing'
import { NotSupported, StoreFull, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { draft, guarded, key, quiet, sent } from './guarded.ts'

interface Troubled extends ReturnType<typeof guarded> {
  readonly state: { fault: Fault | undefined }
  /** Reads once, and answers whether the driver was asked and what came of it. */
  readonly read: () => Promise<readonly [asked: boolean, error: unknown]>
  /** Fails until the store is left alone. */
  readonly down: () => Promise<void>
}

/** A store whose reads suffer whatever `state.fault` is at the moment. */
function troubled(): Troubled {
  const state: { fault: Fault | undefined } = { fault: undefined }
  const scene = guarded({ plan: ({ operation }) => (operation === 'open' ? undefined : state.fault) })
  const read = async (): Promise<readonly [boolean, unknown]> => {
    const before = sent(scene.driver).length
    let error: unknown
    try {
      await scene.store.read(key)
    } catch (thrown) {
      error = thrown
    }
    return [sent(scene.driver).length > before, error]
  }
  const down = async (): Promise<void> => {
    state.fault = 'fail'
    for (let i = 0; i < 5; i++) {
      await read()
      scene.clock.advance(300)
    }
  }
  return { ...scene, state, read, down }
}

describe('the circuit', () => {
  it('is closed in good times', async () => {
    const { store, read } = troubled()
    assert.deepEqual(await read(), [true, undefined])
    assert.deepEqual(store.figures().circuit, { state: 'closed', opened: 0, refused: 0 })
  })

  it('stays closed when a moment fails many calls: a cut connection is often back at once', async () => {
    const { store, state, read } = troubled()
    state.fault = 'loseAnswer'
    for (let i = 0; i < 50; i++) assert.ok((await read())[0])
    assert.equal(store.figures().circuit.state, 'closed')
    state.fault = undefined
    assert.deepEqual(await read(), [true, undefined])
  })

  it('opens when nothing has succeeded for a second, and then refuses without asking', async () => {
    const scene = troubled()
    await scene.down()
    const [asked, error] = await scene.read()
    assert.equal(asked, true, 'the pause was over: this one tried the store')
    assert.ok(error instanceof StoreUnavailable)
    const [askedAgain, refusal] = await scene.read()
    assert.equal(askedAgain, false)
    assert.ok(refusal instanceof StoreUnavailable)
    assert.match(refusal.message, /was not asked, because it is down \(.*\); it is tried again in 200 ms/)
    assert.deepEqual(scene.store.figures().circuit, { state: 'open', opened: 1, refused: 1 })
  })

  it('refuses writes as definite failures: nothing was sent', async () => {
    const scene = troubled()
    await scene.down()
    await scene.read()
    const before = sent(scene.driver).length
    await assert.rejects(scene.store.create(draft), StoreUnavailable)
    assert.equal(sent(scene.driver).length, before)
  })

  it('lets one call try the store, and goes on when it is answered', async () => {
    const scene = troubled()
    await scene.down()
    scene.clock.advance(2_000)
    scene.state.fault = 'hang'
    const trying = scene.read()
    await quiet()
    assert.equal(scene.store.figures().circuit.state, 'half-open')
    const [asked, refusal] = await scene.read()
    assert.equal(asked, false)
    assert.match(String(refusal), /it is being tried at this moment/)
    scene.clock.advance(5_000)
    await trying
    assert.equal(scene.store.figures().circuit.state, 'open')
    scene.state.fault = undefined
    scene.clock.advance(2_000)
    assert.deepEqual(await scene.read(), [true, undefined])
    assert.deepEqual(await scene.read(), [true, undefined])
    assert.equal(scene.store.figures().circuit.state, 'closed')
  })

  it('never waits longer than two seconds before it tries again', async () => {
    const scene = troubled()
    await scene.down()
    for (let i = 0; i < 20; i++) {
      scene.clock.advance(2_000)
      assert.ok((await scene.read())[0], 'it was tried')
    }
  })

  it('takes an answer that is an error for an answer', async () => {
    const scene = troubled()
    for (const fault of [new StoreFull('full'), new NotSupported('no', 'listing')]) {
      scene.state.fault = fault
      for (let i = 0; i < 10; i++) {
        assert.ok((await scene.read())[0])
        scene.clock.advance(1_000)
      }
    }
    assert.equal(scene.store.figures().circuit.opened, 0)
  })

  it('learns nothing from callers who gave up', async () => {
    const scene = troubled()
    scene.state.fault = 'hang'
    for (let i = 0; i < 10; i++) {
      const giveUp = new AbortController()
      const reading = scene.store.read(key, { signal: giveUp.signal })
      await quiet()
      giveUp.abort(new Error('no longer needed'))
      await assert.rejects(Promise.resolve(reading), /no longer needed/)
      scene.clock.advance(1_000)
    }
    assert.equal(scene.store.figures().circuit.opened, 0)
  })
})
