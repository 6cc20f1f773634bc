/**
 * The successor of a secret, sealed so that only a holder of the predecessor can read it: a request that comes late
 * with the old secret meets the same new one, and the store still cannot read either.
 */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const nonceLength = 12
const tagLength = 16

/**
 * Seals a successor under a key derived (HKDF-SHA-256) from its predecessor, bound to the record's id.
 *
 * @returns base64url
 */
export function sealSuccessor(predecessor: string, id: string, successor: string): string {
  const nonce = randomBytes(nonceLength)
  const cipher = createCipheriv('aes-256-gcm', keyFrom(predecessor, id), nonce)
  const body = cipher.update(successor, 'latin1')
  cipher.final()
  return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url')
}

/** Opens what {@link sealSuccessor} made; `undefined` when it is not for this predecessor, or damaged. */
export function openSuccessor(predecessor: string, id: string, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64url')
  if (bytes.length < nonceLength + tagLength) return undefined
  const nonce = bytes.subarray(0, nonceLength)
  const body = bytes.subarray(nonceLength, bytes.length - tagLength)
  const decipher = createDecipheriv('aes-256-gcm', keyFrom(predecessor, id), nonce, {
    authTagLength: tagLength,
  })
  decipher.setAuthTag(bytes.subarray(bytes.length - tagLength))
  try {
    return decipher.update(body).toString('latin1') + decipher.final('latin1')
  } catch {
    return undefined
  }
}

function keyFrom(predecessor: string, id: string): Buffer {
  return Buffer.from(hkdfSync('sha256', predecessor, id, 'holdfast successor', 32))
}
