/**
 * Sessions for Next.js: route handlers, middleware (the proxy), server actions, and server components, which can read
 * a session and can't set a cookie.
 *
 * ```ts
 * // app/session.ts
 * export const { withSession, readSession, actOnSession } = nextSessions(new Sessions(store))
 * // app/basket/route.ts
 * export const GET = withSession((request, session) => Response.json(session.get('basket')))
 * // app/page.tsx
 * const session = await readSession(await cookies())
 * // app/actions.ts
 * await actOnSession(await cookies(), (session) => session.login(user))
 * ```
 */

import { InvalidOption } from '../errors.ts'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { Client } from '../sessions/facts.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Visit } from '../sessions/visit.ts'
import type { Awaitable } from '../store/contract.ts'
import { type CookieJar, refuseAutoSecure, setCookie } from './cookie.ts'
import { Exchanges } from './exchange.ts'
import { fetchSessions, type SessionHandler } from './fetch.ts'
import type { FetchOptions } from './fetch/response.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'
export type { SessionHandler } from './fetch.ts'
export type { FetchOptions } from './fetch/response.ts'

/** What is needed of what `cookies()` of `next/headers` resolves to. */
export interface NextCookies {
  get(name: string): { readonly value: string } | undefined
}

/** The same in a server action or a route handler, where cookies can be set. */
export interface NextWritableCookies extends NextCookies, CookieJar {}

/** A session that can be looked at. */
export type ReadSession<Data extends object> = Pick<
  Session<Data>,
  'get' | 'has' | 'keys' | 'data' | 'user' | 'id' | 'isNew' | 'isFresh' | 'expiresAt' | 'authenticatedAt'
>

export interface NextSessions<Data extends object> {
  /**
   * Wraps a route handler, or the middleware. What was changed is stored, also where it ends by a `redirect()`. Where
   * it fails nothing is, and who was logged in by it has no cookie: Next.js makes that response.
   */
  readonly withSession: <Rest extends readonly unknown[]>(
    handler: SessionHandler<Data, Rest>,
  ) => (request: Request, ...rest: Rest) => Promise<Response>
  /**
   * For server components. They can't set a cookie, so what they see can only be read: it is not rotated, and a change
   * of it would be one that nobody stores.
   *
   * @param client Where the request came from, by the headers of your proxy: for sessions that are bound to it.
   */
  readonly readSession: (cookies: NextCookies, client?: Client) => Promise<ReadSession<Data>>
  /**
   * For server actions. What was changed is stored, and the cookie is set, also where the action ends by a
   * `redirect()`. Where it fails only what was stored at once, such as a login, is, and its cookie is set.
   */
  readonly actOnSession: <R>(
    cookies: NextWritableCookies,
    act: (session: Session<Data>) => Awaitable<R>,
    client?: Client,
  ) => Promise<R>
}

/** @throws {InvalidOption} when an option can't be honoured. */
export function nextSessions<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  options: FetchOptions = {},
): NextSessions<Data> {
  const exchanges = new Exchanges(sessions, options)
  const { cookie: settings } = exchanges
  if (!settings) throw new InvalidOption('Next.js hands sessions on by cookies: `cookie` can’t be false')
  refuseAutoSecure(settings, 'a server action of Next.js')
  const presented = (cookies: NextCookies): string | undefined => {
    const value = cookies.get(settings.name)?.value
    return value === undefined || value === '' ? undefined : exchanges.credentialIn(value)
  }
  const loaded = async (cookies: NextCookies, credential: string | undefined, visit: Visit) => {
    const { oldCookie } = exchanges
    const old = oldCookie?.of(cookies.get(oldCookie.name)?.value)
    return await exchanges.sessionOf(credential, visit, old).load()
  }
  const wrap = fetchSessions(sessions, options)
  return {
    withSession: (handler) =>
      wrap(async (request, session, ...rest) => {
        try {
          return await handler(request, session, ...rest)
        } catch (error) {
          const response = responseOf(error)
          if (!response) throw error
          return response
        }
      }),
    async readSession(cookies, client) {
      return await loaded(cookies, presented(cookies), client ? { client, canRotate: false } : {})
    },
    async actOnSession(cookies, act, client) {
      const before = presented(cookies)
      const session = await loaded(cookies, before, client ? { client } : {})
      try {
        const answer = await act(session)
        await finish()
        return answer
      } catch (error) {
        // `redirect()` and `notFound()` are thrown, and are answers.
        if (isAnswer(error)) await finish()
        // What is stored by now, such as a new secret, opens nothing for who isn't told of it.
        else tell()
        throw error
      }

      async function finish(): Promise<void> {
        await session.save()
        tell()
      }

      function tell(): void {
        const change = exchanges.changeOf(session, before)
        if (change) setCookie(cookies, settings!, change, true)
      }
    },
  }
}

function isAnswer(error: unknown): boolean {
  return digestOf(error).startsWith('NEXT_')
}

/** What Next.js answers in a route handler that ends by `redirect()`, `notFound()` and the like. */
function responseOf(error: unknown): Response | undefined {
  const digest = digestOf(error)
  const [, location = '', to] = /^NEXT_REDIRECT;[^;]*;(.+);(30[12378]);$/.exec(digest) ?? []
  if (to !== undefined) return new Response(null, { status: Number(to), headers: { location } })
  const [, status] = /^NEXT_HTTP_ERROR_FALLBACK;(4\d\d)$/.exec(digest) ?? []
  return status === undefined ? undefined : new Response(null, { status: Number(status) })
}

/** What tells errors of Next.js's own from others. */
function digestOf(error: unknown): string {
  const digest = (error as { readonly digest?: unknown } | undefined)?.digest
  return typeof digest === 'string' ? digest : ''
}
