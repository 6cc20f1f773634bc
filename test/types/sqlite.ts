/** The connections of node:sqlite and better-sqlite3 fit, as they come. Checked by `tsc`, never run. */

import Database from 'better-sqlite3'
import { expectTypeOf } from 'expect-type'
import { DatabaseSync } from 'node:sqlite'
import { type SqliteDatabase, sqliteStore } from '../../packages/holdfast/src/drivers/sqlite.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'

const builtIn = new DatabaseSync(':memory:', { readBigInts: true })
const better = new Database(':memory:', { timeout: 0 })

expectTypeOf(builtIn).toExtend<SqliteDatabase>()
expectTypeOf(better).toExtend<SqliteDatabase>()
expectTypeOf(better.defaultSafeIntegers()).toExtend<SqliteDatabase>()
expectTypeOf(sqliteStore(builtIn)).toEqualTypeOf<Store>()
expectTypeOf(sqliteStore(better, { namespace: 'a', deadline: '1s' })).toEqualTypeOf<Store>()

// @ts-expect-error something else is no connection
sqliteStore({ exec: () => undefined })
// @ts-expect-error a path is for openSqliteStore
sqliteStore('app.db')
