/** The kinds of values that a setting can have, and how each is read from a text or from JSON. */

import { HoldfastError, milliseconds } from 'holdfast'

/** Thrown when a setting is unknown or its value cannot be used. The message says where it came from. */
export class ConfigurationInvalid extends HoldfastError {
  readonly code = 'HOLDFAST_CONFIGURATION_INVALID'
}

/** Reads a value as it came from a flag, the environment (texts) or the file (JSON). */
export type Reader<T> = (raw: unknown) => T

/** One setting. */
export interface Setting<T> {
  /** The environment variable. */
  readonly variable: `HOLDFAST_${string}`
  /** As the command line shows it; missing: there is no flag, because a process list is no place for it. */
  readonly flag?: `--${string}`
  /** Also a key of `holdfast.json`. False for secrets. */
  readonly inFile: boolean
  /** What is used where nothing is given, written as one would write it in the file. */
  readonly fallback: string | number | boolean | undefined
  readonly read: Reader<T>
  /** One line of help. */
  readonly says: string
}

/** A text of at least one character. */
export function text(raw: unknown): string {
  if (typeof raw !== 'string' || raw === '') throw new TypeError('must be a text that is not empty')
  return raw
}

/** A whole number, written as one. */
export function wholeNumber(from: number, to: number): Reader<number> {
  return (raw) => {
    const number = typeof raw === 'string' && /^\d{1,15}$/.test(raw) ? Number(raw) : raw
    if (typeof number !== 'number' || !Number.isInteger(number) || number < from || number > to) {
      throw new TypeError(`must be a whole number from ${from} to ${to}`)
    }
    return number
  }
}

const sizeUnits = { B: 1, KiB: 1024, MiB: 1024 * 1024 }

/** A number of bytes: `262144`, `'256KiB'`, `'1MiB'`. */
export function size(from: number, to: number): Reader<number> {
  return (raw) => {
    const [, digits, unit = 'B'] = /^(\d{1,12})(B|KiB|MiB)?$/.exec(String(raw)) ?? []
    const bytes = Number(digits ?? Number.NaN) * sizeUnits[unit as keyof typeof sizeUnits]
    if (!(bytes >= from && bytes <= to)) {
      throw new TypeError(`must be a size such as 262144, '256KiB' or '1MiB', from ${from} to ${to} bytes`)
    }
    return bytes
  }
}

/** A duration with a unit, in milliseconds. */
export function duration(from: number, to: number): Reader<number> {
  return (raw) => {
    const ms = typeof raw === 'string' || typeof raw === 'number' ? readDuration(raw) : undefined
    if (ms === undefined || ms < from || ms > to) {
      throw new TypeError(`must be a duration such as '90s', '30m' or '12h', from ${from} to ${to} ms`)
    }
    return ms
  }
}

/** Yes or no. */
export function yesOrNo(raw: unknown): boolean {
  if (raw === true || raw === 'true' || raw === '1') return true
  if (raw === false || raw === 'false' || raw === '0') return false
  throw new TypeError('must be true or false')
}

/** One of a few words. */
export function oneOf<Word extends string>(...words: readonly Word[]): Reader<Word> {
  return (raw) => {
    const found = words.find((word) => word === raw)
    if (found === undefined) throw new TypeError(`must be one of ${words.join(', ')}`)
    return found
  }
}

/** A credential of an operator's choice: long enough not to be guessed, and fit for an HTTP header. */
export function rootCredential(raw: unknown): string {
  if (typeof raw !== 'string' || !/^[\x21-\x7e]{24,512}$/.test(raw)) {
    throw new TypeError('must have 24 to 512 visible ASCII characters, without spaces')
  }
  return raw
}

function readDuration(raw: string | number): number | undefined {
  try {
    return milliseconds(raw as number)
  } catch {
    return undefined
  }
}
