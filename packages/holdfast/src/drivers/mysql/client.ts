/**
 * The few methods of a client that the driver uses: of a promise pool of mysql2, or of a pool of the mariadb connector.
 * Both take a query with its settings and its values; they answer in different shapes.
 */

import { StoreCorrupt } from '../../errors.ts'
import type { Result, Row } from '../sql/database.ts'
import type { SqlValue } from '../sql/statement.ts'

/** A pool: `createPool(…)` of `mysql2/promise` or of `mariadb`. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection>
}

/** A connection out of the pool. */
export interface MysqlConnection {
  /** The connection's number at the server. */
  readonly threadId: number | null
  /** Runs a statement that the server keeps prepared on this connection. */
  execute(query: MysqlQuery, values?: MysqlInput[]): Promise<unknown>
  /** Runs a statement as it is. */
  query(query: MysqlQuery): Promise<unknown>
  /** Gives the connection back. */
  release(): unknown
  /** Closes the connection instead. */
  destroy(): unknown
}

/** A statement with the settings that the user's own must not change. */
export interface MysqlQuery {
  readonly sql: string
  readonly rowsAsArray: false
  readonly nestTables: false
  readonly namedPlaceholders: false
  readonly metaAsArray: false
}

/** What is bound: texts as bytes, so that no character set has a say; numbers so that none becomes a fraction. */
export type MysqlInput = Buffer | bigint | null

const settings = {
  rowsAsArray: false,
  nestTables: false,
  namedPlaceholders: false,
  metaAsArray: false,
} as const

/** The texts that most statements bind, as bytes. */
const known = new Map<string, Buffer>()
const mostKnown = 100

export function queryOf(sql: string): MysqlQuery {
  return { sql, ...settings }
}

export function inputOf(value: SqlValue): MysqlInput {
  if (value === null) return null
  if (typeof value === 'string') return value.length <= 32 ? bytesOf(value) : Buffer.from(value)
  if (typeof value === 'object') return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return BigInt(value)
}

/** Names of collections and namespaces come again and again. */
function bytesOf(text: string): Buffer {
  const found = known.get(text)
  if (found) return found
  const made = Buffer.from(text)
  if (known.size < mostKnown) known.set(text, made)
  return made
}

/** mysql2 answers with a pair of what was found and its columns; the mariadb connector with what was found. */
export function resultOf(answer: unknown): Result {
  const found: unknown = Array.isArray(answer) && !('meta' in answer) ? answer[0] : answer
  if (Array.isArray(found)) return { rows: found as readonly Row[], changed: 0 }
  if (typeof found === 'object' && found !== null && 'affectedRows' in found) {
    return { rows: [], changed: Number(found.affectedRows) }
  }
  throw new StoreCorrupt('the client answered with neither rows nor a number of rows')
}
