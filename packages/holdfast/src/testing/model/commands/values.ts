/** The values that commands are made up of: few, so that they meet, and awkward, so that they part. */

import { type Key, type Label, never, type Version } from '../../../store/record.ts'
import type { Arbitrary, FastCheck } from '../fast-check.ts'
import type { Model } from '../model.ts'
import { keyText } from '../../../store/record.ts'

const collections = ['sessions', 'tokens']
/** In this order neither as bytes nor as a locale would sort them. */
const ids = ['a', 'B', '_', '~0', '-', '10', '9']
/**
 * Equal for a careless collation or normalisation, cut at the same place, ordered otherwise by UTF-16 units than by
 * bytes.
 */
const labels: Label[] = [
  'user:ada',
  'user:Ada',
  'user:ada ',
  'user:\u00E9',
  'user:e\u0301',
  'tenant:\u{1F600}',
  'tenant:\uFF5E',
  `tenant:${'x'.repeat(199)}`,
  `tenant:${'x'.repeat(199)}y`,
]

export function anyCollection(fc: FastCheck): Arbitrary<string> {
  return fc.constantFrom(...collections)
}

export function anyKey(fc: FastCheck): Arbitrary<Key> {
  const keys = ids.flatMap((id) => collections.map((collection) => ({ collection, id })))
  return fc.constantFrom(...keys)
}

/** Distinct keys. */
export function anyKeys(fc: FastCheck, maxLength: number): Arbitrary<Key[]> {
  const keys = ids.flatMap((id) => collections.map((collection) => ({ collection, id })))
  return fc.subarray(keys, { minLength: 1, maxLength })
}

export function anyLabels(fc: FastCheck): Arbitrary<Label[]> {
  return fc.subarray(labels, { maxLength: 3 })
}

/** What to list by: mostly nothing or one label, so that something is found. */
export function anyWanted(fc: FastCheck): Arbitrary<Label[]> {
  return fc.subarray(labels, { maxLength: 2 })
}

/** Milliseconds until the expiry; 0 is expired at once. */
export function anyLife(fc: FastCheck): Arbitrary<number> {
  return fc.constantFrom(100, 1, 0, 50, 1_000, 3_600_000, never)
}

export function expiryAfter(life: number, now: number): number {
  return life === never ? never : now + life
}

/** Milliseconds from now to the time of use. */
export function anyUse(fc: FastCheck): Arbitrary<number> {
  return fc.constantFrom(0, -5, 5)
}

/** Which version a write expects. */
export type Expected = 'current' | 'outdated' | 'foreign'

export function anyExpected(fc: FastCheck): Arbitrary<Expected> {
  return fc.constantFrom<Expected>('current', 'current', 'current', 'outdated', 'foreign')
}

export function expectedVersion(model: Model, key: Key, expected: Expected): Version {
  if (expected === 'foreign') return '1.foreign'
  return (expected === 'outdated' ? model.outdated.get(keyText(key)) : undefined) ?? model.versionOf(key)
}

export function shownLife(life: number): string {
  return life === never ? 'for ever' : `for ${life} ms`
}

export function shownLabels(all: readonly Label[]): string {
  return all.length === 0 ? 'no labels' : all.map(shownLabel).join(' ')
}

function shownLabel(label: Label): string {
  return JSON.stringify(label.replace(/x{100,}/, ({ length }) => `(${length} × x)`))
}
