/**
 * Trees: what was derived from a record dies with it. Closed top-down, each node before its children are listed, so
 * that a child which is being made meanwhile finds its parent closed and takes itself back; buried bottom-up, so that
 * a crash leaves closed nodes which whoever meets them finishes.
 */

import { KeyUnknown } from '../errors.ts'
import { label } from '../store/record.ts'
import type { Records } from './records.ts'

/** The label that a derived record carries. */
export function parentLabel(id: string): string {
  return label('parent', id)
}

/**
 * Closes a record and buries it with everything below.
 *
 * @returns the ids that were alive and were ended by this call.
 */
export async function finishTree(records: Records, id: string, why: string): Promise<readonly string[]> {
  const ended: string[] = []
  await finish(records, id, why, ended)
  return ended
}

async function finish(records: Records, id: string, why: string, ended: string[]): Promise<void> {
  const closing = await close(records, id)
  if (closing === 'unreadable') await buryOne(records, id, why, ended)
  // A store that can't list holds no trees: nothing could be derived there.
  if ((await records.store.open()).capabilities.listing === 'complete') {
    while ((await finishChildren(records, id, why, ended)) > 0) {
      // Another pass: a child that was being made when its parent was closed may have appeared.
    }
  }
  // A reader who met it closed may have buried it first. It was this call that ended it all the same.
  if (closing === 'closed') {
    await records.bury(id, why)
    ended.push(id)
  } else await buryOne(records, id, why, ended)
}

async function buryOne(records: Records, id: string, why: string, ended: string[]): Promise<void> {
  if ((await records.bury(id, why)) === 'buried') ended.push(id)
}

/** One pass over the children; answers how many it met. What is buried carries the label no more. */
async function finishChildren(records: Records, id: string, why: string, ended: string[]): Promise<number> {
  let met = 0
  let after: string | undefined
  do {
    const page = await records.list([parentLabel(id)], {
      values: false,
      expired: true,
      ...(after === undefined ? {} : { after }),
    })
    for (const child of page.records) await finish(records, child.key.id, why, ended)
    met += page.records.length
    after = page.next
  } while (after !== undefined)
  return met
}

/** What became of closing a record: it was alive; there was nothing to close; it is sealed under a key we don't have. */
type Closing = 'closed' | 'nothing' | 'unreadable'

/** From here on the record is refused everywhere, and keeps its labels so that it is found and finished. */
async function close(records: Records, id: string): Promise<Closing> {
  try {
    return await records.amend<Closing>(
      id,
      undefined,
      (found, uncertain) => {
        // An answer that was lost may have been that it is closed, and somebody has gone on from there.
        if (found.state !== 'live') return { stop: uncertain ? 'closed' : 'nothing' }
        const { record, envelope } = found.entry
        return {
          write: { envelope: { ...envelope, state: 'closed' }, expiresAt: record.expiresAt },
          answer: () => 'closed',
        }
      },
      { repeatable: true },
    )
  } catch (error) {
    if (error instanceof KeyUnknown) return 'unreadable'
    throw error
  }
}
