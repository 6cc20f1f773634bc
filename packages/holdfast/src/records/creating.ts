/**
 * Creating: write first, then look again. Marks and parents are read before, so that the record carries their epochs,
 * and once more after it was written: whoever revoked in between could not see what was not there yet, so the creator
 * takes it back itself.
 */

import { mintId } from '../credentials/credential.ts'
import { ParentGone, RevokedMeanwhile, StoreUnavailable } from '../errors.ts'
import { type Instant, type Label, orderedLabels } from '../store/record.ts'
import type { Living } from './envelope.ts'
import type { Entry, Records } from './records.ts'
import { parentLabel } from './trees.ts'

/** What is to be created. */
export interface Creation {
  readonly envelope: Living
  readonly labels: readonly Label[]
  readonly expiresAt: Instant
}

/** How often a fresh id is drawn. 128 random bits don't collide: a store that says so is not to be trusted. */
const mostIds = 5

/**
 * Creates a record under a fresh id.
 *
 * @param write Writes it; `undefined` when the id is taken.
 * @throws {RevokedMeanwhile} when a mark on its labels was raised after its epochs were read.
 * @throws {ParentGone} when its parent was closed or buried meanwhile.
 */
export async function create(
  records: Records,
  creation: Creation,
  write: (id: string, creation: Creation) => Promise<Entry | undefined> = (
    id,
    { envelope, labels, expiresAt },
  ) => records.create(id, envelope, labels, expiresAt),
): Promise<Entry> {
  const { parent } = creation.envelope
  const labels = parent === undefined ? creation.labels : [...creation.labels, parentLabel(parent)]
  const labelled = { ...creation, labels: orderedLabels(labels) }
  for (let drawn = 0; drawn < mostIds; drawn++) {
    const entry = await write(mintId(), labelled)
    if (entry) return await keptNew(records, entry)
  }
  throw new StoreUnavailable(`the store refused ${mostIds} fresh ids as taken, which random ids can't be`)
}

/**
 * The same for what was just created. Where it can't be told, it goes again: nobody is given its secret, and it must not
 * count or be listed.
 */
export async function keptNew(records: Records, entry: Entry): Promise<Entry> {
  try {
    return await kept(records, entry)
  } catch (error) {
    const isBuried = error instanceof RevokedMeanwhile || error instanceof ParentGone
    if (!isBuried) await records.bury(entry.record.key.id, 'creation failed').catch(() => undefined)
    throw error
  }
}

/** The entry, if nothing was revoked while it was written; otherwise it is taken back. */
export async function kept(records: Records, entry: Entry): Promise<Entry> {
  const { id } = entry.record.key
  if (await records.marks.strikesStrictly(entry)) {
    await records.bury(id, 'revoked meanwhile')
    throw new RevokedMeanwhile('everything with these labels was revoked in the meantime: begin again')
  }
  const { parent } = entry.envelope
  if (parent !== undefined && !(await isAlive(records, parent))) {
    await records.bury(id, 'parent gone')
    throw new ParentGone(`the parent ${parent} was revoked or has expired`)
  }
  return entry
}

/** Whether a record lives and no mark has struck it, by the truth. */
export async function isAlive(records: Records, id: string): Promise<boolean> {
  const found = await records.find(id, { strict: true })
  return found.state === 'live' && !(await records.marks.strikesStrictly(found.entry))
}
