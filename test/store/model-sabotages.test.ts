/** The model finds what careless drivers do, and says so in few words. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ModelFailure, storeModel, withFaults } from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { AnswerLost, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type Sabotage, sabotaged, sabotages } from '../testing/sabotages.ts'

/** What no sequence of the model can show: it needs other sizes, another namespace, two callers, a watch, a real clock. */
const beyond =
  /^watch|^values|namespaces|capabilities|waits and writes|two sweepers|clock of the server|any cursor|first character|one shard/

for (const [name, sabotage] of Object.entries(sabotages)) {
  if (beyond.test(name)) continue
  it(`finds that ${name}`, async () => {
    const failure = await failureWith(sabotage)
    assert.ok(failure, 'nothing was found')
    assert.ok(failure.steps.length <= 8, `takes ${failure.steps.length} steps to show:\n${failure.message}`)
  })
}

describe('with faults', () => {
  it('finds a driver that takes a lost answer for a failure', async () => {
    const lying: Sabotage = {
      caught: /./,
      breaks: (driver) => ({
        async replace(replacement, call) {
          try {
            return await driver.replace(replacement, call)
          } catch (error) {
            throw error instanceof AnswerLost ? new StoreUnavailable('the connection was cut') : error
          }
        },
      }),
    }
    const failure = await failureWith(lying, { faults: true })
    assert.ok(failure, 'nothing was found')
    assert.ok(failure.steps.length <= 5, failure.message)
    assert.ok(failure.steps.some((step) => /^the next calls suffer: .*loseAnswer/.test(step)))
  })

  it('finds a store that gives up what it could settle', async () => {
    await assert.rejects(
      storeModel(fc, {
        runs: 500,
        seed: 7,
        make: ({ clock, namespace }) => ({
          // Faults that the model did not ask for explain nothing.
          store: guard(
            withFaults(memoryDriver(), { plan: [{ operation: 'create', fault: 'loseRequest' }] }),
            { clock, namespace },
          ),
        }),
      }),
      /OutcomeUnknown|could not be settled/,
    )
  })
})

describe('the report', () => {
  it('is the shortest sequence, and what was answered', async () => {
    const failure = await failureWith(sabotages['replace does not look at the version']!)
    assert.match(failure?.message ?? '', /^replace \S+ at the foreign version .* was answered .*"done"/)
    assert.match(failure?.steps.at(-1) ?? '', /^replace /)
    assert.match(failure?.message ?? '', /\n {2}1\. create .*\nrepeat with seed: 7, path: '\d+'$/s)
  })

  it('can be repeated', async () => {
    const failure = await failureWith(sabotages['touch shortens']!)
    const path = /path: '(\d+)'/.exec(failure?.message ?? '')?.[1]
    assert.ok(path)
    const again = await failureWith(sabotages['touch shortens']!, { path, runs: 1 })
    assert.equal(again?.steps.length, failure?.steps.length)
  })
})

async function failureWith(
  sabotage: Sabotage,
  options: { runs?: number; path?: string; faults?: boolean } = {},
): Promise<ModelFailure | undefined> {
  try {
    await storeModel(fc, {
      runs: 1_000,
      seed: 7,
      ...options,
      make: ({ clock, namespace, wrap }) => ({
        store: guard(sabotaged(wrap(memoryDriver({ namespace })), sabotage), {
          clock,
          namespace,
          circuit: false,
        }),
      }),
    })
  } catch (error) {
    if (error instanceof ModelFailure) return error
    throw error
  }
  return undefined
}
