/** Every order of the steps by which the Redis driver keeps records findable by their labels. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TestContext } from 'node:test'
import { type Rule, type Scene, search, wholeRule } from './redis-index.ts'

/** Searches a scene, prints how much was searched, and answers with the schedule that breaks it, if any. */
function broken(t: TestContext, scene: Scene): readonly string[] | undefined {
  const { schedules, states, unfindable } = search(scene)
  t.diagnostic(
    `${schedules} schedules, ${states} states${unfindable ? `; broken: ${unfindable.join(', ')}` : ''}`,
  )
  return unfindable
}

function without(...lines: readonly (keyof Rule)[]): Rule {
  return { ...wholeRule, ...Object.fromEntries(lines.map((line) => [line, false])) }
}

describe('the earlier drafts of the index, each broken by some schedule', () => {
  it('record first, and a crash before the index [races: F1]', (t) => {
    assert.ok(broken(t, { rule: without('indexFirst'), roles: ['create'], crashes: 1 }))
  })

  it('index first, repaired on read while the creator is between its steps [races: F2]', (t) => {
    const rule = without('deadline', 'waits', 'compares')
    assert.ok(broken(t, { rule, roles: ['create', 'repair'] }))
  })

  it('a label dropped by one writer, added by the next, and the late removal of the first [races: F3]', (t) => {
    const rule = without('writersKeep')
    assert.ok(broken(t, { rule, roles: ['drop', 'add'], record: { labelled: true } }))
  })

  it('touch of the record, a crash before the index, and a pruning by score [races: F4]', (t) => {
    const record = { labelled: true, expiresAt: 1 }
    assert.ok(broken(t, { rule: wholeRule, roles: ['touch', 'prune'], record, crashes: 1, ticks: 1 }))
  })
})

/** Scenes in which the whole rule holds; together they need each of its lines. */
const scenes = {
  creating: { roles: ['create', 'repair', 'repair'], ticks: 6, crashes: 1 },
  changing: { roles: ['drop', 'add', 'repair', 'repair'], record: { labelled: true }, ticks: 5, crashes: 1 },
  recreating: {
    roles: ['remove', 'create', 'create', 'repair'],
    record: { labelled: true },
    ticks: 5,
    crashes: 1,
  },
  failingOver: { roles: ['create', 'create', 'repair'], ticks: 6, stepsBack: 1 },
} satisfies Record<string, Omit<Scene, 'rule'>>

describe('promises: no schedule leaves a record unfindable', () => {
  it('a creator, two repairers, a crash [races: F5]', (t) => {
    assert.equal(broken(t, { rule: wholeRule, ...scenes.creating }), undefined)
  })

  it('one who drops the label, one who adds it, two repairers, a crash [races: F5]', (t) => {
    assert.equal(broken(t, { rule: wholeRule, ...scenes.changing }), undefined)
  })

  it('a sweeper, two creators of the same key, a repairer, a crash [races: F6]', (t) => {
    assert.equal(broken(t, { rule: wholeRule, ...scenes.recreating }), undefined)
  })

  it("two creators, a repairer, and a fail-over by which the label's clock goes back [races: F6]", (t) => {
    assert.equal(broken(t, { rule: wholeRule, ...scenes.failingOver }), undefined)
  })
})

describe('promises: each line of the protocol is needed', () => {
  const needed: readonly (readonly [keyof Rule, string, keyof typeof scenes])[] = [
    ['deadline', 'a record written after its promise has lapsed', 'creating'],
    ['waits', 'a repair under a running promise', 'creating'],
    ['readsAfter', 'a repairer who read the record before the promise had lapsed', 'creating'],
    ['allowsDrift', 'two servers whose clocks differ', 'creating'],
    ['compares', 'an entry that was promised again meanwhile', 'changing'],
    ['renews', 'a second promise with the stamp of the first', 'changing'],
    ['monotone', 'a deadline that moved back', 'failingOver'],
    ['writersKeep', 'a writer who takes out what the next one has entered', 'changing'],
  ]
  for (const [line, what, scene] of needed) {
    it(`without "${line}": ${what}`, (t) => {
      assert.ok(broken(t, { rule: without(line), ...scenes[scene] }), 'the search found nothing wrong')
    })
  }
})
