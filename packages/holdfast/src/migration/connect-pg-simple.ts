/**
 * What connect-pg-simple stored: a row of `sid`, `sess` and `expire` in the table `session`.
 *
 * `expire` has no time zone: it is the time in the zone of the connection that wrote it, and is read as the time in the
 * zone of the connection that reads it, as connect-pg-simple does. Give a client with the same setting.
 * Tried with connect-pg-simple 10 over PostgreSQL 15, pg 8 and postgres.js 3.
 */

import { InvalidOption, StoreMisconfigured } from '../errors.ts'
import type { OldPage, OldScan, OldSession, OldSessions, OldSessionsOptions } from './old-sessions.ts'
import { isSid, pageLimit, Reading } from './reading.ts'
import { cursorsAt, startOf } from './sid-order.ts'

type OldRow = Readonly<Record<string, unknown>>

/** A pool or a client of pg. */
export interface OldPgPool {
  query(query: { readonly text: string; readonly values: unknown[] }): Promise<{
    readonly rows: readonly OldRow[]
  }>
}

/** What `postgres()` of postgres.js gives. */
export interface OldPostgresJs {
  unsafe(
    text: string,
    values: (string | number)[],
    options: { readonly prepare: boolean },
  ): PromiseLike<readonly OldRow[]>
}

/** Settings of {@link connectPgSimpleSessions}. */
export interface ConnectPgSimpleOptions extends OldSessionsOptions {
  /** @default the connection's search path */
  readonly schemaName?: string
  /** @default 'session' */
  readonly tableName?: string
}

/** Reads what connect-pg-simple stored. */
export function connectPgSimpleSessions(
  client: OldPgPool | OldPostgresJs,
  options: ConnectPgSimpleOptions = {},
): OldSessions {
  return new ConnectPgSimple(client, options)
}

type Run = (text: string, values: (string | number)[]) => PromiseLike<readonly OldRow[]>

/** As texts, so that no setting of the client's changes what they are. */
const columns =
  'sid::text as sid, sess::text as sess, extract(epoch from expire::timestamptz)::float8::text as expire'

class ConnectPgSimple implements OldSessions {
  readonly description: string
  readonly #run: Run
  readonly #table: string
  readonly #reading: Reading

  constructor(client: OldPgPool | OldPostgresJs, options: ConnectPgSimpleOptions) {
    const { schemaName, tableName = 'session' } = options
    this.#run = runOf(client)
    this.#table = [schemaName, tableName]
      .filter((name) => name !== undefined)
      .map(quoted)
      .join('.')
    this.description = `connect-pg-simple (table ${this.#table})`
    this.#reading = new Reading(this.description, options)
  }

  async read(sid: string, { signal }: { readonly signal?: AbortSignal } = {}) {
    if (!isSid(sid)) return undefined
    const [row] = await this.#rows(`select ${columns} from ${this.#table} where sid = $1`, [sid], signal)
    return row && this.#session(sid, row)
  }

  async remove(sid: string): Promise<void> {
    if (isSid(sid)) await this.#rows(`delete from ${this.#table} where sid = $1`, [sid])
  }

  async scan(scan: OldScan = {}): Promise<OldPage> {
    const limit = pageLimit(scan)
    const { from, inclusive } = startOf(scan.after)
    const rows = await this.#rows(
      `select ${columns} from ${this.#table} where sid ${inclusive ? '>=' : '>'} $1 order by sid limit $2`,
      [from, limit],
    )
    const sids = rows.map((row) => String(row['sid']))
    const sessions = rows.map((row, i) => (isSid(sids[i]) ? this.#session(sids[i], row) : undefined))
    const last = sids.at(-1)
    return {
      sessions: sessions.filter((each) => each !== undefined),
      ...(rows.length < limit || last === undefined ? {} : cursorsAt(last)),
    }
  }

  async count(): Promise<number> {
    const [row] = await this.#rows(`select count(*)::text as n from ${this.#table}`, [])
    return Number(row?.['n'])
  }

  #session(sid: string, row: OldRow): OldSession | undefined {
    // Number(null) would be a time.
    const seconds = typeof row['expire'] === 'string' ? Number(row['expire']) : Number.NaN
    return this.#reading.live(sid, this.#reading.content(sid, String(row['sess'])), seconds * 1_000)
  }

  async #rows(text: string, values: (string | number)[], signal?: AbortSignal): Promise<readonly OldRow[]> {
    return await this.#reading.asked(async () => {
      try {
        return await this.#run(text, values)
      } catch (error) {
        throw this.#refusal(error) ?? error
      }
    }, signal)
  }

  /** What only other settings can change. */
  #refusal(error: unknown): StoreMisconfigured | undefined {
    const code = (error as { readonly code?: unknown } | null)?.code
    if (code !== '42P01' && code !== '42703' && code !== '42501' && code !== '3F000') return undefined
    const why = (error as Error).message
    return new StoreMisconfigured(
      `${this.description} can't be read: ${why}. Name the table with tableName and schemaName, and let this user ` +
        'read and delete there',
      { cause: error },
    )
  }
}

function runOf(client: OldPgPool | OldPostgresJs): Run {
  if ('unsafe' in client) return (text, values) => client.unsafe(text, values, { prepare: false })
  return async (text, values) => (await client.query({ text, values })).rows
}

/** @throws {InvalidOption} */
function quoted(name: string): string {
  if (name === '' || name.includes('\0')) {
    throw new InvalidOption(`${JSON.stringify(name)} can't be the name of a table or schema`)
  }
  return `"${name.replaceAll('"', '""')}"`
}
