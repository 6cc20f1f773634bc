import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Duration, longestDuration, milliseconds } from '../packages/holdfast/src/duration.ts'
import { InvalidDuration } from '../packages/holdfast/src/errors.ts'

describe('milliseconds', () => {
  it('takes milliseconds and texts with a unit [T4]', () => {
    const cases: [Duration, number][] = [
      [0, 0],
      [1_500, 1_500],
      ['0s', 0],
      ['500ms', 500],
      ['90s', 90_000],
      ['1.5s', 1_500],
      ['30m', 1_800_000],
      ['12h', 43_200_000],
      ['14d', 1_209_600_000],
      ['2w', 1_209_600_000],
      ['0.001s', 1],
      ['365000d', longestDuration],
    ]
    for (const [duration, expected] of cases) assert.equal(milliseconds(duration), expected, String(duration))
  })

  it('refuses everything else, and says what it was for [T4]', () => {
    const bad = [
      -1,
      0.5,
      Number.NaN,
      Infinity,
      longestDuration + 1,
      '',
      's',
      '5',
      '5 m',
      '-5m',
      '5M',
      '1e3s',
      '5m ',
      ' 5m',
    ]
    const worse = [
      '5m5s',
      '5y',
      '+5m',
      '٥m',
      '5.m',
      '.5m',
      '365001d',
      '9999999999999s',
      undefined,
      null,
      {},
      [],
      true,
      ['5m'],
    ]
    for (const each of [...bad, ...worse]) {
      assert.throws(
        () => milliseconds(each as Duration, 'idle'),
        (error: Error) => error instanceof InvalidDuration && error.message.startsWith('idle must be'),
        JSON.stringify(each),
      )
    }
  })

  it('gives whole milliseconds, whatever fraction is written', () => {
    const number = fc.tuple(fc.nat(1_000), fc.nat(999_999)).map(([whole, rest]) => `${whole}.${rest}`)
    fc.assert(
      fc.property(number, fc.constantFrom('ms', 's', 'm', 'h', 'd', 'w'), (text, unit) => {
        assert.ok(Number.isSafeInteger(milliseconds(`${text}${unit}` as Duration)))
      }),
    )
  })
})
