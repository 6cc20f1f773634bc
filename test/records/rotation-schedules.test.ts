/** Rotation against everything that can happen at the same time, in every order. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { everyFault, everyLoss, explore, opens, returned, Scene, thrown } from './scene.ts'

/** A session of ada's, and its credential. */
async function started(scene: Scene, data: Readonly<Record<string, number>> = {}): Promise<string> {
  const session = await scene.sessions().start({ user: 'ada', data })
  assert.ok(session.credential)
  return session.credential
}

/** Loads, rotates, and tells the credential that the client would have got. */
async function rotates(scene: Scene, credential: string, told: string[]): Promise<void> {
  const session = await scene.sessions().load(credential)
  await session.rotate()
  if (session.credential) told.push(session.credential)
}

async function saves(scene: Scene, credential: string, name: string): Promise<boolean> {
  const session = await scene.sessions().load(credential)
  if (session.isNew) return false
  session.set(name, 1)
  await session.save()
  return true
}

describe('rotation, in every order', () => {
  it('rotate | log out everywhere: no secret survives [races: A1]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const credential = await started(scene)
      const told: string[] = []
      return {
        tasks: {
          thief: () => rotates(scene, credential, told),
          owner: () => scene.sessions().revoke({ user: 'ada' }),
        },
        async check() {
          for (const each of [credential, ...told]) assert.equal(await opens(scene, each), false)
        },
      }
    })
  })

  it('rotate | log out everywhere, page by page: nothing hides behind the cursor [races: E1]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world, { page: 1 })
      const credentials = [await started(scene), await started(scene)]
      const told: string[] = []
      return {
        tasks: {
          thief: () => rotates(scene, credentials[0]!, told),
          owner: () => scene.sessions().revoke({ user: 'ada' }),
        },
        async check() {
          for (const each of [...credentials, ...told]) assert.equal(await opens(scene, each), false)
        },
      }
    })
  })

  it('rotate | log out with the old cookie: logged out [races: A2]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const credential = await started(scene)
      const told: string[] = []
      return {
        tasks: {
          'tab 1': () => rotates(scene, credential, told),
          'tab 2': () => scene.sessions().logout(credential),
        },
        async check(ends) {
          assert.deepEqual(ends['tab 2'], { status: 'returned', value: true })
          for (const each of [credential, ...told]) assert.equal(await opens(scene, each), false)
        },
      }
    })
  })

  it('rotate | save: the change is kept, by whichever secret it is looked for [races: A3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const credential = await started(scene)
        const told: string[] = []
        return {
          tasks: {
            rotator: () => rotates(scene, credential, told),
            saver: () => saves(scene, credential, 'changed'),
          },
          async check(ends) {
            assert.ok(returned(ends['rotator']) && returned(ends['saver']))
            for (const each of [credential, ...told]) {
              assert.equal((await scene.sessions().load(each)).get('changed'), 1)
            }
          },
        }
      },
      everyLoss,
    )
  })

  it('rotate | touch: what was rotated away is not prolonged [races: A4]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const options = { touchEvery: 0, grace: '1m', graceCap: '10m' } as const
      const begun = await scene.sessions(options).start({ user: 'ada' })
      const credential = begun.credential!
      await world.clock.sleep(1_000)
      const told: string[] = []
      return {
        tasks: {
          rotator: async () => {
            const session = await scene.sessions(options).load(credential)
            await session.rotate()
            told.push(session.credential!)
          },
          reader: () => scene.sessions(options).load(credential),
        },
        async check(ends) {
          assert.ok(returned(ends['rotator']) && returned(ends['reader']))
          assert.equal((await scene.sessions(options).load(told[0])).isNew, false)
          await world.clock.sleep(60_000)
          assert.equal((await scene.sessions(options).load(credential)).isNew, true)
          assert.equal((await scene.sessions(options).load(told[0])).isNew, false)
        },
      }
    })
  })

  it('rotate, and crash anywhere: the client gets in, and there is one session [races: A5]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const credential = await started(scene, { kept: 1 })
        return {
          tasks: {
            rotator: () => rotates(scene, credential, []),
            reader: () => scene.sessions().load(credential),
          },
          async check() {
            const sessions = scene.sessions()
            assert.equal((await sessions.list({ user: 'ada' })).sessions.length, 1)
            assert.equal((await sessions.load(credential)).get('kept'), 1)
          },
        }
      },
      everyFault,
    )
  })

  it('a lost answer costs nothing: the old secret finds the new one long after the grace window [races: lost response]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const options = { grace: '1m', graceCap: '1d', idle: '2d', absolute: '3d' } as const
        const credential = (await scene.sessions(options).start({ user: 'ada' })).credential!
        return {
          tasks: {
            // The answers of both never reach the client.
            'request 1': async () => (await scene.sessions(options).load(credential)).rotate(),
            'request 2': async () => (await scene.sessions(options).load(credential)).rotate(),
          },
          async check() {
            await world.clock.sleep(3_600_000)
            const again = await scene.sessions(options).load(credential)
            assert.equal(again.isNew, false)
            assert.notEqual(again.credential, credential)
            assert.equal((await scene.sessions(options).load(again.credential)).isNew, false)
          },
        }
      },
      everyFault,
    )
  })

  it('answers out of order: whichever secret the client keeps, it stays in [races: out-of-order Set-Cookie]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const credential = await started(scene)
      const told: string[] = []
      return {
        tasks: {
          first: () => rotates(scene, credential, told),
          second: () => rotates(scene, credential, told),
        },
        async check() {
          assert.equal(told.length, 2)
          for (const each of [credential, ...told, ...told.toReversed()]) {
            const session = await scene.sessions().load(each)
            assert.equal(session.isNew, false)
            assert.ok(told.includes(session.credential!), 'it is handed a secret that somebody was told')
          }
        },
      }
    })
  })

  it('rotate | save | log out everywhere [races: B1]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const credential = await started(scene)
      const told: string[] = []
      return {
        tasks: {
          rotator: () => rotates(scene, credential, told),
          saver: () => saves(scene, credential, 'changed'),
          owner: () => scene.sessions().revoke({ user: 'ada' }),
        },
        async check(ends) {
          assert.ok(returned(ends['owner']))
          assert.equal((await scene.sessions().list({ user: 'ada' })).sessions.length, 0)
          for (const each of [credential, ...told]) assert.equal(await opens(scene, each), false)
        },
      }
    })
  })

  it('rotate | rotate | save: one successor, no change lost [races: B2]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const credential = await started(scene)
      const sessions: Session[] = []
      for (let i = 0; i < 3; i++) sessions.push(await scene.sessions().load(credential))
      const [first, second, third] = sessions as [Session, Session, Session]
      third.set('changed', 1)
      return {
        tasks: { first: () => first.rotate(), second: () => second.rotate(), saver: () => third.save() },
        async check(ends) {
          assert.ok(returned(ends['first']) && returned(ends['second']) && returned(ends['saver']))
          assert.notEqual(first.credential, credential)
          assert.equal(first.credential, second.credential)
          assert.equal((await scene.sessions().load(first.credential)).get('changed'), 1)
          assert.equal((await scene.sessions().load(credential)).credential, first.credential)
        },
      }
    })
  })

  it('rotate | log out, and either may crash [races: B3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const credential = await started(scene)
        const told: string[] = []
        return {
          tasks: {
            rotator: () => rotates(scene, credential, told),
            leaver: () => scene.sessions().logout(credential),
          },
          async check(ends) {
            const alive = await opens(scene, credential)
            if (returned(ends['leaver'])) assert.equal(alive, false)
            // Nobody else may end it: who crashed halfway has either logged out or changed nothing.
            for (const each of told) assert.equal(await opens(scene, each), alive)
          },
        }
      },
      everyFault,
    )
  })

  it('log in | a request with the secret from before: it writes nothing into the new session [races: J1]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const known = await scene.sessions().start({ data: { cart: 1 } })
        const credential = known.credential!
        const victim = await scene.sessions().load(credential)
        const thief = await scene.sessions().load(credential)
        thief.set('planted', 1)
        return {
          tasks: { victim: () => victim.login('ada'), thief: () => thief.save() },
          async check(ends) {
            assert.ok(returned(ends['victim']))
            const session = await scene.sessions().load(victim.credential)
            assert.equal(session.user, 'ada')
            assert.equal(session.get('cart'), 1)
            assert.deepEqual(session.data, victim.data, 'nothing came in after the login')
            assert.equal(await opens(scene, credential), false)
            assert.equal(thief.credential === victim.credential, false)
          },
        }
      },
      everyLoss,
    )
  })

  it('log in | log in as another: one of them is in, the other is told [races: J1]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const credential = (await scene.sessions().start()).credential!
      const ada = await scene.sessions().load(credential)
      const bob = await scene.sessions().load(credential)
      return {
        tasks: { ada: () => ada.login('ada'), bob: () => bob.login('bob') },
        async check(ends) {
          const codes = [thrown(ends['ada']), thrown(ends['bob'])]
          assert.deepEqual(codes.toSorted(), ['HOLDFAST_SESSION_GONE', undefined].toSorted())
          const [won, user] = codes[0] === undefined ? [ada, 'ada'] : [bob, 'bob']
          const session = await scene.sessions().load(won.credential)
          assert.equal(session.user, user)
          assert.equal(await opens(scene, credential), false)
        },
      }
    })
  })

  it('log in | rotate: the secret that the rotation made opens nothing once somebody is in [races: J1]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const credential = (await scene.sessions().start()).credential!
      const told: string[] = []
      const victim = await scene.sessions().load(credential)
      return {
        tasks: { victim: () => victim.login('ada'), thief: () => rotates(scene, credential, told) },
        async check(ends) {
          assert.ok(returned(ends['victim']))
          for (const each of [credential, ...told]) assert.equal(await opens(scene, each), false)
          assert.equal((await scene.sessions().load(victim.credential)).user, 'ada')
        },
      }
    })
  })
})
