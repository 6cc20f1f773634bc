/**
 * `commit`: a session is changed and saved durably on SQLite, by compare-and-swap, 64 in flight; against raw upserts
 * of the same rows, in a table of the same shape, in transactions of 100 with the same settings of the file. Values
 * vary from write to write.
 */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Sessions } from 'holdfast'
import { openSqliteStore } from 'holdfast/sqlite'
import { type Benchmark, inTurn, perSecond } from './measure.ts'
import { inScratch } from './scratch.ts'

const howMany = 2_000
const saves = 20_000
const inFlight = 64
const perTransaction = 100

interface Data {
  count: number
  cart: readonly string[]
  csrf: string
}

export const commit: Benchmark = (settings) =>
  inScratch(async (folder) => {
    const store = openSqliteStore(join(folder, 'ours.db'))
    const sessions = new Sessions<Data>(store)
    const started = await Promise.all(
      Array.from({ length: howMany }, (_, i) => sessions.start({ user: `user-${i}`, data: someData(i) })),
    )
    const raw = rawUpserts(folder)
    let count = 0
    const figures = await inTurn(
      settings,
      async () => {
        const began = performance.now()
        await Promise.all(
          Array.from({ length: inFlight }, async (_, lane) => {
            for (let i = lane; i < saves; i += inFlight) {
              const session = started[(i * 7) % howMany]!
              session.set('count', ++count)
              await session.save()
            }
          }),
        )
        return perSecond(saves, began)
      },
      () => Promise.resolve(raw.run()),
    )
    raw.close()
    await store.close()
    return {
      ...figures,
      unit: 'durable saves/s',
      note: `${inFlight} saves in flight, against raw upserts of the same rows in transactions of ${perTransaction}; WAL, synchronous FULL`,
    }
  })

function someData(i: number): Data {
  return { count: 0, cart: [`sku-${i}`, `sku-${i * 3}`], csrf: `${i}`.padStart(64, 'x') }
}

/** The same rows in a table of the same shape, written as fast as SQLite can: no compare-and-swap, no change log. */
function rawUpserts(folder: string) {
  const database = new DatabaseSync(join(folder, 'theirs.db'))
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  database.exec(`ATTACH '${join(folder, 'ours.db')}' AS ours`)
  const schema = database
    .prepare("SELECT sql FROM ours.sqlite_schema WHERE tbl_name = 'holdfast_records' AND sql IS NOT NULL")
    .all() as { sql: string }[]
  for (const { sql } of schema) database.exec(sql)
  database.exec('INSERT INTO main.holdfast_records SELECT * FROM ours.holdfast_records; DETACH ours')
  const rows = database
    .prepare('SELECT id, labels, bucket, value FROM holdfast_records WHERE collection = ?')
    .all('sessions') as { id: string; labels: string; bucket: number; value: Uint8Array }[]
  const upsert = database.prepare(
    `INSERT INTO holdfast_records (namespace, collection, id, version, labels, expires_at, touched_at, bucket, value)
     VALUES ('holdfast', 'sessions', ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (namespace, collection, id) DO UPDATE SET version = excluded.version,
       expires_at = excluded.expires_at, touched_at = excluded.touched_at, value = excluded.value`,
  )
  let count = 0
  return {
    run(): number {
      const began = performance.now()
      for (let i = 0; i < saves; i += perTransaction) {
        database.exec('BEGIN IMMEDIATE')
        for (let j = i; j < i + perTransaction; j++) {
          const { id, labels, bucket, value } = rows[(j * 7) % howMany]!
          // An upsert that writes identical bytes costs next to nothing, so every write differs.
          const changed = Buffer.from(value)
          changed.writeUInt32LE(++count, changed.length - 8)
          const now = Date.now()
          upsert.run(id, `${now}.${count}`, labels, now + 1_980_000, now, bucket, changed)
        }
        database.exec('COMMIT')
      }
      return perSecond(saves, began)
    },
    close() {
      database.close()
    },
  }
}
