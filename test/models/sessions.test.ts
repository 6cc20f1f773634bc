/** Random sequences of everything that can be done to sessions, on several stores, with faults. */

import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { redisDriver } from '../../packages/holdfast/src/drivers/redis.ts'
import { sqliteDriver } from '../../packages/holdfast/src/drivers/sqlite.ts'
import { clear, connected, freshNamespace, targets } from '../drivers/redis/targets.ts'
import { kinds, SessionModel, type Step } from './session-model.ts'

const long = process.env['HOLDFAST_TEST_LONG'] === '1'
const faults = ['loseAnswer', 'loseRequest', 'late', 'fail'] as const

const fault = fc.record({ at: fc.nat({ max: 5 }), fault: fc.constantFrom(...faults) })
const number = fc.nat({ max: 41 })
const calm: fc.Arbitrary<Step> = fc.record({ kind: fc.constantFrom(...kinds), which: number, how: number })
const stormy: fc.Arbitrary<Step> = fc.record(
  { kind: fc.constantFrom(...kinds), which: number, how: number, fault },
  { requiredKeys: ['kind', 'which', 'how'] },
)
const first: Step = { kind: 'start', which: 1, how: 1 }

/** Does all the steps of a sequence, with a model that has seen nothing. */
async function play(make: () => SessionModel, steps: readonly Step[]): Promise<void> {
  const model = make()
  for (const step of [first, ...steps]) await model.take(step)
}

async function check(make: () => SessionModel, steps: fc.Arbitrary<Step>, runs: number): Promise<void> {
  const sequences = fc.array(steps, { minLength: 5, maxLength: 60, size: 'max' })
  await fc.assert(
    fc.asyncProperty(sequences, (sequence) => play(make, sequence)),
    { numRuns: long ? runs * 20 : runs, seed: long ? Date.now() : 20_261_121, endOnFailure: false },
  )
}

describe('sessions, whatever is done to them', () => {
  const memory = (): SessionModel => new SessionModel(memoryDriver({ memory: new Memory() }))
  const sqlite = (): SessionModel => new SessionModel(sqliteDriver(new DatabaseSync(':memory:')))

  it('keep their promises in memory', () => check(memory, calm, 400))
  it('keep their promises in memory, with faults', () => check(memory, stormy, 800))
  it('keep their promises on SQLite, with faults', () => check(sqlite, stormy, 60))

  for (const { name, urls, skip } of targets) {
    it(`keep their promises on Redis, ${name}, with faults`, { skip }, async () => {
      const client = await connected(urls)
      const used: string[] = []
      const redis = (): SessionModel => {
        const namespace = freshNamespace()
        used.push(namespace)
        return new SessionModel(redisDriver(client, { namespace }), namespace)
      }
      try {
        await check(redis, stormy, 8)
      } finally {
        for (const namespace of used) await clear(client, namespace)
        client.destroy()
      }
      assert.ok(used.length > 0)
    })
  }
})
