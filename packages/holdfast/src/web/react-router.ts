/**
 * Sessions for React Router and Remix: as a middleware of React Router from 7.9 on, which stores by itself, and as what
 * `createSessionStorage` makes.
 *
 * ```ts
 * // app/session.server.ts
 * export const sessionContext = createContext<Session<MyData>>()
 * // app/root.tsx
 * export const middleware = [routerSession(new Sessions<MyData>(store), sessionContext)]
 * // in a loader or an action
 * context.get(sessionContext).get('basket')
 * ```
 *
 * ```ts
 * export const { getSession, commitSession, destroySession } = sessionStorage(new Sessions(store))
 * ```
 */

import { InvalidOption } from '../errors.ts'
import type { Dictionary, JsonObject } from '../sessions/dictionary.ts'
import type { Client } from '../sessions/facts.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { cookieSettings, type CookieOptions, readCookie, refuseAutoSecure } from './cookie.ts'
import { Exchanges } from './exchange.ts'
import { exchanged, type FetchOptions, webRequestOf } from './fetch/response.ts'

export type { CookieOptions } from './cookie.ts'
export type { AdoptOptions, WebOptions, WebRequest } from './exchange.ts'
export type { FetchOptions } from './fetch/response.ts'

/** What is needed of what a middleware of React Router's is given. */
export interface RouterArguments<Context> {
  readonly request: Request
  readonly context: { set(context: Context, session: never): void }
}

/**
 * A middleware, for the root route. What was changed is stored before the response is sent; where that fails, a response
 * with the cause takes its place.
 *
 * @param context Where loaders and actions find the session: made by `createContext` of React Router.
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function routerSession<Data extends object, Context>(
  sessions: Sessions<Data>,
  context: Context,
  options: FetchOptions = {},
): (given: RouterArguments<Context>, next: () => Promise<Response>) => Promise<Response> {
  const exchanges = new Exchanges(sessions, options)
  return async (given, next) => {
    return await exchanged(exchanges, webRequestOf(given.request, options), (exchange) => {
      // That the context is one of sessions is for the caller's types to say: React Router's own are not known here.
      given.context.set(context, exchange.session as never)
      return next()
    })
  }
}

/** A session as React Router has them. `stored` is ours, with all that it can do. */
export interface RouterSession<Data extends object = JsonObject> {
  /** Empty before it is stored. */
  readonly id: string
  readonly data: Partial<Data>
  has(name: string): boolean
  /** A value that was flashed is answered once. */
  get(name: string): unknown
  set(name: string, value: unknown): void
  /** Sets what the next `get` of it takes out. */
  flash(name: string, value: unknown): void
  unset(name: string): void
  readonly stored: Session<Data>
}

/** What React Router asks for. */
export interface RouterStorage<Data extends object = JsonObject> {
  /** @param options.client Where the request came from: for sessions that are bound to it. */
  readonly getSession: (
    cookieHeader?: string | null,
    options?: { readonly client?: Client },
  ) => Promise<RouterSession<Data>>
  /**
   * Stores what was changed.
   *
   * @returns a `Set-Cookie` header.
   * @throws {InvalidOption} for options of the cookie: a session's own end is set by `session.stored.setExpiry`.
   */
  readonly commitSession: (session: RouterSession<Data>, options?: object) => Promise<string>
  /** @returns a `Set-Cookie` header that takes the cookie away. */
  readonly destroySession: (session: RouterSession<Data>) => Promise<string>
}

/**
 * @param options.cookie As in every door, but for `secure: 'auto'`. Requests from other sites are the framework's to refuse, and it
 *   does not check resource routes: `SameSite` stands against those.
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function sessionStorage<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  { cookie = {} }: { readonly cookie?: CookieOptions } = {},
): RouterStorage<Data> {
  const settings = cookieSettings(cookie)
  refuseAutoSecure(settings, 'React Router’s session storage')
  const exchanges = new Exchanges(sessions, { cookie, checkOrigin: false })
  const committed = async ({ stored }: RouterSession<Data>, given: object = {}): Promise<string> => {
    if (Object.keys(given).length > 0) {
      throw new InvalidOption(
        `commitSession takes no ${Object.keys(given).join(', ')}: say session.stored.setExpiry(…) before it`,
      )
    }
    await stored.save()
    return exchanges.cookieOf(stored, settings.secure === true)
  }
  return {
    async getSession(cookieHeader, { client } = {}) {
      const value = readCookie(cookieHeader ?? undefined, settings.name)
      return new RoutedSession(
        await sessions.load(value && exchanges.credentialIn(value), client ? { client } : {}),
      )
    },
    commitSession: committed,
    async destroySession({ stored }) {
      await stored.destroy()
      return exchanges.cookieOf(stored, settings.secure === true)
    },
  }
}

const flashed = (name: string): string => `__flash_${name}__`

class RoutedSession<Data extends object> implements RouterSession<Data> {
  readonly stored: Session<Data>

  constructor(stored: Session<Data>) {
    this.stored = stored
  }

  get id(): string {
    return this.stored.id ?? ''
  }

  get data(): Partial<Data> {
    return this.stored.data
  }

  has(name: string): boolean {
    return this.stored.has(name as never) || this.stored.has(flashed(name) as never)
  }

  get(name: string): unknown {
    const { stored } = this as { readonly stored: Dictionary }
    return stored.has(name) ? stored.get(name) : stored.pop(flashed(name), undefined)
  }

  set(name: string, value: unknown): void {
    this.stored.set(name as never, value as never)
  }

  flash(name: string, value: unknown): void {
    this.stored.set(flashed(name) as never, value as never)
  }

  unset(name: string): void {
    this.stored.delete(name as never)
  }
}
