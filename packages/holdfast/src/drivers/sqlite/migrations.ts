/**
 * The schema, as numbered steps. Each runs once, in a transaction of its own; the number of the last one is kept in
 * `holdfast_schema`. A step that was published is never edited: write the next one.
 */

import { prepared, type SqliteDatabase } from './database.ts'

/** Step n is at index n − 1. */
export const migrations: readonly string[] = [
  // 1: records, and the finder of their labels. `bucket` is the head of the digest of collection/id, for slices.
  `create table holdfast_records (
     record integer primary key,
     namespace text not null,
     collection text not null,
     id text not null,
     version text not null,
     labels text not null,
     expires_at integer not null,
     touched_at integer not null,
     bucket integer not null,
     value blob not null,
     unique (namespace, collection, id)
   ) strict;
   create index holdfast_records_by_expiry on holdfast_records (namespace, expires_at);
   create index holdfast_records_by_bucket on holdfast_records (namespace, bucket);
   create table holdfast_labels (
     namespace text not null,
     collection text not null,
     label text not null,
     id text not null,
     primary key (namespace, collection, label, id)
   ) strict, without rowid;`,

  // 2: the change log: one row for all that one transaction changed.
  `create table holdfast_changes (
     position integer primary key,
     namespace text not null,
     keys text not null
   ) strict;
   insert into holdfast_changes (position, namespace, keys) values (1, '', '');`,
]

const versionTable = 'create table if not exists holdfast_schema (version integer not null) strict'

/** The number of the last step that the database has seen; 0 when it has never seen one. */
export function schemaVersion(database: SqliteDatabase): number {
  const found = prepared(
    database,
    "select 1 from sqlite_schema where type = 'table' and name = 'holdfast_schema'",
  ).get()
  if (found === undefined) return 0
  const row = prepared(database, 'select max(version) as version from holdfast_schema').get() as {
    version: number | null
  }
  return row.version ?? 0
}

/**
 * Brings the database to the last of `steps`. Safe when several processes do so at once: each step takes the
 * write lock first and looks again at what is still to be done.
 */
export function migrate(database: SqliteDatabase, steps: readonly string[], atFirst = ''): void {
  while (schemaVersion(database) < steps.length) {
    database.exec('begin immediate')
    try {
      const version = schemaVersion(database)
      const step = steps[version]
      if (version === 0) database.exec(`${versionTable}; ${atFirst}`)
      if (step !== undefined) {
        database.exec(step)
        prepared(database, 'insert into holdfast_schema (version) values (?)').run(version + 1)
      }
      database.exec('commit')
    } catch (error) {
      database.exec('rollback')
      throw error
    }
  }
}
