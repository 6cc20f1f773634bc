/** The shape of what is kept in MongoDB, and the orders in which it is found. */

import { hash } from 'node:crypto'
import { InvalidCursor, RecordCorrupt } from '../../errors.ts'
import type { Cursor, Listing, Slice } from '../../store/contract.ts'
import { isId, type Instant, type Key, keyText, type Label, type StoredRecord } from '../../store/record.ts'

/** A document, a filter, a command. */
export type Fields = Readonly<Record<string, unknown>>

/** The latest time that a JavaScript date can hold: later instants are purged then, in the year 275760. */
const latestDate = 8.64e15

/** How many parts of four hexadecimal digits a digest has: a slice is a range of them. */
const slots = 2 ** 16

/** The names and orders of one namespace. */
export class Layout {
  /** The collection that holds the namespace. A namespace has no underscore, so none can be taken for another. */
  readonly collection: string
  /** Milliseconds from a record's expiry to the server's own. */
  readonly #wait: number

  /** @param margin Milliseconds that the expired are kept before they are swept. */
  constructor(namespace: string, margin: number) {
    this.collection = `holdfast_${namespace}`
    this.#wait = 2 * margin
  }

  /** What {@link indexes} are about, as fields of a document. */
  expiry(expiresAt: Instant): Fields {
    return { expiresAt, purgeAt: new Date(Math.min(expiresAt + this.#wait, latestDate)) }
  }

  documentOf({ key, version, labels, value, expiresAt, touchedAt }: StoredRecord): Fields {
    return {
      _id: keyText(key),
      slot: slotOf(key),
      version,
      labels: labelsOf(key.collection, labels),
      // Copied: the caller may change its bytes while this waits for a connection.
      value: Buffer.from(value),
      touchedAt,
      ...this.expiry(expiresAt),
    }
  }
}

/** An index, by its name. */
export type Index = '_id_' | 'labels' | 'expiry' | 'slot'

/** The indexes of a collection besides that of its ids; without the purging one, which not every server has. */
export const indexes: readonly Fields[] = [
  { name: 'labels', key: { labels: 1, _id: 1 } },
  { name: 'expiry', key: { expiresAt: 1 } },
  { name: 'slot', key: { slot: 1 } },
]

/** The server's own expiry: it removes what `purgeAt` has passed of. */
export const purging: Fields = { name: 'purge', key: { purgeAt: 1 }, expireAfterSeconds: 0 }

/** Labels with their collection in front, so that one index serves all collections. */
export function labelsOf(collection: string, labels: readonly Label[]): readonly string[] {
  return labels.map((label) => `${collection}/${label}`)
}

/** Where a key lies among all of a namespace, in an order of its own: drawn from a digest, so slices are even. */
function slotOf(key: Key): string {
  const text = keyText(key)
  return `${hash('sha256', text, 'hex').slice(0, 4)}/${text}`
}

/** The fields of a document that {@link recordOf} needs. */
export function projection(values: boolean): Fields {
  const head = { version: 1, labels: 1, expiresAt: 1, touchedAt: 1 }
  return values ? { ...head, value: 1 } : head
}

/**
 * The record of a document.
 *
 * @throws {RecordCorrupt} when a field is missing or of another type: a missing expiry is not "for ever".
 */
export function recordOf(document: Fields, values = true): StoredRecord {
  const { _id, version, labels, value, expiresAt, touchedAt } = document
  const key = keyOf(_id)
  const bytes = values ? bytesOf(value) : new Uint8Array()
  const own = key && Array.isArray(labels) ? ownLabels(key.collection, labels) : undefined
  if (
    !key ||
    !own ||
    !bytes ||
    typeof version !== 'string' ||
    !isInstant(expiresAt) ||
    !isInstant(touchedAt)
  ) {
    throw new RecordCorrupt(`${String(_id)} is not a record that this library wrote`)
  }
  return { key, version, labels: own, value: bytes, expiresAt, touchedAt }
}

/** Like {@link recordOf}, for pages: what is corrupt is no record, and must not hide the others. */
export function recordIfWhole(document: Fields, values: boolean): StoredRecord | undefined {
  try {
    return recordOf(document, values)
  } catch (error) {
    if (error instanceof RecordCorrupt) return undefined
    throw error
  }
}

/** The key of a document's `_id`; `undefined` for what no writer of ours made. */
export function keyOf(_id: unknown): Key | undefined {
  if (typeof _id !== 'string') return undefined
  const slash = _id.indexOf('/')
  if (slash < 1) return undefined
  return { collection: _id.slice(0, slash), id: _id.slice(slash + 1) }
}

function ownLabels(collection: string, labels: readonly unknown[]): readonly Label[] | undefined {
  const prefix = `${collection}/`
  const own = labels.filter((each): each is string => typeof each === 'string' && each.startsWith(prefix))
  return own.length === labels.length ? own.map((each) => each.slice(prefix.length)) : undefined
}

/** Bytes as the client hands them out: plainly, or in its class for them. Copied, so that no buffer of it is kept. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  const { buffer, position } = (value ?? {}) as { readonly buffer?: unknown; readonly position?: unknown }
  if (!(buffer instanceof Uint8Array)) return undefined
  return new Uint8Array(buffer.subarray(0, typeof position === 'number' ? position : buffer.length))
}

function isInstant(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

// ── orders and cursors ────────────────────────────────────────────────────────────────────────────────────────

/** The `_id`s of a page's collection beyond its cursor. The byte after the slash is `0`. */
export function idsOf({ collection, after, reverse }: Listing): Fields {
  if (after !== undefined && !isId(after)) throw invalid(after)
  const from = reverse || after === undefined ? `${collection}/` : `${collection}/${after}`
  const to = reverse && after !== undefined ? `${collection}/${after}` : `${collection}0`
  return { $gt: from, $lt: to }
}

/** The slots of a slice beyond its cursor. */
export function slotsOf({ index, of, after }: Slice): Fields {
  if (after !== undefined && !/^[0-9a-f]{4}\/[a-z][a-z0-9-]*\/[A-Za-z0-9_~-]+$/.test(after))
    throw invalid(after)
  const end = Math.ceil(((index + 1) * slots) / of)
  return { $gt: after ?? hex(Math.ceil((index * slots) / of)), $lt: end === slots ? 'g' : hex(end) }
}

function hex(slot: number): string {
  return slot.toString(16).padStart(4, '0')
}

export function invalid(cursor: Cursor): InvalidCursor {
  return new InvalidCursor(`${JSON.stringify(cursor.slice(0, 40))} is not a cursor of a page of this store`)
}
