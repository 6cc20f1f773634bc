/** Every change of a session while answers and requests are lost: it happens once, whatever the network says. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Codec } from '../../packages/holdfast/src/store/codec.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { hour, minute, Stage } from './stage.ts'

interface Change {
  readonly make: (session: Session) => Promise<unknown>
  /** What must be seen by the next request. */
  readonly seen: (session: Session, now: number) => void
  /** Events of it, besides that it was loaded. */
  readonly told?: readonly string[]
}

const changes: Readonly<Record<string, Change>> = {
  'an expiry of its own': {
    make: (session) => {
      session.setExpiry('5m')
      return session.save()
    },
    seen: (session, now) => {
      assert.deepEqual([session.expiryAge(), session.expiresAt], [5 * minute, now + 5 * minute])
    },
  },
  'a prolongation': {
    make: (session) => session.refresh('2h'),
    seen: (session, now) => {
      assert.equal(session.expiresAt, now + 2 * hour)
    },
  },
  'a message': {
    make: (session) => {
      session.flash('info', 'once')
      return session.save()
    },
    seen: (session) => {
      assert.deepEqual(session.takeFlashes(), [{ kind: 'info', value: 'once' }])
    },
  },
  'a change inside of a value': {
    make: (session) => {
      ;(session.get('list') as unknown as string[]).push('b')
      return session.save()
    },
    seen: (session) => {
      assert.deepEqual(session.get('list'), ['a', 'b'])
    },
  },
  'a clearing': {
    make: (session) => {
      session.clear()
      return session.save()
    },
    seen: (session) => {
      assert.deepEqual(session.data, {})
    },
  },
  'a step-up': {
    make: (session) => session.stepUp('otp'),
    seen: (session, now) => {
      assert.equal(session.methods['otp'], now)
    },
    told: ['rotated', 'login'],
  },
  'a rotation': {
    make: (session) => session.rotate(),
    seen: (session) => {
      assert.deepEqual(session.get('list'), ['a'])
    },
    told: ['rotated'],
  },
  'a new secret': {
    make: (session) => session.cycleKey(),
    seen: (session) => {
      assert.deepEqual(session.get('list'), ['a'])
    },
    told: ['rotated'],
  },
  'a login of another user': {
    make: (session) => session.login('bob', { methods: ['pwd'], remember: true }),
    seen: (session, now) => {
      assert.deepEqual([session.user, session.data, session.methods], ['bob', {}, { pwd: now }])
    },
    told: ['rotated', 'login'],
  },
}

describe('whose answer or request is lost', () => {
  for (const [name, { make, seen, told = [] }] of Object.entries(changes)) {
    for (const fault of ['loseAnswer', 'loseRequest'] as const) {
      it(`${name}: ${fault}`, async () => {
        const stage = new Stage({ idle: '1h', touchEvery: 0 })
        const started = await stage.sessions.start({ user: 'ada', data: { list: ['a'] as never } })
        const { credential: old } = started
        const session = await stage.sessions.load(old)
        stage.happenings.length = 0
        let writes = 0
        stage.plan = ({ operation }) => (operation === 'replace' && ++writes === 1 ? fault : undefined)
        const { now } = stage.sessions
        await make(session)
        stage.plan = () => undefined
        assert.ok(writes > 0)
        assert.equal(session.modified, false)
        assert.deepEqual(
          stage.happenings.map(({ type }) => type),
          told,
        )
        const next = await stage.process().load(session.credential, { keepAlive: false })
        assert.equal(next.isNew, false)
        seen(next, now)
        if (told.includes('login')) assert.equal((await stage.sessions.load(old)).isNew, true)
        assert.equal((await stage.records()).length, 1)
      })
    }
  }
})

describe('the same session', () => {
  it('is the same whether the store answers at hand or later [D37]', async () => {
    const clock = fakeClock()
    const stage = new Stage({ idle: '1h' })
    const seen = await Promise.all(
      [new Sessions(memoryStore({ clock }), { idle: '1h' }), stage.sessions].map(async (sessions) => {
        const { credential } = await sessions.start({ user: 'ada', data: { a: 1, b: [1] } })
        const session = await sessions.load(credential)
        session.set('c', 1)
        session.delete('a')
        session.flash('info', 1)
        await session.save()
        await session.rotate()
        await session.update((data) => {
          data['d'] = 1
        })
        const again = await sessions.load(session.credential)
        const { data, user, isNew, createdAt, expiresAt, endsAt, methods } = again
        const flashes = again.takeFlashes()
        await again.destroy()
        const gone = (await sessions.load(session.credential)).isNew
        return { data, user, isNew, createdAt, expiresAt, endsAt, methods, flashes, gone }
      }),
    )
    assert.deepEqual(seen[0], seen[1])
    assert.deepEqual(seen[0]?.data, { b: [1], c: 1, d: 1 })
  })

  it('goes through a codec of one’s own in both directions [D14]', async () => {
    const reversed = (bytes: Uint8Array): Buffer => Buffer.from(bytes).reverse()
    const codec: Codec = {
      encode: (_, value) => reversed(Buffer.from(JSON.stringify(value))),
      decode: (_, bytes) => JSON.parse(reversed(bytes).toString()) as unknown,
    }
    const stage = new Stage()
    const sessions = stage.process({}, codec)
    const { credential } = await sessions.start({ data: { name: 'ada' } })
    const [record] = await stage.records()
    assert.match(Buffer.from(record?.value ?? '').toString(), /"ada":"eman"/)
    assert.equal((await sessions.load(credential)).get('name'), 'ada')
  })

  it('is inserted when it is new and updated when it isn’t, and a refusal of either changes nothing [D39]', async () => {
    const stage = new Stage()
    const session = await stage.sessions.load(undefined)
    session.set('a', 1)
    const first = await stage.callsOf(() => session.save())
    session.set('a', 2)
    const second = await stage.callsOf(() => session.save())
    const written = [first, second].map((calls) => calls.filter(({ writes }) => writes))
    assert.deepEqual(
      written.map((calls) => calls.map(({ operation }) => operation)),
      [['create'], ['replace']],
    )
    await stage.sessions.destroy(session.id ?? '')
    session.set('a', 3)
    await assert.rejects(session.save(), { code: 'HOLDFAST_SESSION_GONE' })
    assert.equal((await stage.sessions.load(session.credential)).isNew, true)
  })
})
