/**
 * A store's change feed, as a cache in this process stands on it: it tells what to forget, and an echo through it
 * proves that everything which was committed before has been told, on this process's own clock. As long as the feed
 * is broken, isn't there yet or has an echo outstanding for longer than the bound, nothing that is cached may be used:
 * nobody waits for the feed, the truth is asked instead.
 */

import type { Change, Watch } from '../contract.ts'
import type { Key } from '../record.ts'
import type { FeedFigures, Store } from '../store.ts'

/** What stands on a feed. */
export interface Follower {
  /** These may have changed. */
  forget(keys: readonly Key[]): void
  /** Anything may have changed. */
  forgetAll(): void
}

export class Feed {
  readonly #store: Store
  readonly #bound: number
  readonly #follower: Follower
  #watch: Watch | undefined
  #starting: Promise<void> | undefined
  #closed = false
  /** The store has no feed. */
  #none = false
  #broken = false
  /** As of when everything has been told, on the clock that never goes back; and the echo under way. */
  #freshAt = Number.NEGATIVE_INFINITY
  #echo: object | undefined
  #lag = 0
  #resets = 0

  /** @param bound Milliseconds that a proof of freshness is good for. */
  constructor(store: Store, bound: number, follower: Follower) {
    this.#store = store
    this.#bound = bound
    this.#follower = follower
  }

  /** Whether what was heard of is forgotten in time: what is read now may be kept. */
  get isLive(): boolean {
    return this.#watch !== undefined && !this.#broken
  }

  /** Whether what is kept was still true within the bound. Asks for the next proof in good time. */
  isFresh(): boolean {
    if (!this.#watch) {
      this.start()
      return false
    }
    if (this.#broken) return false
    const now = this.#store.clock.elapsed()
    const age = now - this.#freshAt
    // At half time, so that where there is traffic the answer is there before it is needed.
    if (age >= this.#bound / 2 && !this.#echo) this.#askEcho(now)
    return now - this.#freshAt < this.#bound
  }

  /** Begins to listen, if the store has a feed. Never rejects: who finds it missing tries again. */
  start(): void {
    if (this.#watch || this.#none || this.#closed) return
    this.#starting ??= this.#listen().finally(() => {
      this.#starting = undefined
    })
  }

  get figures(): FeedFigures {
    const state = this.#none ? 'none' : this.#broken ? 'broken' : this.#watch ? 'live' : 'starting'
    return { state, lagMs: this.#lag, resets: this.#resets }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#starting
    const watch = this.#watch
    this.#watch = undefined
    await watch?.close()
  }

  async #listen(): Promise<void> {
    try {
      const { capabilities } = await this.#store.open()
      if (!capabilities.watch) {
        this.#none = true
        return
      }
      const asked = this.#store.clock.elapsed()
      const watch = await this.#store.watch((change) => {
        this.#told(change)
      })
      // What was kept before nobody would have told us of.
      this.#follower.forgetAll()
      this.#watch = watch
      this.#freshAt = asked
    } catch {
      this.#watch = undefined
    }
  }

  /** An echo that doesn't come is asked for again. */
  #askEcho(asked: number): void {
    const echo = this.#marked()
    if (!(echo instanceof Promise)) {
      // Where the feed can be asked at once, as on an embedded store, freshness costs no waiting.
      if (echo === 'told') this.#freshAt = asked
      return
    }
    const mine = {}
    this.#echo = mine
    const over = (): void => {
      cancel()
      if (this.#echo === mine) this.#echo = undefined
    }
    const cancel = this.#store.clock.timer(this.#bound, over)
    echo.then((answer) => {
      over()
      if (answer !== 'told') return
      this.#lag = this.#store.clock.elapsed() - asked
      this.#freshAt = Math.max(this.#freshAt, asked)
    }, over)
  }

  #marked(): Promise<'told' | undefined> | 'told' | undefined {
    try {
      const echo = this.#watch?.mark()
      return echo instanceof Promise ? echo.then(told, nothing) : 'told'
    } catch {
      // The feed says that it is broken; the truth is asked instead.
      return undefined
    }
  }

  #told(change: Change): void {
    switch (change.type) {
      case 'changed':
        this.#follower.forget(change.keys)
        return
      case 'reset':
        this.#resets++
        this.#follower.forgetAll()
        return
      case 'broken':
        this.#resets++
        this.#broken = true
        this.#follower.forgetAll()
        return
      case 'restored':
        this.#broken = false
    }
  }
}

function told(): 'told' {
  return 'told'
}

function nothing(): undefined {
  return undefined
}
