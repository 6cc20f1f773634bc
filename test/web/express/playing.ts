/* eslint-disable @typescript-eslint/no-deprecated -- What express-session has deprecated works all the same. */
/**
 * Plays a scenario to a library of sessions and writes down what a client sees of it: status, body and cookies, with
 * ids and times replaced by what they stand for, so that two libraries can be compared.
 */

import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Express, type Request } from 'express'
import type theirs from 'express-session'
import type { SessionOptions } from 'express-session'

/** express-session, and whatever can stand in its place. */
export type Library = typeof theirs

/** What a client asks for. A text is a path. */
export type Step =
  | string
  | {
      readonly path: string
      /** `none`: without cookie. A text: this one, in place of what was set last. */
      readonly cookie?: string
      readonly headers?: Readonly<Record<string, string>>
      /** What happens before, such as time. */
      readonly before?: () => void | Promise<void>
    }

/** What is played. */
export interface Scenario {
  readonly name: string
  /** What the middleware is told beyond the usual. */
  readonly options?: Partial<SessionOptions> | ((library: Library, place: Place) => Partial<SessionOptions>)
  /** What the application does beyond the usual. */
  readonly app?: (app: Express, library: Library, place: Place) => void
  /** What comes before the middleware. */
  readonly first?: (app: Express) => void
  readonly steps: readonly Step[]
  /** Why it is meant to differ, if it is. */
  readonly differs?: string
  /** The stores that it can be played with. @default all */
  readonly stores?: readonly StoreKind[]
  /** Other stores know no ids, say. */
  readonly isOfMemoryStore?: boolean
}

/** What sessions are kept in. */
export type StoreKind = 'memory' | 'callbacks'

/** Where a scenario is played. */
export interface Place {
  /** What the store was asked, in order. */
  readonly calls: string[]
  readonly store: theirs.Store
}

/** Plays a scenario. */
export async function play(scenario: Scenario, library: Library, makeStore: () => object): Promise<string[]> {
  const calls: string[] = []
  const place: Place = { calls, store: overheard(makeStore() as theirs.Store, calls) }
  const server = createServer(appOf(scenario, library, place))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const client = new Client(server, calls)
    for (const step of scenario.steps) await client.take(step)
    return client.transcript
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

function appOf(scenario: Scenario, library: Library, place: Place): Express {
  const app = express()
  const more = typeof scenario.options === 'function' ? scenario.options(library, place) : scenario.options
  const options = {
    secret: 'keyboard cat',
    resave: false,
    saveUninitialized: false,
    store: place.store,
    ...more,
  }
  app.disable('x-powered-by')
  app.set('etag', false)
  scenario.first?.(app)
  app.use(library(options))
  scenario.app?.(app, library, place)
  addUsual(app)
  app.use(((error: Error & { status?: number }, _req, res, _next) => {
    if (!res.headersSent) res.status(error.status ?? 500).send(`error: ${error.message}`)
  }) as express.ErrorRequestHandler)
  return app
}

type Values = Record<string, unknown>

/** The values of the session of a request. */
export function values(req: Request): Values {
  return req.session as unknown as Values
}

/** A time in milliseconds, as exactly as two libraries can be played one after the other. */
function roughly(ms: unknown): unknown {
  return typeof ms === 'number' ? Math.round(ms / 20_000) * 20_000 : ms
}

/** Routes that most scenarios need. */
function addUsual(app: Express): void {
  app.get('/nothing', (_req, res) => void res.send('nothing'))
  app.get('/set', (req, res) => {
    Object.assign(req.session, req.query)
    res.send('set')
  })
  app.get('/nested', (req, res) => {
    const all = values(req)
    const list = (all['list'] ??= []) as number[]
    list.push(list.length)
    res.json(list)
  })
  app.get('/unset/:name', (req, res) => {
    delete values(req)[req.params.name]
    res.send('unset')
  })
  app.get('/show', (req, res) => {
    const { cookie: _, ...rest } = values(req)
    res.json({ id: req.sessionID, same: req.session.id === req.sessionID, ...rest })
  })
  app.get('/cookie', (req, res) => {
    const { cookie } = req.session
    const { expires: _, originalMaxAge, ...data } = JSON.parse(JSON.stringify(cookie)) as Values
    const times = { left: roughly(cookie.maxAge), originally: roughly(originalMaxAge) }
    res.json({ ...data, ...times, isDate: cookie.expires instanceof Date })
  })
  app.get('/maxage/:ms', (req, res) => {
    req.session.cookie.maxAge = Number(req.params.ms)
    res.send('maxAge')
  })
  app.get('/destroy', (req, res, next) => {
    req.session.destroy((error: unknown) =>
      error ? next(error) : res.json({ left: (req.session as unknown) ?? null }),
    )
  })
  app.get('/regenerate', (req, res, next) => {
    const before = req.sessionID
    req.session.regenerate((error: unknown) => {
      if (error) next(error)
      else res.json({ changed: before !== req.sessionID, keys: Object.keys(req.session) })
    })
  })
  app.get('/reload', (req, res, next) => {
    values(req)['unsaved'] = 1
    req.session.reload((error: unknown) => (error ? next(error) : res.json(Object.keys(req.session))))
  })
  app.get('/save', (req, res, next) => {
    values(req)['saved'] = 1
    req.session.save((error: unknown) => (error ? next(error) : res.send('saved')))
  })
  app.get('/delete', (req, res) => {
    delete (req as unknown as Values)['session']
    res.send('deleted')
  })
  app.get('/null', (req, res) => {
    ;(req as unknown as Values)['session'] = null
    res.send('null')
  })
  app.get('/redirect', (req, res) => {
    values(req)['redirected'] = 1
    res.redirect('/show')
  })
}

/** A browser, of a kind. */
class Client {
  readonly transcript: string[] = []
  readonly #port: number
  readonly #calls: string[]
  readonly #ids: string[] = []
  #cookie: string | undefined

  constructor(server: Server, calls: string[]) {
    this.#port = (server.address() as AddressInfo).port
    this.#calls = calls
  }

  async take(step: Step): Promise<void> {
    const {
      path,
      cookie = this.#cookie,
      headers = {},
      before,
    } = typeof step === 'string' ? { path: step } : step
    await before?.()
    this.#calls.length = 0
    const sent = cookie === undefined || cookie === 'none' ? {} : { cookie }
    const response = await this.#get(path, { ...sent, ...headers })
    let body = ''
    for await (const chunk of response.setEncoding('utf8')) body += chunk as string
    const cookies = (response.headers['set-cookie'] ?? []).map((each) => this.#received(each))
    const shown = this.#normal(body)
    const where = response.headers.location === undefined ? '' : ` → ${response.headers.location}`
    this.transcript.push(
      `${path} ${String(response.statusCode)}${where} ${JSON.stringify(shown)} ${cookies.join(' | ') || '-'}`,
    )
    // What is done after the response, such as telling of errors.
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.#calls.length > 0) this.transcript.push(`  ${this.#calls.join(' ')}`)
  }

  #get(path: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      get({ port: this.#port, host: '127.0.0.1', path, headers, agent: false }, resolve).on('error', reject)
    })
  }

  #received(header: string): string {
    const [pair = '', ...attributes] = header.split('; ')
    const value = decodeURIComponent(pair.slice(pair.indexOf('=') + 1))
    if (value.startsWith('s:')) {
      this.#cookie = pair
      const id = value.slice(2, value.lastIndexOf('.'))
      if (!this.#ids.includes(id)) this.#ids.push(id)
    }
    const shown = attributes.map((each) => (each.startsWith('Expires=') ? inTime(each.slice(8)) : each))
    return [
      this.#normal(decodeURIComponent(pair)).replace(/(<id \d+>)\.[^;]{43}$/, '$1.<signature>'),
      ...shown,
    ].join('; ')
  }

  #normal(text: string): string {
    const shown = this.#ids.reduce((so, id, i) => so.replaceAll(id, `<id ${String(i + 1)}>`), text)
    return (
      shown
        .replaceAll(/(?<="id":")[\w-]{32}(?=")/g, '<another id>')
        // A time that session-file-store keeps in the session.
        .replaceAll(/(?<="__lastAccess":)\d+/g, '0')
    )
  }
}

/** A time as seconds from now, roughly. */
function inTime(text: string): string {
  const seconds = (Date.parse(text) - Date.now()) / 1_000
  return `Expires in ${String(Math.round(seconds / 20) * 20)} s`
}

/** The store, which tells what it is asked. */
function overheard(store: theirs.Store, calls: string[]): theirs.Store {
  // A Holdfast store is none with callbacks.
  if (!('get' in store)) return store
  for (const name of ['get', 'set', 'touch', 'destroy'] as const) {
    const method = Reflect.get(store, name) as unknown
    if (typeof method !== 'function') continue
    Reflect.set(store, name, (...given: unknown[]) => {
      calls.push(name)
      return Reflect.apply(method, store, given) as unknown
    })
  }
  return store
}
