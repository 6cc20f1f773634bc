/**
 * `read`: a session is loaded from SQLite, credential to data; against one prepared SELECT of the same row by its key
 * and one JSON.parse of the same bytes. Theirs checks no secret, no expiry, no owner and no revocation.
 */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Sessions } from 'holdfast'
import { openSqliteStore } from 'holdfast/sqlite'
import { type Benchmark, inTurn, perSecond } from './measure.ts'
import { inScratch } from './scratch.ts'

const howMany = 5_000
const loads = 40_000

/** About 300 bytes of data, different in every session. */
function someData(i: number) {
  return {
    cart: [
      { sku: `A-${i}`, count: (i % 3) + 1, price: 1_990 + i },
      { sku: `B-${i * 7}`, count: 1, price: 499 },
    ],
    locale: 'de-DE',
    theme: i % 2 === 0 ? 'dark' : 'light',
    csrf: `${i}`.padStart(32, 'x'),
    lastPages: ['/', `/items/${i}`, '/checkout'],
  }
}

export const read: Benchmark = (settings) =>
  inScratch(async (folder) => {
    const path = join(folder, 'bench.db')
    const store = openSqliteStore(path)
    const sessions = new Sessions<ReturnType<typeof someData>>(store)
    const started = await Promise.all(
      Array.from({ length: howMany }, (_, i) => sessions.start({ user: `user-${i}`, data: someData(i) })),
    )
    const credentials = started.map((session) => session.credential!)
    const ids = started.map((session) => session.id!)
    const database = new DatabaseSync(path, { readOnly: true })
    const select = database.prepare(
      'SELECT value FROM holdfast_records WHERE namespace = ? AND collection = ? AND id = ?',
    )
    const decoder = new TextDecoder()
    const figures = await inTurn(
      settings,
      async () => {
        const began = performance.now()
        for (let i = 0; i < loads; i++) {
          const session = await sessions.load(credentials[(i * 7_919) % howMany])
          if (session.get('locale') !== 'de-DE') throw new Error('a session was not loaded')
        }
        return perSecond(loads, began)
      },
      () => {
        const began = performance.now()
        for (let i = 0; i < loads; i++) {
          const row = select.get('holdfast', 'sessions', ids[(i * 7_919) % howMany]!) as { value: Uint8Array }
          const value = JSON.parse(decoder.decode(row.value)) as { data: { locale: string } }
          if (value.data.locale !== 'de-DE') throw new Error('a row was not read')
        }
        return Promise.resolve(perSecond(loads, began))
      },
    )
    database.close()
    await store.close()
    return {
      ...figures,
      unit: 'loads/s',
      note: `${howMany} sessions, one after the other, against one prepared SELECT and JSON.parse of the same bytes`,
    }
  })
