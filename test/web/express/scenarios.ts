/* eslint-disable @typescript-eslint/no-deprecated -- What express-session has deprecated works all the same. */
/** What express-session documents, as scenarios. */

import type { Request } from 'express'
import { type Scenario, type Step, values } from './playing.ts'

const minute = 60_000

/** A cookie that nobody has signed. */
const bare = 'connect.sid=abcdefgh'
const forged = `connect.sid=${encodeURIComponent(`s:abcdefgh.${'A'.repeat(43)}`)}`

const sleep = (ms: number) => (): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The middleware, and whether anything is set and stored. */
export const ofOptions: readonly Scenario[] = [
  { name: 'nothing is stored of a session that nobody writes to', steps: ['/nothing', '/nothing'] },
  {
    name: 'a session that is written to is stored, and its cookie set once',
    steps: ['/set?a=1', '/show', '/show'],
  },
  { name: 'values are kept from request to request', steps: ['/set?a=1', '/set?b=2', '/show'] },
  { name: 'nested changes are noticed', steps: ['/nested', '/nested', '/nested', '/show'] },
  { name: 'a value that is deleted is gone', steps: ['/set?a=1&b=2', '/unset/a', '/show'] },
  {
    name: 'saveUninitialized',
    options: { saveUninitialized: true },
    steps: ['/nothing', '/nothing', '/show'],
  },
  { name: 'resave', options: { resave: true }, steps: ['/set?a=1', '/nothing', '/show'] },
  {
    name: 'resave and saveUninitialized',
    options: { resave: true, saveUninitialized: true },
    steps: ['/nothing', '/nothing'],
  },
  {
    name: 'rolling',
    options: { rolling: true, cookie: { maxAge: minute } },
    steps: ['/set?a=1', '/nothing', '/nothing'],
  },
  { name: 'rolling without maxAge', options: { rolling: true }, steps: ['/set?a=1', '/nothing'] },
  {
    name: 'rolling sets no cookie of what is uninitialized',
    options: { rolling: true },
    steps: ['/nothing', '/nothing'],
  },
  {
    name: 'rolling and saveUninitialized',
    options: { rolling: true, saveUninitialized: true },
    steps: ['/nothing', '/nothing'],
  },
  { name: 'name', options: { name: 'another' }, steps: ['/set?a=1', '/show'] },
  {
    name: 'a cookie of another name is not looked at',
    steps: ['/set?a=1', { path: '/show', cookie: 'other=1' }],
  },
  {
    name: 'secret as Buffer',
    options: { secret: Buffer.from('some bytes') as never },
    steps: ['/set?a=1', '/show'],
  },
  { name: 'secret as list', options: { secret: ['new', 'old'] }, steps: ['/set?a=1', '/show'] },
  { name: 'a forged signature is no session', steps: [{ path: '/show', cookie: forged }, '/nothing'] },
  {
    name: 'an unsigned cookie is no session',
    steps: [
      { path: '/nothing', cookie: bare },
      { path: '/set?a=1', cookie: bare },
    ],
  },
  {
    name: 'a signed cookie of a session that is not there gets another id',
    steps: ['/set?a=1', { path: '/destroy' }, '/set?a=2', '/show'],
  },
  {
    name: 'genid',
    options: () => ({ genid: counted() }),
    steps: ['/set?a=1', '/show', '/regenerate', '/show'],
  },
  {
    name: 'genid is given the request',
    options: { genid: (req: Request) => `id-of-${req.path.slice(1)}` },
    steps: ['/set?a=1', '/show'],
  },
  {
    name: 'genid that answers with no text',
    options: { genid: (() => undefined) as never },
    steps: ['/set?a=1', '/nothing'],
  },
  {
    name: 'genid that answers with the id of a session that is there: destroy',
    options: { genid: () => 'one-for-all' },
    steps: ['/set?a=1', { path: '/destroy', cookie: 'none' }, '/show'],
  },
  {
    name: 'genid that answers with the id of a session that is there: regenerate',
    options: { genid: () => 'one-for-all' },
    steps: ['/set?a=1', { path: '/regenerate', cookie: 'none' }, '/show'],
  },
  {
    name: 'genid that answers with an id again, after a logout',
    options: { genid: () => 'one-for-all' },
    steps: ['/set?a=1', '/show', '/destroy', '/set?a=2', '/show'],
    stores: ['memory'],
    differs: 'an id that was destroyed opens nothing any more',
  },
  {
    name: 'options that are null',
    options: nothing('cookie', 'genid', 'name', 'key', 'proxy', 'rolling', 'unset'),
    steps: ['/set?a=1', '/nothing', '/show', '/cookie'],
  },
  { name: 'cookie: false', options: { cookie: false as never }, steps: ['/set?a=1', '/show', '/cookie'] },
  {
    name: 'resave and saveUninitialized that are null: no',
    options: nothing('resave', 'saveUninitialized'),
    steps: ['/nothing', '/set?a=1', '/nothing', '/show'],
  },
  { name: 'unset: keep, deleted', steps: ['/set?a=1', '/delete', '/show'] },
  { name: 'unset: keep, null', steps: ['/set?a=1', '/null', '/show'] },
  { name: 'unset: destroy, deleted', options: { unset: 'destroy' }, steps: ['/set?a=1', '/delete', '/show'] },
  { name: 'unset: destroy, null', options: { unset: 'destroy' }, steps: ['/set?a=1', '/null', '/show'] },
  {
    name: 'unset: destroy, and nothing unset',
    options: { unset: 'destroy' },
    steps: ['/set?a=1', '/nothing', '/show'],
  },
  {
    name: 'a middleware that comes second leaves the session alone',
    app: (app, library) => {
      app.use(library({ secret: 'another', resave: false, saveUninitialized: true }))
    },
    steps: ['/set?a=1', '/show'],
  },
  {
    name: 'secret of Express’s cookie-parser',
    first: (app) => {
      app.use((req, _res, next) => {
        ;(req as { secret?: string }).secret = 'of the parser'
        next()
      })
    },
    options: { secret: undefined as never },
    steps: ['/set?a=1', '/show'],
  },
  { name: 'no secret at all', options: { secret: undefined as never }, steps: ['/nothing'] },
  {
    name: 'signedCookies of cookie-parser',
    first: (app) => {
      app.use((req, _res, next) => {
        ;(req as { signedCookies?: object }).signedCookies = { 'connect.sid': 'parsed' }
        next()
      })
    },
    steps: ['/show', '/set?a=1'],
  },
]

/** Options that are null. */
function nothing(...names: readonly string[]): object {
  return Object.fromEntries(names.map((name) => [name, null]))
}

/** A generator of ids that can be foretold. */
function counted(): () => string {
  let n = 0
  return () => `id-${String(++n)}`
}

const https = { 'x-forwarded-proto': 'https' }

/** Settings of the cookie. */
export const ofCookies: readonly Scenario[] = [
  { name: 'the default cookie', steps: ['/set?a=1', '/cookie'] },
  {
    name: 'maxAge',
    options: { cookie: { maxAge: minute } },
    steps: ['/set?a=1', '/cookie', '/set?b=1', '/nothing'],
  },
  { name: 'maxAge 0', options: { cookie: { maxAge: 0 } }, steps: ['/set?a=1', '/show'], stores: ['memory'] },
  {
    name: 'expires',
    options: () => ({ cookie: { expires: new Date(Date.now() + 10 * minute) } }),
    steps: ['/set?a=1', '/cookie'],
  },
  {
    name: 'expires and maxAge: the last one counts',
    options: () => ({ cookie: { expires: new Date(Date.now() + 10 * minute), maxAge: minute } }),
    steps: ['/set?a=1', '/cookie'],
  },
  {
    name: 'maxAge and expires: the last one counts',
    options: () => ({ cookie: { maxAge: minute, expires: new Date(Date.now() + 10 * minute) } }),
    steps: ['/set?a=1', '/cookie'],
  },
  { name: 'path', options: { cookie: { path: '/set' } }, steps: ['/set?a=1', '/set?b=1', '/settle'] },
  {
    name: 'path: elsewhere there is no session',
    options: { cookie: { path: '/admin' } },
    app: (app) => {
      app.get(['/admin/here', '/elsewhere'], (req, res) => void res.send(typeof req.session))
    },
    steps: ['/admin/here', '/elsewhere'],
  },
  { name: 'domain', options: { cookie: { domain: 'example.com' } }, steps: ['/set?a=1', '/cookie'] },
  { name: 'httpOnly: false', options: { cookie: { httpOnly: false } }, steps: ['/set?a=1', '/cookie'] },
  { name: 'partitioned', options: { cookie: { partitioned: true } }, steps: ['/set?a=1', '/cookie'] },
  ...(['low', 'medium', 'high'] as const).map((priority) => ({
    name: `priority: ${priority}`,
    options: { cookie: { priority } },
    steps: ['/set?a=1', '/cookie'],
  })),
  ...([true, false, 'lax', 'strict', 'none'] as const).map((sameSite) => ({
    name: `sameSite: ${String(sameSite)}`,
    options: { cookie: { sameSite } },
    steps: ['/set?a=1', '/cookie'],
  })),
  {
    name: 'sameSite: auto',
    options: { cookie: { sameSite: 'auto' as never } },
    steps: ['/set?a=1', '/cookie'],
  },
  {
    name: 'sameSite: auto over TLS',
    options: { proxy: true, cookie: { sameSite: 'auto' as never } },
    steps: [{ path: '/set?a=1', headers: https }],
  },
  {
    name: 'an invalid option of the cookie',
    options: { cookie: { sameSite: 'perhaps' as never } },
    steps: ['/nothing', '/set?a=1'],
    differs: 'a cookie that cannot be written is an error before anything is sent',
  },
  {
    name: 'a time that is none',
    options: { cookie: { expires: new Date(NaN) } },
    steps: ['/nothing', '/set?a=1'],
    differs: 'a cookie that cannot be written is an error before anything is sent',
  },
  {
    name: 'a time long ago',
    options: { cookie: { expires: new Date(0) } },
    steps: ['/set?a=1', '/show'],
    stores: ['memory'],
  },
  {
    name: 'secure: true over plain HTTP',
    options: { cookie: { secure: true } },
    steps: ['/set?a=1', '/show'],
  },
  {
    name: 'secure: true behind a proxy that is trusted',
    options: { proxy: true, cookie: { secure: true } },
    steps: [
      { path: '/set?a=1', headers: https },
      { path: '/show', headers: https },
    ],
  },
  {
    name: 'secure: true behind several proxies',
    options: { proxy: true, cookie: { secure: true } },
    steps: [
      { path: '/set?a=1', headers: { 'x-forwarded-proto': 'https, http' } },
      { path: '/set?a=1', cookie: 'none', headers: { 'x-forwarded-proto': 'http,https' } },
      { path: '/set?a=1', cookie: 'none', headers: { 'x-forwarded-proto': ' HTTPS ' } },
    ],
  },
  {
    name: 'proxy: false believes nobody',
    options: { proxy: false, cookie: { secure: true } },
    first: (app) => void app.set('trust proxy', 1),
    steps: [{ path: '/set?a=1', headers: https }],
  },
  {
    name: 'proxy: 1 is not true',
    options: { proxy: 1 as never, cookie: { secure: true } },
    steps: [{ path: '/set?a=1', headers: https }],
  },
  {
    name: 'proxy: null is left to Express, which trusts it',
    options: { proxy: null as never, cookie: { secure: true } },
    first: (app) => void app.set('trust proxy', 1),
    steps: [{ path: '/set?a=1', headers: https }],
  },
  {
    name: 'proxy left to Express, which trusts it',
    options: { cookie: { secure: true } },
    first: (app) => void app.set('trust proxy', 1),
    steps: [{ path: '/set?a=1', headers: https }],
  },
  {
    name: 'proxy left to Express, which does not trust it',
    options: { cookie: { secure: true } },
    steps: [{ path: '/set?a=1', headers: https }],
  },
  {
    name: 'secure: auto',
    options: { proxy: true, cookie: { secure: 'auto' } },
    steps: ['/set?a=1', { path: '/set?a=1', cookie: 'none', headers: https }, '/cookie'],
  },
  {
    name: 'a function for the cookie',
    options: { cookie: (req: Request) => ({ path: '/', maxAge: req.query['long'] ? 10 * minute : minute }) },
    steps: ['/set?a=1', { path: '/set?long=1', cookie: 'none' }, '/cookie'],
  },
  {
    name: 'a function for the path of the cookie',
    options: { cookie: (req: Request) => ({ path: `/${req.url.split('/')[1]!.split('?')[0]!}` }) },
    steps: ['/set?a=1', '/show'],
  },
  {
    name: 'a function for the cookie, with secure: auto',
    options: { proxy: true, cookie: () => ({ secure: 'auto' as const }) },
    steps: ['/set?a=1'],
    differs: "'auto' is heeded in what a function for the cookie answers too",
  },
  {
    name: 'cookie.maxAge is set by the application',
    steps: ['/set?a=1', '/maxage/60000', '/cookie', '/set?b=1'],
  },
  {
    name: 'cookie.maxAge is made shorter by the application',
    options: { cookie: { maxAge: 10 * minute } },
    steps: ['/set?a=1', '/maxage/60000', '/cookie', '/set?b=1'],
  },
  {
    name: 'cookie.expires = false: until the browser closes',
    options: { cookie: { maxAge: minute } },
    app: (app) => {
      app.get('/forever', (req, res) => {
        req.session.cookie.expires = false as never
        values(req)['a'] = 1
        res.send('forever')
      })
    },
    steps: ['/forever', '/cookie', '/set?b=1'],
  },
  {
    name: 'cookie.expires is a date',
    app: (app) => {
      app.get('/until', (req, res) => {
        req.session.cookie.expires = new Date(Date.now() + 5 * minute)
        values(req)['a'] = 1
        res.send(String(Math.round(req.session.cookie.maxAge! / 1_000)))
      })
    },
    steps: ['/until', '/cookie'],
  },
  {
    name: 'other settings of the cookie of a visitor',
    app: (app) => {
      app.get('/change', (req, res) => {
        Object.assign(req.session.cookie, { path: '/set', httpOnly: false, domain: 'example.org' })
        values(req)['a'] = 1
        res.send('changed')
      })
    },
    steps: ['/change', '/cookie'],
  },
  {
    name: 'cookie.maxAge of something else than a number',
    app: (app) => {
      app.get('/wrong', (req) => {
        req.session.cookie.maxAge = 'soon' as never
      })
    },
    steps: ['/wrong'],
    differs: 'the messages of errors about options are worded in another way',
  },
  {
    name: 'cookie.serialize',
    app: (app) => {
      app.get('/serialize', (req, res) => {
        const { cookie } = req.session as unknown as {
          cookie: { serialize(name: string, value: string): string }
        }
        res.send(cookie.serialize('a name'.replace(' ', '-'), 'a value; with everything'))
      })
    },
    options: { cookie: { domain: 'example.com', sameSite: 'lax' } },
    steps: ['/serialize'],
  },
  {
    name: 'a session ends when its maxAge is over',
    options: { cookie: { maxAge: 60 } },
    steps: ['/set?a=1', { path: '/show', before: sleep(120) }],
    stores: ['memory'],
  },
  {
    name: 'a session in use goes on',
    options: { cookie: { maxAge: 4_000 } },
    steps: ['/set?a=1', ...[1, 2].map((): Step => ({ path: '/show', before: sleep(2_100) }))],
    stores: ['memory'],
  },
  {
    name: 'values of cookies in quotes, and several of one name',
    steps: ['/set?a=1', { path: '/nothing', cookie: `a="b"; connect.sid="x"; ${bare}` }, '/show'],
  },
]
