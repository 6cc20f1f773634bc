/**
 * The key ring: the first key seals, all of them open, so that keys can be rolled without a moment in which
 * something that was sealed cannot be read.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { InvalidOption, KeyUnknown, RecordCorrupt } from '../errors.ts'

/** One key of a ring. */
export interface RingKey {
  /** Names the key in what it sealed: `[A-Za-z0-9_-]{1,32}`. Public. */
  readonly id: string
  /** 32 random bytes. */
  readonly secret: Uint8Array
}

const keyId = /^[A-Za-z0-9_-]{1,32}$/
const secretLength = 32
const nonceLength = 12
const tagLength = 16
const signatureLength = 32

/** A key for one purpose. */
interface PurposeKey {
  readonly id: string
  readonly key: Buffer
}

/** Keys in order of age, newest first. */
export class KeyRing {
  readonly #sealing: readonly PurposeKey[]
  /** What the keys of signers are derived from. */
  readonly #signing: readonly PurposeKey[]

  /** @throws {InvalidOption} when there is no key, an id is malformed or occurs twice, or a secret is not 32 bytes. */
  constructor(keys: readonly RingKey[]) {
    if (keys.length === 0) throw new InvalidOption('a key ring needs at least one key')
    for (const { id, secret } of keys) {
      if (!keyId.test(id)) throw new InvalidOption('the id of a ring key is [A-Za-z0-9_-]{1,32}')
      if (secret.byteLength !== secretLength) {
        throw new InvalidOption(`the secret of ring key ${id} must have ${secretLength} bytes`)
      }
    }
    if (new Set(keys.map(({ id }) => id)).size !== keys.length) {
      throw new InvalidOption('two keys of the ring have the same id')
    }
    // A key of its own per purpose: what seals records can't be made to sign something else.
    this.#sealing = keys.map(({ id, secret }) => ({ id, key: derive(secret, 'holdfast seal') }))
    this.#signing = keys.map(({ id, secret }) => ({ id, key: derive(secret, 'holdfast sign') }))
  }

  /** The ids of its keys, newest first. */
  get ids(): readonly string[] {
    return this.#sealing.map(({ id }) => id)
  }

  /**
   * Who signs for a purpose, each under a key of its own.
   *
   * @param purpose What the signatures are good for, and nothing else.
   */
  signer(purpose: string): Signer {
    return new Signer(this.#signing.map(({ id, key }) => ({ id, key: derive(key, purpose) })))
  }

  /**
   * Seals bytes with AES-256-GCM under the first key: length of the key's id, the id, nonce, ciphertext, tag.
   *
   * @param bound Text that must be given again to open it.
   */
  seal(plain: Uint8Array, bound: string): Buffer {
    const { id, key } = this.#sealing[0]!
    const nonce = randomBytes(nonceLength)
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(bound))
    const body = cipher.update(plain)
    cipher.final()
    return Buffer.concat([Buffer.of(id.length), Buffer.from(id), nonce, body, cipher.getAuthTag()])
  }

  /**
   * Opens what {@link seal} made.
   *
   * @throws {KeyUnknown} when it was sealed under a key that is not in this ring.
   * @throws {RecordCorrupt} when it was tampered with, or is bound to something else.
   */
  open(sealed: Uint8Array, bound: string): Buffer {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
    const idEnd = 1 + (bytes[0] ?? 0)
    const bodyStart = idEnd + nonceLength
    if (bytes.length < bodyStart + tagLength)
      throw new RecordCorrupt(`the sealed value of ${bound} is cut short`)
    const id = bytes.toString('latin1', 1, idEnd)
    if (!keyId.test(id)) throw new RecordCorrupt(`the sealed value of ${bound} names no key`)
    const known = this.#sealing.find((each) => each.id === id)
    if (!known) {
      throw new KeyUnknown(
        `${bound} is sealed under key ${id}, which is not in the ring (${this.ids.join(', ')})`,
      )
    }
    const decipher = createDecipheriv('aes-256-gcm', known.key, bytes.subarray(idEnd, bodyStart), {
      authTagLength: tagLength,
    })
      .setAAD(Buffer.from(bound))
      .setAuthTag(bytes.subarray(bytes.length - tagLength))
    const body = decipher.update(bytes.subarray(bodyStart, bytes.length - tagLength))
    try {
      decipher.final()
    } catch {
      throw new RecordCorrupt(
        `the sealed value of ${bound} was changed by someone without the key, or is damaged`,
      )
    }
    return body
  }
}

/** Signs for one purpose: what was signed for another one is not taken. Made by {@link KeyRing.signer}. */
export class Signer {
  readonly #keys: readonly PurposeKey[]

  /** @param keys Newest first. */
  constructor(keys: readonly PurposeKey[]) {
    this.#keys = keys
  }

  /**
   * Signs bytes by HMAC-SHA-256 under the first key: length of the key's id, the id, signature, bytes.
   *
   * @param bound Text that must be given again to verify it.
   */
  sign(bytes: Uint8Array, bound: string): Buffer {
    const { id, key } = this.#keys[0]!
    return Buffer.concat([Buffer.of(id.length), Buffer.from(id), signature(key, bytes, bound), bytes])
  }

  /**
   * The bytes that {@link sign} was given.
   *
   * @throws {KeyUnknown} when they were signed under a key that is not in the ring.
   * @throws {RecordCorrupt} when they were tampered with, or signed for something else.
   */
  verified(signed: Uint8Array, bound: string): Buffer {
    const all = Buffer.from(signed.buffer, signed.byteOffset, signed.byteLength)
    const idEnd = 1 + (all[0] ?? 0)
    const bytes = all.subarray(idEnd + signatureLength)
    const given = all.subarray(idEnd, idEnd + signatureLength)
    if (given.length < signatureLength) throw new RecordCorrupt(`the signed value of ${bound} is cut short`)
    const id = all.toString('latin1', 1, idEnd)
    if (!keyId.test(id)) throw new RecordCorrupt(`the signed value of ${bound} names no key`)
    const known = this.#keys.find((each) => each.id === id)
    if (!known) {
      const ids = this.#keys.map((each) => each.id).join(', ')
      throw new KeyUnknown(`${bound} is signed under key ${id}, which is not in the ring (${ids})`)
    }
    if (!timingSafeEqual(given, signature(known.key, bytes, bound))) {
      throw new RecordCorrupt(
        `the value of ${bound} was changed by someone without the key, is damaged, or was signed for something else`,
      )
    }
    return bytes
  }
}

/** Makes a key with a fresh secret. */
export function generateRingKey(id: string): RingKey {
  return { id, secret: randomBytes(secretLength) }
}

function derive(secret: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', purpose, secretLength))
}

function signature(key: Buffer, bytes: Uint8Array, bound: string): Buffer {
  // Neither collections nor ids have a zero byte in them: so what is bound can't run on into what is signed.
  return createHmac('sha256', key).update(`${bound}\0`).update(bytes).digest()
}
