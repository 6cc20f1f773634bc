/**
 * Koa, with sessions that lose no change and stay ended.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import type { AddressInfo } from 'node:net'
import { openStore, Sessions } from 'holdfast'
import { koaSession, type KoaSessionState } from 'holdfast/koa'
import Koa from 'koa'

type Context = Koa.ParameterizedContext<Koa.DefaultState, KoaSessionState>

const store = await openStore(process.env['STORE'] ?? 'memory:')

const routes: Readonly<Record<string, (context: Context) => Promise<void> | void>> = {
  'GET /': async ({ session, response }) => {
    // Two tabs that are opened at once count as two: `update` is run on the newest copy.
    const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
    response.body = { user: session.user ?? null, visits, data: session.data }
  },
  'GET /set': ({ session, query, response }) => {
    session.set(String(query['key']), String(query['value']))
    response.body = session.data
  },
  'POST /login': async ({ session, query, response }) => {
    // A real application calls `sessions.begin` first, checks the password, and hands on what `begin` answered.
    await session.login(String(query['user']))
    response.status = 303
    response.redirect('/')
  },
  'POST /logout': async ({ session, response }) => {
    await session.destroy()
    response.status = 303
    response.redirect('/')
  },
}

const app = new Koa<Koa.DefaultState, KoaSessionState>()
app.use(koaSession(new Sessions(store)))
app.use(async (context) => {
  await routes[`${context.method} ${context.path}`]?.(context)
})

const server = app.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

process.once('SIGTERM', () => {
  server.close(() => void store.close())
})
