/** The few parts of fast-check that the model uses. It is the user's: the library depends on nothing. */

/** How values of a kind are made up and made smaller. */
export interface Arbitrary<T> {
  map<U>(mapper: (value: T) => U): Arbitrary<U>
}

/** One thing to do to the model and the real store at once. */
export interface ModelCommand<Model extends object, Real> {
  check(model: Readonly<Model>): boolean | Promise<boolean>
  run(model: Model, real: Real): Promise<void>
  toString(): string
}

/** What a check of a property found. */
export interface CheckDetails {
  readonly failed: boolean
  readonly numRuns: number
  readonly seed: number
  readonly counterexamplePath: string | null
  readonly errorInstance: unknown
}

/** `import fc from 'fast-check'`, version 4. */
export interface FastCheck {
  integer(range: { min: number; max: number }): Arbitrary<number>
  boolean(): Arbitrary<boolean>
  constantFrom<T>(...values: T[]): Arbitrary<T>
  subarray<T>(of: T[], length?: { minLength?: number; maxLength?: number }): Arbitrary<T[]>
  array<T>(of: Arbitrary<T>, length?: { minLength?: number; maxLength?: number }): Arbitrary<T[]>
  tuple<T extends unknown[]>(...each: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T>
  oneof<T>(...each: { arbitrary: Arbitrary<T>; weight: number }[]): Arbitrary<T>
  commands<Model extends object, Real>(
    each: Arbitrary<ModelCommand<Model, Real>>[],
    size?: { maxCommands?: number; size?: 'max' },
  ): Arbitrary<Iterable<ModelCommand<Model, Real>>>
  asyncModelRun<Model extends object, Real>(
    setup: () => Promise<{ model: Model; real: Real }>,
    commands: Iterable<ModelCommand<Model, Real>>,
  ): Promise<void>
  asyncProperty<T>(of: Arbitrary<T>, predicate: (value: T) => Promise<void>): unknown
  check(property: never, settings: { numRuns?: number; seed?: number; path?: string }): unknown
}
