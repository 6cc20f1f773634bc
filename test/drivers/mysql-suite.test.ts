import { after, before, describe, it } from 'node:test'
import { mysqlStore } from '../../packages/holdfast/src/drivers/mysql.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { ask, clear, type Library, mariadb, mysql2, type Pool, targets } from './mysql/targets.ts'

/** Whatever a user may have set for statements of his own: ours must not notice. */
const oddly: Library = {
  name: 'mysql2, oddly configured',
  pool: (url) => {
    const pool = mysql2.pool(url, {
      flags: ['-FOUND_ROWS'],
      charset: 'latin1',
      timezone: '+13:00',
      rowsAsArray: true,
      nestTables: '_',
      namedPlaceholders: true,
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      decimalNumbers: true,
    })
    return oddSessions(pool)
  },
}
const oddlyToo: Library = {
  name: 'mariadb, oddly configured',
  pool: (url) => {
    const pool = mariadb.pool(url, {
      foundRows: false,
      collation: 'LATIN1_SWEDISH_CI',
      rowsAsArray: true,
      nestTables: '_',
      namedPlaceholders: true,
      metaAsArray: true,
      bigIntAsNumber: true,
      insertIdAsNumber: true,
    })
    return oddSessions(pool)
  },
}

function oddSessions(pool: Pool): Pool {
  return {
    end: () => pool.end(),
    async getConnection() {
      const connection = await pool.getConnection()
      await ask(
        connection,
        "set sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES', time_zone = '-11:00'",
      )
      await ask(connection, 'set session transaction isolation level serializable')
      return connection
    },
  }
}

for (const target of targets) {
  for (const library of [mysql2, mariadb, oddly, oddlyToo]) {
    describe(`${target.name}, ${library.name}`, { skip: target.skip }, () => {
      let one: Pool
      let another: Pool
      let broom: Pool
      before(() => {
        one = library.pool(target.url)
        another = library.pool(target.url)
        broom = mysql2.pool(target.url, { connectionLimit: 1 })
      })
      after(async () => {
        for (const pool of [one, another, broom]) await pool.end()
      })
      storeSuite(
        { describe, it },
        {
          name: 'mysqlStore',
          make: (options) => mysqlStore(one, options),
          another: (options) => mysqlStore(another, options),
          reopen: (options) => mysqlStore(one, options),
          dispose: (namespace) => clear(broom, namespace),
        },
      )
    })
  }
}
