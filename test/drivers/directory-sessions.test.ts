/** Sessions that are kept in files: in a folder, and all in one file. */

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { directoryStore } from '../../packages/holdfast/src/drivers/directory.ts'
import { openSqliteStore } from '../../packages/holdfast/src/drivers/sqlite.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { sweepAll } from '../../packages/holdfast/src/store/sweep.ts'
import { type FakeClock, fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { temporaryFolder } from './directory/folder.ts'

const path = temporaryFolder()
const hour = 3_600_000

interface Kind {
  readonly name: string
  open(at: string, clock: FakeClock): Store
}

const kinds: readonly Kind[] = [
  { name: 'a folder', open: (at, clock) => directoryStore(at, { clock }) },
  { name: 'one file', open: (at, clock) => openSqliteStore(`${at}.db`, { clock }) },
]

/** What a second process would do, which shares nothing but the files. */
async function anew(
  kind: Kind,
  at: string,
  clock: FakeClock,
  act: (sessions: Sessions, store: Store) => Promise<void>,
): Promise<void> {
  const store = kind.open(at, clock)
  try {
    await act(new Sessions(store), store)
  } finally {
    await store.close()
  }
}

for (const kind of kinds) {
  describe(`sessions in ${kind.name}`, () => {
    it('are found by the next process, with what was stored, the address and the client too [T14 T15 T16]', async () => {
      const [at, clock] = [path('kept'), fakeClock()]
      const data = { ip: '2001:db8::1', agent: 'Mozilla/5.0 (\u{1f600})', security: { model: ['ip'] } }
      let credential: string | undefined
      await anew(kind, at, clock, async (sessions) => {
        const session = await sessions.start()
        for (const [name, value] of Object.entries(data)) session.set(name, value)
        await session.save()
        credential = session.credential
      })
      await anew(kind, at, clock, async (sessions) => {
        const session = await sessions.load(credential)
        assert.deepEqual([session.isNew, session.data], [false, data])
      })
    })

    it('that have expired are new, whoever looks [T11]', async () => {
      const [at, clock] = [path('expired'), fakeClock()]
      let credential: string | undefined
      await anew(kind, at, clock, async (sessions) => {
        const session = await sessions.start()
        session.set('user', 'ada')
        await session.save()
        credential = session.credential
        clock.advance(hour)
      })
      await anew(kind, at, clock, async (sessions) => {
        const session = await sessions.load(credential)
        assert.deepEqual([session.isNew, session.data], [true, {}])
        assert.equal((await sessions.list()).sessions.length, 0)
      })
    })

    it('that nobody wrote to take no room [T12]', async () => {
      const [at, clock] = [path('empty'), fakeClock()]
      await anew(kind, at, clock, async (sessions, store) => {
        const session = await sessions.load(undefined)
        await session.save()
        assert.deepEqual((await store.list('sessions', { expired: true })).records, [])
      })
    })

    it('are stored as JSON: what looks like code is data, and a prototype is left out [T13]', async () => {
      const [at, clock] = [path('json'), fakeClock()]
      await anew(kind, at, clock, async (sessions, store) => {
        const session = await sessions.start()
        session.set('code', { $function: 'process.exit(1)', then: 'no' })
        await session.save()
        const [record] = (await store.list('sessions')).records
        const text = Buffer.from(record!.value).toString()
        assert.deepEqual(Object.getPrototypeOf(JSON.parse(text)), Object.prototype)
        const poisoned = text.replace('"$function"', '"__proto__"')
        assert.notEqual(poisoned, text)
        await store.replace({ ...record!, expected: record!.version, value: Buffer.from(poisoned) })
        const loaded = await sessions.load(session.credential)
        assert.deepEqual([loaded.isNew, loaded.data], [false, { code: { then: 'no' } }])
        assert.equal(Object.getPrototypeOf(loaded.get('code')), Object.prototype)
      })
    })

    it('are swept when they have expired, and the living stay: one of two [T23 D49]', async () => {
      const [at, clock] = [path('swept'), fakeClock()]
      await anew(kind, at, clock, async (sessions, store) => {
        await sessions.start()
        clock.advance(hour)
        const living = await sessions.start()
        // The first expired after 33 minutes, and the margin is an hour: a millisecond is missing.
        clock.advance(33 * 60_000 - 1)
        assert.equal(await sweepAll(store), 0)
        assert.equal((await sessions.load(living.credential)).isNew, false)
        clock.advance(1)
        assert.equal(await sweepAll(store), 1)
        assert.equal(await sweepAll(store), 0)
        assert.equal((await sessions.load(living.credential)).isNew, false)
      })
    })

    it('that are destroyed do not come back through a save that was under way [D48]', async () => {
      const [at, clock] = [path('destroyed'), fakeClock()]
      await anew(kind, at, clock, async (sessions) => {
        const { credential } = await sessions.start()
        const [late, other] = [await sessions.load(credential), await sessions.load(credential)]
        await other.destroy()
        late.set('late', true)
        await assert.rejects(late.save(), { code: 'HOLDFAST_SESSION_GONE' })
        assert.equal((await sessions.load(credential)).isNew, true)
      })
    })

    it('are not opened by a credential that reads like a path, and nothing outside is touched [D46 T16]', async () => {
      const [at, clock] = [path('escaped'), fakeClock()]
      await anew(kind, at, clock, async (sessions) => {
        await sessions.start()
        for (const credential of [
          '../../etc/passwd',
          '..\\..\\x',
          '/etc/passwd.x',
          `${at}/../x.y`,
          '.',
          '..',
          '',
        ]) {
          assert.equal((await sessions.load(credential)).isNew, true)
        }
      })
      assert.equal(existsSync(join(at, '..', 'x')), false)
    })
  })
}

describe('the files of sessions', () => {
  it('hold no secret that opens one [K7 D6]', async () => {
    const [at, clock] = [path('secret'), fakeClock()]
    await anew(kinds[0]!, at, clock, async (sessions) => {
      const { credential = '' } = await sessions.start()
      const secret = /\.(.{43})/.exec(credential)?.[1] ?? ''
      assert.equal(secret.length, 43)
      const files = readdirSync(at, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
      const records = files.filter(({ name }) => name.startsWith('sessions.'))
      assert.equal(records.length > 0, true)
      for (const { parentPath, name } of files) {
        assert.equal(readFileSync(join(parentPath, name), 'latin1').includes(secret), false, name)
        assert.equal(name.includes(secret.toLowerCase()), false)
      }
    })
  })
})
