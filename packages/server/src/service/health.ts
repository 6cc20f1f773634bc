/** Whether the service should get requests. */

import type { Store } from 'holdfast'
import { RequestRefused } from './refusals.ts'

/** A key that nothing is ever stored under: reading it asks the store without meeting anyone's data. */
const probe = { collection: 'meta', id: 'readiness' }

export class Health {
  readonly #store: Store
  #stopping = false

  constructor(store: Store) {
    this.#store = store
  }

  /** Set once, when a signal asked the service to stop. */
  get isStopping(): boolean {
    return this.#stopping
  }

  stop(): void {
    this.#stopping = true
  }

  /** Resolves when the store answers. @throws {RequestRefused} while stopping, and whatever the store throws. */
  async ready(): Promise<void> {
    if (this.#stopping) throw new RequestRefused('HOLDFAST_SHUTTING_DOWN', 'the service is stopping')
    await this.#store.read(probe, { strict: true })
  }
}
