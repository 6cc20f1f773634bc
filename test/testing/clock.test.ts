import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'

describe('fakeClock', () => {
  it('stands still until it is moved', async () => {
    const clock = fakeClock({ start: 1_000 })
    await setImmediate()
    assert.equal(clock.now(), 1_000)
    assert.equal(clock.elapsed(), 0)
    clock.advance(250)
    assert.equal(clock.now(), 1_250)
    assert.equal(clock.elapsed(), 250)
  })

  it('fires what falls due in the order of time, each at its own time', () => {
    const clock = fakeClock({ start: 0 })
    const fired: string[] = []
    const at = (ms: number, name: string) => clock.timer(ms, () => fired.push(`${name} ${clock.now()}`))
    at(30, 'c')
    at(10, 'a')
    const cancel = at(15, 'cancelled')
    at(10, 'b')
    at(31, 'late')
    cancel()
    clock.advance(30)
    assert.deepEqual(fired, ['a 10', 'b 10', 'c 30'])
    clock.advance(1)
    assert.deepEqual(fired, ['a 10', 'b 10', 'c 30', 'late 31'])
  })

  it('fires timers that timers set, within the same step when they fall due in it', () => {
    const clock = fakeClock({ start: 0 })
    const fired: number[] = []
    const again = (): void => {
      fired.push(clock.now())
      clock.timer(10, again)
    }
    clock.timer(10, again)
    clock.advance(35)
    assert.deepEqual(fired, [10, 20, 30])
    assert.equal(clock.now(), 35)
  })

  it('ends a sleep when it is advanced past it, and not before', async () => {
    const clock = fakeClock()
    let awake = false
    const sleeping = clock.sleep(100).then(() => (awake = true))
    clock.advance(99)
    await setImmediate()
    assert.equal(awake, false)
    clock.advance(1)
    await sleeping
    assert.equal(awake, true)
  })

  it('rejects a sleep with the reason of the signal, before and during it', async () => {
    for (const sleeps of ['manual', 'instant'] as const) {
      const clock = fakeClock({ sleeps })
      const reason = new Error('enough')
      const controller = new AbortController()
      const sleeping = clock.sleep(100, { signal: controller.signal })
      controller.abort(reason)
      await assert.rejects(sleeping, reason)
      await assert.rejects(clock.sleep(100, { signal: controller.signal }), reason)
      await setImmediate()
      assert.equal(clock.elapsed(), 0)
    }
  })

  it('lets sleeps pass by themselves when asked to, and the time with them', async () => {
    const clock = fakeClock({ start: 0, sleeps: 'instant' })
    const fired: number[] = []
    clock.timer(60, () => fired.push(clock.now()))
    await clock.sleep(50)
    await clock.sleep(50)
    assert.equal(clock.now(), 100)
    assert.deepEqual(fired, [60])
  })

  it('sets the wall clock, also back, unnoticed by timers and elapsed time', () => {
    const clock = fakeClock({ start: 1_000 })
    const fired: number[] = []
    clock.timer(10, () => fired.push(clock.now()))
    clock.advance(5)
    clock.set(500)
    assert.equal(clock.now(), 500)
    assert.equal(clock.elapsed(), 5)
    assert.deepEqual(fired, [])
    clock.advance(5)
    assert.deepEqual(fired, [505])
  })

  it('takes whole milliseconds only, and never goes back by advancing', () => {
    const clock = fakeClock()
    for (const ms of [-1, 1.5, Number.NaN]) assert.throws(() => clock.advance(ms), TypeError)
    assert.throws(() => clock.set(-1), TypeError)
    assert.throws(() => fakeClock({ start: 0.5 }), TypeError)
  })
})
