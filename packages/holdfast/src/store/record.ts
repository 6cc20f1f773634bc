/**
 * The record: everything that Holdfast keeps is one.
 *
 * This file fixes its fields, their alphabets and their limits, and refuses what is outside them. Nothing is ever
 * normalised: two different keys or labels stay different in every store.
 */

import { InvalidExpiry, InvalidKey, InvalidLabel, ValueTooLarge } from '../errors.ts'

/** An absolute time in whole milliseconds since 1970 UTC, or {@link never}. */
export type Instant = number

/**
 * The expiry of what never expires: the largest safe integer, so that comparisons, ranges and maxima need no
 * special case. A missing expiry is corrupt, never "for ever".
 */
export const never: Instant = Number.MAX_SAFE_INTEGER

/** Where a record lives, inside the store's namespace. */
export interface Key {
  /** The kind of record: `[a-z][a-z0-9-]{0,31}`. The list of collections is open. */
  readonly collection: string
  /** The public id: `[A-Za-z0-9_~-]{1,120}`, compared as bytes. Never a secret. */
  readonly id: string
}

/**
 * A stamp drawn by the writer for each write, `<n>.<random>`, never repeated for a key. Equality is
 * compare-and-swap; `n` (milliseconds, always rising) orders the writes of one record.
 */
export type Version = string

/**
 * What a record can be listed by: `name:value`. The name is `[a-z][a-z0-9-]{0,31}`, the value 1 to 200 bytes of
 * any Unicode but U+0000. Compared as UTF-8 bytes.
 */
export type Label = string

/** A record as it is stored. */
export interface StoredRecord {
  readonly key: Key
  readonly version: Version
  /** In byte order, each once, at most {@link maxLabels}. */
  readonly labels: readonly Label[]
  /** The codec's bytes. Opaque to drivers. Empty in the answer of a listing without values. */
  readonly value: Uint8Array
  /** Live iff `now < expiresAt`. */
  readonly expiresAt: Instant
  /** When it was last used, milliseconds since 1970 UTC. */
  readonly touchedAt: number
}

/** The most labels that a record may have. */
export const maxLabels = 16
/** The longest value of a label, in bytes of UTF-8. */
export const maxLabelBytes = 200
/** The longest value that any store may be configured for: 512 KiB, so that every kind of server can hold it. */
export const maxValueBytes = 512 * 1024
/** The longest value unless configured: 64 KiB. */
export const defaultValueBytes = 64 * 1024

const collectionName = /^[a-z][a-z0-9-]{0,31}$/
const recordId = /^[A-Za-z0-9_~-]{1,120}$/
const labelName = /^[a-z][a-z0-9-]{0,31}$/

/** Refuses a key outside its alphabet. @throws {InvalidKey} */
export function checkKey(key: Key): void {
  if (!isText(key.collection, collectionName)) {
    throw new InvalidKey(`a collection is [a-z][a-z0-9-]{0,31}, not ${shown(key.collection)}`)
  }
  if (!isText(key.id, recordId)) {
    throw new InvalidKey(`an id is [A-Za-z0-9_~-]{1,120}, not ${shown(key.id)}`)
  }
}

/** Refuses a namespace that is not `[a-z][a-z0-9-]{0,31}`. @throws {InvalidKey} */
export function checkNamespace(namespace: string): void {
  if (!isText(namespace, collectionName)) {
    throw new InvalidKey(`a namespace is [a-z][a-z0-9-]{0,31}, not ${shown(namespace)}`)
  }
}

/** Whether a text could be the id of a record. */
export function isId(text: string): boolean {
  return isText(text, recordId)
}

/** Makes a label of a name and a value. @throws {InvalidLabel} */
export function label(name: string, value: string): Label {
  const made = `${name}:${value}`
  checkLabel(made)
  return made
}

/** Refuses a malformed label. @throws {InvalidLabel} */
export function checkLabel(text: Label): void {
  const colon = typeof text === 'string' ? text.indexOf(':') : -1
  if (colon < 1 || !labelName.test(text.slice(0, colon))) {
    throw new InvalidLabel(`a label is name:value with a name of [a-z][a-z0-9-]{0,31}, not ${shown(text)}`)
  }
  const value = text.slice(colon + 1)
  if (value.length === 0 || value.includes('\0') || !value.isWellFormed()) {
    throw new InvalidLabel(
      `the value of label ${shown(text)} is empty or not well-formed Unicode without U+0000`,
    )
  }
  // A UTF-16 unit takes at most three bytes, so most labels are settled without counting.
  if (value.length * 3 > maxLabelBytes && Buffer.byteLength(value) > maxLabelBytes) {
    throw new InvalidLabel(`the value of label ${shown(text)} is longer than ${maxLabelBytes} bytes`)
  }
}

/** Checks labels and gives them in byte order, each once. @throws {InvalidLabel} */
export function orderedLabels(labels: readonly Label[]): readonly Label[] {
  for (const each of labels) checkLabel(each)
  if (labels.length < 2) return [...labels]
  const ordered = [...new Set(labels)].sort(compareBytes)
  if (ordered.length > maxLabels) {
    throw new InvalidLabel(`a record has at most ${maxLabels} labels, not ${ordered.length}`)
  }
  return ordered
}

/** Orders texts as their UTF-8 bytes. JavaScript's `<` orders UTF-16 units, which differs beyond U+FFFF. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    // A surrogate stands for a code point above every other unit, whatever its own number is.
    const xs = x >= 0xd800 && x <= 0xdfff
    const ys = y >= 0xd800 && y <= 0xdfff
    return xs === ys ? x - y : xs ? 1 : -1
  }
  return a.length - b.length
}

/** Whether all of `wanted` are among `labels`. */
export function carries(labels: readonly Label[], wanted: readonly Label[]): boolean {
  return wanted.every((each) => labels.includes(each))
}

/** Refuses a value over the limit. @throws {ValueTooLarge} */
export function checkValue(key: Key, value: Uint8Array, limit: number): void {
  if (value.byteLength > limit) {
    throw new ValueTooLarge(
      `the value of ${key.collection}/${key.id} has ${value.byteLength} bytes; the limit is ${limit}`,
    )
  }
}

/** Refuses an expiry that is not a whole, positive number of milliseconds. @throws {InvalidExpiry} */
export function checkInstant(instant: Instant, name: string): void {
  if (!Number.isSafeInteger(instant) || instant < 0) {
    throw new InvalidExpiry(
      `${name} must be whole milliseconds since 1970 or \`never\`, not ${shown(instant)}`,
    )
  }
}

/** Whether the record is live. The one rule of expiry in the whole project: `now < expiresAt`. */
export function isLive(record: { readonly expiresAt: Instant }, now: number): boolean {
  return now < record.expiresAt
}

/** A key as one text, for maps and messages. Unambiguous: neither part contains a slash. */
export function keyText(key: Key): string {
  return `${key.collection}/${key.id}`
}

/** A regular expression alone takes `undefined` for the text `'undefined'`. */
function isText(text: unknown, form: RegExp): boolean {
  return typeof text === 'string' && form.test(text)
}

function shown(value: unknown): string {
  const text = (JSON.stringify(value) as string | undefined) ?? typeof value
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
