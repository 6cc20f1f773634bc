/** The cookie of another library, whose sessions become ours when their clients first come with it. */

import { adoptedParts } from '../credentials/adopted.ts'
import { InvalidOption } from '../errors.ts'
import type { Adoption, OldArrival, OldCredential } from '../sessions/adopting.ts'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { OldSessionReader } from '../sessions/keyed.ts'
import { cookieIn } from './express/cookie.ts'
import { isSigned, type Secret, unsigned } from './express/signature.ts'

/** How the sessions of another library are adopted. */
export interface AdoptOptions {
  /** Reads what it has stored: one of the readers of `holdfast/migration`. */
  readonly from: OldSessionReader
  /**
   * What it signed its cookie with, all that were in use: the form is that of express-session, or of @fastify/cookie.
   * No cookie is taken without.
   */
  readonly secrets: readonly Secret[]
  /** The name of its cookie. @default 'connect.sid' */
  readonly cookie?: string
  /** Who is logged in, by what is stored; `undefined`: nobody. @default nobody */
  readonly user?: UserOf
  /** What of it becomes the data of the session. @default all but the settings of the cookie */
  readonly data?: DataOf
}

// As methods, so that functions of a narrower type, the application's own, are taken too.
type UserOf = { of(data: JsonObject): string | undefined }['of']
type DataOf = { of(data: JsonObject): object }['of']

/** The options, checked. */
export class OldCookie {
  readonly name: string
  readonly #adoption: Adoption
  readonly #secrets: readonly Secret[]
  readonly #onTampered: () => void

  /**
   * @param own The name of the cookie of ours; `undefined` where there is none.
   * @throws {InvalidOption}
   */
  constructor(options: AdoptOptions, own: string | undefined, onTampered: () => void) {
    const { from, secrets, cookie = 'connect.sid', user = () => undefined, data = asItIs } = options
    if (own === undefined) {
      throw new InvalidOption('`adopt` needs a cookie of ours, which takes the place of the other: `cookie`')
    }
    if (cookie === own) {
      throw new InvalidOption(`\`adopt.cookie\` and \`cookie\` are both named ${own}: they must differ`)
    }
    if (secrets.length === 0 || !secrets.every(Boolean)) {
      throw new InvalidOption('`adopt.secrets` needs what the other library signed its cookies with')
    }
    this.name = cookie
    this.#adoption = { from, user, data }
    this.#secrets = secrets
    this.#onTampered = onTampered
  }

  /** What a request brought. @param header Its header `Cookie`. */
  in(header: string | undefined): OldArrival | undefined {
    return this.of(cookieIn(header, this.name))
  }

  /** What a cookie's value says. */
  of(value: string | undefined): OldArrival | undefined {
    return value ? new OldCookieArrival(this.#adoption, () => this.#verified(value)) : undefined
  }

  #verified(value: string): OldCredential | undefined {
    const text = isSigned(value) ? value : `s:${value}`
    const sid = unsigned(text, this.#secrets)
    if (sid) return { sid, parts: adoptedParts(sid, text.slice(text.lastIndexOf('.') + 1)) }
    this.#onTampered()
    return undefined
  }
}

function asItIs(data: JsonObject): JsonObject {
  return data
}

class OldCookieArrival implements OldArrival {
  readonly adoption: Adoption
  readonly #verify: () => OldCredential | undefined
  #verified: { readonly credential: OldCredential | undefined } | undefined

  constructor(adoption: Adoption, verify: () => OldCredential | undefined) {
    this.adoption = adoption
    this.#verify = verify
  }

  credential(): OldCredential | undefined {
    this.#verified ??= { credential: this.#verify() }
    return this.#verified.credential
  }
}
