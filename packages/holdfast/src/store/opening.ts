/** The life of a driver: opened once however many wait, tried again after a failure, refused after close. */

import { ClockSkew, StoreClosed } from '../errors.ts'
import type { Calls } from './calls.ts'
import type { Driver, Opened } from './contract.ts'

export class Opening {
  readonly #driver: Driver
  readonly #calls: Calls
  readonly #margin: number
  #opened: Opened | undefined
  #pending: Promise<Opened> | undefined
  #closing: Promise<void> | undefined

  constructor(driver: Driver, calls: Calls, margin: number) {
    this.#driver = driver
    this.#calls = calls
    this.#margin = margin
  }

  /** What was opened, or `undefined` as long as nothing is. After {@link close} too, for those who were just answered. */
  get now(): Opened | undefined {
    return this.#opened
  }

  /** Opens at the first call. @throws {StoreClosed} after {@link close}. */
  opened(): Promise<Opened> {
    if (this.#closing) return Promise.reject(closed())
    this.#pending ??= this.#open().catch((error: unknown) => {
      // A failed open is not remembered: the next call tries again.
      this.#pending = undefined
      throw error
    })
    return this.#pending
  }

  /** The same, for those who are about to use it. @throws {StoreClosed} after {@link close}. */
  get ready(): Opened | undefined {
    if (this.#closing) throw closed()
    return this.#opened
  }

  /** Waits for the calls under way, then closes the driver. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(): Promise<Opened> {
    const opened = await this.#calls.ask('open', {}, (call) => this.#driver.open(call))
    await this.#refuseSkew(opened)
    this.#opened = opened
    return opened
  }

  async #refuseSkew({ skew = 0, description }: Opened): Promise<void> {
    if (Math.abs(skew) <= this.#margin) return
    await this.#driver.close()
    throw new ClockSkew(
      `the clock of ${description} differs from this machine's by ${skew} ms, more than the margin of ` +
        `${this.#margin} ms: records would be removed too early or too late. Set the clocks, or raise the margin`,
      skew,
    )
  }

  async #close(): Promise<void> {
    await this.#pending?.catch(() => undefined)
    await this.#calls.idle()
    if (this.#opened) await this.#driver.close()
  }
}

function closed(): StoreClosed {
  return new StoreClosed('the store was closed')
}
