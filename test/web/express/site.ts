/** A site with sessions, and browsers that visit it. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import express, { type Express, type Request } from 'express'
import session, { type SessionOptions } from 'holdfast/express'

/** The values of the session of a request. */
export function values(req: Request): Record<string, unknown> {
  return req.session as unknown as Record<string, unknown>
}

/** Our middleware with what most tests need. */
export function sessions(options: SessionOptions = {}): express.RequestHandler {
  const settings = { secret: 'keyboard cat', resave: false, saveUninitialized: false, ...options }
  return session(settings)
}

/** An Express application with our sessions, or those of a middleware, whose errors are answered as JSON. */
export function appWith(
  options: SessionOptions | express.RequestHandler,
  routes: (app: Express) => void,
): Express {
  const app = express()
  app.use(typeof options === 'function' ? options : sessions(options))
  routes(app)
  app.use(((error: Error & { status?: number; code?: string }, _req, res, _next) => {
    if (!res.headersSent) res.status(error.status ?? 500).json({ code: error.code, message: error.message })
  }) as express.ErrorRequestHandler)
  return app
}

/** Serves until the test ends. Answers with its address. */
export async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

/** What came back. */
export interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

/** Somebody with one cookie per name. */
export class Browser {
  readonly cookies = new Map<string, string>()
  readonly #site: string

  constructor(site: string) {
    this.#site = site
  }

  /**
   * Another tab: the same cookies, which go their own ways from here on.
   *
   * @param site Perhaps another site of the same name.
   */
  tab(site: string = this.#site): Browser {
    const tab = new Browser(site)
    for (const [name, value] of this.cookies) tab.cookies.set(name, value)
    return tab
  }

  async get(path: string, init: RequestInit = {}): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...(cookie === '' ? {} : { cookie }), ...(init.headers as Record<string, string>) }
    const response = await fetch(this.#site + path, { redirect: 'manual', ...init, headers })
    for (const each of response.headers.getSetCookie()) {
      const [pair = ''] = each.split(';')
      this.cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    }
    return { status: response.status, text: await response.text(), headers: response.headers }
  }

  async post(path: string, form: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return await this.get(path, { method: 'POST', body: new URLSearchParams(form) })
  }

  /** The JSON at a path, which must be there. */
  async json(path: string): Promise<unknown> {
    const { status, text } = await this.get(path)
    assert.equal(status, 200, text)
    return JSON.parse(text)
  }
}

/** Routes that most tests need. */
export function usual(app: Express): void {
  app.get('/set', (req, res) => {
    Object.assign(req.session, req.query)
    res.send('set')
  })
  app.get('/show', (req, res) => {
    const { cookie: _, ...rest } = values(req)
    res.json(rest)
  })
  app.get('/logout', (req, res, next) => {
    req.session.destroy((error: unknown) => (error ? next(error) : res.send('out')))
  })
  app.get('/redirect', (req, res) => {
    values(req)['user'] = 'ada'
    res.redirect('/show')
  })
}

/** Somebody on a site with our sessions. */
export async function site(
  t: TestContext,
  options: SessionOptions,
  routes: (app: Express) => void = usual,
): Promise<Browser> {
  return new Browser(await serve(t, appWith(options, routes)))
}
