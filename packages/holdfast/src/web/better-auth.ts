/**
 * The secondary storage of better-auth, in a store of Holdfast.
 *
 * Its contract is that of a cache: keys and texts. What is kept under the key of a session is known by its shape, and
 * gets what a session needs: a late write never brings one back that was signed out, and the list of somebody's
 * sessions is made of the sessions themselves, so that none is missing in it when two sign in at once.
 */

import { randomUUID } from 'node:crypto'
import type { Duration } from '../duration.ts'
import { ConflictingChange, SessionGone } from '../errors.ts'
import { type Kept, KeyedSessions } from '../sessions/keyed.ts'
import type { Json } from '../store/codec.ts'
import { type Instant, never } from '../store/record.ts'
import type { Store } from '../store/store.ts'

/** Settings of {@link betterAuthStorage}. */
export interface BetterAuthOptions {
  /** The collection that all is kept in. @default 'better-auth' */
  readonly collection?: string
  /** How long a session that was signed out is remembered as such. @default '1d' */
  readonly retention?: Duration
}

/** What better-auth takes for its option `secondaryStorage`. Times to live are in seconds. */
export interface BetterAuthStorage {
  /** What is beneath: for listing and ending the sessions of a user by their id. */
  readonly sessions: KeyedSessions
  get(key: string): Promise<string | null>
  /** Without `ttl` it is kept until it is deleted. */
  set(key: string, value: string, ttl?: number): Promise<void>
  delete(key: string): Promise<void>
  /** Of several who ask at once, one is given the value. */
  getAndDelete(key: string): Promise<string | null>
  /** Adds one and gives the sum; `ttl` counts from the first. */
  increment(key: string, ttl: number): Promise<number>
}

/** What is kept under a key. `null`: it was deleted, and may be set again. */
type Held =
  | { readonly value: string; readonly user?: string }
  | { readonly value: null; readonly draw: string }
  /** With a draw, for two who add one at the same time must not seem to have done the same. */
  | { readonly count: readonly [number, string] }

/** How often a write that others forestall is tried. */
const attempts = 20
/** How long what is empty stays there, in milliseconds: longer than anyone looks at it. */
const emptyFor = 60_000
const listPrefix = 'active-sessions-'
/** What better-auth draws for a session. A logout may come before its session. */
const token = /^[A-Za-z0-9]{32}$/

/**
 * For `betterAuth({ secondaryStorage: betterAuthStorage(store) })`, better-auth 1.7.
 *
 * @throws {InvalidDuration}
 */
export function betterAuthStorage(store: Store, options: BetterAuthOptions = {}): BetterAuthStorage {
  const storage = new Storage(store, options)
  // better-auth takes them out of the object and calls them on their own.
  return {
    sessions: storage.sessions,
    get: (key) => storage.get(key),
    set: (key, value, ttl) => storage.set(key, value, ttl),
    delete: (key) => storage.delete(key),
    getAndDelete: (key) => storage.getAndDelete(key),
    increment: (key, ttl) => storage.increment(key, ttl),
  }
}

class Storage implements BetterAuthStorage {
  readonly sessions: KeyedSessions

  constructor(store: Store, { collection = 'better-auth', retention = '1d' }: BetterAuthOptions) {
    this.sessions = new KeyedSessions(store, {
      collection,
      retention,
      userOf: ({ user }) => (typeof user === 'string' ? user : undefined),
      // Everything else is written whole, by whoever read the newest.
      conflicts: { count: added },
    })
  }

  async get(key: string): Promise<string | null> {
    if (await this.#isList(key)) return await this.#list(key.slice(listPrefix.length))
    return valueOf(await this.sessions.read(key))
  }

  async set(key: string, value: string, ttl?: number): Promise<void> {
    if (await this.#isList(key)) return
    const user = ownerOf(key, value)
    const held: Held = { value, ...(user === undefined ? {} : { user }) }
    await this.#put(key, held, this.#expiry(ttl))
  }

  async delete(key: string): Promise<void> {
    if (await this.#isList(key)) return
    const kept = await this.sessions.read(key, { strict: true })
    if (kept ? 'user' in kept.data : token.test(key)) await this.sessions.destroy(key)
    else if (kept) await this.getAndDelete(key)
  }

  async getAndDelete(key: string): Promise<string | null> {
    for (let attempt = 1; ; attempt++) {
      const kept = await this.sessions.read(key, { strict: true })
      const value = valueOf(kept)
      if (!kept || value === null) return null
      if ('user' in kept.data) return (await this.sessions.destroy(key)) ? value : null
      try {
        // Whoever is first draws, and the others see that it is not theirs.
        const empty: Held = { value: null, draw: randomUUID() }
        await this.sessions.save(key, kept, empty, Math.min(kept.expiresAt, this.#now + emptyFor))
        return value
      } catch (error) {
        if (error instanceof SessionGone) return null
        if (!(error instanceof ConflictingChange) || attempt === attempts) throw error
      }
    }
  }

  async increment(key: string, ttl: number): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const kept = await this.sessions.read(key, { strict: true })
      try {
        if (!kept) return countOf(await this.sessions.create(key, counted(1), this.#expiry(ttl)))
        const expiresAt = 'count' in kept.data ? kept.expiresAt : this.#expiry(ttl)
        return countOf(await this.sessions.save(key, kept, counted(countOf(kept) + 1), expiresAt))
      } catch (error) {
        const isOther = error instanceof ConflictingChange || error instanceof SessionGone
        if (!isOther || attempt === attempts) throw error
      }
    }
  }

  /** Stores a value on whatever is there. A session that was signed out is left so. */
  async #put(key: string, held: Held, expiresAt: Instant): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const kept = await this.sessions.read(key, { strict: true })
      try {
        if (kept) await this.sessions.save(key, kept, held, expiresAt)
        else await this.sessions.create(key, held, expiresAt)
        return
      } catch (error) {
        if (error instanceof SessionGone) return
        if (!(error instanceof ConflictingChange) || attempt === attempts) throw error
      }
    }
  }

  /** Where the store can list, the list of a user's sessions is made, not stored. */
  async #isList(key: string): Promise<boolean> {
    if (!key.startsWith(listPrefix)) return false
    const { capabilities } = await this.sessions.store.open()
    return capabilities.listing === 'complete'
  }

  /** The sessions of a user, as better-auth stores the list of them. */
  async #list(user: string): Promise<string | null> {
    const found: { readonly token: string; readonly expiresAt: Instant }[] = []
    for await (const { data, expiresAt } of this.sessions.all({ user })) {
      const session = sessionIn(data['value'])
      if (session) found.push({ token: session.token, expiresAt })
    }
    if (found.length === 0) return null
    return JSON.stringify(found.sort((a, b) => a.expiresAt - b.expiresAt))
  }

  get #now(): number {
    return this.sessions.store.clock.now()
  }

  #expiry(ttl: number | undefined): Instant {
    return ttl === undefined || !Number.isFinite(ttl) ? never : this.#now + Math.ceil(ttl * 1_000)
  }
}

function valueOf(kept: Kept | undefined): string | null {
  const { value, count } = kept?.data ?? {}
  if (count !== undefined) return String(numberIn(count))
  return typeof value === 'string' ? value : null
}

function counted(number: number): Held & { readonly count: Json } {
  return { count: [number, randomUUID()] }
}

function countOf({ data: { count } }: Kept): number {
  return numberIn(count)
}

function numberIn(count: Json | undefined): number {
  const number: unknown = Array.isArray(count) ? count[0] : undefined
  return typeof number === 'number' ? number : 0
}

/** Whose session a value is; `undefined` where it is something else. */
function ownerOf(key: string, value: string): string | undefined {
  const session = sessionIn(value)
  return session?.token === key ? session.userId : undefined
}

function sessionIn(value: Json | undefined): { readonly token: string; readonly userId: string } | undefined {
  if (typeof value !== 'string' || !value.startsWith('{')) return undefined
  try {
    const { session } = JSON.parse(value) as { session?: { token?: unknown; userId?: unknown } }
    const { token: own, userId } = session ?? {}
    return typeof own === 'string' && typeof userId === 'string' ? { token: own, userId } : undefined
  } catch {
    return undefined
  }
}

/** What a key is to one, to others, and was to both. */
interface Sums {
  readonly mine: Json | undefined
  readonly theirs: Json | undefined
  readonly before: Json | undefined
}

/** What two who add one each make of it. */
function added({ mine, theirs, before }: Sums): Json {
  const draw = Array.isArray(mine) ? (mine[1] as Json) : ''
  return [numberIn(theirs) + numberIn(mine) - numberIn(before), draw]
}
