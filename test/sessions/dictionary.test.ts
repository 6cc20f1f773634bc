/** A session as a typed dictionary: flags, loading on first touch, messages, and what is changed inside of values. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { minute, Stage } from './stage.ts'

/** A session that is stored, as another request opens it: not loaded. */
async function opened(stage: Stage, data: Readonly<Record<string, unknown>> = {}): Promise<Session> {
  const { credential } = await stage.sessions.start({ data: data as Record<string, number> })
  return stage.sessions.open(credential)
}

async function loaded(stage: Stage, data: Readonly<Record<string, unknown>> = {}): Promise<Session> {
  return await (await opened(stage, data)).load()
}

async function again(stage: Stage, session: Session): Promise<Session> {
  return await stage.sessions.load(session.credential)
}

const flags = ({ accessed, modified }: Session): readonly boolean[] => [accessed, modified]

describe('the flags of a session', () => {
  it('neither is set by opening, loading or storing it [D1 D4]', async () => {
    const stage = new Stage()
    const session = await opened(stage, { a: 1 })
    assert.deepEqual(flags(session), [false, false])
    await session.load()
    await session.save()
    await session.rotate()
    // What a door asks for its cookie depends on nobody's data.
    const { carried, isLoaded, isDestroyed, isRotationDue, isLocked, hasOtherEnd } = session
    assert.deepEqual([typeof carried, isLoaded], ['string', true])
    assert.ok([isDestroyed, isRotationDue, isLocked, hasOtherEnd].every((each) => !each))
    assert.equal(session.expiryAge({ expiry: '1h' }), 60 * minute)
    assert.deepEqual(flags(session), [false, false])
  })

  it('reading sets `accessed` and nothing else, also of what isn’t there [D1]', async () => {
    const stage = new Stage()
    const readings: readonly ((session: Session) => unknown)[] = [
      (session) => session.get('a'),
      (session) => session.get('missing'),
      (session) => session.get('list'),
      (session) => session.has('a'),
      (session) => session.keys(),
      (session) => session.entries(),
      (session) => session.size,
      (session) => session.data,
      (session) => session.pop('missing', 7),
      (session) => session.setDefault('a', 7),
      (session) => session.takeFlashes(),
      (session) => session.testCookieWorked(),
      (session) => session.user,
      (session) => session.methods,
      (session) => session.authenticatedAt,
      (session) => session.device,
      (session) => session.isFresh('5m'),
      (session) => session.id,
      (session) => session.credential,
      (session) => session.isNew,
      (session) => session.isEmpty,
      (session) => session.createdAt,
      (session) => session.expiresAt,
      (session) => session.endsAt,
      (session) => session.expiryAge(),
      (session) => session.expiryDate(),
      (session) => session.endsWithBrowser,
      (session) => {
        session.delete('missing')
      },
    ]
    for (const reading of readings) {
      const session = await loaded(stage, { a: 1, list: [] })
      reading(session)
      assert.deepEqual(flags(session), [true, false], String(reading))
    }
  })

  it('each change sets both [D2 D5]', async () => {
    const stage = new Stage()
    const changes: readonly ((session: Session) => unknown)[] = [
      (session) => {
        session.set('b', 1)
      },
      (session) => {
        session.set('a', 1)
      },
      (session) => {
        session.delete('a')
      },
      (session) => {
        session.update({ b: 1 })
      },
      (session) => {
        session.clear()
      },
      (session) => session.pop('a'),
      (session) => session.setDefault('b', 1),
      (session) => {
        session.flash('info', 'hello')
      },
      (session) => {
        session.setTestCookie()
      },
      (session) => {
        session.setExpiry('1h')
      },
      (session) => {
        ;(session.get('list') as unknown[]).push(1)
      },
    ]
    for (const change of changes) {
      const session = await loaded(stage, { a: 1, list: [] })
      change(session)
      assert.deepEqual(flags(session), [true, true], String(change))
      await session.save()
      assert.equal(session.modified, false, String(change))
    }
  })
})

describe('loading on first touch', () => {
  it('one that is never touched is never read, also when it is saved and let go [D4]', async () => {
    const stage = new Stage()
    const session = await opened(stage, { a: 1 })
    const calls = await stage.callsOf(async () => {
      assert.equal(session.isLoaded, false)
      await session.save()
      await session.release()
      assert.equal(session.expiryAge({ expiry: '1h' }), 60 * minute)
    })
    assert.deepEqual(calls, [])
  })

  it('it is read once, however many ask at once, and what is asked then is at hand [D4]', async () => {
    const stage = new Stage()
    const session = await opened(stage, { a: 1 })
    const calls = await stage.callsOf(async () => {
      await Promise.all([session.load(), session.load(), session.load()])
      assert.equal(session.get('a'), 1)
      assert.equal(await session.load(), session)
    })
    assert.deepEqual(
      calls.map(({ operation }) => operation),
      ['read'],
    )
    assert.equal(session.load(), session, 'loaded: no promise')
  })

  it('reading it before is an error that says what to do [D4]', async () => {
    const stage = new Stage()
    const session = await opened(stage, { a: 1 })
    const readings: readonly (() => unknown)[] = [
      () => session.get('a'),
      () => session.has('a'),
      () => session.keys(),
      () => session.data,
      () => session.size,
      () => session.pop('a'),
      () => session.setDefault('a', 1),
      () => session.takeFlashes(),
      () => session.user,
      () => session.isNew,
      () => session.credential,
      () => session.expiryAge(),
      () => session.isFresh('1m'),
    ]
    for (const reading of readings) {
      assert.throws(reading, { code: 'HOLDFAST_SESSION_NOT_LOADED', message: /await session\.load\(\)/ })
    }
  })

  it('clearing does not load it; then it is empty to look at, and stored in one read and one write [D4 D5]', async () => {
    const stage = new Stage()
    const session = await opened(stage, { a: 1 })
    const calls = await stage.callsOf(async () => {
      session.clear()
      assert.deepEqual([session.data, session.size, session.has('a')], [{}, 0, false])
      assert.deepEqual(flags(session), [true, true])
    })
    assert.deepEqual(calls, [])
    const saved = await stage.callsOf(() => session.save())
    assert.deepEqual(
      saved.map(({ operation }) => operation),
      ['read', 'replace'],
    )
    assert.deepEqual((await again(stage, session)).data, {})
  })

  it('what is changed before is kept when it is loaded, and stored [D4]', async () => {
    const stage = new Stage()
    const session = await opened(stage, { a: 1, b: 1, list: [1] })
    session.set('a', 2)
    session.delete('b')
    session.update({ c: 3 })
    await session.load()
    assert.deepEqual(session.data, { a: 2, c: 3, list: [1] })
    await session.save()
    assert.deepEqual((await again(stage, session)).data, { a: 2, c: 3, list: [1] })
  })

  it('each operation on the store loads it first [D33]', async () => {
    const stage = new Stage()
    const operations: readonly ((session: Session) => Promise<unknown>)[] = [
      (session) => session.cycleKey(),
      (session) => session.rotate(),
      (session) => session.refresh(),
      (session) => session.login('ada'),
      (session) => session.update((data) => data['a']),
    ]
    for (const operation of operations) {
      const session = await opened(stage, { a: 1 })
      await operation(session)
      assert.equal(session.get('a'), 1, String(operation))
    }
    const session = await opened(stage, { a: 1 })
    await session.destroy()
    assert.deepEqual([session.isNew, session.data], [true, {}])
  })

  it('is at hand without a promise where the store’s answer is, with a listener too', async () => {
    for (const options of [{}, { onEvent: () => undefined }, { rotateEvery: '1h', devices: '1d' } as const]) {
      const sessions = new Sessions(memoryStore(), options)
      const { credential } = await sessions.start({ user: 'ada', data: { a: 1 } })
      // Whether "log out everywhere" was said is known as soon as the feed is.
      for (let i = 0; i < 3; i++) {
        await new Promise(setImmediate)
        await sessions.load(credential)
      }
      const session = sessions.open(credential)
      assert.equal(session.load(), session)
      assert.equal(session.get('a'), 1)
    }
  })

  it('a load that fails is an error for all who wait, and can be repeated', async () => {
    const stage = new Stage()
    const session = await opened(stage, { a: 1 })
    session.set('b', 2)
    stage.plan = ({ operation }) => (operation === 'read' ? 'fail' : undefined)
    const both = await Promise.allSettled([session.load(), session.load(), session.save()])
    for (const each of both) {
      assert.equal(each.status, 'rejected')
      assert.equal((each.reason as { code?: string }).code, 'HOLDFAST_STORE_UNAVAILABLE')
    }
    assert.throws(() => session.get('a'), { code: 'HOLDFAST_SESSION_NOT_LOADED' })
    stage.plan = () => undefined
    await session.load()
    assert.deepEqual(session.data, { a: 1, b: 2 })
  })
})

describe('the dictionary', () => {
  it('pop takes a key out; what isn’t there is an error, or what was given instead [D3]', async () => {
    const stage = new Stage()
    const session = await loaded(stage, { a: 1, list: [1] })
    assert.equal(session.pop('missing', 7), 7)
    assert.equal(session.pop('missing', undefined), undefined)
    assert.equal(session.modified, false)
    assert.throws(() => session.pop('missing'), { code: 'HOLDFAST_MISSING_KEY', message: /"missing"/ })
    assert.equal(session.modified, false)
    assert.equal(session.pop('a', 7), 1)
    const list = session.pop('list') as unknown as number[]
    list.push(2)
    assert.deepEqual([list, session.data], [[1, 2], {}])
    await session.save()
    assert.deepEqual((await again(stage, session)).data, {})
  })

  it('setDefault sets only what isn’t there, and hands out what is then [D2]', async () => {
    const stage = new Stage()
    const session = await loaded(stage, { a: null, zero: 0 })
    assert.deepEqual([session.setDefault('a', 7), session.setDefault('zero', 7)], [null, 0])
    assert.equal(session.modified, false)
    const list = session.setDefault('list', [1] as never) as unknown as number[]
    list.push(2)
    await session.save()
    assert.deepEqual((await again(stage, session)).data, { a: null, zero: 0, list: [1, 2] })
  })

  it('keys, entries, size and everything agree', async () => {
    const session = await loaded(new Stage(), { a: 1, list: [1] })
    assert.deepEqual(session.keys(), ['a', 'list'])
    assert.deepEqual(session.entries(), [
      ['a', 1],
      ['list', [1]],
    ])
    assert.equal(session.size, 2)
    assert.deepEqual(session.data, { a: 1, list: [1] })
  })

  it('update of several keys sets them, and refuses what is not JSON', async () => {
    const stage = new Stage()
    const session = await loaded(stage, { a: 1, b: 1 })
    session.update({ b: 2, c: 3 })
    await session.save()
    assert.deepEqual((await again(stage, session)).data, { a: 1, b: 2, c: 3 })
    assert.throws(() => session.update({ d: 1n as never }), { code: 'HOLDFAST_INVALID_VALUE' })
    assert.throws(() => session.update('text' as never), { code: 'HOLDFAST_INVALID_VALUE' })
  })

  it('the test cookie is there after it was set, and gone after it was deleted [D10]', async () => {
    const stage = new Stage()
    const first = await stage.sessions.load(undefined)
    assert.equal(first.testCookieWorked(), false)
    first.setTestCookie()
    assert.equal(first.isEmpty, false)
    await first.save()
    const second = await again(stage, first)
    assert.equal(second.testCookieWorked(), true)
    assert.deepEqual([second.size, second.data], [0, {}])
    second.deleteTestCookie()
    assert.equal(second.testCookieWorked(), false)
    await second.save()
    assert.equal((await again(stage, second)).testCookieWorked(), false)
  })

  it('the names of messages and tests are not the application’s', async () => {
    const stage = new Stage()
    const session = await loaded(stage, { a: 1 })
    session.setTestCookie()
    session.flash('info', 1)
    await session.save()
    const [record] = await stage.records()
    const stored = JSON.parse(Buffer.from(record?.value ?? '').toString()) as { data: object }
    const names = Object.keys(stored.data).filter((name) => name.startsWith('$'))
    assert.equal(names.length, 2)
    for (const name of names) {
      assert.throws(() => session.set(name, 1), { code: 'HOLDFAST_INVALID_VALUE' })
      assert.deepEqual([session.get(name), session.has(name), session.pop(name, 7)], [undefined, false, 7])
      session.delete(name)
      await assert.rejects(
        session.update((data) => {
          data[name] = 1
        }),
        { code: 'HOLDFAST_INVALID_VALUE' },
      )
    }
    const seen = await session.update((data) => {
      const all = Object.keys(data)
      for (const name of all) delete data[name]
      return all
    })
    assert.deepEqual(seen, ['a'])
    const later = await again(stage, session)
    assert.deepEqual([later.testCookieWorked(), later.takeFlashes().length, later.size], [true, 1, 0])
  })
})

describe('messages for the next page', () => {
  it('are taken out once, in order, all or those of a kind', async () => {
    const stage = new Stage()
    const session = await loaded(stage)
    session.flash('info', 'one')
    session.flash('error', { code: 2 })
    session.flash('info', 'three')
    await session.save()
    const next = await again(stage, session)
    assert.deepEqual(next.takeFlashes('error'), [{ kind: 'error', value: { code: 2 } }])
    await next.save()
    const last = await again(stage, next)
    assert.deepEqual(last.takeFlashes(), [
      { kind: 'info', value: 'one' },
      { kind: 'info', value: 'three' },
    ])
    assert.deepEqual(last.takeFlashes(), [])
    await last.save()
    assert.deepEqual((await again(stage, last)).takeFlashes(), [])
  })

  it('that requests add at once are all kept, in order of time, also while others are taken', async () => {
    const stage = new Stage()
    const first = await loaded(stage)
    first.flash('info', 'before')
    await first.save()
    const requests = await Promise.all(Array.from({ length: 5 }, () => again(stage, first)))
    const [taker, ...adders] = requests as [Session, ...Session[]]
    assert.equal(taker.takeFlashes().length, 1)
    adders.forEach((session, i) => {
      stage.clock.advance(1)
      session.flash('info', i)
      session.flash('info', i + 0.5)
    })
    await Promise.all(requests.toReversed().map((session) => session.save()))
    const values = (await again(stage, first)).takeFlashes().map(({ value }) => value)
    assert.deepEqual(values, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5])
  })

  it('what is done to one that was taken out reaches nobody else', async () => {
    const stage = new Stage()
    const session = await loaded(stage)
    session.flash('info', { text: 'mine' })
    await session.save()
    const taken = session.takeFlashes()[0]?.value as { text: string }
    taken.text = 'changed'
    const other = await again(stage, session)
    assert.deepEqual(other.takeFlashes(), [{ kind: 'info', value: { text: 'mine' } }])
  })

  it('can be left before the session is loaded, and must be JSON', async () => {
    const stage = new Stage()
    const session = await opened(stage, { a: 1 })
    session.flash('info', 'early')
    assert.throws(() => session.flash('info', 1n as never), { code: 'HOLDFAST_INVALID_VALUE' })
    await session.save()
    assert.deepEqual((await again(stage, session)).takeFlashes(), [{ kind: 'info', value: 'early' }])
  })
})

describe('what is changed inside of a value', () => {
  interface Basket {
    items: string[]
  }

  const basket = (session: Session, name = 'basket'): Basket => session.get(name) as unknown as Basket

  it('is noticed and saved, also after a save, and the same copy is handed out each time [T2]', async () => {
    const stage = new Stage()
    const session = await loaded(stage, { basket: { items: [] }, other: {} })
    basket(session).items.push('a')
    assert.equal(basket(session), basket(session))
    assert.equal(session.modified, true)
    assert.deepEqual(session.data, { basket: { items: ['a'] }, other: {} })
    await session.save()
    assert.equal(session.modified, false)
    basket(session).items.push('b')
    assert.equal(session.modified, true)
    await session.save()
    assert.deepEqual((await again(stage, session)).data, { basket: { items: ['a', 'b'] }, other: {} })
  })

  it('is noticed in what was just set and taken out again, and in no object that was handed in', async () => {
    const stage = new Stage()
    const session = await loaded(stage)
    const given = { items: ['given'] }
    session.set('basket', given)
    basket(session).items.push('taken out')
    given.items.push('not this')
    await session.save()
    assert.deepEqual((await again(stage, session)).get('basket'), { items: ['given', 'taken out'] })
  })

  it('that is undone before the save is no change', async () => {
    const stage = new Stage()
    const session = await loaded(stage, { basket: { items: [] } })
    basket(session).items.push('a')
    basket(session).items.pop()
    assert.equal(session.modified, false)
    assert.deepEqual(await stage.callsOf(() => session.save()), [])
  })

  it('is left alone once the key was set anew, deleted or cleared', async () => {
    const stage = new Stage()
    for (const change of [
      (session: Session) => {
        session.set('basket', 1)
      },
      (session: Session) => {
        session.delete('basket')
      },
      (session: Session) => {
        session.clear()
      },
    ]) {
      const session = await loaded(stage, { basket: { items: [] } })
      const old = basket(session)
      change(session)
      const expected = session.data
      old.items.push('late')
      assert.deepEqual(session.data, expected)
      await session.save()
      assert.equal(session.modified, false)
      assert.deepEqual((await again(stage, session)).data, expected)
    }
  })

  it('what another request stored meanwhile does not pass for a change, and is what is handed out next', async () => {
    const stage = new Stage()
    const one = await loaded(stage, { basket: { items: [] } })
    const two = await again(stage, one)
    basket(one)
    basket(two).items.push('theirs')
    await two.save()
    one.set('other', 1)
    await one.save()
    assert.equal(one.modified, false)
    assert.deepEqual(basket(one), { items: ['theirs'] })
    basket(one).items.push('mine')
    await one.save()
    assert.deepEqual(basket(await again(stage, one)), { items: ['theirs', 'mine'] })
  })

  it('inside of a copy that another request has replaced is a conflict, and never lost without a word', async () => {
    const stage = new Stage()
    const one = await loaded(stage, { basket: { items: [] } })
    const two = await again(stage, one)
    const old = basket(one)
    basket(two).items.push('theirs')
    await two.save()
    one.set('other', 1)
    await one.save()
    old.items.push('mine')
    assert.equal(one.modified, true)
    await assert.rejects(one.save(), { code: 'HOLDFAST_CONFLICTING_CHANGE', keys: ['basket'] })
    assert.deepEqual(basket(await again(stage, one)), { items: ['theirs'] })
    one.set('basket', { items: ['theirs', 'mine'] })
    await one.save()
    assert.deepEqual(basket(await again(stage, one)), { items: ['theirs', 'mine'] })
    assert.equal(one.modified, false)
  })

  it('of an outdated copy and of the newest one at once is a conflict too', async () => {
    const stage = new Stage()
    const one = await loaded(stage, { basket: { items: [] } })
    const two = await again(stage, one)
    const old = basket(one)
    basket(two).items.push('theirs')
    await two.save()
    await one.update((data) => Object.assign(data, { other: 1 }))
    basket(one).items.push('mine')
    old.items.push('late')
    await assert.rejects(one.save(), { code: 'HOLDFAST_CONFLICTING_CHANGE', keys: ['basket'] })
    assert.deepEqual(basket(await again(stage, one)), { items: ['theirs'] })
  })

  it('that was merged is not merged again, also where the save of something else fails', async () => {
    const items = (value: unknown): readonly string[] => (value as Basket).items
    const stage = new Stage({
      conflicts: {
        basket: ({ mine, theirs, before }) => {
          const mineAlone = items(mine).filter((each) => !items(before).includes(each))
          return { items: [...items(theirs), ...mineAlone] }
        },
      },
    })
    const one = await loaded(stage, { basket: { items: [] } })
    const two = await again(stage, one)
    const old = basket(one)
    old.items.push('mine')
    basket(two).items.push('theirs')
    await two.save()
    await one.save()
    one.set('other', 1)
    stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
    await assert.rejects(one.save(), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    await one.save()
    assert.deepEqual(basket(await again(stage, one)), { items: ['theirs', 'mine'] })
    old.items.push('later')
    await one.save()
    assert.deepEqual(basket(await again(stage, one)), { items: ['theirs', 'mine', 'later'] })
  })

  it('in two requests at once is a conflict for the second, and a merge sees what both began with', async () => {
    const seen: unknown[] = []
    const stage = new Stage({
      conflicts: {
        merged: (values) => {
          seen.push(values.before)
          return {
            items: [...(values.theirs as never as Basket).items, ...(values.mine as never as Basket).items],
          }
        },
      },
    })
    const one = await loaded(stage, { basket: { items: [] }, merged: { items: [] } })
    const two = await again(stage, one)
    for (const [session, name] of [[one, 'one'] as const, [two, 'two'] as const]) {
      basket(session, 'merged').items.push(name)
    }
    await one.save()
    await two.save()
    assert.deepEqual(seen, [{ items: [] }])
    assert.deepEqual(basket(await again(stage, one), 'merged'), { items: ['one', 'two'] })
    basket(one).items.push('one')
    basket(two).items.push('two')
    await one.save()
    await assert.rejects(two.save(), { code: 'HOLDFAST_CONFLICTING_CHANGE', keys: ['basket'] })
  })

  it('while a save is under way, or after one that failed, is kept for the next', async () => {
    const stage = new Stage()
    const session = await loaded(stage, { basket: { items: [] } })
    basket(session).items.push('a')
    const saving = session.save()
    await Promise.resolve()
    basket(session).items.push('b')
    assert.deepEqual(session.data, { basket: { items: ['a', 'b'] } })
    await saving
    assert.equal(session.modified, true)
    assert.deepEqual(basket(await again(stage, session)), { items: ['a'] })
    stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
    await assert.rejects(session.save(), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    basket(session).items.push('c')
    await session.save()
    assert.deepEqual(basket(await again(stage, session)), { items: ['a', 'b', 'c'] })
    assert.equal(session.modified, false)
  })

  it('of an outdated copy is a conflict also when it is saved again, and what was just set is none', async () => {
    const stage = new Stage()
    const one = await loaded(stage, { basket: { items: [] } })
    const two = await again(stage, one)
    const old = basket(one)
    two.set('basket', { items: ['theirs'] })
    await two.save()
    one.set('other', 1)
    await one.save()
    for (const item of ['mine', 'and more']) {
      old.items.push(item)
      await assert.rejects(one.save(), { code: 'HOLDFAST_CONFLICTING_CHANGE', keys: ['basket'] })
    }
    one.set('basket', { items: ['set'] })
    basket(one).items.push('and changed')
    two.set('third', 1)
    await two.save()
    await one.save()
    assert.deepEqual(basket(await again(stage, one)), { items: ['set', 'and changed'] })
  })

  it('that is not JSON is refused when it is saved, and nothing is lost', async () => {
    const stage = new Stage()
    const session = await loaded(stage, { basket: { items: [] } })
    const held = session.get('basket') as unknown as Record<string, unknown>
    held['n'] = 1n
    session.set('other', 1)
    assert.equal(session.modified, true)
    await assert.rejects(session.save(), { code: 'HOLDFAST_INVALID_VALUE' })
    delete held['n']
    await session.save()
    assert.deepEqual((await again(stage, session)).data, { basket: { items: [] }, other: 1 })
  })
})
