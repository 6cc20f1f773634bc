/** One session as a dictionary: what it holds, what it notices, what it stores and when. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runInNewContext } from 'node:vm'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Stage } from './stage.ts'

/** A session that is stored, as another request sees it. */
async function stored(stage: Stage, data: Readonly<Record<string, unknown>> = {}): Promise<Session> {
  const { credential } = await stage.sessions.start({ data: data as Record<string, number> })
  return await stage.sessions.load(credential)
}

describe('reading and changing', () => {
  it('reading is not a change [D1]', async () => {
    const session = await stored(new Stage(), { a: 1 })
    assert.deepEqual(
      [session.get('a'), session.has('a'), session.keys(), session.data],
      [1, true, ['a'], { a: 1 }],
    )
    assert.equal(session.get('b'), undefined)
    assert.equal(session.modified, false)
  })

  it('setting, deleting and clearing are changes, and deleting what isn’t there is none [D2 D3 D5 T2]', async () => {
    const stage = new Stage()
    const changes: readonly ((session: Session) => void)[] = [
      (session) => session.set('b', 1),
      (session) => session.delete('a'),
      (session) => session.clear(),
    ]
    for (const change of changes) {
      const session = await stored(stage, { a: 1 })
      change(session)
      assert.equal(session.modified, true)
    }
    const session = await stored(stage, { a: 1 })
    session.delete('missing')
    assert.equal(session.modified, false)
    session.clear()
    assert.deepEqual(session.data, {})
  })

  it('its id and credential cannot be assigned [D8]', async () => {
    const session = await stored(new Stage())
    assert.throws(() => Object.assign(session, { id: 'mine' }), TypeError)
    assert.throws(() => Object.assign(session, { credential: 'mine' }), TypeError)
  })

  it('is new and empty before it is stored [D9]', () => {
    return new Stage().sessions.load(undefined).then((session) => {
      assert.deepEqual(
        [session.isNew, session.id, session.credential, session.user],
        [true, undefined, undefined, undefined],
      )
      assert.deepEqual([session.keys(), session.expiresAt, session.createdAt], [[], undefined, undefined])
    })
  })

  it('what the application does to an object that it has handed in is not stored [K8 K51]', async () => {
    const stage = new Stage()
    const cart = ['first']
    const session = await stored(stage)
    session.set('cart', cart)
    cart.push('behind its back')
    await session.save()
    cart.push('behind its back')
    const kept = { list: ['as it was'] }
    await session.update((data) => {
      data['kept'] = kept
    })
    kept.list.push('behind its back')
    assert.equal(session.modified, false)
    session.set('other', 1)
    await session.save()
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual(again.data, { cart: ['first'], other: 1, kept: { list: ['as it was'] } })
    assert.deepEqual(session.data, again.data)
  })

  it('what it does to a copy of everything is not stored either [K51]', async () => {
    const stage = new Stage()
    const session = await stored(stage, { cart: ['first'] })
    const { data } = session
    ;(data['cart'] as string[]).push('behind its back')
    session.set('other', 1)
    await session.save()
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { cart: ['first'], other: 1 })
  })

  it('JSON goes through it unchanged, and what JSON leaves out is left out at once [D11 K28]', async () => {
    const stage = new Stage()
    const session = await stored(stage)
    const values: Record<string, unknown> = {
      empty: '',
      zero: 0,
      no: false,
      nothing: null,
      float: 1e-7,
      big: Number.MAX_SAFE_INTEGER,
      deep: { a: [{ b: [] }] },
      unicode: 'ж \u{1F600} \u0000 \u2028',
      lone: '\ud800',
      'key with ж': 1,
      toString: 'own',
      constructor: 'own',
      hasOwnProperty: 1,
      'a.b': 1,
      '': 'no name',
    }
    for (const [name, value] of Object.entries(values)) session.set(name, value as never)
    session.set('partly', { kept: 1, dropped: undefined, when: new Date(0) } as never)
    const expected = { ...values, partly: { kept: 1, when: '1970-01-01T00:00:00.000Z' } }
    assert.deepEqual(session.data, expected)
    await session.save()
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual(again.data, expected)
    assert.equal(again.get('toString' as never), 'own')
    assert.equal(again.get('valueOf' as never), undefined)
  })

  it('what is not JSON is refused at once', async () => {
    const session = await stored(new Stage())
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    for (const value of [undefined, () => 1, Symbol('x'), 1n, { n: 1n }, cycle]) {
      assert.throws(() => session.set('a', value as never), { code: 'HOLDFAST_INVALID_VALUE' })
    }
    assert.equal(session.modified, false)
  })

  it('what JSON would change without a word is refused as well, also inside of a value', async () => {
    const stage = new Stage()
    const session = await stored(stage, { n: 0, list: [] })
    class Money {
      readonly cents = 1
    }
    const changed = [NaN, -Infinity, new Map([[1, 2]]), new Set([1]), /x/, new Uint8Array(2), new Money()]
    for (const value of [...changed, new Date(NaN)]) {
      for (const given of [value, [value], { deep: [{ value }] }]) {
        assert.throws(() => session.set('a', given as never), { code: 'HOLDFAST_INVALID_VALUE' })
        assert.throws(() => session.flash('info', given as never), { code: 'HOLDFAST_INVALID_VALUE' })
        await assert.rejects(
          session.update((data) => {
            data['a'] = given as never
          }),
          { code: 'HOLDFAST_INVALID_VALUE' },
        )
      }
    }
    assert.equal(session.modified, false)
    const list = session.get('list') as unknown as unknown[]
    list.push(new Map())
    await assert.rejects(session.save(), { code: 'HOLDFAST_INVALID_VALUE', message: /"list".*Map/ })
    list.pop()
    const plain: unknown[] = [
      Object.create(null),
      runInNewContext('({ a: 1 })'),
      new Date(0),
      new URL('http://x.test'),
    ]
    session.set('a', [...plain, { left: undefined, out: () => 1 }, -1.5] as never)
    await session.save()
    const expected = [{}, { a: 1 }, '1970-01-01T00:00:00.000Z', 'http://x.test/', {}, -1.5]
    assert.deepEqual((await stage.sessions.load(session.credential)).get('a'), expected)
  })

  it('what is no name and no value at all is refused with a code', async () => {
    const session = await stored(new Stage())
    for (const name of [1, null, undefined, Symbol('x')]) {
      assert.throws(() => session.set(name as never, 1), { code: 'HOLDFAST_INVALID_VALUE' })
    }
    assert.throws(() => session.update(null as never), { code: 'HOLDFAST_INVALID_VALUE' })
  })

  it('nothing in it reaches a prototype, and nothing is dropped without a word', async () => {
    const session = await stored(new Stage())
    const parsed: unknown = JSON.parse('{"a":{"__proto__":{"admin":true}}}')
    for (const value of [parsed, { constructor: { prototype: { admin: true } } }]) {
      assert.throws(() => session.set('a', value as never), { code: 'HOLDFAST_INVALID_VALUE' })
    }
    assert.throws(() => session.set('__proto__', 1), { code: 'HOLDFAST_INVALID_VALUE' })
    assert.throws(() => session.set('constructor', { prototype: 1 }), { code: 'HOLDFAST_INVALID_VALUE' })
    session.set('text', '"__proto__"')
    await session.save()
    assert.equal(({} as Record<string, unknown>)['admin'], undefined)
    assert.equal(session.get('__proto__' as never), undefined)
  })
})

describe('saving', () => {
  it('a new session that nobody wrote to is never stored [C27 D9 D30 T12]', async () => {
    const stage = new Stage()
    const session = await stage.sessions.load(undefined)
    await session.save()
    session.set('a', 1)
    session.delete('a')
    await session.save()
    session.clear()
    await session.save()
    await session.destroy()
    assert.equal((await stage.records()).length, 0)
    assert.equal(session.isNew, true)
  })

  it('the first save creates it [D26]', async () => {
    const stage = new Stage()
    const session = await stage.sessions.load(undefined)
    session.set('a', 1)
    await session.save()
    assert.equal(session.isNew, false)
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { a: 1 })
  })

  it('an id that is taken is drawn again, and what has it is left alone [D27 D28]', async () => {
    const stage = new Stage()
    const other = await stored(stage, { theirs: 1 })
    let creates = 0
    const real = stage.driver.create.bind(stage.driver)
    stage.driver.create = (record, call) => {
      creates++
      return real(creates === 1 ? { ...record, key: { ...record.key, id: other.id ?? '' } } : record, call)
    }
    const session = await stage.sessions.start({ data: { mine: 1 } })
    assert.equal(creates, 2)
    assert.notEqual(session.id, other.id)
    assert.deepEqual((await stage.sessions.load(other.credential)).data, { theirs: 1 })
  })

  it('a store that says every fresh id is taken is not believed for ever [D27]', async () => {
    const stage = new Stage()
    stage.driver.create = () => Promise.resolve('conflict')
    await assert.rejects(stage.sessions.start(), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
  })

  it('without changes it does nothing [D4 T7]', async () => {
    const stage = new Stage()
    const session = await stored(stage, { a: 1 })
    assert.deepEqual(await stage.callsOf(() => session.save()), [])
  })

  it('loading is one read, and none without a credential of ours [D4 K1]', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start({ data: { a: 1 } })
    const calls = await stage.callsOf(() => stage.sessions.load(credential))
    assert.deepEqual(
      calls.map(({ operation }) => operation),
      ['read'],
    )
    for (const none of [undefined, '', 'short', `${credential}x`, credential?.replace('hfs_', 'xfs_')]) {
      assert.deepEqual(await stage.callsOf(() => stage.sessions.load(none)), [])
    }
  })

  it('saves of one object wait for each other, and none answers before all is stored', async () => {
    const stage = new Stage()
    const session = await stored(stage)
    const saves: Promise<void>[] = []
    for (let i = 0; i < 5; i++) {
      session.set(`k${i}`, i)
      saves.push(session.save())
    }
    await saves[1]
    assert.equal((await stage.sessions.load(session.credential)).get('k1'), 1)
    await Promise.all(saves)
    assert.equal(session.modified, false)
    assert.equal((await stage.sessions.load(session.credential)).keys().length, 5)
  })

  it('what is changed while a save is under way is kept for the next', async () => {
    const stage = new Stage()
    const session = await stored(stage)
    session.set('a', 1)
    const saving = session.save()
    await Promise.resolve()
    session.set('b', 2)
    await saving
    assert.deepEqual(session.data, { a: 1, b: 2 })
    assert.equal(session.modified, true)
    await session.save()
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { a: 1, b: 2 })
  })

  it('a save that fails puts its changes back, beneath what was changed since', async () => {
    const stage = new Stage()
    const session = await stored(stage, { old: 1 })
    session.set('a', 1)
    session.set('b', 1)
    stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
    const saving = assert.rejects(session.save(), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    await Promise.resolve()
    session.set('b', 2)
    await saving
    assert.equal(session.modified, true)
    stage.plan = () => undefined
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { old: 1 })
    await session.save()
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { old: 1, a: 1, b: 2 })
  })

  it('a first save that fails leaves it new, and can be done again', async () => {
    const stage = new Stage()
    const session = await stage.sessions.load(undefined)
    session.set('a', 1)
    stage.plan = ({ operation }) => (operation === 'create' ? 'fail' : undefined)
    await assert.rejects(session.save(), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    assert.deepEqual([session.isNew, session.modified, session.get('a')], [true, true, 1])
    stage.plan = () => undefined
    await session.save()
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { a: 1 })
  })

  it('a value that is too large is refused by a code, and what was stored before stays', async () => {
    const stage = new Stage()
    const session = await stored(stage, { small: 1 })
    session.set('large', 'x'.repeat(70_000))
    await assert.rejects(session.save(), { code: 'HOLDFAST_VALUE_TOO_LARGE' })
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { small: 1 })
    session.delete('large')
    session.set('other', 1)
    await session.save()
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { small: 1, other: 1 })
  })

  it('two objects of one process: both keep their change, and an old one sees it after its save [D36]', async () => {
    const stage = new Stage()
    const one = await stored(stage)
    const two = await stage.sessions.load(one.credential)
    one.set('a', 1)
    two.set('b', 2)
    await Promise.all([one.save(), two.save()])
    assert.deepEqual((await stage.sessions.load(one.credential)).data, { a: 1, b: 2 })
    assert.deepEqual(two.data, { a: 1, b: 2 })
  })

  it('the same key changed to two values is a conflict that names it; to one value it is none', async () => {
    const stage = new Stage()
    const one = await stored(stage, { n: 0, same: 0 })
    const two = await stage.sessions.load(one.credential)
    one.set('n', 1)
    one.set('same', 9)
    two.set('n', 2)
    two.set('same', 9)
    await one.save()
    await assert.rejects(two.save(), { code: 'HOLDFAST_CONFLICTING_CHANGE', keys: ['n'] })
    assert.deepEqual([two.modified, two.get('n')], [true, 2])
    assert.equal((await stage.sessions.load(one.credential)).get('n'), 1)
  })

  it('a merge sees mine, theirs and what was before, for deletions too', async () => {
    const seen: unknown[] = []
    const stage = new Stage({
      conflicts: {
        n: (values) => {
          seen.push(values)
          return values.mine === undefined ? undefined : 'merged'
        },
      },
    })
    const first = await stored(stage, { n: 'before', other: 0 })
    const set = await stage.sessions.load(first.credential)
    const deleted = await stage.sessions.load(first.credential)
    first.set('n', 'theirs')
    await first.save()
    set.set('n', 'mine')
    await set.save()
    assert.deepEqual(seen, [{ mine: 'mine', theirs: 'theirs', before: 'before' }])
    assert.equal((await stage.sessions.load(first.credential)).get('n'), 'merged')
    deleted.delete('n')
    await deleted.save()
    assert.deepEqual(seen[1], { mine: undefined, theirs: 'merged', before: 'before' })
    assert.equal((await stage.sessions.load(first.credential)).has('n'), false)
    first.set('other', 1)
    deleted.set('other', 2)
    await first.save()
    await assert.rejects(deleted.save(), { code: 'HOLDFAST_CONFLICTING_CHANGE' })
  })

  it('a key that is named like something every object has is merged by nothing', async () => {
    const stage = new Stage({ conflicts: { n: ({ mine }) => mine } })
    const first = await stored(stage, { constructor: 1, toString: 1 })
    const second = await stage.sessions.load(first.credential)
    first.set('constructor', 2)
    first.set('toString', 2)
    await first.save()
    second.set('constructor', 3)
    second.set('toString', 3)
    await assert.rejects(second.save(), {
      code: 'HOLDFAST_CONFLICTING_CHANGE',
      keys: ['constructor', 'toString'],
    })
    const { data } = await stage.sessions.load(first.credential)
    assert.equal(JSON.stringify(data), '{"constructor":2,"toString":2}')
  })

  it('an update runs again on the newest copy, and answers with what was stored', async () => {
    const stage = new Stage()
    const one = await stored(stage, { n: 0 })
    const two = await stage.sessions.load(one.credential)
    const count = (session: Session): Promise<number> =>
      session.update((data) => {
        const n = Number(data['n']) + 1
        data['n'] = n
        return n
      })
    assert.deepEqual((await Promise.all([count(one), count(two), count(one)])).toSorted(), [1, 2, 3])
    assert.equal((await stage.sessions.load(one.credential)).get('n'), 3)
  })

  it('an update that throws, is asynchronous or makes what is not JSON stores nothing', async () => {
    const stage = new Stage()
    const session = await stored(stage, { n: 0 })
    await assert.rejects(
      session.update(() => {
        throw new RangeError('mine')
      }),
      RangeError,
    )
    await assert.rejects(
      session.update(async (data) => {
        data['n'] = 1
      }),
      TypeError,
    )
    await assert.rejects(
      session.update((data) => {
        data['n'] = 1n as never
      }),
      { code: 'HOLDFAST_INVALID_VALUE' },
    )
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { n: 0 })
    assert.equal(
      await session.update((data) => {
        delete data['n']
        data['gone'] = undefined
        return 'done'
      }),
      'done',
    )
    assert.deepEqual(session.data, {})
    assert.equal(session.has('gone'), false)
  })
})

describe('ending', () => {
  it('destroyed: empty, unknown to the store, and a later save makes another one [D32 T8]', async () => {
    const stage = new Stage()
    const session = await stored(stage, { a: 1 })
    const { id, credential } = session
    await session.destroy()
    assert.deepEqual([session.isNew, session.data, session.credential], [true, {}, undefined])
    assert.equal((await stage.sessions.load(credential)).isNew, true)
    session.set('b', 1)
    await session.save()
    assert.notEqual(session.id, id)
    assert.deepEqual((await stage.sessions.load(session.credential)).data, { b: 1 })
  })

  it('a save after it was destroyed elsewhere is told, and nothing reappears [D29 D36]', async () => {
    const stage = new Stage()
    const one = await stored(stage, { a: 1 })
    const two = await stage.sessions.load(one.credential)
    await two.destroy()
    one.set('b', 1)
    await assert.rejects(one.save(), { code: 'HOLDFAST_SESSION_GONE' })
    await assert.rejects(
      one.update(() => 1),
      { code: 'HOLDFAST_SESSION_GONE' },
    )
    await assert.rejects(one.rotate(), { code: 'HOLDFAST_SESSION_GONE' })
    await assert.rejects(one.cycleKey(), { code: 'HOLDFAST_SESSION_GONE' })
    await assert.rejects(one.login('ada'), { code: 'HOLDFAST_SESSION_GONE' })
    assert.equal((await stage.sessions.load(one.credential)).isNew, true)
  })

  it('destroying what is not there is no error, and says so [D34 K12 K40]', async () => {
    const stage = new Stage()
    const session = await stored(stage)
    assert.equal(await stage.sessions.destroy(session.id ?? ''), true)
    assert.equal(await stage.sessions.destroy(session.id ?? ''), false)
    for (const id of ['unknown', '', '../x', 'a'.repeat(200), '__proto__']) {
      assert.equal(await stage.sessions.destroy(id), false)
    }
    await session.destroy()
    assert.equal(await stage.sessions.logout('rubbish'), false)
  })

  it('by id alone, without the secret [G6]', async () => {
    const stage = new Stage()
    const session = await stored(stage)
    assert.equal(await stage.sessions.destroy(session.id ?? ''), true)
    assert.equal((await stage.sessions.load(session.credential)).isNew, true)
  })

  it('it exists only as long as it is stored [D35]', async () => {
    const stage = new Stage()
    const session = await stored(stage)
    const id = session.id ?? ''
    assert.equal((await stage.sessions.get(id))?.id, id)
    await session.destroy()
    assert.equal(await stage.sessions.get(id), undefined)
    assert.equal(await stage.sessions.get('unknown'), undefined)
    assert.equal(await stage.sessions.get('no id at all'), undefined)
  })
})
