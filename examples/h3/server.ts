/**
 * h3, on which Nitro stands, with sessions that lose no change and stay ended.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import { getQuery, H3, type H3Event, redirect, serve } from 'h3'
import { openStore, type Session, Sessions } from 'holdfast'
import { h3Session } from 'holdfast/h3'

const store = await openStore(process.env['STORE'] ?? 'memory:')

const app = new H3()
app.use(h3Session(new Sessions(store)))

app.get('/', async (event) => {
  const session = sessionOf(event)
  // Two tabs that are opened at once count as two: `update` is run on the newest copy.
  const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
  return { user: session.user ?? null, visits, data: session.data }
})

app.get('/set', (event) => {
  const session = sessionOf(event)
  const { key, value } = getQuery(event)
  session.set(String(key), String(value))
  return session.data
})

app.post('/login', async (event) => {
  // A real application calls `sessions.begin` first, checks the password, and hands on what `begin` answered.
  await sessionOf(event).login(String(getQuery(event)['user']))
  return redirect('/', 303)
})

app.post('/logout', async (event) => {
  await sessionOf(event).destroy()
  return redirect('/', 303)
})

const server = serve(app, {
  hostname: '127.0.0.1',
  port: Number(process.env['PORT'] ?? 0),
  silent: true,
  gracefulShutdown: false,
})
await server.ready()
console.log(`listening on ${server.url?.replace(/\/$/, '') ?? 'nothing'}`)

process.once('SIGTERM', () => {
  void server.close().then(() => store.close())
})

/** Yours may declare `session` on h3's own type of a context instead. */
function sessionOf({ context }: H3Event): Session {
  return context['session'] as Session
}
