/** What the session object promises, in every order in which two requests can meet in the store. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Client } from '../../packages/holdfast/src/sessions/facts.ts'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import type { SessionSchema } from '../../packages/holdfast/src/sessions/schema.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { everyFault, everyLoss, explore, opens, returned, Scene, thrown } from '../records/scene.ts'

const minute = 60_000
const home: Client = { address: '192.0.2.7' }
const away: Client = { address: '198.51.100.7' }

describe('the session object, in every order', () => {
  it('rotate by binding ends the thief or the owner, never both and never neither', async (t) => {
    const options: SessionsOptions = { binding: { address: { match: 'exact', policy: 'rotate' } } }
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const started = await scene.sessions(options).start({ user: 'ada', client: home })
        const carried: Record<string, string | undefined> = {}
        const request = (name: string, client: Client) => async () => {
          const session = await scene.sessions(options).load(started.credential, { client })
          carried[name] = session.isNew ? undefined : session.credential
          if (!session.isNew) {
            session.set(name, 1)
            await session.save().catch((error: unknown) => {
              carried[name] = undefined
              throw error
            })
          }
        }
        return {
          tasks: { owner: request('owner', home), thief: request('thief', away) },
          async check({ owner, thief }) {
            const [mine, theirs] = await Promise.all([
              opens(scene, carried['owner']),
              opens(scene, carried['thief']),
            ])
            assert.ok(!(mine && theirs), 'both go on')
            if (returned(owner) && returned(thief)) assert.ok(mine || theirs, 'both were ended')
            for (const end of [owner, thief]) {
              if (thrown(end)) assert.equal(thrown(end), 'HOLDFAST_SESSION_GONE')
            }
          },
        }
      },
      [{}],
    )
  })

  it('a shortened expiry is not undone by a touch or a save of another request', async (t) => {
    const options: SessionsOptions = { idle: '1h', touchEvery: 0 }
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const one = await scene.sessions(options).start({ data: { a: 1 } })
        const { credential } = one
        const two = await scene.sessions(options).load(credential)
        one.setExpiry('1m')
        two.set('b', 1)
        return {
          tasks: {
            shortens: () => one.save(),
            touches: async () => {
              await scene.sessions(options).load(credential)
            },
            saves: () => two.save(),
          },
          async check({ shortens, saves }) {
            const session = await scene.sessions(options).load(credential, { keepAlive: false })
            if (returned(shortens)) {
              assert.equal(session.expiryAge(), 60_000)
              assert.ok(Number(session.expiresAt) <= world.clock.now() + 60_000, 'it lives longer')
            }
            if (returned(saves)) assert.equal(session.get('b'), 1)
          },
        }
      },
      [{}, { crashes: 1 }, { faults: { loseAnswer: 1 } }],
    )
  })

  it('what is written without prolonging does not undo that another request does', async (t) => {
    const options: SessionsOptions = { idle: '30m' }
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const started = await scene.sessions(options).start({ data: { a: 1 } })
        const { credential } = started
        await world.clock.sleep(20 * minute)
        const still = { keepAlive: false }
        const poll = await scene.sessions(options).load(credential, still)
        const other = await scene.sessions(options).load(credential, still)
        poll.set('b', 1)
        return {
          tasks: {
            uses: async () => {
              const session = await scene.sessions(options).load(credential)
              assert.equal(session.isNew, false)
            },
            saves: () => poll.save(),
            rotates: () => other.rotate(),
          },
          async check({ uses }) {
            assert.ok(returned(uses))
            const session = await scene.sessions(options).load(credential, still)
            assert.ok(Number(session.expiresAt) >= world.clock.now() + 30 * minute, 'it was used just now')
          },
        }
      },
      [{}],
    )
  })

  it('a migration and a change of an older release: nothing is lost', async (t) => {
    const schema: SessionSchema<{ n?: number; items?: string[] }> = {
      '~standard': {
        version: 1,
        vendor: 'own',
        validate: (value) => {
          const { item, ...rest } = value as { item?: string; n?: number; items?: string[] }
          return { value: item === undefined ? rest : { ...rest, items: [item] } }
        },
      },
    }
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const started = await scene.sessions().start({ data: { item: 'one' } })
        const older = await scene.sessions().load(started.credential)
        older.set('n', 1)
        const newer = (): Sessions<{ n?: number; items?: string[] }> =>
          new Sessions(scene.store(), { schema })
        return {
          tasks: {
            reads: async () => {
              const session = await newer().load(started.credential)
              assert.deepEqual(session.get('items'), ['one'])
            },
            saves: () => older.save(),
          },
          async check({ saves }) {
            const { data } = await newer().load(started.credential)
            assert.deepEqual(data.items, ['one'])
            if (returned(saves)) assert.equal(data.n, 1)
          },
        }
      },
      [{}, ...everyFault],
    )
  })

  it('messages that are left while others are taken: none is lost, and none that was taken comes back', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const started = await scene.sessions().start()
        started.flash('info', 'old')
        await started.save()
        const [taker, adder] = [
          await scene.sessions().load(started.credential),
          await scene.sessions().load(started.credential),
        ]
        taker.takeFlashes()
        adder.flash('info', 'new')
        return {
          tasks: { takes: () => taker.save(), adds: () => adder.save() },
          async check({ takes, adds }) {
            const values = (await scene.sessions().load(started.credential))
              .takeFlashes()
              .map(({ value }) => value)
            if (returned(takes)) assert.ok(!values.includes('old'))
            if (returned(adds)) assert.ok(values.includes('new'))
          },
        }
      },
      [{}, ...everyLoss],
    )
  })

  it('a step-up and a rotation: whoever was answered first, no secret from before the step-up is left', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const started = await scene.sessions().start({ user: 'ada' })
        const { credential: old } = started
        const [one, two] = [await scene.sessions().load(old), await scene.sessions().load(old)]
        return {
          tasks: { steps: () => one.stepUp('otp'), rotates: () => two.rotate() },
          async check({ steps, rotates }) {
            if (!returned(steps)) return
            assert.equal(await opens(scene, old), false)
            assert.equal(await opens(scene, one.credential), true)
            if (thrown(rotates)) assert.equal(thrown(rotates), 'HOLDFAST_SESSION_GONE')
            // Rotated before, and not told of the step-up: its secret has ended.
            else assert.equal(await opens(scene, two.credential), two.credential === one.credential)
          },
        }
      },
      [{}, { crashes: 1 }, { faults: { loseAnswer: 1 } }],
    )
  })
})
