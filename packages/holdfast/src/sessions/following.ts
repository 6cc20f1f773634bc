/**
 * Following a session while something lasts that it was opened for, such as a WebSocket: tells when it has ended,
 * wherever that was done. By the store's feed where there is one, by asking otherwise; both ask the truth.
 */

import { SessionGone } from '../errors.ts'
import { marksCollection } from '../records/mark.ts'
import type { Found, Records } from '../records/records.ts'
import type { Watch } from '../store/contract.ts'

/** A session that is followed. */
export interface Followed {
  /** Aborted when the session has ended or belongs to somebody else; its reason is a `SessionGone`. */
  readonly signal: AbortSignal
  /** Follows it no longer. */
  readonly stop: () => void
}

interface Follower {
  readonly id: string
  readonly user: string | undefined
  readonly controller: AbortController
  /** The ids of the mark records by which it may be struck. */
  marks: readonly string[]
  cancel: () => void
}

export class Following {
  readonly #records: Records
  readonly #isAlive: (found: Found) => Promise<boolean>
  readonly #interval: number
  readonly #followers = new Map<string, Set<Follower>>()
  #watch: Promise<Watch | undefined> | undefined
  /** Whether the feed is broken: until it is restored they are asked for. */
  #isDeaf = false

  /** @param interval How often the store is asked where it has no feed, in milliseconds. */
  constructor(records: Records, interval: number, isAlive: (found: Found) => Promise<boolean>) {
    this.#records = records
    this.#interval = interval
    this.#isAlive = isAlive
  }

  /** Follows a session; the promise resolves when what happens from then on is noticed. */
  async follow(id: string, user: string | undefined): Promise<Followed> {
    const follower: Follower = {
      id,
      user,
      controller: new AbortController(),
      marks: [],
      cancel: () => undefined,
    }
    const others = this.#followers.get(id) ?? new Set()
    this.#followers.set(id, others.add(follower))
    this.#watch ??= this.#watching()
    await this.#watch
    await this.#check(follower)
    return {
      signal: follower.controller.signal,
      stop: () => {
        this.#stop(follower)
      },
    }
  }

  async #watching(): Promise<Watch | undefined> {
    const { store, collection } = this.#records
    this.#isDeaf = false
    try {
      const { capabilities } = await store.open()
      if (!capabilities.watch) return undefined
      return await store.watch((change) => {
        if (change.type === 'broken' || change.type === 'restored') this.#isDeaf = change.type === 'broken'
        if (change.type !== 'changed') {
          for (const id of this.#followers.keys()) this.#checkAll(id)
          return
        }
        for (const key of change.keys) {
          if (key.collection === collection) this.#checkAll(key.id)
          if (key.collection === marksCollection) this.#checkMarked(key.id)
        }
      })
    } catch {
      // Without the feed they are asked for.
      this.#watch = undefined
      return undefined
    }
  }

  #checkAll(id: string): void {
    for (const follower of this.#followers.get(id) ?? []) void this.#check(follower)
  }

  /** What a mark strikes is refused from then on, also where the revocation gets no further. */
  #checkMarked(mark: string): void {
    for (const followers of this.#followers.values()) {
      for (const follower of followers) if (follower.marks.includes(mark)) void this.#check(follower)
    }
  }

  /** Whether it is still alive, and when that is asked again. */
  async #check(follower: Follower): Promise<void> {
    follower.cancel()
    const { clock } = this.#records.store
    let pause = this.#interval
    try {
      const found = await this.#records.find(follower.id, { strict: true })
      if (found.state === 'live') follower.marks = this.#records.marks.idsOf(found.entry.record.labels)
      if (
        !(await this.#isAlive(found)) ||
        found.state !== 'live' ||
        found.entry.envelope.user !== follower.user
      ) {
        this.#stop(follower)
        follower.controller.abort(new SessionGone(`session ${follower.id} has ended`))
        return
      }
      const { record, envelope } = found.entry
      const rest = Math.min(record.expiresAt, envelope.absolute) - clock.now()
      if ((await this.#watch) && !this.#isDeaf) pause = Math.max(rest, 1)
    } catch {
      // An outage is no logout.
    }
    if (!this.#followers.get(follower.id)?.has(follower)) return
    follower.cancel()
    follower.cancel = clock.timer(pause, () => void this.#check(follower))
  }

  #stop(follower: Follower): void {
    follower.cancel()
    const others = this.#followers.get(follower.id)
    others?.delete(follower)
    if (others?.size === 0) this.#followers.delete(follower.id)
    if (this.#followers.size > 0) return
    const watch = this.#watch
    this.#watch = undefined
    watch?.then((open) => open?.close()).catch(() => undefined)
  }
}
