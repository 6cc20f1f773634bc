/** The same history played to every store that there is: all must answer alike, at every step. */

import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { StandingClock } from '../../packages/holdfast/src/testing/model/clock.ts'
import { type Sabotage, sabotaged, sabotages } from '../testing/sabotages.ts'
import { histories } from './differential/boundaries.ts'
import { disagreement } from './differential/play.ts'
import { Player } from './differential/player.ts'
import { Disagreement, Stage } from './differential/stage.ts'
import { described, margin, maxValue, type Step } from './differential/step.ts'
import { places } from './places.ts'

const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? 20_261_121)
const runs = process.env['HOLDFAST_TEST_LONG'] === '1' ? 500 : 18

describe('all stores', () => {
  let stage: Stage
  before(async () => {
    stage = await Stage.open(places)
  })
  after(() => stage.close())

  it('answer the same random history alike [T23 T26 K5 K60]', async (t) => {
    await assertAlike(t, stage.players, false)
  })

  it('answer the same random history alike, with batches of all or none [T26]', async (t) => {
    const players = stage.players.filter(({ store }) => store.capabilities.atomicBatch)
    await assertAlike(t, players, true)
  })

  for (const [name, lines] of Object.entries(histories)) {
    it(`agree on the boundaries: ${name} [T23 K5 K60 K28 K67]`, async () => {
      const answers = await stage.play(lines.map(([step]) => step))
      for (const [i, [step, expected]] of lines.entries()) {
        if (expected !== undefined)
          assert.deepEqual(answers[i]?.answer, expected, `${i + 1}. ${described(step)}`)
      }
    })
  }

  async function assertAlike(t: TestContext, players: readonly Player[], batches: boolean): Promise<void> {
    t.diagnostic(`seed ${seed}, ${runs} histories, over ${players.map(({ name }) => name).join(', ')}`)
    const wrong = await disagreement({ runs, seed, batches, play: (steps) => stage.play(steps, players) })
    if (!wrong) return
    if (!(wrong instanceof Disagreement)) throw wrong
    assert.fail(`${wrong.message}\nrepeat with HOLDFAST_TEST_SEED=${seed}`)
  }
})

/** What no history shows: it needs two callers, a watch, another namespace, a caller who changes what was handed out. */
const beyond =
  /^watch|^values|namespaces|capabilities|waits and writes|two sweepers|any cursor|offsets|first character|one shard/

/** All of them in the long run; else some, for all are found in the same way. */
const some = process.env['HOLDFAST_TEST_LONG'] === '1' ? 1 : 5
const shown = Object.entries(sabotages).filter(([name]) => !beyond.test(name))

describe('a store that is unlike the others', () => {
  for (const [name, sabotage] of shown.filter((_, i) => i % some === 0)) {
    it(`is told by a history: ${name}`, async () => {
      const wrong = await unlike(sabotage)
      assert.ok(wrong instanceof Disagreement, wrong?.stack ?? 'nothing was found')
      assert.ok(wrong.steps.length <= 20, wrong.message)
    })
  }
})

async function unlike(sabotage: Sabotage): Promise<Error | undefined> {
  return await disagreement({
    runs: 1_000,
    seed: 7,
    batches: true,
    play: (steps) => playAnew(sabotage, steps),
  })
}

/** With new stores: one that remembers earlier histories could not be brought down to the shortest. */
async function playAnew(sabotage: Sabotage, steps: readonly Step[]): Promise<void> {
  const clock = new StandingClock(Date.now())
  const drivers = [memoryDriver(), sabotaged(memoryDriver(), sabotage)]
  const players = drivers.map((driver, i) => {
    return new Player(['right', 'wrong'][i] ?? '', guard(driver, { clock, margin, maxValue }))
  })
  const stage = new Stage(clock, players)
  for (const { store } of players) await store.open()
  try {
    await stage.play(steps)
  } finally {
    await stage.close()
  }
}
