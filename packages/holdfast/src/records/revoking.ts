/**
 * Revoking by labels: raise the mark, so that every reader refuses from now on and every creator who began before
 * takes itself back; then list, the expired too, and bury what predates the mark, until a pass finds nothing.
 */

import type { Label } from '../store/record.ts'
import { type Mark, strikes } from './mark.ts'
import type { Found, Records } from './records.ts'

export interface RevokeOptions {
  /** Ends one record, with what was derived from it; answers with the ids that it ended. */
  readonly end: (id: string) => Promise<readonly string[]>
  /** Ids that are spared: "all my other devices". */
  readonly except?: readonly string[]
}

/** How many records are buried at a time: enough to share commits, few enough not to flood a store. */
const atATime = 32
const pageSize = 200

/**
 * Revokes what carries all of the labels and was created before now.
 *
 * @returns the ids of those that were alive and were ended by this call.
 * @throws {NotSupported} when the store's listing may miss records.
 */
export async function revokeByLabels(
  records: Records,
  labels: readonly Label[],
  { end, except = [] }: RevokeOptions,
): Promise<readonly string[]> {
  await records.needCompleteListing()
  const mark = await records.marks.raise(labels, except)
  const revoked = new Set<string>()
  while ((await buryAll(records, mark, end, revoked)) > 0) {
    // Another pass: what was written while this one listed must not escape.
  }
  // Also what somebody buried before, who did not come so far as to tell the caches: its labels are gone with it.
  await Promise.all([records.acknowledge([...revoked]), records.acknowledge([])])
  return [...revoked]
}

/** One pass over the listing; answers how many records it had to bury. */
async function buryAll(
  records: Records,
  mark: Mark,
  end: RevokeOptions['end'],
  revoked: Set<string>,
): Promise<number> {
  let met = 0
  let after: string | undefined
  do {
    const page = await records.list(mark.labels, {
      limit: pageSize,
      expired: true,
      ...(after === undefined ? {} : { after }),
    })
    const struck = page.records.filter((record) => isStruck(mark, record.key.id, tolerantly(records, record)))
    met += struck.length
    for (let start = 0; start < struck.length; start += atATime) {
      const batch = struck.slice(start, start + atATime).map(({ key }) => key.id)
      for (const ids of await Promise.all(batch.map(end))) {
        for (const id of ids) revoked.add(id)
      }
    }
    after = page.next
  } while (after !== undefined)
  return met
}

function isStruck(mark: Mark, id: string, found: Found): boolean {
  if (found.state === 'dead' || mark.except?.includes(id)) return false
  // What can't be read carries the label all the same, and nobody can want it to live.
  if (found.state === 'corrupt' || found.state === 'absent') return true
  return strikes([[mark]], found.entry)
}

function tolerantly(records: Records, record: Parameters<Records['opened']>[0] & object): Found {
  try {
    return records.opened(record)
  } catch {
    return { state: 'absent' }
  }
}
