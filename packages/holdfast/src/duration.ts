/** Durations as people write them. Bare seconds are never accepted: a number is milliseconds. */

import { InvalidDuration } from './errors.ts'

/**
 * A length of time: a whole number of milliseconds, or a number with a unit, such as `'500ms'`, `'90s'`,
 * `'30m'`, `'12h'`, `'14d'` or `'2w'`.
 */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

const written = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d|w)$/

/** No duration is longer than this: 1,000 years. A longer one is a mistake, such as microseconds. */
export const longestDuration = 1_000 * 365 * units.d

/**
 * Gives a duration in whole milliseconds.
 *
 * @param duration A `Duration`; strings are checked, so anything that came from outside may be passed.
 * @param name What to call it in the error.
 * @throws {InvalidDuration} when it is not one, is negative, or is longer than 1,000 years.
 */
export function milliseconds(duration: Duration, name = 'duration'): number {
  const ms = typeof duration === 'number' ? duration : parse(duration)
  if (ms === undefined || !Number.isSafeInteger(ms) || ms < 0 || ms > longestDuration) {
    throw new InvalidDuration(
      `${name} must be a whole number of milliseconds or a text such as '90s', '30m', '12h' or '14d', ` +
        `not ${JSON.stringify(duration)}`,
    )
  }
  return ms
}

function parse(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined
  const match = written.exec(text)
  if (!match) return undefined
  return Math.round(Number(match[1]) * units[match[2] as keyof typeof units])
}
