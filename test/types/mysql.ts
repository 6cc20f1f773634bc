/** Pools of both libraries fit, as they come and however they were configured. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import { createPool as createMariadbPool } from 'mariadb'
import { createPool as createCallbackPool } from 'mysql2'
import { createPool } from 'mysql2/promise'
import { type MysqlPool, mysqlStore } from '../../packages/holdfast/src/drivers/mysql.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'

const mysql2 = createPool({ uri: 'mysql://localhost/holdfast', rowsAsArray: true })
const mariadb = createMariadbPool({ host: 'localhost', metaAsArray: true })

expectTypeOf(mysql2).toExtend<MysqlPool>()
expectTypeOf(mariadb).toExtend<MysqlPool>()
expectTypeOf(createCallbackPool('mysql://localhost/holdfast').promise()).toExtend<MysqlPool>()
expectTypeOf(mysqlStore(mysql2, { migrate: false, margin: '2h' })).toEqualTypeOf<Store>()
expectTypeOf(mysqlStore(mariadb)).toEqualTypeOf<Store>()

// @ts-expect-error a pool that calls back has to be asked for its promises
mysqlStore(createCallbackPool('mysql://localhost/holdfast'))
// @ts-expect-error something else is no pool
mysqlStore({ query: () => 'a' })
// @ts-expect-error bare seconds are no duration
mysqlStore(mysql2, { deadline: '5' })
