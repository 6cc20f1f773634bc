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
      'are let in where they only look, or come without a cookie, or from no browser',
      async (scene) => {
        const guest = await scene.guest()
        expectStatus(await guest.get('/data', elsewhere), 200)
        expectStatus(await scene.visitor().post('/set', elsewhere), 200)
        expectStatus(await guest.post('/set?key=a'), 200)
        expectStatus(await guest.post('/set?key=a', { 'sec-fetch-site': 'same-origin' }), 200)
      },
    )

    stage.it(
      'are let in from where they are allowed to come',
      async (scene) => {
        const guest = await scene.guest()
        expectStatus(await guest.post('/set', elsewhere), 200)
        expectStatus(await guest.post('/set', { origin: 'https://another.example' }), 403)
      },
      { web: { checkOrigin: { allow: ['https://elsewhere.example'] } } },
    )
  })
}
