/**
 * WebSockets of `ws`, which are closed when their session ends: by a logout in another tab, by "log out everywhere",
 * by its timeout.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { openStore, type Session, Sessions } from 'holdfast'
import { sessionMiddleware, type WithSession } from 'holdfast/node'
import { refuseUpgrade, socketSessions } from 'holdfast/websocket'
import { WebSocketServer } from 'ws'

const store = await openStore(process.env['STORE'] ?? 'memory:')
const sessions = new Sessions(store)

const app = express()
app.use(sessionMiddleware(sessions))
app.get('/', async (request, response) => {
  const { session } = asked(request)
  const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
  response.json({ user: session.user ?? null, visits, data: session.data })
})
app.get('/set', (request, response) => {
  const { session, query } = asked(request)
  session.set(query.get('key') ?? 'key', query.get('value') ?? '')
  response.json(session.data)
})
app.post('/login', async (request, response) => {
  const { session, query } = asked(request)
  await session.login(query.get('user') ?? 'nobody')
  response.redirect(303, '/')
})
app.post('/logout', async (request, response) => {
  await asked(request).session.destroy()
  response.redirect(303, '/')
})

const server = createServer(app)
const sockets = new WebSocketServer({ noServer: true })
const open = socketSessions(sessions)
server.on('upgrade', (request, socket, head) => {
  open(request).then(
    (opened) => {
      const { session, signal } = opened
      // On the connection itself: an upgrade may fail before there is a WebSocket.
      socket.once('close', () => opened.stop())
      if (socket.destroyed) opened.stop()
      sockets.handleUpgrade(request, socket, head, (ws) => {
        const end = (): void => ws.close(4401, 'there is no session any more')
        signal.addEventListener('abort', end)
        if (signal.aborted || session.user === undefined) end()
        else ws.send(`hello ${session.user}`)
      })
    },
    (error: unknown) => refuseUpgrade(socket, error),
  )
})

server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

process.once('SIGTERM', () => {
  for (const ws of sockets.clients) ws.close(1001)
  server.close(() => void store.close())
})

function asked(request: IncomingMessage): { readonly session: Session; readonly query: URLSearchParams } {
  const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
  return { session: (request as WithSession).session, query: searchParams }
}
