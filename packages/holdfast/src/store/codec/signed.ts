/**
 * JSON that is compressed and signed: whoever may write to the store but has no key can read what is there, and can't
 * change it, nor put it under another record.
 */

import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { KeyRing } from '../../credentials/key-ring.ts'
import { InvalidOption, RecordCorrupt, ValueTooLarge } from '../../errors.ts'
import { type Codec, parse, signedMark, stringify } from '../codec.ts'
import { type Key, keyText } from '../record.ts'

/** Settings of a signed codec. */
export interface SignedOptions {
  /** Salts the signature: what was signed for another purpose does not decode. @default 'records' */
  readonly purpose?: string
  /**
   * Also reads values that were stored before signing was switched on. While it is on, someone who can write to the
   * store but has no key can put plain values there. @default false
   */
  readonly acceptPlain?: boolean
  /** The longest JSON in bytes, before compression. @default 1 MiB */
  readonly longest?: number
}

/** How the body is written: its first byte. */
const plain = 0
const deflated = 1

/**
 * JSON, compressed where that is shorter, and signed by HMAC-SHA-256; bound to collection and id: a value that was
 * moved to another record does not decode. Signed is not secret: use `sealedCodec` where who may read the store must
 * not read the values.
 *
 * @param ring The first key signs, all of them verify.
 * @throws {InvalidOption}
 */
export function signedCodec(
  ring: KeyRing,
  { purpose = 'records', acceptPlain = false, longest = 1_048_576 }: SignedOptions = {},
): Codec {
  if (purpose === '') throw new InvalidOption('the purpose of a signed codec must not be empty')
  if (!(Number.isSafeInteger(longest) && longest > 0)) {
    throw new InvalidOption(`longest is a whole number of bytes, not ${String(longest)}`)
  }
  const signer = ring.signer(purpose)
  return {
    encode(key, value) {
      const signed = signer.sign(packed(key, stringify(key, value), longest), keyText(key))
      return Buffer.concat([Buffer.of(signedMark), signed])
    },
    decode(key, bytes) {
      if (bytes[0] === signedMark) {
        return parse(key, unpacked(key, signer.verified(bytes.subarray(1), keyText(key)), longest))
      }
      if (acceptPlain) return parse(key, bytes)
      throw new RecordCorrupt(`${keyText(key)} is not signed, and only signed values are accepted`)
    },
  }
}

/** @throws {ValueTooLarge} when it could not be read again. */
function packed(key: Key, text: string, longest: number): Buffer {
  const json = Buffer.from(text)
  if (json.length > longest) {
    throw new ValueTooLarge(
      `the value of ${keyText(key)} has ${String(json.length)} bytes; at most ${String(longest)} are allowed`,
    )
  }
  const shorter = deflateRawSync(json)
  return shorter.length < json.length
    ? Buffer.concat([Buffer.of(deflated), shorter])
    : Buffer.concat([Buffer.of(plain), json])
}

/** @throws {RecordCorrupt} */
function unpacked(key: Key, body: Buffer, longest: number): Buffer {
  const bytes = body.subarray(1)
  if (body[0] === plain) return bytes
  if (body[0] !== deflated)
    throw new RecordCorrupt(`${keyText(key)} is written in a way that is not known here`)
  try {
    // A few bytes can stand for gigabytes.
    return inflateRawSync(bytes, { maxOutputLength: longest })
  } catch (cause) {
    throw new RecordCorrupt(
      `${keyText(key)} cannot be decompressed, or holds more than ${String(longest)} bytes`,
      {
        cause: (cause as Error).name,
      },
    )
  }
}
