/**
 * The steps of MySQL and MariaDB. A step that was published is never edited: write the next one.
 *
 * A change of tables is committed by itself, so that a step which a crash cuts short is run again from its beginning:
 * each statement must do nothing where it has been run before.
 */

import { columnsOfLabels, columnsOfRecords, type Migration } from '../sql/migrations.ts'
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
${columnsOfRecords(types)},
  key holdfast_records_by_expiry (namespace, expires_at),
  key holdfast_records_by_bucket (namespace, bucket)
)${ofTable.updated} row_format = dynamic`,
      `create table if not exists holdfast_labels (
${columnsOfLabels(types)}
)${ofTable.fixed} row_format = dynamic`,
    ],
  },
]
