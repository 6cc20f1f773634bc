/** How many sessions one user may have: however many log in at once, and in whatever process. */

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { generateRingKey, KeyRing } from '../../packages/holdfast/src/credentials/key-ring.ts'
import type { SessionLimit } from '../../packages/holdfast/src/sessions/options.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { sealedCodec } from '../../packages/holdfast/src/store/codec.ts'
import { openRoom, places } from '../stores/places.ts'
import { Crew } from '../stores/worker.ts'
import type { Order } from './parallel-process.ts'
import { failsTheCheck, hour, minute, Stage } from './stage.ts'

async function liveOf(sessions: Sessions, user: string): Promise<readonly string[]> {
  return (await sessions.list({ user })).sessions.map(({ id }) => id)
}

const oldest: SessionLimit = { perUser: 2, over: 'oldest' }
const refuse: SessionLimit = { perUser: 2, over: 'refuse' }

describe('a limit of sessions per user', () => {
  it('oldest: a login too many ends the one whose login is oldest, however it was used since', async () => {
    const stage = new Stage({ limit: oldest, touchEvery: 0 })
    const ids: string[] = []
    for (let i = 0; i < 4; i++) {
      const session = await stage.sessions.start({ user: 'ada' })
      ids.push(session.id ?? '')
      stage.clock.advance(minute)
    }
    assert.deepEqual((await liveOf(stage.sessions, 'ada')).toSorted(), ids.slice(2).toSorted())
    const ended = stage.happenings.filter(({ type }) => type === 'revoked')
    assert.deepEqual(
      ended,
      ids
        .slice(0, 2)
        .map((id) => ({ type: 'revoked', collection: 'sessions', id, why: 'one session too many' })),
    )
  })

  it('refuse: a login that failed after it was written is none of those that count', async () => {
    const stage = new Stage({ limit: { perUser: 1, over: 'refuse' } })
    stage.plan = failsTheCheck('create')
    await assert.rejects(stage.sessions.start({ user: 'ada' }), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    assert.deepEqual(await liveOf(stage.sessions, 'ada'), [])
    assert.equal((await stage.sessions.start({ user: 'ada' })).user, 'ada')
  })

  it('refuse: a login too many is refused, and the session that it was to be is as it was', async () => {
    const stage = new Stage({ limit: refuse })
    const first = await stage.sessions.start({ user: 'ada' })
    await stage.sessions.start({ user: 'ada' })
    await assert.rejects(stage.sessions.start({ user: 'ada' }), {
      code: 'HOLDFAST_TOO_MANY_SESSIONS',
      message: /"ada" has 2 sessions, and 2 are allowed/,
    })
    const basket = await stage.sessions.start({ data: { item: 1 } })
    await assert.rejects(basket.login('ada'), { code: 'HOLDFAST_TOO_MANY_SESSIONS' })
    const again = await stage.sessions.load(basket.credential)
    assert.deepEqual([again.user, again.data], [undefined, { item: 1 }])
    assert.equal((await stage.records()).length, 3)
    await first.destroy()
    await basket.login('ada')
    assert.equal((await liveOf(stage.sessions, 'ada')).length, 2)
  })

  it('a login that ends at once, by an expiry of its own, ends no other and is none too many', async () => {
    const stage = new Stage({ limit: { perUser: 1, over: 'oldest' } })
    const first = await stage.sessions.start({ user: 'ada' })
    const over = await stage.sessions.load(undefined)
    over.setExpiry(new Date(stage.clock.now() - 1))
    await over.login('ada')
    assert.deepEqual(await liveOf(stage.sessions, 'ada'), [first.id])
  })

  it('a session under a key that is not ours any more keeps nobody from logging in', async () => {
    for (const over of ['oldest', 'refuse'] as const) {
      const stage = new Stage({ limit: { perUser: 1, over } })
      const retired = stage.process({}, sealedCodec(new KeyRing([generateRingKey('k1')])))
      await retired.start({ user: 'ada' })
      const today = stage.process({}, sealedCodec(new KeyRing([generateRingKey('k2')])))
      assert.equal((await today.start({ user: 'ada' })).user, 'ada')
      assert.equal((await stage.records()).length, 2, 'it was not ended')
    }
  })

  it('a login anew on a session of the same user is not one more', async () => {
    for (const over of ['oldest', 'refuse'] as const) {
      const stage = new Stage({ limit: { perUser: 1, over } })
      const session = await stage.sessions.start({ user: 'ada' })
      await session.login('ada')
      await session.stepUp('otp')
      assert.deepEqual(await liveOf(stage.sessions, 'ada'), [session.id])
    }
  })

  it('a login of another user on it makes room, and counts for the other', async () => {
    const stage = new Stage({ limit: { perUser: 1, over: 'refuse' } })
    const session = await stage.sessions.start({ user: 'ada' })
    await session.login('bob')
    await stage.sessions.start({ user: 'ada' })
    await assert.rejects(stage.sessions.start({ user: 'bob' }), { code: 'HOLDFAST_TOO_MANY_SESSIONS' })
  })

  it('sessions of nobody, of others, and those that are over don’t count', async () => {
    const stage = new Stage({ limit: { perUser: 1, over: 'refuse' }, idle: '1h', absolute: '10h' })
    for (let i = 0; i < 3; i++) await stage.sessions.start({ data: { i } })
    await stage.sessions.start({ user: 'bob' })
    const first = await stage.sessions.start({ user: 'ada' })
    await first.destroy()
    await stage.sessions.start({ user: 'ada' })
    stage.clock.advance(2 * hour)
    await stage.sessions.start({ user: 'ada' })
    stage.clock.advance(minute * 20)
    // By the settings of today it is over, though its record hasn't expired.
    const shorter = stage.process({ idle: '10m' })
    await shorter.start({ user: 'ada' })
    assert.equal((await liveOf(shorter, 'ada')).length, 1)
  })

  it('parallel logins leave exactly as many as are allowed, over several processes', async () => {
    for (const limit of [oldest, refuse]) {
      const stage = new Stage({ limit })
      const processes = [stage.sessions, stage.process(), stage.process()]
      const logins = await Promise.allSettled(
        Array.from({ length: 9 }, (_, i) => processes[i % 3]!.start({ user: 'ada' })),
      )
      const live = await liveOf(stage.sessions, 'ada')
      assert.equal(live.length, 2, limit.over)
      for (const login of logins) {
        if (login.status === 'fulfilled') continue
        const { code } = login.reason as { code?: string }
        assert.equal(code, limit.over === 'refuse' ? 'HOLDFAST_TOO_MANY_SESSIONS' : 'HOLDFAST_SESSION_GONE')
      }
      const given = logins.flatMap((login) => (login.status === 'fulfilled' ? [login.value] : []))
      const stillHeld = given.filter(({ id }) => live.includes(id ?? ''))
      assert.equal(stillHeld.length, 2, 'nobody’s session was ended without a login that took its place')
    }
  })

  it('refuse: of two logins at once the one that is refused leaves its session as it was', async () => {
    const stage = new Stage({ limit: { perUser: 1, over: 'refuse' } })
    const other = stage.process()
    const first = await stage.sessions.start({ data: { basket: ['one'] } })
    const second = await other.start({ data: { basket: ['two'] } })
    const before = [first.credential, second.credential] as const
    const logins = await Promise.allSettled([first.login('ada'), second.login('ada')])
    const refused = logins.findIndex(({ status }) => status === 'rejected')
    assert.deepEqual(logins.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    const { code } = (logins[refused] as PromiseRejectedResult).reason as { code?: string }
    assert.equal(code, 'HOLDFAST_TOO_MANY_SESSIONS')
    const session = refused === 0 ? first : second
    assert.deepEqual([session.user, session.credential], [undefined, before[refused]])
    const again = await stage.sessions.load(before[refused])
    assert.deepEqual([again.user, again.get('basket')], [undefined, refused === 0 ? ['one'] : ['two']])
    assert.equal((await liveOf(stage.sessions, 'ada')).length, 1)
  })

  it('on a store that may miss sessions no login is stored', async () => {
    const stage = new Stage({ limit: oldest })
    const partial = new Sessions(stage.another(), { limit: oldest })
    const { capabilities } = await stage.store.open()
    assert.equal(capabilities.listing, 'complete')
    stage.driver.list = () => {
      throw new Error('not reached')
    }
    Object.defineProperty(stage.driver, 'open', {
      value: () =>
        Promise.resolve({ capabilities: { ...capabilities, listing: 'partial' }, description: 'a cache' }),
    })
    await assert.rejects(partial.start({ user: 'ada' }), { code: 'HOLDFAST_NOT_SUPPORTED' })
  })

  it('a login whose count fails leaves no session behind that nobody holds', async () => {
    const stage = new Stage({ limit: oldest })
    await stage.sessions.start({ user: 'ada' })
    stage.plan = ({ operation }) => (operation === 'list' ? 'fail' : undefined)
    await assert.rejects(stage.sessions.start({ user: 'ada' }), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    assert.equal((await liveOf(stage.sessions, 'ada')).length, 1)
  })

  it('a login on a session that was there loses nothing of it where the count fails', async () => {
    const stage = new Stage({ limit: { perUser: 1, over: 'oldest' } })
    await stage.sessions.start({ user: 'ada' })
    const session = await stage.sessions.start({ data: { basket: 1 } })
    stage.plan = ({ operation }) => (operation === 'list' ? 'fail' : undefined)
    await assert.rejects(session.login('ada'), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    assert.deepEqual(session.data, { basket: 1 })
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual(again.data, { basket: 1 })
    await again.login('ada')
    assert.deepEqual(await liveOf(stage.sessions, 'ada'), [again.id])
  })

  it('that can’t be meant is refused', () => {
    for (const perUser of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => new Stage({ limit: { perUser, over: 'oldest' } }), {
        code: 'HOLDFAST_INVALID_OPTION',
      })
    }
    assert.throws(() => new Stage({ limit: { perUser: 1, over: 'newest' as never } }), {
      code: 'HOLDFAST_INVALID_OPTION',
    })
  })
})

describe('a limit, over two processes on SQLite', () => {
  const crew = new Crew<Order>(new URL('parallel-process.ts', import.meta.url), 2)
  after(() => crew.end())
  const sqlite = places.find(({ name }) => name === 'SQLite')!

  it('is kept by parallel logins to the session', async () => {
    const room = await sqlite.room()
    const { url, namespace } = room
    const store = await openRoom(room)
    try {
      const workers = await crew.ready()
      await Promise.all(workers.map((worker) => worker.obey({ do: 'open', room: { url, namespace } })))
      for (const limit of [oldest, refuse]) {
        const user = `ada of ${limit.over}`
        const answers = (await Promise.all(
          workers.map((worker) => worker.obey({ do: 'log in', user, limit, times: 5 })),
        )) as { credential?: string; code?: string }[][]
        const sessions = new Sessions(store)
        assert.equal((await liveOf(sessions, user)).length, 2, limit.over)
        const credentials = answers.flat().flatMap(({ credential }) => credential ?? [])
        const loaded = await Promise.all(credentials.map((credential) => sessions.load(credential)))
        assert.equal(loaded.filter((session) => !session.isNew).length, 2, limit.over)
      }
    } finally {
      await store.close()
      await crew.end()
      await room.remove()
    }
  })
})
