/**
 * Hono, with sessions that lose no change and stay ended.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import { serve } from '@hono/node-server'
import { openStore, type Session, Sessions } from 'holdfast'
import { honoSession } from 'holdfast/hono'
import { Hono } from 'hono'

const store = await openStore(process.env['STORE'] ?? 'memory:')

const app = new Hono<{ Variables: { session: Session } }>()
app.use(honoSession(new Sessions(store)))

app.get('/', async (c) => {
  const session = c.get('session')
  // Two tabs that are opened at once count as two: `update` is run on the newest copy.
  const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
  return c.json({ user: session.user ?? null, visits, data: session.data })
})

app.get('/set', (c) => {
  const session = c.get('session')
  session.set(c.req.query('key') ?? 'key', c.req.query('value') ?? '')
  return c.json(session.data)
})

app.post('/login', async (c) => {
  // A real application calls `sessions.begin` first, checks the password, and hands on what `begin` answered.
  await c.get('session').login(c.req.query('user') ?? 'nobody')
  return c.redirect('/', 303)
})

app.post('/logout', async (c) => {
  await c.get('session').destroy()
  return c.redirect('/', 303)
})

const port = Number(process.env['PORT'] ?? 0)
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port }, (info) => {
  console.log(`listening on http://127.0.0.1:${info.port}`)
})

process.once('SIGTERM', () => {
  server.close(() => void store.close())
})
