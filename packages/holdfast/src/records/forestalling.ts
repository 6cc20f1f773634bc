/** Ending what may not be there yet: a first write of the id may be under way, or come from a backup. */

import { DeadlineExceeded } from '../errors.ts'
import { packed, type Tombstone } from './envelope.ts'
import type { Records } from './records.ts'

/**
 * Ends what there is under an id, and leaves a tombstone also where there is nothing yet.
 *
 * @param retention How long a tombstone is kept where there was nothing, in milliseconds.
 * @returns whether it was alive.
 * @throws {DeadlineExceeded} when others were faster until the deadline.
 */
export async function endForGood(
  records: Records,
  id: string,
  { why, retention }: { readonly why: string; readonly retention: number },
): Promise<boolean> {
  const { store } = records
  const deadline = store.clock.elapsed() + store.deadline
  do {
    if ((await records.bury(id, why)) === 'buried') return true
    if (await isForestalled(records, id, why, retention)) return false
  } while (store.clock.elapsed() < deadline)
  throw new DeadlineExceeded(`others created session ${id} again and again while it was to be destroyed`)
}

/** Puts a tombstone where there is nothing. False: something has appeared there that is to be buried. */
async function isForestalled(records: Records, id: string, why: string, retention: number): Promise<boolean> {
  const { store } = records
  const key = records.key(id)
  const at = records.now
  const tombstone: Tombstone = { state: 'dead', at, why, ends: at }
  const written = await store.create({
    key,
    value: store.codec.encode(key, packed(tombstone)),
    expiresAt: at + retention,
  })
  if (written.status === 'done') return true
  const found = await records.find(id, { strict: true })
  return found.state === 'dead'
}
