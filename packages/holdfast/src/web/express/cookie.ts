/** The cookie of a session: its settings, its expiry, and the header that is made of it. */

import type { IncomingMessage } from 'node:http'
import { systemClock } from '../../clock.ts'
import { domainForm, readCookie } from '../cookie.ts'
import { deprecate } from './deprecation.ts'

/** Settings of the cookie. */
export interface CookieOptions {
  /** Milliseconds that it lives. @default none: until the browser is closed */
  maxAge?: number | null | undefined
  /** When it ends. Of this and `maxAge` the last one given counts. */
  expires?: Date | boolean | null | undefined
  /** @default '/' */
  path?: string | undefined
  domain?: string | undefined
  /** @default true */
  httpOnly?: boolean | undefined
  /** `'auto'`: where the request came securely. @default false */
  secure?: boolean | 'auto' | undefined
  /** `'auto'`: `none` where the request came securely, otherwise `lax`. @default none */
  sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto' | undefined
  partitioned?: boolean | undefined
  priority?: 'low' | 'medium' | 'high' | undefined
  /** Has no effect, as in express-session. */
  encode?: ((value: string) => string) | undefined
  /** Has no effect, as in express-session: the cookie is always signed. */
  signed?: boolean | undefined
}

/** A function of a request: of that of Express too, which knows more of itself than that of Node.js. */
export type OfRequest<T> = { of(req: IncomingMessage): T }['of']

/** Settings, or a function that makes them for a request. */
export type CookieSetting = CookieOptions | OfRequest<CookieOptions>

/** What of a cookie is stored, and what the header is made of. */
export interface CookieData {
  originalMaxAge: number | null | undefined
  partitioned: boolean | undefined
  priority: string | undefined
  expires: Date | boolean | string | null | undefined
  secure: boolean | 'auto' | undefined
  httpOnly: boolean | undefined
  domain: string | undefined
  path: string | undefined
  sameSite: boolean | string | undefined
}

/** The cookie of one session. */
export class Cookie {
  path: string | undefined = '/'
  /** What `expires` sets: with it a copy of a cookie ends when the cookie does. */
  _expires: Date | boolean | null | undefined = null
  /** The `maxAge` that it was given, in milliseconds, to which every request resets it. */
  originalMaxAge: number | null | undefined = null
  httpOnly: boolean | undefined = true
  declare domain?: string | undefined
  declare secure?: boolean | 'auto' | undefined
  declare sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto' | undefined
  declare partitioned?: boolean | undefined
  declare priority?: 'low' | 'medium' | 'high' | undefined

  /** @throws {TypeError} when the settings are not an object, or `maxAge` is not a number. */
  constructor(options?: CookieOptions | null) {
    if (options !== undefined && options !== null) {
      if (typeof options !== 'object') throw new TypeError('the options of a cookie must be an object')
      // In the order in which they were given: of `maxAge` and `expires` the last one counts.
      const given = options as Readonly<Record<string, unknown>>
      const settings = this as unknown as Record<string, unknown>
      for (const name in given) if (!methods.has(name)) settings[name] = given[name]
    }
    this.originalMaxAge ??= this.maxAge
  }

  /** When it ends; `false` or `null`: when the browser is closed. */
  get expires(): Date | boolean | null | undefined {
    return this._expires
  }

  set expires(date: Date | boolean | null | undefined) {
    this._expires = date
    this.originalMaxAge = this.maxAge
  }

  /** The milliseconds that are left, `null` where it ends with the browser. */
  get maxAge(): number | null | undefined {
    if (this._expires instanceof Date) return this._expires.valueOf() - systemClock.now()
    return this._expires as null | undefined
  }

  set maxAge(ms: number | Date | null | undefined) {
    if (ms && typeof ms !== 'number' && !(ms instanceof Date)) {
      throw new TypeError('maxAge of a cookie must be a number of milliseconds or a Date')
    }
    if (ms instanceof Date) deprecate('maxAge as Date; pass number of milliseconds instead')
    if (typeof ms === 'number') {
      this._expires = new Date(systemClock.now() + ms)
      // What was given, and not what is left of it a moment later.
      this.originalMaxAge = ms
    } else this.expires = ms
  }

  /** What is stored of it. */
  get data(): CookieData {
    return {
      originalMaxAge: this.originalMaxAge,
      partitioned: this.partitioned,
      priority: this.priority,
      expires: this._expires,
      secure: this.secure,
      httpOnly: this.httpOnly,
      domain: this.domain,
      path: this.path,
      sameSite: this.sameSite,
    }
  }

  /** The `Set-Cookie` header of a value. @throws {TypeError} when a setting can't be written into it. */
  serialize(name: string, value: string): string {
    return setCookie(name, value, this.data)
  }

  toJSON(): CookieData {
    return this.data
  }
}

/** What the cookies of express-session show of their class, and is no setting. */
const methods: ReadonlySet<string> = new Set(['data', 'serialize', 'toJSON'])

const nameForm = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const pathForm = /^[ -:=-~]*$/

/** A `Set-Cookie` header. @throws {TypeError} when a setting can't be written into it. */
export function setCookie(name: string, value: string, data: Partial<CookieData>): string {
  if (!nameForm.test(name)) throw new TypeError(`${JSON.stringify(name)} cannot be the name of a cookie`)
  const parts = [`${name}=${encodeURIComponent(value)}`]
  if (data.domain) parts.push(`Domain=${inForm('domain', data.domain, domainForm)}`)
  if (data.path) parts.push(`Path=${inForm('path', data.path, pathForm)}`)
  if (data.expires) parts.push(`Expires=${httpDate(data.expires)}`)
  if (data.httpOnly) parts.push('HttpOnly')
  if (data.secure) parts.push('Secure')
  if (data.partitioned) parts.push('Partitioned')
  if (data.priority) parts.push(`Priority=${word('priority', data.priority, ['low', 'medium', 'high'])}`)
  if (data.sameSite) parts.push(`SameSite=${sameSite(data.sameSite)}`)
  return parts.join('; ')
}

/** The value of a cookie in the header of a request; the first where there are several of this name. */
export function cookieIn(header: string | undefined, name: string): string | undefined {
  const value = readCookie(header, name)
  if (value?.includes('%') !== true) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function inForm(option: string, value: string, form: RegExp): string {
  if (form.test(value)) return value
  throw invalid(option, value)
}

function sameSite(value: boolean | string): string {
  return value === true ? 'Strict' : word('sameSite', value, ['lax', 'strict', 'none'])
}

/** A word as it is written in the header: with a capital. */
function word(option: string, value: unknown, known: readonly string[]): string {
  const found = typeof value === 'string' ? known.find((each) => each === value.toLowerCase()) : undefined
  if (found === undefined) throw invalid(option, value)
  return found.charAt(0).toUpperCase() + found.slice(1)
}

function httpDate(expires: unknown): string {
  if (expires instanceof Date && !Number.isNaN(expires.valueOf())) return expires.toUTCString()
  throw invalid('expires', expires)
}

function invalid(option: string, value: unknown): TypeError {
  return new TypeError(`option ${option} is invalid: a cookie cannot have ${JSON.stringify(value)}`)
}
