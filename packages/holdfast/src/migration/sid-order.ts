/** Scanning in the order of ids: where a page ends, said exactly, and said so that nobody can use it as an id. */

/** Where a page begins: after an id, or at the first that is not before this beginning of one. */
export interface Start {
  readonly from: string
  /** Whether `from` itself belongs to the page. */
  readonly inclusive: boolean
}

/** An id has some 30 characters at random; of a beginning of eight, nobody can guess the rest. */
const shown = 8

/** The cursors for a page that ended with this id. */
export function cursorsAt(sid: string): { readonly next: string; readonly resume: string } {
  const beginning = sid.slice(0, Math.min(shown, sid.length >> 1))
  // A pair of surrogates must not be cut in two.
  return { next: `>${sid}`, resume: `=${beginning.replace(/[\uD800-\uDBFF]$/, '')}` }
}

/** What a cursor says; one that is missing begins at the beginning. */
export function startOf(cursor: string | undefined): Start {
  if (cursor === undefined) return { from: '', inclusive: true }
  return { from: cursor.slice(1), inclusive: !cursor.startsWith('>') }
}
