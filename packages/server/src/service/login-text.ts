/**
 * The text that carries a two-step login through its caller: what `begin` read of the user's marks before the password
 * was checked.
 *
 * It is sealed under the installation's key ring, because whoever could write such a text himself could claim an epoch
 * greater than any mark to come, and the session would outlive every "log out everywhere". It names the user and the
 * namespace, lives for ten minutes, and is accepted from authenticated callers only. It is no credential: it opens
 * nothing, and a second use only begins a second session, which its caller could do anyway.
 */

import { KeyUnknown, type KeyRing, type Login, RecordCorrupt } from 'holdfast'
import { RequestRefused } from './refusals.ts'

/** How long a password check may take, in milliseconds. */
export const loginLifetime = 600_000

const purpose = 'login text'

/** Seals and opens the texts of one namespace. */
export class LoginTexts {
  readonly #ring: KeyRing
  readonly #bound: string

  constructor(ring: KeyRing, namespace: string) {
    this.#ring = ring
    this.#bound = `${purpose} of ${namespace}`
  }

  seal(login: Login, now: number): string {
    const text = JSON.stringify({ login, until: now + loginLifetime })
    return this.#ring.seal(Buffer.from(text), this.#bound).toString('base64url')
  }

  /** @throws {RequestRefused} when it was not made here, was changed, or is too old. */
  open(text: string, now: number): Login {
    const { login, until } = JSON.parse(this.#opened(text)) as { login: Login; until: number }
    if (now >= until) throw refused('has expired: begin again')
    return login
  }

  #opened(text: string): string {
    try {
      return this.#ring.open(Buffer.from(text, 'base64url'), this.#bound).toString()
    } catch (error) {
      // A text of another installation names a key that is not ours. That is the caller's mistake, not an outage.
      if (error instanceof RecordCorrupt || error instanceof KeyUnknown)
        throw refused('was not made by this service')
      throw error
    }
  }
}

function refused(why: string): RequestRefused {
  return new RequestRefused('HOLDFAST_INVALID_LOGIN', `the login text ${why}`)
}
