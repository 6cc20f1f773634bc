/** What was changed is stored before anybody hears of it, and nobody's change is lost. */

import assert from 'node:assert/strict'
import type { Visitor } from './visitor.ts'
import { expectStatus, type WebStage } from './stage.ts'

async function dataOf(visitor: Visitor): Promise<Record<string, unknown>> {
  return (JSON.parse((await visitor.get('/data')).body) as { data: Record<string, unknown> }).data
}

export function testSaving(stage: WebStage): void {
  stage.describe('saving', () => {
    stage.itOverAll('twenty parallel requests that set one key each keep all of them', async (scene) => {
      const guest = await scene.guest()
      const keys = Array.from({ length: 20 }, (_, i) => `k${String(i)}`)
      const seen = await Promise.all(keys.map((key) => guest.get(`/set?key=${key}&value=yes`)))
      for (const each of seen) expectStatus(each, 200)
      assert.deepEqual(await dataOf(guest), Object.fromEntries(['guest', ...keys].map((key) => [key, 'yes'])))
    })

    stage.it('a change inside of a value is a change', async (scene) => {
      const guest = await scene.guest()
      await guest.get('/push?value=first')
      await guest.get('/push?value=second')
      assert.deepEqual((await dataOf(guest))['list'], ['first', 'second'])
    })

    stage.it('a session that was emptied is stored empty, and stays the same one [D58]', async (scene) => {
      const guest = await scene.guest()
      const { cookies } = await guest.get('/clear')
      assert.deepEqual(cookies, [])
      assert.deepEqual(await dataOf(guest), {})
      assert.equal(await scene.sessions(), 1)
    })

    stage.it('a redirect never arrives before its session', async (scene) => {
      const guest = await scene.guest()
      const { promise, resolve } = Promise.withResolvers<undefined>()
      scene.writing = promise
      let isAnswered = false
      const redirect = guest.get('/redirect?key=a&value=b').then((seen) => {
        isAnswered = true
        return seen
      })
      while (!scene.driver.calls.some(({ operation }) => operation === 'replace')) await turn()
      await turn(20)
      assert.equal(isAnswered, false)
      resolve(undefined)
      scene.writing = Promise.resolve()
      expectStatus(await redirect, 302)
      assert.deepEqual(await dataOf(guest), { guest: 'yes', a: 'b' })
    })

    stage.it(
      'an answer that is streamed is stored before its first part, and still streams',
      async (scene) => {
        const guest = scene.visitor()
        const seen = await guest.look('GET', '/stream?key=a&value=b', {}, async (response) => {
          const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
          const { value: first = '' } = await reader.read()
          const stored = await dataOf(guest)
          scene.app.gates.open()
          let rest = ''
          for (let read = await reader.read(); !read.done; read = await reader.read()) rest += read.value
          return JSON.stringify({ first, rest, stored })
        })
        assert.equal(seen.cookies.length, 1)
        assert.deepEqual(JSON.parse(seen.body), { first: 'first ', rest: 'last', stored: { a: 'b' } })
      },
    )

    stage.it(
      'what is changed while an answer is streamed is stored before its end [streaming]',
      async (scene) => {
        const guest = await scene.guest()
        scene.app.gates.open()
        expectStatus(await guest.get('/stream?key=a&value=b&late=yes'), 200)
        assert.deepEqual(await dataOf(guest), { guest: 'yes', a: 'b', late: 'yes' })
      },
    )

    stage.it(
      'a session that begins when the headers are gone is not stored: nobody could come back to it [streaming]',
      async (scene) => {
        scene.app.gates.open()
        const { status, cookies } = await scene.visitor().get('/stream-late?key=a')
        assert.deepEqual([status, cookies], [200, []])
        assert.equal(await scene.sessions(), 0)
      },
    )

    stage.it('what a failed answer has changed is not stored, and sets no cookie [D54]', async (scene) => {
      const guest = await scene.guest()
      expectStatus(await guest.get('/fail?key=a'), 500)
      expectStatus(await guest.get('/throw?key=a'), 500)
      assert.deepEqual(await dataOf(guest), { guest: 'yes' })
      for (const path of ['/fail', '/throw']) {
        const { cookies } = await scene.visitor().get(path)
        assert.deepEqual(cookies, [])
      }
      assert.equal(await scene.sessions(), 1)
    })

    stage.it(
      'what an answer that refuses has changed is stored, such as a count of attempts',
      async (scene) => {
        const visitor = scene.visitor()
        const { status, cookies } = await visitor.get('/refuse?key=a')
        assert.deepEqual([status, cookies.length], [401, 1])
        expectStatus(await visitor.get('/refuse?key=b'), 401)
        assert.deepEqual(await dataOf(visitor), { a: 'value', b: 'value' })
      },
    )

    stage.it('a login behind which the answer fails is one, and its cookie is sent', async (scene) => {
      const guest = await scene.guest()
      const { status, cookies } = await guest.get('/login-and-fail')
      assert.deepEqual([status, cookies.length], [500, 1])
      assert.deepEqual(await dataOf(guest), { guest: 'yes' })
    })

    stage.it(
      'the same key changed to two values is refused with 409, and the first one stays',
      async (scene) => {
        const guest = await scene.guest()
        const late = guest.get('/set-later?key=a&value=late')
        await scene.app.gates.arrived()
        expectStatus(await guest.get('/set?key=a&value=first'), 200)
        scene.app.gates.open()
        expectStatus(await late, 409)
        assert.deepEqual(await dataOf(guest), { guest: 'yes', a: 'first' })
      },
    )

    stage.it(
      'with a lock, requests of one session follow each other, and those of another don’t wait [lock]',
      async (scene) => {
        const [guest, other] = [await scene.guest(), await scene.guest()]
        const counts = [guest.get('/count-slowly'), guest.get('/count-slowly'), guest.get('/count-slowly')]
        await scene.app.gates.arrived()
        expectStatus(await other.get('/data?locked'), 200)
        scene.app.gates.open()
        for (const each of await Promise.all(counts)) expectStatus(each, 200)
        assert.deepEqual(await dataOf(guest), { guest: 'yes', n: 3 })
      },
      { web: { lock: ({ url }) => (/count|locked/.test(url) ? '30s' : undefined) } },
    )
  })
}

async function turn(ms = 1): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}
