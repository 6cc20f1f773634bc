/**
 * The steps of MySQL and MariaDB. A step that was published is never edited: write the next one.
 *
 * A change of tables is committed by itself, so that a step which a crash cuts short is run again from its beginning:
 * each statement must do nothing where it has been run before.
 */

import type { Migration } from '../sql/migrations.ts'
import { mysql } from '../sql/dialect.ts'

const { types, ofTable } = mysql

/** See `../sql/migrations.ts`. */
export const migrations: readonly Migration[] = [
  {
    number: 1,
    title: 'records, and the finder of their labels',
    needs: 1,
    statements: [
      `create table if not exists holdfast_records (
  namespace ${types.name} not null,
  collection ${types.name} not null,
  id ${types.id} not null,
  version ${types.version} not null,
  labels ${types.text} not null,
  expires_at ${types.instant} not null,
  touched_at ${types.instant} not null,
  bucket ${types.bucket} not null,
  value ${types.bytes} not null,
  primary key (namespace, collection, id),
  key holdfast_records_by_expiry (namespace, expires_at),
  key holdfast_records_by_bucket (namespace, bucket)
)${ofTable.updated} row_format = dynamic`,
      `create table if not exists holdfast_labels (
  namespace ${types.name} not null,
  collection ${types.name} not null,
  label ${types.label} not null,
  id ${types.id} not null,
  primary key (namespace, collection, label, id)
)${ofTable.fixed} row_format = dynamic`,
    ],
  },
]
