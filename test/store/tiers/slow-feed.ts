import { type Memory, memoryDriver } from '../../../packages/holdfast/src/drivers/memory.ts'
import { StoreUnavailable } from '../../../packages/holdfast/src/errors.ts'
import type { Change, Driver } from '../../../packages/holdfast/src/store/contract.ts'

/** A memory whose feed arrives when the test says so. */
export class SlowFeed {
  readonly driver: Driver
  reads = 0
  watches = 0
  /** What befalls the next echoes. */
  echo: 'late' | 'at once' | 'rejects' | 'throws' = 'late'
  refusesToWatch = false
  holdsReads = false
  #listener: ((change: Change) => void) | undefined
  readonly #held: Change[] = []
  readonly #echoes: (() => void)[] = []
  readonly #readings: (() => void)[] = []

  constructor(memory: Memory) {
    const driver = memoryDriver({ memory })
    this.driver = new Proxy(driver, {
      get: (target, name) => {
        if (name === 'watch') return this.#watch.bind(this, driver)
        const value: unknown = Reflect.get(target, name, target)
        if (name !== 'read') return typeof value === 'function' ? (value.bind(target) as unknown) : value
        return (...given: Parameters<Driver['read']>) => this.#read(driver, given)
      },
    })
  }

  /** Delivers what was held back, and the echoes behind it. */
  deliver(): void {
    for (const change of this.#held.splice(0)) this.#listener?.(change)
    for (const echo of this.#echoes.splice(0)) echo()
  }

  tell(change: Change): void {
    this.#listener?.(change)
  }

  /** Lets the reads that were held back arrive. */
  answerReads(): void {
    for (const answer of this.#readings.splice(0)) answer()
  }

  async #read(
    driver: Driver,
    given: Parameters<Driver['read']>,
  ): Promise<Awaited<ReturnType<Driver['read']>>> {
    this.reads++
    const answer = await driver.read(...given)
    if (this.holdsReads) await new Promise<void>((resolve) => this.#readings.push(resolve))
    return answer
  }

  #watch(driver: Driver, listener: (change: Change) => void, call: Parameters<Driver['watch']>[1]) {
    this.watches++
    if (this.refusesToWatch) throw new StoreUnavailable('nobody listens')
    this.#listener = listener
    void driver.watch((change) => this.#held.push(change), call)
    return {
      mark: () => {
        if (this.echo === 'at once') return undefined
        if (this.echo === 'throws') throw new StoreUnavailable('the feed is broken')
        if (this.echo === 'rejects') return Promise.reject(new StoreUnavailable('the feed is broken'))
        return new Promise<void>((resolve) => this.#echoes.push(resolve))
      },
      close: () => undefined,
    }
  }
}
