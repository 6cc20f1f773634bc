/** The steps of a history: what to do to every store, in words that mean the same for all of them. */

import fc from 'fast-check'
import { type Label, never } from '../../../packages/holdfast/src/store/record.ts'

/** Which version a write expects: the one that is there, the one before, or one that was never there. */
export type Expected = 'current' | 'outdated' | 'foreign'

/** A key: one of two collections, and an id. */
export interface Where {
  readonly collection: 'sessions' | 'tokens'
  readonly id: string
}

interface Written {
  readonly value: ValueName
  /** Milliseconds from now, or `never`. */
  readonly life: number
  /** Milliseconds from now to when it was last used. */
  readonly use: number
}

export interface Create extends Written {
  readonly do: 'create'
  readonly key: Where
  readonly labels: readonly Label[]
}

export interface Replace extends Written {
  readonly do: 'replace'
  readonly key: Where
  readonly expected: Expected
  /** null: left alone. */
  readonly labels: readonly Label[] | null
  readonly setsExpiry: boolean
  readonly expired: boolean
}

export interface Touch {
  readonly do: 'touch'
  readonly keys: readonly Where[]
  readonly expected: Expected
  readonly life: number
  readonly use: number
}

/** One step. */
export type Step =
  | Create
  | Replace
  | Touch
  | { readonly do: 'write'; readonly items: readonly (Create | Replace | Touch)[] }
  | {
      readonly do: 'read'
      readonly keys: readonly Where[]
      readonly expired: boolean
      readonly strict: boolean
    }
  | {
      readonly do: 'list'
      readonly collection: Where['collection']
      readonly labels: readonly Label[]
      readonly limit: number
      readonly reverse: boolean
      readonly expired: boolean
      readonly values: boolean
    }
  | {
      readonly do: 'count'
      readonly collection: Where['collection']
      readonly labels: readonly Label[]
      readonly atMost: number
    }
  | { readonly do: 'scan'; readonly of: number; readonly limit: number; readonly expired: boolean }
  | { readonly do: 'sweep'; readonly limit: number }
  | { readonly do: 'remove'; readonly keys: readonly Where[] }
  /** The clock moves on. */
  | { readonly do: 'move'; readonly ms: number }

/** What the expired are kept for, in milliseconds. */
export const margin = 60_000

/** The longest value of the stores, and the longest unless configured. */
export const maxValue = 524_288
const usualValue = 65_536

/** Values, by names that a report can show. */
export const values = {
  text: Buffer.from('{"a":1}'),
  other: Buffer.from('{"a":2}'),
  empty: Buffer.alloc(0),
  zero: Buffer.from([0]),
  every: Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i)),
  longest: Buffer.from(Uint8Array.from({ length: usualValue }, byteAt)),
  greatest: Buffer.from(Uint8Array.from({ length: maxValue }, byteAt)),
} as const

function byteAt(_: unknown, i: number): number {
  return (i * 7 + (i >> 8)) & 0xff
}

export type ValueName = keyof typeof values

/** In this order neither as bytes nor as a locale would sort them; two are equal for one that ignores case. */
export const ids: readonly string[] = [
  'a',
  'A',
  '~',
  '_',
  '-',
  'Z',
  'aB',
  'a-',
  '10',
  '9',
  'x'.repeat(120),
  `${'x'.repeat(119)}X`,
]

/**
 * Equal for a careless collation, escaping or normalisation, cut at the same place, ordered otherwise by UTF-16 units
 * than by bytes.
 */
export const labels: readonly Label[] = [
  'user:ada',
  'user:Ada',
  'user:ada ',
  'user: ada',
  'user:\u00E9',
  'user:e\u0301',
  'user:\u00DF',
  'user:ss',
  'tenant:\u{1F600}',
  'tenant:\uFF5E',
  'tenant:a\u0001\u007F\uFFFD',
  `tenant:%'"\\;--{}*?[]$.\n\r\t`,
  `tenant:${'x'.repeat(199)}`,
  `tenant:${'x'.repeat(199)}y`,
  `tenant:${'\u{1F600}'.repeat(50)}`,
  `${'l'.repeat(32)}:a:b:c`,
]

const key: fc.Arbitrary<Where> = fc.record({
  collection: fc.constantFrom('sessions', 'sessions', 'sessions', 'tokens'),
  // A few that meet often, and the others.
  id: fc.oneof(
    { arbitrary: fc.constantFrom('a', 'A', '~'), weight: 2 },
    { arbitrary: fc.constantFrom(...ids), weight: 1 },
  ),
})
const keys = fc.uniqueArray(key, {
  minLength: 1,
  maxLength: 4,
  selector: ({ collection, id }) => `${collection}/${id}`,
})
const carried = fc.oneof(
  { arbitrary: fc.subarray([...labels], { maxLength: 3 }), weight: 9 },
  { arbitrary: fc.constant([...labels]), weight: 1 },
)
const wanted = fc.subarray([...labels], { maxLength: 2 })
const written = {
  value: fc.constantFrom<ValueName>('text', 'text', 'other', 'other', 'empty', 'zero', 'every', 'longest'),
  life: fc.constantFrom(100, 1, 0, 10, 1_000, 3_600_000, never),
  use: fc.constantFrom(0, -5, 5),
}
const expected = fc.constantFrom<Expected>('current', 'current', 'current', 'current', 'outdated', 'foreign')
const flag = fc.boolean()

const create: fc.Arbitrary<Create> = fc.record({
  do: fc.constant('create'),
  key,
  labels: carried,
  ...written,
})
const replace: fc.Arbitrary<Replace> = fc.record({
  do: fc.constant('replace'),
  key,
  expected,
  labels: fc.option(carried),
  setsExpiry: flag,
  expired: fc.constantFrom(false, false, true),
  ...written,
})
const touch: fc.Arbitrary<Touch> = fc.record({
  do: fc.constant('touch'),
  keys,
  expected,
  life: written.life,
  use: written.use,
})
const touchOne: fc.Arbitrary<Touch> = touch.map((step) => ({ ...step, keys: step.keys.slice(0, 1) }))

const write = fc.record({
  do: fc.constant('write' as const),
  items: fc.uniqueArray(fc.oneof(create, replace, touchOne), {
    minLength: 1,
    maxLength: 4,
    selector: (item) => JSON.stringify(item.do === 'touch' ? item.keys[0] : item.key),
  }),
})

const limit = fc.constantFrom(100, 1, 2, 3)
const collection = fc.constantFrom<Where['collection']>('sessions', 'sessions', 'tokens')

const reads = [
  fc.record({ do: fc.constant('read' as const), keys, expired: flag, strict: flag }),
  fc.record({ do: fc.constant('read' as const), keys, expired: flag, strict: flag }),
  fc.record({
    do: fc.constant('list' as const),
    collection,
    labels: wanted,
    limit,
    reverse: flag,
    expired: flag,
    values: flag,
  }),
  fc.record({
    do: fc.constant('count' as const),
    collection,
    labels: wanted,
    atMost: fc.constantFrom(1_000, 1, 2),
  }),
]

const rest = [
  fc.record({ do: fc.constant('remove' as const), keys }),
  // To the borders of the lives above, and one millisecond before and after.
  fc.record({
    do: fc.constant('move' as const),
    ms: fc.constantFrom(1, 9, 10, 89, 90, 100, 900, margin - 1, margin, 3_600_000),
  }),
]

/** What takes most stores long: to go through all that there is. */
const walks = [
  fc.record({ do: fc.constant('scan' as const), of: fc.constantFrom(1, 3), limit, expired: flag }),
  fc.record({ do: fc.constant('sweep' as const), limit }),
]

/** Any step; with `batches`, all-or-none writes too. */
export function anyStep({ batches }: { readonly batches: boolean }): fc.Arbitrary<Step> {
  const writes = [create, create, replace, replace, touch, ...(batches ? [write, write] : [])]
  return fc.oneof(
    { arbitrary: fc.oneof(...writes), weight: 22 },
    { arbitrary: fc.oneof(...reads), weight: 16 },
    { arbitrary: fc.oneof(...rest), weight: 7 },
    { arbitrary: fc.oneof(...walks), weight: 2 },
  )
}

/** A line of a report. */
export function described(step: Step): string {
  const { do: what, ...rest } = step
  return `${what} ${JSON.stringify(rest, (_, value: unknown) =>
    value === never ? 'never' : typeof value === 'string' ? value.replace(/(.)\1{20,}/gu, shortened) : value,
  )}`
}

function shortened(run: string, character: string): string {
  return `(${run.length / character.length} × ${character})`
}
