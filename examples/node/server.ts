/**
 * Plain `node:http`, with sessions that lose no change and stay ended.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openStore, type Session, Sessions } from 'holdfast'
import { answerRefused, sessionMiddleware, type WithSession } from 'holdfast/node'

type Route = (session: Session, query: URLSearchParams, answer: ServerResponse) => Promise<void> | void

const store = await openStore(process.env['STORE'] ?? 'memory:')
const withSession = sessionMiddleware(new Sessions(store))

const routes: Readonly<Record<string, Route>> = {
  'GET /': async (session, _query, answer) => {
    const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
    answer.end(JSON.stringify({ user: session.user ?? null, visits, data: session.data }))
  },
  'GET /set': (session, query, answer) => {
    session.set(query.get('key') ?? 'key', query.get('value') ?? '')
    answer.end(JSON.stringify(session.data))
  },
  'POST /login': async (session, query, answer) => {
    await session.login(query.get('user') ?? 'nobody')
    answer.writeHead(303, { location: '/' }).end()
  },
  'POST /logout': async (session, _query, answer) => {
    await session.destroy()
    answer.writeHead(303, { location: '/' }).end()
  },
}

const missing: Route = (_session, _query, answer) => {
  answer.writeHead(404).end()
}

const server = createServer((request, answer) => {
  const refuse = (error: unknown): void => {
    console.error(error)
    answerRefused(answer, error)
  }
  withSession(request, answer, (error) => {
    if (error !== undefined) {
      refuse(error)
      return
    }
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const route = routes[`${request.method ?? 'GET'} ${pathname}`] ?? missing
    route((request as WithSession).session, searchParams, answer)?.catch(refuse)
  })
})

server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

process.once('SIGTERM', () => {
  server.close(() => void store.close())
})
