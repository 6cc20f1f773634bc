/** What was done to a session, found by comparing: for those who change a plain object and tell nobody. */

import type { JsonObject } from '../../records/envelope.ts'
import { asJson, type Changes, type KeyChange } from '../../records/saving.ts'
import type { Json } from '../../store/codec.ts'

/** The top-level keys that differ. @throws {InvalidValue} when what is new cannot be stored. */
export function changesBetween(before: JsonObject, after: JsonObject): Changes {
  const keys = new Map<string, KeyChange>()
  if (before === after) return { cleared: false, keys }
  for (const [name, value] of Object.entries(after)) {
    if (value === undefined) continue
    if (!Object.hasOwn(before, name) || !isSame(before[name], value)) {
      keys.set(name, { to: asJson(name, value) })
    }
  }
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name) || after[name] === undefined) keys.set(name, 'deleted')
  }
  return { cleared: false, keys }
}

/** Whether two values of JSON are the same, whatever the order of their names. */
function isSame(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && areSame(a, b)
  const [one, other] = [a as JsonObject, b as JsonObject]
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]))
  )
}

function areSame(a: readonly Json[], b: readonly Json[]): boolean {
  return a.length === b.length && a.every((each, i) => isSame(each, b[i]))
}
