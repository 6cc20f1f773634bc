/** Histories along the borders, with what every store must answer. */

import { compareBytes, never } from '../../../packages/holdfast/src/store/record.ts'
import {
  type Create,
  ids,
  labels,
  margin,
  type Replace,
  type Step,
  type Touch,
  type ValueName,
} from './step.ts'

/** A step, and its answer where that is the point. */
export type Line = readonly [step: Step, answer?: unknown]

const key = { collection: 'sessions', id: 'a' } as const

function create(given: Partial<Create> = {}): Create {
  return { do: 'create', key, value: 'text', labels: ['user:ada'], life: 10, use: 0, ...given }
}

function replace(given: Partial<Replace> = {}): Replace {
  const how = { expected: 'current', labels: null, setsExpiry: false, expired: false } as const
  return { do: 'replace', key, value: 'other', life: 10, use: 0, ...how, ...given }
}

function touch(life: number, given: Partial<Touch> = {}): Touch {
  return { do: 'touch', keys: [key], expected: 'current', life, use: 0, ...given }
}

function move(ms: number): Step {
  return { do: 'move', ms }
}

const list = {
  do: 'list',
  collection: 'sessions',
  labels: [],
  limit: 3,
  reverse: false,
  expired: false,
  values: true,
} as const
const count = { do: 'count', collection: 'sessions', labels: ['user:ada'], atMost: 100 } as const
const scan = { do: 'scan', of: 3, limit: 2, expired: true } as const
const sweep = { do: 'sweep', limit: 100 } as const
const read = { do: 'read', keys: [key], expired: false, strict: true } as const
const readEven = { ...read, expired: true } as const

function record(version: string, given: object = {}): object {
  const shown = {
    key: 'sessions/a',
    version,
    labels: ['user:ada'],
    value: 'text',
    expiresAt: '+10',
    touchedAt: '+0',
  }
  return { ...shown, ...given }
}

/** What a sweep answers that had to remove these, and has. */
function swept(...removed: readonly object[]): object {
  return { expected: removed, removed }
}

const born = { key: 'sessions/a', labels: ['user:ada'], expiresAt: '+10' }

/** One record of each id, or with each label. */
const manyIds = ids.map((id) => create({ key: { ...key, id }, life: 1_000 }))
const manyLabels = labels.map((label, i) =>
  create({ key: { ...key, id: `l${i}` }, labels: [label], life: never }),
)
const inOrder = [...ids].sort(compareBytes)

function shownId(id: string): object {
  const version = `v${ids.indexOf(id) + 1}`
  return record(version, { key: `sessions/${id}`, expiresAt: '+1000' })
}

/** The histories, by what they are about. */
export const histories: Readonly<Record<string, readonly Line[]>> = {
  'live until one millisecond before the expiry, and not at it': [
    [create(), 'done'],
    [move(9)],
    [read, [record('v1')]],
    [list, [record('v1')]],
    [count, 1],
    [create(), 'conflict'],
    [move(1)],
    [read, [undefined]],
    [readEven, [record('v1')]],
    [list, []],
    [{ ...list, expired: true }, [record('v1')]],
    [count, 0],
    [touch(100), ['gone']],
    [replace(), 'gone'],
    [create(), 'done'],
    [read, [record('v2', { expiresAt: '+20', touchedAt: '+10' })]],
  ],
  'an expired record is buried where it is, and only so': [
    [create({ life: 1 }), 'done'],
    [move(1)],
    [replace({ expired: true, expected: 'foreign' }), 'conflict'],
    [replace({ expired: true, labels: [], setsExpiry: true, value: 'empty' }), 'done'],
    [readEven, [record('v2', { labels: [], value: 'empty', expiresAt: '+11', touchedAt: '+1' })]],
    [replace({ expected: 'outdated' }), 'conflict'],
    [count, 0],
  ],
  'expired from the first moment': [
    [create({ life: 0 }), 'done'],
    [read, [undefined]],
    [create({ life: 0 }), 'done'],
    [create(), 'done'],
    [create(), 'conflict'],
    [count, 1],
  ],
  'never, which a touch or a save does not shorten, and no sweep finds': [
    [create({ life: never }), 'done'],
    [touch(10), ['done']],
    [replace({ life: 10, expected: 'current' }), 'done'],
    [move(3_600_000)],
    [sweep, swept()],
    [read, [record('v2', { value: 'other', expiresAt: 'never' })]],
    [replace({ life: 10, setsExpiry: true }), 'done'],
    [move(10)],
    [read, [undefined]],
  ],
  'a touch never shortens, never goes back and keeps the version': [
    [create({ life: 100, use: 5 }), 'done'],
    [touch(50, { use: 0 }), ['done']],
    [read, [record('v1', { expiresAt: '+100', touchedAt: '+5' })]],
    [touch(101, { use: 6 }), ['done']],
    [read, [record('v1', { expiresAt: '+101', touchedAt: '+6' })]],
    [replace({ life: 50, use: 0 }), 'done'],
    [read, [record('v2', { value: 'other', expiresAt: '+101', touchedAt: '+6' })]],
    [touch(500, { expected: 'outdated' }), ['conflict']],
  ],
  'swept at the margin after the expiry, and not a millisecond earlier': [
    [create(), 'done'],
    [move(10 + margin - 1)],
    [sweep, swept()],
    [readEven, [record('v1')]],
    [move(1)],
    [sweep, swept(born)],
    [readEven, [undefined]],
    [sweep, swept()],
    [replace({ expired: true }), 'gone'],
  ],
  'values of no bytes, of each byte, and of the greatest length': [
    ...(['empty', 'zero', 'every', 'longest', 'greatest', 'text'] as ValueName[]).flatMap(
      (value, i): Line[] => [
        [i === 0 ? create({ value }) : replace({ value, use: 0 }), 'done'],
        [read, [record(`v${i + 1}`, { value })]],
        [list, [record(`v${i + 1}`, { value })]],
      ],
    ),
  ],
  'ids in the order of their bytes, up to 120 characters': [
    ...manyIds.map((step): Line => [step, 'done']),
    [list, inOrder.map(shownId)],
    [{ ...list, reverse: true, limit: 1 }, inOrder.toReversed().map(shownId)],
    [count, ids.length],
    [scan],
  ],
  'labels that a collation, a normalisation or a cut would make one': [
    ...manyLabels.map((step): Line => [step, 'done']),
    ...labels.flatMap((label, i): Line[] => [
      [{ ...count, labels: [label] }, 1],
      [
        { ...list, labels: [label], limit: 1 },
        [record(`v${i + 1}`, { key: `sessions/l${i}`, labels: [label], expiresAt: 'never' })],
      ],
    ]),
  ],
  'sixteen labels, found by each and by all, and by none once they are taken off': [
    [create({ labels, life: never }), 'done'],
    [{ ...count, labels }, 1],
    ...labels.map((label): Line => [{ ...count, labels: [label] }, 1]),
    [replace({ labels: ['user:ada'] }), 'done'],
    [{ ...count, labels }, 0],
    [count, 1],
    [replace({ labels: [] }), 'done'],
    [count, 0],
    [{ ...count, labels: [] }, 1],
    [{ ...list, labels: [] }, [record('v3', { labels: [], value: 'other', expiresAt: 'never' })]],
  ],
}
