/** How long to wait before a change that lost to another one is tried again. */

/**
 * Random, so that those who met don't meet again, and growing up to a bound.
 *
 * @param attempt How many tries have failed before, from 0.
 * @returns whole milliseconds; 0 for the first.
 */
export function jittered(attempt: number): number {
  if (attempt === 0) return 0
  return Math.ceil(Math.random() * Math.min(50, 2 ** attempt))
}
