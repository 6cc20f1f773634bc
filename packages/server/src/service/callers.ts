/**
 * Who is calling. Every route but a few needs a bearer credential: the root credential, or a token of this store whose
 * scopes allow the route.
 *
 * The root credential may have any shape, so it is compared before anything is parsed: one digest, in constant time,
 * and no read of the store.
 */

import type { FastifyRequest } from 'fastify'
import type { Tokens } from 'holdfast'
import type { RootCredential } from '../installation/root-credential.ts'
import { RequestRefused } from './refusals.ts'

/** Scopes with a meaning to the service itself. Only the root credential may give them to a token. */
export const reservedScopePrefix = 'holdfast:'

/** What a route asks of its caller; `nothing` for health and the description of the API. */
export type Need = 'nothing' | 'introspect' | 'manage'

/** Who calls. */
export interface Caller {
  readonly isRoot: boolean
  /** For the log: `root`, or the id of the token. */
  readonly name: string
}

const allowing: Readonly<Record<Exclude<Need, 'nothing'>, readonly string[]>> = {
  introspect: ['holdfast:introspect', 'holdfast:manage'],
  manage: ['holdfast:manage'],
}

export class Callers {
  readonly #root: RootCredential
  readonly #tokens: Tokens

  constructor(root: RootCredential, tokens: Tokens) {
    this.#root = root
    this.#tokens = tokens
  }

  /** @throws {RequestRefused} when nobody, or somebody without the right, is calling. */
  async identify(request: FastifyRequest, need: Exclude<Need, 'nothing'>): Promise<Caller> {
    const credential = bearer(request.headers.authorization)
    if (credential === undefined) {
      throw new RequestRefused('HOLDFAST_UNAUTHENTICATED', 'send a credential: Authorization: Bearer …')
    }
    if (this.#root.matches(credential)) return { isRoot: true, name: 'root' }
    const token = await this.#tokens.verify(credential)
    if (!token) throw new RequestRefused('HOLDFAST_UNAUTHENTICATED', 'the credential is not valid')
    if (!allowing[need].some((scope) => token.scopes.includes(scope))) {
      throw new RequestRefused(
        'HOLDFAST_SCOPE_MISSING',
        `the token needs the scope ${allowing[need].join(' or ')}`,
      )
    }
    return { isRoot: false, name: token.id }
  }
}

/** The credential of `Authorization: Bearer <credential>`. The scheme's case does not matter. */
function bearer(header: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(header ?? '')?.[1]
}

/** Whether issuing such scopes is the root credential's privilege. */
export function isReserved(scopes: readonly string[]): boolean {
  return scopes.some((scope) => scope.startsWith(reservedScopePrefix))
}

/** What to say in `WWW-Authenticate` (RFC 6750). */
export function challenge(request: FastifyRequest, status: number): string {
  const realm = 'Bearer realm="holdfast"'
  if (status === 403) return `${realm}, error="insufficient_scope"`
  return request.headers.authorization === undefined ? realm : `${realm}, error="invalid_token"`
}
