/** The servers that `npm test` has started, or that somebody has given, and pools and stores over them. */

import { randomBytes } from 'node:crypto'
import { createPool as mariadbPool } from 'mariadb'
import { createPool as mysqlPool } from 'mysql2/promise'
import type { MysqlConnection, MysqlPool } from '../../../packages/holdfast/src/drivers/mysql.ts'
import { resultOf } from '../../../packages/holdfast/src/drivers/mysql/client.ts'
import type { Row } from '../../../packages/holdfast/src/drivers/sql/database.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { atEnd, type Ending } from '../redis/ending.ts'

/** One kind of server to run the same tests over. */
export interface Target {
  readonly name: string
  readonly url: string
  /** Why its tests are skipped; false when they aren't. */
  readonly skip: string | false
}

/** MariaDB, and MySQL. */
export const targets: readonly Target[] = [
  targetOf('MariaDB', 'HOLDFAST_TEST_MARIADB', 'run this by `npm test`'),
  targetOf('MySQL', 'HOLDFAST_TEST_MYSQL', 'give it the address of one'),
]

function targetOf(name: string, variable: string, cure: string): Target {
  const url = process.env[variable] ?? ''
  return { name, url, skip: url === '' && `${variable} is not set: ${cure}` }
}

/** A pool that a test has to end. */
export interface Pool extends MysqlPool {
  end(): Promise<void>
}

/** A client library. */
export interface Library {
  readonly name: string
  pool(url: string, settings?: Readonly<Record<string, unknown>>): Pool
}

export const mysql2: Library = {
  name: 'mysql2',
  pool: (url, settings = {}) => mysqlPool({ ...addressOf(url), connectionLimit: 8, ...settings }),
}

export const mariadb: Library = {
  name: 'mariadb',
  pool: (url, settings = {}) => mariadbPool({ ...addressOf(url), connectionLimit: 8, ...settings }),
}

export function addressOf(url: string): {
  host: string
  port: number
  user: string
  password: string
  database: string
} {
  const { hostname, port, username, password, pathname } = new URL(url)
  return {
    host: hostname,
    port: port === '' ? 3306 : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
  }
}

/** Runs a statement past the store. */
export async function ask(connection: MysqlConnection, text: string): Promise<readonly Row[]> {
  const plain = {
    rowsAsArray: false,
    nestTables: false,
    namedPlaceholders: false,
    metaAsArray: false,
  } as const
  return resultOf(await connection.query({ sql: text, ...plain })).rows
}

/** Runs statements past the store; the rows are those of the last. */
export async function sql(pool: MysqlPool, ...texts: readonly string[]): Promise<readonly Row[]> {
  const connection = await pool.getConnection()
  try {
    let rows: readonly Row[] = []
    for (const text of texts) rows = await ask(connection, text)
    return rows
  } finally {
    await connection.release()
  }
}

/** Removes everything of a namespace. */
export async function clear(pool: MysqlPool, namespace: string): Promise<void> {
  await sql(
    pool,
    `delete from holdfast_records where namespace = '${namespace}'`,
    `delete from holdfast_labels where namespace = '${namespace}'`,
  )
}

/** A database of a test's own, with a pool over it. */
export async function freshDatabase(test: Ending, url: string): Promise<string> {
  const name = `holdfast_${randomBytes(6).toString('hex')}`
  const pool = mysql2.pool(url, { connectionLimit: 1 })
  await sql(pool, `create database ${name}`)
  atEnd(test, async () => {
    await sql(pool, `drop database ${name}`)
    await pool.end()
  })
  return url.replace(/\/[^/]*$/, `/${name}`)
}

/** A pool that ends with the test. */
export function poolFor(
  test: Ending,
  library: Library,
  url: string,
  settings?: Readonly<Record<string, unknown>>,
): Pool {
  const pool = library.pool(url, settings)
  atEnd(test, () => pool.end())
  return pool
}

/** A store that is closed at the end of the test. */
export function closing<S extends Store>(test: Ending, store: S): S {
  atEnd(test, () => store.close())
  return store
}
