/**
 * Connect, with sessions that lose no change and stay ended.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import connect from 'connect'
import { openStore, type Session, Sessions } from 'holdfast'
import { answerRefused, sessionMiddleware, type WithSession } from 'holdfast/node'

const store = await openStore(process.env['STORE'] ?? 'memory:')

const app = connect()
app.use(sessionMiddleware(new Sessions(store)))

app.use('/set', (request, response) => {
  const { session, query } = asked(request)
  session.set(query.get('key') ?? 'key', query.get('value') ?? '')
  response.end(JSON.stringify(session.data))
})

app.use('/login', (request, response, next) => {
  const { session, query } = asked(request)
  session
    .login(query.get('user') ?? 'nobody')
    .then(() => response.writeHead(303, { location: '/' }).end(), next)
})

app.use('/logout', (request, response, next) => {
  const { session } = asked(request)
  session.destroy().then(() => response.writeHead(303, { location: '/' }).end(), next)
})

app.use('/', (request, response, next) => {
  const { session } = asked(request)
  const counted = session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
  counted.then((visits) => {
    response.end(JSON.stringify({ user: session.user ?? null, visits, data: session.data }))
  }, next)
})

app.use(
  (error: unknown, _request: unknown, response: Parameters<typeof answerRefused>[0], _next: unknown) => {
    answerRefused(response, error)
  },
)

const server = createServer(app).listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

process.once('SIGTERM', () => {
  server.close(() => void store.close())
})

function asked(request: IncomingMessage): { readonly session: Session; readonly query: URLSearchParams } {
  const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
  return { session: (request as WithSession).session, query: searchParams }
}
