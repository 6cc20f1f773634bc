/**
 * The listings of the truth, compared with its records.
 *
 * First a sum is made for each label over the ids of the records that carry it, and compared with the sum of what its
 * listing finds: that is cheap, and needs little memory. Where the sums differ, because something is wrong or because
 * somebody works on the store, the ids themselves are compared, and what is not listed is settled: a record that was
 * at one version before and after a listing has carried its labels throughout, so the listing had to find it.
 */

import { RecordCorrupt } from '../../errors.ts'
import { carries, type Key, keyText, type Label, type StoredRecord, type Version } from '../record.ts'
import { keyOfPlace } from '../tiers/shared-tier.ts'
import type { AuditSettings } from './settings.ts'
import { digestOf, Share } from './share.ts'

/** Collections whose values the store's codec has made. */
const encoded: ReadonlySet<string> = new Set(['sessions', 'tokens', 'offline', 'names', 'marks'])

/** Listings under way at once. */
const lanes = 8
/** Records per page of a listing, which come without values. */
const listed = 500
/** How often what changes all the time is looked at again. */
const mostRounds = 3

/** What can be listed: a collection, and a label or none. One text, so that it can be remembered. */
type Place = string

/** What the ids of a listing add up to. */
interface Sum {
  count: number
  digests: number
}

/** Ids that a listing should find, and the versions at which they were seen to carry its label. */
type Expected = Map<string, Version>

export class ListingAudit {
  readonly #settings: AuditSettings
  /** Records that were looked at when all were gone through for the first time. */
  #records = 0
  #listings = 0
  #isFirst = true

  constructor(settings: AuditSettings) {
    this.#settings = settings
  }

  async run(): Promise<{ records: number; listings: number }> {
    const shares = [Share.whole()]
    for (let share = shares.pop(); share; share = shares.pop()) {
      const sums = await this.#summed(share, shares)
      const differing = await this.#differing(sums)
      await this.#examined(differing)
    }
    return { records: this.#records, listings: this.#listings }
  }

  // ── sums ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The sums of a share of the places. What there is no room for is left in `rest`. */
  async #summed(share: Share, rest: Share[]): Promise<Map<Place, Sum>> {
    const isFirst = this.#isFirst
    this.#isFirst = false
    const sums = new Map<Place, Sum>()
    let mine = share
    await this.#eachRecord(isFirst, (record) => {
      for (const place of placesOf(record)) if (mine.holds(place)) add(sums, place, record.key.id)
      while (sums.size > this.#settings.maxEntries) {
        const [one, other] = mine.halves()
        mine = one
        rest.push(other)
        for (const place of sums.keys()) if (!mine.holds(place)) sums.delete(place)
      }
    })
    return sums
  }

  /** The places whose listings add up to something else. */
  async #differing(sums: ReadonlyMap<Place, Sum>): Promise<ReadonlySet<Place>> {
    const differing = new Set<Place>()
    const places = sums.entries()
    let done = 0
    const lane = async (): Promise<void> => {
      for (const [place, sum] of places) {
        const found = await this.#listedSum(place)
        if (found.count !== sum.count || found.digests !== sum.digests) differing.add(place)
        this.#listings++
        this.#settings.onProgress({ phase: 'listings', done: ++done, total: sums.size })
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    return differing
  }

  async #listedSum(place: Place): Promise<Sum> {
    const { collection, label } = parsed(place)
    const sum = { count: 0, digests: 0 }
    await this.#eachListed(place, (record) => {
      if (label === undefined || carries(record.labels, [label])) added(sum, record.key.id)
      else this.#stray({ collection, id: record.key.id }, label)
    })
    return sum
  }

  // ── ids ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Compares the listings of the places with the records, id by id, in as many shares as it takes. */
  async #examined(places: ReadonlySet<Place>): Promise<void> {
    if (places.size === 0) return
    const shares = [Share.whole()]
    for (let share = shares.pop(); share; share = shares.pop()) {
      const expected = await this.#expected(places, share, shares)
      for (const [place, ids] of expected) await this.#settled(place, ids)
    }
  }

  async #expected(
    places: ReadonlySet<Place>,
    share: Share,
    rest: Share[],
  ): Promise<ReadonlyMap<Place, Expected>> {
    const expected = new Map(
      [...places].map((place): [Place, Expected] => [place, new Map<string, Version>()]),
    )
    let mine = share
    let size = 0
    await this.#eachRecord(false, ({ key: { collection, id }, labels, version }) => {
      for (const place of placesOf({ key: { collection, id }, labels })) {
        const ids = expected.get(place)
        if (!ids || !mine.holds(place + id)) continue
        ids.set(id, version)
        size++
      }
      while (size > this.#settings.maxEntries) {
        const [one, other] = mine.halves()
        mine = one
        rest.push(other)
        size = kept(expected, one)
      }
    })
    return expected
  }

  /** Finds out which ids are really missing from a listing. */
  async #settled(place: Place, ids: Expected): Promise<void> {
    const missing = new Set<string>()
    let doubtful = ids
    for (let round = 0; doubtful.size > 0 && round < mostRounds; round++) {
      const unlisted = await this.#unlisted(place, [...doubtful.keys()])
      doubtful = await this.#proven(place, unlisted, doubtful, missing)
    }
    const left = this.#settings.fix ? await this.#unlisted(place, missing) : missing
    for (const id of missing) this.#missing(place, id, !left.has(id))
  }

  /** Those of the ids that the listing doesn't find. */
  async #unlisted(place: Place, ids: Iterable<string>): Promise<ReadonlySet<string>> {
    const unlisted = new Set(ids)
    if (unlisted.size > 0) await this.#eachListed(place, ({ key }) => void unlisted.delete(key.id))
    return unlisted
  }

  /** Proves that ids are missing by reading their records again; answers with those that have changed meanwhile. */
  async #proven(
    place: Place,
    unlisted: ReadonlySet<string>,
    versions: Expected,
    missing: Set<string>,
  ): Promise<Expected> {
    const { collection, label } = parsed(place)
    const changed: Expected = new Map()
    const ids = [...unlisted]
    for (let start = 0; start < ids.length; start += this.#settings.page) {
      const keys = ids.slice(start, start + this.#settings.page).map((id) => ({ collection, id }))
      for (const record of await this.#settings.store.readMany(keys, { strict: true })) {
        if (!record || (label !== undefined && !carries(record.labels, [label]))) continue
        const { id } = record.key
        const isSame = record.version === versions.get(id)
        if (isSame && (await this.#isRewritten(record))) missing.add(id)
        else changed.set(id, record.version)
      }
    }
    return changed
  }

  /** Writes the record anew as it is, which enters it under its labels. false: somebody was faster. */
  async #isRewritten({ key, version, value, labels, expiresAt, touchedAt }: StoredRecord): Promise<boolean> {
    if (!this.#settings.fix) return true
    const rewrite = { key, expected: version, value, labels, expiresAt, touchedAt }
    return (await this.#settings.store.replace(rewrite)).status === 'done'
  }

  // ── going through the store ───────────────────────────────────────────────────────────────────────────────

  async #eachRecord(isFirst: boolean, use: (record: StoredRecord) => void): Promise<void> {
    const { store, page: limit, signal, onProgress } = this.#settings
    let done = 0
    let after: string | undefined
    do {
      signal?.throwIfAborted()
      const from = after === undefined ? {} : { after }
      const page = await store.scan({ index: 0, of: 1, limit, ...from })
      for (const record of page.records) {
        // Where a cache is in the same namespace, what it holds isn't the truth.
        if (keyOfPlace(record.key)) continue
        done++
        if (isFirst) this.#decoded(record)
        use(record)
      }
      onProgress({ phase: 'records', done })
      after = page.next
    } while (after !== undefined)
    if (isFirst) this.#records = done
  }

  async #eachListed(place: Place, use: (record: StoredRecord) => void): Promise<void> {
    const { store, signal } = this.#settings
    const { collection, label } = parsed(place)
    let after: string | undefined
    do {
      signal?.throwIfAborted()
      const page = await store.list(collection, {
        labels: label === undefined ? [] : [label],
        limit: listed,
        values: false,
        ...(after === undefined ? {} : { after }),
      })
      page.records.forEach(use)
      after = page.next
    } while (after !== undefined)
  }

  // ── what is found ─────────────────────────────────────────────────────────────────────────────────────────

  #missing(place: Place, id: string, fixed: boolean): void {
    const { collection, label } = parsed(place)
    const key = { collection, id }
    const listing = label === undefined ? `its collection` : label
    const message = `${keyText(key)} is not found under ${listing}`
    this.#settings.findings.add({
      kind: 'unlisted-record',
      key,
      ...(label === undefined ? {} : { label }),
      message,
      fixed,
    })
  }

  #stray(key: Key, label: Label): void {
    const message = `${keyText(key)} is found under ${label}, which it doesn’t carry`
    this.#settings.findings.add({ kind: 'stray-listing', key, label, message, fixed: false })
  }

  #decoded({ key, value }: StoredRecord): void {
    if (!encoded.has(key.collection)) return
    try {
      this.#settings.store.codec.decode(key, value)
    } catch (error) {
      if (!(error instanceof RecordCorrupt)) throw error
      this.#settings.findings.add({ kind: 'malformed-record', key, message: error.message, fixed: false })
    }
  }
}

/** No part of a place contains U+0000. */
function* placesOf({ key: { collection }, labels }: Pick<StoredRecord, 'key' | 'labels'>): Iterable<Place> {
  yield `${collection}\0`
  for (const label of labels) yield `${collection}\0${label}`
}

function parsed(place: Place): { readonly collection: string; readonly label: Label | undefined } {
  const end = place.indexOf('\0')
  return { collection: place.slice(0, end), label: place.slice(end + 1) || undefined }
}

function add(sums: Map<Place, Sum>, place: Place, id: string): void {
  const sum = sums.get(place) ?? { count: 0, digests: 0 }
  added(sum, id)
  sums.set(place, sum)
}

function added(sum: Sum, id: string): void {
  sum.count++
  sum.digests = (sum.digests + digestOf(id)) % 2 ** 48
}

/** Keeps only what the share holds, and answers with how much that is. */
function kept(expected: ReadonlyMap<Place, Expected>, share: Share): number {
  let size = 0
  for (const [place, ids] of expected) {
    for (const id of ids.keys()) if (!share.holds(place + id)) ids.delete(id)
    size += ids.size
  }
  return size
}
