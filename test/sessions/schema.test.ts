/** Data under a schema: checked before it is stored, and brought to its present form when it is read. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as v from 'valibot'
import { z } from 'zod'
import type { SessionSchema } from '../../packages/holdfast/src/sessions/schema.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { Stage } from './stage.ts'

interface Basket {
  theme?: 'light' | 'dark'
  items?: string[]
}

/** The same in both libraries: an older form had one item, in `item`. */
const schemas: Readonly<Record<string, SessionSchema<Basket>>> = {
  Zod: z
    .object({
      theme: z.enum(['light', 'dark']).optional(),
      items: z.array(z.string()).optional(),
      item: z.string().optional(),
    })
    .transform(({ item, ...rest }) => (item === undefined ? rest : { ...rest, items: [item] })) as never,
  Valibot: v.pipe(
    v.object({
      theme: v.optional(v.picklist(['light', 'dark'])),
      items: v.optional(v.array(v.string())),
      item: v.optional(v.string()),
    }),
    v.transform(({ item, ...rest }) => (item === undefined ? rest : { ...rest, items: [item] })),
  ) as never,
}

/** Sessions with a schema, over the store of a stage; and without one, as an older release had them. */
function both(schema: SessionSchema<Basket>): { stage: Stage; sessions: Sessions<Basket>; older: Sessions } {
  const stage = new Stage()
  const onEvent = (event: (typeof stage.events)[number]): void => {
    if (event.type !== 'loaded') stage.events.push(event)
  }
  return {
    stage,
    sessions: new Sessions<Basket>(stage.another(), { schema, onEvent }),
    older: stage.sessions,
  }
}

for (const [name, schema] of Object.entries(schemas)) {
  describe(`a schema of ${name}`, () => {
    it('refuses what must not be stored, and says where; nothing was stored', async () => {
      const { sessions } = both(schema)
      const session = await sessions.start({ data: { theme: 'dark' } })
      session.set('theme', 'pink' as never)
      session.set('items', [7] as never)
      await assert.rejects(
        session.save(),
        (error: { code?: string; issues?: readonly { path: string }[] }) => {
          assert.equal(error.code, 'HOLDFAST_INVALID_DATA')
          assert.deepEqual(error.issues?.map(({ path }) => path).toSorted(), ['items.0', 'theme'])
          return true
        },
      )
      assert.equal(session.modified, true)
      await assert.rejects(session.rotate(), { code: 'HOLDFAST_INVALID_DATA' })
      await assert.rejects(session.login('ada'), { code: 'HOLDFAST_INVALID_DATA' })
      await assert.rejects(
        session.update((data) => {
          Object.assign(data, { theme: 'blue' })
        }),
        { code: 'HOLDFAST_INVALID_DATA' },
      )
      assert.deepEqual((await sessions.load(session.credential)).data, { theme: 'dark' })
      await assert.rejects(sessions.start({ data: { theme: 'pink' as never } }), {
        code: 'HOLDFAST_INVALID_DATA',
      })
      assert.equal((await sessions.list()).sessions.length, 1)
    })

    it('makes the present form of what an older release stored, and stores it once, also in parallel', async () => {
      const { stage, sessions, older } = both(schema)
      const { credential, id = '' } = await older.start({ data: { item: 'one' } })
      assert.deepEqual((await sessions.get(id))?.data, { items: ['one'] }, 'in lists, without storing it')
      const calls = await stage.callsOf(async () => {
        const loaded = await Promise.all(Array.from({ length: 10 }, () => sessions.load(credential)))
        for (const session of loaded) assert.deepEqual(session.data, { items: ['one'] })
      })
      const [record, ...more] = calls.filter(({ operation }) => operation === 'replace')
      assert.ok(record)
      assert.equal(more.length, 0)
      assert.deepEqual((await older.load(credential)).data, { items: ['one'] })
      const later = await stage.callsOf(() => sessions.load(credential))
      assert.deepEqual(
        later.map(({ operation }) => operation),
        ['read'],
      )
      assert.deepEqual(stage.events, [])
    })

    it('in several processes at once: one form, and nobody’s change is lost', async () => {
      const { stage, sessions, older } = both(schema)
      const other = new Sessions<Basket>(stage.another(), { schema })
      const { credential } = await older.start({ data: { item: 'one' } })
      const [one, two] = await Promise.all([sessions.load(credential), other.load(credential)])
      one.set('theme', 'dark')
      await Promise.all([
        one.save(),
        two.update((data) => {
          data.items?.push('two')
        }),
      ])
      assert.deepEqual((await sessions.load(credential)).data, { theme: 'dark', items: ['one', 'two'] })
    })

    it('does not show what it refuses, tells of it, and loses none of it before the first change', async () => {
      const { stage, sessions, older } = both(schema)
      const { credential, id = '' } = await older.start({ user: 'ada', data: { theme: 'pink', left: 1 } })
      const first = await sessions.load(credential)
      assert.deepEqual([first.isNew, first.user, first.data, first.size], [false, 'ada', {}, 0])
      assert.deepEqual(
        stage.events.filter(({ type }) => type === 'invalid-data'),
        [{ type: 'invalid-data', collection: 'sessions', id, user: 'ada' }],
      )
      assert.deepEqual((await sessions.get(id))?.data, {})
      assert.deepEqual((await sessions.list({ user: 'ada' })).sessions[0]?.data, {})
      // None of these is a change of the data: it stays there, and hidden.
      await first.save()
      await first.refresh()
      await first.rotate()
      await first.stepUp('otp')
      first.setExpiry('2h')
      await first.save()
      await first.login('ada')
      assert.deepEqual(first.data, {})
      assert.deepEqual((await older.load(first.credential)).data, { theme: 'pink', left: 1 })
      first.set('theme', 'dark')
      assert.deepEqual(first.data, { theme: 'dark' })
      await first.save()
      assert.deepEqual((await older.load(first.credential)).data, { theme: 'dark' })
    })

    it('an update of what it refuses begins with nothing', async () => {
      const { sessions, older } = both(schema)
      const { credential } = await older.start({ data: { theme: 'pink' } })
      const session = await sessions.load(credential)
      const seen = await session.update((data) => {
        const before = { ...data }
        data.theme = 'dark'
        return before
      })
      assert.deepEqual([seen, session.data], [{}, { theme: 'dark' }])
      assert.deepEqual((await older.load(credential)).data, { theme: 'dark' })
    })

    it('two requests that replace what it refuses both keep their change', async () => {
      const { sessions, older } = both(schema)
      const { credential } = await older.start({ data: { theme: 'pink', left: 1 } })
      const [one, two] = await Promise.all([sessions.load(credential), sessions.load(credential)])
      one.set('theme', 'dark')
      two.set('items', ['two'])
      await one.save()
      await two.save()
      assert.deepEqual((await older.load(credential)).data, { theme: 'dark', items: ['two'] })
    })

    it('a replacement that could not be stored leaves what was there', async () => {
      const { stage, sessions, older } = both(schema)
      const { credential } = await older.start({ data: { theme: 'pink' } })
      const session = await sessions.load(credential)
      session.set('theme', 'dark')
      stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
      await assert.rejects(session.save(), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
      stage.plan = () => undefined
      assert.deepEqual((await older.load(credential)).data, { theme: 'pink' })
      assert.deepEqual([session.modified, session.data], [true, { theme: 'dark' }])
      await session.save()
      assert.deepEqual((await older.load(credential)).data, { theme: 'dark' })
    })

    it('what another user left is not checked with what the next one begins with', async () => {
      const { sessions, older } = both(schema)
      const { credential } = await older.start({ user: 'ada', data: { theme: 'pink' } })
      const session = await sessions.load(credential)
      await session.login('bob')
      assert.deepEqual((await older.load(session.credential)).data, {})
    })

    it('messages come and go beside what it refuses, and nothing of that is lost', async () => {
      const { sessions, older } = both(schema)
      const started = await older.start({ data: { theme: 'pink', left: 1 } })
      started.flash('info', 'before')
      await started.save()
      const { credential } = started
      const first = await sessions.load(credential)
      assert.deepEqual(first.takeFlashes(), [{ kind: 'info', value: 'before' }])
      first.flash('info', 'after')
      first.setTestCookie()
      await first.save()
      assert.deepEqual([first.data, first.testCookieWorked()], [{}, true])
      assert.deepEqual((await older.load(credential)).data, { theme: 'pink', left: 1 })
      const second = await sessions.load(credential)
      second.set('theme', 'dark')
      await second.save()
      assert.deepEqual(second.data, { theme: 'dark' })
      await second.update((data) => {
        data.items = ['one']
      })
      const last = await older.load(credential)
      assert.deepEqual(last.data, { theme: 'dark', items: ['one'] })
      assert.deepEqual([last.takeFlashes().length, last.testCookieWorked()], [1, true])
      const hidden = await older.start({ data: { theme: 'pink' } })
      hidden.flash('info', 'kept')
      await hidden.save()
      await (
        await sessions.load(hidden.credential)
      ).update((data) => {
        data.theme = 'dark'
      })
      assert.equal((await sessions.load(hidden.credential)).takeFlashes().length, 1, 'by an update')
    })

    it('keys that it only leaves out stay stored, and are not shown: a newer release has put them there', async () => {
      const { stage, sessions, older: newer } = both(schema)
      const { credential, id = '' } = await newer.start({
        user: 'ada',
        data: { theme: 'dark', cart: ['book'] },
      })
      const stored = async () => (await newer.load(credential)).data
      const calls = await stage.callsOf(async () => {
        assert.deepEqual((await sessions.load(credential)).data, { theme: 'dark' })
      })
      assert.deepEqual(
        calls.filter(({ writes }) => writes),
        [],
      )
      assert.deepEqual((await sessions.get(id))?.data, { theme: 'dark' })
      assert.deepEqual(await stored(), { theme: 'dark', cart: ['book'] })
      const session = await sessions.load(credential)
      session.set('theme', 'light')
      await session.save()
      assert.deepEqual(session.data, { theme: 'light' })
      const seen = await session.update((data) => {
        const before = { ...data }
        data.items = ['pen']
        return before
      })
      assert.deepEqual([seen, session.data], [{ theme: 'light' }, { theme: 'light', items: ['pen'] }])
      assert.deepEqual(await stored(), { theme: 'light', items: ['pen'], cart: ['book'] })
      session.clear()
      await session.save()
      assert.deepEqual(await stored(), {})
      assert.deepEqual(stage.events, [])
    })

    it('keys that have no part in the present form stay stored also where it is another one', async () => {
      const { stage, sessions, older: newer } = both(schema)
      const { credential, id = '' } = await newer.start({ data: { item: 'pen', cart: ['book'] } })
      assert.deepEqual((await sessions.get(id))?.data, { items: ['pen'] })
      const session = await sessions.load(credential)
      assert.deepEqual(session.data, { items: ['pen'] })
      assert.deepEqual((await newer.load(credential)).data, { items: ['pen'], cart: ['book'] })
      session.set('theme', 'dark')
      await session.save()
      const stored = { theme: 'dark', items: ['pen'], cart: ['book'] }
      assert.deepEqual((await newer.load(credential)).data, stored)
      assert.deepEqual(session.data, { theme: 'dark', items: ['pen'] })
      const later = await stage.callsOf(() => sessions.load(credential))
      assert.deepEqual(
        later.filter(({ writes }) => writes),
        [],
      )
    })

    it('refuses a key that it would leave out, and names it, but none in an older form', async () => {
      const { sessions, older } = both(schema)
      const refused = { code: 'HOLDFAST_INVALID_DATA', message: /returnTo/ }
      const session = await sessions.start({ data: { theme: 'dark' } })
      session.set('returnTo' as never, '/a' as never)
      await assert.rejects(session.save(), refused)
      session.delete('returnTo' as never)
      await assert.rejects(
        session.update((data) => {
          Object.assign(data, { theme: 'light', returnTo: '/a' })
        }),
        refused,
      )
      await assert.rejects(sessions.start({ data: { returnTo: '/a' } as never }), refused)
      assert.deepEqual((await older.load(session.credential)).data, { theme: 'dark' })
      session.set('item' as never, 'pen' as never)
      await session.save()
      assert.deepEqual((await sessions.load(session.credential)).data, { theme: 'dark', items: ['pen'] })
    })

    it('sees the application’s keys only: messages go past it', async () => {
      const { sessions } = both(schema)
      const session = await sessions.start({ data: { theme: 'dark' } })
      session.flash('info', 1)
      session.setTestCookie()
      await session.save()
      const again = await sessions.load(session.credential)
      assert.deepEqual([again.takeFlashes().length, again.testCookieWorked()], [1, true])
    })
  })
}

describe('the type of the data', () => {
  it('is what the schema makes, of whatever library', async () => {
    const stage = new Stage()
    const zod = new Sessions(stage.another(), {
      schema: z.object({ theme: z.enum(['light', 'dark']).optional(), visits: z.number().default(0) }),
    })
    const valibot = new Sessions(stage.another(), {
      schema: v.object({ theme: v.optional(v.picklist(['light', 'dark'])) }),
    })
    const one = await zod.start({ data: { theme: 'dark' } })
    const theme: 'light' | 'dark' | undefined = one.get('theme')
    const visits: number | undefined = (await zod.load(one.credential)).get('visits')
    const two = await valibot.start({ data: { theme: 'light' } })
    const other: 'light' | 'dark' | undefined = two.get('theme')
    assert.deepEqual([theme, visits, other], ['dark', 0, 'light'])
    // @ts-expect-error: not one of them
    await assert.rejects(zod.start({ data: { theme: 'pink' } }), { code: 'HOLDFAST_INVALID_DATA' })
    // @ts-expect-error: no such key
    two.set('missing', 1)
  })
})

describe('a schema of one’s own', () => {
  it('that doesn’t speak Standard Schema is refused', () => {
    for (const schema of [
      {},
      { '~standard': { version: 2, validate: () => undefined } },
      { parse: () => 1 },
    ]) {
      assert.throws(() => both(schema as never), { code: 'HOLDFAST_INVALID_OPTION' })
    }
  })

  it('may be asynchronous; what it throws is an error, and nothing is hidden by it', async () => {
    let isBroken = false
    const schema: SessionSchema<Basket> = {
      '~standard': {
        version: 1,
        vendor: 'own',
        validate: async (value) => {
          await Promise.resolve()
          if (isBroken) throw new RangeError('the schema is broken')
          return { value: value as Basket }
        },
      },
    }
    const { sessions, older } = both(schema)
    const session = await sessions.start({ data: { theme: 'dark' } })
    assert.deepEqual((await sessions.load(session.credential)).data, { theme: 'dark' })
    isBroken = true
    await assert.rejects(sessions.load(session.credential), RangeError)
    assert.deepEqual((await older.load(session.credential)).data, { theme: 'dark' })
  })

  it('a session that is destroyed while it is migrated is no session, and not refused data', async () => {
    const meanwhile: { destroy?: () => Promise<unknown> } = {}
    const schema: SessionSchema<Basket> = {
      '~standard': {
        version: 1,
        vendor: 'own',
        validate: async () => {
          await meanwhile.destroy?.()
          return { value: { theme: 'light' } }
        },
      },
    }
    const { stage, sessions, older } = both(schema)
    const { credential, id = '' } = await older.start({ data: { theme: 'dark' } })
    meanwhile.destroy = () => older.destroy(id)
    assert.equal((await sessions.load(credential)).isNew, true)
    assert.deepEqual(stage.events, [])
  })
})
