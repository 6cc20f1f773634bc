/**
 * Sessions for React Router and Remix: what `createSessionStorage` makes, over a store of ours.
 *
 * ```ts
 * export const { getSession, commitSession, destroySession } = sessionStorage(new Sessions(store))
 * ```
 */

import type { JsonObject } from '../sessions/dictionary.ts'
import type { Client } from '../sessions/facts.ts'
import type { Dictionary } from '../sessions/dictionary.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { cookieSettings, type CookieOptions, readCookie } from './cookie.ts'
import { Exchanges } from './exchange.ts'

export type { CookieOptions } from './cookie.ts'

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
  /** Stores what was changed. @returns a `Set-Cookie` header. */
  readonly commitSession: (session: RouterSession<Data>) => Promise<string>
  /** @returns a `Set-Cookie` header that takes the cookie away. */
  readonly destroySession: (session: RouterSession<Data>) => Promise<string>
}

/**
 * @param options.cookie As in every door. Requests from other sites are the framework's to refuse, and it
 *   does not check resource routes: `SameSite` stands against those.
 * @throws {InvalidOption} when an option can't be honoured.
 */
export function sessionStorage<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  { cookie = {} }: { readonly cookie?: CookieOptions } = {},
): RouterStorage<Data> {
  const settings = cookieSettings(cookie)
  const exchanges = new Exchanges(sessions, { cookie, checkOrigin: false })
  const committed = async ({ stored }: RouterSession<Data>): Promise<string> => {
    await stored.save()
    return exchanges.cookieOf(stored, settings.secure !== false)
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
      return exchanges.cookieOf(stored, settings.secure !== false)
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
