import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { longestTimer, systemClock } from '../packages/holdfast/src/clock.ts'

describe('systemClock', () => {
  it('tells the time in whole milliseconds, in every time zone the same [K27 T25]', () => {
    const before = Date.now()
    const now = systemClock.now()
    assert.ok(now >= before && now <= Date.now())
    assert.ok(Number.isSafeInteger(now))
    const module = new URL('../packages/holdfast/src/clock.ts', import.meta.url).href
    const script = `import(${JSON.stringify(module)}).then(({ systemClock }) => console.log(systemClock.now()))`
    for (const TZ of ['Pacific/Pago_Pago', 'Pacific/Kiritimati']) {
      const args = [...process.execArgv.filter((each) => !each.startsWith('--test')), '-e', script]
      const { stdout } = spawnSync(process.execPath, args, { env: { ...process.env, TZ }, encoding: 'utf8' })
      const told = Number(stdout)
      assert.ok(told >= now && told <= Date.now(), `${TZ}: ${stdout}`)
    }
  })

  it('measures without going back', () => {
    const first = systemClock.elapsed()
    assert.ok(systemClock.elapsed() >= first)
  })

  it('sleeps, until it is woken by a signal', async () => {
    const start = systemClock.elapsed()
    await systemClock.sleep(20)
    // A timer of Node.js may be a millisecond early.
    assert.ok(systemClock.elapsed() - start >= 19)
    await systemClock.sleep(0)
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(systemClock.sleep(60_000, { signal }))
    const controller = new AbortController()
    const sleeping = systemClock.sleep(60_000, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await assert.rejects(sleeping)
  })

  it('rejects an aborted sleep with the reason of the signal', async () => {
    const reason = new Error('enough')
    await assert.rejects(
      systemClock.sleep(60_000, { signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    )
  })

  it('calls back once, unless that is cancelled', async () => {
    let calls = 0
    systemClock.timer(1, () => calls++)
    systemClock.timer(1, () => calls++)()
    await systemClock.sleep(20)
    assert.equal(calls, 1)
  })

  it('never fires at once what is too far away for a timer', async () => {
    let calls = 0
    const cancel = systemClock.timer(longestTimer + 1, () => calls++)
    const controller = new AbortController()
    const sleeping = systemClock.sleep(longestTimer * 2, { signal: controller.signal }).then(
      () => calls++,
      () => undefined,
    )
    await systemClock.sleep(10)
    assert.equal(calls, 0)
    cancel()
    controller.abort()
    await sleeping
  })
})
