/** The cookie, and the bearer header in its place. */

import assert from 'node:assert/strict'
import { generateRingKey, KeyRing } from '../../credentials/key-ring.ts'
import { expectStatus, type WebStage } from './stage.ts'

export function testCookies(stage: WebStage): void {
  stage.describe('cookies', () => {
    stage.it(
      'the first change sets it, for this host and TLS only, and for no shared cache [D52 T24 T12]',
      async (scene) => {
        const visitor = scene.visitor()
        const { cookies, headers } = await visitor.get('/set')
        assert.equal(cookies.length, 1)
        const [pair, ...attributes] = cookies[0]!.split('; ')
        assert.match(pair!, /^__Host-session=hfs_[\w-]+\.[\w-]+$/)
        assert.deepEqual(attributes, ['Path=/', 'Max-Age=43200', 'HttpOnly', 'Secure', 'SameSite=Lax'])
        assert.match(headers.get('cache-control') ?? '', /\bprivate\b|\bno-store\b/)
        assert.match(headers.get('vary') ?? '', /\bCookie\b/)
        assert.deepEqual((await visitor.get('/set?value=other')).cookies, [])
      },
    )

    stage.it(
      'as it was asked for [D52 T24]',
      async (scene) => {
        const { cookies } = await scene.visitor().get('/set')
        assert.match(
          cookies[0]!,
          /^sid=hfs_\S+; Path=\/app; Domain=example\.com; Max-Age=\d+; HttpOnly; Secure; SameSite=None; Partitioned$/,
        )
      },
      {
        web: {
          cookie: { name: 'sid', path: '/app', domain: 'example.com', sameSite: 'none', partitioned: true },
        },
      },
    )

    stage.it(
      'ends with the browser where it is to, and outlives it where its user asked to be remembered [D17 D59]',
      async (scene) => {
        const visitor = scene.visitor()
        assert.doesNotMatch((await visitor.get('/set')).cookies[0]!, /Max-Age|Expires/)
        assert.match((await visitor.get('/login?remember')).cookies[0]!, /Max-Age=7776000;/)
        assert.doesNotMatch((await visitor.get('/expire?in=0')).cookies[0]!, /Max-Age|Expires/)
      },
      { sessions: { browserClose: true } },
    )

    stage.it(
      'stands beside the application’s own headers, and makes a public answer a private one',
      async (scene) => {
        const { cookies, headers } = await scene.visitor().get('/own-headers')
        assert.deepEqual(cookies.map((each) => each.split('=')[0]).toSorted(), ['__Host-session', 'own'])
        assert.equal(headers.get('cache-control'), 'private, max-age=60')
        assert.deepEqual(headers.get('vary')?.split(', ').toSorted(), ['Accept', 'Cookie'])
      },
    )

    stage.it(
      'is sent anew when its secret is rotated, and the old one goes on for its window [T5]',
      async (scene) => {
        const guest = await scene.guest()
        const late = guest.copy()
        scene.clock.advance(240_000)
        const rotated = await guest.get('/data')
        assert.equal(rotated.cookies.length, 1)
        assert.deepEqual((await guest.get('/data')).cookies, [])
        const told = await late.get('/data')
        assert.deepEqual(JSON.parse(told.body), { data: { guest: 'yes' }, user: null })
        assert.deepEqual([...late.jar], [...guest.jar])
      },
      { sessions: { rotateEvery: '240s' } },
    )

    stage.it(
      'signed: what was tampered with is an empty session and one event, and a newer key logs nobody out [D12]',
      async (scene) => {
        const guest = await scene.guest()
        const [name, value] = [...guest.jar][0]!
        assert.doesNotMatch(value, /hfs_/)
        const forger = scene.visitor()
        const { credential = '' } = await scene.app.sessions.start()
        for (const forged of [credential, `${value.slice(0, -3)}AAA`, value.slice(0, 20)]) {
          scene.events.length = 0
          forger.jar.set(name, forged)
          assert.deepEqual(JSON.parse((await forger.get('/data')).body), { data: {}, user: null })
          assert.deepEqual(
            scene.events.map(({ type }) => type),
            ['tampered-cookie'],
          )
        }
        assert.deepEqual(JSON.parse((await guest.get('/data')).body), { data: { guest: 'yes' }, user: null })
      },
      { web: { cookie: { keys: new KeyRing([generateRingKey('new'), generateRingKey('old')]) } } },
    )

    stage.it(
      'a bearer carries its credential in headers, and is given no cookie',
      async (scene) => {
        const visitor = scene.visitor()
        const { credential = '' } = await scene.app.sessions.start({ data: { a: 1 } })
        const authorization = `Bearer ${credential}`
        const seen = await visitor.get('/data', { authorization })
        assert.deepEqual(JSON.parse(seen.body), { data: { a: 1 }, user: null })
        const login = await visitor.get('/login', { authorization })
        const next = login.headers.get('session-credential') ?? ''
        assert.ok(next.startsWith('hfs_') && next !== credential)
        assert.deepEqual(login.cookies, [])
        assert.match(login.headers.get('vary') ?? '', /\bAuthorization\b/)
        const late = await visitor.get('/data', { authorization })
        assert.deepEqual(JSON.parse(late.body), { data: {}, user: null })
        // No browser sends it by itself, so it may come from anywhere.
        const post = await visitor.post('/logout', {
          authorization: `Bearer ${next}`,
          origin: 'https://elsewhere.example',
        })
        expectStatus(post, 200)
        assert.equal(post.headers.get('session-credential'), '')
        assert.equal(await scene.sessions(), 0)
      },
      { web: { bearer: true } },
    )
  })
}
