/** What the parts of an audit share. */

import type { Store } from '../store.ts'
import type { Findings } from './findings.ts'

/** How far an audit is. */
export interface AuditProgress {
  /** Entries of caches, records of the truth, listings of the truth. Where memory doesn't suffice the last two repeat. */
  readonly phase: 'entries' | 'records' | 'listings'
  /** How many were looked at in this phase. */
  readonly done: number
  /** How many there are; missing where it isn't known. */
  readonly total?: number
}

/** What was looked at in a cache. */
export interface AuditedCache {
  /** Which, for people. */
  readonly cache: string
  /** false: it can't tell what it holds. */
  readonly audited: boolean
  /** Entries that were looked at. */
  readonly entries: number
}

/** What an audit works with. */
export interface AuditSettings {
  readonly store: Store
  /** What the store is, for people. */
  readonly description: string
  readonly fix: boolean
  readonly maxEntries: number
  /** Records per page. */
  readonly page: number
  readonly signal: AbortSignal | undefined
  readonly findings: Findings
  readonly warnings: string[]
  readonly onProgress: (progress: AuditProgress) => void
}
