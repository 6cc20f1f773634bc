/** Who a session belongs to, how fresh that is, and the secrets by which it is opened. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import type { Label } from '../../packages/holdfast/src/store/record.ts'
import { failsTheCheck, hour, minute, Stage } from './stage.ts'

const exact: SessionsOptions = { idle: '1h', absolute: '12h', touchEvery: 0 }

/** What a door does at each request: load, rotate when it is due, and hand the credential on. */
async function visited(stage: Stage, credential: string | undefined): Promise<Session> {
  const session = await stage.sessions.load(credential)
  if (session.isRotationDue) await session.rotate()
  return session
}

describe('periodic rotation', () => {
  const options: SessionsOptions = { ...exact, rotateEvery: '10m', grace: '1m' }

  it('is due after the interval to the millisecond, keeps the data, and begins anew [T3 T5]', async () => {
    const stage = new Stage(options)
    const first = await stage.sessions.start({ data: { a: 1 } })
    stage.clock.advance(10 * minute - 1)
    assert.equal((await stage.sessions.load(first.credential)).isRotationDue, false)
    stage.clock.advance(1)
    const second = await visited(stage, first.credential)
    assert.notEqual(second.credential, first.credential)
    assert.deepEqual([second.id, second.data, second.isRotationDue], [first.id, { a: 1 }, false])
    stage.clock.advance(10 * minute - 1)
    // Persisted: another process knows when it is due.
    assert.equal((await stage.process().load(second.credential)).isRotationDue, false)
    stage.clock.advance(1)
    assert.equal((await stage.process().load(second.credential)).isRotationDue, true)
    // The successor was presented, so the old one has only its grace left.
    stage.clock.advance(minute - 1)
    assert.equal((await stage.sessions.load(first.credential)).isNew, true, 'the old one has ended')
  })

  it('is off unless it was asked for, and never due for what isn’t stored', async () => {
    const stage = new Stage(exact)
    const { credential } = await stage.sessions.start()
    stage.clock.advance(hour - 1)
    assert.equal((await stage.sessions.load(credential)).isRotationDue, false)
    assert.equal((await new Stage(options).sessions.load(undefined)).isRotationDue, false)
  })

  it('never extends the absolute timeout', async () => {
    const stage = new Stage(options)
    const started = await stage.sessions.start({ user: 'ada' })
    const { endsAt } = started
    let { credential } = started
    for (let i = 0; i < 12 * 6 - 1; i++) {
      stage.clock.advance(10 * minute)
      const session = await visited(stage, credential)
      assert.deepEqual([session.isNew, session.endsAt], [false, endsAt])
      ;({ credential } = session)
    }
    stage.clock.advance(10 * minute - 1)
    assert.equal((await stage.sessions.load(credential)).isNew, false)
    stage.clock.advance(1)
    assert.equal((await stage.sessions.load(credential)).isNew, true)
  })

  it('of requests at once all adopt one successor, all keep their changes, and one event tells of it', async () => {
    const stage = new Stage(options)
    const { credential } = await stage.sessions.start({ data: { before: 1 } })
    stage.clock.advance(10 * minute)
    const processes = [stage.sessions, stage.process(), stage.process()]
    const sessions = await Promise.all(
      Array.from({ length: 9 }, (_, i) => processes[i % 3]!.load(credential)),
    )
    stage.happenings.length = 0
    await Promise.all(
      sessions.map(async (session, i) => {
        assert.equal(session.isRotationDue, true)
        session.set(`k${String(i)}`, i)
        await session.rotate()
      }),
    )
    const successors = new Set(sessions.map((session) => session.credential))
    assert.equal(successors.size, 1)
    assert.equal(successors.has(credential), false)
    assert.equal((await stage.sessions.load([...successors][0])).size, 10)
    const told = stage.happenings.filter(({ type }) => type === 'rotated')
    assert.deepEqual(told, [{ type: 'rotated', collection: 'sessions', id: sessions[0]?.id, cycled: false }])
  })
})

describe('stepping up', () => {
  it('notes the method, ends every earlier secret, and leaves the absolute timeout and the login alone', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ user: 'ada', methods: ['pwd'], data: { a: 1 } })
    const { credential: old, endsAt, authenticatedAt } = session
    const begun = stage.clock.now()
    stage.clock.advance(hour / 2)
    session.set('b', 2)
    await session.stepUp('otp', 'hwk')
    const now = stage.clock.now()
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual(again.methods, { pwd: begun, otp: now, hwk: now })
    assert.deepEqual([again.endsAt, again.authenticatedAt], [endsAt, authenticatedAt])
    assert.deepEqual(again.data, { a: 1, b: 2 })
    assert.equal((await stage.sessions.load(old)).isNew, true)
    assert.deepEqual((await stage.sessions.get(session.id ?? ''))?.methods, again.methods)
  })

  it('is refused where nobody is logged in, and without a method', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ data: { a: 1 } })
    await assert.rejects(session.stepUp('otp'), { code: 'HOLDFAST_SESSION_GONE' })
    await assert.rejects(stage.sessions.open(undefined).stepUp('otp'), { code: 'HOLDFAST_SESSION_GONE' })
    const ada = await stage.sessions.start({ user: 'ada' })
    await assert.rejects((ada.stepUp as () => Promise<void>)(), { code: 'HOLDFAST_INVALID_OPTION' })
  })

  it('that could not be stored counts for nothing, also after a later save', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ user: 'ada', methods: ['pwd'] })
    stage.clock.advance(hour / 2)
    stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
    await assert.rejects(session.stepUp('otp'), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    session.set('a', 1)
    await session.save()
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual([Object.keys(again.methods), again.isFresh('5m')], [['pwd'], false])
  })

  it('of two requests at once one ends the other', async () => {
    const stage = new Stage(exact)
    const one = await stage.sessions.start({ user: 'ada' })
    const two = await stage.sessions.load(one.credential)
    const ends = await Promise.allSettled([one.stepUp('otp'), two.stepUp('pwd')])
    assert.deepEqual(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  })
})

describe('fresh within five minutes', () => {
  it('is to the millisecond, by login, by any method and by each that is named', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ user: 'ada', methods: ['pwd'] })
    stage.clock.advance(3 * minute)
    await session.stepUp('otp')
    const fresh = (): readonly boolean[] => [
      session.isFresh('5m'),
      session.isFresh('5m', 'pwd'),
      session.isFresh('5m', 'otp'),
      session.isFresh('5m', 'pwd', 'otp'),
      session.isFresh('5m', 'hwk'),
    ]
    stage.clock.advance(2 * minute - 1)
    assert.deepEqual(fresh(), [true, true, true, true, false])
    stage.clock.advance(1)
    assert.deepEqual(fresh(), [true, false, true, false, false])
    stage.clock.advance(3 * minute - 1)
    assert.deepEqual(fresh(), [true, false, true, false, false])
    stage.clock.advance(1)
    assert.deepEqual(fresh(), [false, false, false, false, false])
  })

  it('counts the login where no method was named, and nobody is fresh who isn’t logged in', async () => {
    const stage = new Stage(exact)
    const ada = await stage.sessions.start({ user: 'ada' })
    const nobody = await stage.sessions.start({ data: { a: 1 } })
    assert.deepEqual([ada.isFresh('5m'), ada.isFresh(0), nobody.isFresh('5m')], [true, false, false])
    assert.equal(ada.isFresh('5m', 'toString'), false)
    stage.clock.advance(5 * minute)
    await ada.rotate()
    await ada.cycleKey()
    await ada.refresh()
    assert.equal(ada.isFresh('5m'), false, 'a new secret proves nothing')
    assert.throws(() => ada.isFresh('5 minutes' as never), { code: 'HOLDFAST_INVALID_DURATION' })
  })

  it('a login anew forgets the methods of the one before', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ user: 'ada', methods: ['pwd', 'otp'] })
    await session.login('ada', { methods: ['pwd'] })
    assert.deepEqual(Object.keys(session.methods), ['pwd'])
  })
})

describe('a login on a session that is there', () => {
  it('of nobody’s keeps what is in it: the basket goes with its owner', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ data: { basket: ['a'] as never } })
    const { id, credential: old } = session
    ;(session.get('basket') as unknown as string[]).push('b')
    await session.login('ada')
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual([again.id, again.user, again.data], [id, 'ada', { basket: ['a', 'b'] }])
    assert.equal((await stage.sessions.load(old)).isNew, true)
  })

  it('by the same user keeps it too', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ user: 'ada', data: { a: 1 } })
    session.setExpiry('2h')
    await session.login('ada')
    assert.deepEqual([session.data, session.expiryAge()], [{ a: 1 }, 2 * hour])
  })

  it('by another user drops the former’s data, messages and facts, and keeps what this request put in', async () => {
    const stage = new Stage({ ...exact, devices: '30d' })
    const client = { address: '192.0.2.7', agent: 'curl/8' }
    const started = await stage.sessions.start({
      user: 'ada',
      methods: ['pwd'],
      remember: true,
      data: { a: 1 },
      client,
    })
    started.set('basket', ['ada’s'] as never)
    started.flash('info', 'for ada')
    started.setTestCookie()
    started.setExpiry('2h')
    await started.save()
    const session = await stage.sessions.load(started.credential, { client })
    ;(session.get('basket') as unknown as string[]).push('and more')
    session.set('mine', 'bob’s')
    await session.login('bob')
    const again = await stage.sessions.load(session.credential, { client })
    assert.deepEqual([again.user, again.data], ['bob', { mine: 'bob’s' }])
    assert.deepEqual([again.takeFlashes(), again.testCookieWorked()], [[], false])
    assert.deepEqual(
      [again.methods, again.expiryAge(), again.endsAt],
      [{}, hour, stage.clock.now() + 12 * hour],
    )
    assert.deepEqual(again.device, { ...client, at: stage.clock.now() })
    assert.equal((await stage.sessions.load(started.credential)).isNew, true)
    assert.deepEqual((await stage.sessions.list({ user: 'ada' })).sessions, [])
    const stored = JSON.stringify(await stage.sessions.list())
    assert.doesNotMatch(stored, /ada/)
  })

  it('by another user drops the former’s other labels too, and has those that it began with', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ user: 'ada', labels: ['tenant:t1'] })
    const listed = async (tenant: Label): Promise<readonly unknown[]> =>
      (await stage.sessions.list({ labels: [tenant] })).sessions.map(({ user }) => user)
    await session.login(await stage.sessions.begin({ user: 'bob', labels: ['tenant:t2'] }))
    assert.deepEqual([await listed('tenant:t1'), await listed('tenant:t2')], [[], ['bob']])
    await session.login('bob')
    assert.deepEqual(await listed('tenant:t2'), ['bob'])
  })

  it('has the labels that it began with, whoever was there before, and is revoked by them', async () => {
    const stage = new Stage(exact)
    const { sessions } = stage
    const begun = () => sessions.begin({ user: 'ada', labels: ['tenant:t1'] })
    const visitors = [
      sessions.open(undefined),
      await sessions.start({ labels: ['device:d1'] }),
      await sessions.start({ user: 'ada' }),
    ]
    for (const visitor of visitors) await visitor.login(await begun())
    const started = await sessions.start({ login: await begun() })
    assert.deepEqual(
      (await sessions.list({ labels: ['device:d1'] })).sessions.map(({ labels }) => labels),
      [['device:d1', 'tenant:t1', 'user:ada']],
    )
    assert.equal(await sessions.revoke({ labels: ['tenant:t1'] }), 4)
    for (const { credential } of [...visitors, started]) {
      assert.equal((await sessions.load(credential)).isNew, true)
    }
    const afterwards = sessions.open(undefined)
    await afterwards.login(await begun())
    assert.equal((await sessions.load(afterwards.credential)).user, 'ada')
  })

  it('by another user that failed has dropped nothing: neither what is stored nor what was changed', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ user: 'ada', data: { basket: ['a'] as never } })
    ;(session.get('basket') as unknown as string[]).push('b')
    session.set('other', 1)
    stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
    await assert.rejects(session.login('bob'), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    assert.deepEqual([session.user, session.modified], ['ada', true])
    await session.save()
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual([again.user, again.data], ['ada', { basket: ['a', 'b'], other: 1 }])
    ;(again.get('basket') as unknown as string[]).push('c')
    await again.login('bob')
    assert.deepEqual([again.data, again.modified], [{}, false])
  })

  it('that was stored, and of which it can’t be told whether it was revoked meanwhile, keeps the basket', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ data: { basket: 1 } })
    const { id } = session
    stage.plan = failsTheCheck('replace')
    await assert.rejects(session.login('ada'), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual([again.id, again.user, again.data], [id, 'ada', { basket: 1 }])
    await stage.sessions.revoke({ user: 'ada' })
    assert.equal((await stage.sessions.load(session.credential)).isNew, true)
  })

  it('that failed is nobody’s login: what was changed stays unsaved, and can be stored', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.load(undefined)
    session.set('a', 1)
    const login = await stage.sessions.begin({ user: 'ada' })
    await stage.sessions.revoke({ user: 'ada' })
    await assert.rejects(session.login(login, { remember: true, methods: ['pwd'] }), {
      code: 'HOLDFAST_REVOKED_MEANWHILE',
    })
    await session.save()
    const again = await stage.sessions.load(session.credential)
    assert.deepEqual([again.user, again.methods, again.data], [undefined, {}, { a: 1 }])
    assert.equal(again.endsAt, stage.clock.now() + 12 * hour)
  })
})

describe('the end, by whatever secret', () => {
  it('a request with a secret whose window has ended destroys it all the same', async () => {
    const stage = new Stage(exact)
    const first = await stage.sessions.start({ user: 'ada', data: { a: 1 } })
    const { credential: old } = first
    await first.cycleKey()
    for (const end of ['destroy', 'flush', 'invalidate'] as const) {
      const late = await stage.sessions.load(old)
      assert.equal(late.isNew, true)
      await late[end]()
      assert.deepEqual([late.isDestroyed, late.isNew], [true, true])
      assert.equal((await stage.sessions.load(first.credential)).isNew, true)
    }
  })

  it('a secret that never was its own ends nothing', async () => {
    const stage = new Stage(exact)
    const ada = await stage.sessions.start({ user: 'ada' })
    const bob = await stage.sessions.start({ user: 'bob' })
    const forged = `${(ada.credential ?? '').split('.')[0] ?? ''}.${(bob.credential ?? '').split('.')[1] ?? ''}`
    await (await stage.sessions.load(forged)).destroy()
    assert.equal((await stage.sessions.load(ada.credential)).isNew, false)
  })

  it('what is stored after it is another session, with none of its labels [D32]', async () => {
    const stage = new Stage(exact)
    const session = await stage.sessions.start({ user: 'ada', labels: ['tenant:x'], data: { a: 1 } })
    const { id } = session
    await session.flush()
    session.set('b', 1)
    await session.save()
    assert.equal(session.isDestroyed, false)
    assert.notEqual(session.id, id)
    assert.deepEqual((await stage.sessions.get(session.id ?? ''))?.labels, [])
  })
})
