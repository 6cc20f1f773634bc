/** What a request holds of a session that is stored, and what of its data it sees. */

import type { JsonObject } from '../records/envelope.ts'
import type { Entry } from '../records/records.ts'
import { sameData } from '../records/saving.ts'
import { parted } from './dictionary.ts'
import { type Migrated, without } from './schema.ts'

/** A session's record and the secret that its client carries from now on. */
export interface Held {
  readonly entry: Entry
  readonly secret: string
  /** The schema refuses what is stored: it is not shown, and the first change replaces it. Messages go past it. */
  readonly isHidden?: boolean
  /** Keys that the schema leaves out: they are not shown, and stay stored. */
  readonly hidden?: readonly string[]
}

/** The data that the request sees. */
export function shownOf({ entry: { envelope }, isHidden, hidden }: Held): JsonObject {
  if (isHidden === true) return parted(envelope.data)[1]
  return hidden === undefined ? envelope.data : without(envelope.data, hidden)
}

/** What a schema has made of it; `undefined` where it refuses it. */
export function seenAs(held: Held, made: Migrated | undefined): Held {
  if (!made) return { ...held, isHidden: true }
  return made.hidden.length === 0 ? held : { ...held, hidden: made.hidden }
}

/** What was stored; hidden is what was hidden before, and nothing that replaced it. */
export function heldAs({ entry: before, isHidden, hidden }: Held, entry: Entry, secret: string): Held {
  if (isHidden !== true) return besides(entry, secret, hidden)
  const [[was], [is]] = [parted(before.envelope.data), parted(entry.envelope.data)]
  return sameData(was, is) ? { entry, secret, isHidden } : { entry, secret }
}

/** What was stored, beside keys that are not shown. */
export function besides(entry: Entry, secret: string, hidden: readonly string[] = []): Held {
  return hidden.length === 0 ? { entry, secret } : { entry, secret, hidden }
}
