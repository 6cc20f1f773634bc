/** SQLite: one table with an index by owner, prepared statements on this thread. */

import { DatabaseSync } from 'node:sqlite'
import { idOf, ownerOf, valueOf } from '../filling.ts'
import { listed, parts, type Raw } from './raw.ts'

export function rawSqlite(path: string): Raw {
  const database = new DatabaseSync(path)
  database.exec('pragma journal_mode = wal; pragma synchronous = full')
  database.exec(
    'create table raw (id text primary key, owner text, version integer, value blob) without rowid',
  )
  const insert = database.prepare('insert into raw values (?, ?, 0, ?)')
  const select = database.prepare('select version, value from raw where id = ?')
  const update = database.prepare('update raw set version = ?, value = ? where id = ? and version = ?')
  const versions: number[] = []
  return {
    note: 'node:sqlite on the same thread, one prepared statement by primary key or by (owner, id)',
    async fill(shape) {
      for (const numbers of parts(shape, 5_000)) {
        database.exec('begin')
        for (const i of numbers) {
          versions[i] = 0
          insert.run(idOf(i), ownerOf(i, shape), valueOf(i))
        }
        database.exec('commit')
      }
      database.exec('create index of_owner on raw (owner, id); analyze')
    },
    async read(i) {
      if (!select.get(idOf(i))) throw new Error('a record was not read')
    },
    async save(i) {
      const version = versions[i] ?? 0
      const { changes } = update.run(version + 1, valueOf(i, version + 1), idOf(i), version)
      if (changes !== 1) throw new Error('a record was not saved')
      versions[i] = version + 1
    },
    async list(owner) {
      const rows = database
        .prepare(`select * from raw where owner = ? order by id limit ${listed}`)
        .all(owner)
      return rows.length
    },
    async end() {
      database.close()
    },
  }
}
