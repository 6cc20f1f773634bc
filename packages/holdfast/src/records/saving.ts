/**
 * Saving: the top-level keys that were changed are applied to the newest copy, so that two requests which change
 * different keys both keep their change. Where both changed the same key to different values there is no right answer
 * to be guessed: that is a true conflict, and the application says what is done. Nothing is ever merged deeply.
 */

import { isDeepStrictEqual } from 'node:util'
import { ConflictingChange, InvalidOption, InvalidValue, OutcomeUnknown } from '../errors.ts'
import type { Json } from '../store/codec.ts'
import type { JsonObject } from './envelope.ts'

/** What was done to one key. `from`: the value that it was made on, where that may be another than the session holds. */
export type KeyChange = { readonly to: Json; readonly from?: Json } | 'deleted'

/** What a session's user has done since it was loaded. */
export interface Changes {
  /** Everything that was there was dropped first, also what others added meanwhile. */
  readonly cleared: boolean
  readonly keys: ReadonlyMap<string, KeyChange>
}

/**
 * What is done about a key that another request changed to another value than mine: `fail` refuses the save, `last`
 * takes mine, and a function makes one value of the three.
 */
export type ConflictPolicy<Data extends object = JsonObject> =
  'fail' | 'last' | { readonly [Name in keyof Data & string]?: Merge<Exclude<Data[Name], undefined>> }

/** Makes one value of two. `undefined` stands for "not there", as an argument and as the answer. */
export type Merge<Value = Json> = (values: {
  readonly mine: Value | undefined
  readonly theirs: Value | undefined
  readonly before: Value | undefined
}) => Value | undefined

/** Refuses a policy that nobody knows: it would decide nothing. @throws {InvalidOption} */
export function checkConflicts(policy: ConflictPolicy): void {
  const isKnown =
    typeof policy === 'object'
      ? Object.values(policy).every((each) => typeof each === 'function')
      : ['fail', 'last'].includes(policy)
  if (!isKnown)
    throw new InvalidOption("`conflicts` is 'fail', 'last' or an object with a function for each key")
}

/** The outcome of applying changes. */
export type Applied =
  { readonly data: JsonObject; readonly conflicts?: undefined } | { readonly conflicts: readonly string[] }

/** Applies changes to data that nobody else has changed. */
export function applied(data: JsonObject, { cleared, keys }: Changes): JsonObject {
  const next: JsonObject = cleared ? {} : { ...data }
  for (const [name, change] of keys) {
    if (change === 'deleted') delete next[name]
    else next[name] = change.to
  }
  return next
}

/**
 * Applies changes to a copy that somebody else has changed since.
 *
 * @param before The data that the changes were made on.
 * @param fresh The data that is stored now.
 */
export function reapplied(
  before: JsonObject,
  fresh: JsonObject,
  changes: Changes,
  policy: ConflictPolicy,
): Applied {
  const conflicts: string[] = []
  const settled = new Map<string, KeyChange>()
  for (const [name, change] of changes.keys) {
    const mine = change === 'deleted' ? undefined : change.to
    const theirs = own(fresh, name)
    const base = change !== 'deleted' && 'from' in change ? change.from : own(before, name)
    const untouched = isDeepStrictEqual(theirs, base) || isDeepStrictEqual(theirs, mine)
    if (untouched || changes.cleared || policy === 'last') {
      settled.set(name, change)
      continue
    }
    const merge = policy !== 'fail' && Object.hasOwn(policy, name) ? policy[name] : undefined
    if (!merge) {
      conflicts.push(name)
      continue
    }
    const merged = merge(structuredClone({ mine, theirs, before: base }))
    settled.set(name, merged === undefined ? 'deleted' : { to: storable(name, merged) })
  }
  if (conflicts.length > 0) return { conflicts }
  return { data: applied(fresh, { cleared: changes.cleared, keys: settled }) }
}

/** Whether nothing was done. */
export function isUnchanged({ cleared, keys }: Changes): boolean {
  return !cleared && keys.size === 0
}

/** Whether two pieces of data are the same, in whatever order of keys. */
export function sameData(one: JsonObject, other: JsonObject): boolean {
  return isDeepStrictEqual(one, other)
}

/** What is thrown where other requests have changed the same keys. */
export function conflicting(keys: readonly string[]): ConflictingChange {
  return new ConflictingChange(
    `another request changed ${keys.map((each) => JSON.stringify(each)).join(', ')}`,
    keys,
  )
}

/** Merging twice may count twice what was done once, so after a lost answer nothing is merged any more. */
export function onceOnly(policy: ConflictPolicy): ConflictPolicy {
  if (typeof policy === 'string') return policy
  const refuse: Merge = () => {
    throw new OutcomeUnknown('the answer to a save was lost, and its merge may or may not have been stored')
  }
  return Object.fromEntries(Object.keys(policy).map((name) => [name, refuse]))
}

/**
 * A value as the store will give it back, so that what is seen before saving and after it is the same, and what the
 * application does to its own object afterwards is not stored by accident.
 *
 * @throws {InvalidValue} when it is not JSON, or has a name in it through which prototypes are reached.
 */
export function storable(name: string, value: unknown): Json {
  const json = asJson(name, value)
  const changed = changedByJson(value)
  if (changed === undefined) return json
  throw new InvalidValue(`the value of ${JSON.stringify(name)} has ${changed} in it, which is not JSON`)
}

/**
 * The same with the meaning of `JSON.stringify`, which makes something else of what is not JSON.
 *
 * @throws {InvalidValue} when it makes nothing of it, or it has a name in it through which prototypes are reached.
 */
export function asJson(name: string, value: unknown): Json {
  if (typeof name !== 'string' || name === '__proto__') {
    throw new InvalidValue(`${JSON.stringify(name)} cannot be a key of a session`)
  }
  let text: string | undefined
  try {
    // Its type doesn't say so, but there is no text for a function or `undefined`.
    text = (JSON.stringify as (value: unknown) => string | undefined)(value)
  } catch (cause) {
    throw new InvalidValue(`the value of ${JSON.stringify(name)} is not JSON`, { cause })
  }
  if (text === undefined)
    throw new InvalidValue(`the value of ${JSON.stringify(name)} is ${typeof value}, not JSON`)
  const suspicious = text.includes('"__proto__"') || text.includes('"prototype"')
  if (!suspicious) return JSON.parse(text) as Json
  return refusePrototypes(name, JSON.parse(text, refusePrototypes)) as Json
}

/**
 * All of some data as the store will give it back. Names that stand for `undefined` are left out.
 *
 * @param made What is made of each value.
 */
export function storableData(data: JsonObject, made = storable): JsonObject {
  const given = Object.entries(data).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name, value]) => [name, made(name, value)]))
}

/** What JSON would change without a word; `undefined` where nothing of that is there. What it leaves out is no matter. */
function changedByJson(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : String(value)
  if (typeof value !== 'object' || value === null) return undefined
  if (!Array.isArray(value)) {
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
      return value instanceof Date && Number.isNaN(value.getTime()) ? 'an invalid date' : undefined
    }
    if (!isPlain(value))
      return `an object of ${(value.constructor as { name?: string } | undefined)?.name ?? 'a class'}`
  }
  for (const each of Array.isArray(value) ? (value as unknown[]) : Object.values(value)) {
    const changed = changedByJson(each)
    if (changed !== undefined) return changed
  }
  return undefined
}

/** Whether an object is of no class. `Object.prototype` may be another one: that of a `vm` context. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** What reading leaves out must not be written: it would be lost without a word. */
function refusePrototypes(name: string, value: unknown): unknown {
  const reaches = name === 'constructor' && typeof value === 'object' && value !== null
  if (name === '__proto__' || (reaches && Object.hasOwn(value, 'prototype'))) {
    throw new InvalidValue(`a value with the name ${JSON.stringify(name)} in it cannot be stored`)
  }
  return value
}

/** The value of a key, and nothing that an object has by its prototype. */
export function own(data: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(data, name) ? data[name] : undefined
}
