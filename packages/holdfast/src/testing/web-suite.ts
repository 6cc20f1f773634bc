/**
 * The web suite: what every door between a framework and the sessions must do, for ours and for other people's.
 *
 * It serves a small application through the door, on a real port, and calls it as browsers do.
 *
 * ```ts
 * import { describe, it } from 'node:test'
 * import { webSuite } from 'holdfast/testing'
 *
 * webSuite({ describe, it }, { name: 'my door', serve: (app) => myServer(app) })
 * ```
 */

import type { SuiteRunner } from './suite/stage.ts'
import { testCookies } from './web/cookies.ts'
import { testEnding } from './web/ending.ts'
import { testReading } from './web/reading.ts'
import { testRefusing } from './web/refusing.ts'
import { testSaving } from './web/saving.ts'
import { WebStage, type WebSuiteOptions } from './web/stage.ts'
import { testTrouble } from './web/trouble.ts'

export type { Answered, Asked, WebApp } from './web/app.ts'
export type { Served, WebStore, WebSuiteOptions } from './web/stage.ts'

/**
 * Registers the tests of a door with a test runner.
 *
 * @param runner `describe` and `it` of node:test, Vitest or Mocha.
 * @param options How an application is served through the door.
 */
export function webSuite(runner: SuiteRunner, options: WebSuiteOptions): void {
  const stage = new WebStage(runner, options)
  stage.describe(options.name, () => {
    testReading(stage)
    testCookies(stage)
    testSaving(stage)
    testEnding(stage)
    testRefusing(stage)
    testTrouble(stage)
  })
}
