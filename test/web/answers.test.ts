/** What doors answer where their framework has ways of its own to answer, and where the store fails meanwhile. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import connect from 'connect'
import fastify, { type FastifyInstance } from 'fastify'
import { H3 } from 'h3'
import { Hono } from 'hono'
import { cors } from 'hono/cors'
import Koa from 'koa'
import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { HoldfastError } from '../../packages/holdfast/src/errors.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { withFaults } from '../../packages/holdfast/src/testing/faults.ts'
import { fastifySession } from '../../packages/holdfast/src/web/fastify.ts'
import { fetchSessions } from '../../packages/holdfast/src/web/fetch.ts'
import { h3Session } from '../../packages/holdfast/src/web/h3.ts'
import { honoSession } from '../../packages/holdfast/src/web/hono.ts'
import { koaSession, type KoaSessionState } from '../../packages/holdfast/src/web/koa.ts'
import { type Answer, answerRefused, sessionMiddleware } from '../../packages/holdfast/src/web/node.ts'
import { served, sessionOf } from './served.ts'

/** Sessions whose writes a test holds up, or has fail. */
class Place {
  readonly sessions: Sessions
  isDown = false
  /** Waited for before each write. */
  writing: Promise<unknown> = Promise.resolve()

  constructor() {
    const driver = withFaults(memoryDriver({ memory: new Memory() }), {
      gate: {
        before: async ({ writes }) => {
          if (!writes) return undefined
          await this.writing
          return this.isDown ? 'fail' : undefined
        },
        after: () => undefined,
      },
    })
    this.sessions = new Sessions(guard(driver, { circuit: false }))
  }

  async count(): Promise<number> {
    return (await this.sessions.list()).sessions.length
  }
}

/** Nothing here takes long: what hangs is to fail. */
async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(url, { signal: AbortSignal.timeout(30_000), redirect: 'manual', ...init })
}

function listOf(header: string | null): readonly string[] {
  return (header ?? '').toLowerCase().split(', ').toSorted()
}

describe('the door of Node.js', () => {
  it('over HTTP/2 measures Origin against the authority, and asks for nothing that HTTP/2 lacks', async (t) => {
    const place = new Place()
    const { credential } = await place.sessions.start()
    const warnings: Error[] = []
    const warned = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', warned)
    t.after(() => process.off('warning', warned))
    const { ask: asked, authority } = await overHttp2(t, place)
    const cookie = `__Host-session=${credential}`
    const own = await asked({ ':method': 'POST', cookie, origin: `http://${authority}` })
    assert.equal(own[':status'], 200)
    assert.equal((await place.sessions.load(credential)).get('seen'), 'yes')
    assert.equal(
      (await asked({ ':method': 'POST', cookie, origin: 'https://elsewhere.example' }))[':status'],
      403,
    )
    place.isDown = true
    assert.equal((await asked({ ':path': '/again', cookie }))[':status'], 503)
    assert.deepEqual(warnings, [])
  })

  it('may stand in the way twice', async (t) => {
    const { sessions } = new Place()
    const server = connect()
    const seen: Session[] = []
    server.use(sessionMiddleware(sessions))
    for (const options of [{}, { cookie: { name: 'other' } }]) {
      server.use((request, _answer, next) => {
        seen.push(sessionOf(request))
        next()
      })
      server.use(sessionMiddleware(sessions, options))
    }
    server.use((request: object, answer: Answer) => {
      seen.push(sessionOf(request))
      for (const session of seen) session.set('seen', 'yes')
      answer.end()
    })
    const site = await served(server)
    t.after(() => site.close())
    const { headers } = await ask(site.url)
    assert.equal(seen[0], seen[1])
    assert.notEqual(seen[1], seen[2])
    assert.deepEqual(
      headers
        .getSetCookie()
        .map((each) => each.split('=')[0])
        .toSorted(),
      ['__Host-session', 'other'],
    )
  })

  it('throws at the application what Node.js does for a mistake, and sends its other answer', async (t) => {
    const server = connect()
    server.use(sessionMiddleware(new Place().sessions))
    server.use((request: object, _answer: Answer, next: () => void) => {
      void sessionOf(request).login('ada').then(next)
    })
    const mistakes: Readonly<Record<string, (answer: Answer) => unknown>> = {
      ERR_INVALID_CHAR: (answer) => answer.writeHead(200, { 'content-disposition': 'filename="€"' }),
      ERR_HTTP_INVALID_STATUS_CODE: (answer) => answer.writeHead(1_000),
      ERR_INVALID_ARG_TYPE: (answer) => answer.write(5),
    }
    server.use((request: { readonly url?: string | undefined }, answer: Answer) => {
      mistakes[(request.url ?? '').slice(1)]!(answer)
      answer.end('not told')
    })
    server.use((error: { readonly code: string }, _request: unknown, answer: Answer, _next: unknown) => {
      answer.end(`caught ${error.code}`)
    })
    const site = await served(server)
    t.after(() => site.close())
    for (const code of Object.keys(mistakes)) {
      const answer = await ask(`${site.url}/${code}`)
      assert.deepEqual([await answer.text(), answer.headers.getSetCookie().length], [`caught ${code}`, 1])
    }
  })

  it('has a failed save answered past a compression between it and the application', async (t) => {
    const place = new Place()
    const server = connect()
    server.use((_request, answer, next) => {
      answer.setHeader('content-security-policy', "default-src 'none'")
      next()
    })
    server.use(sessionMiddleware(place.sessions))
    server.use(compression)
    server.use((request: object, answer: Answer) => {
      sessionOf(request).set('seen', 'yes')
      answer.end('the answer')
    })
    server.use((error: unknown, _request: unknown, answer: Answer, _next: unknown) =>
      answerRefused(answer, error),
    )
    const site = await served(server)
    t.after(() => site.close())
    assert.equal(await (await ask(site.url)).text(), 'the answer')
    place.isDown = true
    const refused = await ask(site.url)
    assert.equal(refused.status, 503)
    assert.match(await refused.text(), /HOLDFAST_STORE_UNAVAILABLE/)
    assert.equal(refused.headers.get('content-encoding'), null)
    assert.equal(refused.headers.get('content-security-policy'), "default-src 'none'")
  })
})

describe('the door of Koa', () => {
  it('holds what the application answers by itself, until it is stored', async (t) => {
    const place = new Place()
    const site = await koa(t, place, (context) => {
      const { promise, resolve } = Promise.withResolvers<undefined>()
      place.writing = promise
      context.session.set('seen', 'yes')
      context.respond = false
      setImmediate(() => {
        context.res.end('raw')
        setImmediate(() => resolve(undefined))
      })
    })
    const answer = await ask(site.url)
    assert.equal(await place.count(), 1)
    assert.equal(answer.headers.getSetCookie().length, 1)
    assert.equal(await answer.text(), 'raw')
    place.isDown = true
    assert.equal((await ask(site.url)).status, 503)
  })

  it('has the last word on caches, after the middleware in front of it', async (t) => {
    const site = await koa(t, new Place(), (context) => {
      context.session.set('seen', 'yes')
      context.body = 'seen'
    })
    const { headers } = await ask(site.url)
    assert.equal(headers.getSetCookie().length, 1)
    assert.equal(headers.get('cache-control'), 'private, max-age=60')
    assert.deepEqual(listOf(headers.get('vary')), ['accept', 'cookie'])
  })
})

describe('a stream that is to be answered while its session is stored', () => {
  /** One that fails before it is sent. */
  function failing(place: Place): Readable {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    place.writing = promise
    const stream = new Readable({ read: () => undefined })
    setImmediate(() => {
      stream.once('close', () => setImmediate(() => resolve(undefined)))
      stream.destroy(new Error('the stream fails on purpose'))
    })
    return stream
  }

  it('and fails ends no process: Fastify tells of the error, and Koa cuts the connection', async (t) => {
    const place = new Place()
    const app = await fastified(t, place)
    app.get('/', (request, reply) => {
      sessionOf(request).set('seen', 'yes')
      return reply.send(failing(place))
    })
    assert.equal((await app.inject('/')).statusCode, 500)
    const site = await koa(t, place, (context) => {
      context.session.set('seen', 'yes')
      context.body = failing(place)
    })
    await assert.rejects(ask(site.url), { message: 'fetch failed' })
  })

  it('is let go of where that fails', async (t) => {
    const place = new Place()
    place.isDown = true
    const app = await fastified(t, place)
    const stream = new Readable({ read: () => undefined })
    app.get('/', (request, reply) => {
      sessionOf(request).set('seen', 'yes')
      return reply.send(stream)
    })
    assert.deepEqual([(await app.inject('/')).statusCode, stream.destroyed], [503, true])
    let open = 0
    const streamed = (session: Session): Response => {
      open++
      session.set('seen', 'yes')
      const cancel = (): void => {
        open--
      }
      return new Response(new ReadableStream({ cancel }))
    }
    const hono = new Hono<{ Variables: { session: Session } }>()
    hono.use(honoSession(place.sessions))
    hono.get('/', (c) => streamed(c.get('session')))
    const h3 = new H3({ silent: true })
    h3.use(h3Session(place.sessions) as never)
    h3.get('/', (event) => streamed(sessionOf(event.context)))
    const handler = fetchSessions(place.sessions)((_request, session) => streamed(session))
    const request = new Request('https://app.example/')
    for (const answer of [hono.request('/'), h3.request('/'), handler(request)]) {
      assert.equal((await answer).status, 503)
    }
    assert.equal(open, 0)
  })
})

describe('the door of Fastify', () => {
  it('adds to a Response what it must carry, and stores nothing of one that failed', async (t) => {
    const place = new Place()
    const app = await fastified(t, place)
    app.get('/look', (request, reply) => {
      void reply.header('vary', 'Origin')
      return new Response(String(sessionOf(request).user), { headers: { 'cache-control': 'public' } })
    })
    app.get('/set', (request) => {
      sessionOf(request).set('seen', 'yes')
      return new Response('set', {
        headers: { 'cache-control': 'public, max-age=60', 'set-cookie': 'own=1' },
      })
    })
    app.get('/fail', (request) => {
      sessionOf(request).set('seen', 'yes')
      return new Response('failed', { status: 500 })
    })
    const looked = await app.inject('/look')
    assert.deepEqual(listOf(String(looked.headers.vary)), ['cookie', 'origin'])
    const set = await app.inject('/set')
    assert.equal(set.payload, 'set')
    assert.equal(set.headers['cache-control'], 'private, max-age=60')
    assert.equal(set.headers.vary, 'Cookie')
    assert.deepEqual(set.cookies.map(({ name }) => name).toSorted(), ['__Host-session', 'own'])
    const failed = await app.inject('/fail')
    assert.deepEqual([failed.statusCode, failed.cookies], [500, []])
    assert.equal(await place.count(), 1)
  })

  it('has the last word on caches, after the hooks behind it', async (t) => {
    const app = await fastified(t, new Place())
    app.addHook('onSend', async (_request, reply) => {
      void reply.header('cache-control', 'public, max-age=60')
    })
    app.get('/', (request) => {
      sessionOf(request).set('seen', 'yes')
      return 'seen'
    })
    const { headers, cookies } = await app.inject('/')
    assert.equal(cookies.length, 1)
    assert.equal(headers['cache-control'], 'private, max-age=60')
  })

  it('answers a failed save by its own status, whatever was to be answered, and tells nothing of the inside', async (t) => {
    const place = new Place()
    const app = await fastified(t, place)
    const causes: unknown[] = []
    app.addHook('onError', async (_request, _reply, error) => {
      causes.push(error.cause)
    })
    app.addHook('onRequest', async (_request, reply) => {
      void reply.header('access-control-allow-origin', 'https://app.example')
    })
    app.get('/', (request, reply) => {
      sessionOf(request).set('tries', 1)
      void reply.header('cache-control', 'public, max-age=86400')
      throw Object.assign(new Error('the password is wrong'), { statusCode: 401 })
    })
    place.isDown = true
    const { statusCode, headers, payload } = await app.inject('/')
    assert.equal(statusCode, 503)
    assert.deepEqual(JSON.parse(payload), {
      statusCode: 503,
      code: 'HOLDFAST_STORE_UNAVAILABLE',
      error: 'Service Unavailable',
      message: 'sessions are not available at the moment',
    })
    assert.equal(headers['cache-control'], undefined)
    assert.equal(headers['access-control-allow-origin'], 'https://app.example')
    assert.ok(causes.at(-1) instanceof HoldfastError)
  })
})

describe('the door for Request and Response', () => {
  it('measures Origin against the URL where HTTP/2 has brought no Host', async () => {
    const { sessions } = new Place()
    const { credential } = await sessions.start()
    const handler = fetchSessions(sessions)(() => new Response('seen'))
    const statuses = ['https://app.example', 'https://elsewhere.example'].map(async (origin) => {
      const headers = { cookie: `__Host-session=${credential}`, origin }
      return (await handler(new Request('https://app.example/', { method: 'POST', headers }))).status
    })
    assert.deepEqual(await Promise.all(statuses), [200, 403])
  })
})

describe('the door of Hono', () => {
  it('leaves the headers of middleware on the answer that tells of a failed save', async () => {
    const place = new Place()
    const app = new Hono<{ Variables: { session: Session } }>()
    app.use(cors({ origin: 'https://app.example' }))
    app.use(honoSession(place.sessions))
    app.get('/', (context) => {
      context.get('session').set('seen', 'yes')
      context.header('cache-control', 'public, max-age=86400')
      return context.text('seen')
    })
    place.isDown = true
    const { status, headers } = await app.request('/', { headers: { origin: 'https://app.example' } })
    assert.equal(status, 503)
    assert.equal(headers.get('access-control-allow-origin'), 'https://app.example')
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.match(headers.get('content-type') ?? '', /json/)
  })
})

/** As such middleware does: once the application has ended the answer, whatever else it is told goes nowhere. */
function compression(_request: unknown, answer: Answer, next: () => void): void {
  const end = answer.end.bind(answer)
  let hasEnded = false
  answer.end = ((body: string) => {
    if (hasEnded) return answer
    hasEnded = true
    answer.setHeader('content-encoding', 'gzip')
    return end(gzipSync(body))
  }) as Answer['end']
  next()
}

/** An application that notes each visit, over HTTP/2 without TLS. */
async function overHttp2(t: TestContext, { sessions }: Place) {
  const withSession = sessionMiddleware(sessions)
  const server = http2.createServer((request, answer) => {
    withSession(request, answer, (error) => {
      if (error !== undefined) {
        answerRefused(answer, error)
        return
      }
      sessionOf(request).set('seen', request.url === '/' ? 'yes' : 'again')
      answer.writeHead(200, { 'content-type': 'text/plain' })
      answer.end('seen')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const authority = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = http2.connect(`http://${authority}`)
  t.after(() => {
    client.destroy()
    server.close()
  })
  return {
    authority,
    ask: async (headers: http2.OutgoingHttpHeaders) => {
      const stream = client.request(headers)
      stream.resume()
      const [answered] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
      return answered
    },
  }
}

async function koa(
  t: TestContext,
  { sessions }: Place,
  handle: (context: Koa.ParameterizedContext<Koa.DefaultState, KoaSessionState>) => void,
): Promise<{ url: string }> {
  const app = new Koa<Koa.DefaultState, KoaSessionState>()
  app.silent = true
  app.use(async (context, next) => {
    await next()
    if (context.respond === false) return
    context.set('cache-control', 'public, max-age=60')
    context.set('vary', 'Accept')
  })
  app.use(koaSession(sessions))
  app.use(handle)
  const answer = app.callback()
  const site = await served((request, response) => void answer(request, response))
  t.after(() => site.close())
  return site
}

async function fastified(t: TestContext, { sessions }: Place): Promise<FastifyInstance> {
  const app = fastify()
  await app.register(fastifySession, { sessions })
  t.after(() => app.close())
  return app
}
