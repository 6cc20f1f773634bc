/** PostgreSQL: one table with an index by owner, prepared statements, a pool of pg with its default size. */

import { Pool } from 'pg'
import { idOf, ownerOf, valueOf } from '../filling.ts'
import { listed, parts, type Raw } from './raw.ts'

const table = `create table holdfast_raw (
  id text collate "C" primary key, owner text collate "C" not null, version integer not null, value bytea not null)`

export async function rawPostgres(url: string): Promise<Raw> {
  const pool = new Pool({ connectionString: url })
  pool.on('error', () => undefined)
  const versions: number[] = []
  return {
    note: 'a Pool of pg with 10 connections, one prepared statement by primary key or by (owner, id)',
    async fill(shape) {
      await pool.query(`drop table if exists holdfast_raw; ${table}`)
      for (const numbers of parts(shape, 2_000)) {
        for (const i of numbers) versions[i] = 0
        await pool.query(
          'insert into holdfast_raw select unnest($1::text[]), unnest($2::text[]), 0, unnest($3::bytea[])',
          [numbers.map(idOf), numbers.map((i) => ownerOf(i, shape)), numbers.map((i) => valueOf(i))],
        )
      }
      await pool.query('create index on holdfast_raw (owner, id)')
      await pool.query('vacuum analyze holdfast_raw')
    },
    async read(i) {
      const text = 'select version, value from holdfast_raw where id = $1'
      const { rowCount } = await pool.query({ name: 'raw-read', text, values: [idOf(i)] })
      if (rowCount !== 1) throw new Error('a record was not read')
    },
    async save(i) {
      const version = versions[i] ?? 0
      const text = 'update holdfast_raw set version = $3, value = $4 where id = $1 and version = $2'
      const values = [idOf(i), version, version + 1, valueOf(i, version + 1)]
      const { rowCount } = await pool.query({ name: 'raw-save', text, values })
      if (rowCount !== 1) throw new Error('a record was not saved')
      versions[i] = version + 1
    },
    async list(owner) {
      const text = `select id, version, value from holdfast_raw where owner = $1 order by id limit ${listed}`
      return (await pool.query({ name: 'raw-list', text, values: [owner] })).rows.length
    },
    async end() {
      await pool.query('drop table if exists holdfast_raw')
      await pool.end()
    },
  }
}
