/**
 * The credential that the session of another library becomes: derived from what its client carries, and from nothing
 * else, so that all requests which bring the same cookie meet in one record, and an answer that was lost costs nothing.
 */

import { hash, hkdfSync } from 'node:crypto'
import type { CredentialParts } from './credential.ts'

/**
 * The id comes from the other library's id alone. The secret comes from the signature as well: whoever has only read
 * the other library's store, or a backup of it, can't make one.
 *
 * @param sid The secret id of the session there.
 * @param signature What the cookie was signed with; verified by the caller.
 */
export function adoptedParts(sid: string, signature: string): CredentialParts {
  const secret = hkdfSync('sha256', `${sid}.${signature}`, '', 'holdfast adopted secret', 32)
  return {
    id: `old-${hash('sha256', `holdfast adopted id ${sid}`, 'base64url')}`,
    secret: Buffer.from(secret).toString('base64url'),
  }
}
