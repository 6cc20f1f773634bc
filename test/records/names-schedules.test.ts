/** Unique names: two who want one, crashes between the steps, a holder that dies, in every order. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { World } from '../../packages/holdfast/src/testing/schedule.ts'
import { drawn, explore, returned, Scene, thrown } from './scene.ts'

const wanted = { user: 'ada', name: 'laptop', expiresIn: '1h' } as const

/** How many live tokens of ada's have the name. */
async function holders(scene: Scene): Promise<number> {
  const { tokens } = await scene.tokens().list({ user: 'ada' })
  return tokens.filter(({ name }) => name === 'laptop').length
}

const stores = [
  { kind: 'with atomic batches', declare: { atomicBatch: true } },
  { kind: 'without atomic batches', declare: { atomicBatch: false } },
] as const

for (const { kind, declare } of stores) {
  describe(`unique names on a store ${kind}, in every order`, () => {
    const set = (world: World): Scene => new Scene(world, { declare })

    it('issue | issue under one name: one has it, the other is told [G36]', async (t) => {
      await explore(
        t,
        async (world) => {
          const scene = set(world)
          return {
            tasks: { one: () => scene.tokens().issue(wanted), two: () => scene.tokens().issue(wanted) },
            async check({ one, two }) {
              assert.ok((await holders(scene)) <= 1, 'a name has one holder')
              assert.ok(!(returned(one) && returned(two)))
              for (const end of [one, two]) {
                const code = thrown(end)
                if (code) assert.ok(['HOLDFAST_NAME_TAKEN', 'HOLDFAST_OUTCOME_UNKNOWN'].includes(code), code)
              }
              if (returned(one) || returned(two)) assert.equal(await holders(scene), 1)
            },
          }
        },
        [{}, { crashes: 1 }, { faults: { loseAnswer: 1 } }, { faults: { loseRequest: 1 } }],
      )
    })

    it('issue, stopped anywhere: a minute later the name is free, and has one holder at most', async (t) => {
      await explore(
        t,
        async (world) => {
          const scene = set(world)
          return {
            tasks: {
              one: () => scene.tokens().issue(wanted),
              two: async () => {
                await world.clock.sleep(61_000)
                return await scene.tokens().issue(wanted)
              },
            },
            async check({ one, two }) {
              const held = await holders(scene)
              assert.ok(held <= 1, 'a name has one holder')
              if (returned(one) || returned(two)) assert.equal(held, 1)
              if (thrown(two) !== undefined) assert.equal(thrown(two), 'HOLDFAST_NAME_TAKEN')
              if (one?.status === 'crashed' || two?.status === 'crashed' || held === 1) return
              // The first could not be checked in time and took itself back, when the second had met it already.
              assert.equal(thrown(one), 'HOLDFAST_DEADLINE_EXCEEDED')
              await scene.tokens().issue(wanted)
            },
          }
        },
        [{}, drawn({ crashes: 1 })],
      )
    })

    it('revoke the holder | issue: one holder at most, and afterwards nothing is in the way [races: 3 names]', async (t) => {
      await explore(
        t,
        async (world) => {
          const scene = set(world)
          const { token } = await scene.tokens().issue(wanted)
          return {
            tasks: {
              owner: () => scene.tokens().revoke(token.id),
              claimant: () => scene.tokens().issue(wanted),
            },
            async check({ owner, claimant }) {
              assert.equal(await scene.tokens().get(token.id), undefined)
              assert.ok(returned(owner))
              assert.equal(await holders(scene), returned(claimant) ? 1 : 0)
              if (!returned(claimant)) assert.equal(thrown(claimant), 'HOLDFAST_NAME_TAKEN')
              if (!returned(claimant)) await scene.tokens().issue(wanted)
            },
          }
        },
        [{}],
      )
    })

    it('issue | revoke everything of the user: neither the token nor its name is left', async (t) => {
      await explore(
        t,
        async (world) => {
          const scene = set(world)
          return {
            tasks: {
              issuer: () => scene.tokens().issue(wanted),
              owner: () => scene.tokens().revokeAll({ user: 'ada' }),
            },
            async check({ issuer, owner }) {
              if (returned(owner) && issuer?.status === 'threw') assert.equal(await holders(scene), 0)
              if ((await holders(scene)) === 0) {
                await world.clock.sleep(61_000)
                await scene.tokens().issue(wanted)
              }
            },
          }
        },
        [{}, drawn({ crashes: 1 })],
      )
    })
  })
}
