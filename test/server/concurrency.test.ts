import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { folderFor, serve, type Server } from './running.ts'

const keys = Array.from({ length: 20 }, (_, i) => `key${i}`)

async function start(server: Server, data: object = {}): Promise<string> {
  return (await server.expect(201, 'POST', '/v1/sessions', { user: 'ada', data }))['session']!
}

/** Sets every key by a request of its own, all at once, each by one of the servers in turn. */
async function setAll(servers: readonly Server[], session: string): Promise<void> {
  await Promise.all(
    keys.map((key, i) =>
      servers[i % servers.length]!.expect(200, 'PATCH', '/v1/sessions', { session, set: { [key]: i } }),
    ),
  )
}

/** A store that two services can share. */
interface SharedStore {
  readonly name: string
  /** Missing: an SQLite file in the folder. */
  readonly url?: string | undefined
  readonly missing?: string | undefined
}

const { HOLDFAST_TEST_REDIS: redis, HOLDFAST_TEST_REDIS_CLUSTER: cluster } = process.env
const nodes = cluster?.split(',').map((url) => new URL(url).host)
const stores: readonly SharedStore[] = [
  { name: 'SQLite' },
  { name: 'Redis', url: redis, missing: redis ? undefined : 'HOLDFAST_TEST_REDIS is not set' },
  {
    name: 'Redis Cluster',
    url: nodes && `redis://${nodes.join(',')}`,
    missing: nodes ? undefined : 'HOLDFAST_TEST_REDIS_CLUSTER is not set',
  },
]

async function serveTwo(
  t: TestContext,
  { url }: SharedStore = { name: 'SQLite' },
): Promise<readonly [Server, Server]> {
  const folder = await folderFor(t)
  const namespace = `test-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`
  const environment = url === undefined ? {} : { HOLDFAST_STORE: url, HOLDFAST_NAMESPACE: namespace }
  return [await serve(t, { folder, environment }), await serve(t, { folder, environment })]
}

describe('many requests at once, in memory', () => {
  it('keeps all 20 keys, and lets nothing bring the session back [races: H1]', async (t) => {
    const server = await serve(t, { folder: await folderFor(t), environment: { HOLDFAST_STORE: 'memory:' } })
    const session = await start(server)
    await setAll([server], session)
    const { data } = await server.expect(200, 'POST', '/v1/sessions/load', { session })
    assert.deepEqual(Object.keys(data!).sort(), [...keys].sort())
    const changes = setAll([server], session).catch(() => undefined)
    await server.expect(204, 'POST', '/v1/sessions/logout', { session })
    await changes
    await server.expect(404, 'POST', '/v1/sessions/load', { session })
  })
})

for (const store of stores) {
  describe(
    `many requests at once to two services over one store: ${store.name}`,
    { skip: store.missing ?? false },
    () => {
      it('keeps all 20 keys that they set on one session', async (t) => {
        const servers = await serveTwo(t, store)
        const session = await start(servers[0])
        for (let round = 0; round < 3; round++) {
          await setAll(servers, session)
          for (const server of servers) {
            const { data } = await server.expect(200, 'POST', '/v1/sessions/load', { session })
            assert.deepEqual(Object.keys(data!).sort(), [...keys].sort())
          }
          await servers[0].expect(200, 'PATCH', '/v1/sessions', { session, delete: keys })
        }
      })

      it('lets nothing bring back a session that was ended while changes were in flight [D29 D44]', async (t) => {
        const servers = await serveTwo(t, store)
        for (const end of ['logout', 'delete', 'revoke'] as const) {
          for (let round = 0; round < 5; round++) await endInFlight(servers, end, `ada${round}`)
        }
      })
    },
  )
}

async function endInFlight(
  servers: readonly [Server, Server],
  end: 'logout' | 'delete' | 'revoke',
  user: string,
): Promise<void> {
  const { session, id } = await servers[0].expect(201, 'POST', '/v1/sessions', { user })
  const changes = keys.map(async (key, i) => {
    const { status } = await servers[i % 2]!.call('PATCH', '/v1/sessions', { session, set: { [key]: i } })
    assert.ok(status === 200 || status === 410, String(status))
  })
  await endOne(servers[1], end, { session: session!, id: id!, user })
  await Promise.all(changes)
  for (const server of servers) {
    await server.expect(404, 'POST', '/v1/sessions/load', { session })
    await server.expect(410, 'PATCH', '/v1/sessions', { session, set: { late: 1 } })
    await server.expect(404, 'GET', `/v1/sessions/${id!}`)
  }
}

describe('many requests at once', () => {
  it('keeps all 20 keys that 20 parallel requests set on one session [races: H1]', async (t) => {
    const server = await serve(t, { folder: await folderFor(t) })
    const session = await start(server, { before: true })
    await setAll([server], session)
    const { data } = await server.expect(200, 'POST', '/v1/sessions/load', { session })
    assert.deepEqual(data, { before: true, ...Object.fromEntries(keys.map((key, i) => [key, i])) })
  })

  it('gives one name to one of many', async (t) => {
    const servers = await serveTwo(t)
    const named = { user: 'ada', name: 'laptop', expiresIn: '1h' }
    const answers = await Promise.all(keys.map((_, i) => servers[i % 2]!.call('POST', '/v1/tokens', named)))
    const statuses = answers.map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 201).length, 1)
    assert.equal(statuses.filter((status) => status === 409).length, keys.length - 1)
  })

  it('refuses on one service, within the bound, what was revoked on the other', async (t) => {
    const [one, two] = await serveTwo(t)
    const made = await Promise.all(keys.map(() => one.expect(201, 'POST', '/v1/tokens', { user: 'ada' })))
    for (const { token } of made) {
      const { active } = await two.expect(200, 'POST', '/v1/introspect', undefined, {
        form: { token: token! },
      })
      assert.equal(active, true)
    }
    assert.deepEqual(await one.expect(200, 'POST', '/v1/tokens/revoke', { user: 'ada' }), {
      revoked: keys.length,
    })
    for (const { token } of made) {
      const { active } = await two.expect(200, 'POST', '/v1/introspect', undefined, {
        form: { token: token! },
      })
      assert.equal(active, false)
    }
  })
})

async function endOne(
  server: Server,
  how: 'logout' | 'delete' | 'revoke',
  { session, id, user }: { readonly session: string; readonly id: string; readonly user: string },
): Promise<void> {
  if (how === 'logout') await server.expect(204, 'POST', '/v1/sessions/logout', { session })
  if (how === 'delete') await server.expect(204, 'DELETE', `/v1/sessions/${id}`)
  if (how === 'revoke') await server.expect(200, 'POST', '/v1/sessions/revoke', { user })
}
