/**
 * Validation and migration of stored data by a schema of any library that speaks Standard Schema
 * (https://standardschema.dev), such as Zod, Valibot and ArkType.
 */

import { InvalidData, InvalidOption } from '../errors.ts'
import type { JsonObject } from '../records/envelope.ts'
import { sameData, storableData } from '../records/saving.ts'
import { parted } from './dictionary.ts'

/** What is needed of a schema: the first version of Standard Schema. */
export interface SessionSchema<Data = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Checked<Data> | Promise<Checked<Data>>
    readonly types?: { readonly input: unknown; readonly output: Data } | undefined
  }
}

type Checked<Data> =
  { readonly value: Data; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** @throws {InvalidOption} when it doesn't speak Standard Schema. */
export function checkSchema(schema: SessionSchema): void {
  const standard = (schema as Partial<SessionSchema>)['~standard']
  if (standard?.version === 1 && typeof standard.validate === 'function') return
  throw new InvalidOption(
    '`schema` takes a schema that speaks Standard Schema 1, as those of Zod 4, Valibot and ArkType',
  )
}

/** What a schema makes of stored data. */
export interface Migrated {
  /** What is to be stored: the same object where that is stored already. */
  readonly data: JsonObject
  /** Keys of it that are not shown: the schema leaves them out. */
  readonly hidden: readonly string[]
}

/**
 * What a schema makes of stored data: `undefined` where it refuses it. Keys that it leaves out, and that have no part in
 * what it makes, may be those of a newer release, which goes on beside this one: they stay stored, and are not shown.
 */
export async function migrated(schema: SessionSchema, data: JsonObject): Promise<Migrated | undefined> {
  const [own, reserved] = parted(data)
  const checked = await schema['~standard'].validate(structuredClone(own))
  if (checked.issues) return undefined
  const next = { ...storableData(checked.value as JsonObject), ...reserved }
  const left = Object.keys(data).filter((name) => !Object.hasOwn(next, name))
  if (sameData(next, without(data, left))) return { data, hidden: left }
  const hidden: string[] = []
  for (const name of left) if (await isUnused(schema, own, name, checked.value)) hidden.push(name)
  return { data: { ...next, ...only(data, hidden) }, hidden }
}

/** Whether a schema makes the same without a key. */
async function isUnused(
  schema: SessionSchema,
  own: JsonObject,
  name: string,
  made: unknown,
): Promise<boolean> {
  const others = await schema['~standard'].validate(structuredClone(without(own, [name])))
  return !others.issues && sameData(made as JsonObject, others.value as JsonObject)
}

/**
 * Refuses data that must not be stored.
 *
 * @param set The keys that are set now: one that the schema leaves out would never be seen again.
 * @throws {InvalidData}
 */
export async function checkData(
  schema: SessionSchema,
  data: JsonObject,
  set: readonly string[] = Object.keys(data),
): Promise<void> {
  const [own] = parted(data)
  const made = await schema['~standard'].validate(structuredClone(own))
  if (made.issues) throw refused(made.issues)
  const missing = set.filter((name) => Object.hasOwn(own, name) && !Object.hasOwn(made.value as object, name))
  for (const name of missing) {
    // A key in an older form has made something else.
    if (!(await isUnused(schema, own, name, made.value))) continue
    throw refused([{ message: 'the schema has no such key, and leaves it out', path: [name] }])
  }
}

/** Data as it is shown, messages too, and what is stored beside it. What the schema refuses is neither. */
export async function seenThrough(
  schema: SessionSchema | undefined,
  data: JsonObject,
): Promise<readonly [shown: JsonObject, beside: JsonObject]> {
  if (!schema) return [data, {}]
  const made = await migrated(schema, data)
  if (!made) return [parted(data)[1], {}]
  const shown = without(made.data, made.hidden)
  return [shown, without(made.data, Object.keys(shown))]
}

/** Data without some of its keys. */
export function without(data: JsonObject, names: readonly string[]): JsonObject {
  if (names.length === 0) return data
  return Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)))
}

function only(data: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, data[name]]))
}

function refused(issues: readonly SchemaIssue[]): InvalidData {
  const named = issues.map(({ message, path = [] }) => ({ message, path: path.map(segment).join('.') }))
  const told = named.map(({ message, path }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
  return new InvalidData(`the schema of the sessions refuses what was to be stored: ${told}`, named)
}

function segment(step: PropertyKey | { readonly key: PropertyKey }): string {
  return String(typeof step === 'object' ? step.key : step)
}
