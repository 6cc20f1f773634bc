/** What the door for Fastify is registered with. Checked by `tsc`, never run. */

import { fastify, type FastifyInstance } from 'fastify'
import type { Sessions, Tokens } from 'holdfast'
import { fastifySession } from 'holdfast/fastify'

interface Visit {
  theme?: 'light' | 'dark'
}

declare const sessions: Sessions<Visit>
declare const untyped: Sessions
declare const tokens: Tokens

// What stands in the call is known for what it may be.
const app: FastifyInstance = fastify()
await app.register(fastifySession, { sessions: untyped })
await app.register(fastifySession, {
  sessions,
  cookie: { secure: 'auto', sameSite: 'strict' },
  load: 'lazy',
  whenDown: 'continue',
  keepAlive: ({ url }) => !url.startsWith('/news'),
  lock: ({ method }) => (method === 'POST' ? '5s' : undefined),
})
await fastify({ http2: true }).register(fastifySession, { sessions, load: 'lazy' })
await fastify({ https: {} }).register(fastifySession, { sessions, load: 'lazy' })
// @ts-expect-error -- no such choice
await app.register(fastifySession, { sessions, load: 'never' })
// @ts-expect-error -- no sessions
await app.register(fastifySession, { sessions: tokens })
// @ts-expect-error -- without sessions
await app.register(fastifySession, {})
