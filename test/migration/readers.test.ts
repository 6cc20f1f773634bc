import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { digestOf } from '../../packages/holdfast/src/credentials/digest.ts'
import { HoldfastError } from '../../packages/holdfast/src/errors.ts'
import type { Malformed, OldSession, OldSessions } from '../../packages/holdfast/src/migration/index.ts'
import { systemClock } from '../../packages/holdfast/src/clock.ts'
import { oldApp, oldKinds, readByItself } from './old-places.ts'

const cart = { user: 'ada', cart: { 'ünï 🎉': [1, 2.5, null, true], nested: { deep: 'x'.repeat(2_000) } } }

/** Everything that a scan finds, with how many pages it took. */
async function scanned(old: OldSessions, limit: number): Promise<{ all: OldSession[]; pages: number }> {
  const all: OldSession[] = []
  let after: string | undefined
  for (let pages = 1; ; pages++) {
    const page = await old.scan({ limit, ...(after === undefined ? {} : { after }) })
    all.push(...page.sessions)
    if (page.next === undefined) return { all, pages }
    after = page.next
  }
}

/** Ids that no library draws and that a client may send all the same. */
const strange = [
  '',
  '.',
  '..',
  '../outside',
  '..\\outside',
  'sessions/../../outside',
  '/etc/passwd',
  'C:outside',
  'nul\0byte',
  'line\nbreak',
  '*',
  '%',
  "' or 1=1 --",
  '$ne',
  '\uD800',
  'x'.repeat(300),
  'x'.repeat(5_000),
  '💥'.repeat(100),
]

for (const { name, skip, ttl, open } of oldKinds) {
  describe(`reading sessions of ${name}`, { skip }, () => {
    it('gives what express-session stored: its data, its cookie, its end', async (t) => {
      const { store, reader } = await open(t)
      const sid = await (await oldApp(t, store, 600_000)).put(cart)
      const found = await reader().read(sid)
      assert.ok(found)
      assert.deepEqual([found.sid, found.data], [sid, cart])
      // express-session takes it from the time that is left.
      assert.ok(Math.abs(Number(found.cookie?.['originalMaxAge']) - 600_000) < 5_000)
      assert.equal(found.cookie?.['path'], '/')
      assert.ok(Math.abs(found.expiresAt - Date.now() - 600_000) < 5_000, String(found.expiresAt))
    })

    it('gives one of a cookie without an end as long as the library keeps it', async (t) => {
      const { store, reader } = await open(t)
      const sid = await (await oldApp(t, store)).put(cart)
      const found = await reader().read(sid)
      assert.ok(found)
      assert.ok(Math.abs(found.expiresAt - Date.now() - ttl) < 5_000, String(found.expiresAt))
    })

    it('gives nothing of what has ended', async (t) => {
      const { store, reader } = await open(t)
      const sid = await (await oldApp(t, store, 1_500)).put(cart)
      assert.ok(await reader().read(sid))
      const later = { ...systemClock, now: () => Date.now() + 60_000 }
      // What a server ends itself is over by its clock; of the others it is ours that decides.
      if (/redis/.test(name)) await delay(2_600)
      assert.equal(await reader({ clock: later }).read(sid), undefined)
    })

    it('removes one, for the library too', async (t) => {
      const { store, reader } = await open(t)
      const app = await oldApp(t, store)
      const [sid, other] = [await app.put(cart), await app.put({ a: 1 })]
      assert.ok(await readByItself(store, sid))
      await reader().remove(sid)
      await reader().remove(sid)
      assert.equal(await readByItself(store, sid), undefined)
      assert.equal(await reader().read(sid), undefined)
      assert.ok(await readByItself(store, other))
    })

    it('finds nothing under ids that nobody drew, and touches nothing elsewhere', async (t) => {
      const { store, reader, damage } = await open(t)
      const sid = await (await oldApp(t, store)).put(cart)
      if (name.includes('file')) await damage('../outside', '{"__lastAccess":9e15,"cookie":{}}')
      for (const each of [...strange, sid.slice(1), `${sid} `, sid.toUpperCase()]) {
        assert.equal(await reader().read(each), undefined, JSON.stringify(each))
        await reader().remove(each)
      }
      for (const each of [undefined, null, 1, { $gt: '' }, [sid]] as unknown as string[]) {
        assert.equal(await reader().read(each), undefined)
        await reader().remove(each)
      }
      assert.ok(await reader().read(sid))
    })

    it('takes what is malformed for nothing, and tells of it without its content', async (t) => {
      const { reader, damage } = await open(t)
      const told: Malformed[] = []
      const old = reader({ onMalformed: (each) => told.push(each) })
      const texts = ['secret', '"secret"', '[1]', 'null', '{"cookie":"secret"}', '{"a":', '']
      for (const [i, text] of texts.entries()) {
        await damage(`bad${i}`, text)
        assert.equal(await old.read(`bad${i}`), undefined, text)
      }
      // An empty value is none at all, for Redis's own library as well.
      assert.ok(told.length >= texts.length - 1, JSON.stringify(told))
      assert.deepEqual(told[0]?.id, digestOf('bad0'))
      assert.doesNotMatch(JSON.stringify(told), /secret|bad0/)
      assert.deepEqual((await scanned(old, 100)).all, [])
    })

    it('keeps away what could reach a prototype', async (t) => {
      const { reader, damage } = await open(t)
      const now = Date.now()
      await damage('sly', `{"__lastAccess":${now},"cookie":{},"a":{"__proto__":{"admin":true}}}`)
      const found = await reader().read('sly')
      assert.equal(Object.getPrototypeOf(found?.data['a']), Object.prototype)
      assert.deepEqual(Object.keys(found?.data['a'] as object), [])
    })

    it('scans all of them, page by page, and can go on near where it was', async (t) => {
      const { store, reader } = await open(t)
      const app = await oldApp(t, store, 600_000)
      const sids = await Promise.all(Array.from({ length: 25 }, (_, n) => app.put({ n })))
      const old = reader()
      const { all, pages } = await scanned(old, 4)
      assert.deepEqual([...new Set(all.map(({ sid }) => sid))].sort(), [...sids].sort())
      assert.ok(pages > 1)
      const count = await old.count()
      assert.ok(count === undefined || count === 25, String(count))
      const { resume, sessions: first } = await reader().scan({ limit: 10 })
      if (resume === undefined) return
      assert.ok(resume.length <= 9, resume)
      const rest = await reader().scan({ limit: 1_000, after: resume })
      const both = new Set([...first, ...rest.sessions].map(({ sid }) => sid))
      assert.equal(both.size, 25)
      assert.ok(rest.sessions.length < 25)
    })

    it('fails when it can not ask: an outage is no logout', async (t) => {
      const { outage } = await open(t)
      const old = outage({ deadline: '1s' })
      for (const ask of [() => old.read('abc'), () => old.remove('abc'), () => old.scan()]) {
        await assert.rejects(ask, (error) => error instanceof HoldfastError)
      }
      const given = AbortSignal.abort(new Error('given up'))
      await assert.rejects(old.read('abc', { signal: given }), /given up/)
    })
  })
}
