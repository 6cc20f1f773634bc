import { after, describe, it } from 'node:test'
import { DatabaseSync } from 'node:sqlite'

import { openSqliteStore, sqliteStore } from '../../packages/holdfast/src/drivers/sqlite.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { temporaryFolder } from './sqlite/folder.ts'

const path = temporaryFolder()

const file = path('suite')
storeSuite(
  { describe, it },
  {
    name: 'openSqliteStore on a file',
    make: (options) => openSqliteStore(file, options),
    another: (options) => openSqliteStore(file, options),
    reopen: (options) => openSqliteStore(file, options),
  },
)

storeSuite(
  { describe, it },
  { name: 'openSqliteStore in memory', make: (options) => openSqliteStore(':memory:', options) },
)

describe('with a connection that was handed in', () => {
  const given = path('given')
  const database = new DatabaseSync(given)
  const other = new DatabaseSync(given)
  after(() => {
    database.close()
    other.close()
  })
  storeSuite(
    { describe, it },
    {
      name: 'sqliteStore',
      make: (options) => sqliteStore(database, options),
      another: (options) => sqliteStore(other, options),
      reopen: (options) => sqliteStore(database, options),
    },
  )
})
