/** `MemoryStore`: sessions in the memory of this process, with the ids that `all` answers with. */

import { memoryStore } from '../../drivers/memory.ts'
import { type KeyedOptions, KeyedSessions } from '../../sessions/keyed.ts'
import { maxValueBytes } from '../../store/record.ts'
import { sweepAll } from '../../store/sweep.ts'
import { HoldfastStore, type HoldfastStoreOptions } from './holdfast-store.ts'
import type { Done } from './session.ts'
import type { StoredSession } from './store.ts'

/** After so many saves what has expired is swept. */
const tidyEvery = 1_000

/**
 * Sessions in the memory of this process: gone when it ends, unknown to any other, at most 512 KiB each and 256 MiB
 * altogether. Not for production, unless there is one process only, whose restart may log everybody out.
 */
export class MemoryStore extends HoldfastStore {
  /** Secret ids by public ones. */
  readonly #sids = new Map<string, string>()
  #saves = 0

  constructor(options: KeyedOptions & HoldfastStoreOptions = {}) {
    super(new KeyedSessions(memoryStore({ maxValue: maxValueBytes }), options), { touchEvery: 0, ...options })
  }

  override set(sid: string, session: object, callback?: Done): void {
    this.#sids.set(this.keyed.idOf(sid), sid)
    if (++this.#saves % tidyEvery === 0) this.#tidy().catch(() => undefined)
    super.set(sid, session, callback)
  }

  /** All sessions by their secret ids. */
  override all(
    callback?: (error?: unknown, sessions?: Readonly<Record<string, StoredSession>>) => void,
  ): void {
    this.each((info) => [this.#sids.get(info.id) ?? info.id, this.sessionOf(info)] as const).then(
      (sessions) => callback?.(null, Object.fromEntries(sessions)),
      (error: unknown) => callback?.(error),
    )
  }

  async #tidy(): Promise<void> {
    await sweepAll(this.keyed.store)
    const alive = new Set(await this.each(({ id }) => id))
    for (const id of this.#sids.keys()) if (!alive.has(id)) this.#sids.delete(id)
  }
}
