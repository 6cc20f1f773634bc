/** Sessions by credential, by id and by user: who is let in, who is not, and what an operator hears of it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assemble, mintId, mintSecret, parse } from '../../packages/holdfast/src/credentials/credential.ts'
import { generateRingKey, KeyRing } from '../../packages/holdfast/src/credentials/key-ring.ts'
import { StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { sealedCodec } from '../../packages/holdfast/src/store/codec.ts'
import type { Rewrite } from '../../packages/holdfast/src/store/store.ts'
import { hour, minute, Stage } from './stage.ts'

/** Another credential with the same id. */
function withSecret(credential: string | undefined, secret: string): string {
  const parts = parse('hfs_', credential)
  assert.ok(parts)
  return assemble('hfs_', { ...parts, secret })
}

/** Writes something else under the record that is there. */
async function overwrite(stage: Stage, change: Partial<Rewrite>): Promise<void> {
  const [record] = await stage.records()
  assert.ok(record)
  const { key, version: expected, value, expiresAt } = record
  const written = await stage.store.replace({ key, expected, value, expiresAt, ...change })
  assert.equal(written.status, 'done')
}

describe('loading by credential', () => {
  it('what is not a credential of ours gives a new session and asks nobody [D7 D31 K1 K2 G1]', async () => {
    const stage = new Stage()
    const { credential = '' } = await stage.sessions.start()
    const bad = [
      undefined,
      null,
      '',
      ' ',
      'short',
      'x'.repeat(100_000),
      '../../etc/passwd',
      `${credential} `,
      credential.slice(0, -1),
      credential.replace('.', ''),
      credential.replace('hfs_', 'hft_'),
      `${credential.slice(0, -1)}!`,
      '\0',
      42,
      {},
      [credential],
    ]
    const calls = await stage.callsOf(async () => {
      for (const each of bad) {
        const session = await stage.sessions.load(each as string)
        assert.equal(session.isNew, true, JSON.stringify(each))
        if (typeof each === 'string') assert.equal(await stage.sessions.logout(each), false)
      }
    })
    assert.deepEqual(calls, [])
  })

  it('an unknown id gives a new session that never takes it over, and nothing is stored [D30 T9]', async () => {
    const stage = new Stage()
    const id = mintId()
    const session = await stage.sessions.load(assemble('hfs_', { id, secret: mintSecret() }))
    assert.equal(session.isNew, true)
    assert.equal((await stage.records()).length, 0)
    session.set('a', 1)
    await session.save()
    assert.notEqual(session.id, id)
  })

  it('a wrong secret opens nothing, is told, and signs nobody out [G2]', async () => {
    const stage = new Stage()
    const { credential, id } = await stage.sessions.start()
    const wrong = withSecret(credential, mintSecret())
    assert.equal((await stage.sessions.load(wrong)).isNew, true)
    assert.equal(await stage.sessions.logout(wrong), false)
    assert.deepEqual(stage.events, [{ type: 'wrong-secret', collection: 'sessions', id }])
    assert.equal((await stage.sessions.load(credential)).isNew, false)
  })

  it('damaged values are no session, are told, and are never an error [D12 D13 K4 K6 T10 G3]', async () => {
    const good = {
      state: 'live',
      digest: 'd',
      createdAt: 1,
      authenticatedAt: 1,
      absolute: 9e15,
      latest: 0,
      data: {},
    }
    const values: unknown[] = [
      'not json at all',
      null,
      [],
      7,
      {},
      { state: 'live' },
      { state: 'dead' },
      { ...good, absolute: undefined },
      { ...good, absolute: 'soon' },
      { ...good, data: [] },
      { ...good, past: [{}] },
      { ...good, epochs: { 'user:ada': 'x' } },
      { ...good, user: 7 },
      { ...good, state: 'other' },
      { ...good, user: 'mallory' },
    ]
    for (const value of values) {
      const stage = new Stage()
      const { credential, id = '' } = await stage.sessions.start({ user: 'ada' })
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      await overwrite(stage, { value: Buffer.from(text) })
      assert.equal((await stage.sessions.load(credential)).isNew, true, text)
      assert.deepEqual(
        stage.events.map(({ type }) => type),
        ['corrupt'],
        text,
      )
      assert.equal(await stage.sessions.get(id), undefined)
      assert.deepEqual((await stage.sessions.list({ user: 'ada' })).sessions, [])
      assert.equal(await stage.sessions.logout(credential ?? ''), false)
      await stage.sessions.revoke({ user: 'ada' })
      assert.equal((await stage.records())[0]?.labels.length, 0, 'it is buried all the same')
    }
  })

  it('a label of another user beside the value is corrupt: nobody gets another one’s session', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start({ user: 'ada' })
    await overwrite(stage, { labels: ['user:mallory'] })
    assert.equal((await stage.sessions.load(credential)).isNew, true)
    assert.deepEqual((await stage.sessions.list({ user: 'mallory' })).sessions, [])
    assert.deepEqual(
      stage.events.map(({ type }) => type),
      ['corrupt', 'corrupt'],
    )
  })

  it('an unknown key is an error and never a logout; what was tampered with is no session', async () => {
    const [one, two] = [generateRingKey('one'), generateRingKey('two')]
    const codec = sealedCodec(new KeyRing([one]))
    const stage = new Stage({}, { codec })
    const { credential, id = '' } = await new Stage().sessions.start()
    assert.ok(credential && id)
    const sealed = stage.process({}, codec)
    const session = await sealed.start({ user: 'ada', data: { a: 1 } })
    const stranger = stage.process({}, sealedCodec(new KeyRing([two])))
    const rolled = stage.process({}, sealedCodec(new KeyRing([two, one])))
    const unknown = { code: 'HOLDFAST_KEY_UNKNOWN' }
    await assert.rejects(stranger.load(session.credential), unknown)
    await assert.rejects(stage.process().load(session.credential), unknown)
    await assert.rejects(stranger.get(session.id ?? ''), unknown)
    await assert.rejects(stranger.list({ user: 'ada' }), unknown)
    assert.equal((await rolled.load(session.credential)).get('a'), 1)
    const [record] = await stage.records()
    assert.ok(record)
    assert.ok(!Buffer.from(record.value).includes('live'), 'nothing of it can be read')
    const value = Buffer.from(record.value)
    value[value.length - 20]! ^= 1
    await overwrite(stage, { value })
    assert.equal((await sealed.load(session.credential)).isNew, true)
    assert.deepEqual(
      stage.events.map(({ type }) => type),
      ['corrupt'],
    )
  })

  it('what is sealed under an unknown key can be destroyed and revoked', async () => {
    const stage = new Stage()
    const sealed = stage.process({}, sealedCodec(new KeyRing([generateRingKey('one')])))
    const one = await sealed.start({ user: 'ada' })
    const two = await sealed.start({ user: 'ada' })
    const spared = await sealed.start({ user: 'ada' })
    assert.equal(await stage.sessions.destroy(one.id ?? ''), true)
    assert.equal(await stage.sessions.revoke({ user: 'ada', except: spared.id ?? '' }), 1)
    assert.equal((await sealed.load(two.credential)).isNew, true)
  })

  it('an outage is an error, never "no session", and a touch that fails logs nobody out', async () => {
    const stage = new Stage({ touchEvery: 0 })
    const { credential } = await stage.sessions.start({ user: 'ada' })
    stage.clock.advance(minute)
    stage.plan = ({ operation }) => (operation === 'read' ? 'fail' : undefined)
    await assert.rejects(stage.sessions.load(credential), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    await assert.rejects(stage.sessions.get('any'), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    await assert.rejects(stage.sessions.logout(credential ?? ''), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = ({ operation }) => (operation === 'touch' ? 'fail' : undefined)
    const session = await stage.sessions.load(credential)
    assert.equal(session.isNew, false)
    assert.deepEqual(
      stage.events.map(({ type }) => type),
      ['touch-failed'],
    )
    const [event] = stage.events
    assert.ok(event?.type === 'touch-failed' && event.cause instanceof StoreUnavailable)
    stage.plan = () => undefined
    stage.clock.advance(32 * minute)
    assert.equal((await stage.sessions.load(credential)).isNew, true, 'it ended as without that use')
  })

  it('a copy in a cache that is behind is settled by the truth: a rotation, a login, a touch, a destroy', async () => {
    const stage = new Stage({ absolute: '2h', touchEvery: 0 }, { cached: true })
    const begun = await stage.sessions.start()
    const stale = stage.process()
    stage.plan = ({ operation }) => (operation === 'read' ? 'stale' : undefined)
    await begun.rotate()
    assert.equal((await stale.load(begun.credential)).isNew, false, 'rotated')
    await begun.login('ada')
    assert.equal((await stale.load(begun.credential)).user, 'ada')
    const again = await stage.sessions.start()
    assert.equal((await stale.load(again.credential)).isNew, false, 'created')
    const { credential } = again
    await again.destroy()
    await stale.logout(credential ?? '')
    stage.plan = () => undefined
    assert.equal((await stale.load(credential)).isNew, true)
  })
})

describe('rotating', () => {
  it('keeps the data, ends the old secret after the grace window, and tells of those who come later [T5 D33]', async () => {
    const { clock, sessions, events } = new Stage({ grace: '1m' })
    const session = await sessions.start({ user: 'ada', data: { a: 1 } })
    const { credential: before, id } = session
    session.set('b', 2)
    await session.rotate()
    const after = session.credential
    assert.notEqual(after, before)
    assert.equal(session.id, id)
    assert.equal((await sessions.load(before)).credential, after)
    assert.deepEqual((await sessions.load(after)).data, { a: 1, b: 2 })
    clock.advance(minute - 1)
    assert.equal((await sessions.load(before)).credential, after)
    clock.advance(1)
    assert.equal((await sessions.load(before)).isNew, true)
    assert.deepEqual(events, [{ type: 'late-secret', collection: 'sessions', id }])
    assert.equal((await sessions.load(after)).isNew, false)
    assert.equal(await sessions.logout(before ?? ''), true, 'an old cookie logs out')
    assert.equal((await sessions.load(after)).isNew, true)
  })

  it('a chain does not stretch a window, and a window that never opens ends at its cap', async () => {
    const { clock, sessions } = new Stage({ grace: '1m', graceCap: '10m', idle: '1h' })
    const first = await sessions.start()
    const oldest = first.credential
    await first.rotate()
    await sessions.load(first.credential)
    for (let i = 0; i < 3; i++) {
      clock.advance(19_000)
      const used = await sessions.load(first.credential)
      assert.equal((await sessions.load(oldest)).isNew, false)
      await used.rotate()
      await sessions.load(used.credential)
    }
    clock.advance(3_000)
    assert.equal((await sessions.load(oldest)).isNew, true)
    const session = await sessions.start()
    const before = session.credential
    await session.rotate()
    clock.advance(10 * minute - 1)
    assert.equal((await sessions.load(before)).credential, session.credential)
    clock.advance(1)
    assert.equal((await sessions.load(before)).isNew, true)
    assert.equal((await sessions.load(session.credential)).isNew, false)
  })

  it('many requests that rotate at once share one successor, and each of their answers works [C30]', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start()
    const requests = await Promise.all(Array.from({ length: 20 }, () => stage.process().load(credential)))
    await Promise.all(requests.map((session) => session.rotate()))
    const told = new Set(requests.map((session) => session.credential))
    assert.equal(told.size, 1)
    for (const each of [...told, credential]) assert.equal((await stage.sessions.load(each)).isNew, false)
  })

  it('cycling ends every secret before it at once, also those whose windows were open [D33]', async () => {
    const { sessions } = new Stage()
    const session = await sessions.start({ data: { a: 1 } })
    const first = session.credential
    await session.rotate()
    const second = session.credential
    await session.cycleKey()
    for (const each of [first, second]) assert.equal((await sessions.load(each)).isNew, true)
    assert.deepEqual((await sessions.load(session.credential)).data, { a: 1 })
  })

  it('a rotation is decided on what is there, not on what was read long ago', async () => {
    const { sessions } = new Stage()
    const one = await sessions.start()
    const two = await sessions.load(one.credential)
    await one.rotate()
    await two.update((data) => (data['a'] = 1 as never))
    await one.cycleKey()
    await assert.rejects(two.rotate(), { code: 'HOLDFAST_SESSION_GONE' })
  })

  it('an update is decided on what is there, not on what was read long ago', async () => {
    const { sessions } = new Stage()
    const one = await sessions.start({ data: { money: 0 } })
    const two = await sessions.load(one.credential)
    await one.update((data) => (data['money'] = 5 as never))
    const spend = (data: Record<string, unknown>): void => {
      if (Number(data['money']) < 5) throw new RangeError('there is not enough')
      data['money'] = Number(data['money']) - 5
    }
    await two.update(spend)
    assert.equal((await sessions.load(one.credential)).get('money'), 0)
  })

  it('nothing of a secret is in the store', async () => {
    const stage = new Stage()
    const session = await stage.sessions.start()
    const secrets = [session.credential]
    for (let i = 0; i < 10; i++) {
      await session.rotate()
      secrets.push(session.credential)
    }
    const [record] = await stage.records()
    const text = Buffer.from(record?.value ?? '').toString()
    for (const each of secrets) {
      const secret = parse('hfs_', each)?.secret ?? ''
      assert.ok(secret.length === 43 && !text.includes(secret))
    }
    assert.equal((JSON.parse(text) as { past: unknown[] }).past.length, 8)
  })
})

describe('logging in', () => {
  it('keeps the data, gives a new secret, and no secret from before opens it [D33]', async () => {
    const { clock, sessions } = new Stage({ absolute: '2h' })
    const visitor = await sessions.load(undefined)
    visitor.set('cart', 1)
    await visitor.save()
    const { credential: before, id, createdAt } = visitor
    clock.advance(10 * minute)
    visitor.set('unsaved', 2)
    await visitor.login(await sessions.begin({ user: 'ada' }))
    assert.deepEqual([visitor.user, visitor.id, visitor.createdAt], ['ada', id, createdAt])
    assert.equal(visitor.authenticatedAt, clock.now())
    assert.equal((await sessions.load(before)).isNew, true)
    const again = await sessions.load(visitor.credential)
    assert.deepEqual([again.user, again.data], ['ada', { cart: 1, unsaved: 2 }])
    assert.deepEqual(
      (await sessions.list({ user: 'ada' })).sessions.map((each) => each.id),
      [id],
    )
  })

  it('a request with the secret from before saves nothing any more [races: J1]', async () => {
    const { sessions } = new Stage()
    const visitor = await sessions.start()
    const old = await sessions.load(visitor.credential)
    await visitor.login('ada')
    old.set('planted', 1)
    for (const change of [
      () => old.save(),
      () => old.update(() => 1),
      () => old.rotate(),
      () => old.login('mallory'),
    ]) {
      await assert.rejects(change, { code: 'HOLDFAST_SESSION_GONE' })
    }
    assert.deepEqual((await sessions.load(visitor.credential)).data, {})
  })

  it('as somebody else moves it from one user’s list to the other’s', async () => {
    const { sessions } = new Stage()
    const session = await sessions.start({ user: 'ada', labels: ['device:phone'] })
    await session.login('bob')
    assert.equal((await sessions.list({ user: 'ada' })).sessions.length, 0)
    const [listed] = (await sessions.list({ user: 'bob' })).sessions
    assert.deepEqual([listed?.user, listed?.labels], ['bob', ['user:bob']])
    assert.equal(await sessions.revoke({ user: 'ada' }), 0)
    assert.equal((await sessions.load(session.credential)).user, 'bob')
  })

  it('that began too long ago is refused: marks of that time may be gone', async () => {
    const { clock, sessions } = new Stage()
    const login = await sessions.begin({ user: 'ada' })
    clock.advance(hour + 1)
    await assert.rejects(sessions.start({ login }), { code: 'HOLDFAST_REVOKED_MEANWHILE' })
    const visitor = await sessions.start()
    await assert.rejects(visitor.login(login), { code: 'HOLDFAST_REVOKED_MEANWHILE' })
    assert.equal((await sessions.load(visitor.credential)).isNew, false)
  })

  it('works with the login stored as text in between', async () => {
    const { sessions } = new Stage()
    await sessions.revoke({ user: 'ada' })
    const login = JSON.parse(
      JSON.stringify(await sessions.begin({ user: 'ada', labels: ['tenant:t1'] })),
    ) as never
    assert.equal((await sessions.start({ login, labels: ['tenant:t1'] })).user, 'ada')
  })

  it('a user that is no text is refused: who would be stored would be nobody', async () => {
    const { sessions } = new Stage()
    const option = { code: 'HOLDFAST_INVALID_OPTION' }
    for (const user of [7, null, { id: 7 }, ['ada']] as never[]) {
      await assert.rejects(sessions.begin({ user }), option)
      await assert.rejects(sessions.start({ user }), option)
      const visitor = await sessions.start()
      await assert.rejects(visitor.login(user), option)
      assert.equal((await sessions.load(visitor.credential)).user, undefined)
    }
    await assert.rejects(sessions.open(undefined).login(undefined as never), option)
  })

  it('contradictions are refused', async () => {
    const { sessions } = new Stage()
    const login = await sessions.begin({ user: 'ada' })
    const option = { code: 'HOLDFAST_INVALID_OPTION' }
    await assert.rejects(sessions.start({ login, user: 'bob' }), option)
    await assert.rejects(sessions.start({ labels: ['user:bob'] }), option)
    await assert.rejects(sessions.begin({ user: 'ada', labels: ['user:bob'] }), option)
    await assert.rejects(sessions.start({ user: '' }), { code: 'HOLDFAST_INVALID_LABEL' })
    await assert.rejects(sessions.revoke({}), option)
    await assert.rejects(sessions.revoke({ labels: [] }), option)
  })
})

describe('listing and revoking', () => {
  it('by user and by labels, all of which must match; nobody else’s [K47 K48 K56 D38]', async () => {
    const { sessions } = new Stage()
    const start = async (user: string, ...labels: string[]): Promise<string> => {
      return (await sessions.start({ user, labels })).id ?? ''
    }
    const ids = {
      both: await start('ada', 'tenant:t1', 'client:web'),
      one: await start('ada', 'tenant:t1'),
      none: await start('ada'),
      bob: await start('bob', 'tenant:t1', 'client:web'),
    }
    const list = async (filter: Parameters<typeof sessions.list>[0]): Promise<string[]> => {
      return (await sessions.list(filter)).sessions.map(({ id }) => id).toSorted()
    }
    assert.deepEqual(await list({ user: 'ada' }), [ids.both, ids.one, ids.none].toSorted())
    assert.deepEqual(await list({ user: 'ada', labels: ['tenant:t1'] }), [ids.both, ids.one].toSorted())
    assert.deepEqual(await list({ user: 'ada', labels: ['tenant:t1', 'client:web'] }), [ids.both])
    assert.deepEqual(await list({ labels: ['client:web'] }), [ids.both, ids.bob].toSorted())
    assert.deepEqual(await list({ user: 'ada', labels: ['user:bob'] }), [])
    assert.deepEqual(await list({ user: 'Ada' }), [])
    assert.deepEqual(await list({ user: 'ad' }), [])
    assert.equal(await sessions.revoke({ user: 'ada', labels: ['user:bob'] }), 0)
    assert.equal(await sessions.revoke({ user: 'ada', labels: ['tenant:t1', 'client:web'] }), 1)
    assert.deepEqual(await list({ user: 'ada' }), [ids.one, ids.none].toSorted())
    assert.deepEqual(await list({ user: 'bob' }), [ids.bob])
  })

  it('in pages: each once [C14]', async () => {
    const { sessions } = new Stage()
    const started = new Set<string | undefined>()
    for (let i = 0; i < 17; i++) started.add((await sessions.start({ user: 'ada' })).id)
    const seen: string[] = []
    let after: string | undefined
    do {
      const page = await sessions.list({ user: 'ada', limit: 3, ...(after === undefined ? {} : { after }) })
      seen.push(...page.sessions.map(({ id }) => id))
      after = page.next
    } while (after !== undefined)
    assert.deepEqual(new Set(seen), started)
    assert.equal(seen.length, 17)
  })

  it('users of any script, and close ones are told apart [K28]', async () => {
    const { sessions } = new Stage()
    const users = ['ж', 'Ж', 'e\u0301', '\u00e9', 'ada', 'ada ', 'ADA', '\u{1F600}', 'a:b', '%', '*']
    for (const user of users) await sessions.start({ user })
    for (const user of users) {
      const { sessions: found } = await sessions.list({ user })
      assert.deepEqual(
        found.map((each) => each.user),
        [user],
      )
      assert.equal(await sessions.revoke({ user }), 1)
    }
  })

  it('all of a user’s: they are refused and gone from the list, the next login is in [K14 K16 K25]', async () => {
    const stage = new Stage()
    const before = [await stage.sessions.start({ user: 'ada' }), await stage.sessions.start({ user: 'ada' })]
    const bob = await stage.sessions.start({ user: 'bob' })
    assert.equal(await stage.sessions.revoke({ user: 'ada' }), 2)
    assert.equal(await stage.sessions.revoke({ user: 'ada' }), 0)
    for (const each of before) {
      assert.equal((await stage.process().load(each.credential)).isNew, true)
      each.set('a', 1)
      await assert.rejects(each.save(), { code: 'HOLDFAST_SESSION_GONE' })
    }
    assert.equal((await stage.sessions.load(bob.credential)).user, 'bob')
    for (let i = 0; i < 3; i++) {
      const after = await stage.sessions.start({ user: 'ada' })
      assert.equal((await stage.process().load(after.credential)).user, 'ada')
    }
  })

  it('my other devices: this one stays, also through later saves and logins', async () => {
    const stage = new Stage()
    const mine = await stage.sessions.start({ user: 'ada' })
    const other = await stage.sessions.start({ user: 'ada' })
    assert.equal(await stage.sessions.revoke({ user: 'ada', except: mine.id ?? '' }), 1)
    assert.equal((await stage.sessions.load(other.credential)).isNew, true)
    mine.set('a', 1)
    await mine.save()
    await mine.rotate()
    await mine.login('ada')
    assert.equal((await stage.process().load(mine.credential)).get('a'), 1)
    assert.equal(await stage.sessions.revoke({ user: 'ada' }), 1)
    assert.equal((await stage.process().load(mine.credential)).isNew, true)
  })

  it('by a tenant’s label: those who come afterwards are in, with and without `begin`', async () => {
    const { sessions } = new Stage()
    const labels = ['tenant:t1', 'client:web']
    await sessions.start({ user: 'ada', labels })
    assert.equal(await sessions.revoke({ labels: ['tenant:t1'] }), 1)
    assert.equal(await sessions.revoke({ labels }), 0)
    await sessions.start({ user: 'ada', labels })
    await sessions.start({ login: await sessions.begin({ user: 'ada' }), labels })
    await sessions.start({ login: await sessions.begin({ user: 'ada', labels }), labels })
    await sessions.start({ labels })
    assert.equal((await sessions.list({ labels })).sessions.length, 4)
  })

  it('a store whose listings may miss some refuses to revoke by labels', async () => {
    const stage = new Stage()
    const partial = stage.driver.open.bind(stage.driver)
    stage.driver.open = async (call) => {
      const opened = await partial(call)
      return { ...opened, capabilities: { ...opened.capabilities, listing: 'partial' } }
    }
    await stage.sessions.start({ user: 'ada' })
    await assert.rejects(stage.sessions.revoke({ user: 'ada' }), { code: 'HOLDFAST_NOT_SUPPORTED' })
    assert.equal((await stage.records('marks')).length, 0)
  })

  it('what is listed holds no secret', async () => {
    const { sessions } = new Stage()
    const session = await sessions.start({ user: 'ada', data: { a: 1 } })
    const [listed] = (await sessions.list({ user: 'ada' })).sessions
    assert.deepEqual(Object.keys(listed ?? {}).toSorted(), [
      'authenticatedAt',
      'createdAt',
      'data',
      'expiresAt',
      'id',
      'labels',
      'methods',
      'touchedAt',
      'user',
    ])
    assert.ok(!JSON.stringify(listed).includes(parse('hfs_', session.credential)?.secret ?? '?'))
  })
})
