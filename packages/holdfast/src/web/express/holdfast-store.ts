/**
 * A Holdfast store behind `req.session`: what was changed is stored key by key on the newest copy, and what was
 * destroyed stays so.
 *
 * What a session was when it was read goes with the session object, so nothing has to be said by the application.
 */

import { systemClock } from '../../clock.ts'
import { type Duration, milliseconds } from '../../duration.ts'
import { ConflictingChange, InvalidOption, SessionGone } from '../../errors.ts'
import type { JsonObject } from '../../sessions/dictionary.ts'
import type { KeyedInfo, KeyedSessions, Kept } from '../../sessions/keyed.ts'
import type { Json } from '../../store/codec.ts'
import type { Awaitable } from '../../store/contract.ts'
import type { Cookie } from './cookie.ts'
import { type Done, isUnstored, setSource, sourceOf } from './session.ts'
import { Store, type StoredSession } from './store.ts'

/** Settings of a session that has no `maxAge`, and of prolonging. */
export interface HoldfastStoreOptions {
  /** How long an unused session is kept whose cookie ends with the browser. @default '1d' */
  readonly idle?: Duration
  /**
   * A session in use is prolonged at most once per this fraction of its `maxAge`: 0 to 1. It is kept so much longer.
   * Without `maxAge` the fraction is at least 0.1.
   *
   * @default 0.1
   */
  readonly touchEvery?: number
}

/** The settings of a cookie as they are stored: without the time at which it ends, which is the record's. */
type StoredCookie = JsonObject & { readonly originalMaxAge?: number | null }

/** What of a session is looked at here. */
interface SessionLike {
  readonly cookie?: Pick<Cookie, 'originalMaxAge' | 'expires'>
}

/**
 * What a session object was when it was last read or written: its own values, without what others have added since.
 * Saved again it must not take that for something that it has deleted.
 */
class Source {
  readonly store: HoldfastStore
  kept: Kept | undefined
  /** Settles when everything is stored that was asked for. Never rejects. */
  last: Promise<unknown> | undefined

  constructor(store: HoldfastStore, kept?: Kept) {
    this.store = store
    this.kept = kept
  }
}

/** A store with callbacks over sessions by secret id. */
export class HoldfastStore extends Store {
  readonly keyed: KeyedSessions
  readonly #idle: number
  readonly #touchEvery: number

  /** @throws {InvalidOption} @throws {InvalidDuration} */
  constructor(keyed: KeyedSessions, { idle = '1d', touchEvery = 0.1 }: HoldfastStoreOptions = {}) {
    super()
    this.keyed = keyed
    this.#idle = milliseconds(idle, 'idle')
    this.#touchEvery = touchEvery
    if (this.#idle === 0) throw new InvalidOption('idle must be longer than 0')
    if (!(touchEvery >= 0 && touchEvery <= 1)) {
      throw new InvalidOption(`touchEvery is a fraction from 0 to 1, not ${String(touchEvery)}`)
    }
  }

  get(sid: string, callback: (error?: unknown, session?: StoredSession | null) => void): void {
    let kept: Awaitable<Kept | undefined>
    try {
      kept = this.keyed.read(sid)
    } catch (error) {
      callback(error)
      return
    }
    if (kept instanceof Promise) {
      answer(kept, (error, found) => {
        callback(error, found && this.#shown(found))
      })
    } else callback(null, kept && this.#shown(kept))
  }

  set(sid: string, session: object, callback?: Done): void {
    const source = this.#sourceOf(session)
    // As it is now: what is changed afterwards is saved the next time.
    const data = JSON.parse(JSON.stringify(session)) as JsonObject
    const saved = inTurn(source, () =>
      this.#stored(sid, source.kept, withSettings(data), this.#expiryOf(session)),
    )
    tell(saved, callback)
  }

  override touch(sid: string, session: object, callback?: Done): void {
    const { kept, last } = this.#sourceOf(session)
    // What is being saved ends when the session was to end before it was touched.
    if (last) void last.then(() => this.touch(sid, session, callback))
    else if (kept) this.#prolong(sid, kept, session, callback)
    else {
      // `get` has not answered with it: then what is there counts.
      answer(this.#read(sid), (error, found) => {
        if (found) this.#prolong(sid, found, session, callback)
        else callback?.(error ?? undefined)
      })
    }
  }

  /** @param session The session itself, where it is at hand: one of which nothing was stored leaves nothing behind. */
  destroy(sid: string, callback?: Done, session?: object): void {
    if (session && isUnstored(session)) callback?.()
    else tell(this.keyed.destroy(sid), callback)
  }

  /** All sessions, without their ids, which the store doesn't know. */
  override all(
    callback?: (
      error?: unknown,
      sessions?: readonly StoredSession[] | Readonly<Record<string, StoredSession>>,
    ) => void,
  ): void {
    answer(
      this.each((info) => this.sessionOf(info)),
      callback,
    )
  }

  override length(callback: (error?: unknown, length?: number) => void): void {
    answer(
      this.each(() => 1).then((found) => found.length),
      callback,
    )
  }

  override clear(callback?: Done): void {
    tell(
      this.each((info) => info.id).then(async (ids) => {
        for (const id of ids) await this.keyed.destroyById(id)
      }),
      callback,
    )
  }

  /** What a function makes of each live session. */
  protected async each<T>(make: (info: KeyedInfo) => T): Promise<readonly T[]> {
    const made: T[] = []
    for await (const info of this.keyed.all()) made.push(make(info))
    return made
  }

  async #stored(
    sid: string,
    kept: Kept | undefined,
    data: JsonObject,
    expiresAt: number,
  ): Promise<Kept | undefined> {
    if (expiresAt <= systemClock.now()) {
      // What the application has not read may be there all the same.
      if (kept ?? (await this.keyed.read(sid, { strict: true }))) await this.keyed.destroy(sid)
      return undefined
    }
    if (kept) return { ...(await this.keyed.save(sid, kept, data, expiresAt)), data }
    try {
      return await this.keyed.create(sid, data, expiresAt)
    } catch (error) {
      if (!(error instanceof ConflictingChange)) throw error
    }
    // The application stores what it has not read before: then all of it counts.
    const there = await this.keyed.read(sid, { strict: true })
    if (!there) throw new SessionGone('the session was destroyed or has expired')
    return { ...(await this.keyed.save(sid, there, data, expiresAt)), data }
  }

  async #read(sid: string): Promise<Kept | undefined> {
    return await this.keyed.read(sid)
  }

  #prolong(sid: string, kept: Kept, session: object, callback: Done | undefined): void {
    if (isSameCookie(session, kept)) {
      this.#touch(kept, session, callback)
      return
    }
    const { cookie } = session as SessionLike
    const data = JSON.parse(JSON.stringify({ ...kept.data, cookie })) as JsonObject
    const saved = inTurn(this.#sourceOf(session), () =>
      this.#stored(sid, kept, withSettings(data), this.#expiryOf(session)),
    )
    tell(saved, callback)
  }

  #touch(kept: Kept, session: object, callback: Done | undefined): void {
    const expiresAt = this.#expiryOf(session)
    const slack = this.#slack((session as SessionLike).cookie?.originalMaxAge)
    if (expiresAt - kept.expiresAt < Math.max(1, slack)) callback?.()
    else tell(this.keyed.touch(kept, expiresAt), callback)
  }

  #sourceOf(session: object): Source {
    const known = sourceOf(session)
    if (known instanceof Source && known.store === this) return known
    const source = new Source(this)
    setSource(session, source)
    return source
  }

  /** When the record ends: later than the cookie by the time in which nobody prolongs it. */
  #expiryOf(session: object): number {
    const { expires, originalMaxAge } = (session as SessionLike).cookie ?? {}
    const ends = typeof expires === 'string' || expires instanceof Date ? new Date(expires).valueOf() : NaN
    if (Number.isNaN(ends)) return systemClock.now() + this.#idle + this.#slack(null)
    return ends + this.#slack(originalMaxAge)
  }

  /** For so long nobody prolongs it. Without `maxAge` nobody can tell how exact that is. */
  #slack(age: number | null | undefined): number {
    if (typeof age === 'number') return Math.floor(Math.max(age, 0) * this.#touchEvery)
    return Math.floor(this.#idle * Math.max(this.#touchEvery, 0.1))
  }

  /** A session as it is shown: a copy, with the time at which its cookie ends. */
  protected sessionOf(kept: Pick<Kept, 'data' | 'expiresAt'>): StoredSession {
    const session = copied(kept.data) as JsonObject & { cookie?: object }
    const cookie = (session.cookie ??= usualCookie()) as { originalMaxAge?: unknown; expires?: unknown }
    const age = cookie.originalMaxAge
    if (typeof age === 'number') {
      const now = systemClock.now()
      // What was taken over and not saved since is as another library stored it: it ends together with its cookie, and
      // may never end there, whatever its cookie says.
      const isTakenOver = cookie.expires !== undefined
      const ends = isTakenOver ? Math.min(kept.expiresAt, now + age) : kept.expiresAt - this.#slack(age)
      cookie.expires = new Date(Math.max(ends, now))
    }
    return session as unknown as StoredSession
  }

  #shown(kept: Kept): StoredSession {
    const session = this.sessionOf(kept)
    setSource(session, new Source(this, kept))
    return session
  }
}

/** One after the other, each with what the one before it has stored. */
async function inTurn(source: Source, store: () => Promise<Kept | undefined>): Promise<void> {
  const turn = source.last ? source.last.then(store) : store()
  const last = turn.then(
    () => undefined,
    () => undefined,
  )
  source.last = last
  try {
    source.kept = await turn
  } finally {
    if (source.last === last) source.last = undefined
  }
}

/** Tells a callback what came of a promise. */
function answer<T>(promise: Promise<T>, callback: ((error?: unknown, value?: T) => void) | undefined): void {
  promise.then(
    (value) => callback?.(null, value),
    (error: unknown) => callback?.(error),
  )
}

/** Tells a callback that something was done, or why not. */
function tell(promise: Promise<unknown>, callback: Done | undefined): void {
  promise.then(
    () => callback?.(),
    (error: unknown) => callback?.(error),
  )
}

/** The cookie of a session that was stored without one. */
function usualCookie(): StoredCookie {
  return { originalMaxAge: null, httpOnly: true, path: '/' }
}

const settings = [
  'originalMaxAge',
  'partitioned',
  'priority',
  'secure',
  'httpOnly',
  'domain',
  'path',
  'sameSite',
]

/** What is stored: of a cookie with a `maxAge` not the time at which it ends, which is the record's. */
function withSettings(data: JsonObject): JsonObject {
  const cookie = data['cookie'] as StoredCookie | undefined
  if (typeof cookie?.originalMaxAge !== 'number') return data
  const { expires: _, ...rest } = cookie
  return { ...data, cookie: rest }
}

/** Whether the settings of the cookie are those that are stored. */
function isSameCookie(session: object, kept: Kept): boolean {
  const now = ((session as SessionLike).cookie ?? {}) as Readonly<Record<string, unknown>>
  const stored = (kept.data['cookie'] ?? {}) as JsonObject
  if (settings.some((name) => (now[name] ?? null) !== (stored[name] ?? null))) return false
  // The time at which it ends is only compared where it is none: `false` and `null` are the same to a browser.
  return typeof stored['originalMaxAge'] === 'number' || !now['expires'] === !stored['expires']
}

/** A copy of what JSON can say. */
function copied(value: Json | undefined): Json | undefined {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((each: Json) => copied(each)!)
  const copy: JsonObject = {}
  for (const [name, each] of Object.entries(value)) copy[name] = copied(each)
  return copy
}
