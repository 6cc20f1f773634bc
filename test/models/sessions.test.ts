/** Random sequences of everything that can be done to sessions, on several stores, with faults. */

import { describe, it } from 'node:test'
import { calm, play, stormy } from './play.ts'
import { kinds, SessionModel, type Step } from './session-model.ts'
import { inMemory, onEachRedis, onSqlite } from './stores.ts'

const first: Step = { kind: 'start', which: 1, how: 1 }

describe('sessions, whatever is done to them', () => {
  const memory = (): SessionModel => new SessionModel(...inMemory())

  it('keep their promises in memory', () => play(memory, first, calm(kinds), 300))

  it('keep their promises in memory, with faults', () => play(memory, first, stormy(kinds), 400))

  it('keep their promises on SQLite, with faults', () =>
    play(() => new SessionModel(...onSqlite()), first, stormy(kinds), 50))

  onEachRedis('keep their promises, with faults', (_, make) =>
    play(() => new SessionModel(...make()), first, stormy(kinds), 6),
  )
})
