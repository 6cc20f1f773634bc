/**
 * Sessions under an id that somebody else drew and that is itself the secret, as the cookies of most other libraries
 * have it. The record's id is the digest of that id, so that the store knows nobody's secret; a new secret therefore
 * means a new record, and the old one is buried.
 *
 * Saving needs what was read: the keys that differ from it are applied to the newest copy, so that others' changes
 * stay, and nothing that was destroyed meanwhile comes back.
 */

import { digestOf } from '../credentials/digest.ts'
import { InvalidOption, RevokedMeanwhile, SessionGone } from '../errors.ts'
import { copyOf, filterLabels, type JsonObject } from '../records/envelope.ts'
import type { EventListener } from '../records/events.ts'
import { type Entry, type Found, Records } from '../records/records.ts'
import { revokeByLabels } from '../records/revoking.ts'
import { isUnchanged } from '../records/saving.ts'
import type { Awaitable, Cursor } from '../store/contract.ts'
import { type Instant, isId, isLive, type Label } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { changesBetween } from './keyed/changes.ts'
import type { OldSessionReader } from './keyed/old.ts'
import { type KeyedOptions, keyedSettings } from './keyed/settings.ts'
import { type Kept, keptOf, KeyedStoring } from './keyed/storing.ts'

export type { OldSession, OldSessionReader } from './keyed/old.ts'
export type { KeyedOptions } from './keyed/settings.ts'
export type { Kept } from './keyed/storing.ts'

/** A session in a list. Holds no secret. */
export interface KeyedInfo {
  /** The public id: the digest of the secret one. */
  readonly id: string
  readonly user?: string
  readonly labels: readonly Label[]
  /** Milliseconds since 1970 UTC, as all instants. */
  readonly createdAt: number
  readonly touchedAt: number
  readonly expiresAt: Instant
  readonly data: JsonObject
}

/** Which sessions: those that carry the user's label and all the others. */
export interface KeyedFilter {
  readonly user?: string
  readonly labels?: readonly Label[]
}

/** A page of sessions. It may be short while there is a `next`. */
export interface KeyedPage {
  readonly sessions: readonly KeyedInfo[]
  readonly next?: Cursor
}

/** Sessions by secret id over a store. */
export class KeyedSessions {
  readonly store: Store
  readonly #records: Records
  readonly #storing: KeyedStoring
  readonly #old: OldSessionReader | undefined
  readonly #onEvent: EventListener

  /**
   * @throws {InvalidOption} when an option can't be honoured.
   * @throws {InvalidDuration}
   */
  constructor(store: Store, options: KeyedOptions = {}) {
    const settings = keyedSettings(options)
    this.store = store
    this.#old = options.old
    this.#onEvent = options.onEvent ?? (() => undefined)
    this.#records = new Records(store, { ...settings, tombstoneLabels: () => [] })
    this.#storing = new KeyedStoring(this.#records, settings)
  }

  /** The public id of a session: what it is listed and spared by. */
  idOf(sid: string): string {
    return digestOf(sid)
  }

  /**
   * The session of a secret id; `undefined` where there is none, or it has expired, was destroyed or is corrupt.
   *
   * @param options.strict Asks the truth, not a cache. @default false
   * @throws {StoreUnavailable} and the store's other errors: an outage is never answered as "no session".
   */
  read(sid: string, { strict = false }: { readonly strict?: boolean } = {}): Awaitable<Kept | undefined> {
    const id = digestOf(sid)
    const found = this.#records.find(id, { strict })
    if (found instanceof Promise) return found.then((answer) => this.#judged(sid, id, answer, strict))
    return this.#judged(sid, id, found, strict)
  }

  /**
   * Stores a new session.
   *
   * @throws {SessionGone} when a session of this id was destroyed: it does not come back.
   * @throws {ConflictingChange} when there is a session of this id.
   * @throws {RevokedMeanwhile} when everything of its user was revoked while it was stored.
   */
  async create(sid: string, data: JsonObject, expiresAt: Instant): Promise<Kept> {
    return this.#created(await this.#storing.create(digestOf(sid), data, expiresAt))
  }

  /**
   * Stores what differs from `base`, key by key, on the newest copy. What others changed meanwhile stays.
   *
   * @param base What was read or written last.
   * @param expiresAt Where it is earlier than the base's, the expiry is shortened on purpose; otherwise the later one
   *   of this and what others have set counts.
   * @throws {SessionGone} when it was destroyed or has expired meanwhile.
   * @throws {ConflictingChange} when another request changed the same keys, and `conflicts` is `'fail'`.
   * @throws {OutcomeUnknown} when it can't be told whether a merge of `conflicts` was stored.
   * @throws {RevokedMeanwhile} when it is a login, and everything of the user was revoked meanwhile.
   */
  async save(sid: string, base: Kept, data: JsonObject, expiresAt: Instant): Promise<Kept> {
    const changes = changesBetween(base.data, data)
    const ends = Math.min(expiresAt, base.entry.envelope.absolute)
    if (isUnchanged(changes) && ends >= base.expiresAt) return await this.#prolonged(base, ends)
    // A session that ends sooner than the row it was read from must not be read from there again.
    if (ends < base.expiresAt) await this.#old?.remove(sid)
    return await this.#storing.save(base, changes, ends)
  }

  /**
   * Prolongs a session without changing it. Answers whether it is still there. Where the store can't be written the
   * session stays what it is, and an event tells of it.
   */
  async touch(base: Kept, expiresAt: Instant): Promise<boolean> {
    const { entry } = base
    const ends = Math.min(expiresAt, entry.envelope.absolute)
    const failed = (cause: unknown): void => {
      const { collection, id } = entry.record.key
      this.#onEvent({ type: 'touch-failed', collection, id, cause: cause as Error })
    }
    try {
      return await this.#storing.touch(entry, Math.max(ends, entry.record.expiresAt), failed)
    } catch (cause) {
      failed(cause)
      return true
    }
  }

  /**
   * Destroys a session: nothing brings it back, no save that is under way, no row of another library, and no first
   * save of this id that has yet to arrive.
   *
   * @returns whether it was alive.
   */
  async destroy(sid: string): Promise<boolean> {
    const id = digestOf(sid)
    const wasAlive = await this.#storing.end(id, 'destroyed')
    await this.#old?.remove(sid)
    await this.#records.acknowledge([id])
    if (wasAlive) this.#tellRevoked(id)
    return wasAlive
  }

  /** Destroys a session by its public id, as a list shows it. Answers whether it was alive. */
  async destroyById(id: string): Promise<boolean> {
    if (!isId(id)) return false
    const wasAlive = (await this.#records.bury(id, 'destroyed')) === 'buried'
    await this.#records.acknowledge([id])
    if (wasAlive) this.#tellRevoked(id)
    return wasAlive
  }

  /**
   * Gives a session a new secret id: the new record is created first, and the old one is buried before this answers,
   * so that a crash in between loses nothing.
   *
   * @param options.carry Whether it is the same session under another id: then what others changed under the old id
   *   meanwhile goes with it, and a session that was destroyed meanwhile is not continued. Otherwise it is another
   *   session, such as that of who logs in, and nothing is taken from the old one. @default false
   * @throws {SessionGone} when it was to be carried on and is destroyed.
   */
  async replaceId(
    old: { readonly sid: string; readonly base?: Kept | undefined },
    sid: string,
    data: JsonObject,
    expiresAt: Instant,
    { carry = false }: { readonly carry?: boolean } = {},
  ): Promise<Kept> {
    const from = carry ? old.base : undefined
    const created = this.#created(await this.#storing.create(digestOf(sid), data, expiresAt, from))
    const carried = from ? await this.#carriedOn(from, { sid, created }) : created
    await this.destroy(old.sid)
    return carried
  }

  /** A page of the live sessions with all the labels, in order of their public ids. */
  async list(
    filter: KeyedFilter & { readonly after?: Cursor; readonly limit?: number } = {},
  ): Promise<KeyedPage> {
    const { after, limit } = filter
    const page = await this.#records.list(filterLabels(filter), {
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit }),
    })
    const sessions: KeyedInfo[] = []
    for (const record of page.records) {
      const found = this.#records.opened(record)
      if (found.state === 'corrupt') this.#tellCorrupt(record.key.id, found.cause)
      if (found.state === 'live' && !(await this.#isStruck(found.entry))) sessions.push(infoOf(found.entry))
    }
    return { sessions, ...(page.next === undefined ? {} : { next: page.next }) }
  }

  /** All live sessions with all the labels, page by page as they are asked for. */
  async *all(filter: KeyedFilter = {}): AsyncGenerator<KeyedInfo> {
    let after: Cursor | undefined
    do {
      const page = await this.list({ ...filter, ...(after === undefined ? {} : { after }) })
      yield* page.sessions
      after = page.next
    } while (after !== undefined)
  }

  /** How many live records carry the labels. @throws {NotSupported} when the store can't count. */
  async count(filter: KeyedFilter & { readonly atMost?: number } = {}): Promise<number> {
    const { atMost } = filter
    return await this.store.count(this.#records.collection, {
      labels: filterLabels(filter),
      ...(atMost === undefined ? {} : { atMost }),
    })
  }

  /**
   * Ends all sessions that carry the labels, also those that are being created. Who logs in afterwards is not
   * concerned.
   *
   * @param filter.except The secret id of a session to spare.
   * @returns how many were alive and were ended by this call.
   * @throws {NotSupported} when the store's listings may miss sessions.
   */
  async revoke(filter: KeyedFilter & { readonly except?: string }): Promise<number> {
    const labels = filterLabels(filter)
    if (labels.length === 0) throw new InvalidOption('say whose sessions to revoke: a user or labels')
    const revoked = await revokeByLabels(this.#records, labels, {
      end: async (id) => ((await this.#records.bury(id, 'revoked')) === 'buried' ? [id] : []),
      ...(filter.except === undefined ? {} : { except: [digestOf(filter.except)] }),
    })
    this.#onEvent({
      type: 'revoked-all',
      collection: this.#records.collection,
      labels,
      count: revoked.length,
    })
    return revoked.length
  }

  /** The new record with all that was stored under the old id, which takes no more changes from here on. */
  async #carriedOn(
    base: Kept,
    { sid, created }: { readonly sid: string; readonly created: Kept },
  ): Promise<Kept> {
    const left = await this.#storing.close(base, digestOf(sid))
    if (!left) {
      await this.destroy(sid)
      const { id } = base.entry.record.key
      throw new SessionGone(`session ${id} was destroyed or has expired, so it gets no new id`)
    }
    const theirs = changesBetween(base.data, left)
    return isUnchanged(theirs) ? created : await this.#storing.save(created, theirs, created.expiresAt)
  }

  /** What was used and not changed: nothing is written but the expiry. */
  async #prolonged(base: Kept, expiresAt: Instant): Promise<Kept> {
    if (expiresAt === base.expiresAt) return base
    if (await this.touch(base, expiresAt)) return { ...base, expiresAt }
    const { id } = base.entry.record.key
    throw new SessionGone(`session ${id} was destroyed or has expired`)
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────

  #judged(sid: string, id: string, found: Found, isTruth: boolean): Awaitable<Kept | undefined> {
    if (found.state === 'live') {
      const { entry } = found
      const struck = this.#isStruck(entry)
      if (struck instanceof Promise) return struck.then((is) => (is ? undefined : keptOf(entry)))
      return struck ? undefined : keptOf(entry)
    }
    if (found.state === 'corrupt') this.#tellCorrupt(id, found.cause)
    if (found.state === 'closed') return this.#finished(id)
    if (found.state !== 'absent') return undefined
    // A cache may be behind: the truth decides before anybody is turned away.
    if (!isTruth && this.store.capabilities.cached) {
      return Promise.resolve(this.#records.find(id, { strict: true })).then((truth) =>
        this.#judged(sid, id, truth, true),
      )
    }
    return this.#old ? this.#takenOver(this.#old, sid, id) : undefined
  }

  #isStruck(entry: Entry): Awaitable<boolean> {
    return this.#records.marks.strikes(entry)
  }

  /** Somebody crashed while it was being buried. It is refused whether that can be finished now or not. */
  async #finished(id: string): Promise<undefined> {
    try {
      await this.#records.bury(id, 'replaced')
    } catch (cause) {
      const { collection } = this.#records
      this.#onEvent({ type: 'finish-failed', collection, id, cause: cause as Error })
    }
  }

  /**
   * Takes over what another library has stored: created here first, removed there afterwards. Only where there is
   * nothing under the id: a tombstone is an answer, and so is what has expired.
   */
  async #takenOver(old: OldSessionReader, sid: string, id: string): Promise<Kept | undefined> {
    const key = this.#records.key(id)
    if (await this.store.read(key, { strict: true, expired: true })) return await this.#again(id)
    const row = await old.read(sid)
    // Somebody may have taken it over, and removed the row, since we looked.
    if (!row || !isLive(row, this.#records.now)) return await this.#again(id)
    const data = row.cookie ? { ...row.data, cookie: row.cookie } : row.data
    try {
      // Nobody knows what was revoked since it was stored there: every mark of its user strikes it.
      const entry = await this.#storing.born(id, data, row.expiresAt, {})
      await old.remove(sid)
      return entry ? this.#created(keptOf(entry)) : await this.#again(id)
    } catch (error) {
      if (!(error instanceof RevokedMeanwhile)) throw error
      await old.remove(sid)
      return undefined
    }
  }

  /** What somebody who was faster has left. */
  async #again(id: string): Promise<Kept | undefined> {
    const found = await this.#records.find(id, { strict: true })
    if (found.state !== 'live') return undefined
    return (await this.#isStruck(found.entry)) ? undefined : keptOf(found.entry)
  }

  // ── telling ───────────────────────────────────────────────────────────────────────────────────────────────

  #created(kept: Kept): Kept {
    const { record, envelope } = kept.entry
    const { collection, id } = record.key
    const { user } = envelope
    this.#onEvent({ type: 'created', collection, id, ...(user === undefined ? {} : { user }) })
    return kept
  }

  #tellRevoked(id: string): void {
    this.#onEvent({ type: 'revoked', collection: this.#records.collection, id, why: 'destroyed' })
  }

  #tellCorrupt(id: string, cause: Error): void {
    this.#onEvent({ type: 'corrupt', collection: this.#records.collection, id, cause })
  }
}

function infoOf({ record, envelope }: Entry): KeyedInfo {
  return {
    id: record.key.id,
    labels: record.labels,
    createdAt: envelope.createdAt,
    touchedAt: record.touchedAt,
    expiresAt: Math.min(record.expiresAt, envelope.absolute),
    data: copyOf(envelope.data),
    ...(envelope.user === undefined ? {} : { user: envelope.user }),
  }
}
