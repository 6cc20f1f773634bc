/** Every door, by the published suite. */

import type { IncomingMessage, Server } from 'node:http'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { serve as serveHono } from '@hono/node-server'
import connect from 'connect'
import express from 'express'
import fastify from 'fastify'
import { H3 } from 'h3'
import { Hono } from 'hono'
import Koa from 'koa'
import {
  createContext,
  createStaticHandler,
  type LoaderFunction,
  type MiddlewareFunction,
  RouterContextProvider,
} from 'react-router'
import { type Served, type WebApp, webSuite } from '../../packages/holdfast/src/testing/web-suite.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { fastifySession } from '../../packages/holdfast/src/web/fastify.ts'
import { fetchSessions } from '../../packages/holdfast/src/web/fetch.ts'
import { h3Session } from '../../packages/holdfast/src/web/h3.ts'
import { honoSession } from '../../packages/holdfast/src/web/hono.ts'
import { koaSession } from '../../packages/holdfast/src/web/koa.ts'
import type { Answer } from '../../packages/holdfast/src/web/node.ts'
import { nextSessions } from '../../packages/holdfast/src/web/next.ts'
import { answerRefused, sessionMiddleware } from '../../packages/holdfast/src/web/node.ts'
import { routerSession } from '../../packages/holdfast/src/web/react-router.ts'
import { svelteKitSession } from '../../packages/holdfast/src/web/sveltekit.ts'
import { probedStores as stores, responseOf, send, served, sessionOf } from './served.ts'

const runner = { describe, it }
/** What the doors can't do that answer by a `Response`. */
const ofResponses = { streaming: 'the body is read after the handler has answered' }

/** An Express or Connect application with our middleware, and the suite's application behind it. */
function answering(app: WebApp) {
  return (request: IncomingMessage, answer: Answer, next: (error: unknown) => void): void => {
    app.answer({ url: request.url ?? '/', session: sessionOf(request) }).then((given) => {
      send(answer, given)
    }, next)
  }
}

webSuite(runner, {
  name: 'node:http',
  stores,
  serve: async (app) => {
    const middleware = sessionMiddleware(app.sessions, app.options)
    return await served((request, answer) => {
      const next = (error?: unknown): void => {
        if (error === undefined) answering(app)(request, answer, next)
        else answerRefused(answer, error)
      }
      middleware(request, answer, next)
    })
  },
})

webSuite(runner, {
  name: 'Connect',
  stores,
  serve: async (app) => {
    const server = connect()
    server.use(sessionMiddleware(app.sessions, app.options))
    server.use(answering(app))
    return await served(server)
  },
})

webSuite(runner, {
  name: 'Express',
  stores,
  serve: async (app) => {
    const server = express()
    server.set('env', 'test')
    server.use(sessionMiddleware(app.sessions, app.options))
    server.use((request, response, next) => {
      app.answer({ url: request.url, session: sessionOf(request) }).then(({ status, headers, body }) => {
        response.status(status).set(headers)
        if (typeof body === 'string') response.send(body)
        else Readable.from(body).pipe(response)
      }, next)
    })
    return await served(server)
  },
})

webSuite(runner, {
  name: 'Koa',
  stores,
  serve: async (app) => {
    const server = new Koa()
    server.silent = true
    server.use(koaSession(app.sessions, app.options))
    server.use(async (context) => {
      const { status, headers, body } = await app.answer({ url: context.url, session: sessionOf(context) })
      context.status = status
      context.set(headers)
      context.body = typeof body === 'string' ? body : Readable.from(body)
    })
    const handle = server.callback()
    return await served((request, answer) => void handle(request, answer))
  },
})

webSuite(runner, {
  name: 'Fastify',
  stores,
  serve: async (app) => {
    const server = fastify()
    await server.register(fastifySession, { ...app.options, sessions: app.sessions })
    server.all('/*', async (request, reply) => {
      const { status, headers, body } = await app.answer({ url: request.url, session: sessionOf(request) })
      return await reply
        .status(status)
        .headers(headers)
        .send(typeof body === 'string' ? body : Readable.from(body))
    })
    return { url: await server.listen({ host: '127.0.0.1', port: 0 }), close: () => server.close() }
  },
})

webSuite(runner, {
  name: 'Hono',
  stores,
  lacks: ofResponses,
  serve: async (app) => {
    const server = new Hono<{ Variables: { session: Session } }>()
    server.use(honoSession(app.sessions, app.options))
    server.all('/*', async (c) => {
      return responseOf(await app.answer({ url: c.req.url, session: c.get('session') }))
    })
    return await fetched((request) => server.fetch(request))
  },
})

webSuite(runner, {
  name: 'Request and Response',
  stores,
  lacks: ofResponses,
  serve: async (app) => {
    const withSession = fetchSessions(app.sessions, app.options)
    const handler = withSession(async (request, session) => {
      return responseOf(await app.answer({ url: request.url, session }))
    })
    return await fetched((request) => handler(request).catch(() => new Response('failed', { status: 500 })))
  },
})

webSuite(runner, {
  name: 'SvelteKit',
  stores,
  lacks: ofResponses,
  serve: async (app) => {
    const handle = svelteKitSession(app.sessions, app.options)
    return await fetched((request) => {
      const cookies = { set: () => undefined }
      const event = { request, locals: {}, cookies, getClientAddress: () => '127.0.0.1' }
      const resolve = async (): Promise<Response> => {
        return responseOf(await app.answer({ url: request.url, session: sessionOf(event.locals) }))
      }
      return handle({ event, resolve }).catch(() => new Response('failed', { status: 500 }))
    })
  },
})

webSuite(runner, {
  name: 'h3',
  stores,
  lacks: ofResponses,
  serve: async (app) => {
    const server = new H3({ silent: true })
    server.use(h3Session(app.sessions, app.options) as never)
    server.all('/**', async (event) => {
      return responseOf(await app.answer({ url: event.req.url, session: sessionOf(event.context) }))
    })
    return await fetched((request) => server.fetch(request))
  },
})

webSuite(runner, {
  name: 'Next.js, a route handler',
  stores,
  lacks: ofResponses,
  serve: async (app) => {
    const { withSession } = nextSessions(app.sessions, app.options)
    const handler = withSession(async (request, session) => {
      return responseOf(await app.answer({ url: request.url, session }))
    })
    return await fetched((request) => handler(request).catch(() => new Response('failed', { status: 500 })))
  },
})

webSuite(runner, {
  name: 'React Router, a middleware',
  stores,
  lacks: ofResponses,
  serve: async (app) => {
    const sessionContext = createContext<Session>()
    const answer: LoaderFunction = async ({ request, context }) => {
      const session = (context as Readonly<RouterContextProvider>).get(sessionContext)
      return responseOf(await app.answer({ url: request.url, session }))
    }
    const middleware = [routerSession(app.sessions, sessionContext, app.options)] as MiddlewareFunction[]
    const router = createStaticHandler([
      { id: 'root', path: '*', middleware, loader: answer, action: answer },
    ])
    return await fetched(async (request) => {
      const requestContext = new RouterContextProvider()
      const generateMiddlewareResponse = async (query: (request: Request) => Promise<Response>) => {
        return await query(request)
      }
      try {
        return (await router.queryRoute(request, { requestContext, generateMiddlewareResponse })) as Response
      } catch {
        return new Response('failed', { status: 500 })
      }
    })
  },
})

/** Serves what answers a request by a response. */
async function fetched(fetch: (request: Request) => Response | Promise<Response>): Promise<Served> {
  return await new Promise((resolve) => {
    const server = serveHono(
      { fetch, hostname: '127.0.0.1', port: 0, overrideGlobalObjects: false },
      ({ port }) => {
        resolve({
          url: `http://127.0.0.1:${String(port)}`,
          async close() {
            ;(server as Server).closeAllConnections()
            await new Promise((closed) => server.close(closed))
          },
        })
      },
    )
  })
}
