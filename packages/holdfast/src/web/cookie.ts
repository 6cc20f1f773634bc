/** Cookies: RFC 6265bis, as far as sessions need it. */

import type { KeyRing, Signer } from '../credentials/key-ring.ts'
import { HoldfastError, InvalidOption } from '../errors.ts'

/** How the session's cookie is set. It is always `HttpOnly`. */
export interface CookieOptions {
  /**
   * Its name. One that begins with `__Host-` needs `secure`, the path `/` and no domain; in return no other host and
   * no page without TLS can set it.
   *
   * @default '__Host-session' where that can be, else '__Secure-session' or 'session'
   */
  readonly name?: string
  /**
   * Only over TLS. 'auto': as the request came, where a door sees that; then the name has no prefix. @default true
   */
  readonly secure?: boolean | 'auto'
  /** Which requests from other sites carry it: 'lax' links to yours, 'strict' none, 'none' all. @default 'lax' */
  readonly sameSite?: 'lax' | 'strict' | 'none'
  /** Also for the hosts below this one. @default this host alone */
  readonly domain?: string
  /** @default '/' */
  readonly path?: string
  /** One per top-level site, for what is shown within other sites (CHIPS). @default false */
  readonly partitioned?: boolean
  /**
   * Signs the cookie: the first key signs, all of them verify. Secrets can't be guessed without as well; what was not
   * signed here is refused before the store is asked. @default not signed
   */
  readonly keys?: KeyRing
}

/** The options, checked and complete. */
export interface CookieSettings extends Required<Omit<CookieOptions, 'domain' | 'keys'>> {
  readonly domain: string | undefined
  readonly signer: Signer | undefined
}

/** What is done to the cookie. */
export type CookieChange =
  | { readonly value: string; /** Seconds; missing: until the browser closes. */ readonly maxAge?: number }
  | 'deleted'

const nameForm = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/
/** What can be the domain of a cookie. */
export const domainForm = /^\.?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/
const pathForm = /^\/[ -:<-~]*$/

/** No browser keeps a cookie for longer: 400 days, in seconds. */
export const longestAge = 400 * 86_400

/** @throws {InvalidOption} */
export function cookieSettings(options: CookieOptions = {}): CookieSettings {
  const { secure = true, sameSite = 'lax', path = '/', partitioned = false, domain } = options
  const name = options.name ?? usualName(secure, path, domain)
  if (!nameForm.test(name)) throw new InvalidOption(`${JSON.stringify(name)} cannot be the name of a cookie`)
  if (!pathForm.test(path))
    throw new InvalidOption(`the path of a cookie begins with '/', not ${JSON.stringify(path)}`)
  if (domain !== undefined && !domainForm.test(domain)) {
    throw new InvalidOption(`${JSON.stringify(domain)} cannot be the domain of a cookie`)
  }
  if (name.startsWith('__Host-') && (secure !== true || path !== '/' || domain !== undefined)) {
    throw new InvalidOption(
      `a cookie named ${name} needs \`secure\`, the path '/' and no domain: browsers refuse it otherwise`,
    )
  }
  if (name.startsWith('__Secure-') && secure !== true) {
    throw new InvalidOption(`a cookie named ${name} needs \`secure\`: browsers refuse it otherwise`)
  }
  if ((sameSite === 'none' || partitioned) && secure === false) {
    throw new InvalidOption('a cookie for other sites needs `secure`: browsers refuse it otherwise')
  }
  if (!['lax', 'strict', 'none'].includes(sameSite)) {
    throw new InvalidOption(`sameSite is 'lax', 'strict' or 'none', not ${JSON.stringify(sameSite)}`)
  }
  return { name, secure, sameSite, path, partitioned, domain, signer: options.keys?.signer(`cookie ${name}`) }
}

/**
 * For doors that are shown nothing of a request but its cookies.
 *
 * @param door Who that is, for the message.
 * @throws {InvalidOption} for `secure: 'auto'`: such a cookie would not come back over plain HTTP.
 */
export function refuseAutoSecure({ secure }: CookieSettings, door: string): void {
  if (secure !== 'auto') return
  throw new InvalidOption(
    `${door} can’t tell how a request came: in place of \`secure: 'auto'\` say what holds where it runs, such as \`secure: process.env.NODE_ENV === 'production'\``,
  )
}

/** The value of a cookie in a `Cookie` header: the first one of the name, as the most specific path comes first. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined
  let start = 0
  while (start < header.length) {
    const end = endOf(header, start)
    const equals = header.indexOf('=', start)
    if (equals >= 0 && equals < end && header.slice(start, equals).trim() === name) {
      return unquoted(header.slice(equals + 1, end).trim())
    }
    start = end + 1
  }
  return undefined
}

/** A `Set-Cookie` header. */
export function writeCookie(settings: CookieSettings, change: CookieChange, isSecure: boolean): string {
  const { name, sameSite, domain, path, partitioned } = settings
  const secure = settings.secure === 'auto' ? isSecure : settings.secure
  const parts = [change === 'deleted' ? `${name}=` : `${name}=${change.value}`, `Path=${path}`]
  if (domain !== undefined) parts.push(`Domain=${domain}`)
  if (change === 'deleted') parts.push('Max-Age=0', 'Expires=Thu, 01 Jan 1970 00:00:00 GMT')
  else if (change.maxAge !== undefined) parts.push(`Max-Age=${String(change.maxAge)}`)
  parts.push('HttpOnly')
  if (secure) parts.push('Secure')
  parts.push(`SameSite=${sameSite.charAt(0).toUpperCase()}${sameSite.slice(1)}`)
  if (partitioned) parts.push('Partitioned')
  return parts.join('; ')
}

/** Where a framework writes `Set-Cookie` itself. */
export interface CookieJar {
  set(name: string, value: string, options: CookieAttributes): unknown
}

export interface CookieAttributes {
  readonly httpOnly: true
  readonly secure: boolean
  readonly sameSite: 'lax' | 'strict' | 'none'
  readonly path: string
  readonly domain?: string
  readonly maxAge?: number
  readonly partitioned?: boolean
}

/** The same as {@link writeCookie} does, by what a framework has for it. */
export function setCookie(
  jar: CookieJar,
  settings: CookieSettings,
  change: CookieChange,
  isSecure: boolean,
): void {
  const { name, secure, sameSite, path, domain, partitioned } = settings
  const isDeleted = change === 'deleted'
  const maxAge = isDeleted ? 0 : change.maxAge
  jar.set(name, isDeleted ? '' : change.value, {
    httpOnly: true,
    secure: secure === 'auto' ? isSecure : secure,
    sameSite,
    path,
    ...(domain === undefined ? {} : { domain }),
    ...(maxAge === undefined ? {} : { maxAge }),
    ...(partitioned ? { partitioned } : {}),
  })
}

/** What stands in a cookie for a credential. */
export function cookieValue({ signer, name }: CookieSettings, credential: string): string {
  return signer ? signer.sign(Buffer.from(credential), name).toString('base64url') : credential
}

/** The credential in a cookie; `undefined` where we did not sign it. Whatever the key is: the client may name any. */
export function credentialIn({ signer, name }: CookieSettings, value: string): string | undefined {
  if (!signer) return value
  try {
    return signer.verified(Buffer.from(value, 'base64url'), name).toString()
  } catch (error) {
    if (error instanceof HoldfastError) return undefined
    throw error
  }
}

function usualName(secure: boolean | 'auto', path: string, domain: string | undefined): string {
  if (secure !== true) return 'session'
  return path === '/' && domain === undefined ? '__Host-session' : '__Secure-session'
}

function endOf(header: string, start: number): number {
  const end = header.indexOf(';', start)
  return end < 0 ? header.length : end
}

function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}
