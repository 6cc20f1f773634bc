/** Sessions by secret id: requests that meet, in every order, with crashes and lost answers. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { JsonObject } from '../../packages/holdfast/src/records/envelope.ts'
import { type KeyedOptions, KeyedSessions, type Kept } from '../../packages/holdfast/src/sessions/keyed.ts'
import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import type { World } from '../../packages/holdfast/src/testing/schedule.ts'
import { drawn, everyFault, everyLoss, explore, returned, Scene, thrown } from '../records/scene.ts'
import { OldRows } from './keyed-stage.ts'

const hour = 3_600_000

/** One store, any number of processes. */
class Place {
  readonly scene: Scene
  readonly soon: number
  /** Rows of another library, which every process would read. */
  readonly rows: OldRows
  readonly #options: KeyedOptions

  constructor(world: World, { old = false, ...options }: { old?: boolean } & Omit<KeyedOptions, 'old'> = {}) {
    this.scene = new Scene(world)
    this.soon = world.clock.now() + hour
    const driver = world.driver(memoryDriver({ memory: new Memory() }), { declare: { watch: false } })
    this.rows = new OldRows(guard(driver, { clock: world.clock }))
    this.#options = { userOf, ...options, ...(old ? { old: this.rows } : {}) }
  }

  process(): KeyedSessions {
    return new KeyedSessions(this.scene.store(), this.#options)
  }

  async data(sid: string): Promise<JsonObject | undefined> {
    return (await this.process().read(sid))?.data
  }
}

const userOf = (data: JsonObject) => data['user'] as string | undefined

const sid = 'the-secret'

/** A session, and what a number of requests have read of it. */
async function requests(world: World, count: number, data: JsonObject = { n: 0 }) {
  const place = new Place(world)
  await place.process().create(sid, data, place.soon)
  const read: { readonly keyed: KeyedSessions; readonly base: Kept }[] = []
  for (let i = 0; i < count; i++) {
    const keyed = place.process()
    const base = await keyed.read(sid)
    assert.ok(base)
    read.push({ keyed, base })
  }
  return { place, read }
}

describe('sessions by secret id, in every order', () => {
  it('save | save of different keys: both keep their change [races: H1]', async (t) => {
    await explore(
      t,
      async (world) => {
        const { place, read } = await requests(world, 2)
        const [one, two] = [read[0]!, read[1]!]
        return {
          tasks: {
            one: () => one.keyed.save(sid, one.base, { n: 0, a: 1 }, place.soon),
            two: () => two.keyed.save(sid, two.base, { b: 1 }, place.soon),
          },
          async check(ends) {
            const data = await place.data(sid)
            if (returned(ends['one'])) assert.equal(data?.['a'], 1)
            if (returned(ends['two'])) assert.deepEqual([data?.['b'], data?.['n']], [1, undefined])
          },
        }
      },
      [{}, ...everyFault, { faults: { loseAnswer: 2 } }],
    )
  })

  it('destroy | save: what was destroyed stays so [D29 D36]', async (t) => {
    await explore(
      t,
      async (world) => {
        const { place, read } = await requests(world, 2)
        const [one, two] = [read[0]!, read[1]!]
        return {
          tasks: {
            logout: () => one.keyed.destroy(sid),
            saver: () => two.keyed.save(sid, two.base, { n: 1 }, place.soon),
          },
          async check(ends) {
            const data = await place.data(sid)
            if (returned(ends['logout'])) assert.equal(data, undefined)
            else if (returned(ends['saver']) && data) assert.equal(data['n'], 1)
            const refused = thrown(ends['saver'])
            if (refused) assert.equal(refused, 'HOLDFAST_SESSION_GONE')
          },
        }
      },
      [{}, ...everyFault],
    )
  })

  it('destroy | first save: what was destroyed before it was stored is not stored', async (t) => {
    await explore(
      t,
      (world) => {
        const place = new Place(world)
        const [one, two] = [place.process(), place.process()]
        return {
          tasks: {
            logout: () => one.destroy(sid),
            saver: () => two.create(sid, { n: 1 }, place.soon),
          },
          async check(ends) {
            if (returned(ends['logout'])) assert.equal(await place.data(sid), undefined)
            else if (returned(ends['saver']) && ends['logout']?.status !== 'crashed')
              assert.ok(await place.data(sid))
          },
        }
      },
      [{}, ...everyFault],
    )
  })

  it('destroy | touch: a touch prolongs no tombstone', async (t) => {
    await explore(t, async (world) => {
      const { place, read } = await requests(world, 2)
      const [one, two] = [read[0]!, read[1]!]
      return {
        tasks: {
          logout: () => one.keyed.destroy(sid),
          reader: () => two.keyed.touch(two.base, place.soon + hour),
        },
        check: async () => assert.equal(await place.data(sid), undefined),
      }
    })
  })

  it('new id | save: no acknowledged change is lost, and the old id is dead [races: A3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const { place, read } = await requests(world, 2)
        const [one, two] = [read[0]!, read[1]!]
        return {
          tasks: {
            rotator: () =>
              one.keyed.replaceId({ sid, base: one.base }, 'new', { n: 0, mine: 1 }, place.soon, {
                carry: true,
              }),
            saver: () => two.keyed.save(sid, two.base, { n: 0, theirs: 1 }, place.soon),
          },
          async check(ends) {
            const [old, fresh] = [await place.data(sid), await place.data('new')]
            if (returned(ends['rotator'])) {
              assert.equal(old, undefined)
              assert.equal(fresh?.['mine'], 1)
              if (returned(ends['saver'])) assert.equal(fresh['theirs'], 1)
            }
          },
        }
      },
      [{}, ...everyFault],
    )
  })

  it('new id | logout: who logged out is logged out under both ids [races: A2 E1]', async (t) => {
    await explore(
      t,
      async (world) => {
        const { place, read } = await requests(world, 2)
        const [one, two] = [read[0]!, read[1]!]
        return {
          tasks: {
            rotator: () =>
              one.keyed.replaceId({ sid, base: one.base }, 'new', { n: 1 }, place.soon, { carry: true }),
            logout: () => two.keyed.destroy(sid),
          },
          async check(ends) {
            assert.equal(await place.data(sid), undefined)
            // Either the session had its new id before the logout came, or it was ended under the old one.
            if (!returned(ends['rotator'])) assert.equal(await place.data('new'), undefined)
            if (thrown(ends['rotator'])) assert.equal(thrown(ends['rotator']), 'HOLDFAST_SESSION_GONE')
          },
        }
      },
      [{}, { faults: { loseRequest: 1 } }, { faults: { late: 1 } }],
    )
  })

  it('new id | new id: one of them goes on with the session', async (t) => {
    await explore(t, async (world) => {
      const { place, read } = await requests(world, 2)
      const [one, two] = [read[0]!, read[1]!]
      const rotate = ({ keyed, base }: typeof one, to: string) =>
        keyed.replaceId({ sid, base }, to, { n: 1 }, place.soon, { carry: true })
      return {
        tasks: { one: () => rotate(one, 'new-1'), two: () => rotate(two, 'new-2') },
        async check(ends) {
          const alive = [await place.data('new-1'), await place.data('new-2')]
          assert.deepEqual(
            alive.map((each) => each !== undefined),
            [returned(ends['one']), returned(ends['two'])],
          )
          assert.equal(alive.filter(Boolean).length, 1)
          assert.equal(await place.data(sid), undefined)
        },
      }
    })
  })

  it('a login that crashes leaves the old session or the new one', async (t) => {
    await explore(
      t,
      async (world) => {
        const { place, read } = await requests(world, 1)
        const { keyed, base } = read[0]!
        return {
          tasks: {
            login: () => keyed.replaceId({ sid, base }, 'new', { user: 'ada' }, place.soon),
            other: async () => place.process().read(sid),
          },
          async check(ends) {
            const [old, fresh] = [await place.data(sid), await place.data('new')]
            assert.ok(old ?? fresh)
            if (returned(ends['login'])) assert.deepEqual([old, fresh], [undefined, { user: 'ada' }])
          },
        }
      },
      [{}, ...everyFault],
    )
  })

  it('login | log out everywhere: the login is taken back or came afterwards [races: E2 E3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const { place, read } = await requests(world, 1, { user: 'ada', n: 0 })
        const { keyed, base } = read[0]!
        return {
          tasks: {
            revoker: () => place.process().revoke({ user: 'ada' }),
            saver: () => keyed.save(sid, base, { user: 'ada', n: 1 }, place.soon),
            rotator: () =>
              place.process().replaceId({ sid, base }, 'new', base.data, place.soon, { carry: true }),
          },
          async check(ends) {
            if (!returned(ends['revoker'])) return
            assert.equal(await place.data(sid), undefined)
            assert.equal(await place.data('new'), undefined, 'it carries the epoch of the login')
          },
        }
      },
      [drawn(), drawn({ crashes: 1 }), drawn({ faults: { loseAnswer: 1 } })],
    )
  })
})

describe('sessions by secret id with rows of another library, in every order', () => {
  const row = { data: { n: 0 }, cookie: { path: '/' } }

  it('takeover | takeover with a change: one record, no lost change [races: I1]', async (t) => {
    await explore(
      t,
      async (world) => {
        const place = new Place(world, { old: true })
        await place.rows.put(sid, { ...row, expiresAt: place.soon })
        const use = async (name: string): Promise<void> => {
          const keyed = place.process()
          const base = await keyed.read(sid)
          assert.ok(base, 'it was there all the time')
          await keyed.save(sid, base, { ...base.data, [name]: 1 }, place.soon)
        }
        return {
          tasks: { one: () => use('one'), two: () => use('two') },
          async check(ends) {
            const data = await place.data(sid)
            assert.equal(data?.['n'], 0)
            for (const name of ['one', 'two']) if (returned(ends[name])) assert.equal(data[name], 1)
            if (returned(ends['one']) && returned(ends['two']))
              assert.equal(await place.rows.read(sid), undefined)
          },
        }
      },
      [
        drawn(),
        drawn({ crashes: 1 }),
        drawn({ faults: { loseAnswer: 1 } }),
        drawn({ faults: { loseRequest: 1 } }),
      ],
    )
  })

  it('takeover | logout: whatever crashed on the way, who is told so is logged out [races: I1]', async (t) => {
    await explore(
      t,
      async (world) => {
        const place = new Place(world, { old: true })
        await place.rows.put(sid, { ...row, expiresAt: place.soon })
        const [one, two] = [place.process(), place.process()]
        return {
          tasks: {
            reader: async () => one.read(sid),
            logout: () => two.destroy(sid),
          },
          async check(ends) {
            const data = await place.data(sid)
            if (returned(ends['logout'])) assert.equal(data, undefined)
            else assert.ok(data === undefined || data['n'] === 0)
          },
        }
      },
      [{}, { crashes: 1 }, ...everyLoss.map((each) => drawn(each))],
    )
  })
})
