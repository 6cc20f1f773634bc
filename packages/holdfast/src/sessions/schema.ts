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

/** What a schema makes of stored data: `undefined` where it refuses it. */
export async function migrated(schema: SessionSchema, data: JsonObject): Promise<JsonObject | undefined> {
  const [own, reserved] = parted(data)
  const checked = await schema['~standard'].validate(structuredClone(own))
  if (checked.issues) return undefined
  const next = { ...storableData(checked.value as JsonObject), ...reserved }
  return sameData(next, data) ? data : next
}

/** Refuses data that must not be stored. @throws {InvalidData} */
export async function checkData(schema: SessionSchema, data: JsonObject): Promise<void> {
  const [own] = parted(data)
  const { issues } = await schema['~standard'].validate(structuredClone(own))
  if (!issues) return
  const named = issues.map(({ message, path = [] }) => ({ message, path: path.map(segment).join('.') }))
  const told = named.map(({ message, path }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
  throw new InvalidData(`the schema of the sessions refuses what was to be stored: ${told}`, named)
}

function segment(step: PropertyKey | { readonly key: PropertyKey }): string {
  return String(typeof step === 'object' ? step.key : step)
}
