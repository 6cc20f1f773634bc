import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { Provider } from 'oidc-provider'
import { StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { openStore } from '../../packages/holdfast/src/store/open.ts'
import { type OidcAdapter, oidcAdapter } from '../../packages/holdfast/src/web/oidc-provider.ts'
import { freshNamespace } from '../drivers/redis/targets.ts'
import { holding } from './holding-store.ts'
import { opened, stores } from './opened-stores.ts'

const token = (grantId: string, more: object = {}) => ({ grantId, accountId: 'ada', ...more })

for (const [name, url] of stores) {
  const skip = url ? false : `the URL of ${name} is not set: run this by \`npm test\``
  describe(`the adapter of oidc-provider over ${name}`, { skip }, () => {
    async function adapters(t: TestContext): Promise<(model: string) => OidcAdapter> {
      return oidcAdapter(await opened(t, url!))
    }

    it('finds what was stored, by id, by uid and by user code, and nothing else', async (t) => {
      const of = await adapters(t)
      const payload = { jti: 's1', uid: 'u1', accountId: 'ada', extra: { ünï: [1, null] } }
      await of('Session').upsert('s1', payload, 60)
      await of('DeviceCode').upsert('d1', { userCode: 'BCDF-GHJK', jti: 'd1' }, 60)
      assert.deepEqual(await of('Session').find('s1'), payload)
      assert.deepEqual(await of('Session').findByUid('u1'), payload)
      assert.equal((await of('DeviceCode').findByUserCode('BCDF-GHJK'))?.['jti'], 'd1')
      for (const id of ['s2', '', 'u1', 'Session:s1']) assert.equal(await of('Session').find(id), undefined)
      assert.equal(await of('AccessToken').find('s1'), undefined)
      assert.equal(await of('Session').findByUid('u2'), undefined)
      await of('Session').destroy('s1')
      assert.equal(await of('Session').find('s1'), undefined)
      assert.equal(await of('Session').findByUid('u1'), undefined)
    })

    it('hands out copies, and follows a session to its next id', async (t) => {
      const of = await adapters(t)
      await of('Session').upsert('s1', { uid: 'u1', a: { b: 1 } }, 60)
      const found = await of('Session').find('s1')
      ;(found!['a'] as { b: number }).b = 2
      assert.deepEqual(await of('Session').find('s1'), { uid: 'u1', a: { b: 1 } })
      await of('Session').destroy('s1')
      await of('Session').upsert('s2', { uid: 'u1', jti: 's2' }, 60)
      assert.equal((await of('Session').findByUid('u1'))?.['jti'], 's2')
    })

    it('ends what expires, and keeps what does not', async (t) => {
      const of = await adapters(t)
      await of('AccessToken').upsert('t1', token('g1'), 2)
      await of('RegistrationAccessToken').upsert('t2', { jti: 't2' })
      assert.ok(await of('AccessToken').find('t1'))
      await new Promise((resolve) => setTimeout(resolve, 2_050))
      assert.equal(await of('AccessToken').find('t1'), undefined)
      assert.ok(await of('RegistrationAccessToken').find('t2'))
    })

    it('lets one of many consume, and remembers it through a later upsert', async (t) => {
      const of = await adapters(t)
      await of('AuthorizationCode').upsert('c1', token('g1', { a: 1 }), 60)
      const consuming = Array.from({ length: 8 }, () => of('AuthorizationCode').consume('c1'))
      const ended = await Promise.allSettled(consuming)
      assert.equal(ended.filter(({ status }) => status === 'fulfilled').length, 1)
      await of('AuthorizationCode').upsert('c1', token('g1', { a: 2 }), 60)
      const { consumed, a } = (await of('AuthorizationCode').find('c1')) ?? {}
      assert.ok(Math.abs(Number(consumed) - Date.now() / 1_000) < 5)
      assert.equal(a, 2)
      for (const id of ['c1', 'c2']) {
        await assert.rejects(of('AuthorizationCode').consume(id), /invalid_grant/)
      }
    })

    it('revokes all of a grant, and nothing of another', async (t) => {
      const of = await adapters(t)
      for (let i = 0; i < 12; i++) await of('AccessToken').upsert(`a${i}`, token('g1'), 60)
      await of('RefreshToken').upsert('r1', token('g1'), 60)
      await of('RefreshToken').upsert('r2', token('g2'), 60)
      await of('Interaction').upsert('i1', token('g1'), 60)
      await of('AccessToken').revokeByGrantId('g1')
      for (let i = 0; i < 12; i++) assert.equal(await of('AccessToken').find(`a${i}`), undefined)
      assert.equal(await of('RefreshToken').find('r1'), undefined)
      assert.ok(await of('RefreshToken').find('r2'))
      assert.ok(await of('Interaction').find('i1'))
      // A grant that lives on may have new tokens.
      await of('AccessToken').upsert('later', token('g1'), 60)
      assert.ok(await of('AccessToken').find('later'))
    })

    it('brings nothing back after destroy', async (t) => {
      const of = await adapters(t)
      await of('Session').upsert('s1', { uid: 'u1' }, 60)
      await of('Session').destroy('s1')
      await of('Session').upsert('s1', { uid: 'u1', late: true }, 60)
      assert.equal(await of('Session').find('s1'), undefined)
      await of('AccessToken').destroy('never stored')
      await of('AccessToken').upsert('never stored', token('g1'), 60)
      assert.equal(await of('AccessToken').find('never stored'), undefined)
      await of('Client').upsert('app', { client_id: 'app' })
      await of('Client').destroy('app')
      await assert.rejects(of('Client').upsert('app', { client_id: 'app' }), /the client app was destroyed/)
    })

    it('leaves no token of a grant that is revoked while it is stored', async (t) => {
      const of = await adapters(t)
      for (let round = 0; round < 8; round++) {
        const grant = `g${round}`
        await of('Grant').upsert(grant, { jti: grant }, 60)
        const storing = Array.from({ length: 6 }, (_, i) =>
          of('AccessToken').upsert(`${grant}-${i}`, token(grant), 60),
        )
        // As the provider does it: both at once.
        await Promise.all([of('AccessToken').revokeByGrantId(grant), of('Grant').destroy(grant)])
        await Promise.all(storing)
        await of('AccessToken').upsert(`${grant}-late`, token(grant), 60)
        for (const i of [0, 1, 2, 3, 4, 5, 'late']) {
          assert.equal(await of('AccessToken').find(`${grant}-${i}`), undefined, `${grant}-${i}`)
        }
      }
    })

    it('leaves no token that is stored late, also where the grant lives on', async (t) => {
      const store = await opened(t, url!)
      const of = oidcAdapter(store)
      await of('Grant').upsert('g1', { jti: 'g1' }, 60)
      const { held, arrived, open } = holding(store)
      const storing = oidcAdapter(held)('AccessToken').upsert('t1', token('g1'), 60)
      await arrived
      await of('AccessToken').revokeByGrantId('g1')
      open()
      await storing
      assert.equal(await of('AccessToken').find('t1'), undefined)
    })

    it('takes a proof for new once, however many bring it', async (t) => {
      const of = await adapters(t)
      // The second is refused at once, as a fault of the client.
      const bringing = Array.from({ length: 6 }, () => of('ReplayDetection').upsert('p1', { iss: 'x' }, 60))
      const ended = await Promise.allSettled(bringing)
      assert.equal(ended.filter(({ status }) => status === 'fulfilled').length, 1)
      await assert.rejects(of('ReplayDetection').upsert('p1', { iss: 'x' }, 60), {
        message: 'invalid_request',
        statusCode: 400,
      })
    })
  })
}

it('the adapter fails where the store fails: an outage is no answer', async (t) => {
  const store = await opened(t, 'memory:')
  const of = oidcAdapter(store)
  await of('Session').upsert('s1', { uid: 'u1' }, 60)
  const away = new Proxy(store, {
    get: (target, name) => {
      if (name === 'view' || name === 'read') return () => Promise.reject(new StoreUnavailable('away'))
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  const broken = oidcAdapter(away)('Session')
  const asks = [() => broken.find('s1'), () => broken.findByUid('u1'), () => broken.destroy('s1')]
  for (const ask of [...asks, () => broken.upsert('s1', {}, 60)]) await assert.rejects(ask, /away/)
})

const memcached = process.env['HOLDFAST_TEST_MEMCACHED']
const withoutMemcached = memcached ? false : 'HOLDFAST_TEST_MEMCACHED is not set: run this by `npm test`'
it(
  'the adapter refuses to revoke a grant whose tokens it may miss',
  { skip: withoutMemcached },
  async (t) => {
    const store = await openStore(memcached!, { namespace: freshNamespace() })
    t.after(() => store.close())
    const of = oidcAdapter(store)
    await of('AccessToken').upsert('t1', token('g1'), 60)
    assert.ok(await of('AccessToken').find('t1'))
    await assert.rejects(of('AccessToken').revokeByGrantId('g1'), /cannot list all that belongs to a grant/)
  },
)

/** A provider with its development login, and one client of it. */
async function provided(t: TestContext) {
  const store = await opened(t, 'memory:')
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  // The provider warns that its login is for development: so is this.
  t.mock.method(console, 'info', () => undefined)
  t.mock.method(console, 'warn', () => undefined)
  const adapter = oidcAdapter(store)
  const provider = new Provider(issuer, {
    adapter,
    clients: [
      {
        client_id: 'app',
        client_secret: 'a secret',
        redirect_uris: ['https://app.example/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        scope: 'openid offline_access',
      },
    ],
    scopes: ['openid', 'offline_access'],
    cookies: { keys: ['a key'] },
    features: { revocation: { enabled: true }, introspection: { enabled: true } },
    rotateRefreshToken: true,
  })
  const answer = provider.callback()
  server.on('request', (request, response) => void answer(request, response))
  return { issuer, adapter, store }
}

/** A browser and a client, at a provider. */
class Client {
  readonly #issuer: string
  readonly #jar = new Map<string, string>()
  readonly #verifier = randomBytes(32).toString('base64url')

  constructor(issuer: string) {
    this.#issuer = issuer
  }

  /** Logs in and consents; gives the code. */
  async code(): Promise<string> {
    const challenge = createHash('sha256').update(this.#verifier).digest('base64url')
    const query = new URLSearchParams({
      client_id: 'app',
      response_type: 'code',
      redirect_uri: 'https://app.example/callback',
      scope: 'openid offline_access',
      prompt: 'consent',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    })
    let next = `${this.#issuer}/auth?${query.toString()}`
    for (let step = 0; step < 12; step++) {
      const response = await this.#visit(next)
      const location = response.headers.get('location')
      if (location?.startsWith('https://app.example/')) return new URL(location).searchParams.get('code')!
      if (location) {
        next = new URL(location, this.#issuer).href
        continue
      }
      const page = await response.text()
      const prompt = page.includes('name="login"') ? 'login' : 'consent'
      const form = new URLSearchParams({ prompt, login: 'ada', password: 'x' })
      const submitted = await this.#visit(next, { method: 'POST', body: form })
      next = new URL(submitted.headers.get('location')!, this.#issuer).href
    }
    assert.fail('no code after twelve steps')
  }

  async token(more: Record<string, string>): Promise<{ status: number; body: Record<string, string> }> {
    return await this.post('/token', more)
  }

  async exchange(code: string) {
    return await this.token({
      grant_type: 'authorization_code',
      code,
      redirect_uri: 'https://app.example/callback',
      code_verifier: this.#verifier,
    })
  }

  async post(path: string, more: Record<string, string>) {
    const body = new URLSearchParams(more)
    const authorization = `Basic ${Buffer.from('app:a secret').toString('base64')}`
    const response = await fetch(this.#issuer + path, { method: 'POST', body, headers: { authorization } })
    const text = await response.text()
    return { status: response.status, body: (text ? JSON.parse(text) : {}) as Record<string, string> }
  }

  async #visit(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.#jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      headers: { cookie, connection: 'close' },
    })
    for (const set of response.headers.getSetCookie()) {
      const [name = '', value = ''] = set.split(';')[0]!.split(/=(.*)/)
      if (value) this.#jar.set(name, value)
      else this.#jar.delete(name)
    }
    return response
  }
}

describe('oidc-provider over the adapter', () => {
  const isActive = async (client: Client, token: string) =>
    (await client.post('/token/introspection', { token })).body['active'] as unknown

  it('logs in, gives tokens, refreshes and revokes', async (t) => {
    const { issuer } = await provided(t)
    const client = new Client(issuer)
    const first = await client.exchange(await client.code())
    assert.equal(first.status, 200, JSON.stringify(first.body))
    const { access_token: access, refresh_token: refresh } = first.body
    assert.equal(await isActive(client, access!), true)
    const second = await client.token({ grant_type: 'refresh_token', refresh_token: refresh! })
    assert.equal(second.status, 200)
    assert.notEqual(second.body['refresh_token'], refresh)
    // The same session again: the provider finds it, and asks for consent only.
    assert.equal((await client.exchange(await client.code())).status, 200)
    const revoked = await client.post('/token/revocation', { token: second.body['refresh_token']! })
    assert.equal(revoked.status, 200)
    for (const each of [access!, second.body['access_token']!])
      assert.equal(await isActive(client, each), false)
  })

  it('gives one token for one code, and ends the grant of one that comes again', async (t) => {
    const { issuer } = await provided(t)
    const client = new Client(issuer)
    const code = await client.code()
    const answers = await Promise.all([1, 2, 3, 4].map(() => client.exchange(code)))
    const given = answers.filter(({ status }) => status === 200)
    assert.ok(given.length <= 1, JSON.stringify(answers))
    for (const { status, body } of answers) {
      assert.ok(status === 200 || (status === 400 && body['error'] === 'invalid_grant'), JSON.stringify(body))
    }
    const again = await client.exchange(code)
    assert.equal(again.status, 400)
    for (const { body } of given) assert.equal(await isActive(client, body['access_token']!), false)
  })

  it('ends the family of a refresh token that comes twice', async (t) => {
    const { issuer } = await provided(t)
    const client = new Client(issuer)
    const { body: first } = await client.exchange(await client.code())
    const refresh = (token: string) => client.token({ grant_type: 'refresh_token', refresh_token: token })
    const second = await refresh(first['refresh_token']!)
    assert.equal((await refresh(first['refresh_token']!)).status, 400)
    assert.equal((await refresh(second.body['refresh_token']!)).status, 400)
    assert.equal(await isActive(client, second.body['access_token']!), false)
  })
})
