/** No secret gets into an error, an event or anything that is listed: a busy run is searched for each of them. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { parse } from '../../packages/holdfast/src/credentials/credential.ts'
import type { RecordEvent } from '../../packages/holdfast/src/records/events.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { seededPlan, withFaults } from '../../packages/holdfast/src/testing/faults.ts'
import { Tokens } from '../../packages/holdfast/src/tokens/tokens.ts'

describe('secrets', () => {
  it('are in no error, no event and no listing of a run with many faults', async () => {
    const said: unknown[] = []
    const secrets = new Set<string>()
    const clock = fakeClock({ sleeps: 'instant' })
    const rates = { loseAnswer: 0.05, loseRequest: 0.05, fail: 0.05 }
    const driver = withFaults(memoryDriver({ memory: new Memory() }), {
      plan: seededPlan({ seed: 7, rates }),
    })
    const onEvent = (event: RecordEvent): void => void said.push(event)
    const sessions = new Sessions(guard(driver, { clock }), { onEvent, touchEvery: 0, grace: '1m' })
    const tokens = new Tokens(guard(driver, { clock }), { onEvent })
    const learn = (prefix: string, credential: string | undefined): void => {
      const secret = parse(prefix, credential)?.secret
      if (secret) secrets.add(secret)
    }
    const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await work()
      } catch (error) {
        said.push(error)
        return undefined
      }
    }
    for (let i = 0; i < 150; i++) {
      const session = await attempt(() => sessions.start({ user: 'ada', data: { i } }))
      if (!session) continue
      const before = session.credential
      learn('hfs_', before)
      const other = await attempt(() => sessions.load(before))
      await attempt(() => session.rotate())
      learn('hfs_', session.credential)
      await attempt(() => (i % 2 === 0 ? session.login('bob') : session.cycleKey()))
      learn('hfs_', session.credential)
      other?.set('late', i)
      if (other) await attempt(() => other.save())
      clock.advance(61_000)
      await attempt(() => sessions.load(before))
      await attempt(() => sessions.load(`${session.credential}x`))
      said.push(
        await attempt(() => sessions.get(session.id ?? '')),
        await attempt(() => sessions.list({ user: 'bob' })),
      )
      const issued = await attempt(() => tokens.issue({ user: 'ada', name: `n${i % 3}` }))
      learn('hft_', issued?.credential)
      said.push(issued?.token, await attempt(() => tokens.list({ user: 'ada' })))
      if (i % 4 === 0) await attempt(() => tokens.revokeAll({ user: 'ada' }))
      said.push(await attempt(() => tokens.revocations()))
      // What a logger would make of the object itself.
      said.push(session, sessions, tokens)
    }
    const errors = said.filter((each) => each instanceof Error)
    const text = said.map((each) => inspect(each, { depth: 12, showHidden: true })).join('\n')
    assert.ok(errors.length > 50 && secrets.size > 300, `${errors.length} errors, ${secrets.size} secrets`)
    const leaked = [...secrets].filter((secret) => text.includes(secret))
    assert.deepEqual(leaked, [])
    assert.ok(text.includes('late-secret') && text.includes('SessionGone'))
  })
})
