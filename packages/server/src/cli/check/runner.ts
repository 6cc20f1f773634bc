/** A test runner of a few lines: takes the tests that a suite registers, then runs them one after the other. */

import type { SuiteRunner } from 'holdfast/testing'

/** A test, and the part of the suite that it belongs to. */
export interface Test {
  readonly part: string
  readonly title: string
  readonly body: () => Promise<void>
}

/** What became of a test. */
export interface Ran {
  readonly test: Test
  readonly ms: number
  /** Missing when it passed. */
  readonly failure?: string
}

/** The tests that a suite registers, in order. The outermost group is the suite, those within it are its parts. */
export function testsOf(register: (runner: SuiteRunner) => void): readonly Test[] {
  const tests: Test[] = []
  const groups: string[] = []
  register({
    describe(name, body) {
      groups.push(name)
      body()
      groups.pop()
    },
    it(title, body) {
      const [, part = title, ...inner] = groups
      // Which rows of which table a test covers says nothing to those who run a store.
      const plain = [...inner, title].join(' ').replace(/ \[[^\]]*\]$/, '')
      tests.push({ part, title: plain, body })
    },
  })
  return tests
}

/**
 * Runs one test.
 *
 * @param patience Milliseconds after which it counts as failed. It can't be ended, so it may still be under way.
 */
export async function run(test: Test, patience: number): Promise<Ran> {
  const began = performance.now()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`it did not end within ${patience / 1_000} s`)), patience)
  try {
    await Promise.race([test.body(), late])
    return { test, ms: performance.now() - began }
  } catch (error) {
    return { test, ms: performance.now() - began, failure: messageOf(error) }
  } finally {
    clearTimeout(timer)
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, message } = error as NodeJS.ErrnoException
  const isOurs = code !== undefined && code !== 'ERR_ASSERTION'
  return isOurs ? `${message} (${code})` : message
}
