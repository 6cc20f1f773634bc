import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { InProcess, root } from './in-process.ts'
import { tampered, type Tree } from './running.ts'

const hour = 3_600_000

describe('tokens over HTTP', () => {
  let service: InProcess
  beforeEach(async () => {
    service = await new InProcess().start()
  })

  async function issue(body: Record<string, unknown> = {}, as = root): Promise<Tree> {
    return await service.expect(201, 'POST', '/v1/tokens', { user: 'ada', scopes: ['read'], ...body }, { as })
  }

  async function isActive(token: string): Promise<boolean> {
    const answer = await service.expect(200, 'POST', '/v1/introspect', undefined, { form: { token } })
    return (answer as unknown as { active: boolean }).active
  }

  it('issues a token and shows its credential once', async () => {
    const made = await issue({ expiresIn: '2h', name: 'laptop', labels: ['tenant:acme'] })
    assert.deepEqual(Object.keys(made), [
      'token',
      'id',
      'user',
      'scopes',
      'name',
      'labels',
      'createdAt',
      'expiresAt',
    ])
    assert.equal(made['expiresAt'], new Date(service.clock.now() + 2 * hour).toISOString())
    const { token, ...rest } = made as unknown as Record<string, unknown>
    assert.deepEqual(await service.expect(200, 'GET', `/v1/tokens/${String(made['id'])}`), rest)
    const listed = await service.call('GET', '/v1/tokens?user=ada')
    assert.deepEqual(listed.body, { tokens: [rest] })
    assert.ok(!listed.text.includes(String(token)))
  })

  it('lives an hour unless told otherwise, for ever when told, or until an instant', async () => {
    assert.equal((await issue())['expiresAt'], new Date(service.clock.now() + hour).toISOString())
    assert.equal((await issue({ expiresIn: 'never' }))['expiresAt'], null)
    const at = '2026-03-01T10:00:00+02:00'
    assert.equal((await issue({ expiresAt: at }))['expiresAt'], '2026-03-01T08:00:00.000Z')
  })

  it('is active until it expires, and not at that instant', async () => {
    const { token } = await issue({ expiresIn: '1h' })
    service.clock.advance(hour - 1)
    assert.equal(await isActive(token!), true)
    service.clock.advance(1)
    assert.equal(await isActive(token!), false)
  })

  it('revokes by id, by credential, by user and by label, and lists what was revoked', async () => {
    const [one, two, three, four] = [
      await issue(),
      await issue(),
      await issue({ user: 'bob', labels: ['tenant:acme'] }),
      await issue({ user: 'eve' }),
    ]
    await service.expect(204, 'DELETE', `/v1/tokens/${one['id']!}`)
    await service.expect(200, 'POST', '/v1/revoke', undefined, { form: { token: two['token']! } })
    assert.deepEqual(await service.expect(200, 'POST', '/v1/tokens/revoke', { labels: ['tenant:acme'] }), {
      revoked: 1,
    })
    assert.deepEqual(await service.expect(200, 'POST', '/v1/tokens/revoke', { user: 'nobody' }), {
      revoked: 0,
    })
    for (const gone of [one, two, three]) assert.equal(await isActive(gone['token']!), false)
    assert.equal(await isActive(four['token']!), true)
    const { revocations } = await service.expect(200, 'GET', '/v1/revocations')
    assert.deepEqual(
      revocations!.map((each) => each['id']).sort(),
      [one, two, three].map((each) => each['id']).sort(),
    )
    assert.deepEqual(Object.keys(revocations![0]!).sort(), ['expiresAt', 'id', 'revokedAt', 'user', 'why'])
  })

  it('lists revocations since an instant', async () => {
    const old = await issue({ expiresIn: '90d' })
    await service.expect(204, 'DELETE', `/v1/tokens/${old['id']!}`)
    service.clock.advance(5 * hour)
    const young = await issue({ expiresIn: '90d' })
    await service.expect(204, 'DELETE', `/v1/tokens/${young['id']!}`)
    const since = new Date(service.clock.now() - hour).toISOString()
    const { revocations } = await service.expect(200, 'GET', `/v1/revocations?since=${since}`)
    assert.deepEqual(
      revocations!.map((each) => each['id']),
      [young['id']],
    )
  })

  it('pages through listings, each token once', async () => {
    const made = new Set<string>()
    for (let i = 0; i < 7; i++) made.add((await issue())['id']!)
    const met: string[] = []
    let after = ''
    do {
      const page = await service.expect(200, 'GET', `/v1/tokens?user=ada&limit=3${after}`)
      met.push(...page['tokens']!.map((each) => each['id'] as string))
      after = page['next'] === undefined ? '' : `&after=${encodeURIComponent(page['next'])}`
    } while (after !== '')
    assert.deepEqual(met.sort(), [...made].sort())
  })

  it('ANDs the user and several labels', async () => {
    await issue({ labels: ['tenant:a', 'device:x'] })
    const both = await issue({ labels: ['tenant:a', 'device:y'] })
    await issue({ user: 'bob', labels: ['tenant:a', 'device:y'] })
    const { tokens } = await service.expect(200, 'GET', '/v1/tokens?user=ada&label=tenant:a&label=device:y')
    assert.deepEqual(
      tokens!.map((each) => each['id']),
      [both['id']],
    )
  })

  it('lets a token with holdfast:manage do everything but give holdfast: scopes', async () => {
    const { token } = await issue({ scopes: ['holdfast:manage'] })
    const managed = await issue({ user: 'bob' }, token)
    await service.expect(204, 'DELETE', `/v1/tokens/${managed['id']!}`, undefined, { as: token! })
    await service.expect(200, 'POST', '/v1/introspect', undefined, { as: token!, form: { token: token! } })
    for (const scope of ['holdfast:manage', 'holdfast:introspect', 'holdfast:anything']) {
      const wanted = ['POST', '/v1/tokens', { user: 'eve', scopes: ['read', scope] }] as const
      await service.refuses(403, 'HOLDFAST_SCOPE_RESERVED', wanted, { as: token! })
    }
  })

  it('stops a managing token at once when it is revoked', async () => {
    const { token, id } = await issue({ scopes: ['holdfast:manage'] })
    await service.expect(200, 'GET', '/v1/tokens', undefined, { as: token! })
    await service.expect(204, 'DELETE', `/v1/tokens/${id!}`)
    await service.refuses(401, 'HOLDFAST_UNAUTHENTICATED', ['GET', '/v1/tokens'], { as: token! })
  })
})

describe('introspection and revocation (RFC 7662, RFC 7009)', () => {
  let service: InProcess
  beforeEach(async () => {
    service = await new InProcess().start()
  })

  async function introspect(token: string): Promise<Tree> {
    return await service.expect(200, 'POST', '/v1/introspect', undefined, { form: { token } })
  }

  it('answers what the RFC names, times in seconds', async () => {
    const body = { user: 'ada', scopes: ['read', 'write'], expiresIn: '1h', labels: ['client:cli'] }
    const { token, id } = await service.expect(201, 'POST', '/v1/tokens', body)
    const now = service.clock.now() / 1000
    assert.deepEqual(await introspect(token!), {
      active: true,
      scope: 'read write',
      client_id: 'cli',
      username: 'ada',
      token_type: 'Bearer',
      exp: now + 3600,
      iat: now,
      sub: 'ada',
      jti: id,
    })
  })

  it('leaves exp out where a token never expires', async () => {
    const { token } = await service.expect(201, 'POST', '/v1/tokens', { user: 'ada', expiresIn: 'never' })
    assert.equal('exp' in (await introspect(token!)), false)
  })

  it('answers exactly {"active":false} for everything else', async () => {
    const { token, id } = await service.expect(201, 'POST', '/v1/tokens', { user: 'ada', expiresIn: '1h' })
    const { session } = await service.expect(201, 'POST', '/v1/sessions', { user: 'ada' })
    const other = await new InProcess().start()
    const foreign = await other.expect(201, 'POST', '/v1/tokens', { user: 'ada' })
    const changed = tampered(token!)
    const wrongSecret = foreign['token']!.replace(foreign['id']!, id!)
    const inactive = [
      changed,
      wrongSecret,
      foreign['token']!,
      session!,
      root,
      id!,
      'rubbish',
      '.',
      'hft_.',
      'é',
      token!.toUpperCase(),
    ]
    for (const each of inactive) {
      const answer = await service.call('POST', '/v1/introspect', undefined, { form: { token: each } })
      assert.deepEqual([answer.status, answer.text], [200, '{"active":false}'], each)
    }
    assert.equal((await introspect(token!))['active'], true)
  })

  it('is not to be cached', async () => {
    for (const path of ['/v1/introspect', '/v1/revoke']) {
      const { headers } = await service.call('POST', path, undefined, { form: { token: 'x' } })
      assert.equal(headers['cache-control'], 'no-store')
      assert.match(String(headers['content-type']), /^application\/json/)
    }
  })

  it('revokes tokens and sessions by their credential, and answers 200 for what is none', async () => {
    const { token } = await service.expect(201, 'POST', '/v1/tokens', { user: 'ada' })
    const { session } = await service.expect(201, 'POST', '/v1/sessions', { user: 'ada' })
    for (const credential of [token!, token!, session!, session!, 'rubbish', root]) {
      const answer = await service.call('POST', '/v1/revoke', undefined, { form: { token: credential } })
      assert.deepEqual([answer.status, answer.text], [200, '{}'])
    }
    assert.equal((await introspect(token!))['active'], false)
    await service.refuses(404, 'HOLDFAST_SESSION_NOT_FOUND', ['POST', '/v1/sessions/load', { session }])
  })

  it('ignores parameters that it does not know and the hint', async () => {
    const { token } = await service.expect(201, 'POST', '/v1/tokens', { user: 'ada' })
    const form = { token: token!, token_type_hint: 'refresh_token', future: 'parameter' }
    assert.equal((await service.expect(200, 'POST', '/v1/introspect', undefined, { form }))['active'], true)
  })

  it('writes errors as RFC 6749 does, with the stable code beside', async () => {
    const { token } = await service.expect(201, 'POST', '/v1/tokens', {
      user: 'ada',
      scopes: ['holdfast:introspect'],
    })
    const missing = await service.call('POST', '/v1/introspect', undefined, { form: { other: 'x' } })
    assert.equal(missing.status, 400)
    assert.deepEqual(
      [missing.body['error'], missing.body['code']],
      ['invalid_request', 'HOLDFAST_INVALID_REQUEST'],
    )
    assert.equal(typeof missing.body['error_description'], 'string')
    const twice = await service.call('POST', '/v1/introspect', undefined, {
      raw: 'token=a&token=b',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    assert.deepEqual([twice.status, twice.body['error']], [400, 'invalid_request'])
    const nobody = await service.call('POST', '/v1/introspect', undefined, { as: null, form: { token: 'x' } })
    assert.deepEqual([nobody.status, nobody.body['error']], [401, 'invalid_client'])
    assert.equal(nobody.headers['www-authenticate'], 'Bearer realm="holdfast"')
    const wrong = await service.call('POST', '/v1/introspect', undefined, {
      as: 'wrong',
      form: { token: 'x' },
    })
    assert.match(String(wrong.headers['www-authenticate']), /error="invalid_token"/)
    const scope = await service.call('POST', '/v1/revoke', undefined, { as: token!, form: { token: 'x' } })
    assert.deepEqual([scope.status, scope.body['error']], [403, 'insufficient_scope'])
    assert.match(String(scope.headers['www-authenticate']), /error="insufficient_scope"/)
    const json = await service.call('POST', '/v1/introspect', { token: 'x' })
    assert.deepEqual([json.status, json.body['code']], [415, 'HOLDFAST_UNSUPPORTED_MEDIA_TYPE'])
  })

  it('answers an outage as an outage, never as inactive [G46]', async () => {
    const { token } = await service.expect(201, 'POST', '/v1/tokens', { user: 'ada' })
    service.plan = ({ operation }) => (operation === 'read' ? 'fail' : undefined)
    const answer = await service.call('POST', '/v1/introspect', undefined, { form: { token: token! } })
    assert.deepEqual(
      [answer.status, answer.body['error'], answer.body['code'], answer.headers['retry-after']],
      [503, 'temporarily_unavailable', 'HOLDFAST_STORE_UNAVAILABLE', '2'],
    )
  })
})
