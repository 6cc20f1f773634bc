import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  exploreSchedules,
  replaySchedule,
  type ScenarioMaker,
  type ScheduleFailure,
  type TaskEnd,
} from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { SessionGone } from '../../packages/holdfast/src/errors.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { adders, failureOf, number, numberAt, readers, storeIn, x, y } from './scenarios.ts'

describe('exploreSchedules', () => {
  it('runs every order of the calls and of the answers', async () => {
    // Two tasks of three calls, each carried out and answered: 12 steps of which 6 are the first task's.
    assert.equal((await exploreSchedules(readers('AB', 3))).schedules, 924)
    assert.equal((await exploreSchedules(readers('AB', 4))).schedules, 12_870)
    assert.equal((await exploreSchedules(readers('ABC', 1))).schedules, 90)
    assert.deepEqual(await exploreSchedules(readers('A', 2)), {
      schedules: 1,
      pruned: 0,
      cut: 0,
      complete: true,
      longest: 4,
      summary: '1 schedules, all of them',
    })
  })

  it('runs no order twice', async () => {
    const orders: string[] = []
    await exploreSchedules(async (world) => {
      const store = storeIn(world)
      await store.open()
      let order = ''
      const task = (name: string) => async (): Promise<void> => {
        await store.read(x)
        order += name
        await store.read(x)
        order += name
      }
      return {
        tasks: { A: task('a'), B: task('b') },
        check: () => {
          orders.push(order)
        },
      }
    })
    assert.equal(orders.length, 70)
    assert.deepEqual([...new Set(orders)].sort(), ['aabb', 'abab', 'abba', 'baab', 'baba', 'bbaa'])
  })

  it('finds a lost update, and tells it in a few lines', async () => {
    const failure = await failureOf(adders('AB', false))
    assert.deepEqual(failure.steps, [
      'task A: read sessions/x → v1',
      'task B: read sessions/x → v1',
      'task B: replace sessions/x v1 by v2 → done',
      'task A: replace sessions/x v1 by v3 → conflict',
    ])
    assert.match(failure.message, /^found in schedule \d+: Expected values to be strictly equal/)
    assert.ok(failure.cause instanceof assert.AssertionError)
  })

  it('passes what is right, for two and for three', async () => {
    const two = await exploreSchedules(adders('AB', true))
    assert.ok(two.complete && two.schedules > 100)
    const three = await exploreSchedules(adders('ABC', true), { preemptions: 2 })
    assert.ok(three.complete && three.schedules > 400)
  })

  it('repeats the schedule that a failure names', async () => {
    const failure = await failureOf(adders('AB', false))
    await assert.rejects(replaySchedule(adders('AB', false), failure.choices), (error: ScheduleFailure) => {
      assert.deepEqual(error.steps, failure.steps)
      return true
    })
    await replaySchedule(adders('AB', true), ['A#0', 'A#1', 'A#2', 'A#3'])
    await assert.rejects(replaySchedule(adders('AB', true), ['C#0']), /does not fit/)
  })

  it('bounds the switches between tasks that could go on', async () => {
    // Six steps each. No switch: AB or BA. One: away after one of five steps of the first task, and back at the end.
    assert.equal((await exploreSchedules(readers('AB', 3), { preemptions: 0 })).schedules, 2)
    assert.equal((await exploreSchedules(readers('AB', 3), { preemptions: 1 })).schedules, 12)
    const bounded = await exploreSchedules(readers('AB', 3), { preemptions: 100 })
    assert.equal(bounded.schedules, 924)
    assert.match(bounded.summary, /at most 100 preemptions/)
  })

  it('stops after a number of schedules or steps, and says that this was not all', async () => {
    const some = await exploreSchedules(readers('AB', 4), { maxSchedules: 100 })
    assert.deepEqual([some.schedules, some.complete], [100, false])
    assert.match(some.summary, /not all of them/)
    const cut = await exploreSchedules(readers('AB', 1), { maxSteps: 3 })
    assert.deepEqual([cut.schedules, cut.complete], [0, false])
    assert.ok(cut.cut > 0)
  })

  it('draws schedules at random, the same ones for the same seed', async () => {
    const random = { schedules: 300, seed: 5 }
    const drawn = await exploreSchedules(readers('ABC', 3), { random })
    assert.deepEqual([drawn.schedules, drawn.complete], [300, false])
    const first = await failureOf(adders('AB', false), { random })
    const second = await failureOf(adders('AB', false), { random })
    assert.equal(first.message, second.message)
  })

  it('refuses a bound together with a reduction, which would not be sound', async () => {
    await assert.rejects(exploreSchedules(readers('A', 1), { preemptions: 1, reduction: 'independent' }), {
      code: 'HOLDFAST_INVALID_OPTION',
    })
  })

  it('notices a scenario that does something else the second time', async () => {
    let runs = 0
    const make: ScenarioMaker = (world) => readers(runs++ === 0 ? 'AB' : 'AC', 1)(world)
    await assert.rejects(exploreSchedules(make), /did not do the same again/)
  })

  it('disposes of every world', async () => {
    let open = 0
    const make: ScenarioMaker = async (world) => {
      open++
      return {
        ...(await adders('AB', false)(world)),
        dispose: () => {
          open--
        },
      }
    }
    await failureOf(make)
    assert.equal(open, 0)
  })
})

describe('what a task may do', () => {
  it('may throw one of our errors, which the check is told', async () => {
    const ends: TaskEnd[] = []
    await exploreSchedules(() => ({
      tasks: {
        A: () => Promise.reject(new SessionGone('gone')),
        B: () => Promise.resolve(7),
      },
      check: (all) => {
        ends.push(...Object.values(all))
      },
    }))
    assert.deepEqual(
      ends.map((end) => (end.status === 'threw' ? end.error.code : end)),
      ['HOLDFAST_SESSION_GONE', { status: 'returned', value: 7 }],
    )
  })

  it('may not throw anything else', async () => {
    const failure = await failureOf(() => ({
      tasks: { A: () => Promise.reject(new TypeError('a mistake')) },
      check: () => undefined,
    }))
    assert.match(failure.message, /a mistake/)
  })

  it('may wait for another task', async () => {
    const { schedules } = await exploreSchedules((world) => {
      const store = storeIn(world)
      const { promise, resolve } = Promise.withResolvers<undefined>()
      const order: string[] = []
      return {
        tasks: {
          waits: async () => {
            await store.read(x)
            await promise
            order.push('waits')
          },
          frees: async () => {
            await store.read(x)
            order.push('frees')
            resolve(undefined)
          },
        },
        check: () => assert.deepEqual(order, ['frees', 'waits']),
      }
    })
    assert.equal(schedules, 6)
  })

  it('may not wait for ever', async () => {
    const failure = await failureOf(() => ({
      tasks: { A: () => new Promise(() => undefined) },
      check: () => undefined,
    }))
    assert.match(failure.message, /task A would wait for ever/)
  })

  it('may make several calls at once', async () => {
    const { schedules } = await exploreSchedules((world) => {
      const store = storeIn(world)
      return {
        tasks: { A: () => Promise.all([store.read(x), store.read(y)]) },
        check: () => undefined,
      }
    })
    assert.equal(schedules, 6)
  })

  it('may use a driver that takes its time', async () => {
    const { schedules } = await exploreSchedules(async (world) => {
      const memory = memoryDriver()
      const slow = { ...bound(memory), read: later(memory.read.bind(memory)) }
      const store = guard(world.driver(slow), { clock: world.clock })
      await store.create({ key: x, value: number(1), expiresAt: never })
      return {
        tasks: { A: () => numberAt(store, x), B: () => numberAt(store, x) },
        check: (ends) => {
          for (const end of Object.values(ends)) assert.equal(end.status, 'returned')
        },
      }
    })
    assert.equal(schedules, 6)
  })

  it('may pause where tasks share something else than a store', async () => {
    const failure = await failureOf((world) => {
      let shared = 0
      const add = async (): Promise<void> => {
        const before = shared
        await world.pause('between look and write')
        shared = before + 1
      }
      return { tasks: { A: add, B: add }, check: () => assert.equal(shared, 2) }
    })
    assert.deepEqual(failure.steps, ['task A: between look and write', 'task B: between look and write'])
  })
})

describe('the clock of a schedule', () => {
  it('lets sleeps end in any order, never before their time', async () => {
    const orders = new Set<string>()
    await exploreSchedules((world) => {
      const start = world.clock.now()
      const order: string[] = []
      const sleep = (ms: number) => async (): Promise<void> => {
        await world.clock.sleep(ms)
        order.push(`${ms}`)
        assert.ok(world.clock.now() >= start + ms)
        assert.ok(world.clock.elapsed() >= ms)
      }
      return {
        tasks: { A: sleep(10), B: sleep(20) },
        check: () => {
          orders.add(order.join())
        },
      }
    })
    assert.deepEqual([...orders].sort(), ['10,20', '20,10'])
  })

  it('counts waking a sleeper before those who are awake as a switch', async () => {
    const make: ScenarioMaker = (world) => ({
      tasks: { A: () => world.clock.sleep(10), B: () => world.pause('awake') },
      check: () => undefined,
    })
    assert.equal((await exploreSchedules(make, { preemptions: 0 })).schedules, 1)
    assert.equal((await exploreSchedules(make)).schedules, 2)
  })

  it('calls timers back that fall due during a sleep, unless they were cancelled', async () => {
    const { schedules } = await exploreSchedules((world) => {
      const called: string[] = []
      world.clock.timer(5, () => called.push('5'))
      world.clock.timer(3, () => called.push('3'))
      world.clock.timer(50, () => called.push('50'))
      world.clock.timer(4, () => called.push('4'))()
      return { tasks: { A: () => world.clock.sleep(10) }, check: () => assert.deepEqual(called, ['3', '5']) }
    })
    assert.equal(schedules, 1)
  })

  it('ends a sleep that is aborted', async () => {
    await exploreSchedules((world) => {
      const controller = new AbortController()
      return {
        tasks: {
          A: () =>
            assert.rejects(world.clock.sleep(10, { signal: controller.signal }), { message: 'enough' }),
          B: async () => controller.abort(new Error('enough')),
        },
        check: () => undefined,
      }
    })
  })
})

/** A copy of a driver's methods that still work. */
function bound<T extends object>(driver: T): T {
  return new Proxy(driver, {
    ownKeys: () => Reflect.ownKeys(Object.getPrototypeOf(driver) as object),
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (target, name) => (Reflect.get(target, name) as () => unknown).bind(target),
  })
}

/** The same, answered after a while of real time. */
function later<A extends unknown[], T>(answer: (...args: A) => T | Promise<T>): (...args: A) => Promise<T> {
  return async (...args) => {
    await new Promise((resolve) => setTimeout(resolve, 1))
    return await answer(...args)
  }
}
