/** Responses that are not those of Node.js as they come: of a handshake, and packed before the session. */

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { createGunzip, createGzip } from 'node:zlib'
import express, { type RequestHandler } from 'express'
import theirs from 'express-session'
import session, { type SessionOptions } from 'holdfast/express'
import { until } from '../until.ts'
import { Place } from './express/place.ts'
import { Browser, serve, sessions, values } from './express/site.ts'

type Middleware = (req: never, res: never, next: (error?: unknown) => void) => void

/** What engine.io gives to middleware in the place of a response, while it shakes hands. */
class WebSocketResponse {
  readonly headers: Record<string, unknown> = {}

  setHeader(name: string, value: unknown): void {
    this.headers[name] = value
  }
  getHeader(name: string): unknown {
    return this.headers[name]
  }
  removeHeader(name: string): void {
    Reflect.deleteProperty(this.headers, name)
  }
  write(): void {}
  writeHead(): void {}
  end(): void {}
}

/** What came of a handshake: what the middleware was asked for, and everything that it told. */
interface Shaken {
  readonly headers: Readonly<Record<string, unknown>>
  readonly told: readonly unknown[]
}

/** Shakes hands as engine.io does: the middleware, then the headers, then the protocol of WebSocket. */
async function shakeHands(t: TestContext, middleware: unknown, headers: object = {}): Promise<Shaken> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const shaken = new Promise<Shaken>((resolve) => {
    server.on('upgrade', (req, socket) => {
      const res = new WebSocketResponse()
      const told: unknown[] = []
      ;(middleware as Middleware)(req as never, res as never, (error) => {
        if (told.push(error) === 1) res.writeHead()
        resolve({ headers: res.headers, told })
      })
      socket.destroy()
    })
  })
  const { port } = server.address() as AddressInfo
  const upgrade = { connection: 'upgrade', upgrade: 'websocket', ...headers }
  request({ host: '127.0.0.1', port, path: '/socket.io/', headers: upgrade })
    .on('error', () => undefined)
    .end()
  return await shaken
}

const both = [
  ['holdfast/express', session],
  ['express-session', theirs],
] as const

describe('a session in the handshake of a WebSocket', () => {
  for (const [name, library] of both) {
    it(`gets its cookie by it: ${name}`, async (t) => {
      const options = { secret: 'x', resave: true, saveUninitialized: true }
      const { headers, told } = await shakeHands(t, library(options))
      assert.match(String(headers['Set-Cookie']), /^connect\.sid=s%3A/)
      assert.deepEqual(told, [undefined])
    })

    it(`gets it anew where it is rolling: ${name}`, async (t) => {
      const options = { secret: 'x', resave: false, saveUninitialized: false, rolling: true }
      const middleware: RequestHandler = library(options)
      const app = express()
      app.use(middleware)
      app.get('/', (req, res) => {
        values(req)['user'] = 'ada'
        res.send('in')
      })
      const browser = new Browser(await serve(t, app))
      await browser.get('/')
      const cookie = `connect.sid=${browser.cookies.get('connect.sid')!}`
      const { headers } = await shakeHands(t, middleware, { cookie })
      assert.ok(String(headers['Set-Cookie']).startsWith(cookie))
    })
  }

  const all: SessionOptions = { resave: true, saveUninitialized: true }

  it('is stored beside it', async (t) => {
    const place = new Place()
    await shakeHands(t, sessions({ ...all, store: place.store }))
    await until('it is stored', () => place.writes().length > 0)
  })

  it('keeps a cookie of somebody else', async (t) => {
    const middleware = sessions(all)
    const { headers } = await shakeHands(t, (req: never, res: WebSocketResponse, next: never) => {
      res.setHeader('Set-Cookie', 'io=1')
      ;(middleware as unknown as Middleware)(req, res as never, next)
    })
    assert.match(String(headers['Set-Cookie']), /^io=1,connect\.sid=/)
  })

  it('that cannot be stored is an error, and no more', async (t) => {
    const place = new Place()
    place.plan = ({ writes }) => (writes ? 'fail' : undefined)
    const { headers, told } = await shakeHands(t, sessions({ ...all, store: place.store }))
    await until('it is told', () => told.length === 2)
    assert.match(String(headers['Set-Cookie']), /^connect\.sid=/)
    assert.equal((told[1] as { code?: unknown }).code, 'HOLDFAST_STORE_UNAVAILABLE')
  })
})

/** Packs every response as the middleware `compression` does. */
const packing: RequestHandler = (_req, res, next) => {
  const [write, end] = [res.write.bind(res), res.end.bind(res)]
  const packed = createGzip()
  packed.on('data', (piece) => void write(piece))
  packed.on('end', () => void end())
  res.setHeader('Content-Encoding', 'gzip')
  Object.assign(res, {
    flush: () => {
      packed.flush()
    },
    write: (piece: string) => packed.write(piece),
    end: (piece: string) => void packed.end(piece),
  })
  next()
}

describe('a response that is packed before its session', () => {
  it('lets go by `flush` what was written, while the rest is to come', async (t) => {
    const place = new Place()
    let finish: () => void = () => undefined
    const app = express()
    app.use(packing, sessions({ store: place.store }))
    app.get('/', (req, res) => {
      values(req)['a'] = 1
      res.write('first ')
      ;(res as unknown as { flush(): void }).flush()
      finish = () => void res.end('last')
    })
    const answer = new Promise<IncomingMessage>((resolve) => {
      void serve(t, app).then((site) => request(site, resolve).end())
    })
    const unpacked = (await answer).pipe(createGunzip()).setEncoding('utf8')
    let text = ''
    unpacked.on('data', (piece: string) => (text += piece))
    await until('the first piece is here', () => text === 'first ')
    finish()
    await until('the last one is here', () => text === 'first last')
  })
})
