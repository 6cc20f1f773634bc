/**
 * The store suite: every sentence of the contract as a test, for our own drivers and for other people's.
 *
 * It goes through the guarded store, chooses its expectations by the capabilities that the opened store declares,
 * tests the "no" too (what is not declared must be refused by its name), and waits for nothing: the clock is moved.
 *
 * ```ts
 * import { describe, it } from 'node:test'
 * import { storeSuite } from 'holdfast/testing'
 *
 * storeSuite({ describe, it }, { name: 'my store', make: (options) => myStore(server, options) })
 * ```
 */

import { testBatch } from './suite/batch.ts'
import { testBounds } from './suite/bounds.ts'
import { testCreate } from './suite/create.ts'
import { testLabels } from './suite/labels.ts'
import { testList } from './suite/list.ts'
import { testRead } from './suite/read.ts'
import { testReplace } from './suite/replace.ts'
import { testScan } from './suite/scan.ts'
import type { StoreSuiteOptions } from './suite/scene.ts'
import { Stage, type SuiteRunner } from './suite/stage.ts'
import { testStore } from './suite/store.ts'
import { testSweep } from './suite/sweep.ts'
import { testTouch } from './suite/touch.ts'
import { testWatch } from './suite/watch.ts'

export type { StoreSuiteOptions, SuiteStoreOptions } from './suite/scene.ts'
export type { SuiteRunner } from './suite/stage.ts'

/**
 * Registers the tests of a store with a test runner.
 *
 * Every test draws a namespace and has a store made on it, whose clock starts at real time and is moved by hours, so a
 * server's own clock must not decide what has expired. The store is closed after its test.
 *
 * @param runner `describe` and `it` of node:test, Vitest or Mocha.
 * @param options What to test, and how to make it.
 */
export function storeSuite(runner: SuiteRunner, options: StoreSuiteOptions): void {
  const stage = new Stage(runner, options)
  stage.describe(options.name, () => {
    testStore(stage)
    testCreate(stage)
    testReplace(stage)
    testTouch(stage)
    testRead(stage)
    testBatch(stage)
    testList(stage)
    testLabels(stage)
    testScan(stage)
    testSweep(stage)
    testWatch(stage)
    testBounds(stage)
  })
}
