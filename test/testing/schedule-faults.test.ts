import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ExploreOptions, exploreSchedules, type ScenarioMaker, type TaskEnd } from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { OutcomeUnknown } from '../../packages/holdfast/src/errors.ts'
import { type Key, never } from '../../packages/holdfast/src/store/record.ts'
import { adders, failureOf, number, numberAt, readers, storeIn, x, y } from './scenarios.ts'

describe('crashes', () => {
  it('stop a task before and after each of its calls', async () => {
    const seen = new Set<string>()
    const found = await exploreSchedules(
      async (world) => {
        const store = storeIn(world)
        await store.open()
        const write = async (): Promise<void> => {
          await store.create({ key: x, value: number(1), expiresAt: never })
          await store.create({ key: y, value: number(1), expiresAt: never })
        }
        return {
          tasks: { A: write },
          check: async ({ A }) => {
            const stored = (await store.readMany([x, y])).map((record) => (record ? 1 : 0)).join('')
            seen.add(`${A?.status} ${stored}`)
          },
        }
      },
      { crashes: 1 },
    )
    assert.deepEqual([...seen].sort(), ['crashed 00', 'crashed 10', 'crashed 11', 'returned 11'])
    assert.equal(found.schedules, 5)
    assert.match(found.summary, /at most 1 crashes/)
  })

  it('stop several tasks if allowed', async () => {
    const seen = new Set<string>()
    const check = (ends: Readonly<Record<string, TaskEnd>>): void => {
      seen.add(
        Object.values(ends)
          .map(({ status }) => status)
          .join(),
      )
    }
    await exploreSchedules(async (world) => ({ ...(await readers('AB', 1)(world)), check }), { crashes: 2 })
    assert.deepEqual([...seen].sort(), [
      'crashed,crashed',
      'crashed,returned',
      'returned,crashed',
      'returned,returned',
    ])
  })

  it('show in the steps', async () => {
    const failure = await failureOf(
      async (world) => ({
        ...(await adders('A', true)(world)),
        check: ({ A }) => assert.equal(A?.status, 'returned'),
      }),
      { crashes: 1 },
    )
    assert.match(
      failure.steps.at(-1) ?? '',
      /^task A: stops for ever (before|after) (read|replace) sessions\/x/,
    )
  })
})

describe('faults', () => {
  it('lose the answer or the request of a write, or delay or refuse it, and never more often than allowed', async () => {
    for (const [fault, stored] of [
      ['loseAnswer', ['1']],
      ['loseRequest', ['0']],
      ['late', ['0', '1']],
      ['fail', ['0']],
    ] as const) {
      const seen = new Set<string>()
      await exploreSchedules(
        async (world) => {
          const driver = world.driver(memoryDriver())
          const call = { now: world.clock.now(), signal: new AbortController().signal }
          await driver.open(call)
          const record = {
            key: x,
            version: '1.a',
            labels: [],
            value: number(1),
            expiresAt: never,
            touchedAt: 0,
          }
          let thrown = ''
          const create = async (): Promise<void> => {
            await Promise.resolve(driver.create(record, call)).catch((error: unknown) => {
              thrown = (error as Error).name
            })
          }
          return {
            tasks: { A: create },
            check: async () => {
              const [found] = await driver.read([x], { expired: true, strict: true }, call)
              seen.add(`${found ? 1 : 0} ${thrown}`)
            },
          }
        },
        { faults: { [fault]: 1 } },
      )
      const name = fault === 'fail' ? 'StoreUnavailable' : 'AnswerLost'
      assert.deepEqual([...seen].sort(), [...stored.map((each) => `${each} ${name}`), '1 '].sort(), fault)
    }
  })

  it('find the writer that takes a lost answer for a failure, and tries again [races: G1]', async () => {
    const failure = await failureOf(
      async (world) => {
        const driver = world.driver(memoryDriver())
        const call = { now: world.clock.now(), signal: new AbortController().signal }
        await driver.open(call)
        const start = { key: x, version: '1.a', labels: [], value: number(0), expiresAt: never, touchedAt: 0 }
        await driver.create(start, call)
        let stamp = 0
        const read = async () => (await driver.read([x], { expired: false, strict: true }, call))[0]!
        const add = async (): Promise<void> => {
          const { version, value } = await read()
          const n = Number(Buffer.from(value).toString())
          await driver.replace(
            {
              ...start,
              expected: version,
              version: `2.${++stamp}`,
              value: number(n + 1),
              setsExpiry: false,
              expired: false,
            },
            call,
          )
        }
        return {
          tasks: { A: () => add().catch(add) },
          check: async () => assert.equal(Buffer.from((await read()).value).toString(), '1'),
        }
      },
      { faults: { loseAnswer: 1 } },
    )
    assert.deepEqual(failure.steps.slice(0, 2), [
      'task A: read sessions/x → v1',
      'task A: replace sessions/x v1 by v2 → carried out, and the answer is lost',
    ])
  })

  it('do not fool the guard [races: G1 K2 K3]', async () => {
    const make: ScenarioMaker = async (world) => {
      const store = storeIn(world)
      await store.create({ key: x, value: number(0), expiresAt: never })
      let sure = 0
      let unsure = 0
      const add = async (): Promise<void> => {
        const { n, version } = await numberAt(store, x)
        const rewrite = { key: x, expected: version, value: number(n + 1), expiresAt: never }
        const written = await store.replace(rewrite).catch((error: unknown) => {
          if (error instanceof OutcomeUnknown) return { status: 'unknown' }
          throw error
        })
        if (written.status === 'done') sure++
        if (written.status === 'unknown') unsure++
      }
      return {
        tasks: { A: add, B: add },
        check: async () => {
          const { n } = await numberAt(store, x)
          assert.ok(n >= sure && n <= sure + unsure, `${n} with ${sure} done and ${unsure} unknown`)
        },
      }
    }
    for (const faults of [
      { loseAnswer: 2 },
      { late: 1, loseAnswer: 1 },
      { late: 1, fail: 1 },
      { loseRequest: 2 },
    ]) {
      const { complete, schedules } = await exploreSchedules(make, { faults, reduction: 'independent' })
      assert.ok(complete && schedules > 10)
    }
  })
})

describe('the reduction to independent steps', () => {
  it('runs one order of steps that cannot influence each other', async () => {
    assert.equal((await exploreSchedules(readers('ABC', 6), { reduction: 'independent' })).schedules, 1)
    const apart = await exploreSchedules(writers([x, y]), { reduction: 'independent' })
    assert.equal(apart.schedules, 1)
  })

  it('runs every order of those that can', async () => {
    // Three touches each, of one record: the ways to choose which three of six are the first task's.
    const together = await exploreSchedules(writers([x, x]), { reduction: 'independent' })
    assert.deepEqual([together.schedules, together.complete], [20, true])
  })

  it('finds what the search of all orders finds', async () => {
    const failure = await failureOf(adders('ABC', false), { reduction: 'independent' })
    assert.ok(failure.steps.length <= 6)
  })

  it('meets every final state that the search of all orders meets, with crashes and faults too', async () => {
    const action = fc.record({
      what: fc.constantFrom('create', 'replace', 'remove', 'read', 'list'),
      key: fc.constantFrom(x, y),
    })
    const tasks = fc.array(fc.array(action, { minLength: 1, maxLength: 2 }), { minLength: 2, maxLength: 2 })
    const budget = fc.constantFrom<ExploreOptions>(
      {},
      { crashes: 1 },
      { faults: { loseRequest: 1 } },
      { crashes: 2 },
    )
    await fc.assert(
      fc.asyncProperty(tasks, budget, async (plan, options) => {
        const all = await finalStates(plan, options)
        const reduced = await finalStates(plan, { ...options, reduction: 'independent' })
        assert.deepEqual([...reduced.states].sort(), [...all.states].sort())
        assert.ok(reduced.schedules <= all.schedules)
      }),
      { numRuns: 40, seed: 3 },
    )
  })

  function writers(keys: Key[]): ScenarioMaker {
    return async (world) => {
      const store = storeIn(world)
      const versions = new Map<Key, string>()
      for (const key of new Set(keys)) {
        const written = await store.create({ key, value: number(0), expiresAt: never })
        if (written.status === 'done') versions.set(key, written.version)
      }
      const touch = (key: Key) => async (): Promise<void> => {
        for (let i = 0; i < 3; i++) {
          await store.touch([{ key, version: versions.get(key) ?? '', expiresAt: never }])
        }
      }
      return { tasks: { A: touch(keys[0]!), B: touch(keys[1]!) }, check: () => undefined }
    }
  }

  async function finalStates(
    plan: readonly (readonly { what: string; key: Key }[])[],
    options: ExploreOptions,
  ): Promise<{ states: Set<string>; schedules: number }> {
    const states = new Set<string>()
    const make: ScenarioMaker = async (world) => {
      const driver = world.driver(memoryDriver())
      const call = { now: world.clock.now(), signal: new AbortController().signal }
      await driver.open(call)
      const everything = {
        collection: 'sessions',
        labels: [],
        limit: 10,
        values: true,
        reverse: false,
        expired: true,
      }
      const run = (actions: (typeof plan)[number], name: string) => async (): Promise<string> => {
        const seen: string[] = []
        let stamp = 0
        for (const { what, key } of actions) {
          const version = `1.${name}${stamp++}`
          const record = { key, version, labels: [], value: number(1), expiresAt: never, touchedAt: 0 }
          const answer = await Promise.resolve(act(what, record)).catch(
            (error: unknown) => (error as Error).name,
          )
          seen.push(String(answer))
        }
        return seen.join()
      }
      const act = async (what: string, record: Parameters<typeof driver.create>[0]): Promise<unknown> => {
        const { key } = record
        if (what === 'create') return await driver.create(record, call)
        if (what === 'remove') {
          await driver.remove([key], call)
          return 'removed'
        }
        if (what === 'list')
          return (await driver.list(everything, call)).records.map(({ version }) => version)
        const [found] = await driver.read([key], { expired: true, strict: true }, call)
        if (what === 'read') return found?.version
        return await driver.replace(
          { ...record, expected: found?.version ?? '', setsExpiry: false, expired: false },
          call,
        )
      }
      return {
        tasks: Object.fromEntries(plan.map((actions, i) => [`${i}`, run(actions, `${i}x`)])),
        check: async (ends) => {
          const { records } = await driver.list(everything, call)
          const stored = records.map(({ key, version }) => `${key.id}=${version}`).join()
          states.add(`${stored} ${JSON.stringify(ends)}`)
        },
      }
    }
    const { schedules, complete } = await exploreSchedules(make, options)
    assert.ok(complete)
    return { states, schedules }
  }
})
