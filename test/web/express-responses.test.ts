/** Responses that are not those of Node.js as they come: of a handshake, and packed before the session. */

import assert from 'node:assert/strict'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { createGunzip, createGzip } from 'node:zlib'
import express, { type RequestHandler } from 'express'
import theirs from 'express-session'
import session, { type SessionOptions } from 'holdfast/express'
import { Server as SocketServer } from 'socket.io'
import { connect } from 'socket.io-client'
import { WebSocket } from 'ws'
import { until } from '../until.ts'
import { Place } from './express/place.ts'
import { Browser, serve, sessions, values } from './express/site.ts'

type Middleware = (req: never, res: never, next: (error?: unknown) => void) => void

/** What came of a handshake: its headers, and everything that the middleware told. */
interface Shaken {
  readonly headers: IncomingHttpHeaders
  readonly told: readonly unknown[]
}

/** A server of Socket.IO whose every request goes through the middleware. */
async function socketServer(t: TestContext, middleware: unknown) {
  const app = express()
  const server = createServer(app)
  const io = new SocketServer(server)
  const told: unknown[] = []
  io.engine.use((req: never, res: never, next: (error?: unknown) => void) => {
    ;(middleware as Middleware)(req, res, (error) => {
      told.push(error)
      next(error)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => io.close())
  return { io, told, app, site: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Shakes hands with Socket.IO, by WebSocket. */
async function shakeHands(
  t: TestContext,
  middleware: unknown,
  headers: Record<string, string> = {},
): Promise<Shaken> {
  const { io, told, site } = await socketServer(t, middleware)
  const connected = once(io.engine, 'connection')
  const socket = new WebSocket(`${site}/socket.io/?EIO=4&transport=websocket`, { headers })
  t.after(() => {
    socket.terminate()
  })
  const [response] = (await once(socket, 'upgrade')) as [IncomingMessage]
  await connected
  return { headers: response.headers, told }
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
      assert.match(String(headers['set-cookie']), /^connect\.sid=s%3A/)
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
      assert.ok(String(headers['set-cookie']).startsWith(cookie))
    })
  }

  for (const [name, library] of both) {
    for (const transport of ['polling', 'websocket']) {
      it(`is that of the page, by ${transport}: ${name}`, async (t) => {
        const middleware: RequestHandler = library({ secret: 'x', resave: false, saveUninitialized: false })
        const { io, site, app } = await socketServer(t, middleware)
        app.use(middleware)
        app.get('/', (req, res) => {
          values(req)['user'] = 'ada'
          res.send('in')
        })
        io.on('connection', (socket) => {
          const { session } = socket.request as { session?: Record<string, unknown> }
          socket.emit('user', session?.['user'] ?? 'nobody')
        })
        const browser = new Browser(site)
        await browser.get('/')
        const cookie = `connect.sid=${browser.cookies.get('connect.sid')!}`
        const users: unknown[] = []
        for (const extraHeaders of [{ cookie }, {}]) {
          const client = connect(site, { transports: [transport], extraHeaders, forceNew: true })
          t.after(() => client.close())
          users.push((await once(client as never, 'user'))[0])
        }
        assert.deepEqual(users, ['ada', 'nobody'])
      })
    }
  }

  const all: SessionOptions = { resave: true, saveUninitialized: true }

  it('is stored beside it', async (t) => {
    const place = new Place()
    await shakeHands(t, sessions({ ...all, store: place.store }))
    await until('it is stored', () => place.writes().length > 0)
  })

  it('keeps a cookie of somebody else', async (t) => {
    const middleware = sessions(all)
    const { headers } = await shakeHands(t, (req: never, res: ServerResponse, next: never) => {
      res.setHeader('Set-Cookie', 'io=1')
      ;(middleware as unknown as Middleware)(req, res as never, next)
    })
    // Engine.io writes one header of a list.
    assert.match(String(headers['set-cookie']), /^io=1,connect\.sid=/)
  })

  it('that cannot be stored is an error, and no more', async (t) => {
    const place = new Place()
    place.plan = ({ writes }) => (writes ? 'fail' : undefined)
    const { headers, told } = await shakeHands(t, sessions({ ...all, store: place.store }))
    await until('it is told', () => told.length === 2)
    assert.match(String(headers['set-cookie']), /^connect\.sid=/)
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
