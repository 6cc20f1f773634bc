/**
 * What tiers are like, found out by trying: the counters of a process that has just started would all be 0. A few live
 * records are read through the tiers, more than once, and an echo of the feed is waited for.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Key, Store, TierFigures } from 'holdfast'

/** How many records are read at most. */
const mostRead = 20
/** How many pages are looked at to find some. */
const mostPages = 50
/** How often each is read: the first time from the truth, then as it is kept. */
const timesRead = 2
/** A key that no record has, to begin with. */
const nothing: Key = { collection: 'meta', id: 'probe' }
/** Milliseconds to wait for a cache to be opened, for a feed to be heard, and for its echo. */
const patience = 1_000
/** The bounds of memory and of a shared cache that a URL names, in milliseconds, and a little more. */
const ownBound = 300
const belowBound = 1_050
/** Milliseconds between two looks. */
const pause = 50

/** What was found out. */
export interface Probed {
  /** Different records that were read, each twice. */
  readonly read: number
  /** Why none were. */
  readonly reason?: string
  /** From the top. */
  readonly tiers: readonly TierFigures[]
}

/**
 * Tries the tiers of a store; `undefined` where it has none.
 *
 * Nobody waits for a cache or a feed, so where all has just begun the truth is asked instead. That isn't how tiers are
 * for long, and here they are given the time.
 */
export async function probed(store: Store): Promise<Probed | undefined> {
  const { tiers } = store.figures()
  if (!tiers) return undefined
  const { capabilities } = await store.open()
  const opening = await openingErrors(store)
  await store.read(nothing)
  await until(() => feeds(store).every(({ state }) => state !== 'starting'))
  // For as long a tier whose feed has just begun doesn't believe the one below. What its feed has proven by then is old.
  await delay(tiers.length > 1 ? belowBound : ownBound)
  await echoed(store)
  const keys = capabilities.scanning ? await someKeys(store) : []
  for (let time = 0; time < timesRead; time++) for (const key of keys) await store.read(key)
  // Fills go on behind the answers.
  await delay(2 * pause)
  return {
    read: keys.length,
    ...reasonOf(keys.length, capabilities.scanning),
    tiers: (store.figures().tiers ?? []).map((tier, i) => told(tier, opening[i] ?? 0)),
  }
}

/** Figures without the errors of opening, and a lag that can be read. */
function told(tier: TierFigures, opening: number): TierFigures {
  if (tier.kind === 'shared') return { ...tier, errors: tier.errors - opening }
  return { ...tier, feed: { ...tier.feed, lagMs: Math.round(tier.feed.lagMs * 100) / 100 } }
}

/**
 * Gives caches time to be opened. One that is slower than a reading waits for has an error each time that it is asked;
 * answers with these errors, by tier, of the caches that were opened in the end.
 */
async function openingErrors(store: Store): Promise<readonly number[]> {
  let before: readonly number[] = []
  let isOpened: readonly boolean[] = []
  await until(async () => {
    before = errors(store)
    await store.open()
    isOpened = errors(store).map((count, i) => count === before[i])
    return !isOpened.includes(false)
  })
  return before.map((count, i) => (isOpened[i] ? count : 0))
}

/** Reads until memory answers, which it does once an echo has proven that its feed tells everything. */
async function echoed(store: Store): Promise<void> {
  if (feeds(store).length === 0) return
  await until(async () => {
    const before = hits(store)
    await store.read(nothing)
    return hits(store) > before
  })
}

/** Pages may be empty, so some are looked at. */
async function someKeys(store: Store): Promise<readonly Key[]> {
  let after: string | undefined
  for (let page = 0; page < mostPages; page++) {
    const from = after === undefined ? {} : { after }
    const { records, next } = await store.scan({ index: 0, of: 1, limit: mostRead, ...from })
    if (records.length > 0 || next === undefined) return records.map(({ key }) => key)
    after = next
  }
  return []
}

function feeds(store: Store) {
  return (store.figures().tiers ?? []).flatMap((tier) => (tier.kind === 'process' ? [tier.feed] : []))
}

function hits(store: Store): number {
  const tiers = store.figures().tiers ?? []
  return tiers.reduce((sum, tier) => sum + (tier.kind === 'process' ? tier.hits : 0), 0)
}

function errors(store: Store): readonly number[] {
  return (store.figures().tiers ?? []).map((tier) => (tier.kind === 'shared' ? tier.errors : 0))
}

/** Waits until it is so, or patience is over. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + patience
  while (!(await isSo()) && performance.now() < end) await delay(pause)
}

function reasonOf(read: number, isScanning: boolean): { readonly reason?: string } {
  if (read > 0) return {}
  return { reason: isScanning ? 'no live record was found' : 'the store can’t tell what it holds' }
}
