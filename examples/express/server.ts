/**
 * Express, with sessions that lose no change and stay ended.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { openStore, type Session, Sessions } from 'holdfast'
import { sessionMiddleware, type WithSession } from 'holdfast/node'

const store = await openStore(process.env['STORE'] ?? 'memory:')
const sessions = new Sessions(store)

const app = express()
app.use(sessionMiddleware(sessions))

app.get('/', async (request, response) => {
  const { session } = asked(request)
  // Two tabs that are opened at once count as two: `update` is run on the newest copy.
  const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
  response.json({ user: session.user ?? null, visits, data: session.data })
})

app.get('/set', (request, response) => {
  const { session, query } = asked(request)
  session.set(query.get('key') ?? 'key', query.get('value') ?? '')
  response.json(session.data)
})

app.post('/login', async (request, response) => {
  // A real application calls `sessions.begin` first, checks the password, and hands on what `begin` answered.
  const { session, query } = asked(request)
  await session.login(query.get('user') ?? 'nobody')
  response.redirect(303, '/')
})

app.post('/logout', async (request, response) => {
  await asked(request).session.destroy()
  response.redirect(303, '/')
})

const server = app.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

process.once('SIGTERM', () => {
  server.close(() => void store.close())
})

function asked(request: IncomingMessage): { readonly session: Session; readonly query: URLSearchParams } {
  const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
  // Yours may declare `session` on Express's own type of a request instead.
  return { session: (request as WithSession).session, query: searchParams }
}
