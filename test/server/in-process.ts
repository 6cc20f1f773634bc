/** The service without a network: the same routes, over a store in memory with a clock and faults of the test's. */

import assert from 'node:assert/strict'
import { generateRingKey, guard, KeyRing } from 'holdfast'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { type DriverCall, type FaultPlan, withFaults } from '../../packages/holdfast/src/testing/faults.ts'
import { givenRootCredential } from '../../packages/server/src/installation/root-credential.ts'
import type { App } from '../../packages/server/src/service/app.ts'
import { createService, type Service } from '../../packages/server/src/service/service.ts'
import type { RequestOptions, Tree } from './running.ts'

export const root = 'the-root-credential-of-the-tests'

/** An answer of a service in this process. */
export interface InjectedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Tree
  readonly text: string
}

/** A service in this process. */
export class InProcess {
  readonly clock: ReturnType<typeof fakeClock>
  readonly logs: string[] = []
  /** What the store's calls wait for from now on. */
  hold: ((call: DriverCall) => Promise<void>) | undefined
  /** What befalls the store's calls from now on. */
  plan: FaultPlan | undefined
  #service: Service | undefined

  constructor() {
    this.clock = fakeClock({ sleeps: 'instant' })
  }

  get app(): App {
    return this.service.app
  }

  get service(): Service {
    assert.ok(this.#service)
    return this.#service
  }

  async start(): Promise<this> {
    const driver = withFaults(memoryDriver(), {
      gate: {
        before: async (call) => {
          await this.hold?.(call)
          return this.plan?.(call)
        },
        after: () => undefined,
      },
    })
    const store = guard(driver, { clock: this.clock })
    this.#service = await createService({
      store,
      settings: {
        namespace: 'holdfast',
        bodyLimit: 4096,
        sessionIdle: 30 * 60_000,
        sessionAbsolute: 12 * 3_600_000,
        logLevel: 'info',
      },
      installation: { root: givenRootCredential(root), ring: new KeyRing([generateRingKey('test')]) },
      logTo: { write: (line) => this.logs.push(line) },
    })
    return this
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    options: RequestOptions = {},
  ): Promise<InjectedAnswer> {
    const { as = root, headers = {}, raw, form } = options
    const payload =
      raw ??
      (form ? new URLSearchParams(form).toString() : body === undefined ? undefined : JSON.stringify(body))
    const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
    const response = await this.app.inject({
      method: method as 'GET',
      url: path,
      headers: {
        ...(as === null ? {} : { authorization: `Bearer ${as}` }),
        ...(payload === undefined ? {} : { 'content-type': type }),
        ...headers,
      },
      ...(payload === undefined ? {} : { payload }),
    })
    const text = response.body
    const body_ = text === '' ? undefined : (JSON.parse(text) as Tree)
    return { status: response.statusCode, headers: response.headers, text, body: body_ as Tree }
  }

  /** Calls and insists on the status. */
  async expect(
    status: number,
    method: string,
    path: string,
    body?: unknown,
    options?: RequestOptions,
  ): Promise<Tree> {
    const answer = await this.call(method, path, body, options)
    assert.equal(answer.status, status, `${method} ${path} answered ${answer.status}: ${answer.text}`)
    return answer.body
  }

  /** Calls and insists on a refusal. */
  async refuses(
    status: number,
    code: string,
    [method, path, body]: readonly [string, string, unknown?],
    options?: RequestOptions,
  ): Promise<InjectedAnswer> {
    const answer = await this.call(method, path, body, options)
    const given =
      path === '/v1/introspect' || path === '/v1/revoke'
        ? answer.body['code']
        : answer.body['error']?.['code']
    assert.deepEqual([answer.status, given], [status, code], `${method} ${path}: ${answer.text}`)
    return answer
  }
}
