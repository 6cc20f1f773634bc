/** Requests to the drop-in for express-session that store their session more than once. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Request, Response } from 'express'
import { KeyedSessions } from '../../packages/holdfast/src/sessions/keyed.ts'
import { Place } from './express/place.ts'
import { site, usual, values } from './express/site.ts'

describe('a request that stores its session twice', () => {
  it('keeps what others have stored meanwhile, however often a request stores', async (t) => {
    const { store } = new Place()
    const twice: Record<string, (req: Request, res: Response) => Promise<void>> = {
      save: async (req, res) => {
        await new Promise((resolve) => req.session.save(resolve))
        values(req)['second'] = 2
        res.send('twice')
      },
      stream: (req, res) =>
        new Promise((resolve) => {
          res.write('twice', () => {
            values(req)['second'] = 2
            res.end(resolve)
          })
        }),
    }
    for (const [name, storing] of Object.entries(twice)) {
      const { promise: arrived, resolve: tell } = Promise.withResolvers<undefined>()
      const { promise: others, resolve: goOn } = Promise.withResolvers<undefined>()
      const browser = await site(t, { store, conflicts: 'fail' }, (app) => {
        usual(app)
        app.get('/twice', async (req, res) => {
          tell(undefined)
          await others
          values(req)['first'] = 1
          await storing(req, res)
        })
      })
      await browser.get('/set?a=1')
      const asked = browser.tab().get('/twice')
      await arrived
      await browser.get('/set?b=1')
      goOn(undefined)
      assert.equal((await asked).status, 200)
      assert.deepEqual(await browser.json('/show'), { a: '1', b: '1', first: 1, second: 2 }, name)
    }
  })

  it('prolongs a session although the application saves it and does not wait', async (t) => {
    const { store } = new Place()
    const browser = await site(t, { store, touchEvery: 0, cookie: { maxAge: 60_000 } }, (app) => {
      usual(app)
      app.get('/quick', (req, res) => {
        values(req)['n'] = Number(values(req)['n'] ?? 0) + 1
        void req.session.save()
        res.send(req.sessionID)
      })
    })
    const sessions = new KeyedSessions(store)
    const endOf = async (sid: string): Promise<number> => (await sessions.read(sid))!.expiresAt
    const before = await endOf((await browser.get('/quick')).text)
    await pause(20)
    assert.ok((await endOf((await browser.get('/quick')).text)) > before)
  })
})
