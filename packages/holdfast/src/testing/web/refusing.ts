/** Requests from other sites. */

import assert from 'node:assert/strict'
import { expectStatus, type WebStage } from './stage.ts'

const elsewhere = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' }

export function testRefusing(stage: WebStage): void {
  stage.describe('requests from other sites', () => {
    stage.it('are refused where they would change something with a cookie', async (scene) => {
      const guest = await scene.guest()
      const seen = await guest.post('/set?key=a', elsewhere)
      expectStatus(seen, 403)
      expectStatus(await guest.post('/set?key=a', { origin: 'https://elsewhere.example' }), 403)
      expectStatus(await guest.post('/set?key=a', { origin: 'null' }), 403)
      expectStatus(await guest.post('/set?key=a', { 'sec-fetch-site': 'same-site' }), 403)
      assert.deepEqual(JSON.parse((await guest.get('/data')).body), { data: { guest: 'yes' }, user: null })
    })

    stage.it(
      'are let in where they only look, or come without a cookie and begin no session, or from no browser',
      async (scene) => {
        const guest = await scene.guest()
        expectStatus(await guest.get('/data', elsewhere), 200)
        for (const path of ['/untouched', '/data', '/clear', '/logout']) {
          expectStatus(await scene.visitor().post(path, elsewhere), 200)
        }
        expectStatus(await scene.visitor().post('/fail', elsewhere), 500)
        expectStatus(await scene.visitor().post('/login'), 200)
        expectStatus(await scene.visitor().post('/login', { 'sec-fetch-site': 'same-origin' }), 200)
        expectStatus(await guest.post('/set?key=a'), 200)
        expectStatus(await guest.post('/set?key=a', { 'sec-fetch-site': 'same-origin' }), 200)
      },
    )

    stage.it('begin no session: nobody is logged in unasked, as somebody else', async (scene) => {
      const visitor = scene.visitor()
      for (const path of ['/set', '/login', '/redirect?key=a', '/refuse', '/save', '/login-and-fail']) {
        for (const from of [elsewhere, { origin: 'null' }, { 'sec-fetch-site': 'same-site' }]) {
          const seen = await visitor.post(path, from)
          expectStatus(seen, 403)
          assert.deepEqual(seen.cookies, [])
        }
      }
      assert.equal(await scene.sessions(), 0)
    })

    stage.it(
      'are let in from where they are allowed to come',
      async (scene) => {
        const guest = await scene.guest()
        expectStatus(await guest.post('/set', elsewhere), 200)
        const { status, cookies } = await scene.visitor().post('/login', elsewhere)
        assert.deepEqual([status, cookies.length], [200, 1])
        expectStatus(await guest.post('/set', { origin: 'https://another.example' }), 403)
      },
      { web: { checkOrigin: { allow: ['https://elsewhere.example'] } } },
    )
  })
}
