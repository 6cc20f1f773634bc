/** What another library has stored. The readers for it are in `migration/`; this is what is asked of one. */

import type { JsonObject } from '../../records/envelope.ts'
import type { Instant } from '../../store/record.ts'

/** A session as another library has stored it. */
export interface OldSession {
  /** What the application keeps in it, without the settings of the cookie. */
  readonly data: JsonObject
  /** The settings of its cookie, where they were stored too: kept as `data.cookie`. */
  readonly cookie?: JsonObject
  readonly expiresAt: Instant
}

/** Reads and removes sessions where another library has stored them. */
export interface OldSessionReader {
  /** What is read, for people. */
  readonly description: string
  /** The session of a secret id; `undefined` where there is none. An outage is an error, never "none". */
  read(sid: string, options?: { readonly signal?: AbortSignal }): Promise<OldSession | undefined>
  /** Removes it; also right where there is none. */
  remove(sid: string): Promise<void>
}
