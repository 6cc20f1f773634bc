/** Applications of express-session and of @fastify/session over one store, to be called by HTTP. */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import express from 'express'
import session from 'express-session'
import { fastify } from 'fastify'
import type { ExpressStore } from '../../packages/holdfast/src/web/express-store.ts'

/** One browser's view of an application. */
export interface Visitor {
  /** Calls a path, keeps the cookie, and gives status and body. */
  call(path: string): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>
  /** Another tab: the same cookie, from now on its own. */
  tab(): Visitor
  /** The cookie, unsigned: the secret id. */
  readonly sid: string
}

/** What a slow request waits for, and how it is let go. */
export interface Gate {
  readonly arrived: Promise<unknown>
  open(): void
}

export interface App {
  visitor(): Visitor
  /** The next call of `/slow/…` waits here, after its session was read. */
  gate(): Gate
  /** What the library was told of failures. */
  readonly failures: unknown[]
}

export interface Kind {
  readonly name: string
  readonly start: (t: TestContext, store: ExpressStore, options?: object) => Promise<App>
}

export const kinds: readonly Kind[] = [
  { name: 'express-session', start: expressApp },
  { name: '@fastify/session', start: fastifyApp },
]

interface Values {
  [name: string]: unknown
}

type Latch = PromiseWithResolvers<unknown>

function waiting(): { gates: Latch[]; arrivals: Latch[]; failures: unknown[] } {
  return { gates: [], arrivals: [], failures: [] }
}

/** What the paths do, whatever the library. */
type Action = (
  values: Values,
  path: readonly string[],
  life: { destroy(): Promise<void>; regenerate(): Promise<void>; fresh(): Values },
) => Promise<unknown>

function actions(gates: Latch[], arrivals: Latch[]): Action {
  return async (values, [verb = '', name = '', value = ''], life) => {
    if (verb === 'slow') {
      arrivals.shift()?.resolve(undefined)
      await gates.shift()?.promise
    }
    if (verb === 'set' || verb === 'slow') values[name] = value
    if (verb === 'nest') (values['nested'] as Values)[name] = value
    if (verb === 'delete') Reflect.deleteProperty(values, name)
    if (verb === 'keys') return Object.keys(values)
    if (verb === 'login') {
      await life.regenerate()
      life.fresh()['user'] = name
      return {}
    }
    if (verb === 'logout') {
      await life.destroy()
      return {}
    }
    return { ...values, cookie: undefined }
  }
}

async function expressApp(t: TestContext, store: ExpressStore, options: object = {}): Promise<App> {
  const { gates, arrivals, failures } = waiting()
  const act = actions(gates, arrivals)
  const app = express()
  // Else it writes failures to the console as well.
  app.set('env', 'test')
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- it does all that one does
  app.use(session({ secret: 'a secret', resave: false, saveUninitialized: false, ...options, store }))
  app.get('/{*path}', (req, res, next) => {
    const life = {
      destroy: () => settled((done) => req.session.destroy(done)),
      regenerate: () => settled((done) => req.session.regenerate(done)),
      fresh: () => req.session as unknown as Values,
    }
    act(req.session as unknown as Values, req.path.slice(1).split('/'), life).then(
      (body) => res.json(body),
      next,
    )
  })
  app.use((error: unknown, _: express.Request, res: express.Response, next: express.NextFunction) => {
    failures.push(error)
    if (res.headersSent) next(error)
    else res.status(500).json({})
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const unsigned = (cookie: string) => /=s%3A([^.]*)\./.exec(cookie)?.[1] ?? ''
  return {
    failures,
    gate: () => gateOf(gates, arrivals),
    visitor: () => visitor(`http://127.0.0.1:${port}`, unsigned),
  }
}

async function fastifyApp(t: TestContext, store: ExpressStore, options: object = {}): Promise<App> {
  const { gates, arrivals, failures } = waiting()
  const act = actions(gates, arrivals)
  const app = fastify()
  await app.register(fastifyCookie)
  await app.register(fastifySession, {
    secret: 'a secret of at least 32 characters',
    cookie: { secure: false },
    saveUninitialized: false,
    ...options,
    store,
  })
  app.setErrorHandler((error, _, reply) => {
    failures.push(error)
    return reply.status(500).send({})
  })
  app.get('/*', async (req) => {
    const life = {
      destroy: () => req.session.destroy(),
      regenerate: () => req.session.regenerate(),
      fresh: () => req.session as unknown as Values,
    }
    return await act(req.session as unknown as Values, req.url.slice(1).split('/'), life)
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => app.close())
  const unsigned = (cookie: string) => /=([^.]*)\./.exec(cookie)?.[1] ?? ''
  return { failures, gate: () => gateOf(gates, arrivals), visitor: () => visitor(address, unsigned) }
}

function gateOf(gates: Latch[], arrivals: Latch[]): Gate {
  const [gate, arrival] = [Promise.withResolvers<unknown>(), Promise.withResolvers<unknown>()]
  gates.push(gate)
  arrivals.push(arrival)
  return {
    arrived: arrival.promise,
    open: () => {
      gate.resolve(undefined)
    },
  }
}

function visitor(address: string, unsigned: (cookie: string) => string, cookie = ''): Visitor {
  let jar = cookie
  return {
    call: async (path) => {
      const response = await fetch(address + path, { headers: { cookie: jar, connection: 'close' } })
      const [set] = response.headers.getSetCookie()
      if (set) jar = set.split(';')[0] ?? ''
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    },
    tab: () => visitor(address, unsigned, jar),
    get sid() {
      return unsigned(jar)
    },
  }
}

async function settled(run: (done: (error?: unknown) => void) => unknown): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    run((error) => {
      if (error instanceof Error) reject(error)
      else resolve()
    })
  })
}
