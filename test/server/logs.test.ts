import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { folderFor, serve, tampered } from './running.ts'

describe('the log', () => {
  it('is one JSON object a line, and holds no secret of a busy run', async (t) => {
    const folder = await folderFor(t)
    const server = await serve(t, {
      folder,
      environment: { HOLDFAST_LOG_LEVEL: 'trace', HOLDFAST_SEAL: 'true' },
    })
    const secrets = new Set<string>([server.root])
    const keep = (text: string | undefined) => secrets.add(text!)

    const made = await server.expect(201, 'POST', '/v1/tokens', {
      user: 'ada',
      scopes: ['holdfast:manage'],
      name: 'n',
    })
    const { session, id } = await server.expect(201, 'POST', '/v1/sessions', {
      user: 'ada',
      data: { pin: 'pin-4711' },
    })
    const rotated = await server.expect(200, 'POST', '/v1/sessions/rotate', { session })
    const { login } = await server.expect(200, 'POST', '/v1/sessions/begin', { user: 'ada' })
    const logged = await server.expect(200, 'POST', '/v1/sessions/login', {
      session: rotated['session'],
      login,
    })
    for (const each of [made['token'], session, rotated['session'], login, logged['session'], 'pin-4711'])
      keep(each)

    const token = made['token']!
    const guess = tampered(token)
    const stolen = token.replace(/\.[A-Za-z0-9_-]{8}/, '.AAAAAAAA')
    for (const each of [guess, stolen, 'wrong-credential-4712']) keep(each)
    await server.call('GET', `/v1/tokens/${token}`)
    await server.call('GET', `/v1/tokens?after=${token}`)
    await server.call('GET', `/v1/tokens?token=${token}`, undefined, { headers: { cookie: `s=${session!}` } })
    await server.call('GET', `/${token}`)
    await server.call('GET', '/v1/tokens', undefined, { as: guess })
    await server.call('GET', '/v1/tokens', undefined, { as: 'wrong-credential-4712' })
    await server.call('POST', '/v1/introspect', undefined, { form: { token: stolen } })
    await server.call('POST', '/v1/introspect', undefined, { form: { token, extra: token } })
    await server.call('POST', '/v1/tokens', undefined, { raw: `{"user": ${token}` })
    await server.call('POST', '/v1/tokens', { user: 5, [token]: token })
    await server.call('PATCH', '/v1/sessions', { session: logged['session'], set: { password: 'pin-4711' } })
    await server.call('POST', '/v1/sessions/load', { session })
    await server.call('DELETE', `/v1/sessions/${id!}`)
    await server.call('POST', '/v1/revoke', undefined, { form: { token } })
    assert.equal(await server.end(), 0)

    const written = server.output.out() + server.output.err()
    for (const secret of secrets) {
      assert.ok(!written.includes(secret), 'a credential is in the log')
      const [, part] = /\.([A-Za-z0-9_-]{20,})$/.exec(secret) ?? []
      assert.ok(
        part === undefined || !written.includes(part.slice(0, 20)),
        'a part of a secret is in the log',
      )
    }
    const lines = server.output
      .err()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    const answered = lines.filter(({ msg }) => msg === 'answered')
    assert.ok(answered.length >= 19, `${answered.length} answers were logged`)
    for (const line of answered) {
      for (const field of ['method', 'route', 'status', 'ms', 'caller', 'reqId'])
        assert.ok(field in line, field)
    }
    assert.ok(answered.some(({ route, caller }) => route === '/v1/tokens/:id' && caller === 'root'))
  })

  it('names a caller by the id of its token', async (t) => {
    const server = await serve(t, { folder: await folderFor(t), environment: { HOLDFAST_STORE: 'memory:' } })
    const { token, id } = await server.expect(201, 'POST', '/v1/tokens', {
      user: 'ada',
      scopes: ['holdfast:manage'],
    })
    await server.expect(200, 'GET', '/v1/tokens', undefined, { as: token! })
    await server.end()
    assert.ok(server.output.err().includes(`"caller":"${id!}"`))
  })

  it('tells of a wrong secret as a security event', async (t) => {
    const server = await serve(t, { folder: await folderFor(t), environment: { HOLDFAST_STORE: 'memory:' } })
    const one = await server.expect(201, 'POST', '/v1/sessions', {})
    await server.expect(200, 'POST', '/v1/sessions/rotate', { session: one['session'] })
    await server.expect(200, 'POST', '/v1/sessions/login', { session: one['session'], user: 'ada' })
    await server.expect(404, 'POST', '/v1/sessions/load', { session: one['session'] })
    await server.end()
    assert.match(
      server.output.err(),
      new RegExp(`"collection":"sessions","id":"${one['id']!}".*"security event"`),
    )
  })
})
