import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { InProcess } from './in-process.ts'
import type { Tree } from './running.ts'

const minute = 60_000

describe('sessions over HTTP', () => {
  let service: InProcess
  beforeEach(async () => {
    service = await new InProcess().start()
  })

  async function start(body: Record<string, unknown> = { user: 'ada' }): Promise<Tree> {
    return await service.expect(201, 'POST', '/v1/sessions', body)
  }

  async function load(session: string | undefined): Promise<Tree> {
    return await service.expect(200, 'POST', '/v1/sessions/load', { session })
  }

  async function isGone(session: string | undefined): Promise<void> {
    await service.refuses(404, 'HOLDFAST_SESSION_NOT_FOUND', ['POST', '/v1/sessions/load', { session }])
  }

  it('starts a session and loads it by its credential', async () => {
    const made = await start({
      user: 'ada',
      data: { cart: [1, 2], deep: { a: null } },
      labels: ['device:phone'],
    })
    const loaded = await load(made['session'])
    assert.deepEqual(loaded['data'], { cart: [1, 2], deep: { a: null } })
    assert.equal(loaded['user'], 'ada')
    assert.equal(loaded['id'], made['id'])
    assert.equal('session' in loaded, false)
  })

  it('starts a session of nobody', async () => {
    const made = await start({})
    assert.equal(made['user'], null)
    assert.deepEqual(made['data'], {})
  })

  it('sets and deletes keys, and leaves the others', async () => {
    const { session } = await start({ data: { a: 1, b: 2, c: 3 } })
    const saved = await service.expect(200, 'PATCH', '/v1/sessions', {
      session,
      set: { b: 'two', d: 4 },
      delete: ['a'],
    })
    assert.deepEqual(saved['data'], { b: 'two', c: 3, d: 4 })
    assert.deepEqual((await load(session))['data'], { b: 'two', c: 3, d: 4 })
  })

  it('ends when it is idle, and each use prolongs it', async () => {
    const { session } = await start()
    for (let i = 0; i < 4; i++) {
      service.clock.advance(29 * minute)
      await load(session)
    }
    service.clock.advance(34 * minute)
    await isGone(session)
  })

  it('ends after its absolute timeout, however busy it is', async () => {
    const { session } = await start()
    for (let i = 0; i < 12 * 3 - 1; i++) {
      service.clock.advance(20 * minute)
      await load(session)
    }
    service.clock.advance(20 * minute)
    await isGone(session)
  })

  it('rotates: the new credential is told, and the old one leads to it for a while', async () => {
    const { session: first } = await start()
    const { session: second } = await service.expect(200, 'POST', '/v1/sessions/rotate', { session: first })
    assert.notEqual(second, first)
    assert.equal((await load(first))['session'], second)
    assert.equal('session' in (await load(second)), false)
    service.clock.advance(2 * minute)
    await isGone(first)
    await load(second)
  })

  it('logs in on a session, and nothing known before opens it any more [races: J1]', async () => {
    const { session: anonymous } = await start({ data: { cart: 1 } })
    const logged = await service.expect(200, 'POST', '/v1/sessions/login', {
      session: anonymous,
      user: 'ada',
    })
    assert.equal(logged['user'], 'ada')
    await isGone(anonymous)
    assert.deepEqual((await load(logged['session']))['data'], { cart: 1 })
  })

  it('logs out, also by a credential that was rotated away [races: A2]', async () => {
    const { session: first } = await start()
    const { session: second } = await service.expect(200, 'POST', '/v1/sessions/rotate', { session: first })
    await service.expect(204, 'POST', '/v1/sessions/logout', { session: first })
    await isGone(second)
    await service.expect(204, 'POST', '/v1/sessions/logout', { session: first })
    await service.expect(204, 'POST', '/v1/sessions/logout', { session: 'rubbish' })
  })

  it('refuses every change of a session that has ended, with 410', async () => {
    const { session } = await start()
    await service.expect(204, 'POST', '/v1/sessions/logout', { session })
    await service.refuses(410, 'HOLDFAST_SESSION_GONE', ['PATCH', '/v1/sessions', { session, set: { a: 1 } }])
    await service.refuses(410, 'HOLDFAST_SESSION_GONE', ['POST', '/v1/sessions/rotate', { session }])
    await service.refuses(410, 'HOLDFAST_SESSION_GONE', [
      'POST',
      '/v1/sessions/login',
      { session, user: 'ada' },
    ])
    await isGone(session)
  })

  it('refuses two changes of one key to different values, with 409', async () => {
    const { session } = await start({ data: { n: 0 } })
    let loads = 0
    // Nobody writes before both have loaded the session.
    service.hold = async ({ operation, keys }) => {
      if (operation === 'read' && keys.some(({ collection }) => collection === 'sessions')) loads++
      while (operation === 'replace' && loads < 2) await setImmediate()
    }
    const answers = await Promise.all(
      [1, 2].map((n) => service.call('PATCH', '/v1/sessions', { session, set: { n } })),
    )
    const statuses = answers.map(({ status }) => status).sort()
    assert.deepEqual(statuses, [200, 409])
    const refused = answers.find(({ status }) => status === 409)!
    assert.equal(refused.body['error']!['code'], 'HOLDFAST_CONFLICTING_CHANGE')
    assert.match(refused.body['error']!['message']!, /"n"/)
  })

  it('lists, shows and ends sessions by id', async () => {
    const [one, two] = [await start({ user: 'ada', labels: ['device:phone'] }), await start()]
    await start({ user: 'bob' })
    const listed = await service.call('GET', '/v1/sessions?user=ada')
    assert.deepEqual(listed.body['sessions']!.map((each) => each['id']).sort(), [one['id'], two['id']].sort())
    assert.ok(!listed.text.includes(one['session']!))
    const shown = await service.expect(200, 'GET', `/v1/sessions/${one['id']!}`)
    assert.deepEqual(shown['labels'], ['device:phone', 'user:ada'])
    await service.expect(204, 'DELETE', `/v1/sessions/${one['id']!}`)
    await service.refuses(404, 'HOLDFAST_SESSION_NOT_FOUND', ['DELETE', `/v1/sessions/${one['id']!}`])
    await service.refuses(404, 'HOLDFAST_SESSION_NOT_FOUND', ['GET', `/v1/sessions/${one['id']!}`])
    await isGone(one['session'])
    await load(two['session'])
  })

  it('logs out all other devices', async () => {
    const [here, there, everywhere] = [await start(), await start(), await start()]
    const body = { user: 'ada', except: here['id'] }
    assert.deepEqual(await service.expect(200, 'POST', '/v1/sessions/revoke', body), { revoked: 2 })
    await load(here['session'])
    await isGone(there['session'])
    await isGone(everywhere['session'])
    await load((await start())['session'])
  })
})

describe('a login in two steps', () => {
  let service: InProcess
  beforeEach(async () => {
    service = await new InProcess().start()
  })

  async function begin(user = 'ada'): Promise<string> {
    return (await service.expect(200, 'POST', '/v1/sessions/begin', { user }))['login']!
  }

  it('starts and logs in with what begin answered', async () => {
    const started = await service.expect(201, 'POST', '/v1/sessions', { login: await begin() })
    assert.equal(started['user'], 'ada')
    const { session } = await service.expect(201, 'POST', '/v1/sessions', {})
    const logged = await service.expect(200, 'POST', '/v1/sessions/login', {
      session,
      login: await begin('bob'),
    })
    assert.equal(logged['user'], 'bob')
  })

  it('loses against a revocation that came after begin [races: E2]', async () => {
    const login = await begin()
    const { session } = await service.expect(201, 'POST', '/v1/sessions', {})
    await service.expect(200, 'POST', '/v1/sessions/revoke', { user: 'ada' })
    await service.refuses(409, 'HOLDFAST_REVOKED_MEANWHILE', ['POST', '/v1/sessions', { login }])
    await service.refuses(409, 'HOLDFAST_REVOKED_MEANWHILE', [
      'POST',
      '/v1/sessions/login',
      { session, login },
    ])
    assert.deepEqual((await service.expect(200, 'GET', '/v1/sessions?user=ada'))['sessions'], [])
    await service.expect(201, 'POST', '/v1/sessions', { login: await begin() })
  })

  it('does not last longer than ten minutes', async () => {
    const login = await begin()
    service.clock.advance(10 * minute - 1)
    await service.expect(201, 'POST', '/v1/sessions', { login })
    service.clock.advance(1)
    await service.refuses(400, 'HOLDFAST_INVALID_LOGIN', ['POST', '/v1/sessions', { login }])
  })

  it('cannot be made or changed by a caller, nor brought from another installation', async () => {
    const login = await begin()
    const bytes = Buffer.from(login, 'base64url')
    const changed = Array.from({ length: bytes.length }, (_, i) => {
      const copy = Buffer.from(bytes)
      copy[i] = copy[i]! ^ 1
      return copy.toString('base64url')
    })
    const own = Buffer.from(
      JSON.stringify({ login: { user: 'ada', epochs: { 'user:ada': 9e15 }, at: 9e15 } }),
    )
    const foreign = await (
      await new InProcess().start()
    ).expect(200, 'POST', '/v1/sessions/begin', { user: 'ada' })
    for (const forged of [
      ...changed,
      own.toString('base64url'),
      own.toString(),
      foreign['login']!,
      'x',
      '\u0000',
    ]) {
      await service.refuses(400, 'HOLDFAST_INVALID_LOGIN', ['POST', '/v1/sessions', { login: forged }])
    }
  })

  it('tells nothing of the epochs in clear', async () => {
    await service.expect(200, 'POST', '/v1/sessions/revoke', { user: 'ada' })
    assert.ok(
      !Buffer.from(await begin(), 'base64url')
        .toString('latin1')
        .includes('epochs'),
    )
  })
})
