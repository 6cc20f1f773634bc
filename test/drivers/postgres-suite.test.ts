import { after, before, describe, it } from 'node:test'
import type { Pool } from 'pg'
import postgres from 'postgres'
import { openPostgresStore, postgresStore } from '../../packages/holdfast/src/drivers/postgres.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { clear, poolOf, skip, url } from './postgres/targets.ts'

describe('PostgreSQL', { skip }, () => {
  let pool: Pool
  let another: Pool
  let sql: postgres.Sql
  let anotherSql: postgres.Sql
  before(() => {
    pool = poolOf()
    another = poolOf()
    sql = postgres(url, { max: 6, onnotice: () => undefined })
    anotherSql = postgres(url, { max: 6, onnotice: () => undefined })
  })
  after(async () => {
    await Promise.all([pool.end(), another.end(), sql.end({ timeout: 1 }), anotherSql.end({ timeout: 1 })])
  })

  storeSuite(
    { describe, it },
    {
      name: 'postgresStore over pg',
      make: (options) => postgresStore(pool, options),
      another: (options) => postgresStore(another, options),
      reopen: (options) => postgresStore(pool, options),
      dispose: (namespace) => clear(pool, namespace),
    },
  )

  storeSuite(
    { describe, it },
    {
      name: 'postgresStore over postgres.js',
      make: (options) => postgresStore(sql, options),
      another: (options) => postgresStore(anotherSql, options),
      reopen: (options) => postgresStore(sql, options),
      dispose: (namespace) => clear(pool, namespace),
    },
  )

  storeSuite(
    { describe, it },
    {
      name: 'openPostgresStore, without prepared statements and listening',
      make: (options) =>
        openPostgresStore(url, () => import('pg'), { ...options, prepare: false, listen: false }),
      another: (options) => openPostgresStore(url, () => import('pg'), options),
      reopen: (options) => openPostgresStore(url, () => import('pg'), options),
      dispose: (namespace) => clear(pool, namespace),
    },
  )
})
