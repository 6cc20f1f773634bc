/** What the tests of the web suite stand on: sessions over a store that can be made to fail, served through a door. */

import assert from 'node:assert/strict'
import { Memory, memoryDriver } from '../../drivers/memory.ts'
import type { RecordEvent } from '../../records/events.ts'
import type { SessionsOptions } from '../../sessions/options.ts'
import { Sessions } from '../../sessions/sessions.ts'
import type { Awaitable } from '../../store/contract.ts'
import { guard } from '../../store/guard.ts'
import type { Store } from '../../store/store.ts'
import type { WebOptions } from '../../web/exchange.ts'
import { type FakeClock, fakeClock } from '../clock.ts'
import { type FaultPlan, type FaultyDriver, withFaults } from '../faults.ts'
import type { SuiteRunner } from '../suite/stage.ts'
import { SuiteApp, type WebApp } from './app.ts'
import { type Seen, Visitor } from './visitor.ts'

/** An application that is served. */
export interface Served {
  /** Without a slash at its end. */
  readonly url: string
  close(): Promise<void>
}

/** A store that the probes are run over. */
export interface WebStore {
  readonly name: string
  /** Makes an empty one; the suite closes it. */
  make(): Awaitable<Store>
}

/** The door to be tested. */
export interface WebSuiteOptions {
  /** What the suite is called in the runner's output. */
  readonly name: string
  /** Serves an application through the door, on a port of its own. */
  serve(app: WebApp): Awaitable<Served>
  /** The stores that the probes of concurrency are run over, besides memory. @default none */
  readonly stores?: readonly WebStore[]
  /** What the door, or its framework, can't do, by the word in brackets in a test's title, with the reason. */
  readonly lacks?: Readonly<Partial<Record<'streaming', string>>>
}

/** Settings of one test. */
export interface SceneOptions {
  readonly sessions?: SessionsOptions
  readonly web?: WebOptions
}

/** One test's application, and who visits it. */
export class WebScene {
  readonly clock: FakeClock
  readonly driver: FaultyDriver
  readonly app: SuiteApp
  readonly events: RecordEvent[] = []
  plan: FaultPlan = () => undefined
  /** Waited for before each write of the store. */
  writing: Promise<unknown> = Promise.resolve()
  readonly #served: Served

  private constructor(parts: { clock: FakeClock; driver: FaultyDriver; app: SuiteApp; served: Served }) {
    this.clock = parts.clock
    this.driver = parts.driver
    this.app = parts.app
    this.#served = parts.served
  }

  static async begin(
    options: WebSuiteOptions,
    { sessions, web }: SceneOptions,
    store?: Store,
  ): Promise<WebScene> {
    const clock = fakeClock({ start: Date.now(), sleeps: 'instant' })
    const scene: { current?: WebScene } = {}
    const driver = withFaults(memoryDriver({ memory: new Memory() }), {
      plan: (call) => scene.current?.plan(call),
      gate: {
        before: async (call) => {
          if (call.writes) await scene.current?.writing
          return scene.current?.plan(call)
        },
        after: () => undefined,
      },
    })
    const app = new SuiteApp(
      new Sessions(store ?? guard(driver, { clock, circuit: false }), {
        onEvent: (event) => scene.current?.events.push(event),
        ...sessions,
      }),
      web ?? {},
    )
    scene.current = new WebScene({ clock, driver, app, served: await options.serve(app) })
    return scene.current
  }

  visitor(): Visitor {
    return new Visitor(this.#served.url)
  }

  /** Somebody who has a session. */
  async guest(): Promise<Visitor> {
    const visitor = this.visitor()
    expectStatus(await visitor.get('/set?key=guest&value=yes'), 200)
    return visitor
  }

  /** Somebody who is logged in. */
  async user(): Promise<Visitor> {
    const visitor = await this.guest()
    expectStatus(await visitor.get('/login'), 200)
    return visitor
  }

  /** How many sessions there are, the dead not among them. */
  async sessions(): Promise<number> {
    return (await this.app.sessions.list()).sessions.length
  }

  async end(): Promise<void> {
    this.app.gates.open()
    await this.#served.close()
  }
}

/** Registers tests. */
export class WebStage {
  readonly #runner: SuiteRunner
  readonly options: WebSuiteOptions

  constructor(runner: SuiteRunner, options: WebSuiteOptions) {
    this.#runner = runner
    this.options = options
  }

  describe(name: string, body: () => void): void {
    this.#runner.describe(name, body)
  }

  /** A test over memory, whose calls can be made to fail. */
  it(title: string, act: (scene: WebScene) => Promise<void>, options: SceneOptions = {}): void {
    const { lacks = {} } = this.options
    const reason = Object.entries(lacks).find(([word]) => title.includes(`[${word}]`))?.[1]
    if (reason === undefined) this.#runner.it(title, () => this.#played(act, options))
    else this.#runner.it.skip?.(`${title}: ${reason}`, () => Promise.resolve())
  }

  /** A test over memory and over each of the stores. */
  itOverAll(title: string, act: (scene: WebScene) => Promise<void>): void {
    this.it(`${title}, over memory`, act)
    for (const each of this.options.stores ?? []) {
      this.#runner.it(`${title}, over ${each.name}`, async () => {
        const store = await each.make()
        try {
          await this.#played(act, {}, store)
        } finally {
          await store.close()
        }
      })
    }
  }

  async #played(
    act: (scene: WebScene) => Promise<void>,
    options: SceneOptions,
    store?: Store,
  ): Promise<void> {
    const scene = await WebScene.begin(this.options, options, store)
    try {
      await act(scene)
    } finally {
      await scene.end()
    }
  }
}

/** @throws {AssertionError} */
export function expectStatus(seen: Seen, status: number): void {
  assert.equal(seen.status, status, `answered ${String(seen.status)}: ${seen.body.slice(0, 300)}`)
}
