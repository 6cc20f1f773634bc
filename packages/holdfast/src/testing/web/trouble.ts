/** A store that is down is never a logout. */

import assert from 'node:assert/strict'
import { expectStatus, type WebStage } from './stage.ts'

export function testTrouble(stage: WebStage): void {
  stage.describe('a store that is down', () => {
    stage.it('is 503 and takes no cookie away, and afterwards all is there', async (scene) => {
      const guest = await scene.guest()
      scene.plan = () => 'fail'
      const seen = await guest.get('/data')
      expectStatus(seen, 503)
      assert.deepEqual(seen.cookies, [])
      scene.plan = () => undefined
      assert.deepEqual(JSON.parse((await guest.get('/data')).body), { data: { guest: 'yes' }, user: null })
    })

    stage.it(
      'at the save is 503 as well, and nothing of the answer that was prepared is sent',
      async (scene) => {
        const guest = await scene.guest()
        scene.plan = ({ writes }) => (writes ? 'fail' : undefined)
        const seen = await guest.get('/redirect?key=a')
        expectStatus(seen, 503)
        assert.equal(seen.headers.get('location'), null)
        assert.deepEqual(seen.cookies, [])
        const fresh = await scene.visitor().get('/own-headers')
        expectStatus(fresh, 503)
        assert.deepEqual(fresh.cookies, [])
        assert.doesNotMatch(fresh.headers.get('cache-control') ?? '', /public|max-age/)
      },
    )

    for (const load of ['eager', 'lazy'] as const) {
      stage.it(
        `is 503 as well where the application asks by itself (${load})`,
        async (scene) => {
          const [guest, stranger] = [await scene.guest(), scene.visitor()]
          scene.plan = ({ writes }) => (writes || load === 'lazy' ? 'fail' : undefined)
          if (load === 'lazy') expectStatus(await guest.get('/lazy'), 503)
          for (const visitor of [guest, stranger]) {
            const seen = await visitor.get('/login?user=ada')
            expectStatus(seen, 503)
            assert.deepEqual(seen.cookies, [])
          }
          scene.plan = () => undefined
          assert.deepEqual(JSON.parse((await guest.get('/lazy')).body), { guest: 'yes' })
        },
        { web: { load } },
      )
    }

    stage.it(
      'lets a route go on without a session, and is no logout even then',
      async (scene) => {
        const guest = await scene.guest()
        scene.plan = () => 'fail'
        expectStatus(await guest.get('/data'), 503)
        const seen = await guest.get('/data?public')
        assert.deepEqual(JSON.parse(seen.body), { data: {}, user: null })
        expectStatus(await guest.get('/set?public'), 200)
        scene.plan = () => undefined
        assert.deepEqual(JSON.parse((await guest.get('/data')).body), { data: { guest: 'yes' }, user: null })
      },
      { web: { whenDown: ({ url }) => (url.includes('public') ? 'continue' : 'fail') } },
    )

    for (const load of ['eager', 'lazy'] as const) {
      stage.it(
        `where a route goes on without (${load}), what is changed is lost, and no login or logout is acknowledged`,
        async (scene) => {
          const [guest, stranger] = [await scene.user(), scene.visitor()]
          scene.plan = () => 'fail'
          assert.deepEqual(JSON.parse((await guest.get('/lazy')).body), {})
          for (const visitor of [guest, stranger]) {
            const { status, cookies } = await visitor.get('/set')
            assert.deepEqual([status, cookies], [200, []])
          }
          for (const path of ['/logout', '/login?user=bob']) {
            const { status, cookies } = await guest.get(path)
            assert.ok(status >= 500, `answered ${path} with ${String(status)}`)
            assert.deepEqual(cookies, [])
          }
          scene.plan = () => undefined
          assert.deepEqual(JSON.parse((await guest.get('/lazy')).body), { guest: 'yes' })
          assert.equal(await scene.sessions(), 1)
        },
        { web: { load, whenDown: 'continue' } },
      )
    }

    stage.it('does not hold up who has no session, and looks at none', async (scene) => {
      scene.plan = () => 'fail'
      expectStatus(await scene.visitor().get('/untouched'), 200)
    })
  })
}
