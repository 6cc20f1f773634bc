/**
 * Moving everything from one store to another, of whatever kind.
 *
 * Nothing may write to either store meanwhile: stop the service first. Records keep their keys, values (as bytes:
 * sealed ones stay sealed), labels, expiry and time of last use; tombstones and what has expired but isn't due for
 * sweeping go along. Versions are drawn anew: they are compared by those who hold a record in memory, and nothing
 * that is stored refers to one.
 *
 * A transfer that ended early, also by a kill, goes on where it was when it is run again: its journal is a record of
 * the target (`transfer/journal.ts`). In the end both stores are read again and compared.
 */

import { InvalidOption, NotSupported, TransferMismatch } from '../errors.ts'
import { Copying, type CopySettings, type Moved, type OnConflict } from './transfer/copying.ts'
import { copyName, Journal } from './transfer/journal.ts'
import type { Tally } from './transfer/tally.ts'
import { verify } from './transfer/verifying.ts'
import type { Store } from './store.ts'

export type { OnConflict } from './transfer/copying.ts'
export type { Tally } from './transfer/tally.ts'

/** Settings of a transfer. */
export interface TransferOptions {
  /** What this transfer is called: one of the same name goes on. @default the source's description and namespace */
  readonly name?: string
  /**
   * What to do where the target has a record of the same key with other content. `fail`: leave it, and reject.
   * `overwrite`: make it the source's. Right only where nothing but this transfer ever writes to the target: it would
   * bring back what was revoked there. @default 'fail'
   */
  readonly conflicts?: OnConflict
  /** Begins anew, whatever an earlier run has done. @default false */
  readonly restart?: boolean
  /** Slices under way at once, 1 to 64. @default 4 */
  readonly concurrency?: number
  /** Records per page, 1 to 1,000. @default 100, fewer where values may be long */
  readonly page?: number
  /** Stops between two pages. The same transfer can be run again. */
  readonly signal?: AbortSignal
  /** Told after each page. */
  readonly onProgress?: (progress: TransferProgress) => void
}

/** How far a transfer is. */
export interface TransferProgress {
  readonly phase: 'copying' | 'verifying'
  /** Records dealt with in this phase, by earlier runs too. */
  readonly records: number
  /** How many there seem to be in this phase; missing as long as nothing is known. */
  readonly estimate?: number
}

/** What a transfer did. */
export interface TransferReport extends Moved {
  /** What was read back from the source: how many records, and their digest. */
  readonly from: Tally
  /** The same of the target; missing where that can't scan, and each record was read back by its key instead. */
  readonly to?: Tally
  /** Records that the target has besides; missing where it can't scan. */
  readonly others?: number
  /** Whether it went on with what an earlier run had begun. */
  readonly resumed: boolean
  /** What the target can't do, in sentences. */
  readonly warnings: readonly string[]
}

/** Enough to spread work and to estimate by, and few enough to cost nothing where a store is small. */
const slices = 64
/** The most bytes of values that one page may hold. */
const pageBytes = 8 * 1024 * 1024
/** What is counted for the estimate, besides whatever else there may be. */
const usual = ['sessions', 'tokens', 'offline', 'history', 'names'] as const

/**
 * Copies every record of `from` to `to`, then verifies it. Both may be of any kind and have any namespace.
 *
 * @throws {NotSupported} when the source can't scan, so that nobody knows what it holds.
 * @throws {TransferConflict} when the target has a record of the same key with other content.
 * @throws {TransferMismatch} when what was read back differs; the next run begins anew.
 * @throws {ValueTooLarge} naming the record whose value is longer than the target's `maxValue`.
 * @throws {InvalidOption} when both are the same store.
 */
export async function transfer(
  from: Store,
  to: Store,
  options: TransferOptions = {},
): Promise<TransferReport> {
  const settings = await prepared(from, to, options)
  const name = copyName(options.name ?? `${(await from.open()).description}\n${from.namespace}`)
  const journal = await Journal.open(to, name, slices, options.restart ?? false)
  await journal.refuseSame(from)
  const moved = await copied(settings, journal, options)
  try {
    const verified = await compared(settings, journal, options)
    await journal.remove()
    return { ...moved, ...verified, resumed: journal.resumed, warnings: warningsOf(from, to) }
  } catch (error) {
    // What was copied can't be relied on, so the next run looks at everything again.
    if (error instanceof TransferMismatch) await journal.remove()
    throw error
  }
}

async function prepared(from: Store, to: Store, options: TransferOptions): Promise<CopySettings> {
  const { concurrency = 4, page = Math.min(100, Math.ceil(pageBytes / from.maxValue)) } = options
  checkWhole(concurrency, 'concurrency', 64)
  checkWhole(page, 'page', 1_000)
  const { capabilities, description } = await from.open()
  if (!capabilities.scanning) {
    throw new NotSupported(
      `${description} can't be copied from: it can't list what it holds. Let its records expire, and begin with the ` +
        'new store',
      'scanning',
    )
  }
  await to.open()
  return {
    from,
    to,
    concurrency,
    page,
    conflicts: options.conflicts ?? 'fail',
    before: from.clock.now() - Math.min(from.margin, to.margin),
    signal: options.signal,
    onPage: () => undefined,
  }
}

async function copied(
  settings: CopySettings,
  journal: Journal,
  { onProgress }: TransferOptions,
): Promise<Moved> {
  const counting = new AbortController()
  let counted: number | undefined
  const count = countOf(settings.from, counting.signal).then((found) => {
    counted = found
  })
  const onPage = (): void => {
    const estimate = journal.estimate ?? counted
    const records = journal.seen
    onProgress?.({
      phase: 'copying',
      records,
      ...(estimate === undefined ? {} : { estimate: Math.max(estimate, records) }),
    })
  }
  const copying = new Copying({ ...settings, onPage }, journal)
  try {
    await copying.run()
  } finally {
    counting.abort()
    await count
  }
  return copying.moved
}

/** What is live of the usual collections. An estimate must not make a transfer fail: then there is none. */
async function countOf(store: Store, signal: AbortSignal): Promise<number | undefined> {
  if (!store.capabilities.counting) return undefined
  try {
    let sum = 0
    for (const collection of usual) sum += await store.count(collection, { signal })
    return sum
  } catch {
    return undefined
  }
}

async function compared(settings: CopySettings, journal: Journal, { onProgress }: TransferOptions) {
  const estimate = journal.seen * (settings.to.capabilities.scanning ? 2 : 1)
  let records = 0
  const onPage = (more: number): void => {
    records += more
    onProgress?.({ phase: 'verifying', records, estimate: Math.max(estimate, records) })
  }
  const { from, to, others } = await verify({ ...settings, slices, onPage })
  return { from, ...(to ? { to } : {}), ...(others === undefined ? {} : { others }) }
}

function warningsOf(from: Store, to: Store): readonly string[] {
  const warnings: string[] = []
  if (to.capabilities.listing !== 'complete' && from.capabilities.listing === 'complete') {
    const what = to.capabilities.listing === 'none' ? "can't list" : 'may miss some when it lists'
    warnings.push(
      `the target ${what} what belongs to a user: revoking everything of a user is not possible there`,
    )
  }
  if (from.capabilities.durable.process && !to.capabilities.durable.process) {
    warnings.push('the target does not survive the end of its process, as the source does')
  }
  return warnings
}

function checkWhole(value: number, name: string, most: number): void {
  if (!Number.isSafeInteger(value) || value < 1 || value > most) {
    throw new InvalidOption(`${name} must be a whole number from 1 to ${most}, not ${String(value)}`)
  }
}
