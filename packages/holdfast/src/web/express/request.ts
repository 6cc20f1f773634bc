/** What a request says: the id in its cookie, whether it came securely, and what was asked for. */

import type { TLSSocket } from 'node:tls'
import { cookieIn } from './cookie.ts'
import { deprecate } from './deprecation.ts'
import type { SessionRequest } from './session.ts'
import { isSigned, type Secret, unsigned } from './signature.ts'

/** The id that the client has sent, if the signature is that of one of the secrets. */
export function sentId(req: SessionRequest, name: string, secrets: readonly Secret[]): string | undefined {
  const text = cookieIn(req.headers.cookie, name)
  const id = text === undefined ? undefined : unsigned(text, secrets)
  // An empty id is none.
  return id || (req.signedCookies || req.cookies ? parsedId(req, name, secrets) : undefined)
}

/** What cookie-parser has made of cookies that are not in the header. */
function parsedId(req: SessionRequest, name: string, secrets: readonly Secret[]): string | undefined {
  const verified = req.signedCookies?.[name]
  const plain = req.cookies?.[name]
  const id = verified || (plain && isSigned(plain) ? unsigned(plain, secrets) : undefined)
  if (!id) return undefined
  deprecate('cookie should be available in req.headers.cookie')
  return id
}

/** Whether the request came over TLS. @param proxy Whether `X-Forwarded-Proto` counts. @default as Express has it */
export function isSecure(req: SessionRequest, proxy: boolean | undefined): boolean {
  if ((req.socket as Partial<TLSSocket> | null)?.encrypted) return true
  if (proxy === undefined) return req.secure === true
  const header = proxy ? (req.headers['x-forwarded-proto'] ?? '') : ''
  const first = String(header).split(',', 1)[0]!
  return first.trim().toLowerCase() === 'https'
}

/** The path that was asked for, also where a router has taken its beginning away. */
export function pathOf({ originalUrl, url = '' }: SessionRequest): string {
  const asked = originalUrl ?? url
  const path = asked.startsWith('/') ? asked : withoutOrigin(asked)
  const end = path.search(/[?#]/)
  return (end < 0 ? path : path.slice(0, end)) || '/'
}

/** A proxy may be asked for `http://host/path`. */
function withoutOrigin(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : url
}
