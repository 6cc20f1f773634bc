/**
 * The other side: a raw client that does the least possible work on the same server. No expiry, no labels beside the
 * owner, no check of anything: a row by its key, a compare-and-swap of a row, the rows of one owner.
 */

import type { Shape } from '../filling.ts'

export interface Raw {
  /** What it is, and how it is used. */
  readonly note: string
  /** Creates the records of a shape, in place of whatever was there. */
  fill(shape: Shape): Promise<void>
  /** Reads a record. Rejects when it isn't there. */
  read(i: number): Promise<void>
  /** Replaces a record, if it is at the version that was written last. Rejects when it isn't. */
  save(i: number): Promise<void>
  /** Reads the records of an owner, and answers how many. */
  list(owner: string): Promise<number>
  /** Removes everything and closes. */
  end(): Promise<void>
}

/** The numbers of the records, in parts. */
export function* parts({ count }: Shape, size: number): Generator<readonly number[]> {
  for (let start = 0; start < count; start += size) {
    yield Array.from({ length: Math.min(size, count - start) }, (_, i) => start + i)
  }
}

/** The most records of one owner that are listed. */
export const listed = 100
