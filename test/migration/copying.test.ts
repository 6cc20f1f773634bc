import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { JsonObject, Store } from 'holdfast'
import { KeyedSessions, TransferMismatch } from 'holdfast'
import { memoryStore } from 'holdfast/memory'
import { copyOldSessions, type OldSessions } from 'holdfast/migration'
import { filePlace, oldApp, oldKinds, type OldPlace, readByItself } from './old-places.ts'

const userOf = ({ user }: JsonObject): string | undefined => (typeof user === 'string' ? user : undefined)

function target(t: TestContext): Store {
  const store = memoryStore()
  t.after(() => store.close())
  return store
}

function copied(old: OldSessions, store: Store, options: Parameters<typeof copyOldSessions>[2] = {}) {
  return copyOldSessions(old, (reader) => new KeyedSessions(store, { old: reader, userOf }), options)
}

/** So many sessions of ada's, by an application of express-session. */
async function filled(t: TestContext, { store }: OldPlace, count: number): Promise<readonly string[]> {
  const app = await oldApp(t, store, 600_000)
  return await Promise.all(Array.from({ length: count }, (_, n) => app.put({ user: 'ada', n })))
}

for (const { name, skip, open } of oldKinds) {
  describe(`sessions of ${name}, carried over`, { skip }, () => {
    it('are copied whole, once, and left where they were', async (t) => {
      const place = await open(t)
      const sids = await filled(t, place, 25)
      const store = target(t)
      const seen: number[] = []
      const onProgress = ({ records }: { records: number }) => void seen.push(records)
      const report = await copied(place.reader(), store, { page: 7, onProgress })
      assert.deepEqual(report, {
        ...{ sessions: 25, created: 25, present: 0, refused: 0, changed: 0 },
        resumed: false,
      })
      assert.ok(seen.length > 3)
      const sessions = new KeyedSessions(store, { userOf })
      for (const [n, sid] of sids.entries()) {
        const kept = await sessions.read(sid)
        const { cookie, ...data } = kept?.data ?? {}
        assert.deepEqual(data, { user: 'ada', n })
        // express-session takes it from the time that is left.
        assert.ok(Math.abs(Number((cookie as JsonObject)['originalMaxAge']) - 600_000) < 5_000)
        assert.ok(Math.abs((kept?.expiresAt ?? 0) - Date.now() - 600_000) < 10_000)
      }
      assert.equal((await sessions.list({ user: 'ada' })).sessions.length, 25)
      assert.ok(await readByItself(place.store, sids[0]!))
      assert.deepEqual((await store.list('meta')).records, [])
      const again = await copied(place.reader(), store)
      assert.deepEqual([again.created, again.present], [0, 25])
    })

    it('are taken over at their first touch, and never come back after a logout', async (t) => {
      const place = await open(t)
      const [sid, other] = await filled(t, place, 2)
      const sessions = new KeyedSessions(target(t), { old: place.reader() })
      const kept = await sessions.read(sid!)
      assert.equal(kept?.data['user'], 'ada')
      assert.equal(await readByItself(place.store, sid!), undefined)
      assert.equal(await sessions.destroy(sid!), true)
      // One that was never touched is logged out there before this answers.
      await sessions.destroy(other!)
      assert.equal(await readByItself(place.store, other!), undefined)
      // Whoever puts the row back, an old process or a backup: what was logged out stays so.
      await place.damage(sid!, `{"__lastAccess":${Date.now()},"cookie":{},"user":"ada"}`)
      assert.equal(await sessions.read(sid!), undefined)
      assert.equal(await sessions.read(other!), undefined)
    })
  })
}

describe('copying old sessions', () => {
  it('brings back nothing that was destroyed or revoked in the target', async (t) => {
    const place = await filePlace(t)
    const [sid, other] = await filled(t, place, 2)
    const store = target(t)
    const sessions = new KeyedSessions(store, { userOf })
    await sessions.destroy(sid!)
    await sessions.revoke({ user: 'ada' })
    const report = await copied(place.reader(), store)
    assert.deepEqual([report.sessions, report.created, report.present, report.refused], [2, 0, 1, 1])
    for (const each of [sid!, other!]) assert.equal(await sessions.read(each), undefined)
  })

  it('leaves what was changed in the target, and says so', async (t) => {
    const place = await filePlace(t)
    const [sid] = await filled(t, place, 2)
    const store = target(t)
    await copied(place.reader(), store)
    const sessions = new KeyedSessions(store)
    const kept = await sessions.read(sid!)
    await sessions.save(sid!, kept!, { ...kept!.data, n: 77 }, kept!.expiresAt)
    const report = await copied(place.reader(), store)
    assert.deepEqual([report.present, report.changed], [2, 1])
    assert.equal((await sessions.read(sid!))?.data['n'], 77)
  })

  it('copies whatever JSON can say, however deep', async (t) => {
    const place = await filePlace(t)
    const odd = `-0,1e400,12345678901234567890,"\\ud800",${'['.repeat(3_000)}${']'.repeat(3_000)}`
    await place.damage('odd', `{"__lastAccess":${Date.now()},"cookie":{},"values":[${odd}]}`)
    await filled(t, place, 1)
    const report = await copied(place.reader(), target(t))
    assert.deepEqual([report.sessions, report.created, report.changed], [2, 2, 0])
  })

  it('goes on near where it was ended, and keeps no id where it was', async (t) => {
    const place = await filePlace(t)
    const sids = await filled(t, place, 30)
    const store = target(t)
    const ended = new AbortController()
    const onProgress = ({ records }: { records: number }) => {
      if (records >= 20) ended.abort(new Error('ended'))
    }
    const first = copied(place.reader(), store, { page: 5, signal: ended.signal, onProgress })
    await assert.rejects(first, /ended/)
    const [journal] = (await store.list('meta')).records
    const written = Buffer.from(journal!.value).toString()
    assert.match(written, /"after":"=/)
    for (const sid of sids) assert.ok(!written.includes(sid.slice(0, 9)), written)
    const report = await copied(place.reader(), store, { page: 5 })
    assert.deepEqual([report.resumed, report.sessions], [true, 30])
    assert.ok(report.created >= 10 && report.present <= 2, JSON.stringify(report))
    const sessions = new KeyedSessions(store)
    for (const sid of sids) assert.ok(await sessions.read(sid))
  })

  it('fails where a session came while it copied, and finds it the next time', async (t) => {
    const place = await filePlace(t)
    await filled(t, place, 10)
    const store = target(t)
    const app = await oldApp(t, place.store)
    const late: Promise<string>[] = []
    const old = place.reader()
    const growing: OldSessions = {
      ...pick(old),
      scan: async (scan) => {
        const page = await old.scan(scan)
        if (page.next === undefined && late.length === 0) {
          late.push(app.put({ user: 'eve' }))
          await late[0]
        }
        return page
      },
    }
    await assert.rejects(copied(growing, store), (error) => {
      assert.ok(error instanceof TransferMismatch)
      const id = new KeyedSessions(store).idOf('x')
      assert.match(
        error.message,
        new RegExp(`^1 sessions .* such as [\\w-]{${id.length}}: stop all that uses`),
      )
      return true
    })
    const report = await copied(old, store)
    assert.deepEqual([report.sessions, report.created, report.resumed], [11, 1, false])
  })

  it('fails with what the target fails with', async (t) => {
    const place = await filePlace(t)
    const app = await oldApp(t, place.store)
    await app.put({ long: 'x'.repeat(70_000) })
    await assert.rejects(copied(place.reader(), target(t)), /the limit is 65536/)
  })
})

function pick(old: OldSessions): OldSessions {
  return {
    description: old.description,
    read: (sid, options) => old.read(sid, options),
    remove: (sid) => old.remove(sid),
    scan: (scan) => old.scan(scan),
    count: () => old.count(),
  }
}
