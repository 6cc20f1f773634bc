/** The clients of pg and postgres.js fit, as they come and however they were configured. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import { Client, Pool } from 'pg'
import postgres from 'postgres'
import {
  type Migrated,
  migratePostgres,
  type PostgresJs,
  type PostgresPool,
  postgresScript,
  postgresStore,
} from '../../packages/holdfast/src/drivers/postgres.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'

const pool = new Pool({ max: 4 })
const sql = postgres('postgres://localhost', { max: 4 })
const transformed = postgres({ transform: postgres.camel, types: { bigint: postgres.BigInt } })

expectTypeOf(pool).toExtend<PostgresPool>()
expectTypeOf(sql).toExtend<PostgresJs>()
expectTypeOf(transformed).toExtend<PostgresJs>()
expectTypeOf(postgresStore(pool, { migrate: false, prepare: false, margin: '2h' })).toEqualTypeOf<Store>()
expectTypeOf(postgresStore(sql)).toEqualTypeOf<Store>()
expectTypeOf(postgresScript(1)).toEqualTypeOf<string>()
expectTypeOf(migratePostgres).returns.resolves.toEqualTypeOf<Migrated>()

// @ts-expect-error a single connection serves one transaction at a time: a store needs a pool
postgresStore(new Client())
// @ts-expect-error something else is no client
postgresStore({ query: () => 'a' })
// @ts-expect-error options are checked
postgresStore(pool, { migrate: 'yes' })
