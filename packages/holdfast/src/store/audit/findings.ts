/** What an audit found: counted by kind, and the first of them kept. */

import type { Key, Label } from '../record.ts'

/**
 * What is wrong.
 *
 * In a cache:
 * - `orphan-entry`: it would be used, but the truth has no live record of that key.
 * - `stale-entry`: it would be used, but isn't what the truth has.
 * - `malformed-entry`: it isn't whole. It is never used.
 * - `outliving-entry`: it would be used for longer than its record lives, or for much longer than the bound.
 *
 * In the truth:
 * - `unlisted-record`: it carries a label, and the listing of that label doesn't find it.
 * - `stray-listing`: the listing of a label finds a record that doesn't carry it.
 * - `malformed-record`: its value can't be decoded, so nobody accepts it.
 */
export type FindingKind =
  | 'orphan-entry'
  | 'stale-entry'
  | 'malformed-entry'
  | 'outliving-entry'
  | 'unlisted-record'
  | 'stray-listing'
  | 'malformed-record'

/** One thing that is wrong. */
export interface Finding {
  readonly kind: FindingKind
  /** The record that it is about. */
  readonly key: Key
  /** Of a listing: the label; missing where it is that of the whole collection. */
  readonly label?: Label
  /** What is wrong with it, in words. */
  readonly message: string
  /** Whether it was mended, and that was seen. */
  readonly fixed: boolean
}

/** How many are kept: there may be as many as records. */
const mostKept = 100

export class Findings {
  readonly kept: Finding[] = []
  readonly kinds: Partial<Record<FindingKind, { found: number; fixed: number }>> = {}
  found = 0
  fixed = 0

  add(finding: Finding): void {
    const kind = (this.kinds[finding.kind] ??= { found: 0, fixed: 0 })
    kind.found++
    this.found++
    if (finding.fixed) {
      kind.fixed++
      this.fixed++
    }
    if (this.kept.length < mostKept) this.kept.push(finding)
  }
}
