/** Straight from other libraries to the native sessions: nobody is logged out, and nobody comes back. */

import assert from 'node:assert/strict'
import { copyFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { adoptedParts } from '../../packages/holdfast/src/credentials/adopted.ts'
import { assemble } from '../../packages/holdfast/src/credentials/credential.ts'
import { InvalidOption, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { OldSessionReader } from '../../packages/holdfast/src/sessions/keyed.ts'
import type { JsonObject } from '../../packages/holdfast/src/sessions/dictionary.ts'
import type { SessionSchema } from '../../packages/holdfast/src/sessions/schema.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { Exchanges } from '../../packages/holdfast/src/web/exchange.ts'
import { nextSessions } from '../../packages/holdfast/src/web/next.ts'
import { filePlace, oldKinds } from '../migration/old-places.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { openRoom, places } from '../stores/places.ts'
import {
  adopting,
  type App,
  doors,
  expressSession,
  fastifySessionOfTheirs,
  type OldLibrary,
  secret,
} from './adopting-apps.ts'

const nobody = { data: {} }
const ada = { user: 'ada', data: { passport: { user: 'ada' }, basket: ['pear'] } }
const adaWith = (key: string) => ({ ...ada, data: { ...ada.data, [key]: true } })

const libraries: Readonly<Record<string, OldLibrary>> = {
  'express-session': expressSession,
  '@fastify/session': fastifySessionOfTheirs,
}

/** Ada is logged in where session-file-store keeps it. */
async function loggedInBefore(t: TestContext) {
  const place = await filePlace(t)
  const cookie = await expressSession(t, place.store)
  const [file] = await readdir(place.path)
  const [there, backup] = [join(place.path, file!), join(place.path, '..', 'backup')]
  await copyFile(there, backup)
  return {
    cookie,
    reader: place.reader(),
    rows: () => readdir(place.path),
    putBack: () => copyFile(backup, there),
  }
}

/** Stores that two processes can use at once. */
const shared = places.filter(({ name }) => ['SQLite', 'PostgreSQL', 'Redis'].includes(name))

/** A store whose time is moved, and which is tidied then. */
function movable() {
  const clock = fakeClock({ start: Date.now(), sleeps: 'instant' })
  const store = memoryStore({ clock, margin: '1m' })
  const later = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await store.sweep({ limit: 1_000 })
  }
  return { store, later }
}

function typesOf({ events }: App): readonly string[] {
  return events.map(({ type }) => type)
}

for (const { name, skip, open } of oldKinds) {
  for (const [library, logIn] of Object.entries(libraries)) {
    for (const [door, made] of Object.entries(doors)) {
      it(`from ${library} with ${name} to ${door}: who was logged in stays so`, { skip }, async (t) => {
        const { store, reader } = await open(t)
        const cookie = await logIn(t, store)
        const from = reader()
        const app = await adopting(t, from, { door: made })
        const first = await app.call('/', cookie)
        assert.deepEqual(first.body, ada)
        assert.match(first.cookie ?? '', /^session=hfs_/)
        const { sessions } = await app.sessions.list({ user: 'ada' })
        assert.equal(sessions.length, 1)
        assert.deepEqual(
          (await app.call('/set/colour', `${cookie}; ${first.cookie!}`)).body,
          adaWith('colour'),
        )
        assert.deepEqual((await app.call('/', first.cookie)).body, adaWith('colour'))
        const sid = decodeURIComponent(cookie.split('=')[1]!).replace(/^s:/, '').split('.')[0]!
        assert.equal(await from.read(sid), undefined, 'the row is gone')
      })
    }
  }
}

describe('the first requests', () => {
  it('twenty at once meet in one session, and each one’s change is kept', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    const keys = Array.from({ length: 20 }, (_, at) => `key${String(at)}`)
    const answers = await Promise.all(keys.map((key) => app.call(`/set/${key}`, cookie)))
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
    assert.equal(new Set(answers.map((each) => each.cookie)).size, 1)
    const { body } = await app.call('/', answers[0]!.cookie)
    assert.deepEqual(Object.keys(body.data).toSorted(), ['passport', 'basket', ...keys].toSorted())
    assert.deepEqual(await rows(), [])
    assert.equal(typesOf(app).filter((type) => type === 'created').length, 1)
    assert.equal((await app.sessions.list({ user: 'ada' })).sessions.length, 1)
  })

  for (const { name, skip, room } of shared) {
    it(`two processes over ${name} meet in one session as well`, { skip }, async (t) => {
      const { cookie, reader, rows } = await loggedInBefore(t)
      const there = await room()
      t.after(() => there.remove())
      const stores = await Promise.all([openRoom(there), openRoom(there)])
      const apps = await Promise.all(stores.map((store) => adopting(t, reader, { store })))
      const keys = Array.from({ length: 8 }, (_, at) => `key${String(at)}`)
      const answers = await Promise.all(keys.map((key, at) => apps[at % 2]!.call(`/set/${key}`, cookie)))
      assert.equal(new Set(answers.map((each) => each.cookie)).size, 1)
      const { body } = await apps[0]!.call('/', answers[0]!.cookie)
      assert.deepEqual(Object.keys(body.data).toSorted(), ['basket', ...keys, 'passport'])
      assert.deepEqual(await rows(), [])
      assert.equal(apps.flatMap(typesOf).filter((type) => type === 'created').length, 1)
    })
  }

  it('an answer that was lost costs nothing: the old cookie gives the same session', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    const lost = await app.call('/set/colour', cookie)
    const again = await app.call('/', cookie)
    assert.deepEqual(again.body, adaWith('colour'))
    assert.equal(again.cookie, lost.cookie)
  })

  it('the same after a rotation, as long as the window of its predecessor lasts', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const app = await adopting(t, reader, { sessions: { rotateEvery: 1 } })
    const first = await app.call('/', cookie)
    await new Promise((resolve) => setTimeout(resolve, 5))
    const rotated = await app.call('/', first.cookie)
    assert.notEqual(rotated.cookie, first.cookie)
    const again = await app.call('/', cookie)
    assert.deepEqual(again.body, ada)
    assert.equal(again.cookie, rotated.cookie)
    assert.deepEqual((await app.call('/', again.cookie)).body, ada)
  })

  it('without a load nothing is asked and nothing adopted; a load adopts', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    const store = memoryStore()
    t.after(() => store.close())
    const exchanges = new Exchanges(new Sessions(store, { retention: '90d' }), {
      load: 'lazy',
      adopt: { from: reader, secrets: [secret], user: () => 'ada' },
    })
    const request = {
      method: 'GET',
      url: '/',
      isSecure: true,
      header: (name: string) => (name === 'cookie' ? cookie : undefined),
    }
    const idle = await exchanges.open(request)
    assert.equal((await idle.commit(200)).cookie, undefined)
    assert.equal((await rows()).length, 1)
    const used = await exchanges.open(request)
    assert.equal((await used.session.load()).user, 'ada')
    assert.match((await used.commit(200)).cookie ?? '', /^__Host-session=hfs_/)
    assert.deepEqual(await rows(), [])
  })

  it('who finds the row gone because another was faster gets what that one made of it', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const [both, gone] = [Promise.withResolvers<unknown>(), Promise.withResolvers<unknown>()]
    let readings = 0
    const slow: OldSessionReader = {
      description: reader.description,
      read: async (sid) => {
        // Both have found nothing here. The second reads when the first has removed the row.
        if (++readings === 2) both.resolve(undefined)
        await (readings === 2 ? gone : both).promise
        return await reader.read(sid)
      },
      remove: async (sid) => {
        await reader.remove(sid)
        gone.resolve(undefined)
      },
    }
    const app = await adopting(t, slow)
    const answers = await Promise.all([app.call('/', cookie), app.call('/', cookie)])
    assert.deepEqual(
      answers.map(({ body }) => body),
      [ada, ada],
    )
    assert.equal(readings, 2)
  })

  it('a bearer is looked at before the old cookie, which then counts for nothing', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    const app = await adopting(t, reader, { web: { bearer: true } })
    const { credential } = await app.sessions.start({ user: 'grace' })
    const authorization = { headers: { authorization: `Bearer ${credential!}` } }
    assert.equal((await app.call('/', cookie, authorization)).body.user, 'grace')
    assert.equal((await rows()).length, 1)
    assert.deepEqual((await app.call('/', cookie)).body, ada)
  })

  it('bindings, devices and a schema are met as by every other session', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const basketOnly: SessionSchema<JsonObject> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          const { basket } = value as JsonObject
          return basket === undefined ? { issues: [{ message: 'a basket' }] } : { value: { basket } }
        },
      },
    }
    const sessions = {
      binding: { agent: { match: 'exact', policy: 'refuse' } },
      devices: '1d',
      schema: basketOnly,
    } as const
    const app = await adopting(t, reader, { sessions })
    const by = (agent: string) => ({ headers: { 'user-agent': agent } })
    const first = await app.call('/', cookie, by('one'))
    assert.deepEqual(first.body, { user: 'ada', data: { basket: ['pear'] } })
    const [info] = (await app.sessions.list({ user: 'ada' })).sessions
    assert.equal(info?.device?.agent, 'one')
    assert.deepEqual((await app.call('/', first.cookie, by('another'))).body, nobody)
    assert.deepEqual((await app.call('/', cookie, by('another'))).body, nobody)
    assert.equal((await app.call('/', cookie, by('one'))).body.user, 'ada')
  })

  it('with a lock they come one after the other', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const app = await adopting(t, reader, { web: { lock: () => '5s' } })
    const answers = await Promise.all(['a', 'b', 'c'].map((key) => app.call(`/set/${key}`, cookie)))
    const sizes = answers.map(({ body }) => Object.keys(body.data).length).toSorted()
    assert.deepEqual(sizes, [3, 4, 5])
  })

  it('what goes on is what `data` makes of it', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const data = ({ basket }: { basket?: string[] }): object => ({ basket, from: 'before' })
    const app = await adopting(t, reader, { adopt: { data } })
    assert.deepEqual((await app.call('/', cookie)).body, {
      user: 'ada',
      data: { basket: ['pear'], from: 'before' },
    })
  })

  it('a user that is no text is refused, and the row stays', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    const app = await adopting(t, reader, { adopt: { user: () => 17 as unknown as string } })
    assert.equal((await app.call('/', cookie)).status, 500)
    assert.equal((await rows()).length, 1)
  })

  it('server components and actions of Next.js adopt as well', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    const store = memoryStore()
    t.after(() => store.close())
    const { readSession, actOnSession } = nextSessions(new Sessions(store, { retention: '90d' }), {
      adopt: { from: reader, secrets: [secret], user: () => 'ada' },
    })
    const value = decodeURIComponent(cookie.slice('connect.sid='.length))
    const set = new Map<string, string>()
    const cookies = {
      get: (name: string) => (name === 'connect.sid' ? { value } : undefined),
      set: (name: string, given: string) => set.set(name, given),
    }
    assert.equal((await readSession(cookies)).user, 'ada')
    assert.deepEqual(await rows(), [])
    assert.equal(await actOnSession(cookies, ({ user }) => user), 'ada')
    assert.match(set.get('__Host-session') ?? '', /^hfs_/)
  })
})

describe('an end', () => {
  it('after a logout neither cookie opens anything, nor does the row when it comes back', async (t) => {
    const { cookie, reader, rows, putBack } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    const { cookie: own = '' } = await app.call('/', cookie)
    await app.call('/logout', `${cookie}; ${own}`)
    for (const sent of [cookie, own, `${cookie}; ${own}`])
      assert.deepEqual((await app.call('/', sent)).body, nobody)
    await putBack()
    for (const sent of [cookie, own, `${cookie}; ${own}`])
      assert.deepEqual((await app.call('/', sent)).body, nobody)
    assert.deepEqual(await app.sessions.list({ user: 'ada' }), { sessions: [] })
    // Once more, with the row there.
    await app.call('/logout', cookie)
    assert.deepEqual(await rows(), [])
  })

  it('is remembered for as long as the row could live, not only for the idle timeout', async (t) => {
    const { cookie, reader, putBack } = await loggedInBefore(t)
    const { store, later } = movable()
    const app = await adopting(t, reader, { store, sessions: { idle: '1m' } })
    await app.call('/logout', cookie)
    await later(30 * 60_000)
    await putBack()
    assert.deepEqual((await app.call('/', cookie)).body, nobody)
  })

  it('and a revocation by user for as long as the retention', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    const { store, later } = movable()
    const short = { absolute: '1h', remember: { idle: '1h', absolute: '1h' } } as const
    // It was to live for ever there.
    const read: OldSessionReader['read'] = async (sid) => {
      const row = await reader.read(sid)
      return row && { ...row, expiresAt: never }
    }
    const from = { description: 'one', read, remove: (sid: string) => reader.remove(sid) }
    const app = await adopting(t, from, { store, sessions: short })
    await app.sessions.revoke({ user: 'ada' })
    await later(80 * 86_400_000)
    // Marks are tidied away where others are raised.
    await app.sessions.revoke({ user: 'ada', labels: ['app:mobile'] })
    assert.deepEqual((await app.call('/', cookie)).body, nobody)
    assert.deepEqual(await rows(), [])
  })

  it('what has timed out here is not adopted once more', async (t) => {
    const { cookie, reader, putBack } = await loggedInBefore(t)
    const app = await adopting(t, reader, { sessions: { idle: 1_500, touchEvery: 0 } })
    assert.deepEqual((await app.call('/', cookie)).body, ada)
    await new Promise((resolve) => setTimeout(resolve, 1_600))
    await putBack()
    assert.deepEqual((await app.call('/', cookie)).body, nobody)
  })

  it('a logout is the first thing that one does', async (t) => {
    const { cookie, reader, rows, putBack } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    assert.equal((await app.call('/logout', cookie)).status, 200)
    assert.deepEqual(await rows(), [])
    await putBack()
    assert.deepEqual((await app.call('/', cookie)).body, nobody)
  })

  it('a logout from another session of ours ends the old one as well, whose cookie stays in the browser', async (t) => {
    const { cookie, reader, rows, putBack } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    const { cookie: own = '' } = await app.call('/login/grace')
    assert.equal((await app.call('/', `${cookie}; ${own}`)).body.user, 'grace')
    assert.equal((await rows()).length, 1, 'ours opened, so the other was not looked at')
    await app.call('/logout', `${cookie}; ${own}`)
    assert.deepEqual(await rows(), [])
    await putBack()
    assert.deepEqual((await app.call('/', cookie)).body, nobody)
  })

  it('where ours opens nothing any more, the old cookie counts', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    const { cookie: own = '' } = await app.call('/login/grace')
    await app.sessions.revoke({ user: 'grace' })
    const back = await app.call('/', `${cookie}; ${own}`)
    assert.deepEqual(back.body, ada)
    assert.notEqual(back.cookie, own)
  })

  it('a login gives it a new secret, and the old cookie opens nothing from then on', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    const { cookie: own = '' } = await app.call('/', cookie)
    const login = await app.call('/login/ada', own)
    assert.deepEqual((await app.call('/', login.cookie)).body, ada)
    for (const sent of [cookie, own]) assert.deepEqual((await app.call('/', sent)).body, nobody)
    assert.equal((await app.sessions.list({ user: 'ada' })).sessions.length, 1)
    // Nobody must stay logged in because a tab sent an old cookie.
    await app.call('/logout', cookie)
    assert.deepEqual((await app.call('/', login.cookie)).body, nobody)
  })

  it('a revocation by user ends what was adopted', async (t) => {
    const { cookie, reader, putBack } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    const { cookie: own } = await app.call('/', cookie)
    assert.equal(await app.sessions.revoke({ user: 'ada' }), 1)
    await putBack()
    for (const sent of [cookie, own]) assert.deepEqual((await app.call('/', sent)).body, nobody)
  })

  it('and what was not adopted yet: it never is, and the row goes', async (t) => {
    const { cookie, reader, rows, putBack } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    await app.sessions.revoke({ user: 'ada' })
    assert.deepEqual((await app.call('/', cookie)).body, nobody)
    assert.deepEqual(await rows(), [])
    assert.ok(!typesOf(app).includes('created'))
    await putBack()
    assert.deepEqual((await app.call('/', cookie)).body, nobody)
  })
})

describe('what goes wrong', () => {
  it('a crash between create and remove leaves both: the next request removes the row', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    let crashes = 1
    const crashing: OldSessionReader = {
      description: reader.description,
      read: (sid, options) => reader.read(sid, options),
      remove: async (sid) => {
        if (crashes-- > 0) throw new StoreUnavailable('the process has ended')
        await reader.remove(sid)
      },
    }
    const app = await adopting(t, crashing)
    assert.equal((await app.call('/', cookie)).status, 503)
    assert.equal((await rows()).length, 1)
    assert.deepEqual((await app.call('/', cookie)).body, ada)
    assert.deepEqual(await rows(), [])
    assert.equal((await app.sessions.list({ user: 'ada' })).sessions.length, 1)
  })

  for (const { name, skip, open } of oldKinds) {
    // A folder that is not there is no outage, but a mistake.
    const status = name === 'session-file-store' ? 500 : 503
    it(`${name} that is away is an outage, never "not logged in"`, { skip }, async (t) => {
      const place = await open(t)
      const cookie = await expressSession(t, place.store)
      const app = await adopting(t, place.outage())
      const refused = await app.call('/', cookie)
      assert.deepEqual([refused.status, refused.cookie], [status, undefined])
      assert.equal((await app.call('/')).status, 200)
    })
  }

  it('a route that goes on without the store goes on without the old one, too', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const away = { ...reader, read: () => Promise.reject(new StoreUnavailable('it is away')) }
    const app = await adopting(t, away, { web: { whenDown: 'continue' } })
    const without = await app.call('/', cookie)
    assert.deepEqual([without.status, without.body, without.cookie], [200, nobody, undefined])
  })

  it('a cookie that was not signed there opens nothing, and an event tells of it', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    const app = await adopting(t, reader, { adopt: { secrets: ['another'] } })
    assert.deepEqual((await app.call('/', cookie)).body, nobody)
    assert.deepEqual(typesOf(app), ['tampered-cookie'])
    const right = await adopting(t, reader)
    const sid = decodeURIComponent(cookie).slice('connect.sid=s:'.length).split('.')[0]!
    for (const sent of [sid, `s%3A${sid}`, `${sid}.`, `s%3A${sid}.x`, '', 's%3A', '.', `s%3A.${sid}`]) {
      assert.deepEqual((await right.call('/', `connect.sid=${sent}`)).body, nobody, sent)
    }
    assert.equal((await rows()).length, 1)
  })

  it('a change from another site is refused before anybody is asked', async (t) => {
    const { cookie, reader, rows } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    const crossSite = { method: 'POST', headers: { 'sec-fetch-site': 'cross-site' } }
    assert.equal((await app.call('/', cookie, crossSite)).status, 403)
    assert.equal((await rows()).length, 1)
    assert.equal((await app.call('/', undefined, crossSite)).status, 200)
    assert.deepEqual((await app.call('/', cookie, { method: 'POST' })).body, ada)
  })

  it('nobody who has only read the old store can open what was adopted', async (t) => {
    const { cookie, reader } = await loggedInBefore(t)
    const app = await adopting(t, reader)
    await app.call('/', cookie)
    const [info] = (await app.sessions.list({ user: 'ada' })).sessions
    const sid = decodeURIComponent(cookie).slice('connect.sid=s:'.length).split('.')[0]!
    assert.ok(!info!.id.includes(sid))
    assert.deepEqual((await app.call('/', `connect.sid=${sid}`)).body, nobody)
    const guessed = adoptedParts(sid, '')
    assert.equal(guessed.id, info!.id)
    assert.deepEqual((await app.call('/', `session=${assemble('hfs_', guessed)}`)).body, nobody)
    assert.ok(typesOf(app).includes('wrong-secret'))
  })

  it('options that can’t be honoured are refused when the door is made', (t) => {
    const store = memoryStore()
    t.after(() => store.close())
    const from: OldSessionReader = {
      description: 'nothing',
      read: () => Promise.resolve(undefined),
      remove: () => Promise.resolve(),
    }
    const sessions = new Sessions(store, { retention: '90d' })
    const adopt = { from, secrets: [secret] }
    const refused: readonly (readonly [RegExp, () => unknown])[] = [
      [/retention: '90d'/, () => new Exchanges(new Sessions(store, { retention: '89d' }), { adopt })],
      [/needs a cookie/, () => new Exchanges(sessions, { cookie: false, adopt })],
      [/must differ/, () => new Exchanges(sessions, { cookie: { name: 'connect.sid' }, adopt })],
      [/secrets/, () => new Exchanges(sessions, { adopt: { from, secrets: [] } })],
      [/secrets/, () => new Exchanges(sessions, { adopt: { from, secrets: [''] } })],
    ]
    for (const [message, make] of refused) {
      assert.throws(make, (error) => error instanceof InvalidOption && message.test(error.message))
    }
    assert.ok(new Exchanges(sessions, { adopt }))
  })
})
