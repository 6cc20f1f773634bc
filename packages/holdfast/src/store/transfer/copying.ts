/** Copying: the records of the source are created in the target, page by page, several slices at once. */

import { InvalidCursor, StoreUnavailable, TransferConflict } from '../../errors.ts'
import type { Page } from '../contract.ts'
import { keyText, type StoredRecord } from '../record.ts'
import type { Draft, Store } from '../store.ts'
import { isJournal, type Journal, type Place } from './journal.ts'
import { isSame, isSameContent } from './tally.ts'

/** What to do where the target has a record of the same key with other content. */
export type OnConflict = 'fail' | 'overwrite'

/** What became of the records of this run. */
export interface Moved {
  /** Created in the target. */
  created: number
  /** Were there already, the same. */
  present: number
  /** Were there with other content, and now are the source's. */
  overwritten: number
  /** Had expired so long ago that any sweep would remove them, and were left behind. */
  left: number
}

/** How to copy. */
export interface CopySettings {
  readonly from: Store
  readonly to: Store
  readonly conflicts: OnConflict
  /** Slices under way at once. */
  readonly concurrency: number
  /** Records per page. */
  readonly page: number
  /** What expired at or before this is left behind. */
  readonly before: number
  readonly signal: AbortSignal | undefined
  readonly onPage: () => void
}

export class Copying {
  readonly moved: Moved = { created: 0, present: 0, overwritten: 0, left: 0 }
  readonly #settings: CopySettings
  readonly #journal: Journal
  #failed = false

  constructor(settings: CopySettings, journal: Journal) {
    this.#settings = settings
    this.#journal = journal
  }

  /** Copies what is not copied yet. When it fails, what was reached is written down first. */
  async run(): Promise<void> {
    const lanes = Array.from({ length: this.#settings.concurrency }, () => this.#lane())
    const ended = await Promise.allSettled(lanes)
    const failed = ended.find((each) => each.status === 'rejected')
    if (!failed) return
    // The cause matters, not whether this worked too: the journal is at most a second behind.
    await this.#journal.save().catch(() => undefined)
    throw failed.reason
  }

  async #lane(): Promise<void> {
    try {
      while (!this.#failed) {
        const slice = this.#journal.take()
        if (!slice) return
        await this.#slice(slice.index, slice.place)
      }
    } catch (error) {
      this.#failed = true
      throw error
    }
  }

  async #slice(index: number, start: Place): Promise<void> {
    let place: Place | undefined = start
    do {
      this.#settings.signal?.throwIfAborted()
      if (this.#failed) return
      const page = await this.#scan(index, place)
      await this.#copy(page.records)
      const seen: number = page.restarted ? page.records.length : place.seen + page.records.length
      place = page.next === undefined ? undefined : { after: page.next, seen }
      await this.#journal.advance(index, place ?? { seen })
      this.#settings.onPage()
    } while (place)
  }

  async #scan(index: number, { after }: Place): Promise<Page & { readonly restarted?: boolean }> {
    const { from, page, signal } = this.#settings
    const slice = { index, of: this.#journal.slices, limit: page, expired: true }
    const options = signal ? { signal } : {}
    if (after === undefined) return await from.scan(slice, options)
    try {
      return await from.scan({ ...slice, after }, options)
    } catch (error) {
      // A cursor of an earlier run that the source no longer understands: its slice is begun anew.
      if (!(error instanceof InvalidCursor)) throw error
      return { ...(await from.scan(slice, options)), restarted: true }
    }
  }

  async #copy(records: readonly StoredRecord[]): Promise<void> {
    const wanted = records.filter((record) => !isJournal(record))
    const due = wanted.filter(({ expiresAt }) => expiresAt > this.#settings.before)
    this.moved.left += wanted.length - due.length
    if (due.length === 0) return
    // Asked first, because what has expired in the target would be no obstacle to creating, and may be a tombstone.
    const found = await this.#settings.to.readMany(
      due.map(({ key }) => key),
      { strict: true, expired: true },
    )
    const missing = due.filter((_, i) => found[i] === undefined)
    await this.#create(missing)
    for (const [i, record] of due.entries()) if (found[i]) await this.#meet(record, found[i])
  }

  async #create(records: readonly StoredRecord[]): Promise<void> {
    const { to } = this.#settings
    const { atomicBatch, maxBatch } = to.capabilities
    if (!atomicBatch || maxBatch < 2) {
      await allOf(records.map((record) => this.#createOne(record)))
      return
    }
    for (let start = 0; start < records.length; start += maxBatch) {
      const part = records.slice(start, start + maxBatch)
      const written = await to.write(part.map((record) => ({ type: 'create', ...draftOf(record) })))
      if (written.status === 'done') this.moved.created += part.length
      else await allOf(part.map((record) => this.#createOne(record)))
    }
  }

  async #createOne(record: StoredRecord): Promise<void> {
    const { to } = this.#settings
    const written = await to.create(draftOf(record))
    if (written.status === 'done') {
      this.moved.created++
      return
    }
    const found = await to.read(record.key, { strict: true, expired: true })
    if (!found) {
      throw new StoreUnavailable(
        `${keyText(record.key)} comes and goes in the target: let nothing else use it`,
      )
    }
    await this.#meet(record, found)
  }

  /** The target has a record of this key: the same, or in conflict. */
  async #meet(record: StoredRecord, found: StoredRecord): Promise<void> {
    const { conflicts, to } = this.#settings
    const isThere = conflicts === 'overwrite' ? isCovered(record, found) : isSame(record, found)
    if (isThere) {
      this.moved.present++
      return
    }
    if (conflicts === 'fail') throw conflict(record)
    const rewrite = { ...draftOf(record), expected: found.version, setsExpiry: true, expired: true }
    const written = await to.replace(rewrite)
    if (written.status !== 'done') throw conflict(record)
    this.moved.overwritten++
  }
}

/** Whether the target holds what the source does. When it was last used may be later there. */
export function isCovered(record: StoredRecord, found: StoredRecord): boolean {
  return isSameContent(record, found) && found.touchedAt >= record.touchedAt
}

function draftOf({ key, value, labels, expiresAt, touchedAt }: StoredRecord): Required<Draft> {
  return { key, value, labels, expiresAt, touchedAt }
}

/** Waits for all of them, also when one has failed: nothing goes on behind the caller's back. */
async function allOf(all: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(all)
  const failed = ended.find((each) => each.status === 'rejected')
  if (failed) throw failed.reason
}

function conflict({ key }: StoredRecord): TransferConflict {
  return new TransferConflict(
    `the target already holds ${keyText(key)} with other content, which was left as it is: it was changed, here or ` +
      'there, since it was copied, or comes from elsewhere. If nothing but this transfer writes to the target, let ' +
      'it overwrite',
  )
}
