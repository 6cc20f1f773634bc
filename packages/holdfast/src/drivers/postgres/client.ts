/**
 * The few methods of a client that the driver uses: of a `Pool` of pg, or of what `postgres()` of postgres.js gives.
 * Behind `PostgresDatabase` they look alike.
 */

import type { Database, Row } from '../sql/database.ts'

/** A query of pg. With a name it stays prepared on its connection. */
export interface PostgresQuery {
  readonly name?: string
  readonly text: string
  readonly values: unknown[]
}

/** What pg answers with. */
export interface PostgresResult {
  readonly rows: readonly Row[]
  readonly rowCount: number | null
}

/** A `Pool` of pg. */
export interface PostgresPool {
  query(query: PostgresQuery): Promise<PostgresResult>
  connect(): Promise<PostgresConnection>
  readonly options?: { readonly max?: number | undefined }
}

/** A connection out of the pool. */
export interface PostgresConnection {
  query(query: PostgresQuery): Promise<PostgresResult>
  on(event: 'notification' | 'error' | 'end', listener: (told: unknown) => void): unknown
  off(event: 'notification' | 'error' | 'end', listener: (told: unknown) => void): unknown
  /** @param destroy Closes it instead of taking it back. */
  release(destroy?: boolean): void
}

/** An answer of postgres.js that is under way. */
export interface PostgresJsQuery extends PromiseLike<
  readonly Row[] & { readonly count: number | null; readonly command: string }
> {
  cancel(): void
}

/** What a transaction of postgres.js can do. */
export interface PostgresJsSession {
  unsafe(
    text: string,
    values: (string | number | boolean | Uint8Array | null)[],
    options: { readonly prepare: boolean },
  ): PostgresJsQuery
}

/** What `postgres()` of postgres.js gives. */
export interface PostgresJs extends PostgresJsSession {
  begin(options: string, run: (sql: PostgresJsSession) => Promise<unknown>): Promise<unknown>
  listen(
    channel: string,
    onNotify: (payload: string) => void,
    onListen?: () => void,
  ): PromiseLike<{ unlisten(): Promise<void> }>
}

/** A channel that is listened to. */
export interface Listening {
  close(): void
}

/** A client as the driver sees it. */
export interface PostgresDatabase extends Database {
  /** Whether a connection can be spared for listening. */
  readonly listens: boolean
  /**
   * Listens to a channel.
   *
   * @param onWake A notification has come.
   * @param onLost Nothing comes any more. Not told by clients that come back by themselves.
   */
  listen(channel: string, onWake: () => void, onLost: () => void): Promise<Listening>
  /** Only a client of our own is connected and let go of. */
  connect?(): Promise<void>
  release?(): Promise<void>
}
