/** Two requests that change one session, in every order. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import type { World } from '../../packages/holdfast/src/testing/schedule.ts'
import { everyFault, explore, returned, Scene, thrown } from './scene.ts'

/** Several requests over one session, each in a process of its own. */
async function requests(
  world: World,
  count: number,
  options: SessionsOptions = {},
): Promise<{ scene: Scene; sessions: readonly Session[]; read: () => Promise<Session> }> {
  const scene = new Scene(world)
  const { credential } = await scene.sessions(options).start({ data: { n: 0, cart: ['first'] } })
  const sessions: Session[] = []
  for (let i = 0; i < count; i++) sessions.push(await scene.sessions(options).load(credential))
  return { scene, sessions, read: () => scene.sessions(options).load(credential) }
}

/** What is in the cart after a request put something into it. */
function push(session: Session, item: string): void {
  session.set('cart', [...(session.get('cart') as string[]), item])
}

describe('saving, in every order', () => {
  it('two saves of different keys: both keep their change [races: H1]', async (t) => {
    await explore(
      t,
      async (world) => {
        const { sessions, read } = await requests(world, 2)
        const [one, two] = sessions as [Session, Session]
        one.set('a', 1)
        two.set('b', 1)
        two.delete('n')
        return {
          tasks: { one: () => one.save(), two: () => two.save() },
          async check(ends) {
            const { data } = await read()
            if (returned(ends['one'])) assert.equal(data['a'], 1)
            if (returned(ends['two'])) assert.deepEqual([data['b'], 'n' in data], [1, false])
            assert.deepEqual(data['cart'], ['first'])
          },
        }
      },
      [{}, ...everyFault, { faults: { loseAnswer: 2 } }],
    )
  })

  it('two pushes into the same cart: one is told, and what was acknowledged is there [races: H1]', async (t) => {
    await explore(
      t,
      async (world) => {
        const { sessions, read } = await requests(world, 2)
        const [one, two] = sessions as [Session, Session]
        push(one, 'one')
        push(two, 'two')
        return {
          tasks: { one: () => one.save(), two: () => two.save() },
          async check({ one: first, two: second }) {
            const cart = (await read()).get('cart')
            assert.ok(!(returned(first) && returned(second)), 'both were told that it is stored')
            if (returned(first)) assert.deepEqual(cart, ['first', 'one'])
            if (returned(second)) assert.deepEqual(cart, ['first', 'two'])
            for (const end of [first, second]) {
              if (thrown(end)) assert.equal(thrown(end), 'HOLDFAST_CONFLICTING_CHANGE')
            }
          },
        }
      },
      [{}, { crashes: 1 }, { faults: { loseAnswer: 1 } }, { faults: { late: 1 } }],
    )
  })

  it('two pushes with a merge function: both are there, each once [races: H1 G1]', async (t) => {
    const conflicts = {
      cart: ({ mine, theirs, before }: Record<'mine' | 'theirs' | 'before', unknown>) => [
        ...(theirs as string[]),
        ...(mine as string[]).slice((before as string[]).length),
      ],
    }
    await explore(
      t,
      async (world) => {
        const { sessions, read } = await requests(world, 2, { conflicts })
        const [one, two] = sessions as [Session, Session]
        push(one, 'one')
        push(two, 'two')
        return {
          tasks: { one: () => one.save(), two: () => two.save() },
          async check({ one: first, two: second }) {
            const cart = (await read()).get('cart') as string[]
            assert.equal(cart[0], 'first')
            assert.equal(new Set(cart).size, cart.length, `${cart.join()}: nothing is there twice`)
            if (returned(first)) assert.ok(cart.includes('one'))
            if (returned(second)) assert.ok(cart.includes('two'))
          },
        }
      },
      [{}, ...everyFault],
    )
  })

  it('two pushes, and the last wins where that was asked for [races: H1]', async (t) => {
    await explore(t, async (world) => {
      const { sessions, read } = await requests(world, 2, { conflicts: 'last' })
      const [one, two] = sessions as [Session, Session]
      push(one, 'one')
      push(two, 'two')
      return {
        tasks: { one: () => one.save(), two: () => two.save() },
        async check(ends) {
          assert.ok(returned(ends['one']) && returned(ends['two']))
          const cart = JSON.stringify((await read()).get('cart'))
          assert.ok(['["first","one"]', '["first","two"]'].includes(cart), cart)
        },
      }
    })
  })

  it('update | update: every acknowledged one counted once, also after a lost answer [races: G1 K2 K3]', async (t) => {
    await explore(
      t,
      async (world) => {
        const { sessions, read } = await requests(world, 2)
        const [one, two] = sessions as [Session, Session]
        const count = (session: Session): Promise<number> =>
          session.update((data) => {
            data['n'] = Number(data['n']) + 1
            return data['n']
          })
        return {
          tasks: { one: () => count(one), two: () => count(two) },
          async check({ one: first, two: second }) {
            const n = (await read()).get('n') as number
            const ends = [first, second]
            const done = ends.filter((end) => returned(end)).length
            const unsure = ends.filter(
              (end) => end?.status === 'crashed' || thrown(end) === 'HOLDFAST_OUTCOME_UNKNOWN',
            )
            assert.ok(n >= done && n <= done + unsure.length, `${n} for ${done} and ${unsure.length} unsure`)
          },
        }
      },
      [{}, ...everyFault, { faults: { loseAnswer: 2 } }],
    )
  })

  it('clear | save: what was there before is gone, what was added is kept unless it came first', async (t) => {
    await explore(
      t,
      async (world) => {
        const { sessions, read } = await requests(world, 2)
        const [one, two] = sessions as [Session, Session]
        one.clear()
        two.set('added', 1)
        return {
          tasks: { cleaner: () => one.save(), saver: () => two.save() },
          async check(ends) {
            assert.ok(returned(ends['cleaner']) && returned(ends['saver']))
            const { data } = await read()
            assert.equal('n' in data, false)
            assert.ok(Object.keys(data).length <= 1)
          },
        }
      },
      [{}, { faults: { loseAnswer: 1 } }],
    )
  })
})
