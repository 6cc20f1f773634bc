/** Applications of other libraries, and ones of ours that adopt what those have stored, to be called by HTTP. */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import theirCookies from '@fastify/cookie'
import theirFastifySession from '@fastify/session'
import express from 'express'
import theirs from 'express-session'
import { fastify } from 'fastify'
import type { RecordEvent } from '../../packages/holdfast/src/records/events.ts'
import type { OldSessionReader } from '../../packages/holdfast/src/sessions/keyed.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { fastifySession } from '../../packages/holdfast/src/web/fastify.ts'
import {
  type AdoptOptions,
  sessionMiddleware,
  type WebOptions,
} from '../../packages/holdfast/src/web/node.ts'
import { sessionOf } from './served.ts'

/** Long enough for @fastify/session, which refuses shorter ones. */
export const secret = 'what the old library signed its cookies with'

const adaLoggedIn = { passport: { user: 'ada' }, basket: ['pear'] }

/** Logs ada in where the other library runs. @returns its cookie, as the browser sends it. */
export type OldLibrary = (t: TestContext, store: theirs.Store, data?: object) => Promise<string>

export const expressSession: OldLibrary = async (t, store, data = adaLoggedIn) => {
  const app = express()
  app.use(theirs({ store, secret, resave: false, saveUninitialized: false }))
  app.get('/', (request, response) => {
    Object.assign(request.session, data)
    response.end()
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return await cookieOf(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`)
}

export const fastifySessionOfTheirs: OldLibrary = async (t, store, data = adaLoggedIn) => {
  const app = fastify()
  await app.register(theirCookies)
  await app.register(theirFastifySession, {
    secret,
    // Its types ask for more than its code, and than any store for express-session promises.
    store: store as unknown as theirFastifySession.SessionStore,
    cookieName: 'connect.sid',
    saveUninitialized: false,
    cookie: { secure: false },
  })
  app.get('/', (request, reply) => {
    Object.assign(request.session, data)
    return reply.send('')
  })
  t.after(() => app.close())
  return await cookieOf(await app.listen({ host: '127.0.0.1', port: 0 }))
}

async function cookieOf(url: string): Promise<string> {
  const response = await fetch(url)
  // The whole answer: some begin it before they have saved.
  await response.text()
  return response.headers.getSetCookie()[0]!.split(';')[0]!
}

/** What the application answers of its session. */
export interface Seen {
  readonly user?: string
  readonly data: Readonly<Record<string, unknown>>
}

export interface Answer {
  readonly status: number
  readonly body: Seen
  /** What is set by the answer, as the browser sends it from then on. */
  readonly cookie: string | undefined
}

export interface App {
  readonly sessions: Sessions
  readonly events: RecordEvent[]
  call(path: string, cookie?: string, init?: RequestInit): Promise<Answer>
}

/** @returns its URL. */
export type Door = (t: TestContext, sessions: Sessions, options: WebOptions) => Promise<string>

export const doors: Readonly<Record<string, Door>> = {
  Express: async (t, sessions, options) => {
    const app = express()
    app.set('env', 'test')
    app.use(sessionMiddleware(sessions, options))
    app.use(async (request, response) => {
      response.json(await answerOf(request.url, sessionOf(request)))
    })
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
  },
  Fastify: async (t, sessions, options) => {
    const app = fastify()
    await app.register(fastifySession, { sessions, ...options })
    app.all('/*', async (request) => await answerOf(request.url, sessionOf(request)))
    t.after(() => app.close())
    return await app.listen({ host: '127.0.0.1', port: 0 })
  },
}

/** `/set/<key>`, `/login/<user>`, `/logout`, and `/` that only looks. */
async function answerOf(url: string, session: Session): Promise<Seen> {
  await session.load()
  const [, action, name = ''] = url.split('/')
  if (action === 'set') session.set(name, true)
  if (action === 'login') await session.login(name)
  if (action === 'logout') await session.destroy()
  const { user, data } = session
  return { data, ...(user === undefined ? {} : { user }) }
}

/** An application that adopts what the reader finds. */
export async function adopting(
  t: TestContext,
  from: OldSessionReader,
  {
    door = doors['Express']!,
    web = {},
    adopt = {},
    sessions: options = {},
    store = memoryStore(),
  }: {
    readonly door?: Door
    readonly web?: WebOptions
    readonly adopt?: Partial<AdoptOptions>
    readonly sessions?: SessionsOptions
    readonly store?: Store
  } = {},
): Promise<App> {
  const events: RecordEvent[] = []
  t.after(() => store.close())
  const onEvent = (event: RecordEvent): unknown => events.push(event)
  const sessions = new Sessions(store, { retention: '90d', onEvent, ...options })
  const user = (data: { passport?: { user?: string } }): string | undefined => data.passport?.user
  const url = await door(t, sessions, {
    cookie: { secure: false },
    adopt: { from, secrets: ['a newer one', secret], user, ...adopt },
    ...web,
  })
  return {
    sessions,
    events,
    call: async (path, cookie, init = {}) => {
      const headers = new Headers(init.headers)
      if (cookie !== undefined) headers.set('cookie', cookie)
      const response = await fetch(url + path, { ...init, headers })
      const set = response.headers.getSetCookie()[0]?.split(';')[0]
      const text = await response.text()
      const body = (response.ok ? JSON.parse(text) : { data: {} }) as Seen
      return { status: response.status, body, cookie: set }
    },
  }
}
