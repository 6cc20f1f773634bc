/**
 * Leases: one holder at a time, in whatever process, for those who need strict order. A lease that its holder does not
 * prolong ends by itself, so a crash blocks nobody for long. Nothing that must hold rests on one: every write is
 * compared with the version that it was made for.
 */

import { mintId } from '../credentials/credential.ts'
import { digestOf } from '../credentials/digest.ts'
import { Locked } from '../errors.ts'
import type { Key, Version } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { jittered } from './backoff.ts'

/** Ends a lease. Never fails: one that can't be ended ends by itself. */
export type Release = () => Promise<void>

/** How long a lease lasts that nobody prolongs, in milliseconds. */
const life = 9_000

export class Leases {
  readonly #store: Store
  /** Who waits in this process, by lease: told at once when it is free, so that they need not ask the store. */
  readonly #waiting = new Map<string, Set<() => void>>()

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * Waits until nobody else holds the lease, then holds it.
   *
   * @param patience How long it may take, in milliseconds.
   * @throws {Locked} when others held it for so long.
   */
  async acquire(name: string, patience: number): Promise<Release> {
    const { clock } = this.#store
    const key: Key = { collection: 'leases', id: digestOf(name) }
    const holder = mintId()
    const ends = clock.elapsed() + patience
    for (let attempt = 1; ; attempt++) {
      const version = await this.#taken(key, holder)
      if (version !== undefined) return this.#held(key, version, name)
      const rest = ends - clock.elapsed()
      if (rest <= 0) throw new Locked(`other requests held ${name} for ${String(patience)} ms`)
      await this.#freed(name, Math.min(jittered(attempt), rest))
    }
  }

  /** Tries to take it; `undefined` where another holds it. */
  async #taken(key: Key, holder: string): Promise<Version | undefined> {
    const { clock, codec } = this.#store
    const value = codec.encode(key, { holder })
    const created = await this.#store.create({ key, value, expiresAt: clock.now() + life })
    if (created.status === 'done') return created.version
    if (created.status !== 'unknown') return undefined
    const record = await this.#store.read(key, { strict: true })
    const stored = record && (codec.decode(key, record.value) as { readonly holder?: unknown })
    return stored?.holder === holder ? record?.version : undefined
  }

  #held(key: Key, version: Version, name: string): Release {
    const { clock } = this.#store
    let cancel = (): void => undefined
    const prolong = (): void => {
      cancel = clock.timer(life / 3, () => {
        this.#store.touch([{ key, version, expiresAt: clock.now() + life }]).catch(() => undefined)
        prolong()
      })
    }
    prolong()
    return async () => {
      cancel()
      await this.#ended(key, version)
      const next = this.#waiting.get(name)?.values().next().value
      next?.()
    }
  }

  async #ended(key: Key, version: Version): Promise<void> {
    const { clock, codec } = this.#store
    const value = codec.encode(key, {})
    try {
      // What has expired is free to be created again.
      await this.#store.replace({ key, expected: version, value, expiresAt: clock.now(), setsExpiry: true })
    } catch {
      // It ends by itself.
    }
  }

  /** Resolves after a while, or when this process has let go of the lease. */
  async #freed(name: string, ms: number): Promise<void> {
    const waiting = this.#waiting.get(name) ?? new Set()
    this.#waiting.set(name, waiting)
    const giveUp = new AbortController()
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const wake = (): void => {
      resolve(undefined)
    }
    waiting.add(wake)
    try {
      await Promise.race([this.#store.clock.sleep(ms, { signal: giveUp.signal }), promise])
    } finally {
      waiting.delete(wake)
      if (waiting.size === 0) this.#waiting.delete(name)
      giveUp.abort()
    }
  }
}
