/**
 * Sessions for SvelteKit: a `handle` hook.
 *
 * ```ts
 * // src/hooks.server.ts
 * export const handle = svelteKitSession(new Sessions(store))
 * // in a load function or an action
 * event.locals.session.get('basket')
 * ```
 */

import type { JsonObject } from '../sessions/dictionary.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Awaitable } from '../store/contract.ts'
import { type CookieJar, setCookie } from './cookie.ts'
import { Exchanges, type WebOptions } from './exchange.ts'
import { exchanged, webRequestOf } from './fetch/response.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'

/** What is needed of an event of SvelteKit's. */
export interface SvelteKitEvent {
  readonly request: Request
  readonly locals: object
  readonly cookies: CookieJar
  getClientAddress(): string
}

/**
 * Puts `event.locals.session` onto each event. What was changed is stored before the response is answered with; where
 * that fails, a response with the cause takes its place.
 *
 * What a `load` function streams is changed too late: save such changes with `session.save()`.
 *
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function svelteKitSession<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  options: WebOptions = {},
): <Event extends SvelteKitEvent>(input: {
  readonly event: Event
  readonly resolve: (event: Event) => Awaitable<Response>
}) => Promise<Response> {
  const exchanges = new Exchanges(sessions, options)
  return async ({ event, resolve }) => {
    const request = { ...webRequestOf(event.request), address: event.getClientAddress() }
    return await exchanged(exchanges, request, async (exchange) => {
      Object.assign(event.locals, { session: exchange.session })
      try {
        return await resolve(event)
      } catch (error) {
        if (!isRedirect(error)) throw error
        // SvelteKit makes the response, and takes over nothing but its own cookies.
        await exchange.commit(error.status)
        const { cookieChange: change } = exchange
        if (change) setCookie(event.cookies, exchanges.cookie!, change, request.isSecure)
        throw error
      }
    })
  }
}

/** What `redirect()` throws: an answer where another hook does it. */
function isRedirect(error: unknown): error is { readonly status: number } {
  const { status, location } = (error ?? {}) as { readonly status?: unknown; readonly location?: unknown }
  return typeof status === 'number' && status >= 300 && status < 400 && typeof location === 'string'
}
