/**
 * The change log: which keys a transaction changed, in a table, in the same transaction. Its rows carry their
 * transaction's number, so that a reader who knows what it saw last (a snapshot) finds exactly what has been committed
 * since, however late and in whatever order. NOTIFY only wakes the readers: it is never relied upon. Its commit takes
 * a lock that all sessions share, so what has no hurry is announced once for many writes, by a statement of its own.
 *
 * Trimming. What the log held before a snapshot that is `keptFor` old is deleted: each reader that looked since has
 * seen it, and one that didn't starts anew. Both are measured by the server's clock.
 */

import { systemClock } from '../../clock.ts'
import type { Key } from '../../store/record.ts'
import type { Database } from '../sql/database.ts'
import { postgres } from '../sql/dialect.ts'
import { isMissing, numberOf, textOf } from '../sql/rows.ts'
import { type SqlValues, type Statement, Statements } from '../sql/statement.ts'
import { Statistics } from './statistics.ts'

/** Milliseconds for which the log is kept at least. */
const keptFor = 60_000
/** Milliseconds for which writes without hurry are gathered before readers are woken. */
const gatheredFor = 20
/** The most rows that one statement deletes. */
const mostTrimmed = 20_000

/** What is deleted next, and since when it may be. */
interface Horizon {
  readonly snapshot: string
  /** By the server's clock, in milliseconds. */
  readonly at: number
}

const serverTime = '(extract(epoch from clock_timestamp()) * 1000)::bigint'

export class ChangeLog {
  /** The channel that readers listen to. */
  readonly channel: string
  readonly #namespace: string
  readonly #database: Database
  readonly #statements = new Statements(postgres)
  #cancelWake: (() => void) | undefined
  #horizon: Horizon | undefined
  #nextTrim = 0
  #pending: Promise<void> | undefined
  readonly #statistics: Statistics
  readonly #kept: number

  /** @param kept For how many milliseconds the log is kept at least. */
  constructor(database: Database, namespace: string, kept = keptFor) {
    this.#database = database
    this.#namespace = namespace
    this.#kept = kept
    this.#statistics = new Statistics(database)
    this.channel = `holdfast_${namespace}`
  }

  /** A write is in the log: readers are woken soon, if they haven't been by the write itself. */
  wrote(): void {
    this.#statistics.wrote()
    this.#cancelWake ??= systemClock.timer(gatheredFor, () => {
      this.#cancelWake = undefined
      this.#pending = this.#settle()
    })
  }

  /** The statement that enters removed keys, and wakes readers when it commits. */
  removal(keys: readonly Key[]): { readonly log: Statement; readonly values: SqlValues } {
    const log = this.#statements.of(
      `with told as (insert into holdfast_changes (namespace, keys) values (:namespace, :keys))
       select pg_notify(:channel, '')`,
    )
    const list = keys.map(({ collection, id }) => `${collection}/${id}`).join(' ')
    return { log, values: { namespace: this.#namespace, keys: list, channel: this.channel } }
  }

  /** Stops, and waits for what is under way. */
  async close(): Promise<void> {
    this.#cancelWake?.()
    this.#cancelWake = undefined
    await this.#pending
  }

  /** Wakes the readers, and tidies from time to time. What fails is left: readers look without being woken too. */
  async #settle(): Promise<void> {
    try {
      await this.#run("select pg_notify(:channel, '')", { channel: this.channel })
      await this.#statistics.settle()
      if (systemClock.elapsed() >= this.#nextTrim) await this.#trim()
    } catch {
      // Told to whoever calls next.
    }
  }

  async #trim(): Promise<void> {
    this.#nextTrim = systemClock.elapsed() + this.#kept / 2
    const { rows } = await this.#database.read(
      this.#statements.of(`select pg_current_snapshot()::text as snapshot, ${serverTime} as now`),
      {},
    )
    const now = numberOf(rows[0]?.['now'])
    const horizon = this.#horizon
    this.#horizon ??= { snapshot: textOf(rows[0]?.['snapshot']), at: now }
    if (!horizon || now - horizon.at < this.#kept) return
    // Several processes may trim at once: what another has locked is skipped.
    const { changed } = await this.#run(
      `delete from holdfast_changes where ctid = any (array(
         select ctid from holdfast_changes
         where namespace = :namespace and xid < pg_snapshot_xmin(:snapshot::text::pg_snapshot)
         limit ${mostTrimmed} for update skip locked))`,
      { namespace: this.#namespace, snapshot: horizon.snapshot },
    )
    if (changed < mostTrimmed) this.#horizon = { snapshot: textOf(rows[0]?.['snapshot']), at: now }
    else this.#nextTrim = 0
  }

  async #run(source: string, values: SqlValues): ReturnType<Database['read']> {
    return await this.#database.read(this.#statements.of(source), values)
  }
}

/** What a reader has seen. */
export interface Position {
  /** Everything that it shows has been told. */
  readonly snapshot: string
  /** Names the log since it was last emptied by a crash or made anew. */
  readonly life: string
  /** When it was read, by the server's clock, in milliseconds. */
  readonly at: number
}

/** What a look at the log has found. */
export interface Look {
  readonly position: Position
  /** The keys that changed since the last position; `undefined` when some may be missing. */
  readonly keys: readonly Key[] | undefined
}

/** The most rows that one look takes; more than that is as good as everything. */
const mostRows = 20_000

/** Reads the log from the position where it was begun. */
export class ChangeReader {
  readonly #namespace: string
  readonly #database: Database
  readonly #statements = new Statements(postgres)

  constructor(database: Database, namespace: string) {
    this.#database = database
    this.#namespace = namespace
  }

  /** Where the log is now. A log without a name gets one. */
  async begin(): Promise<Position> {
    for (;;) {
      const { rows } = await this.#run(`select ${here}`, {})
      const life = rows[0]?.['life']
      if (!isMissing(life))
        return { snapshot: textOf(rows[0]?.['snapshot']), life: textOf(life), at: numberOf(rows[0]?.['now']) }
      await this.#run(
        "insert into holdfast_changes (namespace, keys) values ('', gen_random_uuid()::text)",
        {},
      )
    }
  }

  /** What was committed after the position, and where the log is now: both by one and the same snapshot. */
  async since(position: Position): Promise<Look> {
    const { rows } = await this.#run(
      `select c.keys, here.snapshot, here.life, here.now from (select ${here}) here
       left join lateral (
         select keys from holdfast_changes where namespace = :namespace
           and xid >= pg_snapshot_xmin(:since::text::pg_snapshot)
           and not pg_visible_in_snapshot(xid, :since::text::pg_snapshot)
         limit ${mostRows + 1}
       ) c on true`,
      { namespace: this.#namespace, since: position.snapshot },
    )
    const [first] = rows
    const now = numberOf(first?.['now'])
    const isWhole =
      first?.['life'] === position.life && now - position.at < keptFor / 2 && rows.length <= mostRows
    if (!isWhole) return { position: await this.begin(), keys: undefined }
    return {
      position: { snapshot: textOf(first['snapshot']), life: position.life, at: now },
      keys: rows.flatMap((row) => (isMissing(row['keys']) ? [] : keysOf(textOf(row['keys'])))),
    }
  }

  async #run(source: string, values: SqlValues): ReturnType<Database['read']> {
    return await this.#database.read(this.#statements.of(source), values)
  }
}

const here = `pg_current_snapshot()::text as snapshot, ${serverTime} as now,
  (select keys from holdfast_changes where namespace = '' order by xid limit 1) as life`

function keysOf(text: string): Key[] {
  return text.split(' ').map((each) => {
    const slash = each.indexOf('/')
    return { collection: each.slice(0, slash), id: each.slice(slash + 1) }
  })
}
