import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { serverKinds } from '../../scripts/servers/index.ts'
import type { ServerKind } from '../../scripts/servers/kind.ts'
import { describeFound, getServers } from '../../scripts/servers/launch.ts'

const kind: ServerKind = {
  name: 'Given',
  variable: 'HOLDFAST_TEST_GIVEN',
  defaultPort: 1,
  recipes: [],
}

describe('the test servers', () => {
  it('are each told by a variable of their own', () => {
    const variables = serverKinds.map(({ variable }) => variable)
    assert.equal(new Set(variables).size, variables.length)
    for (const variable of variables) assert.match(variable, /^HOLDFAST_TEST_[A-Z_]+$/)
  })

  it('are missing, with the reason, when they are never started and none is given', async (t) => {
    const { missing, environment } = await given(t, undefined)
    assert.match(missing[0]?.reason ?? '', /give one by HOLDFAST_TEST_GIVEN/)
    assert.deepEqual(environment, {})
  })

  it('are taken as they are given, when each of several hosts answers', async (t) => {
    const [one, another] = [await listening(t), await listening(t)]
    for (const address of [
      `memcached://127.0.0.1:${one},127.0.0.1:${another}`,
      `redis://127.0.0.1:${one},redis://127.0.0.1:${another}`,
      `redis+sentinel://127.0.0.1:${one},localhost:${another}/mymaster`,
      `mongodb://me:secret@127.0.0.1:${one}/app?replicaSet=rs0`,
    ]) {
      const { found, environment } = await given(t, address)
      assert.deepEqual(environment, { HOLDFAST_TEST_GIVEN: address })
      const [server] = found
      assert.doesNotMatch(server ? describeFound(server) : 'secret', /secret/)
    }
    const { missing } = await given(t, `memcached://127.0.0.1:${one},127.0.0.1`)
    assert.match(missing[0]?.reason ?? '', /says 127\.0\.0\.1:1, but nothing answers there/)
  })
})

async function given(t: TestContext, address: string | undefined): ReturnType<typeof getServers> {
  t.mock.method(console, 'log', () => undefined)
  if (address === undefined) delete process.env['HOLDFAST_TEST_GIVEN']
  else process.env['HOLDFAST_TEST_GIVEN'] = address
  try {
    return await getServers([kind])
  } finally {
    delete process.env['HOLDFAST_TEST_GIVEN']
    t.mock.restoreAll()
  }
}

/** The port of something that takes connections. */
async function listening(t: TestContext): Promise<number> {
  const server = createServer((socket) => socket.destroy())
  t.after(() => {
    server.close()
  })
  server.listen(0)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
