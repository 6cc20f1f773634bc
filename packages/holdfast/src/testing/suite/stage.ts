/** What the suite's tests stand on: a runner, and for each test a fresh store on a clock that the test moves. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { StoreOptions } from '../../store/store.ts'
import { fakeClock } from '../clock.ts'
import { Scene, type StoreSuiteOptions } from './scene.ts'

/** The two functions of a test runner that the suite uses. Those of node:test, Vitest and Mocha fit. */
export interface SuiteRunner {
  readonly describe: (name: string, body: () => void) => unknown
  readonly it: ((name: string, body: () => Promise<void>) => unknown) & {
    /** For what is known to be missing, with the reason in its name. */
    readonly skip?: (name: string, body: () => Promise<void>) => unknown
  }
}

/** Registers tests. */
export class Stage {
  readonly #runner: SuiteRunner
  readonly #options: StoreSuiteOptions

  constructor(runner: SuiteRunner, options: StoreSuiteOptions) {
    this.#runner = runner
    this.#options = options
  }

  get canShare(): boolean {
    return this.#options.another !== undefined
  }

  get canReopen(): boolean {
    return this.#options.reopen !== undefined
  }

  describe(name: string, body: () => void): void {
    this.#runner.describe(name, body)
  }

  /** A test over a fresh, opened store. */
  it(title: string, act: (scene: Scene) => Promise<void>, options: StoreOptions = {}): void {
    this.#runner.it(title, async () => {
      // Started at real time, because servers with an expiry of their own compare instants with their own clocks.
      const clock = fakeClock({ start: Date.now(), sleeps: 'instant' })
      const namespace = `suite-${randomBytes(8).toString('hex')}`
      const scene = new Scene(this.#options, { namespace, ...options, clock })
      try {
        await scene.begin()
        await act(scene)
      } finally {
        await scene.end()
      }
    })
  }

  /** A test that needs a capability; where it is missing, that the call is refused by its name. */
  itWith(
    capability: 'listing' | 'scanning' | 'counting' | 'atomicBatch' | 'watch',
    title: string,
    act: (scene: Scene) => Promise<void>,
    options: StoreOptions = {},
  ): void {
    const actOrRefused = async (scene: Scene): Promise<void> => {
      const has = scene.store.capabilities[capability]
      if (has === false || has === 'none') await scene.assertNotSupported(capability)
      else await act(scene)
    }
    this.it(title, actOrRefused, options)
  }

  /** A test of what a sweep removes; where the server alone drops what has expired, that a sweep says so. */
  itSweeping(title: string, act: (scene: Scene) => Promise<void>, options: StoreOptions = {}): void {
    const actOrNothing = async (scene: Scene): Promise<void> => {
      const { nativeExpiry, scanning } = scene.store.capabilities
      if (scanning || !nativeExpiry) await act(scene)
      else {
        await scene.create('a', { expiresAt: scene.now })
        scene.clock.advance(scene.store.margin)
        assert.deepEqual(await scene.store.sweep(), { removed: [] })
      }
    }
    this.it(title, actOrNothing, options)
  }
}

/** Asserts that the call fails with the coded error. */
export async function assertRefused(code: string, call: () => unknown): Promise<void> {
  await assert.rejects(
    async () => {
      await call()
    },
    (error: unknown) => {
      assert.ok(
        error instanceof Error && 'code' in error,
        `expected an error with a code, not ${String(error)}`,
      )
      assert.equal(error.code, code)
      return true
    },
  )
}
