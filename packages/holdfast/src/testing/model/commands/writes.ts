/** The operations that change something. One whose outcome is unknown leaves both states possible. */

import type { Operation, Replacement, SweptBatch, Touch } from '../../../store/contract.ts'
import {
  type Key,
  keyText,
  type Label,
  orderedLabels,
  type StoredRecord,
  type Version,
} from '../../../store/record.ts'
import type {
  BatchItem,
  BatchWritten,
  Draft,
  Prolongation,
  Rewrite,
  Store,
  Written,
} from '../../../store/store.ts'
import type { Arbitrary, FastCheck } from '../fast-check.ts'
import type { Command, Model, Observed } from '../model.ts'
import {
  create,
  remove,
  replace,
  type State,
  type Step,
  sweepable,
  touchMany,
  untold,
  write,
} from '../reference.ts'
import { command } from './reads.ts'
import {
  anyExpected,
  anyKey,
  anyKeys,
  anyLabels,
  anyLife,
  anyUse,
  type Expected,
  expectedVersion,
  expiryAfter,
  shownLabels,
  shownLife,
} from './values.ts'

/** No sweep of the few records of a run takes more. */
const mostBatches = 500

/** One write before its time and versions are known. */
interface Plan {
  readonly text: string
  item(model: Model): BatchItem
}

function createPlan(key: Key, labels: Label[], life: number, value: number): Plan {
  return {
    text: `create ${keyText(key)} ${shownLife(life)}, ${shownLabels(labels)}, value ${value}`,
    item: ({ now }) => ({
      type: 'create',
      key,
      labels,
      value: bytes(value),
      expiresAt: expiryAfter(life, now),
      touchedAt: now,
    }),
  }
}

interface Rewriting {
  readonly labels: Label[] | undefined
  readonly life: number
  readonly value: number
  readonly use: number
  readonly setsExpiry: boolean
  readonly expired: boolean
}

function replacePlan(key: Key, expected: Expected, made: Rewriting): Plan {
  const { labels, life, value, use, setsExpiry, expired } = made
  const flags = `${setsExpiry ? ', sets the expiry' : ''}${expired ? ', expired or not' : ''}`
  const how = `${shownLife(life)}, ${labels ? shownLabels(labels) : 'labels left alone'}, value ${value}`
  return {
    text: `replace ${keyText(key)} at the ${expected} version ${how}, used at now${use < 0 ? use : `+${use}`}${flags}`,
    item: (model) => ({
      type: 'replace',
      key,
      expected: expectedVersion(model, key, expected),
      value: bytes(value),
      expiresAt: expiryAfter(life, model.now),
      touchedAt: model.now + use,
      setsExpiry,
      expired,
      ...(labels ? { labels } : {}),
    }),
  }
}

function touchPlan(key: Key, expected: Expected, life: number, use: number): Plan {
  return {
    text: `touch ${keyText(key)} at the ${expected} version ${shownLife(life)}`,
    item: (model) => ({
      type: 'touch',
      key,
      version: expectedVersion(model, key, expected),
      expiresAt: expiryAfter(life, model.now),
      touchedAt: model.now + use,
    }),
  }
}

function anyValue(fc: FastCheck): Arbitrary<number> {
  return fc.integer({ min: 0, max: 9 })
}

function anyRewriting(fc: FastCheck): Arbitrary<Rewriting> {
  const labels = fc.tuple(fc.boolean(), anyLabels(fc)).map(([given, some]) => (given ? some : undefined))
  return fc
    .tuple(labels, anyLife(fc), anyValue(fc), anyUse(fc), fc.boolean(), fc.boolean())
    .map(([labels, life, value, use, setsExpiry, expired]) => ({
      labels,
      life,
      value,
      use,
      setsExpiry,
      expired,
    }))
}

export function createCommand(fc: FastCheck): Arbitrary<Command> {
  return fc.tuple(anyKey(fc), anyLabels(fc), anyLife(fc), anyValue(fc)).map(([key, labels, life, value]) => {
    const plan = createPlan(key, labels, life, value)
    return single(plan, (store, item) => store.create(item as Draft))
  })
}

export function replaceCommand(fc: FastCheck): Arbitrary<Command> {
  return fc.tuple(anyKey(fc), anyExpected(fc), anyRewriting(fc)).map(([key, expected, made]) => {
    return single(replacePlan(key, expected, made), (store, item) => store.replace(item as Rewrite))
  })
}

/** A create or a replace: one record, one version. */
function single(plan: Plan, call: (store: Store, item: BatchItem) => Promise<Written>): Command {
  return command(plan.text, async (model, { store }) => {
    const item = plan.item(model)
    const before = model.fired
    const observed = unknownIf(
      await model.observe(() => call(store, item)),
      ({ status }) => status === 'unknown',
    )
    const written = 'answer' in observed ? observed.answer : undefined
    const version = written?.status === 'done' ? written.version : undefined
    if ('failed' in observed && !model.firedSince(before))
      throw new Error(`${plan.text} has an unknown outcome`)
    if (version !== undefined) model.told(item.key, version)
    model.keep(plan.text, observed, (state) =>
      statesAfter(
        observed,
        state,
        applied(state, item, version, model.now),
        (answer) => answer === written?.status,
      ),
    )
  })
}

function applied(state: State, item: BatchItem, version: Version | undefined, now: number): Step<string> {
  const operation = operationOf(item, version ?? untold)
  if (operation.type === 'create') return create(state, operation.record, now)
  return replace(state, operation as Replacement, now)
}

export function touchCommand(fc: FastCheck): Arbitrary<Command> {
  return fc
    .tuple(anyKeys(fc, 3), anyExpected(fc), anyLife(fc), anyUse(fc))
    .map(([keys, expected, life, use]) => {
      const plans = keys.map((key) => touchPlan(key, expected, life, use))
      const text = plans.map((plan) => plan.text).join(' and ')
      return command(text, async (model, { store }) => {
        const touches = plans.map((plan) => plan.item(model) as Prolongation)
        const observed = await model.observe(() => store.touch(touches))
        model.keep(text, observed, (state) =>
          statesAfter(observed, state, touchMany(state, touches as Touch[], model.now), same(observed)),
        )
      })
    })
}

export function writeCommand(fc: FastCheck): Arbitrary<Command> {
  const create = fc.tuple(anyLabels(fc), anyLife(fc), anyValue(fc)).map(
    ([labels, life, value]) =>
      (key: Key) =>
        createPlan(key, labels, life, value),
  )
  const replace = fc.tuple(anyExpected(fc), anyRewriting(fc)).map(
    ([expected, made]) =>
      (key: Key) =>
        replacePlan(key, expected, made),
  )
  const touch = fc.tuple(anyExpected(fc), anyLife(fc), anyUse(fc)).map(
    ([expected, life, use]) =>
      (key: Key) =>
        touchPlan(key, expected, life, use),
  )
  const each = fc.oneof(
    { arbitrary: create, weight: 2 },
    { arbitrary: replace, weight: 2 },
    { arbitrary: touch, weight: 1 },
  )
  return fc.tuple(anyKeys(fc, 3), fc.array(each, { minLength: 3, maxLength: 3 })).map(([keys, made]) => {
    return batch(keys.map((key, i) => made[i]!(key)))
  })
}

function batch(plans: readonly Plan[]): Command {
  const text = `write, all or none: ${plans.map((plan) => plan.text).join('; ')}`
  return command(text, async (model, { store }) => {
    if (!store.capabilities.atomicBatch) return
    const items = plans.map((plan) => plan.item(model))
    const before = model.fired
    const observed = unknownIf(
      await model.observe(() => store.write(items)),
      ({ status }) => status === 'unknown',
    )
    if ('failed' in observed && !model.firedSince(before)) throw new Error(`${text} has an unknown outcome`)
    const written = 'answer' in observed ? observed.answer : undefined
    const versions = written?.status === 'done' ? written.versions : undefined
    items.forEach((item, i) => {
      if (versions && item.type !== 'touch') model.told(item.key, versions[i]!)
    })
    model.keep(text, observed, (state) => {
      const operations = items.map((item, i) => operationOf(item, versions?.[i] ?? untold))
      return statesAfter(observed, state, write(state, operations, model.now), ({ applied, outcomes }) =>
        agrees(written, applied, outcomes),
      )
    })
  })
}

function agrees(written: BatchWritten | undefined, applied: boolean, outcomes: readonly string[]): boolean {
  if (written?.status === 'done') return applied
  return !applied && written?.status === 'refused' && written.outcomes.join() === outcomes.join()
}

export function sweepCommand(fc: FastCheck): Arbitrary<Command> {
  return fc.tuple(fc.constantFrom(100, 1, 2), fc.boolean()).map(([limit, all]) => {
    const text = all ? `sweep everything, ${limit} at once` : `sweep at most ${limit}`
    return command(text, async (model, { store }) => {
      const before = model.now - store.margin
      let after: string | undefined
      let batches = 0
      do {
        if (++batches > mostBatches) throw new Error(`after ${mostBatches} batches there was still another`)
        const observed = await model.observe(() =>
          store.sweep({ limit, ...(after === undefined ? {} : { after }) }),
        )
        after = 'answer' in observed ? observed.answer.next : undefined
        model.keep(text, observed, (state) => {
          if ('answer' in observed) return swept(state, observed.answer, sweepable(state, before), limit)
          return observed.failed === 'unavailable' ? [state] : withoutAny(state, sweepable(state, before))
        })
      } while (all && after !== undefined)
    })
  })
}

function swept(
  state: State,
  { removed, next }: SweptBatch,
  due: readonly StoredRecord[],
  limit: number,
): State[] {
  const right = removed.every(({ key, labels, expiresAt }) =>
    due.some((record) => {
      return (
        keyText(record.key) === keyText(key) &&
        record.expiresAt === expiresAt &&
        record.labels.join() === labels.join()
      )
    }),
  )
  const once = new Set(removed.map(({ key }) => keyText(key))).size === removed.length
  const enough = next !== undefined || removed.length === due.length
  return right && once && enough && removed.length <= limit
    ? [
        remove(
          state,
          removed.map(({ key }) => key),
        ),
      ]
    : []
}

/** Every way in which some of the records may be gone. */
function withoutAny(state: State, records: readonly StoredRecord[]): State[] {
  let states = [state]
  for (const { key } of records) states = states.flatMap((each) => [each, remove(each, [key])])
  return states
}

export function removeCommand(fc: FastCheck): Arbitrary<Command> {
  return anyKeys(fc, 2).map((keys) => {
    const text = `remove ${keys.map(keyText).join(', ')}`
    return command(text, async (model, { store }) => {
      const observed = await model.observe(() => store.remove(keys))
      model.keep(text, observed, (state) =>
        statesAfter(observed, state, { answer: undefined, state: remove(state, keys) }, () => true),
      )
    })
  })
}

/** What is possible after a write that was answered, failed, or may have happened. */
function statesAfter<T>(
  observed: Observed<unknown>,
  before: State,
  step: Step<T>,
  agrees: (answer: T) => boolean,
): readonly State[] {
  if ('failed' in observed) return observed.failed === 'unavailable' ? [before] : [before, step.state]
  return agrees(step.answer) ? [step.state] : []
}

function unknownIf<T>(observed: Observed<T>, unknown: (answer: T) => boolean): Observed<T> {
  return 'answer' in observed && unknown(observed.answer) ? { failed: 'unknown' } : observed
}

function same(observed: Observed<readonly string[]>): (answer: readonly string[]) => boolean {
  return (answer) => 'answer' in observed && observed.answer.join() === answer.join()
}

/** The operation that the guard makes of an item, with its labels in order. */
function operationOf(item: BatchItem, version: Version): Operation {
  if (item.type === 'touch') return item as Required<typeof item>
  const labels = item.labels && { labels: orderedLabels(item.labels) }
  if (item.type === 'create')
    return { type: 'create', record: { ...(item as Required<typeof item>), ...labels, version } }
  return { ...(item as Required<typeof item>), ...labels, version }
}

/** Value 0 is empty, as a driver may take nothing for no record. */
function bytes(value: number): Buffer {
  return Buffer.from(value === 0 ? '' : `value ${value}`)
}
