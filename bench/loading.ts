/**
 * Loading in bulk: what would take hours through a store's own calls. The rows are those that the store writes, made
 * by the driver's own functions and put into its tables by the raw client; durability is relaxed on the loader's own
 * connections only. What was loaded is read back through the store, as a sample, before anything is measured.
 */

import { DatabaseSync } from 'node:sqlite'
import type { Draft } from 'holdfast'
import { createPool } from 'mysql2/promise'
import { Pool } from 'pg'
import { bucketOf, labelsText } from '../packages/holdfast/src/drivers/sql/rows.ts'
import { nextVersion } from '../packages/holdfast/src/store/stamp.ts'

/** Loads records into one store. */
export interface Loader {
  /** How many records it takes at once. */
  readonly size: number
  /** Adds records that aren't there yet. */
  load(drafts: readonly Draft[]): Promise<void>
  /** Puts everything in order for measuring, as time would: what was loaded is on disk, and the planner knows of it. */
  settle(): Promise<void>
  end(): Promise<void>
}

/** Makes a loader of the store at this URL, whose tables are there. */
export type LoaderOf = (url: string, namespace: string) => Loader

const columns = 'namespace, collection, id, version, labels, expires_at, touched_at, bucket, value'
const labelColumns = 'namespace, collection, label, id'

/** Into the file, past the store's own thread. */
export const loadSqlite: LoaderOf = (url, namespace) => {
  const database = new DatabaseSync(decodeURIComponent(url.replace(/^sqlite:\/\//, '')))
  database.exec(
    'pragma busy_timeout = 60000; pragma synchronous = off; pragma cache_size = -1000000; pragma wal_autocheckpoint = 100000',
  )
  const marks = (count: number): string => Array.from({ length: count }, () => '?').join(', ')
  const record = database.prepare(`insert into holdfast_records (${columns}) values (${marks(9)})`)
  const label = database.prepare(`insert into holdfast_labels (${labelColumns}) values (${marks(4)})`)
  return {
    // Ids are spread over the indexes: the more rows share a transaction, the fewer pages are written twice.
    size: 20_000,
    async load(drafts) {
      database.exec('begin immediate')
      for (const row of drafts.map(rowOf)) {
        const { key, labels } = row.draft
        const head = [namespace, key.collection, key.id, row.version, labelsText(row.labels)] as const
        record.run(...head, row.draft.expiresAt, row.touchedAt, row.bucket, row.draft.value)
        for (const each of labels ?? []) label.run(namespace, key.collection, each, key.id)
      }
      database.exec('commit')
    },
    async settle() {
      database.exec('pragma synchronous = full; pragma wal_checkpoint(truncate); pragma synchronous = off')
    },
    async end() {
      database.close()
    },
  }
}

export const loadPostgres: LoaderOf = (url, namespace) => {
  const pool = new Pool({ connectionString: url, max: lanes, options: '-c synchronous_commit=off' })
  pool.on('error', () => undefined)
  return {
    size: 1_000,
    async load(drafts) {
      const rows = drafts.map(rowOf)
      const { labels, collections, ids } = labelRows(rows)
      await pool.query(
        `insert into holdfast_records (${columns})
         select $1, unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]),
           unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::bytea[])`,
        [
          namespace,
          rows.map(({ draft }) => draft.key.collection),
          rows.map(({ draft }) => draft.key.id),
          rows.map(({ version }) => version),
          rows.map((row) => labelsText(row.labels)),
          rows.map(({ draft }) => draft.expiresAt),
          rows.map(({ touchedAt }) => touchedAt),
          rows.map(({ bucket }) => bucket),
          rows.map(({ draft }) => draft.value),
        ],
      )
      await pool.query(
        `insert into holdfast_labels (${labelColumns})
         select $1, unnest($2::text[]), unnest($3::text[]), unnest($4::text[])`,
        [namespace, collections, labels, ids],
      )
    },
    async settle() {
      await pool.query('vacuum (analyze) holdfast_records, holdfast_labels')
      await pool.query('checkpoint')
    },
    async end() {
      await pool.end()
    },
  }
}

export const loadMysql: LoaderOf = (url, namespace) => {
  const pool = createPool({ uri: url.replace(/^mariadb:/, 'mysql:'), connectionLimit: lanes })
  return {
    size: 1_000,
    async load(drafts) {
      const rows = drafts.map(rowOf)
      const records = rows.map((row) => {
        const { key, expiresAt, value } = row.draft
        const head = [namespace, key.collection, key.id, row.version, labelsText(row.labels)]
        return [...head, expiresAt, row.touchedAt, row.bucket, value]
      })
      const { labels, collections, ids } = labelRows(rows)
      const finder = labels.map((label, i) => [namespace, collections[i], label, ids[i]])
      await pool.query(`insert into holdfast_records (${columns}) values ?`, [records])
      await pool.query(`insert into holdfast_labels (${labelColumns}) values ?`, [finder])
    },
    async settle() {
      await pool.query('analyze table holdfast_records, holdfast_labels')
    },
    async end() {
      await pool.end()
    },
  }
}

/** How many loads are under way at once. */
export const lanes = 2

interface Row {
  readonly draft: Draft
  readonly version: string
  /** As the guard passes them on. */
  readonly labels: readonly string[]
  readonly touchedAt: number
  readonly bucket: number
}

function rowOf(draft: Draft): Row {
  const now = Date.now()
  const labels = [...(draft.labels ?? [])].sort()
  return { draft, version: nextVersion(now), labels, touchedAt: now, bucket: bucketOf(draft.key) }
}

/** The rows of the finder, column by column. */
function labelRows(rows: readonly Row[]) {
  const all = rows.flatMap(({ draft, labels }) => labels.map((label) => ({ label, key: draft.key })))
  return {
    labels: all.map(({ label }) => label),
    collections: all.map(({ key }) => key.collection),
    ids: all.map(({ key }) => key.id),
  }
}
