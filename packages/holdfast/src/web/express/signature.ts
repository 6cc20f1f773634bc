/** The signature of a cookie: `s:<value>.<HMAC-SHA256 in base64 without padding>`, as cookie-signature writes it. */

import { type BinaryLike, createHmac, type KeyObject } from 'node:crypto'
import { digestOf, equalInConstantTime } from '../../credentials/digest.ts'

/** What `createHmac` of Node.js takes. */
export type Secret = BinaryLike | KeyObject

/** What a signed cookie begins with. */
const mark = 's:'

/** Signs a value under the first of the secrets. */
export function signed(value: string, secrets: readonly Secret[]): string {
  return `${mark}${value}.${signatureOf(value, secrets[0]!)}`
}

/** The value of a signed cookie; `undefined` where none of the secrets has signed it. */
export function unsigned(text: string, secrets: readonly Secret[]): string | undefined {
  const dot = text.lastIndexOf('.')
  if (!isSigned(text) || dot < mark.length) return undefined
  const value = text.slice(mark.length, dot)
  const digest = digestOf(text)
  const known = verified.get(digest)
  if (known !== undefined && secrets.includes(known)) return value
  const signature = text.slice(dot + 1)
  const secret = secrets.find((each) => equalInConstantTime(signature, signatureOf(value, each)))
  if (secret === undefined) return undefined
  if (typeof secret === 'string') remember(digest, secret)
  return value
}

/** Whether a text has the form of a signed cookie. */
export function isSigned(text: string): boolean {
  return text.startsWith(mark)
}

/**
 * The secrets by the digests of the cookies that they have signed, of those that came last. A visitor sends the same
 * cookie with every request, and an HMAC costs several times as much as a digest. No cookie can be found out from it.
 */
const verified = new Map<string, string>()
const mostVerified = 1_024

function remember(digest: string, secret: string): void {
  const [oldest] = verified.keys()
  if (oldest !== undefined && verified.size >= mostVerified) verified.delete(oldest)
  verified.set(digest, secret)
}

function signatureOf(value: string, secret: Secret): string {
  const text = createHmac('sha256', secret).update(value).digest('base64')
  return text.slice(0, text.indexOf('='))
}
