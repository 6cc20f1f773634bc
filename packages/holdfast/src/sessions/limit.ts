/** How many sessions one user may have: a login that is one too many ends the oldest, or takes itself back. */

import { KeyUnknown, SessionGone, TooManySessions } from '../errors.ts'
import type { Entry, Found, Records } from '../records/records.ts'
import type { Cursor } from '../store/contract.ts'
import { label, type StoredRecord } from '../store/record.ts'
import type { SessionLimit } from './options.ts'

/** How long a login waits for others of the same user, in milliseconds. */
const patience = 5_000

/** Whose sessions are counted, and how they are ended. */
export interface Counted {
  readonly records: Records
  readonly limit: SessionLimit
  /** Whether a session is over although it has not expired. */
  readonly isOver: (entry: Entry) => Promise<boolean>
  readonly end: (id: string, why: string) => Promise<boolean>
}

/**
 * Stores a login, one of a user after the other: so of two at once the second sees what the first has left. One that is
 * refused was never stored, and the session that it was to be stays as it is. It is counted once more afterwards: a lock
 * may lapse.
 *
 * @param entry The session on which the user logs in, where it is stored already.
 * @throws {TooManySessions} @throws {NotSupported} when the store's listings may miss sessions. @throws {Locked}
 * @throws {SessionGone} when another login has ended this one already.
 */
export async function withinLimit(
  counted: Counted,
  user: string,
  entry: Entry | undefined,
  store: () => Promise<Entry>,
): Promise<void> {
  await counted.records.needCompleteListing()
  const { leases, collection } = counted.records
  const release = await leases.acquire(`logins of ${user} in ${collection}`, patience)
  try {
    if (counted.limit.over === 'refuse') await needRoom(counted, user, entry)
    await keepLimit(counted, user, await store(), entry === undefined)
  } finally {
    await release()
  }
}

async function needRoom(counted: Counted, user: string, entry: Entry | undefined): Promise<void> {
  const { perUser } = counted.limit
  const all = await loggedIn(counted, user)
  const others = all.filter((each) => each.record.key.id !== entry?.record.key.id)
  if (others.length >= perUser) throw tooMany(user, others.length, perUser)
}

async function keepLimit(counted: Counted, user: string, entry: Entry, isNew: boolean): Promise<void> {
  try {
    await endExcess(counted, user, entry)
  } catch (error) {
    // Nobody is given the secret of a new one any more: it must not be one of those that count. One that was there
    // before stays, for all that is in it: the next login counts it again.
    const isEnded = error instanceof TooManySessions || error instanceof SessionGone
    if (isNew && !isEnded) await counted.end(entry.record.key.id, 'login failed').catch(() => undefined)
    throw error
  }
}

async function endExcess(counted: Counted, user: string, entry: Entry): Promise<void> {
  const { perUser, over } = counted.limit
  const { id } = entry.record.key
  const all = await loggedIn(counted, user)
  const others = all.filter((each) => each.record.key.id !== id)
  if (others.length === all.length) {
    // One that ends at once, by an expiry of its own, takes nobody's place.
    if (entry.record.expiresAt <= counted.records.now) return
    throw new SessionGone('another login of the same user has ended this one')
  }
  const excess = all.length - perUser
  if (excess <= 0) return
  if (over === 'refuse') {
    await counted.end(id, tooManyOf)
    throw tooMany(user, others.length, perUser)
  }
  const oldestFirst = others.toSorted((a, b) => a.envelope.authenticatedAt - b.envelope.authenticatedAt)
  for (const each of oldestFirst.slice(0, excess)) await counted.end(each.record.key.id, tooManyOf)
}

/** Why a session was ended: for events and tombstones. */
const tooManyOf = 'one session too many'

function tooMany(user: string, sessions: number, allowed: number): TooManySessions {
  return new TooManySessions(
    `${JSON.stringify(user)} has ${String(sessions)} sessions, and ${String(allowed)} are allowed: end one first`,
  )
}

async function loggedIn({ records, isOver }: Counted, user: string): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  let after: Cursor | undefined
  do {
    const page = await records.list([label('user', user)], after === undefined ? {} : { after })
    for (const record of page.records) {
      const found = openedHere(records, record)
      if (found?.state === 'live' && !(await isOver(found.entry))) entries.push(found.entry)
    }
    after = page.next
  } while (after !== undefined)
  return entries
}

/** One that is sealed under a key that isn't ours can't be used here, and must not keep its user from logging in. */
function openedHere(records: Records, record: StoredRecord): Found | undefined {
  try {
    return records.opened(record)
  } catch (error) {
    if (error instanceof KeyUnknown) return undefined
    throw error
  }
}
