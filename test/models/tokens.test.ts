/** Random sequences of everything that can be done to tokens, on several stores, with faults. */

import { describe, it } from 'node:test'
import { calm, play, stormy } from './play.ts'
import { inMemory, inTiers, onEachServer, onSqlite } from './stores.ts'
import { kinds, type Step, TokenModel } from './token-model.ts'

const first: Step = { kind: 'issue', which: 1, how: 1 }

/** What needs a listing that is complete. */
const listing: ReadonlySet<string> = new Set(['list', 'revoke all', 'revocations'])

describe('tokens, whatever is done to them', () => {
  const memory = (): TokenModel => new TokenModel(...inMemory())
  const inOrder = (): TokenModel => {
    const [driver, options] = inMemory()
    return new TokenModel(driver, { ...options, declare: { atomicBatch: false } })
  }

  it('keep their promises in memory', () => play(memory, first, calm(kinds), 150))

  it('keep their promises in memory, with faults', () => play(memory, first, stormy(kinds), 200))

  it('keep their promises in memory without atomic batches, with faults', () =>
    play(inOrder, first, stormy(kinds), 200))

  it('keep their promises on SQLite, with faults', () =>
    play(() => new TokenModel(...onSqlite()), first, stormy(kinds), 20))

  it('keep their promises over two caches, with faults [D41 D44 K11]', () =>
    play(() => new TokenModel(...inTiers()), first, stormy(kinds), 200))

  onEachServer('keep their promises, with faults', (_, make, { lists }) => {
    const possible = kinds.filter((kind) => lists || !listing.has(kind))
    return play(() => new TokenModel(...make()), first, stormy(possible), 3)
  })
})
