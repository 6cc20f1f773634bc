/**
 * A handler of web-standard requests, without any framework, with sessions that lose no change and stay ended.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 *   STORE=sqlite:sessions.db PORT=3000 bun server.ts
 *   STORE=sqlite:sessions.db PORT=3000 deno run --allow-net --allow-env --allow-read --allow-write server.ts
 */

import { openStore, type Session, Sessions } from 'holdfast'
import { fetchSessions } from 'holdfast/fetch'
import { serve } from './serve.ts'

const store = await openStore(process.env['STORE'] ?? 'memory:', {
  namespace: process.env['NAMESPACE'] ?? 'shop',
})
const withSession = fetchSessions(new Sessions(store))

type Route = (session: Session, query: URLSearchParams) => Promise<Response> | Response

const routes: Readonly<Record<string, Route>> = {
  'GET /': async (session) => {
    // Two tabs that are opened at once count as two: `update` is run on the newest copy.
    const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
    return Response.json({ user: session.user ?? null, visits, data: session.data })
  },
  'GET /set': (session, query) => {
    session.set(query.get('key') ?? 'key', query.get('value') ?? '')
    return Response.json(session.data)
  },
  'POST /login': async (session, query) => {
    // A real application calls `sessions.begin` first, checks the password, and hands on what `begin` answered.
    await session.login(query.get('user') ?? 'nobody')
    return new Response(null, { status: 303, headers: { location: '/' } })
  },
  'POST /logout': async (session) => {
    await session.destroy()
    return new Response(null, { status: 303, headers: { location: '/' } })
  },
}

const handler = withSession((request, session) => {
  const { pathname, searchParams } = new URL(request.url)
  const route = routes[`${request.method} ${pathname}`]
  return route ? route(session, searchParams) : new Response('there is nothing here', { status: 404 })
})

const { port, close } = await serve(handler, Number(process.env['PORT'] ?? 0))
console.log(`listening on http://127.0.0.1:${port}`)

process.once('SIGTERM', () => {
  void close().then(() => store.close())
})
