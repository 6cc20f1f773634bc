/** Random sequences of everything that can be done to sessions, on several stores, with faults. */

import { describe, it } from 'node:test'
import { calm, play, stormy } from './play.ts'
import { SessionModel } from './session-model.ts'
import { kinds, type Step } from './session-model/steps.ts'
import { inMemory, inTiers, onEachServer, onSqlite } from './stores.ts'

const first: Step = { kind: 'start', which: 1, how: 1 }

/** What needs a listing that is complete. */
const listing: ReadonlySet<string> = new Set(['list', 'revoke', 'revoke others'])

describe('sessions, whatever is done to them', () => {
  const memory = (): SessionModel => new SessionModel(...inMemory())

  it('keep their promises in memory', () => play(memory, first, calm(kinds), 300))

  it('keep their promises in memory, with faults', () => play(memory, first, stormy(kinds), 400))

  it('keep their promises on SQLite, with faults', () =>
    play(() => new SessionModel(...onSqlite()), first, stormy(kinds), 50))

  it('keep their promises over two caches, with faults [D41 D44 K11]', () =>
    play(() => new SessionModel(...inTiers()), first, stormy(kinds), 200))

  onEachServer('keep their promises, with faults', (_, make, { lists }) => {
    const possible = kinds.filter((kind) => lists || !listing.has(kind))
    return play(() => new SessionModel(...make()), first, stormy(possible), 4)
  })
})
