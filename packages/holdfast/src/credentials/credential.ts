/**
 * The credential: what a client carries, `<prefix><id>.<secret><checksum>`.
 *
 * The id is the record's and public: it is the accessor by which a thing is listed and revoked. The secret is 256
 * random bits, of which only a digest is stored. The checksum refuses rubbish without I/O and lets secret scanners
 * find a leak.
 */

import { randomFillSync } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { InvalidOption } from '../errors.ts'

/** A credential in its parts. */
export interface CredentialParts {
  /** The record's id. Public. */
  readonly id: string
  /** 43 base64url characters: 256 random bits. */
  readonly secret: string
}

const idBytes = 16
const secretBytes = 32
const secretLength = 43
const checksumLength = 6
const prefixForm = /^[A-Za-z0-9_]{1,24}$/
const longestId = 120
const idCharacter = 1
const secretCharacter = 2
const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const kindOf = kinds()
const digitOf = digits()

const scratch = Buffer.allocUnsafe(secretBytes)

/**
 * Draws an id: 22 base64url characters, 128 random bits. Never one that begins with a dash: on a command line that
 * would be an option.
 */
export function mintId(): string {
  for (;;) {
    randomFillSync(scratch, 0, idBytes)
    const id = scratch.toString('base64url', 0, idBytes)
    if (!id.startsWith('-')) return id
  }
}

/** Draws a secret: 43 base64url characters, 256 random bits. */
export function mintSecret(): string {
  randomFillSync(scratch)
  return scratch.toString('base64url')
}

/** Puts a credential together. */
export function assemble(prefix: string, { id, secret }: CredentialParts): string {
  const body = `${prefix}${id}.${secret}`
  return body + checksum(body)
}

/**
 * Takes a credential apart, without any I/O.
 *
 * @returns `undefined` for anything that is not one: another prefix, shape, alphabet or checksum. What comes back has
 *   not been looked up: nothing is known yet about whether it exists or whether the secret is right.
 */
export function parse(prefix: string, text: unknown): CredentialParts | undefined {
  if (typeof text !== 'string' || !text.startsWith(prefix)) return undefined
  const dot = text.lastIndexOf('.')
  const checksumStart = dot + 1 + secretLength
  if (text.length !== checksumStart + checksumLength) return undefined
  const idLength = dot - prefix.length
  if (idLength < 1 || idLength > longestId) return undefined
  if (!isIn(text, prefix.length, dot, idCharacter) || !isIn(text, dot + 1, checksumStart, secretCharacter)) {
    return undefined
  }
  if (crc32(text.slice(0, checksumStart)) !== checksumAt(text, checksumStart)) return undefined
  const id = text.slice(prefix.length, dot)
  const secret = text.slice(dot + 1, checksumStart)
  return { id, secret }
}

/** Refuses a prefix that is not `[A-Za-z0-9_]{1,24}`. @throws {InvalidOption} */
export function checkPrefix(prefix: string): void {
  if (!prefixForm.test(prefix)) {
    throw new InvalidOption(`the prefix of a credential is [A-Za-z0-9_]{1,24}, not ${JSON.stringify(prefix)}`)
  }
}

/** CRC-32 in six base62 digits. Not a secret, so it needs no constant time. */
function checksum(body: string): string {
  let rest = crc32(body)
  let digits = ''
  for (let i = 0; i < checksumLength; i++) {
    digits = base62.charAt(rest % 62) + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}

/** The number that six base62 digits stand for; NaN where one isn't a digit. */
function checksumAt(text: string, start: number): number {
  let sum = 0
  for (let i = start; i < start + checksumLength; i++)
    sum = sum * 62 + (digitOf[text.charCodeAt(i)] ?? Number.NaN)
  return sum
}

/** Whether all characters from `start` to before `end` are of a kind. A loop: every request comes through here. */
function isIn(text: string, start: number, end: number, kind: number): boolean {
  for (let i = start; i < end; i++) {
    if (((kindOf[text.charCodeAt(i)] ?? 0) & kind) === 0) return false
  }
  return true
}

/** By the code of an ASCII character: the kinds that it is of. */
function kinds(): Uint8Array {
  const table = new Uint8Array(128)
  for (const each of `${base62}_-`) table[each.charCodeAt(0)] = idCharacter | secretCharacter
  table['~'.charCodeAt(0)] = idCharacter
  return table
}

/** By the code of an ASCII character: the base62 digit that it is, or NaN. */
function digits(): Float64Array {
  const table = new Float64Array(128).fill(Number.NaN)
  for (let digit = 0; digit < base62.length; digit++) table[base62.charCodeAt(digit)] = digit
  return table
}
