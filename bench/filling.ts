/** What the stores are filled with: the same records on both sides, and as fast as the store's own calls go. */

import { createHash } from 'node:crypto'
import type { Draft, Key, Store } from 'holdfast'

export const collection = 'tokens'
export const hour = 3_600_000
/** Bytes of a value: what a session or a token has. */
export const valueBytes = 320

/** Records, numbered from 0. */
export interface Shape {
  readonly count: number
  /** How many records in a row belong to one owner. */
  readonly perOwner: number
}

/** The id of a record: as spread over an index as those of real ones. */
export function idOf(i: number): string {
  return createHash('md5').update(String(i)).digest('base64url')
}

export function keyOf(i: number): Key {
  return { collection, id: idOf(i) }
}

export function ownerOf(i: number, { perOwner }: Pick<Shape, 'perOwner'>): string {
  return `u${Math.floor(i / perOwner)}`
}

/** A value that differs from record to record and from write to write. */
export function valueOf(i: number, turn = 0): Buffer {
  return Buffer.alloc(valueBytes, `{"record":${i},"turn":${turn},"data":"${i * 7_919}"}`)
}

/** How a record is made. */
export type DraftOf = (i: number) => Draft

export function draftsOf(shape: Pick<Shape, 'perOwner'>, lifetime = 24 * hour): DraftOf {
  const expiresAt = Date.now() + lifetime
  return (i) => ({
    key: keyOf(i),
    value: valueOf(i),
    labels: [`user:${ownerOf(i, shape)}`],
    expiresAt,
  })
}

/** How many records are created in one batch, and how many creations are in flight where there are no batches. */
const perBatch = 250
const creating = 256

/** Told how many records were added, as it goes. */
export type OnFilled = (count: number) => void

/** Creates the records from `start` up to `end` by the store's own calls, in batches where it has them. */
export async function fill(
  store: Store,
  start: number,
  end: number,
  draftOf: DraftOf,
  onFilled?: OnFilled,
): Promise<void> {
  const { atomicBatch, maxBatch } = store.capabilities
  const size = atomicBatch ? Math.min(perBatch, maxBatch) : 1
  await inParts(start, end, size, atomicBatch ? 4 : creating, async (first, next) => {
    const drafts = draftsFrom(first, next, draftOf)
    const { status } = atomicBatch
      ? await store.write(drafts.map((draft) => ({ type: 'create', ...draft })))
      : await store.create(drafts[0]!)
    if (status !== 'done') throw new Error(`filling ended with ${status}`)
    onFilled?.(next - first)
  })
}

export function draftsFrom(start: number, end: number, draftOf: DraftOf): readonly Draft[] {
  return Array.from({ length: end - start }, (_, i) => draftOf(start + i))
}

/** Does what is between two numbers in parts, so many of them at once. */
export async function inParts(
  start: number,
  end: number,
  size: number,
  lanes: number,
  work: (start: number, end: number) => Promise<void>,
): Promise<void> {
  let next = start
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (next < end) {
        const first = next
        next = Math.min(end, first + size)
        await work(first, next)
      }
    }),
  )
}

/** The numbers below `count` in an order that jumps about. */
export function shuffled(i: number, count: number): number {
  return (i * 7_919) % count
}

/** As {@link shuffled}, but that no two of so many lanes ever meet at one number, as they do where one is slow. */
export function apart(i: number, count: number, lanes: number): number {
  const perLane = Math.floor(count / lanes)
  return (i % lanes) + lanes * shuffled(Math.floor(i / lanes), perLane)
}
