/** What records were before their last change, for reads that a cache answers. */

import type { Call, Driver, ReadOptions } from '../../store/contract.ts'
import { isLive, type Key, keyText, type StoredRecord } from '../../store/record.ts'

type Found = StoredRecord | undefined

export class Past {
  /** What each key held at every write, oldest first. */
  readonly #held = new Map<string, Found[]>()

  /** Keeps what the keys hold now, which is about to change. */
  async keep(driver: Driver, keys: readonly Key[], call: Call): Promise<void> {
    if (keys.length === 0) return
    const found = await driver.read(keys, { expired: true, strict: true }, call)
    keys.forEach((key, i) => {
      const held = this.#held.get(keyText(key)) ?? []
      this.#held.set(keyText(key), [...held, found[i]])
    })
  }

  /** Answers a read with what was true before the last change; with the truth for what never changed. */
  async read(
    keys: readonly Key[],
    options: Required<ReadOptions>,
    now: number,
    truth: () => ReturnType<Driver['read']>,
  ): Promise<readonly Found[]> {
    const current = await truth()
    return keys.map((key, i) => {
      const held = this.#held.get(keyText(key)) ?? []
      // A write that was refused changed nothing, so what counts is the last one that differs.
      const before = held.findLastIndex((each) => each?.version !== current[i]?.version)
      if (before === -1) return current[i]
      const stale = held[before]
      return stale && (options.expired || isLive(stale, now))
        ? { ...stale, value: stale.value.slice() }
        : undefined
    })
  }
}
