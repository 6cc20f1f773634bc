/**
 * The entries of a shared cache, compared with the truth.
 *
 * Who changes a record tells the truth first and then the cache. So what differs is looked at again after a moment, in
 * which he has done so or has given up: only an entry that is still the same, and still isn't what the truth has, is told.
 */

import { DeadlineExceeded, OutcomeUnknown, RecordCorrupt, StoreUnavailable } from '../../errors.ts'
import type { Awaitable } from '../contract.ts'
import { isLive, type Key, keyText, type StoredRecord } from '../record.ts'
import type { Store } from '../store.ts'
import { recordOf } from '../tiers/entry.ts'
import { keyOfPlace, type SharedTier } from '../tiers/shared-tier.ts'
import { isSameContent } from '../transfer/tally.ts'
import type { FindingKind } from './findings.ts'
import type { AuditedCache, AuditSettings } from './settings.ts'

/** Milliseconds that a writer has to tell the cache. More than the usual patience with it. */
const settling = 250
/** Milliseconds for which a cache is asked again. Its own deadline is that of readings, which don't wait for one. */
const patience = 2_000

/** An entry, and the record that it is of. */
interface Entry {
  readonly key: Key
  readonly stored: StoredRecord
}

/** An entry that isn't as it should be. */
interface Suspect extends Entry {
  readonly kind: Extract<FindingKind, `${string}-entry`>
  readonly message: string
}

/** Goes through all entries of a cache. @throws {StoreUnavailable} when it can't be reached. */
export async function auditCache(tier: SharedTier, settings: AuditSettings): Promise<AuditedCache> {
  const { cache } = tier
  const { description, capabilities, skew = 0 } = await patiently(cache, () => cache.open())
  if (!capabilities.scanning) {
    settings.warnings.push(
      `${description} can’t be scanned, so what it holds as a cache was not audited; its entries end by themselves`,
    )
    return { cache: description, audited: false, entries: 0 }
  }
  const audit = new EntryAudit(tier, skew, settings)
  let entries = 0
  let after: string | undefined
  do {
    settings.signal?.throwIfAborted()
    const from = after === undefined ? {} : { after }
    const page = await patiently(cache, () => cache.scan({ index: 0, of: 1, limit: settings.page, ...from }))
    entries += await audit.look(page.records)
    settings.onProgress({ phase: 'entries', done: entries })
    after = page.next
  } while (after !== undefined)
  return { cache: description, audited: true, entries }
}

async function patiently<T>(cache: Store, ask: () => Awaitable<T>): Promise<T> {
  const end = cache.clock.elapsed() + patience
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!mayPass(error) || cache.clock.elapsed() >= end) throw error
      await cache.clock.sleep(settling)
    }
  }
}

/** Whether the same may be answered in a moment. */
function mayPass(error: unknown): boolean {
  return (
    error instanceof StoreUnavailable || error instanceof DeadlineExceeded || error instanceof OutcomeUnknown
  )
}

class EntryAudit {
  readonly #tier: SharedTier
  /** The clock of the cache's server minus ours. */
  readonly #skew: number
  readonly #settings: AuditSettings

  constructor(tier: SharedTier, skew: number, settings: AuditSettings) {
    this.#tier = tier
    this.#skew = skew
    this.#settings = settings
  }

  /** Looks at a page, and answers with how many entries it had. */
  async look(page: readonly StoredRecord[]): Promise<number> {
    const entries = page.flatMap((stored) => {
      const key = keyOfPlace(stored.key)
      return key ? [{ key, stored }] : []
    })
    const suspects = await this.#suspects(entries)
    if (suspects.length > 0) {
      await this.#tier.clock.sleep(settling)
      for (const suspect of await this.#suspects(await this.#unchanged(suspects))) await this.#found(suspect)
    }
    return entries.length
  }

  async #suspects(entries: readonly Entry[]): Promise<readonly Suspect[]> {
    const keys = entries.map(({ key }) => key)
    const records = await readAll(this.#tier.truth, keys)
    const now = this.#tier.clock.now()
    return entries.flatMap((entry, i) => {
      const wrong = this.#wrong(entry, records[i], now)
      return wrong ? [{ ...entry, ...wrong }] : []
    })
  }

  /** Those that are there as they were. */
  async #unchanged(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const places = entries.map(({ stored }) => stored.key)
    const { cache } = this.#tier
    const found = await patiently(cache, () => readAll(cache, places))
    return entries.filter(({ stored }, i) => found[i]?.version === stored.version)
  }

  #wrong(
    { key, stored }: Entry,
    record: StoredRecord | undefined,
    now: number,
  ): Pick<Suspect, 'kind' | 'message'> | undefined {
    // Somebody's placeholder.
    if (stored.value.byteLength === 0) return undefined
    const held = recordOf(key, stored.value, Number.NEGATIVE_INFINITY)
    if (!held) return { kind: 'malformed-entry', message: 'is not whole' }
    const isUsedAt = (time: number): boolean => recordOf(key, stored.value, time + this.#skew) !== undefined
    if (!isUsedAt(now) || !isLive(held, now)) return undefined
    if (!record) return { kind: 'orphan-entry', message: 'is kept, and the truth has no such live record' }
    if (held.version !== record.version) {
      return { kind: 'stale-entry', message: `is kept at ${held.version}, the truth has ${record.version}` }
    }
    if (held.expiresAt > record.expiresAt) {
      return { kind: 'outliving-entry', message: 'is kept with a later expiry than the truth has' }
    }
    // A touch isn't told to caches, so what is kept may have been used, and expire, earlier.
    if (
      held.touchedAt > record.touchedAt ||
      !isSameContent({ ...held, expiresAt: record.expiresAt }, record)
    ) {
      return { kind: 'stale-entry', message: 'is kept with other content than the truth has' }
    }
    // Clocks differ a little, and processes may be set up differently.
    if (!isUsedAt(now + 2 * this.#tier.bound)) return undefined
    return { kind: 'outliving-entry', message: `is kept for longer than the bound of ${this.#tier.bound} ms` }
  }

  async #found({ key, stored, kind, message }: Suspect): Promise<void> {
    const { fix, findings } = this.#settings
    const { cache } = this.#tier
    // Whatever is there by now may go: it is read from the truth again.
    if (fix) await patiently(cache, () => cache.remove([stored.key]))
    findings.add({ kind, key, message: `${keyText(key)} ${message}`, fixed: fix })
  }
}

/** What is there, strictly read; of what is corrupt nothing is. */
async function readAll(store: Store, keys: readonly Key[]): Promise<readonly (StoredRecord | undefined)[]> {
  try {
    return keys.length > 0 ? await store.readMany(keys, { strict: true }) : []
  } catch (error) {
    if (!(error instanceof RecordCorrupt)) throw error
    if (keys.length === 1) return [undefined]
    return (await Promise.all(keys.map((key) => readAll(store, [key])))).flat()
  }
}
