import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as holdfast from 'holdfast'
import { refusalOf, statuses } from '../../packages/server/src/service/refusals.ts'
import { InProcess, root } from './in-process.ts'
import { type RequestOptions, tampered, type Tree } from './running.ts'

type Asked = readonly [string, string, unknown?]

/** Every route that needs a caller, asked properly. */
const asked: readonly Asked[] = [
  ['POST', '/v1/tokens', { user: 'ada' }],
  ['GET', '/v1/tokens'],
  ['GET', '/v1/tokens/unknown'],
  ['DELETE', '/v1/tokens/unknown'],
  ['POST', '/v1/tokens/revoke', { user: 'nobody' }],
  ['GET', '/v1/revocations'],
  ['POST', '/v1/sessions/begin', { user: 'ada' }],
  ['POST', '/v1/sessions', {}],
  ['POST', '/v1/sessions/load', { session: 'x' }],
  ['PATCH', '/v1/sessions', { session: 'x' }],
  ['POST', '/v1/sessions/rotate', { session: 'x' }],
  ['POST', '/v1/sessions/login', { session: 'x', user: 'ada' }],
  ['POST', '/v1/sessions/logout', { session: 'x' }],
  ['GET', '/v1/sessions'],
  ['GET', '/v1/sessions/unknown'],
  ['DELETE', '/v1/sessions/unknown'],
  ['POST', '/v1/sessions/revoke', { user: 'nobody' }],
  ['POST', '/v1/introspect'],
  ['POST', '/v1/revoke'],
]

const withBody = asked.filter(([, , body]) => body !== undefined)

describe('callers are refused', () => {
  let service: InProcess
  let token: Tree
  before(async () => {
    service = await new InProcess().start()
    token = await service.expect(201, 'POST', '/v1/tokens', {
      user: 'ada',
      scopes: ['read'],
      expiresIn: '1h',
    })
  })

  async function everywhere(status: number, code: string, options: RequestOptions): Promise<void> {
    for (const [method, path, body] of asked) {
      const form = path === '/v1/introspect' || path === '/v1/revoke' ? { form: { token: 'x' } } : {}
      const { headers } = await service.refuses(status, code, [method, path, body], { ...options, ...form })
      assert.match(String(headers['www-authenticate']), /^Bearer realm="holdfast"/)
    }
  }

  it('without a credential', async () => {
    await everywhere(401, 'HOLDFAST_UNAUTHENTICATED', { as: null })
  })

  it('with a credential that is none, is not the root credential, or is in another scheme', async () => {
    await everywhere(401, 'HOLDFAST_UNAUTHENTICATED', { as: 'rubbish' })
    const others = [
      `${root}x`,
      root.slice(0, -1),
      root.toUpperCase(),
      `${root} ${root}`,
      '',
      'hft_.',
      'é'.repeat(40),
    ]
    const schemes = ['Basic abc', `Bearer${root}`, 'Bearer', root, `Token ${root}`]
    for (const header of [...others.map((each) => `Bearer ${each}`), ...schemes]) {
      const headers = { authorization: Buffer.from(header).toString('latin1') }
      await service.refuses(401, 'HOLDFAST_UNAUTHENTICATED', ['GET', '/v1/tokens'], { as: null, headers })
    }
  })

  it('with a tampered, foreign, revoked or expired token', async () => {
    const managing = { user: 'ada', scopes: ['holdfast:manage'], expiresIn: '1h' }
    const revoked = await service.expect(201, 'POST', '/v1/tokens', managing)
    await service.expect(204, 'DELETE', `/v1/tokens/${revoked['id']!}`)
    const foreign = await (await new InProcess().start()).expect(201, 'POST', '/v1/tokens', managing)
    const expired = await service.expect(201, 'POST', '/v1/tokens', { ...managing, expiresIn: '1s' })
    const live = await service.expect(201, 'POST', '/v1/tokens', managing)
    await service.expect(200, 'GET', '/v1/tokens', undefined, { as: live['token']! })
    service.clock.advance(1000)
    const changed = tampered(live['token']!)
    for (const as of [changed, foreign['token']!, revoked['token']!, expired['token']!]) {
      await service.refuses(401, 'HOLDFAST_UNAUTHENTICATED', ['GET', '/v1/tokens'], { as })
    }
  })

  it('with a token that has no scope for it', async () => {
    await everywhere(403, 'HOLDFAST_SCOPE_MISSING', { as: token['token']! })
  })

  it('with holdfast:introspect everywhere but at introspection', async () => {
    const made = { user: 'gate', scopes: ['holdfast:introspect'] }
    const { token: as } = await service.expect(201, 'POST', '/v1/tokens', made)
    for (const each of asked.filter(([, path]) => path !== '/v1/introspect')) {
      const form = each[1] === '/v1/revoke' ? { form: { token: 'x' } } : {}
      await service.refuses(403, 'HOLDFAST_SCOPE_MISSING', each, { as: as!, ...form })
    }
    await service.expect(200, 'POST', '/v1/introspect', undefined, { as: as!, form: { token: 'x' } })
  })

  it('before their body is looked at', async () => {
    const raw = 'x'.repeat(1_000_000)
    await service.refuses(401, 'HOLDFAST_UNAUTHENTICATED', ['POST', '/v1/tokens'], { as: null, raw })
  })

  it('takes the scheme in any case', async () => {
    const headers = { authorization: `bEARER ${root}` }
    await service.expect(200, 'GET', '/v1/tokens', undefined, { as: null, headers })
  })
})

describe('bad input is refused', () => {
  let service: InProcess
  before(async () => {
    service = await new InProcess().start()
  })
  after(() => {
    assert.ok(
      !service.logs.some((line) => line.includes('"level":50')),
      'bad input is no failure of the service',
    )
  })

  it('unknown fields, at every door', async () => {
    for (const [method, path, body] of withBody) {
      const more = { ...(body as object), 'no such field': 1 }
      const { body: answer } = await service.refuses(400, 'HOLDFAST_INVALID_REQUEST', [method, path, more])
      assert.match(answer['error']!['message']!, /unknown in the body: "no such field"/)
    }
    for (const path of ['/v1/tokens', '/v1/sessions', '/v1/revocations']) {
      await service.refuses(400, 'HOLDFAST_INVALID_REQUEST', ['GET', `${path}?usr=ada`])
    }
  })

  it('what is not JSON, not an object, empty, or poisoned', async () => {
    const raws = [
      '',
      '{',
      '{"user":"ada"',
      'null',
      '[]',
      '"x"',
      '5',
      '{"user":"ada","__proto__":{"x":1}}',
      '\ufeff{}x',
    ]
    for (const [method, path] of withBody) {
      for (const raw of raws) {
        await service.refuses(400, 'HOLDFAST_INVALID_REQUEST', [method, path], {
          raw,
          headers: { 'content-type': 'application/json' },
        })
      }
      await service.refuses(400, 'HOLDFAST_INVALID_REQUEST', [method, path])
    }
    const poisoned = '{"session":"x","set":{"a":{"constructor":{"prototype":{"x":1}}}}}'
    await service.refuses(400, 'HOLDFAST_INVALID_REQUEST', ['PATCH', '/v1/sessions'], {
      raw: poisoned,
      headers: { 'content-type': 'application/json' },
    })
  })

  it('another content type', async () => {
    for (const [method, path] of withBody) {
      for (const type of [
        'text/plain',
        'application/xml',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
      ]) {
        await service.refuses(415, 'HOLDFAST_UNSUPPORTED_MEDIA_TYPE', [method, path], {
          raw: 'x=1',
          headers: { 'content-type': type },
        })
      }
    }
  })

  it('a body over the limit', async () => {
    for (const [method, path, body] of withBody) {
      const big = { ...(body as object), padding: 'x'.repeat(5000) }
      await service.refuses(413, 'HOLDFAST_BODY_TOO_LARGE', [method, path, big])
    }
    const form = { token: 'x'.repeat(5000) }
    await service.refuses(413, 'HOLDFAST_BODY_TOO_LARGE', ['POST', '/v1/introspect'], { form })
  })

  const wrong: readonly (readonly [number, string, Asked])[] = [
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', {}]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 5 }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: '' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'a'.repeat(201) }]],
    [400, 'HOLDFAST_INVALID_LABEL', ['POST', '/v1/tokens', { user: 'é'.repeat(150) }]],
    [400, 'HOLDFAST_INVALID_LABEL', ['POST', '/v1/tokens', { user: 'a\u0000b' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'ada', scopes: 'read' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'ada', scopes: ['two words'] }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'ada', scopes: ['a"b'] }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'ada', expiresIn: 3600 }]],
    [400, 'HOLDFAST_INVALID_DURATION', ['POST', '/v1/tokens', { user: 'ada', expiresIn: '3600' }]],
    [400, 'HOLDFAST_INVALID_DURATION', ['POST', '/v1/tokens', { user: 'ada', expiresIn: '-1h' }]],
    [400, 'HOLDFAST_INVALID_EXPIRY', ['POST', '/v1/tokens', { user: 'ada', expiresIn: '0s' }]],
    [
      400,
      'HOLDFAST_INVALID_EXPIRY',
      ['POST', '/v1/tokens', { user: 'ada', expiresAt: '2001-01-01T00:00:00Z' }],
    ],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'ada', expiresAt: 'tomorrow' }]],
    [
      400,
      'HOLDFAST_INVALID_REQUEST',
      ['POST', '/v1/tokens', { user: 'ada', expiresAt: '2031-13-01T00:00:00Z' }],
    ],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'ada', expiresAt: null }]],
    [
      400,
      'HOLDFAST_INVALID_REQUEST',
      ['POST', '/v1/tokens', { user: 'ada', expiresIn: '1h', expiresAt: '2031-01-01T00:00:00Z' }],
    ],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'ada', name: '' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens', { user: 'ada', labels: ['user:eve'] }]],
    [400, 'HOLDFAST_INVALID_LABEL', ['POST', '/v1/tokens', { user: 'ada', labels: ['no-colon'] }]],
    [400, 'HOLDFAST_INVALID_LABEL', ['POST', '/v1/tokens', { user: 'ada', labels: ['Tenant:x'] }]],
    [
      400,
      'HOLDFAST_INVALID_REQUEST',
      ['POST', '/v1/tokens', { user: 'ada', labels: Array.from({ length: 16 }, (_, i) => `l${i}:x`) }],
    ],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens?limit=0']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens?limit=1001']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens?limit=ten']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens?limit=1.5']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens?limit=0x10']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens?limit=1e2']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens?user=a&user=b']],
    [400, 'HOLDFAST_INVALID_LABEL', ['GET', '/v1/tokens?label=nonsense']],
    [400, 'HOLDFAST_INVALID_CURSOR', ['GET', '/v1/tokens?after=made-up!']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens/with.dot']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', `/v1/tokens/${'a'.repeat(121)}`]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['DELETE', '/v1/tokens/%2e%2e%2fsecret']],
    [404, 'HOLDFAST_TOKEN_NOT_FOUND', ['GET', '/v1/tokens/unknown']],
    [404, 'HOLDFAST_TOKEN_NOT_FOUND', ['DELETE', '/v1/tokens/unknown']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens/revoke', {}]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/tokens/revoke', { labels: [] }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/revocations?since=yesterday']],
    [400, 'HOLDFAST_INVALID_CURSOR', ['GET', '/v1/revocations?after=made-up!']],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/sessions', { data: [] }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/sessions', { data: 'text' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/sessions', { user: 'ada', login: 'x' }]],
    [400, 'HOLDFAST_INVALID_LOGIN', ['POST', '/v1/sessions', { login: 'x' }]],
    [404, 'HOLDFAST_SESSION_NOT_FOUND', ['POST', '/v1/sessions/load', { session: 'x' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/sessions/load', { session: null }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/sessions/load', { session: 'x'.repeat(513) }]],
    [410, 'HOLDFAST_SESSION_GONE', ['PATCH', '/v1/sessions', { session: 'x', set: { a: 1 } }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['PATCH', '/v1/sessions', { session: 'x', set: [] }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['PATCH', '/v1/sessions', { session: 'x', delete: 'a' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/sessions/login', { session: 'x' }]],
    [
      400,
      'HOLDFAST_INVALID_REQUEST',
      ['POST', '/v1/sessions/login', { session: 'x', user: 'a', login: 'b' }],
    ],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/sessions/revoke', { except: 'abc' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['POST', '/v1/sessions/revoke', { user: 'ada', except: 'a.b' }]],
    [404, 'HOLDFAST_SESSION_NOT_FOUND', ['GET', '/v1/sessions/unknown']],
    [400, 'HOLDFAST_INVALID_LABEL', ['GET', '/v1/sessions?label=']],
    [404, 'HOLDFAST_ROUTE_NOT_FOUND', ['GET', '/v1']],
    [404, 'HOLDFAST_ROUTE_NOT_FOUND', ['POST', '/v2/tokens', { user: 'ada' }]],
    [400, 'HOLDFAST_INVALID_REQUEST', ['GET', '/v1/tokens/%zz']],
  ]
  for (const [status, code, [method, path, body]] of wrong) {
    const what = `${method} ${path.slice(0, 50)} ${JSON.stringify(body ?? null).slice(0, 70)}`
    it(`${what} → ${status} ${code}`, async () => {
      const { headers, body: answer } = await service.refuses(status, code, [method, path, body])
      assert.deepEqual(Object.keys(answer), ['error'])
      assert.deepEqual(Object.keys(answer['error']!), ['code', 'message'])
      assert.match(String(headers['content-type']), /^application\/json/)
    })
  }

  it('setting and deleting one key at once', async () => {
    const { session } = await service.expect(201, 'POST', '/v1/sessions', {})
    const both = { session, set: { a: 1 }, delete: ['a'] }
    await service.refuses(400, 'HOLDFAST_INVALID_REQUEST', ['PATCH', '/v1/sessions', both])
  })

  it('a name that the user has already', async () => {
    const named = { user: 'ada', name: 'laptop' }
    const { id } = await service.expect(201, 'POST', '/v1/tokens', named)
    await service.refuses(409, 'HOLDFAST_NAME_TAKEN', ['POST', '/v1/tokens', named])
    await service.expect(201, 'POST', '/v1/tokens', { ...named, user: 'bob' })
    await service.expect(204, 'DELETE', `/v1/tokens/${id!}`)
    await service.expect(201, 'POST', '/v1/tokens', named)
  })

  it('another method, saying which ones the path knows', async () => {
    const { headers } = await service.refuses(405, 'HOLDFAST_METHOD_NOT_ALLOWED', ['PUT', '/v1/tokens', {}])
    assert.equal(headers['allow'], 'GET, HEAD, POST')
    const introspect = await service.call('GET', '/v1/introspect', undefined, { as: null })
    assert.deepEqual([introspect.status, introspect.headers['allow']], [405, 'POST'])
    await service.refuses(405, 'HOLDFAST_METHOD_NOT_ALLOWED', ['GET', '/v1/sessions/load'])
    await service.refuses(405, 'HOLDFAST_METHOD_NOT_ALLOWED', ['POST', '/healthz', {}])
  })
})

describe('failures of the store are answered as such', () => {
  const failures: readonly (readonly [holdfast.HoldfastError, number])[] = [
    [new holdfast.StoreUnavailable('secret detail'), 503],
    [new holdfast.StoreFull('secret detail'), 507],
    [new holdfast.StoreReadOnly('secret detail'), 503],
    [new holdfast.StoreCorrupt('secret detail'), 503],
    [new holdfast.StoreMisconfigured('secret detail'), 503],
    [new holdfast.KeyUnknown('secret detail'), 503],
    [new holdfast.PartialAnswer('secret detail', []), 503],
  ]
  for (const [error, status] of failures) {
    it(`${error.code} → ${status}, with the cause in the log only`, async () => {
      const service = await new InProcess().start()
      service.plan = ({ operation }) => (operation === 'create' || operation === 'write' ? error : undefined)
      const answer = await service.refuses(status, error.code, ['POST', '/v1/tokens', { user: 'ada' }])
      assert.ok(!answer.text.includes('secret detail') && !answer.text.includes(' at '))
      assert.equal(answer.headers['retry-after'], status === 503 ? '2' : undefined)
      assert.ok(service.logs.some((line) => line.includes('secret detail') && line.includes(error.code)))
    })
  }

  it('answers what nobody foresaw with 500, and goes on', async () => {
    const refusal = refusalOf(new RangeError('secret detail'))
    assert.deepEqual([refusal.status, refusal.code], [500, 'HOLDFAST_INTERNAL'])
    assert.ok(!refusal.message.includes('secret detail'))
  })

  it('is not ready while the store does not answer, and up all the same', async () => {
    const service = await new InProcess().start()
    service.plan = () => 'fail'
    await service.refuses(503, 'HOLDFAST_STORE_UNAVAILABLE', ['GET', '/readyz'], { as: null })
    await service.expect(200, 'GET', '/healthz', undefined, { as: null })
    service.plan = undefined
    await service.expect(200, 'GET', '/readyz', undefined, { as: null })
  })

  it('has a status for every error of the library that can reach a caller', () => {
    const inside = [
      ...['AnswerLost', 'ClientMissing', 'TransferConflict', 'TransferMismatch', 'UnknownScheme'],
      // What a program does with a session object, and what doors of the library refuse.
      ...['MissingKey', 'SessionNotLoaded', 'CrossSiteRequest'],
    ]
    const missing = Object.entries(holdfast)
      .filter(([name, value]) => isErrorClass(value) && name !== 'HoldfastError' && !inside.includes(name))
      .map(
        ([name, value]) => new (value as new (...given: unknown[]) => holdfast.HoldfastError)(name, []).code,
      )
      .filter((code) => !(code in statuses))
    assert.deepEqual(missing, [])
  })
})

function isErrorClass(value: unknown): boolean {
  return typeof value === 'function' && value.prototype instanceof Error
}
