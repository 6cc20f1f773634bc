/** Ending sessions, one or all of a user's, against everything that can happen at the same time, in every order. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RecordEvent } from '../../packages/holdfast/src/records/events.ts'
import { everyFault, explore, opens, remaining, returned, Scene, thrown } from './scene.ts'

describe('revoking by labels, in every order', () => {
  it('log in | log out everywhere: a password checked before does not survive [races: E2]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const sessions = scene.sessions()
        const login = await sessions.begin({ user: 'ada' })
        const told: (string | undefined)[] = []
        return {
          tasks: {
            login: async () => told.push((await sessions.start({ login })).credential),
            owner: () => scene.sessions().revoke({ user: 'ada' }),
          },
          async check(ends) {
            if (!returned(ends['owner'])) return
            assert.equal((await scene.sessions().list({ user: 'ada' })).sessions.length, 0)
            for (const each of told) assert.equal(await opens(scene, each), false)
            // Who was told that the login failed has left nothing behind.
            if (thrown(ends['login']) === 'HOLDFAST_REVOKED_MEANWHILE') {
              assert.equal(await remaining(scene, 'sessions', 'user:ada'), 0)
            }
            assert.equal(
              returned(ends['login']) && (await remaining(scene, 'sessions', 'user:ada')) > 0,
              false,
            )
          },
        }
      },
      everyFault,
    )
  })

  it('log in | log out everywhere: whoever begins afterwards is in [races: E3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        await scene.sessions().start({ user: 'ada' })
        let revoked = false
        let after = false
        return {
          tasks: {
            login: async () => {
              await world.pause('the form is filled in')
              after = revoked
              return (await scene.sessions().start({ user: 'ada' })).credential
            },
            owner: async () => {
              await scene.sessions().revoke({ user: 'ada' })
              revoked = true
            },
          },
          async check({ login }) {
            if (after) assert.ok(login?.status === 'returned' && (await opens(scene, login.value as string)))
            if (!returned(login)) assert.equal(thrown(login), 'HOLDFAST_REVOKED_MEANWHILE')
          },
        }
      },
      // The tasks share a variable, so every order is another.
      [{ preemptions: 2 }],
    )
  })

  it('a visitor’s session logs in | log out everywhere [races: E2]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const sessions = scene.sessions()
        const visitor = await sessions.start({ data: { cart: 1 } })
        const login = await sessions.begin({ user: 'ada' })
        return {
          tasks: { login: () => visitor.login(login), owner: () => scene.sessions().revoke({ user: 'ada' }) },
          async check(ends) {
            if (!returned(ends['owner'])) return
            assert.equal((await scene.sessions().list({ user: 'ada' })).sessions.length, 0)
            if (returned(ends['login'])) assert.equal(await remaining(scene, 'sessions', 'user:ada'), 0)
            // A login that never got as far as the store leaves a visitor, and visitors are not concerned.
            assert.equal((await scene.sessions().load(visitor.credential)).user, undefined)
          },
        }
      },
      everyFault,
    )
  })

  it('log in again | log out everywhere: what was revoked is not logged into [races: E2]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const mine = await scene.sessions().start({ user: 'ada' })
        return {
          tasks: {
            login: () => mine.login('ada'),
            owner: () => scene.sessions().revoke({ user: 'ada' }),
          },
          async check(ends) {
            const alive = await opens(scene, mine.credential)
            if (returned(ends['owner']) && !returned(ends['login'])) assert.equal(alive, false)
            // Once a mark has struck the session, nothing that begins afterwards may bring it back.
            if (ends['owner']?.status === 'crashed' && alive) {
              assert.equal((await scene.sessions().list({ user: 'ada' })).sessions.length, 1)
            }
            assert.equal(await opens(scene, mine.credential), alive, 'reading changes nothing')
          },
        }
      },
      [{ crashes: 1 }],
    )
  })

  it('a revocation stopped after its mark: the session is not logged into [races: E3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const mine = await scene.sessions().start({ user: 'ada' })
        const id = mine.id!
        return {
          tasks: { owner: () => scene.sessions().revoke({ user: 'ada' }) },
          async check() {
            const struck = !(await opens(scene, mine.credential))
            const outcome = await mine.login('ada').then(
              () => 'in',
              () => 'refused',
            )
            assert.equal(outcome, struck ? 'refused' : 'in')
            if (struck) assert.equal(await scene.sessions().get(id), undefined)
          },
        }
      },
      [{ crashes: 1 }],
    )
  })

  it('save | log out everywhere, page by page', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world, { page: 1 })
      const credentials: string[] = []
      for (let i = 0; i < 3; i++)
        credentials.push((await scene.sessions().start({ user: 'ada' })).credential!)
      return {
        tasks: {
          saver: async () => {
            const session = await scene.sessions().load(credentials[1])
            session.set('late', 1)
            await session.save()
          },
          owner: () => scene.sessions().revoke({ user: 'ada' }),
        },
        async check(ends) {
          assert.deepEqual(ends['owner'], { status: 'returned', value: 3 })
          for (const each of credentials) assert.equal(await opens(scene, each), false)
        },
      }
    })
  })

  it('my other devices: this one stays in, the others and the logins under way do not [races: E3]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const mine = await scene.sessions().start({ user: 'ada' })
      const other = await scene.sessions().start({ user: 'ada' })
      const login = await scene.sessions().begin({ user: 'ada' })
      mine.set('changed', 1)
      return {
        tasks: {
          saver: () => mine.save(),
          login: () => scene.sessions().start({ login }),
          owner: () => scene.sessions().revoke({ user: 'ada', except: mine.id! }),
        },
        async check(ends) {
          assert.ok(returned(ends['saver']) && returned(ends['owner']))
          assert.equal((await scene.sessions().load(mine.credential)).get('changed'), 1)
          assert.equal(await opens(scene, other.credential), false)
          assert.equal((await scene.sessions().list({ user: 'ada' })).sessions.length, 1)
        },
      }
    })
  })

  it('everything | my other devices: who is spared by the one is struck by the other', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const visitor = await scene.sessions().start()
      const login = await scene.sessions().begin({ user: 'ada' })
      const id = visitor.id!
      return {
        tasks: {
          login: () => visitor.login(login),
          all: () => scene.sessions().revoke({ user: 'ada' }),
          others: () => scene.sessions().revoke({ user: 'ada', except: id }),
        },
        async check(ends) {
          if (returned(ends['all'])) assert.equal(await opens(scene, visitor.credential), false)
        },
      }
    })
  })

  it('a mark of several labels strikes only what carries them all, in whatever order it is made', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const sessions = scene.sessions()
      const login = await sessions.begin({ user: 'ada' })
      return {
        tasks: {
          phone: () => scene.sessions().start({ login, labels: ['client:phone', 'tenant:t1'] }),
          web: () => scene.sessions().start({ login, labels: ['client:web', 'tenant:t1'] }),
          owner: () => scene.sessions().revoke({ user: 'ada', labels: ['client:phone'] }),
        },
        async check(ends) {
          assert.ok(returned(ends['web']) && returned(ends['owner']))
          const { sessions: left } = await scene.sessions().list({ user: 'ada' })
          assert.deepEqual(
            left.map(({ labels }) => labels),
            [['client:web', 'tenant:t1', 'user:ada']],
          )
        },
      }
    })
  })

  it('log in with a tenant’s label | revoke the tenant: a login that had begun does not survive', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const sessions = scene.sessions()
      const labels = ['tenant:t1']
      const login = await sessions.begin({ user: 'ada', labels })
      return {
        tasks: {
          login: () => scene.sessions().start({ login, labels }),
          operator: () => scene.sessions().revoke({ labels }),
        },
        async check() {
          assert.equal((await scene.sessions().list({ labels })).sessions.length, 0)
          await scene.sessions().start({ user: 'ada', labels })
          assert.equal((await scene.sessions().list({ labels })).sessions.length, 1)
        },
      }
    })
  })

  it('two revocations at once: nothing is alive after either [K49]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const credential = (await scene.sessions().start({ user: 'ada' })).credential
        return {
          tasks: {
            one: () => scene.sessions().revoke({ user: 'ada' }),
            two: () => scene.sessions().revoke({ user: 'ada' }),
          },
          async check(ends) {
            if (returned(ends['one']) || returned(ends['two']))
              assert.equal(await opens(scene, credential), false)
          },
        }
      },
      [{ crashes: 1 }],
    )
  })
})

describe('destroying, in every order', () => {
  it('destroy | save in flight, its request or its answer lost or late: it stays destroyed [D29 D36]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const credential = (await scene.sessions().start({ user: 'ada' })).credential
        const leaver = await scene.sessions().load(credential)
        const saver = await scene.sessions().load(credential)
        const id = leaver.id!
        saver.set('late', 1)
        return {
          tasks: { leaver: () => leaver.destroy(), saver: () => saver.save() },
          async check(ends) {
            if (!returned(ends['leaver'])) return
            assert.equal(await opens(scene, credential), false)
            assert.equal(await scene.sessions().get(id), undefined)
          },
        }
      },
      everyFault,
    )
  })

  it('destroy | touch in flight, late or lost: it stays destroyed', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const options = { touchEvery: 0 }
        const credential = (await scene.sessions(options).start({ user: 'ada' })).credential
        const leaver = await scene.sessions(options).load(credential)
        await world.clock.sleep(1_000)
        return {
          tasks: { leaver: () => leaver.destroy(), reader: () => scene.sessions(options).load(credential) },
          async check(ends) {
            if (returned(ends['leaver'])) assert.equal(await opens(scene, credential), false)
          },
        }
      },
      everyFault,
    )
  })

  it('log out | touch, at the last instant: what has expired and isn’t swept is buried [races: 1.1 touch]', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const options = { touchEvery: 0, idle: '1m' } as const
        const credential = (await scene.sessions(options).start()).credential!
        await world.clock.sleep(59_999)
        return {
          tasks: {
            reader: () => scene.sessions(options).load(credential),
            leaver: async () => {
              await world.clock.sleep(1)
              return await scene.sessions(options).logout(credential)
            },
          },
          async check(ends) {
            if (returned(ends['leaver'])) {
              assert.equal((await scene.sessions(options).load(credential)).isNew, true)
            }
          },
        }
      },
      [{ faults: { late: 1 } }],
    )
  })

  it('revoke by labels | touch, at the last instant: the expired are buried as well', async (t) => {
    await explore(
      t,
      async (world) => {
        const scene = new Scene(world)
        const options = { touchEvery: 0, idle: '1m' } as const
        const credential = (await scene.sessions(options).start({ user: 'ada' })).credential!
        await world.clock.sleep(59_999)
        const owner = scene.sessions(options)
        return {
          tasks: {
            reader: () => scene.sessions(options).load(credential),
            owner: async () => {
              await world.clock.sleep(1)
              await owner.revoke({ user: 'ada' })
            },
          },
          async check(ends) {
            if (!returned(ends['owner'])) return
            assert.equal((await scene.sessions(options).load(credential)).isNew, true)
            // The record itself is dead, not only struck by the mark.
            const { records } = await scene.store().list('sessions', { labels: ['user:ada'], expired: true })
            assert.equal(records.length, 0)
          },
        }
      },
      [{ faults: { late: 1 } }],
    )
  })

  it('destroy | destroy | save: one of them ended it', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const session = await scene.sessions().start()
      const id = session.id!
      session.set('late', 1)
      return {
        tasks: {
          one: () => scene.sessions().destroy(id),
          two: () => scene.sessions().destroy(id),
          saver: () => session.save(),
        },
        async check({ one, two }) {
          assert.ok(one?.status === 'returned' && two?.status === 'returned')
          assert.deepEqual([one.value, two.value].toSorted(), [false, true])
          assert.equal(await opens(scene, session.credential), false)
        },
      }
    })
  })

  it('an event is told for a secret that comes too late, and it opens nothing [races: J1]', async (t) => {
    await explore(t, async (world) => {
      const scene = new Scene(world)
      const events: RecordEvent[] = []
      const session = await scene.sessions().start()
      const before = session.credential
      const reader = scene.sessions({ onEvent: (event) => events.push(event) })
      return {
        tasks: { cycler: () => session.cycleKey(), reader: () => reader.load(before) },
        async check() {
          events.length = 0
          assert.equal((await reader.load(before)).isNew, true)
          assert.deepEqual(
            events.map(({ type }) => type),
            ['late-secret'],
          )
        },
      }
    })
  })
})
