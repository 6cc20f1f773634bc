/** The same scenarios played to express-session and to the drop-in: a client can't tell them apart. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import theirs from 'express-session'
import session from 'holdfast/express'
import { memoryStore } from 'holdfast/memory'
import { makeStore } from './express/map-store.ts'
import { ofCopies, ofOtherStores } from './express/object-scenarios.ts'
import { type Library, play, type Scenario } from './express/playing.ts'
import { ofResponses } from './express/response-scenarios.ts'
import { ofCookies, ofOptions } from './express/scenarios.ts'
import { ofSessions, ofStores } from './express/session-scenarios.ts'

const ours = session as unknown as Library

const scenarios = {
  'its options': ofOptions,
  'its cookies': ofCookies,
  'its sessions': ofSessions,
  'copies of its sessions': ofCopies,
  'its stores': ofStores,
  'stores of every kind': ofOtherStores,
  'its responses': ofResponses,
}

for (const [title, list] of Object.entries(scenarios)) {
  describe(`what express-session does with ${title}`, () => {
    for (const scenario of list) it(scenario.name, () => compare(scenario))
  })
}

describe('docs/express.md', () => {
  it('tells of each difference that is meant', () => {
    const page = readFileSync(new URL('../../docs/express.md', import.meta.url), 'utf8').replaceAll(
      /\s+/g,
      ' ',
    )
    const reasons = Object.values(scenarios).flatMap((list) => list.flatMap(({ differs = [] }) => differs))
    assert.deepEqual(
      reasons.filter((each) => !page.includes(`- ${each}`)),
      [],
    )
  })
})

async function compare(scenario: Scenario): Promise<void> {
  const { stores = ['memory', 'callbacks'] } = scenario
  if (stores.includes('memory')) {
    const expected = await play(scenario, theirs, () => new theirs.MemoryStore())
    check(scenario, 'MemoryStore', await play(scenario, ours, () => new session.MemoryStore()), expected)
    if (scenario.differs === undefined && !scenario.isOfMemoryStore) {
      // What a client sees: nobody counts what a Holdfast store is asked.
      const seen = await play(scenario, ours, () => memoryStore())
      check(scenario, 'a Holdfast store', visible(seen), visible(expected))
    }
  }
  if (stores.includes('callbacks')) {
    const expected = await play(scenario, theirs, () => makeStore(theirs))
    check(scenario, 'a store with callbacks', await play(scenario, ours, () => makeStore(ours)), expected)
  }
}

function check(
  { differs }: Scenario,
  store: string,
  seen: readonly string[],
  expected: readonly string[],
): void {
  if (differs === undefined) assert.deepEqual(seen, expected, store)
  else assert.notDeepEqual(seen, expected, 'it is the same, although it is meant to differ')
}

/** Without the lines that tell what the store was asked. */
function visible(transcript: readonly string[]): readonly string[] {
  return transcript.filter((line) => line.startsWith('/'))
}
