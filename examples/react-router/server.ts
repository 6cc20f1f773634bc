/**
 * React Router with sessions that lose no change and stay ended: data routes with the middleware, without a page to show.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import { serve } from '@hono/node-server'
import { openStore, type Session, Sessions } from 'holdfast'
import { routerSession } from 'holdfast/react-router'
import {
  type ActionFunctionArgs,
  createContext,
  createStaticHandler,
  type LoaderFunctionArgs,
  type MiddlewareFunction,
  redirect,
  RouterContextProvider,
} from 'react-router'

const store = await openStore(process.env['STORE'] ?? 'memory:', {
  namespace: process.env['NAMESPACE'] ?? 'shop',
})
const sessionContext = createContext<Session>()
const middleware = [routerSession(new Sessions(store), sessionContext)] as MiddlewareFunction[]

const sessionOf = ({ context }: LoaderFunctionArgs): Session =>
  (context as Readonly<RouterContextProvider>).get(sessionContext)
const queryOf = ({ request }: LoaderFunctionArgs): URLSearchParams => new URL(request.url).searchParams

async function home(given: LoaderFunctionArgs): Promise<Response> {
  const session = sessionOf(given)
  // Two tabs that are opened at once count as two: `update` is run on the newest copy.
  const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
  return Response.json({ user: session.user ?? null, visits, data: session.data })
}

function set(given: LoaderFunctionArgs): Response {
  const session = sessionOf(given)
  session.set(queryOf(given).get('key') ?? 'key', queryOf(given).get('value') ?? '')
  return Response.json(session.data)
}

async function login(given: ActionFunctionArgs): Promise<Response> {
  // A real application calls `sessions.begin` first, checks the password, and hands on what `begin` answered.
  await sessionOf(given).login(queryOf(given).get('user') ?? 'nobody')
  return redirect('/', 303)
}

async function logout(given: ActionFunctionArgs): Promise<Response> {
  await sessionOf(given).destroy()
  return redirect('/', 303)
}

const router = createStaticHandler([
  { path: '/', loader: home, middleware },
  { path: '/set', loader: set, middleware },
  { path: '/login', action: login, middleware },
  { path: '/logout', action: logout, middleware },
])

async function answer(request: Request): Promise<Response> {
  return (await router.queryRoute(request, {
    requestContext: new RouterContextProvider(),
    generateMiddlewareResponse: async (query) => await query(request),
  })) as Response
}

const hostname = '127.0.0.1'
const server = serve({ fetch: answer, hostname, port: Number(process.env['PORT'] ?? 0) }, ({ port }) => {
  console.log(`listening on http://${hostname}:${String(port)}`)
})

process.once('SIGTERM', () => {
  server.close(() => void store.close())
})
