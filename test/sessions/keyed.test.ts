/** Sessions under a secret id that somebody else drew. */

import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { digestOf } from '../../packages/holdfast/src/credentials/digest.ts'
import type { JsonObject } from '../../packages/holdfast/src/records/envelope.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { type KeyedOptions, KeyedSessions, type Kept } from '../../packages/holdfast/src/sessions/keyed.ts'
import type { Json } from '../../packages/holdfast/src/store/codec.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { OldRows } from './keyed-stage.ts'
import { hour, minute, Stage } from './stage.ts'

let stage: Stage
let keyed: KeyedSessions
let soon: number

const userOf = (data: JsonObject) => data['user'] as string | undefined

/** One more process. */
function another(options: KeyedOptions = {}): KeyedSessions {
  return new KeyedSessions(stage.another(), {
    userOf,
    onEvent: (event) => stage.events.push(event),
    ...options,
  })
}

async function read(sid: string, from = keyed): Promise<Kept> {
  const found = await from.read(sid)
  assert.ok(found, `there is no session ${sid}`)
  return found
}

beforeEach(() => {
  stage = new Stage()
  keyed = another()
  soon = stage.clock.now() + hour
})

describe('sessions by secret id', () => {
  it('are kept under the digest of their id, which is nowhere in the store', async () => {
    await keyed.create('the-secret', { a: 1 }, soon)
    const [record] = await stage.records()
    assert.equal(record?.key.id, digestOf('the-secret'))
    assert.equal(keyed.idOf('the-secret'), record.key.id)
    assert.equal(Buffer.from(record.value).includes('the-secret'), false)
    assert.deepEqual((await read('the-secret')).data, { a: 1 })
    assert.equal(await keyed.read('another'), undefined)
  })

  it('end when they expire', async () => {
    await keyed.create('sid', { a: 1 }, soon)
    stage.clock.advance(hour - 1)
    assert.ok(await keyed.read('sid'))
    stage.clock.advance(1)
    assert.equal(await keyed.read('sid'), undefined)
  })

  it('are not created where there is one, nor where one was destroyed [D28]', async () => {
    await keyed.create('sid', { a: 1 }, soon)
    await assert.rejects(keyed.create('sid', { b: 1 }, soon), { code: 'HOLDFAST_CONFLICTING_CHANGE' })
    await keyed.destroy('sid')
    await assert.rejects(keyed.create('sid', { b: 1 }, soon), { code: 'HOLDFAST_SESSION_GONE' })
    assert.equal(await keyed.read('sid'), undefined)
  })

  it('keep what two requests changed under different keys, nested values too', async () => {
    await keyed.create('sid', { cart: { items: [1] }, views: 1, old: true }, soon)
    const [one, two] = [await read('sid'), await read('sid', another())]
    await keyed.save('sid', one, { cart: { items: [1, 2] }, views: 1 }, soon)
    const saved = await another().save('sid', two, { ...two.data, views: 2, added: null }, soon)
    assert.deepEqual(saved.data, { cart: { items: [1, 2] }, views: 2, added: null })
    assert.deepEqual((await read('sid')).data, saved.data)
  })

  it('take the last of two values of one key, unless told otherwise', async () => {
    for (const conflicts of ['last', 'fail'] as const) {
      const sid = `sid-${conflicts}`
      const sessions = another({ conflicts })
      const base = await sessions.create(sid, { n: 1 }, soon)
      await another().save(sid, base, { n: 2 }, soon)
      const late = sessions.save(sid, base, { n: 3 }, soon)
      if (conflicts === 'last') assert.deepEqual((await late).data, { n: 3 })
      else await assert.rejects(late, { code: 'HOLDFAST_CONFLICTING_CHANGE', keys: ['n'] })
    }
  })

  it('go on from what a save answers', async () => {
    let kept = await keyed.create('sid', {}, soon)
    for (const n of [1, 2, 3]) kept = await keyed.save('sid', kept, { ...kept.data, n }, soon)
    assert.deepEqual((await read('sid')).data, { n: 3 })
  })

  it('stay destroyed whatever was under way [D29 D36 T8]', async () => {
    const base = await keyed.create('sid', { a: 1 }, soon)
    assert.equal(await another().destroy('sid'), true)
    await assert.rejects(keyed.save('sid', base, { a: 2 }, soon), { code: 'HOLDFAST_SESSION_GONE' })
    await assert.rejects(keyed.save('sid', base, { a: 1 }, soon + 1), { code: 'HOLDFAST_SESSION_GONE' })
    assert.equal(await keyed.touch(base, soon + hour), false)
    assert.equal(await keyed.destroy('sid'), false)
    assert.equal(await keyed.read('sid'), undefined)
  })

  it('of which nothing was stored yet can be destroyed too: a first save that is late stores nothing', async () => {
    assert.equal(await keyed.destroy('sid'), false)
    await assert.rejects(another().create('sid', { a: 1 }, soon), { code: 'HOLDFAST_SESSION_GONE' })
    assert.equal(await keyed.read('sid'), undefined)
    // And that is remembered for the retention.
    stage.clock.advance(24 * hour - 1)
    await assert.rejects(keyed.create('sid', {}, never), { code: 'HOLDFAST_SESSION_GONE' })
  })

  it('that have expired can be destroyed: a save that was late stores nothing', async () => {
    const base = await keyed.create('sid', { a: 1 }, soon)
    stage.clock.advance(hour)
    assert.equal(await keyed.destroy('sid'), false)
    await assert.rejects(keyed.save('sid', base, { a: 2 }, soon + hour), { code: 'HOLDFAST_SESSION_GONE' })
    await assert.rejects(keyed.create('sid', {}, soon + hour), { code: 'HOLDFAST_SESSION_GONE' })
  })

  it('can be destroyed by the public id, and what is no id is none', async () => {
    await keyed.create('sid', { a: 1 }, soon)
    assert.equal(await keyed.destroyById(keyed.idOf('sid')), true)
    assert.equal(await keyed.destroyById(keyed.idOf('sid')), false)
    assert.equal(await keyed.destroyById('../sid'), false)
    assert.equal(await keyed.read('sid'), undefined)
  })

  it('are listed, however deep one of them is', async () => {
    let deep: Json = 1
    for (let i = 0; i < 3_000; i++) deep = { deep }
    await keyed.create('deep', { deep }, soon)
    await keyed.create('sid', { a: 1 }, soon)
    assert.equal((await keyed.list()).sessions.length, 2)
    const native = new Sessions(keyed.store, { collection: 'native' })
    await native.start({ user: 'ada', data: { deep } })
    assert.equal((await native.list({ user: 'ada' })).sessions.length, 1)
  })

  it('tell an audit of their beginning and their end', async () => {
    await keyed.create('one', { user: 'ada' }, soon)
    await keyed.create('two', { user: 'ada' }, soon)
    await keyed.destroy('one')
    await keyed.destroy('one')
    await keyed.revoke({ user: 'ada' })
    const [one, two] = [keyed.idOf('one'), keyed.idOf('two')]
    const collection = 'sessions'
    assert.deepEqual(stage.events, [
      { type: 'created', collection, id: one, user: 'ada' },
      { type: 'created', collection, id: two, user: 'ada' },
      { type: 'revoked', collection, id: one, why: 'destroyed' },
      { type: 'revoked-all', collection, labels: ['user:ada'], count: 1 },
    ])
  })

  it('are an error where the store is down, never "no session"', async () => {
    await keyed.create('sid', { a: 1 }, soon)
    stage.plan = () => 'fail'
    await assert.rejects(async () => keyed.read('sid'), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
  })

  it('that are corrupt are no session, and told [D12 T10 K6]', async () => {
    await keyed.create('sid', { a: 1 }, soon)
    const [record] = await stage.records()
    assert.ok(record)
    const { key, version: expected, expiresAt } = record
    await stage.store.replace({ key, expected, value: Buffer.from('{'), expiresAt })
    assert.equal(await keyed.read('sid'), undefined)
    assert.equal(stage.events.at(-1)?.type, 'corrupt')
    assert.equal(await keyed.destroy('sid'), true)
  })
})

describe('the expiry of a session by secret id', () => {
  it('is prolonged by a touch without a rewrite, and never shortened by it', async () => {
    const base = await keyed.create('sid', { a: 1 }, soon)
    const calls = await stage.callsOf(() => keyed.touch(base, soon + hour))
    assert.deepEqual(
      calls.map(({ operation }) => operation),
      ['touch'],
    )
    assert.equal((await read('sid')).expiresAt, soon + hour)
    assert.equal(await keyed.touch(base, soon - minute), true)
    assert.equal((await read('sid')).expiresAt, soon + hour)
  })

  it('is prolonged by a save that changes nothing, which writes nothing else', async () => {
    const base = await keyed.create('sid', { a: 1 }, soon)
    const calls = await stage.callsOf(async () => {
      const kept = await keyed.save('sid', base, { a: 1 }, soon + minute)
      assert.equal(kept.expiresAt, soon + minute)
    })
    assert.deepEqual(
      calls.map(({ operation }) => operation),
      ['touch'],
    )
    assert.deepEqual(await stage.callsOf(() => keyed.save('sid', base, { a: 1 }, soon)), [])
  })

  it('is shortened where the caller means it, not where another request has prolonged it meanwhile', async () => {
    const base = await keyed.create('sid', { a: 1 }, soon)
    await keyed.touch(base, soon + hour)
    await keyed.save('sid', base, { a: 2 }, soon + minute)
    assert.equal((await read('sid')).expiresAt, soon + hour)
    const again = await read('sid')
    await keyed.save('sid', again, { a: 2 }, soon - minute)
    assert.equal((await read('sid')).expiresAt, soon - minute)
    const [record] = await stage.records()
    assert.ok(record)
    assert.match(Buffer.from(record.value).toString(), new RegExp(`"latest":${soon + hour}`))
  })

  it('never goes beyond the longest life, by no touch and no new id', async () => {
    const sessions = another({ longest: '2h' })
    const end = stage.clock.now() + 2 * hour
    let kept = await sessions.create('sid', {}, end + hour)
    assert.equal(kept.expiresAt, end)
    stage.clock.advance(hour)
    await sessions.touch(kept, end + hour)
    kept = await sessions.save('sid', await read('sid', sessions), { a: 1 }, end + hour)
    assert.equal(kept.expiresAt, end)
    kept = await sessions.replaceId({ sid: 'sid', base: kept }, 'new', kept.data, end + hour, { carry: true })
    assert.equal(kept.expiresAt, end)
    stage.clock.advance(hour)
    assert.equal(await sessions.read('new'), undefined)
  })

  it('stays as it is where a touch cannot be written, and that is told', async () => {
    const base = await keyed.create('sid', { a: 1 }, soon)
    stage.plan = () => 'fail'
    assert.equal(await keyed.touch(base, soon + hour), true)
    assert.equal(stage.events.at(-1)?.type, 'touch-failed')
  })
})

describe('a new secret id', () => {
  it('takes the session with it, and the old id is dead before that is said', async () => {
    const base = await keyed.create('old', { a: 1, user: 'ada' }, soon)
    await another().save('old', base, { a: 1, user: 'ada', meanwhile: 1 }, soon)
    const kept = await keyed.replaceId({ sid: 'old', base }, 'new', { ...base.data, a: 2 }, soon, {
      carry: true,
    })
    assert.deepEqual(kept.data, { a: 2, user: 'ada', meanwhile: 1 })
    assert.deepEqual((await read('new')).data, kept.data)
    assert.equal(await another().read('old'), undefined)
    await assert.rejects(keyed.save('old', base, { a: 3 }, soon), { code: 'HOLDFAST_SESSION_GONE' })
  })

  it('is not given to what was destroyed meanwhile, and nothing is left of it', async () => {
    const base = await keyed.create('old', { a: 1 }, soon)
    await another().destroy('old')
    const replaced = keyed.replaceId({ sid: 'old', base }, 'new', { a: 1 }, soon, { carry: true })
    await assert.rejects(replaced, { code: 'HOLDFAST_SESSION_GONE' })
    assert.equal(await keyed.read('new'), undefined)
  })

  it('of another session takes nothing over from the old one', async () => {
    const base = await keyed.create('old', { anonymous: true }, soon)
    await another().save('old', base, { anonymous: true, added: 1 }, soon)
    const kept = await keyed.replaceId({ sid: 'old', base }, 'new', { user: 'ada' }, soon)
    assert.deepEqual(kept.data, { user: 'ada' })
    assert.equal(await keyed.read('old'), undefined)
  })
})

describe('the user of a session by secret id', () => {
  it('is who it is listed, counted and revoked by, beside native sessions of the same user', async () => {
    await keyed.create('one', { user: 'ada' }, soon)
    const base = await keyed.create('two', {}, soon)
    await keyed.create('three', { user: 'bob' }, soon)
    await new Sessions(stage.another()).start({ user: 'ada' })
    await keyed.save('two', base, { user: 'ada' }, soon)
    const { sessions } = await keyed.list({ user: 'ada' })
    assert.equal(sessions.length, 3)
    assert.ok(sessions.every(({ user }) => user === 'ada'))
    assert.equal(await keyed.count({ user: 'ada' }), 3)
    assert.equal(await keyed.revoke({ user: 'ada', except: 'two' }), 2)
    assert.equal(await another().read('one'), undefined)
    assert.deepEqual((await read('two')).data, { user: 'ada' })
    assert.equal(await keyed.count({ user: 'bob' }), 1)
    assert.deepEqual((await read('three')).data, { user: 'bob' })
  })

  it('is gone with the key that named him', async () => {
    const base = await keyed.create('sid', { user: 'ada', a: 1 }, soon)
    await keyed.save('sid', base, { a: 1 }, soon)
    assert.equal(await keyed.count({ user: 'ada' }), 0)
    assert.equal(await keyed.revoke({ user: 'ada' }), 0)
    assert.deepEqual((await read('sid')).data, { a: 1 })
  })

  it('is a text: whoever is named by a number is refused, not stored and gone at the next look', async () => {
    const refused = { code: 'HOLDFAST_INVALID_VALUE', message: /String\(id\)/ }
    await assert.rejects(keyed.create('sid', { user: 7 }, soon), refused)
    const kept = await keyed.create('sid', { user: null, basket: 1 }, soon)
    await assert.rejects(keyed.save('sid', kept, { user: 7, basket: 1 }, soon), refused)
    assert.deepEqual((await read('sid')).data, { user: null, basket: 1 })
    assert.deepEqual(
      stage.events.filter(({ type }) => type === 'corrupt'),
      [],
    )
  })

  it('who was revoked is refused at once, also before the record is buried', async () => {
    const base = await keyed.create('sid', { user: 'ada' }, soon)
    // The mark is raised, and then the process crashes.
    stage.plan = ({ operation }) => (operation === 'list' ? 'fail' : undefined)
    await assert.rejects(another().revoke({ user: 'ada' }))
    stage.plan = () => undefined
    stage.clock.advance(2_000)
    assert.equal(await another().read('sid'), undefined)
    assert.equal((await another().list({ user: 'ada' })).sessions.length, 0)
    // No login brings it back.
    const login = keyed.save('sid', base, { user: 'bob' }, soon)
    await assert.rejects(login, { code: 'HOLDFAST_SESSION_GONE' })
    // Who logs in afterwards is not concerned.
    await keyed.create('later', { user: 'ada' }, soon)
    assert.ok(await another().read('later'))
  })
})

describe('what another library has stored', () => {
  let rows: OldRows

  beforeEach(() => {
    rows = new OldRows(stage.another())
    keyed = another({ old: rows })
  })

  it('is taken over when it is first read, with its cookie, and removed there', async () => {
    const cookie = { originalMaxAge: hour, path: '/' }
    await rows.put('sid', { data: { user: 'ada' }, cookie, expiresAt: soon })
    const kept = await read('sid')
    assert.deepEqual([kept.data, kept.expiresAt], [{ user: 'ada', cookie }, soon])
    assert.equal(await rows.read('sid'), undefined)
    assert.equal(await keyed.count({ user: 'ada' }), 1)
    assert.ok(await another().read('sid'))
  })

  it('is not asked for where there is a session or a tombstone', async () => {
    await keyed.create('live', {}, soon)
    await keyed.destroy('dead')
    await rows.put('live', { data: { old: 1 }, expiresAt: soon })
    await rows.put('dead', { data: { old: 1 }, expiresAt: soon })
    assert.deepEqual((await read('live')).data, {})
    assert.equal(await keyed.read('dead'), undefined)
  })

  it('is not asked for where our own has expired, though the row would live on', async () => {
    await keyed.create('sid', {}, soon)
    await rows.put('sid', { data: { old: 1 }, expiresAt: never })
    stage.clock.advance(hour)
    assert.equal(await keyed.read('sid'), undefined)
  })

  it('is removed where the session is destroyed, also if it never was taken over', async () => {
    await rows.put('sid', { data: {}, expiresAt: soon })
    await keyed.destroy('sid')
    assert.equal(await rows.read('sid'), undefined)
    assert.equal(await keyed.read('sid'), undefined)
  })

  it('is removed where the session is made to end sooner', async () => {
    await rows.put('sid', { data: {}, expiresAt: soon })
    const kept = await read('sid')
    // As after a crash between the takeover and the removal.
    await rows.put('sid', { data: {}, expiresAt: soon })
    await keyed.save('sid', kept, {}, stage.clock.now() + minute)
    assert.equal(await rows.read('sid'), undefined)
  })

  it('of a user of whom everything was revoked is not taken over', async () => {
    await rows.put('sid', { data: { user: 'ada' }, expiresAt: soon })
    await keyed.revoke({ user: 'ada' })
    assert.equal(await keyed.read('sid'), undefined)
    assert.equal(await rows.read('sid'), undefined)
  })

  it('is remembered as destroyed for longer', async () => {
    await keyed.destroy('sid')
    stage.clock.advance(89 * 24 * hour)
    await rows.put('sid', { data: {}, expiresAt: never })
    assert.equal(await keyed.read('sid'), undefined)
  })

  it('that has expired is nothing', async () => {
    await rows.put('sid', { data: {}, expiresAt: soon })
    stage.clock.advance(hour)
    assert.equal(await keyed.read('sid'), undefined)
  })
})

describe('settings of sessions by secret id', () => {
  it('that cannot be honoured are refused', () => {
    const bad: KeyedOptions[] = [{ longest: 0 }, { revocationBound: 0 }, { conflicts: 'first' as never }]
    for (const options of bad) assert.throws(() => another(options), { code: 'HOLDFAST_INVALID_OPTION' })
    assert.throws(() => another({ retention: '5 bananas' as '5m' }), { code: 'HOLDFAST_INVALID_DURATION' })
  })

  it('are needed to revoke: a user or labels', async () => {
    await assert.rejects(keyed.revoke({}), { code: 'HOLDFAST_INVALID_OPTION' })
  })
})
