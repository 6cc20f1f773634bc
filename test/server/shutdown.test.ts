import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { until } from '../until.ts'
import { folderFor, holdfast, serve, type Server } from './running.ts'

const memory = { HOLDFAST_STORE: 'memory:' }

/** A request that the server has begun to read; the second part of its body comes when it is told to. */
async function slowRequest(server: Server, agent: Agent) {
  const body = JSON.stringify({ user: 'ada' })
  const asked = request(`${server.address}/v1/tokens`, {
    method: 'POST',
    agent,
    headers: {
      authorization: `Bearer ${server.root}`,
      'content-type': 'application/json',
      'content-length': body.length,
      expect: '100-continue',
    },
  })
  asked.flushHeaders()
  await once(asked, 'continue')
  asked.write(body.slice(0, 5))
  const answered = once(asked, 'response').then(
    ([response]) => (response as { statusCode: number }).statusCode,
  )
  answered.catch(() => undefined)
  return { finish: () => asked.end(body.slice(5)), answered }
}

async function ask(server: Server, path: string, agent: Agent): Promise<number> {
  const asked = request(`${server.address}${path}`, {
    agent,
    headers: { authorization: `Bearer ${server.root}` },
  }).end()
  const [response] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }]
  response.resume()
  return response.statusCode
}

/** Whether it takes no connections any more. */
async function refuses(server: Server): Promise<boolean> {
  return await fetch(`${server.address}/healthz`).then(
    () => false,
    () => true,
  )
}

function agentFor(t: TestContext): Agent {
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  return agent
}

describe('stopping', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`finishes what is under way and ends with 0 on ${signal}`, async (t) => {
      const server = await serve(t, { folder: await folderFor(t) })
      const { finish, answered } = await slowRequest(server, agentFor(t))
      server.child.kill(signal)
      await until('it accepts no connections', () => refuses(server))
      finish()
      assert.equal(await answered, 201)
      assert.equal(await server.ended(), 0)
      assert.ok(!server.output.err().includes('took too long'), 'it waited for a connection that nobody used')
    })
  }

  it('is up but not ready meanwhile, and refuses new work with a code', async (t) => {
    const environment = { ...memory, HOLDFAST_SHUTDOWN_DELAY: '3s' }
    const server = await serve(t, { folder: await folderFor(t), environment })
    assert.equal(await ask(server, '/readyz', agentFor(t)), 200)
    server.child.kill('SIGTERM')
    await until('it is not ready', async () => (await ask(server, '/readyz', agentFor(t))) === 503)
    assert.equal(await ask(server, '/healthz', agentFor(t)), 200)
    for (const path of ['/readyz', '/v1/tokens']) {
      const refused = await server.call('GET', path)
      assert.deepEqual([refused.status, refused.body['error']!['code']], [503, 'HOLDFAST_SHUTTING_DOWN'])
      assert.equal(refused.headers.get('connection'), 'close')
      assert.equal(refused.headers.get('retry-after'), '2')
    }
    assert.equal(await server.ended(), 0)
  })

  it('cuts off what takes longer than the grace', async (t) => {
    const environment = { ...memory, HOLDFAST_SHUTDOWN_GRACE: '300ms' }
    const server = await serve(t, { folder: await folderFor(t), environment })
    const { answered } = await slowRequest(server, agentFor(t))
    assert.equal(await server.end('SIGTERM'), 0)
    await assert.rejects(answered)
    assert.match(server.output.err(), /took too long to finish/)
  })

  it('ends at once on a second signal', async (t) => {
    const server = await serve(t, { folder: await folderFor(t), environment: memory })
    await slowRequest(server, agentFor(t))
    server.child.kill('SIGTERM')
    await until('it has heard the first', () => refuses(server))
    assert.equal(await server.end('SIGTERM'), 143)
  })

  it('keeps the revoked revoked and the live live over a restart', async (t) => {
    const folder = await folderFor(t)
    const first = await serve(t, { folder })
    const [kept, revoked] = [
      await first.expect(201, 'POST', '/v1/tokens', { user: 'ada' }),
      await first.expect(201, 'POST', '/v1/tokens', { user: 'ada' }),
    ]
    const { session } = await first.expect(201, 'POST', '/v1/sessions', { user: 'ada', data: { a: 1 } })
    const { session: ended } = await first.expect(201, 'POST', '/v1/sessions', { user: 'ada' })
    await first.expect(204, 'DELETE', `/v1/tokens/${revoked['id']!}`)
    await first.expect(204, 'POST', '/v1/sessions/logout', { session: ended })
    assert.equal(await first.end(), 0)
    const second = await serve(t, { folder })
    const answers = [kept, revoked].map(({ token }) =>
      second.expect(200, 'POST', '/v1/introspect', undefined, { form: { token: token! } }),
    )
    assert.deepEqual(
      (await Promise.all(answers)).map((each) => each['active'] as unknown),
      [true, false],
    )
    assert.deepEqual((await second.expect(200, 'POST', '/v1/sessions/load', { session }))['data'], { a: 1 })
    await second.expect(404, 'POST', '/v1/sessions/load', { session: ended })
  })
})

describe('starting', () => {
  it('says in one line that the port is taken, and ends with 1', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    t.after(() => taken.close())
    const { port } = taken.address() as { port: number }
    const environment = { ...memory, HOLDFAST_PORT: String(port) }
    const { code, out, err } = await holdfast(['serve'], { folder: await folderFor(t), environment })
    assert.equal(code, 1)
    assert.equal(out, '')
    assert.match(err, new RegExp(`^holdfast: .*EADDRINUSE.*${port}; .*--port or HOLDFAST_PORT.*\\n$`))
  })

  it('says in one line where it listens, on what store, and how to get the root credential', async (t) => {
    const server = await serve(t, { folder: await folderFor(t) })
    const { out } = server.output
    assert.match(
      out(),
      /^holdfast \d+\.\d+\.\d+ on http:\/\/127\.0\.0\.1:\d+, store \S.*, root credential in \.holdfast\/root-token\n$/,
    )
  })

  it('takes the root credential from the environment', async (t) => {
    const environment = { ...memory, HOLDFAST_ROOT_TOKEN: 'an-operators-own-root-credential' }
    const server = await serve(t, { folder: await folderFor(t), environment })
    await server.expect(200, 'GET', '/v1/tokens')
    assert.match(server.output.out(), /root credential from HOLDFAST_ROOT_TOKEN\n$/)
  })

  it('reads sealed values again after a restart, and refuses to guess without the ring', async (t) => {
    const folder = await folderFor(t)
    const sealed = { HOLDFAST_SEAL: 'true' }
    const first = await serve(t, { folder, environment: sealed })
    const { token } = await first.expect(201, 'POST', '/v1/tokens', { user: 'ada' })
    await first.end()
    const second = await serve(t, { folder, environment: sealed })
    const form = { token: token! }
    assert.equal((await second.expect(200, 'POST', '/v1/introspect', undefined, { form }))['active'], true)
    await second.end()
    const plain = await serve(t, { folder })
    const refused = await plain.call('POST', '/v1/introspect', undefined, { form })
    assert.deepEqual([refused.status, refused.body['code']], [503, 'HOLDFAST_KEY_UNKNOWN'])
  })

  it('sweeps by itself', async (t) => {
    const environment = { ...memory, HOLDFAST_SWEEP_EVERY: '50ms' }
    const server = await serve(t, { folder: await folderFor(t), environment })
    await until('it has swept', () => /"removed":0.*"swept the expired"/.test(server.output.err()))
  })
})
