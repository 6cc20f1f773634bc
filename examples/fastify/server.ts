/**
 * Fastify, with sessions that lose no change and stay ended.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import fastify from 'fastify'
import { openStore, type Session, Sessions } from 'holdfast'
import { fastifySession } from 'holdfast/fastify'

const store = await openStore(process.env['STORE'] ?? 'memory:')

const app = fastify()
await app.register(fastifySession, { sessions: new Sessions(store) })

app.get('/', async (request) => {
  const session = sessionOf(request)
  // Two tabs that are opened at once count as two: `update` is run on the newest copy.
  const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
  return { user: session.user ?? null, visits, data: session.data }
})

app.get<{ Querystring: { key: string; value: string } }>('/set', (request, reply) => {
  const session = sessionOf(request)
  session.set(request.query.key, request.query.value)
  return reply.send(session.data)
})

app.post<{ Querystring: { user: string } }>('/login', async (request, reply) => {
  // A real application calls `sessions.begin` first, checks the password, and hands on what `begin` answered.
  await sessionOf(request).login(request.query.user)
  return reply.redirect('/', 303)
})

app.post('/logout', async (request, reply) => {
  await sessionOf(request).destroy()
  return reply.redirect('/', 303)
})

app.addHook('onClose', () => store.close())
console.log(`listening on ${await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT'] ?? 0) })}`)

process.once('SIGTERM', () => {
  void app.close()
})

/** Yours may declare `session` on Fastify's own type of a request instead. */
function sessionOf(request: object): Session {
  return (request as { readonly session: Session }).session
}
