/**
 * Looking through a store and its tiers for what no reading would notice: entries of a shared cache that aren't what the
 * truth has, and records that a listing doesn't find, so that "log out everywhere" would miss them.
 *
 * Others may work on meanwhile. What looks wrong is looked at again, strictly, before it is told, so a change that
 * happens at this very moment isn't reported. Memory is bounded, whatever is stored: where there is more to remember
 * than fits, the store is gone through several times.
 */

import { InvalidOption } from '../errors.ts'
import { auditCache } from './audit/entries.ts'
import { type Finding, type FindingKind, Findings } from './audit/findings.ts'
import { ListingAudit } from './audit/listings.ts'
import type { AuditedCache, AuditProgress, AuditSettings } from './audit/settings.ts'
import type { Store } from './store.ts'
import { SharedTier } from './tiers/shared-tier.ts'
import { Tier } from './tiers/tier.ts'

export type { Finding, FindingKind } from './audit/findings.ts'
export type { AuditedCache, AuditProgress } from './audit/settings.ts'

/** Settings of an audit. */
export interface AuditOptions {
  /**
   * Mends what can be mended: removes entries from caches, and writes records that aren't listed anew, as they are, so
   * that they are. @default false
   */
  readonly fix?: boolean
  /** The most labels, or ids, that are remembered at once: some 150 bytes each. At least 1. @default 200000 */
  readonly maxEntries?: number
  /** Stops between two pages. */
  readonly signal?: AbortSignal
  /** Told after each page. */
  readonly onProgress?: (progress: AuditProgress) => void
}

/** What an audit found. */
export interface AuditReport {
  /** The caches that processes share, from the top. */
  readonly caches: readonly AuditedCache[]
  /** Live records of the truth that were looked at. */
  readonly records: number
  /** Listings that were compared with them: one for each label, and one for each collection. */
  readonly listings: number
  /** How many things are wrong, or were. */
  readonly found: number
  /** How many of these were mended. */
  readonly fixed: number
  /** The same by kind; missing where nothing was found. */
  readonly kinds: Readonly<Partial<Record<FindingKind, { readonly found: number; readonly fixed: number }>>>
  /** The first 100 of them. */
  readonly findings: readonly Finding[]
  /** What can't be audited, in sentences. */
  readonly warnings: readonly string[]
}

/** The most bytes of values that one page may hold. */
const pageBytes = 8 * 1024 * 1024

/**
 * Compares what every shared cache holds with the truth, and what the truth lists with its records. What can't be
 * scanned or listed is told in `warnings`.
 *
 * @param store With tiers or without. This process's own memory isn't looked at: it is another in each process.
 * @throws {StoreUnavailable} when a cache or the truth can't be reached: then nothing is known.
 * @throws {KeyUnknown} when records are sealed under a key that the store's codec doesn't have.
 * @throws {RecordCorrupt} when the truth holds something of which its driver can't make a record.
 * @throws {InvalidOption}
 */
export async function auditStore(store: Store, options: AuditOptions = {}): Promise<AuditReport> {
  const settings = await prepared(store, options)
  const caches: AuditedCache[] = []
  for (const tier of sharedTiersOf(store)) caches.push(await auditCache(tier, settings))
  const looked = await listingsOf(settings)
  const { found, fixed, kinds, kept } = settings.findings
  return { caches, ...looked, found, fixed, kinds, findings: kept, warnings: settings.warnings }
}

async function prepared(store: Store, options: AuditOptions): Promise<AuditSettings> {
  const { fix = false, maxEntries = 200_000, signal, onProgress } = options
  if (!Number.isSafeInteger(maxEntries) || maxEntries < 1) {
    throw new InvalidOption(`maxEntries must be a whole number of at least 1, not ${String(maxEntries)}`)
  }
  const { description } = await store.open()
  return {
    store,
    description,
    fix,
    maxEntries,
    page: Math.min(200, Math.ceil(pageBytes / store.maxValue)),
    signal,
    findings: new Findings(),
    warnings: [],
    onProgress: onProgress ?? (() => undefined),
  }
}

function* sharedTiersOf(store: Store): Iterable<SharedTier> {
  for (let below = store; below instanceof Tier; below = below.truth) {
    if (below instanceof SharedTier) yield below
  }
}

async function listingsOf(settings: AuditSettings): Promise<{ records: number; listings: number }> {
  const { capabilities } = settings.store
  if (!capabilities.scanning || capabilities.listing !== 'complete') {
    const what = capabilities.scanning ? 'find all that carries a label' : 'tell what it holds'
    settings.warnings.push(
      `the listings of ${settings.description} were not audited: as it is set up it can’t ${what}`,
    )
    return { records: 0, listings: 0 }
  }
  return await new ListingAudit(settings).run()
}
