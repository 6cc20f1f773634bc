/** Passport, connect-flash and csrf-sync over the drop-in, unchanged, on Express and on Connect. */

import assert from 'node:assert/strict'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { describe, it, type TestContext } from 'node:test'
import connect from 'connect'
import flash from 'connect-flash'
import { csrfSync } from 'csrf-sync'
import express, { type Request, type RequestHandler, type Response } from 'express'
import { memoryStore } from 'holdfast/memory'
import { Passport } from 'passport'
import { Strategy } from 'passport-local'
import { KeyedSessions } from '../../packages/holdfast/src/sessions/keyed.ts'
import { Browser, serve, sessions } from './express/site.ts'

type Route = (req: Request, res: ServerResponse) => void

/** Where a framework lets routes be added by path. */
interface Framework {
  readonly name: string
  readonly make: (
    before: readonly RequestHandler[],
    routes: Readonly<Record<string, Route | RequestHandler[]>>,
  ) => RequestListener
}

const frameworks: readonly Framework[] = [
  {
    name: 'Express',
    make: (before, routes) => {
      const app = express()
      for (const each of [express.urlencoded({ extended: false }), ...before]) app.use(each)
      for (const [path, route] of Object.entries(routes)) app.use(path, ...asList(route))
      app.use(((error: Error & { status?: number }, _req, res, _next) => {
        res.status(error.status ?? 500).send(error.message)
      }) as express.ErrorRequestHandler)
      return app as RequestListener
    },
  },
  {
    name: 'Connect',
    make: (before, routes) => {
      const app = connect()
      app.use((_req, res, next) => {
        Object.assign(res, { redirect: (to: string) => res.writeHead(302, { location: to }).end() })
        next()
      })
      for (const each of [express.urlencoded({ extended: false }), ...before]) app.use(each as never)
      for (const [path, route] of Object.entries(routes)) {
        for (const each of asList(route)) app.use(path, each as never)
      }
      app.use(
        (
          error: Error & { status?: number },
          _req: IncomingMessage,
          res: ServerResponse,
          _next: () => void,
        ) => {
          res.statusCode = error.status ?? 500
          res.end(error.message)
        },
      )
      return app
    },
  },
]

function asList(route: Route | RequestHandler[]): RequestHandler[] {
  return Array.isArray(route) ? route : [(req: Request, res: Response) => route(req, res)]
}

/** Passport with one user, who is logged in by name and password. */
function passportOfOne(): InstanceType<typeof Passport> {
  const passport = new Passport()
  passport.use(
    new Strategy((username, password, done) => {
      if (username === 'ada' && password === 'lovelace') done(null, { name: username })
      else done(null, false, { message: 'who are you?' })
    }),
  )
  passport.serializeUser((user, done) => done(null, (user as { name: string }).name))
  passport.deserializeUser((name: string, done) => done(null, { name }))
  return passport
}

const userOf = (data: object): string | undefined => (data as { passport?: { user?: string } }).passport?.user

function answer(res: ServerResponse, body: unknown): void {
  res.end(JSON.stringify(body ?? null))
}

async function siteWithPassport(t: TestContext, { make }: Framework) {
  const store = memoryStore()
  const passport = passportOfOne()
  const listener = make(
    [
      sessions({ store, user: userOf }),
      flash(),
      passport.initialize() as RequestHandler,
      passport.session() as RequestHandler,
    ],
    {
      '/login': [
        passport.authenticate('local', {
          successRedirect: '/me',
          failureRedirect: '/flash',
          failureFlash: true,
        }) as RequestHandler,
      ],
      '/me': (req, res) => answer(res, [req.isAuthenticated(), req.user]),
      '/flash': (req, res) => answer(res, req.flash()),
      '/say': (req, res) => {
        req.flash('info', 'hello')
        answer(res, req.flash('info', ['there']))
      },
      '/logout': (req, res) => {
        req.logout((error: unknown) => answer(res, error))
      },
    },
  )
  return { browser: new Browser(await serve(t, listener)), keyed: new KeyedSessions(store, { userOf }) }
}

for (const framework of frameworks) {
  describe(`on ${framework.name}`, () => {
    it('passport logs in and out, with a new id each time', async (t) => {
      const { browser, keyed } = await siteWithPassport(t, framework)
      await browser.get('/say')
      const anonymous = browser.tab()
      const before = browser.cookies.get('connect.sid')
      const { status, headers } = await browser.post('/login', { username: 'ada', password: 'lovelace' })
      assert.deepEqual([status, headers.get('location')], [302, '/me'])
      assert.notEqual(browser.cookies.get('connect.sid'), before)
      assert.deepEqual(await browser.json('/me'), [true, { name: 'ada' }])
      assert.deepEqual(await anonymous.json('/me'), [false, null])
      assert.equal((await keyed.list({ user: 'ada' })).sessions.length, 1)
      const stolen = browser.tab()
      await browser.get('/logout')
      assert.deepEqual(await browser.json('/me'), [false, null])
      assert.deepEqual(await stolen.json('/me'), [false, null])
      assert.equal((await keyed.list({ user: 'ada' })).sessions.length, 0)
    })

    it('passport is logged out when everything of the user is revoked', async (t) => {
      const { browser, keyed } = await siteWithPassport(t, framework)
      await browser.post('/login', { username: 'ada', password: 'lovelace' })
      assert.equal(await keyed.revoke({ user: 'ada' }), 1)
      assert.deepEqual(await browser.json('/me'), [false, null])
    })

    it('passport and connect-flash tell of a failed login once', async (t) => {
      const { browser } = await siteWithPassport(t, framework)
      const { headers } = await browser.post('/login', { username: 'ada', password: 'wrong' })
      assert.equal(headers.get('location'), '/flash')
      assert.deepEqual(await browser.json('/flash'), { error: ['who are you?'] })
      assert.deepEqual(await browser.json('/flash'), {})
    })

    it('connect-flash keeps messages until they are read', async (t) => {
      const { browser } = await siteWithPassport(t, framework)
      assert.equal(await browser.json('/say'), 2)
      assert.equal(await browser.json('/say'), 4)
      assert.deepEqual(await browser.json('/flash'), { info: ['hello', 'there', 'hello', 'there'] })
      assert.deepEqual(await browser.json('/flash'), {})
    })

    it('csrf-sync takes the token of the session, and no other', async (t) => {
      const { csrfSynchronisedProtection, generateToken } = csrfSync()
      const done: RequestHandler = (_req, res) => answer(res as ServerResponse, 'done')
      const listener = framework.make([sessions({ store: memoryStore() })], {
        '/token': (req, res) => answer(res, generateToken(req)),
        '/change': [csrfSynchronisedProtection, done],
      })
      const browser = new Browser(await serve(t, listener))
      const token = (await browser.json('/token')) as string
      const post = async (sent: string) =>
        (await browser.get('/change', { method: 'POST', headers: { 'x-csrf-token': sent } })).status
      assert.deepEqual([await post(token), await post('another'), await post(token)], [200, 403, 200])
    })
  })
}
