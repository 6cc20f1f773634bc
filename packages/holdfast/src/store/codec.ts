/**
 * How values become bytes: JSON, and JSON sealed under a key ring. `codec/signed.ts` has JSON that is signed.
 *
 * JSON only: a format that can name types of its own lets whoever writes the store run code. What is read is made
 * safe from prototype pollution. What cannot be decoded is `RecordCorrupt`, which the rules treat as absent; a key
 * that the ring does not have is `KeyUnknown`, a misconfiguration that must be seen and must log nobody out.
 */

import type { KeyRing } from '../credentials/key-ring.ts'
import { HoldfastError, InvalidValue, KeyUnknown, RecordCorrupt } from '../errors.ts'
import { type Key, keyText } from './record.ts'

/** What JSON can say. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined }

/** Turns values into bytes and back. The key is given so that bytes can be bound to it. */
export interface Codec {
  /** @throws {InvalidValue} when the value is not JSON. */
  encode(key: Key, value: unknown): Uint8Array
  /** @throws {RecordCorrupt} when the bytes are not what `encode` made for this key. @throws {KeyUnknown} */
  decode(key: Key, bytes: Uint8Array): unknown
}

/** The first byte of a sealed value. No JSON text begins with it. */
const sealedMark = 0x01

/** The first byte of a signed value. */
export const signedMark = 0x02

/** Texts through which parsed JSON may reach a prototype, plain or written with escapes that our writer never makes. */
const suspicious = /proto|\\u00[4-7]/

const strictly = new TextDecoder('utf-8', { fatal: true })

/** Plain JSON in UTF-8. */
export const jsonCodec: Codec = {
  encode(key, value) {
    return Buffer.from(stringify(key, value))
  },
  decode(key, bytes) {
    if (bytes[0] === sealedMark) {
      throw new KeyUnknown(
        `${keyText(key)} is sealed and this store has no key ring: open it with the ring that it was written under`,
      )
    }
    if (bytes[0] === signedMark) {
      throw new KeyUnknown(
        `${keyText(key)} is signed and this store has no key ring: open it with the codec that it was written with`,
      )
    }
    return parse(key, bytes)
  },
}

/** Settings of a sealed codec. */
export interface SealedOptions {
  /**
   * Also reads values that were stored before sealing was switched on. While it is on, someone who can write to the
   * store but has no key can put plain values there. @default false
   */
  readonly acceptPlain?: boolean
}

/**
 * JSON sealed with AES-256-GCM, bound to collection and id: a value moved to another record does not open.
 *
 * @param ring The first key seals, all of them open.
 */
export function sealedCodec(ring: KeyRing, { acceptPlain = false }: SealedOptions = {}): Codec {
  return {
    encode(key, value) {
      const sealed = ring.seal(Buffer.from(stringify(key, value)), keyText(key))
      return Buffer.concat([Buffer.of(sealedMark), sealed])
    },
    decode(key, bytes) {
      if (bytes[0] === sealedMark) return parse(key, ring.open(bytes.subarray(1), keyText(key)))
      if (acceptPlain) return parse(key, bytes)
      throw new RecordCorrupt(`${keyText(key)} is not sealed, and only sealed values are accepted`)
    },
  }
}

/** A value as JSON. @throws {InvalidValue} @internal */
export function stringify(key: Key, value: unknown): string {
  let text: string | undefined
  try {
    text = textOf(value)
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause
    throw new InvalidValue(`the value of ${keyText(key)} is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (text === undefined) throw new InvalidValue(`the value of ${keyText(key)} is ${typeof value}, not JSON`)
  // What reading would leave out is refused, not lost.
  if (suspicious.test(text)) JSON.parse(text, (name, each: unknown) => refusePrototype(key, name, each))
  return text
}

function refusePrototype(key: Key, name: string, value: unknown): unknown {
  if (!reachesPrototype(name, value)) return value
  throw new InvalidValue(
    `the value of ${keyText(key)} has a key ${JSON.stringify(name)}, which could reach a prototype`,
  )
}

/** The types of TypeScript leave out that there may be none. */
function textOf(value: unknown): string | undefined {
  return JSON.stringify(value)
}

/** The value of JSON in UTF-8, without what could reach a prototype. @throws {RecordCorrupt} @internal */
export function parse(key: Key, bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  try {
    // What is not UTF-8 became replacement characters: it must not pass for what somebody wrote.
    if (text.includes('\uFFFD')) strictly.decode(bytes)
    return suspicious.test(text) ? JSON.parse(text, withoutPrototypes) : JSON.parse(text)
  } catch (cause) {
    // The text itself stays out of the message: it is somebody's data.
    throw new RecordCorrupt(`${keyText(key)} does not hold JSON in UTF-8`, { cause: (cause as Error).name })
  }
}

function withoutPrototypes(name: string, value: unknown): unknown {
  return reachesPrototype(name, value) ? undefined : value
}

function reachesPrototype(name: string, value: unknown): boolean {
  return name === '__proto__' || (name === 'constructor' && isObjectWithPrototype(value))
}

function isObjectWithPrototype(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype')
}
