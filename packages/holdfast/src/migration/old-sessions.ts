/**
 * Sessions that another library stored, where it stored them: read at the first touch, so that a change of libraries
 * logs nobody out, or copied at once.
 *
 * There, the id that the client carries is itself the secret, and it opens the row. So an id is never logged or kept
 * by a reader, and whatever a client sends for one is only looked up when it could be one.
 */

import type { Clock } from '../clock.ts'
import type { Duration } from '../duration.ts'
import type { Json } from '../store/codec.ts'
import type { Instant } from '../store/record.ts'

/** A plain JSON object. */
export type OldData = Record<string, Json | undefined>

/** One session of another library. */
export interface OldSession {
  /** What the client carries, without signature. Secret. */
  readonly sid: string
  /** What the application kept, without `cookie`. */
  readonly data: OldData
  /** What express-session kept of the cookie. */
  readonly cookie?: OldData
  /** When it ends there; `never` where that library set no end. */
  readonly expiresAt: Instant
}

/** A page of old sessions. It may be short or empty: only a missing `next` is the end. */
export interface OldPage {
  readonly sessions: readonly OldSession[]
  /** Where the next page begins. Secret: it may hold an id. */
  readonly next?: string
  /**
   * Where a later run may begin, at `next` or before it, and too little of an id to be a secret. Missing: only at the
   * beginning.
   */
  readonly resume?: string
}

/** Where to go on, and how much to read at once. */
export interface OldScan {
  /** The `next` or the `resume` of an earlier page. */
  readonly after?: string
  /** About so many sessions, 1 to 1,000. @default 200 */
  readonly limit?: number
}

/** A store of another library, to be read and emptied, never written. */
export interface OldSessions {
  /** What it is, for people. No password. */
  readonly description: string
  /**
   * The session of this id, if it is live there. What is malformed is not there, and `onMalformed` hears of it.
   *
   * @throws {StoreUnavailable} when it can't be asked, so that an outage is never taken for "no session".
   * @throws {StoreMisconfigured} when what it holds can't be read in this way at all: it is encrypted, say.
   */
  read(sid: string, options?: { readonly signal?: AbortSignal }): Promise<OldSession | undefined>
  /** Removes it there, durably. Does nothing where it isn't. */
  remove(sid: string): Promise<void>
  /** A page of all that is live. What is there throughout comes at least once; it may come again. */
  scan(scan?: OldScan): Promise<OldPage>
  /** How many there are, about, the expired included; `undefined` where that can't be told at little cost. */
  count(): Promise<number | undefined>
}

/** Something that is no session, where a session should be. */
export interface Malformed {
  /** The digest of its id: what its record would be called. */
  readonly id: string
  /** What is wrong, without anything of its content. */
  readonly why: string
}

/** Settings of every reader. */
export interface OldSessionsOptions {
  /** Hears of what could not be read and was treated as absent. Must not throw. */
  readonly onMalformed?: (malformed: Malformed) => void
  /** How long one call may take. @default '5s' */
  readonly deadline?: Duration
  /** Where the time comes from. @default the system's clock */
  readonly clock?: Clock
}
