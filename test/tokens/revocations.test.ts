/** The revocation list, for those who check tokens without asking. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Memory, memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { processMemory, tiered } from '../../packages/holdfast/src/store/tiers/tiered.ts'
import type { Revocation } from '../../packages/holdfast/src/tokens/revocations.ts'
import { Tokens } from '../../packages/holdfast/src/tokens/tokens.ts'
import { day, hour, Stage } from './stage.ts'

/** All pages. */
async function all(
  { tokens }: Stage,
  options: { readonly since?: number; readonly limit?: number } = {},
): Promise<readonly Revocation[]> {
  const found: Revocation[] = []
  let after: string | undefined
  do {
    const page = await tokens.revocations({ ...options, ...(after === undefined ? {} : { after }) })
    found.push(...page.revocations)
    after = page.next
  } while (after !== undefined)
  return found
}

describe('the revocation list', () => {
  it('has what was revoked, with its own expiry, and nothing else [K20 K39 K57]', async () => {
    const stage = new Stage()
    const { clock, tokens } = stage
    assert.deepEqual(await all(stage), [])
    const { token } = await tokens.issue({
      user: 'ada',
      expiresIn: '2h',
      name: 'laptop',
      labels: ['tenant:t1'],
    })
    await tokens.issue({ user: 'ada' })
    clock.advance(1_000)
    const revokedAt = clock.now()
    await tokens.revoke(token.id)
    const [entry, ...others] = await all(stage)
    assert.deepEqual(others, [])
    assert.deepEqual(entry, {
      id: token.id,
      user: 'ada',
      revokedAt,
      expiresAt: token.expiresAt,
      why: 'revoked',
    })
    const record = (await stage.records()).find(({ key }) => key.id === token.id)
    assert.deepEqual(record?.labels, [
      `revoked:${new Date(revokedAt).toISOString().slice(0, 13)}`,
      'state:revoked',
    ])
    assert.ok(record.value.length < 250)
  })

  it('is read from the truth each time: no memo of it is ever behind, in no process and under no caches [K18 K19]', async () => {
    const stage = new Stage()
    const { clock } = stage
    const cache = new Memory({ cache: true })
    const process = (): Tokens => {
      const truth = guard(stage.driver, { clock })
      return new Tokens(tiered(processMemory(), tiered(memoryStore({ memory: cache, clock }), truth)))
    }
    const [one, two] = [process(), process()]
    const first = await one.issue({ user: 'ada' })
    const second = await one.issue({ user: 'ada' })
    const idsIn = async (tokens: Tokens): Promise<readonly string[]> =>
      (await tokens.revocations()).revocations.map(({ id }) => id)
    await one.revoke(first.token.id)
    assert.deepEqual([await idsIn(one), await idsIn(two)], [[first.token.id], [first.token.id]])
    await two.revoke(second.token.id)
    const both = [first.token.id, second.token.id].toSorted()
    assert.deepEqual([await idsIn(one), await idsIn(two)], [both, both])
    // Past the rules, at the driver.
    await stage.store.remove([{ collection: 'tokens', id: first.token.id }])
    assert.deepEqual([await idsIn(one), await idsIn(two)], [[second.token.id], [second.token.id]])
  })

  it('leaves out what would have expired by now, without waiting for a write [K41 K44]', async () => {
    const stage = new Stage()
    const short = await stage.tokens.issue({ user: 'ada', expiresIn: '1h' })
    const long = await stage.tokens.issue({ user: 'ada', expiresIn: '3h' })
    const over = await stage.tokens.issue({ user: 'ada', expiresIn: '1m' })
    stage.clock.advance(60_000)
    assert.equal(await stage.tokens.revoke(over.token.id), false)
    await stage.tokens.revokeAll({ user: 'ada' })
    const ids = async (): Promise<readonly string[]> => (await all(stage)).map(({ id }) => id).toSorted()
    assert.deepEqual(await ids(), [short.token.id, long.token.id].toSorted())
    stage.clock.advance(hour - 60_000 - 1)
    assert.equal((await ids()).length, 2)
    stage.clock.advance(1)
    assert.deepEqual(await ids(), [long.token.id])
    stage.clock.advance(2 * hour)
    assert.deepEqual(await ids(), [])
  })

  it('keeps what never expires for the retention', async () => {
    const stage = new Stage({ retention: '90d' })
    const { token } = await stage.tokens.issue({ user: 'ada', expiresIn: 'never' })
    await stage.tokens.revoke(token.id)
    stage.clock.advance(90 * day - 1)
    assert.equal((await all(stage)).length, 1)
    assert.equal((await all(stage, { since: 0 })).length, 1)
    stage.clock.advance(1)
    assert.deepEqual(await all(stage), [])
    stage.clock.advance(hour)
    assert.equal((await stage.store.sweep()).removed.length, 1)
    assert.equal(await stage.tokens.get(token.id), undefined)
  })

  it('since a point: everything after it, and little from before', async () => {
    const stage = new Stage()
    const revoked: { readonly id: string; readonly at: number }[] = []
    for (let i = 0; i < 30; i++) {
      const { token } = await stage.tokens.issue({ user: 'ada', expiresIn: '60d' })
      await stage.tokens.revoke(token.id)
      revoked.push({ id: token.id, at: stage.clock.now() })
      stage.clock.advance(7 * hour + 1_234)
    }
    for (const since of [0, revoked[3]!.at, revoked[17]!.at, revoked[17]!.at + 1, stage.clock.now()]) {
      const found = await all(stage, { since, limit: 2 })
      const ids = found.map(({ id }) => id)
      assert.equal(new Set(ids).size, ids.length, 'each once')
      const wanted = revoked.filter(({ at }) => at >= since)
      for (const { id } of wanted) assert.ok(ids.includes(id))
      for (const { revokedAt } of found) assert.ok(revokedAt >= since - hour)
    }
    assert.equal((await all(stage, { limit: 4 })).length, 30)
  })

  it('refuses what is no point in time and no cursor', async () => {
    const { tokens } = new Stage()
    for (const since of [Number.NaN, 1.5, Infinity]) {
      await assert.rejects(tokens.revocations({ since }), { code: 'HOLDFAST_INVALID_OPTION' })
    }
    await assert.rejects(tokens.revocations({ since: 1, after: 'rubbish' }), {
      code: 'HOLDFAST_INVALID_CURSOR',
    })
  })
})

describe('tokens behind caches without a feed', () => {
  /** Processes with a memory of their own over a store that tells of no changes. */
  class Processes {
    readonly stage = new Stage({}, { watch: false, shared: true })

    one(): Tokens {
      return new Tokens(tiered(processMemory(), guard(this.stage.driver, { clock: this.stage.clock })))
    }

    /** How often the store was read. */
    get reads(): number {
      return this.stage.driver.calls.filter(({ operation }) => operation === 'read').length
    }
  }

  it('are verified without asking the store each time, marks included', async () => {
    const processes = new Processes()
    const tokens = processes.one()
    const { credential } = await tokens.issue({ user: 'ada' })
    // At first it isn't known whether the store has a feed.
    for (let i = 0; i < 2; i++) assert.ok(await tokens.verify(credential))
    const before = processes.reads
    for (let i = 0; i < 100; i++) assert.ok(await tokens.verify(credential))
    assert.equal(processes.reads, before)
  })

  it('are refused everywhere once everything of their user was said to be revoked [C31]', async () => {
    const processes = new Processes()
    const [one, two] = [processes.one(), processes.one()]
    const { credential } = await one.issue({ user: 'ada' })
    assert.ok(await two.verify(credential))
    const began = processes.stage.clock.elapsed()
    assert.equal((await one.revokeAll({ user: 'ada' })).length, 1)
    assert.equal(await two.verify(credential), undefined)
    assert.ok(processes.stage.clock.elapsed() - began >= 250)
  })

  it('that somebody revoked without telling the caches are waited for by who finds nothing left [K11]', async () => {
    const processes = new Processes()
    const [one, two] = [processes.one(), processes.one()]
    const { credential, token } = await one.issue({ user: 'ada' })
    assert.ok(await two.verify(credential))
    // Without tiers, and so like a process that dies before it tells them.
    assert.equal(await processes.stage.tokens.revoke(token.id), true)
    assert.deepEqual(await one.revokeAll({ user: 'ada' }), [])
    assert.equal(await two.verify(credential), undefined)
  })
})
