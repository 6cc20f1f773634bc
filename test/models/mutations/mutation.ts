/** What a mutation is. */

/** One change of a source. */
export interface Edit {
  /** Below packages/holdfast/src. */
  readonly file: string
  /** Occurs once. */
  readonly from: string
  readonly to: string
}

export interface Mutation {
  /** What goes missing. */
  readonly name: string
  readonly edits: readonly Edit[]
  /** The test file that must fail, from the root of the repository. */
  readonly test: string
  /** Part of the titles of the tests in it that must all fail. */
  readonly titles: readonly string[]
}

/** A test file, and what must be noticed in it. */
export function noticedBy(test: string, found: readonly Omit<Mutation, 'test'>[]): readonly Mutation[] {
  return found.map((each) => ({ ...each, test }))
}
