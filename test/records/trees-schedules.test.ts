/** What is derived from a record against the end of that record, in every order. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parentLabel } from '../../packages/holdfast/src/records/trees.ts'
import { derive, drawn, explore, remaining, returned, Scene, thrown } from './scene.ts'

/** The live tokens of ada's. */
async function living(scene: Scene): Promise<readonly string[]> {
  const { tokens } = await scene.tokens().list({ user: 'ada' })
  return tokens.map(({ id }) => id)
}

describe('trees, in every order', () => {
  it('derive | revoke the parent: no child survives, and nobody was given one [races: D1 D2 D3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const { token } = await scene.tokens().issue({ user: 'ada' })
        return {
          tasks: {
            deriver: () => derive(scene.tokenRecords(), token.id),
            owner: () => scene.tokens().revoke(token.id),
          },
          async check(ends) {
            if (ends['deriver']?.status === 'threw') {
              assert.ok(
                ['HOLDFAST_PARENT_GONE', 'HOLDFAST_OUTCOME_UNKNOWN'].includes(ends['deriver'].error.code),
              )
            }
            if (returned(ends['owner']) && ends['deriver']?.status !== 'crashed') {
              assert.deepEqual(await living(scene), [])
            }
          },
        }
      },
      [{}, { crashes: 1 }, { faults: { loseAnswer: 1 } }],
    )
  })

  it('derive | revoke everything of the user: the child is struck as its parent is [races: D3 E2]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const { token } = await scene.tokens().issue({ user: 'ada' })
        return {
          tasks: {
            deriver: () => derive(scene.tokenRecords(), token.id),
            owner: () => scene.tokens().revokeAll({ user: 'ada' }),
          },
          async check(ends) {
            if (returned(ends['owner'])) assert.deepEqual(await living(scene), [])
            if (!returned(ends['deriver'])) return
            // Whoever was given a child got it before the revocation began, or it is dead by now.
            const parent = await scene.tokens().get(token.id)
            if (!parent) assert.deepEqual(await living(scene), [])
          },
        }
      },
      [drawn(), drawn({ crashes: 1 })],
    )
  })

  it('derive | derive from that | revoke the root: the grandchild dies too, bottom-up [races: D1]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const { token } = await scene.tokens().issue({ user: 'ada' })
      const child = await derive(scene.tokenRecords(), token.id)
      return {
        tasks: {
          deriver: () => derive(scene.tokenRecords(), child.record.key.id),
          owner: () => scene.tokens().revoke(token.id),
        },
        async check({ deriver, owner }) {
          assert.ok(returned(owner))
          if (!returned(deriver)) assert.equal(thrown(deriver), 'HOLDFAST_PARENT_GONE')
          assert.deepEqual(await living(scene), [])
          const { records } = await scene
            .store()
            .list('tokens', { labels: [parentLabel(token.id)], expired: true })
          assert.equal(records.length, 0, 'nothing is left half done')
        },
      }
    })
  })

  it('revoke | verify: who revokes is told that it was alive, also where a reader finished it [K12 K57]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const { credential, token } = await scene.tokens().issue({ user: 'ada' })
        return {
          tasks: {
            owner: () => scene.tokens().revoke(token.id),
            reader: () => scene.tokens().verify(credential),
          },
          check(ends) {
            if (ends['owner']?.status === 'returned') assert.equal(ends['owner'].value, true)
          },
        }
      },
      [{}, { crashes: 1 }, { faults: { loseAnswer: 1 } }],
    )
  })

  it('a revocation that stops halfway: refused from its first write on, and finished by whoever meets it', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const { token, credential } = await scene.tokens().issue({ user: 'ada' })
        const child = await derive(scene.tokenRecords(), token.id)
        return {
          tasks: {
            owner: () => scene.tokens().revoke(token.id),
            reader: () => scene.tokens().verify(credential),
          },
          async check() {
            const valid = await scene.tokens().verify(credential)
            if (valid) return
            assert.deepEqual(await living(scene), [])
            const { records } = await scene
              .store()
              .list('tokens', { labels: [parentLabel(token.id)], expired: true })
            assert.deepEqual(records, [], `${child.record.key.id} is dead as well`)
          },
        }
      },
      [drawn({ crashes: 1 })],
    )
  })

  it('a revocation stopped after its mark: what it struck has no more children [races: D3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const { token } = await scene.tokens().issue({ user: 'ada' })
        return {
          tasks: { owner: () => scene.tokens().revokeAll({ user: 'ada' }) },
          async check() {
            const struck = (await scene.tokens().get(token.id)) === undefined
            // The child's owner is another, so that only its parent is struck by the mark on ada's.
            const outcome = await derive(scene.tokenRecords(), token.id, 'bob').then(
              () => 'derived',
              (error: unknown) => (error as { code?: string }).code,
            )
            assert.equal(outcome, struck ? 'HOLDFAST_PARENT_GONE' : 'derived')
            if (struck) assert.equal(await remaining(scene, 'tokens', 'user:bob'), 0)
          },
        }
      },
      [{ crashes: 1 }],
    )
  })
})
