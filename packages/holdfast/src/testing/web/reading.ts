/** Requests that only look, or don't even look. */

import assert from 'node:assert/strict'
import { expectStatus, type WebStage } from './stage.ts'

export function testReading(stage: WebStage): void {
  stage.describe('reading', () => {
    stage.it(
      'without a cookie of ours there is no call to the store, and nothing is sent [D4 D30]',
      async (scene) => {
        const seen = await scene.visitor().get('/untouched')
        expectStatus(seen, 200)
        assert.deepEqual(seen.cookies, [])
        assert.equal(seen.headers.get('vary')?.includes('Cookie') ?? false, false)
        assert.deepEqual(
          scene.driver.calls.filter(({ operation }) => operation !== 'open'),
          [],
        )
      },
    )

    stage.it(
      'one read, no write and no cookie, and caches are told that it depends on it [D53 D55]',
      async (scene) => {
        const guest = await scene.guest()
        const before = scene.driver.calls.length
        const seen = await guest.get('/data')
        assert.deepEqual(JSON.parse(seen.body), { data: { guest: 'yes' }, user: null })
        assert.deepEqual(seen.cookies, [])
        assert.match(seen.headers.get('vary') ?? '', /\bCookie\b/)
        assert.deepEqual(
          scene.driver.calls.slice(before).map(({ operation }) => operation),
          ['read'],
        )
      },
    )

    stage.it('what nobody looks at makes nothing depend on the cookie [D55]', async (scene) => {
      const guest = await scene.guest()
      const seen = await guest.get('/untouched')
      assert.equal(seen.headers.get('vary')?.includes('Cookie') ?? false, false)
    })

    stage.it(
      'lazy: not even read before somebody asks, then once [D4]',
      async (scene) => {
        const guest = await scene.guest()
        const before = scene.driver.calls.length
        expectStatus(await guest.get('/untouched'), 200)
        assert.equal(scene.driver.calls.length, before)
        assert.deepEqual(JSON.parse((await guest.get('/lazy')).body), { guest: 'yes' })
        assert.equal(scene.driver.calls.length, before + 1)
      },
      { web: { load: 'lazy' } },
    )

    stage.it(
      'an unknown credential is never taken over, and no record is made for it [D30 T9]',
      async (scene) => {
        const guest = await scene.guest()
        const [name, value] = [...guest.jar][0]!
        await guest.copy().get('/logout')
        const stranger = scene.visitor()
        stranger.jar.set(name, value)
        const seen = await stranger.get('/data')
        assert.deepEqual(JSON.parse(seen.body), { data: {}, user: null })
        // It may be an answer that comes late: the client may have a newer cookie by now.
        assert.deepEqual(seen.cookies, [])
        assert.equal(await scene.sessions(), 0)
        await stranger.get('/set')
        assert.notEqual(stranger.jar.get(name), value)
        for (const rubbish of ['', 'rubbish', `${value}x`, 'x'.repeat(5_000), '"; DROP', '%00']) {
          stranger.jar.set(name, rubbish)
          expectStatus(await stranger.get('/data'), 200)
        }
      },
    )

    stage.it(
      'a request that says so does not keep the session alive',
      async (scene) => {
        const guest = await scene.guest()
        scene.clock.advance(20 * 60_000)
        expectStatus(await guest.get('/data?poll'), 200)
        scene.clock.advance(20 * 60_000)
        assert.deepEqual(JSON.parse((await guest.get('/data')).body), { data: {}, user: null })
      },
      { web: { keepAlive: ({ url }) => !url.includes('poll') } },
    )
  })
}
