/** Verifying: both stores are read again from end to end, and compared. */

import { TransferMismatch } from '../../errors.ts'
import { keyText, type StoredRecord } from '../record.ts'
import type { Store } from '../store.ts'
import { type CopySettings, isCovered } from './copying.ts'
import { isJournal } from './journal.ts'
import { Adding, isSame, type Tally } from './tally.ts'

/** How many records that differ a message names. */
const mostNamed = 5

/** What verifying found. */
export interface Verified {
  readonly from: Tally
  /** Of the target; missing where it can't scan. */
  readonly to: Tally | undefined
  /** Records that the target has besides; missing where it can't scan. */
  readonly others: number | undefined
}

/** What verifying needs to know. */
export interface VerifySettings extends Omit<CopySettings, 'onPage'> {
  readonly slices: number
  readonly onPage: (records: number) => void
}

/**
 * Adds up both stores; equal sums mean equal records. Where they differ (the target may hold other records too), or
 * the target can't scan, each record of the source is read back by its key.
 *
 * @throws {TransferMismatch} naming records that differ or are missing.
 */
export async function verify(settings: VerifySettings): Promise<Verified> {
  const { from, to } = settings
  const ours = await added(from, settings)
  const theirs = to.capabilities.scanning ? await added(to, settings) : undefined
  if (!theirs || theirs.digest !== ours.digest || theirs.records !== ours.records) await readBack(settings)
  if (theirs && theirs.records < ours.records) {
    throw new TransferMismatch(
      `every record can be read in the target, but scanning it finds ${theirs.records} instead of ${ours.records}: ` +
        'its index is incomplete. Copy into an empty namespace',
    )
  }
  return { from: ours, to: theirs, others: theirs && theirs.records - ours.records }
}

async function added(store: Store, settings: VerifySettings): Promise<Tally> {
  const adding = new Adding()
  await eachPage(store, settings, async (records) => {
    for (const record of records) adding.add(record)
  })
  return adding.total
}

/** Reads every record of the source back from the target, by its key. */
async function readBack(settings: VerifySettings): Promise<void> {
  const { from, to, conflicts } = settings
  const named: string[] = []
  let differing = 0
  await eachPage(from, settings, async (records) => {
    const found = await to.readMany(
      records.map(({ key }) => key),
      { strict: true, expired: true },
    )
    for (const [i, record] of records.entries()) {
      const there = found[i]
      if (there && (conflicts === 'overwrite' ? isCovered(record, there) : isSame(record, there))) continue
      differing++
      if (named.length < mostNamed) {
        named.push(`${keyText(record.key)} ${there ? 'differs' : 'is missing'}`)
      }
    }
  })
  if (differing === 0) return
  throw new TransferMismatch(
    `${differing} records are not in the target as they are in the source: ${named.join(', ')}` +
      `${differing > named.length ? ', …' : ''}. Stop whatever writes to either, then transfer again`,
  )
}

/** Hands over all records of a store that a transfer moves, a page at a time, several slices at once. */
async function eachPage(
  store: Store,
  { slices, concurrency, page: limit, before, signal, onPage }: VerifySettings,
  use: (records: readonly StoredRecord[]) => Promise<void>,
): Promise<void> {
  let index = 0
  const options = signal ? { signal } : {}
  const lane = async (): Promise<void> => {
    while (index < slices) {
      const slice = { index: index++, of: slices, limit, expired: true }
      let after: string | undefined
      do {
        signal?.throwIfAborted()
        const page = await store.scan({ ...slice, ...(after === undefined ? {} : { after }) }, options)
        const due = page.records.filter((each) => !isJournal(each) && each.expiresAt > before)
        if (due.length > 0) await use(due)
        onPage(page.records.length)
        after = page.next
      } while (after !== undefined)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
}
