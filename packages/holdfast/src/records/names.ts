/**
 * Unique names: a name is a record of its own whose key is a digest of owner and name and which points to the record
 * that holds it. A name whose holder is no longer alive is free: who finds it takes it over by compare-and-swap.
 *
 * Where the store has atomic batches, name and holder are written in one. Elsewhere the order fails safely: the name
 * with a short life, the holder with the same short life, then the name is prolonged and the holder last. A crash
 * leaves a name that frees itself, and no holder that lives without its name.
 */

import { digestOf } from '../credentials/digest.ts'
import { DeadlineExceeded, NameTaken, OutcomeUnknown, RecordCorrupt } from '../errors.ts'
import { type Instant, type Key, orderedLabels, type StoredRecord } from '../store/record.ts'
import type { BatchItem, Written } from '../store/store.ts'
import { type Creation, isAlive } from './creating.ts'
import { packed } from './envelope.ts'
import type { Entry, Records } from './records.ts'
import { finishTree } from './trees.ts'

/** The collection that names are kept in. */
export const namesCollection = 'names'

/** How long a name is kept for someone who is about to create its holder, in milliseconds. */
const claimLife = 60_000

/** What a name's record holds. */
interface Holding {
  readonly id: string
  /** The holder is being created. */
  readonly claiming: boolean
}

/** A name of an owner. */
export interface OwnedName {
  readonly owner: string
  readonly name: string
}

/** How often a name is claimed anew when it changed hands between the look and the write. */
const mostClaims = 5

/**
 * Creates a record that holds a name.
 *
 * @returns `undefined` when the id is taken.
 * @throws {NameTaken} when another live record of the owner holds it, or is about to.
 * @throws {DeadlineExceeded} when creating took so long that the claim lapsed. Nothing is left behind.
 */
export async function createNamed(
  records: Records,
  owned: OwnedName,
  id: string,
  creation: Creation,
): Promise<Entry | undefined> {
  const { capabilities } = await records.store.open()
  const createdBy = capabilities.atomicBatch ? createTogether : createInOrder
  for (let claims = 0; claims < mostClaims; claims++) {
    const free = await freeName(records, owned, id)
    const created = await createdBy(records, owned, free, id, creation)
    // Somebody wrote the name meanwhile: perhaps to take it, perhaps to free it. The next look tells.
    if (created !== 'outrun') return created
  }
  throw taken(owned)
}

/**
 * Lets go of a name when its holder was buried. The name is free already, by its holder's death; without this it would
 * stay in the store for as long as the holder might have lived. It stays for as long as a claim of it may be on its
 * way: one that arrives when nothing is there would keep everybody from a name that nobody holds.
 */
export async function freeNameOf(records: Records, owned: OwnedName, id: string): Promise<void> {
  const record = await records.store.read(nameKey(records, owned), { strict: true })
  if (!record || holdingOf(records, record)?.id !== id) return
  await records.store.replace({
    key: record.key,
    expected: record.version,
    value: record.value,
    expiresAt: Math.min(record.expiresAt, records.now + claimLife),
    setsExpiry: true,
  })
}

/** The record to take over, or `undefined` where there is none. @throws {NameTaken} */
async function freeName(records: Records, owned: OwnedName, id: string): Promise<StoredRecord | undefined> {
  const record = await records.store.read(nameKey(records, owned), { strict: true })
  if (!record) return undefined
  const holding = holdingOf(records, record)
  // A claim of mine whose answer was lost is mine to go on with.
  if (!holding || holding.id === id) return record
  if (holding.claiming || (await isAlive(records, holding.id))) throw taken(owned)
  // A write that is under way since the holder's last instant must not bring it back beside its successor.
  await finishTree(records, holding.id, 'name taken over')
  return record
}

async function createTogether(
  records: Records,
  owned: OwnedName,
  free: StoredRecord | undefined,
  id: string,
  creation: Creation,
): Promise<Entry | undefined | 'outrun'> {
  const key = records.key(id)
  const value = records.store.codec.encode(key, packed(creation.envelope))
  const { labels, expiresAt } = creation
  const touchedAt = records.now
  const name = nameItem(records, owned, free, { id, claiming: false }, expiresAt)
  const written = await records.store.write([
    name,
    { type: 'create', key, value, labels, expiresAt, touchedAt },
  ])
  if (written.status === 'unknown')
    throw new OutcomeUnknown(`creating ${records.collection}/${id} could not be settled`)
  if (written.status === 'refused') return written.outcomes[0] === 'done' ? undefined : 'outrun'
  const record = {
    key,
    version: written.versions[1]!,
    labels: orderedLabels(labels),
    value,
    expiresAt,
    touchedAt,
  }
  return { record, envelope: creation.envelope }
}

async function createInOrder(
  records: Records,
  owned: OwnedName,
  free: StoredRecord | undefined,
  id: string,
  { envelope, labels, expiresAt }: Creation,
): Promise<Entry | undefined | 'outrun'> {
  const lapses = Math.min(records.now + claimLife, expiresAt)
  const claimed = await writtenAlone(records, nameItem(records, owned, free, { id, claiming: true }, lapses))
  if (claimed.status !== 'done') return 'outrun'
  const entry = await records.create(id, envelope, labels, lapses)
  if (!entry) return undefined
  const key = nameKey(records, owned)
  const value = records.store.codec.encode(key, { id, claiming: false })
  const held = await records.store.replace({
    key,
    expected: claimed.version,
    value,
    expiresAt,
    setsExpiry: true,
  })
  const prolonged = held.status === 'done' && (await records.touch(entry, expiresAt))
  if (prolonged) return { ...entry, record: { ...entry.record, expiresAt } }
  // The claim lapsed, and someone may have taken the name over: two holders of one name must not be.
  await records.bury(id, 'name lost')
  throw new DeadlineExceeded(`creating ${records.collection}/${id} took longer than its name was kept for it`)
}

function nameItem(
  records: Records,
  owned: OwnedName,
  free: StoredRecord | undefined,
  holding: Holding,
  expiresAt: Instant,
): Exclude<BatchItem, { type: 'touch' }> {
  const key = nameKey(records, owned)
  const value = records.store.codec.encode(key, holding)
  if (!free) return { type: 'create', key, value, expiresAt }
  return { type: 'replace', key, expected: free.version, value, expiresAt, setsExpiry: true }
}

async function writtenAlone(records: Records, item: Exclude<BatchItem, { type: 'touch' }>): Promise<Written> {
  return item.type === 'create' ? await records.store.create(item) : await records.store.replace(item)
}

function nameKey(records: Records, { owner, name }: OwnedName): Key {
  return {
    collection: namesCollection,
    id: digestOf(`${records.collection}\n${JSON.stringify([owner, name])}`),
  }
}

/** What a name's record holds; `undefined` where it is damaged, which leaves the name free. */
function holdingOf(records: Records, record: StoredRecord): Holding | undefined {
  try {
    const stored = records.store.codec.decode(record.key, record.value) as Partial<Holding> | null
    if (typeof stored?.id !== 'string' || typeof stored.claiming !== 'boolean') return undefined
    return { id: stored.id, claiming: stored.claiming }
  } catch (error) {
    if (error instanceof RecordCorrupt) return undefined
    throw error
  }
}

function taken({ name }: OwnedName): NameTaken {
  return new NameTaken(`the name ${JSON.stringify(name)} is in use by another live token of the same owner`)
}
