/** What happens around the operations: time goes on, the store is opened again, calls fail. */

import { never } from '../../../store/record.ts'
import type { Fault } from '../../faults.ts'
import type { Arbitrary, FastCheck } from '../fast-check.ts'
import type { Command, Model, Real } from '../model.ts'

/** Where a move of the clock leads: by milliseconds, or to a border of what is stored. */
type Move =
  number | 'the next expiry' | '1 ms before the next expiry' | 'the next sweep' | '1 ms before the next sweep'

export function moveCommand(fc: FastCheck): Arbitrary<Command> {
  const moves: Move[] = [
    'the next expiry',
    '1 ms before the next expiry',
    'the next sweep',
    '1 ms before the next sweep',
    1,
    40,
    4_000_000,
    -5,
  ]
  return fc.constantFrom(...moves).map((move) => {
    const text = typeof move === 'number' ? `the clock moves by ${move} ms` : `the clock moves to ${move}`
    return {
      check: () => true,
      async run(model, real) {
        model.steps.push(text)
        real.clock.set(target(model, real, move))
        model.keep(text, undefined, (state) => [state])
      },
      toString: () => text,
    }
  })
}

function target(model: Model, { clock, store }: Real, move: Move): number {
  const now = clock.now()
  if (typeof move === 'number') return now + move
  const margin = move.endsWith('sweep') ? store.margin : 0
  const early = move.startsWith('1 ms') ? 1 : 0
  const borders = [...(model.states[0]?.values() ?? [])]
    .filter(({ expiresAt }) => expiresAt < never)
    .map(({ expiresAt }) => expiresAt + margin - early)
    .filter((border) => border > now)
  return borders.length === 0 ? now : Math.min(...borders)
}

export function reopenCommand(fc: FastCheck): Arbitrary<Command> {
  return fc.constantFrom('the store is closed and opened again').map((text) => ({
    check: () => true,
    async run(model, real) {
      if (!real.canReopen) return
      model.steps.push(text)
      // A cursor is good for the store that made it, and need not survive it.
      model.listing = undefined
      await real.reopen()
    },
    toString: () => text,
  }))
}

export function faultCommand(fc: FastCheck): Arbitrary<Command> {
  const fault = fc.constantFrom<Fault | undefined>('loseAnswer', 'loseRequest', 'fail', undefined)
  return fc.array(fault, { minLength: 1, maxLength: 6 }).map((faults) => {
    const text = `the next calls suffer: ${faults.map((each) => String(each ?? 'nothing')).join(', ')}`
    return {
      check: () => true,
      async run(model, real) {
        model.steps.push(text)
        real.arm(...faults)
      },
      toString: () => text,
    }
  })
}
