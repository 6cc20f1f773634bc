/** PostgreSQL's steps. A step that was published is never edited: write the next one. */

import { type Migration, recordsAndLabels } from '../sql/migrations.ts'
import { postgres } from '../sql/dialect.ts'

/** See `../sql/migrations.ts`. */
export const migrations: readonly Migration[] = [
  recordsAndLabels(postgres),
  {
    number: 2,
    title: 'the change log that watchers read',
    needs: 2,
    statements: [
      // Unlogged: what it holds matters to running watchers only, and a crash tells them by emptying it.
      `create unlogged table holdfast_changes (
  namespace text collate "C" not null,
  xid xid8 not null default pg_current_xact_id(),
  keys text not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000)`,
      'create index holdfast_changes_by_xid on holdfast_changes (namespace, xid)',
    ],
  },
]
