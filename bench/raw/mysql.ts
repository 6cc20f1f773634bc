/** MariaDB and MySQL: one table with an index by owner, prepared statements, a pool of mysql2 with its default size. */

import { createPool, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise'
import { idOf, ownerOf, valueOf } from '../filling.ts'
import { listed, parts, type Raw } from './raw.ts'

const table = `create table holdfast_raw (
  id varchar(120) character set ascii collate ascii_bin primary key,
  owner varbinary(220) not null, version int not null, value longblob not null, key (owner, id))`

export async function rawMysql(url: string): Promise<Raw> {
  const pool = createPool({ uri: url.replace(/^mariadb:/, 'mysql:') })
  const versions: number[] = []
  return {
    note: 'a pool of mysql2 with 10 connections, one prepared statement by primary key or by (owner, id)',
    async fill(shape) {
      await pool.query('drop table if exists holdfast_raw')
      await pool.query(table)
      for (const numbers of parts(shape, 1_000)) {
        for (const i of numbers) versions[i] = 0
        const rows = numbers.map((i) => [idOf(i), ownerOf(i, shape), 0, valueOf(i)])
        await pool.query('insert into holdfast_raw (id, owner, version, value) values ?', [rows])
      }
    },
    async read(i) {
      const [rows] = await pool.execute<RowDataPacket[]>(
        'select version, value from holdfast_raw where id = ?',
        [idOf(i)],
      )
      if (rows.length !== 1) throw new Error('a record was not read')
    },
    async save(i) {
      const version = versions[i] ?? 0
      const [{ affectedRows }] = await pool.execute<ResultSetHeader>(
        'update holdfast_raw set version = ?, value = ? where id = ? and version = ?',
        [version + 1, valueOf(i, version + 1), idOf(i), version],
      )
      if (affectedRows !== 1) throw new Error('a record was not saved')
      versions[i] = version + 1
    },
    async list(owner) {
      const [rows] = await pool.execute<RowDataPacket[]>(
        `select id, version, value from holdfast_raw where owner = ? order by id limit ${listed}`,
        [owner],
      )
      return rows.length
    },
    async end() {
      await pool.query('drop table if exists holdfast_raw')
      await pool.end()
    },
  }
}
