/** The drop-in where there is no Express: WebSockets, HTTP/2, plain `node:http`. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer as createHttp2Server, type Http2ServerRequest } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { it, type TestContext } from 'node:test'
import session, { type SessionRequest } from 'holdfast/express'
import { memoryStore } from 'holdfast/memory'
import { WebSocket, WebSocketServer } from 'ws'
import { Browser, serve } from './express/site.ts'

const options = { secret: 'keyboard cat', resave: false, saveUninitialized: false }

type Values = Record<string, unknown> & { save(): Promise<void>; reload(): Promise<void> }

function values(req: SessionRequest): Values {
  return req.session as unknown as Values
}

it('plain node:http', async (t) => {
  const middleware = session({ ...options, store: memoryStore() })
  const site = await serve(t, (req, res) => {
    middleware(req, res, (error) => {
      assert.equal(error, undefined)
      const all = values(req)
      all['n'] = Number(all['n'] ?? 0) + 1
      res.end(String(all['n']))
    })
  })
  const browser = new Browser(site)
  for (const n of ['1', '2', '3']) assert.equal((await browser.get('/')).text, n)
})

it('a WebSocket, whose upgrade has no response', async (t) => {
  const middleware = session({ ...options, store: memoryStore() })
  const server = createServer((req, res) => {
    middleware(req, res, () => {
      if (req.url === '/login') values(req)['user'] = 'ada'
      res.end(JSON.stringify(values(req)))
    })
  })
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (req, socket, head) => {
    const none: unknown = {}
    middleware(req, none as ServerResponse, () => {
      sockets.handleUpgrade(req, socket, head, (client) => {
        client.on('message', (data: Buffer) => {
          void (async () => {
            const { req: held } = values(req) as unknown as { req: SessionRequest }
            await values(held).reload()
            values(held)['said'] = data.toString()
            await values(held).save()
            client.send(String(values(held)['user']))
          })()
        })
      })
    })
  })
  const site = await listening(t, server)
  const browser = new Browser(site)
  await browser.get('/login')
  const cookie = `connect.sid=${browser.cookies.get('connect.sid') ?? ''}`
  const client = new WebSocket(site.replace('http', 'ws'), { headers: { cookie } })
  t.after(() => client.terminate())
  await once(client, 'open')
  client.send('hello')
  const [answer] = (await once(client, 'message')) as [Buffer]
  assert.equal(answer.toString(), 'ada')
  const { user, said } = (await browser.json('/')) as Record<string, unknown>
  assert.deepEqual([user, said], ['ada', 'hello'])
})

it('HTTP/2', async (t) => {
  const middleware = session({ ...options, store: memoryStore() })
  const server = createHttp2Server((req: Http2ServerRequest, res) => {
    middleware(req as unknown as IncomingMessage, res as unknown as ServerResponse, () => {
      const all = values(req as unknown as SessionRequest)
      all['n'] = Number(all['n'] ?? 0) + 1
      if (req.url === '/pieces') res.write('pieces ')
      res.end(String(all['n']))
    })
  })
  const client = connect(await listening(t, server))
  t.after(() => {
    client.destroy()
  })
  let cookie = ''
  for (const [path, expected] of [
    ['/', '1'],
    ['/pieces', 'pieces 2'],
    ['/', '3'],
  ] as const) {
    const stream = client.request({ ':path': path, ...(cookie === '' ? {} : { cookie }) })
    const [headers] = (await once(stream, 'response')) as [{ 'set-cookie'?: string[] }]
    cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? cookie
    let body = ''
    for await (const chunk of stream.setEncoding('utf8')) body += chunk as string
    assert.equal(body, expected)
  }
})

/** Where a server listens. It is closed when the test ends. */
async function listening(t: TestContext, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}
