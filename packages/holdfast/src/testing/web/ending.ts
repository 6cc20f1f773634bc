/** Logging in ends what was before, and logging out ends all: whatever is in flight. */

import assert from 'node:assert/strict'
import { expectStatus, type WebStage } from './stage.ts'
import type { Visitor } from './visitor.ts'

async function userOf(visitor: Visitor): Promise<string | null> {
  return (JSON.parse((await visitor.get('/data')).body) as { user: string | null }).user
}

export function testEnding(stage: WebStage): void {
  stage.describe('logging in and out', () => {
    stage.it(
      'a login keeps what was there, and the cookie of before opens nothing any more [D33]',
      async (scene) => {
        const visitor = await scene.guest()
        const thief = visitor.copy()
        expectStatus(await visitor.get('/login?user=ada'), 200)
        assert.deepEqual(JSON.parse((await visitor.get('/data')).body), {
          data: { guest: 'yes' },
          user: 'ada',
        })
        assert.equal(await userOf(thief), null)
      },
    )

    stage.it(
      'a logout takes the cookie away as it was set, and the session with it, for copies of the cookie too [D50 D56 T8 D32]',
      async (scene) => {
        const visitor = await scene.user()
        const copy = visitor.copy()
        const { cookies, headers } = await visitor.get('/logout')
        assert.equal(cookies.length, 1)
        assert.match(cookies[0]!, /^__Host-session=; Path=\/; Max-Age=0; .*HttpOnly; Secure; SameSite=Lax$/)
        assert.match(headers.get('vary') ?? '', /\bCookie\b/)
        assert.equal(visitor.jar.size, 0)
        assert.equal(await userOf(copy), null)
        assert.equal(await scene.sessions(), 0)
      },
    )

    stage.it('a logout without a cookie sends none [D57]', async (scene) => {
      assert.deepEqual((await scene.visitor().get('/logout')).cookies, [])
    })

    stage.itOverAll('a logout while a change is in flight stays a logout [D29 D60]', async (scene) => {
      const visitor = await scene.user()
      const copy = visitor.copy()
      const late = visitor.copy().get('/set-later?key=a')
      await scene.app.gates.arrived()
      expectStatus(await visitor.get('/logout'), 200)
      scene.app.gates.open()
      const refused = await late
      expectStatus(refused, 400)
      assert.deepEqual(refused.cookies, [])
      assert.equal(await userOf(copy), null)
      assert.equal(await scene.sessions(), 0)
    })

    stage.it('an answer that comes late takes no newer cookie away', async (scene) => {
      const visitor = await scene.guest()
      const late = visitor.copy().get('/set-later?key=a')
      await scene.app.gates.arrived()
      expectStatus(await visitor.get('/login'), 200)
      scene.app.gates.open()
      const { status, cookies } = await late
      assert.deepEqual([status, cookies], [400, []])
      assert.equal(await userOf(visitor), 'ada')
    })

    stage.it('a cookie whose window has ended logs out all the same', async (scene) => {
      const visitor = await scene.guest()
      const old = visitor.copy()
      expectStatus(await visitor.get('/login'), 200)
      expectStatus(await old.get('/logout'), 200)
      assert.equal(await userOf(visitor), null)
    })

    stage.it('“log out everywhere” ends the sessions of all browsers', async (scene) => {
      const [one, two] = [await scene.user(), await scene.user()]
      assert.equal(await scene.app.sessions.revoke({ user: 'ada' }), 2)
      assert.deepEqual([await userOf(one), await userOf(two)], [null, null])
    })
  })
}
