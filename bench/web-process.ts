/** One side of the benchmarks of doors: an application with sessions of ours, of others, or with none. Prints its address. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import fastifyTheirs from '@fastify/session'
import express, { type RequestHandler } from 'express'
import theirs, { type Store as TheirStore } from 'express-session'
import Fastify, { type FastifyInstance } from 'fastify'
import { openStore, Sessions } from 'holdfast'
import dropIn from 'holdfast/express'
import { fastifySession } from 'holdfast/fastify'
import { sessionMiddleware } from 'holdfast/node'

/** What a process is told to be. */
export interface Role {
  readonly framework: 'express' | 'fastify'
  /** `native` and `drop-in` are ours. */
  readonly sessions: 'none' | 'native' | 'drop-in' | 'theirs'
  /** Memory where it is missing. */
  readonly store?: string
  /** Of @fastify/session. */
  readonly rolling?: boolean
}

interface Data {
  n: number
}

const { framework, sessions, store: url = 'memory:', rolling = true } = JSON.parse(process.argv[2]!) as Role
const secret = 'a secret for the benchmark only, long enough for everybody'
const options = { secret, resave: false, saveUninitialized: false }

/** What `get` and `set` are on each side, so that the routes are the same. */
interface Counter {
  get(request: object): number
  set(request: object, n: number): void
}

const ofMap: Counter = {
  get: (request) => (sessionOf(request) as Sessionlike).get('n') ?? 0,
  set: (request, n) => {
    ;(sessionOf(request) as Sessionlike).set('n', n)
  },
}
const ofObject: Counter = {
  get: (request) => (sessionOf(request) as Partial<Data>).n ?? 0,
  set: (request, n) => {
    ;(sessionOf(request) as Partial<Data>).n = n
  },
}
const ofNothing: Counter = { get: () => 1, set: () => undefined }
const counter = { none: ofNothing, native: ofMap, 'drop-in': ofObject, theirs: ofObject }[sessions]

interface Sessionlike {
  get(name: 'n'): number | undefined
  set(name: 'n', value: number): void
}

const address = framework === 'express' ? await startExpress() : await startFastify()
process.stdout.write(`${address}\n`)
process.once('SIGTERM', () => {
  process.exit(0)
})

async function startExpress(): Promise<string> {
  const app = express()
  if (sessions !== 'none') app.use(await middleware())
  app.get('/read', (request, response) => response.json({ n: counter.get(request) }))
  app.get('/write', (request, response) => {
    const n = counter.get(request) + 1
    counter.set(request, n)
    response.json({ n })
  })
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

async function middleware(): Promise<RequestHandler> {
  if (sessions === 'native') {
    const cookie = { name: 'session', secure: false }
    return sessionMiddleware(new Sessions<Data>(await openStore(url)), { cookie }) as RequestHandler
  }
  if (sessions === 'drop-in') return dropIn({ ...options, store: await openStore(url) }) as RequestHandler
  return theirs({ ...options, ...(url === 'memory:' ? {} : { store: await theirStore() }) })
}

/** The store that most use with express-session, with the client that its page shows. */
async function theirStore(): Promise<TheirStore> {
  if (url.startsWith('redis')) {
    const [{ RedisStore }, { createClient }] = await Promise.all([import('connect-redis'), import('redis')])
    return new RedisStore({ client: await createClient({ url }).connect() })
  }
  const [{ default: connectPg }, { default: pg }] = await Promise.all([
    import('connect-pg-simple'),
    import('pg'),
  ])
  const PgStore = connectPg(theirs)
  return new PgStore({ pool: new pg.Pool({ connectionString: url }), createTableIfMissing: true })
}

async function startFastify(): Promise<string> {
  const app = Fastify() as FastifyInstance
  if (sessions === 'native') {
    await app.register(fastifySession, {
      sessions: new Sessions<Data>(await openStore(url)),
      cookie: { name: 'session', secure: false },
    })
  } else if (sessions === 'theirs') {
    await app.register(fastifyCookie)
    await app.register(fastifyTheirs, {
      secret,
      rolling,
      saveUninitialized: false,
      cookie: { secure: false },
    })
  }
  app.get('/read', (request) => ({ n: counter.get(request) }))
  app.get('/write', (request) => {
    const n = counter.get(request) + 1
    counter.set(request, n)
    return { n }
  })
  return await app.listen({ host: '127.0.0.1', port: 0 })
}

function sessionOf(request: object): unknown {
  return (request as { readonly session: unknown }).session
}
