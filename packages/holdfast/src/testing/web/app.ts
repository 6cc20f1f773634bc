/** The application that the suite serves: each path does one thing with the session. */

import { EventEmitter, once } from 'node:events'
import type { Json } from '../../store/codec.ts'
import type { Session } from '../../sessions/session.ts'
import type { Sessions } from '../../sessions/sessions.ts'
import type { WebOptions } from '../../web/exchange.ts'

/** A request, as the door hands it to the application. */
export interface Asked {
  /** Path and query. */
  readonly url: string
  /** What the door put onto the request. */
  readonly session: Session
}

/** What the door must answer with. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Parts are to be sent as they come. */
  readonly body: string | AsyncIterable<string>
}

/** What a door has to serve. */
export interface WebApp {
  readonly sessions: Sessions
  readonly options: WebOptions
  /** To be called for every request. What it throws is the door's, or the framework's, to answer with a 5xx. */
  answer(asked: Asked): Promise<Answered>
}

type Route = (session: Session, query: URLSearchParams, gates: Gates) => Promise<Answered> | Answered

/** Requests that wait for the test to let them go on. */
export class Gates {
  readonly #events = new EventEmitter()
  #waiting = 0
  #isOpen = false

  /** Waits until the test opens them. */
  async pass(): Promise<void> {
    if (this.#isOpen) return
    const opened = once(this.#events, 'open')
    this.#waiting++
    this.#events.emit('arrived')
    await opened
  }

  /** Waits until so many requests have arrived. */
  async arrived(count = 1): Promise<void> {
    while (this.#waiting < count) await once(this.#events, 'arrived')
  }

  open(): void {
    this.#isOpen = true
    this.#events.emit('open')
  }
}

/** The application over some sessions. */
export class SuiteApp implements WebApp {
  readonly sessions: Sessions
  readonly options: WebOptions
  readonly gates = new Gates()

  constructor(sessions: Sessions, options: WebOptions) {
    this.sessions = sessions
    this.options = options
  }

  async answer({ url, session }: Asked): Promise<Answered> {
    const { pathname, searchParams } = new URL(url, 'http://suite')
    const route = routes[pathname]
    if (!route) return text('there is no such path', 404)
    return await route(session, searchParams, this.gates)
  }
}

function text(body: string, status = 200, headers: Readonly<Record<string, string>> = {}): Answered {
  return { status, body, headers: { 'content-type': 'text/plain', ...headers } }
}

function json(value: unknown): Answered {
  return { status: 200, body: JSON.stringify(value), headers: { 'content-type': 'application/json' } }
}

function setFrom(session: Session, query: URLSearchParams): void {
  session.set(query.get('key') ?? 'key', query.get('value') ?? 'value')
}

const routes: Readonly<Record<string, Route>> = {
  '/untouched': () => text('nothing was looked at'),
  '/data': (session) => json({ data: session.data, user: session.user ?? null }),
  '/lazy': async (session) => json((await session.load()).data),
  '/set': (session, query) => {
    setFrom(session, query)
    return text('set')
  },
  '/save': async (session, query) => {
    setFrom(session, query)
    await session.save()
    return text('saved')
  },
  '/push': (session, query) => {
    const list = session.setDefault('list', []) as unknown as Json[]
    list.push(query.get('value') ?? 'value')
    return text('pushed')
  },
  '/set-later': async (session, query, gates) => {
    await gates.pass()
    setFrom(session, query)
    return text('set')
  },
  '/count-slowly': async (session, _query, gates) => {
    const n = Number(session.get('n') ?? 0)
    await gates.pass()
    session.set('n', n + 1)
    return text('counted')
  },
  '/redirect': (session, query) => {
    setFrom(session, query)
    return text('', 302, { location: '/data' })
  },
  '/stream': (session, query, gates) => {
    setFrom(session, query)
    return {
      ...text(''),
      body: parts(gates, () => {
        if (query.has('late')) session.set('late', query.get('late') ?? '')
      }),
    }
  },
  '/stream-late': (session, query, gates) => {
    return {
      ...text(''),
      body: parts(gates, () => {
        setFrom(session, query)
      }),
    }
  },
  '/clear': (session) => {
    session.clear()
    return text('cleared')
  },
  '/fail': (session, query) => {
    setFrom(session, query)
    return text('failed', 500)
  },
  '/refuse': (session, query) => {
    setFrom(session, query)
    return text('refused', 401)
  },
  '/login-and-fail': async (session) => {
    await session.login('ada')
    return text('failed', 500)
  },
  '/throw': (session, query) => {
    setFrom(session, query)
    throw new Error('the application fails on purpose')
  },
  '/login': async (session, query) => {
    await session.login(query.get('user') ?? 'ada', { remember: query.has('remember') })
    return text('logged in')
  },
  '/logout': async (session) => {
    await session.destroy()
    return text('logged out')
  },
  '/expire': (session, query) => {
    setFrom(session, query)
    session.setExpiry(Number(query.get('in')))
    return text('set')
  },
  '/own-headers': (session, query) => {
    setFrom(session, query)
    return text('set', 200, { 'cache-control': 'public, max-age=60', vary: 'Accept', 'set-cookie': 'own=1' })
  },
}

async function* parts(gates: Gates, atLast: () => void): AsyncGenerator<string> {
  yield 'first '
  await gates.pass()
  atLast()
  yield 'last'
}
