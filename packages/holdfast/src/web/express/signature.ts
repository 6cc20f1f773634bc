/** The signature of a cookie: `s:<value>.<HMAC-SHA256 in base64 without padding>`, as cookie-signature writes it. */

import { type BinaryLike, createHmac, type KeyObject } from 'node:crypto'
import { equalInConstantTime } from '../../credentials/digest.ts'

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
  const signature = text.slice(dot + 1)
  const isRight = secrets.some((secret) => equalInConstantTime(signature, signatureOf(value, secret)))
  return isRight ? value : undefined
}

/** Whether a text has the form of a signed cookie. */
export function isSigned(text: string): boolean {
  return text.startsWith(mark)
}

function signatureOf(value: string, secret: Secret): string {
  const text = createHmac('sha256', secret).update(value).digest('base64')
  return text.slice(0, text.indexOf('='))
}
