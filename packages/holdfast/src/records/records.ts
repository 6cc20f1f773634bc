/**
 * Records with an envelope: what sessions, tokens and offline sessions are made of. Finds them, creates them so that
 * a revocation in flight takes them back, changes them so that nobody's change is lost, and buries them so that
 * nothing brings them back.
 */

import { DeadlineExceeded, NotSupported, OutcomeUnknown, RecordCorrupt } from '../errors.ts'
import type { Page, View } from '../store/contract.ts'
import {
  type Instant,
  isLive,
  type Key,
  type Label,
  never,
  orderedLabels,
  type StoredRecord,
} from '../store/record.ts'
import { versionNumber } from '../store/stamp.ts'
import type { ListOptions, Rewrite, Store } from '../store/store.ts'
import { jittered } from './backoff.ts'
import { type Envelope, type Living, packed, type Tombstone, unpacked } from './envelope.ts'
import { Leases } from './leases.ts'
import { Marks } from './marks.ts'
import { KeyedQueue } from './queue.ts'

/** A record with what its value holds. */
export interface Entry {
  readonly record: StoredRecord
  readonly envelope: Living
}

/** What there is under an id. */
export type Found =
  /** Alive. */
  | { readonly state: 'live'; readonly entry: Entry }
  /** About to be buried: refused everywhere, and whoever meets it finishes it. */
  | { readonly state: 'closed'; readonly entry: Entry }
  /** Destroyed or revoked. */
  | { readonly state: 'dead'; readonly record: StoredRecord; readonly tombstone: Tombstone }
  /** Nothing, or something that has expired. */
  | { readonly state: 'absent' }
  /** Something that is not ours or was tampered with: never valid. */
  | { readonly state: 'corrupt'; readonly record: StoredRecord; readonly cause: RecordCorrupt }

/** What a change decides on the state that it finds: to stop with an answer, or to write and then answer. */
export type Decision<R> =
  | { readonly stop: R }
  | {
      readonly write: Rewritten
      readonly answer: (entry: Entry) => R
    }

/** How an entry is rewritten. */
export interface Rewritten {
  readonly envelope: Living
  /** Missing: left alone. */
  readonly labels?: readonly Label[]
  readonly expiresAt: Instant
  /** When it was last used. @default now */
  readonly touchedAt?: number
  /** @default false */
  readonly setsExpiry?: boolean
}

export interface RecordsOptions {
  readonly collection: string
  /** How long tombstones are kept, in milliseconds. */
  readonly retention: number
  /** What a tombstone can be listed by. */
  readonly tombstoneLabels: (at: number) => readonly Label[]
  /** How long a record can live, in milliseconds, or `never`. */
  readonly longest: Instant
  /** How old the process's copy of the marks may be, in milliseconds. */
  readonly markBound: number
  /** What more there is to do when a record was buried. */
  readonly onBurial?: (id: string, was: Living) => Promise<void>
}

/** Until when a copy is to live that somebody else has written; `undefined`: it needs no prolonging. */
export type Needed = (entry: Entry) => Instant | undefined

const noValue = new Uint8Array(0)
const absent: Found = { state: 'absent' }

/** What became of a burial: whether the record was alive and this burial ended it. */
export type Burial = 'buried' | 'absent'

export class Records {
  readonly store: Store
  readonly collection: string
  readonly marks: Marks
  readonly leases: Leases
  readonly #options: RecordsOptions
  readonly #queue = new KeyedQueue<Entry>()

  constructor(store: Store, options: RecordsOptions) {
    this.store = store
    this.collection = options.collection
    this.#options = options
    this.leases = new Leases(store)
    this.marks = new Marks(store, {
      collection: options.collection,
      longest: options.longest,
      bound: options.markBound,
    })
  }

  get now(): number {
    return this.store.clock.now()
  }

  key(id: string): Key {
    return { collection: this.collection, id }
  }

  /** What there is under an id. At hand without a promise where the store's answer is. */
  find(id: string, options: { readonly strict?: boolean } = {}): Found | Promise<Found> {
    const found = this.store.view(this.key(id), this.#decoded, options)
    return found instanceof Promise ? found.then((seen) => this.#inTime(seen)) : this.#inTime(found)
  }

  /** What a stored record is. @throws {KeyUnknown} when it is sealed under a key that we don't have. */
  opened(record: StoredRecord | undefined): Found {
    return this.#inTime(record && this.#decoded(record))
  }

  /** What a record is by itself, whatever the time. A cache may keep it, so nobody changes it. */
  readonly #decoded: View<Found> = (record) => {
    let envelope: Envelope
    try {
      envelope = unpacked(record, this.store.codec.decode(record.key, record.value))
    } catch (cause) {
      if (cause instanceof RecordCorrupt) return { state: 'corrupt', record, cause }
      throw cause
    }
    // The bytes are not needed any more.
    const rest = { ...record, value: noValue }
    if (envelope.state === 'dead') return { state: 'dead', record: rest, tombstone: envelope }
    return { state: envelope.state, entry: { record: rest, envelope } }
  }

  /** The absolute deadline holds even where someone moved the expiry beside it. */
  #inTime(found: Found | undefined): Found {
    if (!found) return absent
    if (found.state !== 'live' && found.state !== 'closed') return found
    return isLive({ expiresAt: found.entry.envelope.absolute }, this.now) ? found : absent
  }

  /**
   * Resolves when no cache, in whatever process, can answer with what these records were: whoever ends them waits for
   * this before he says so.
   */
  async acknowledge(ids: readonly string[]): Promise<void> {
    await this.store.invalidate(ids.map((id) => this.key(id)))
  }

  /** What a record was, also where it has expired; `undefined` for what is dead, corrupt or not there. */
  past(record: StoredRecord | undefined): Entry | undefined {
    const found = record && this.#decoded(record)
    return found && 'entry' in found ? found.entry : undefined
  }

  /**
   * What is left under an id, also where it has expired and isn't swept yet; `undefined` for what is dead, corrupt or
   * not there. For those who end records, and for nobody else. Reads the truth.
   */
  async remains(id: string): Promise<Living | undefined> {
    const record = await this.store.read(this.key(id), { strict: true, expired: true })
    return this.past(record)?.envelope
  }

  /** Creates a record; `undefined` when its id is taken. What must be checked afterwards is the caller's to check. */
  async create(
    id: string,
    envelope: Living,
    labels: readonly Label[],
    expiresAt: Instant,
    touchedAt = this.now,
  ): Promise<Entry | undefined> {
    const key = this.key(id)
    const value = this.store.codec.encode(key, packed(envelope))
    const written = await this.store.create({ key, value, labels, expiresAt, touchedAt })
    if (written.status === 'unknown') {
      throw new OutcomeUnknown(`creating ${this.collection}/${id} could not be settled: it may exist`)
    }
    if (written.status !== 'done') return undefined
    const record = {
      key,
      version: written.version,
      labels: orderedLabels(labels),
      value,
      expiresAt,
      touchedAt,
    }
    return { record, envelope }
  }

  /**
   * Changes one record: decides on the newest state that is known, writes at exactly its version, and decides anew
   * on a fresh copy when somebody else was faster, until the deadline. Changes of one record queue in the process.
   *
   * @param decide Is told `uncertain` once an earlier decision may have been stored without our knowing.
   * @param repeatable Whether deciding again is right when it can't be told if the write before happened.
   * @throws {OutcomeUnknown} when that can't be told and the change is not repeatable.
   * @throws {DeadlineExceeded} when others were faster until the deadline; nothing was changed.
   */
  async amend<R>(
    id: string,
    known: Entry | undefined,
    decide: (found: Found, uncertain: boolean) => Decision<R> | Promise<Decision<R>>,
    { repeatable }: { readonly repeatable: boolean },
  ): Promise<R> {
    return await this.#queue.run(id, async (place) => {
      const newest = newer(known, place.newest)
      const start = this.#usable(newest)
      let found = start ?? (await this.find(id, { strict: true }))
      // What was read before this change was asked for is only good for writing: then the store compares.
      let isOld = start !== undefined && newest === known
      const ends = this.store.clock.elapsed() + this.store.deadline
      let uncertain = false
      for (let attempt = 0; ; attempt++) {
        const decision = await decide(found, uncertain)
        if ('stop' in decision) {
          if (!isOld) return decision.stop
          found = await this.find(id, { strict: true })
          isOld = false
          continue
        }
        const written = await this.#rewritten(found, decision.write)
        if (typeof written !== 'string') {
          place.newest = written
          return decision.answer(written)
        }
        if (written === 'unknown') {
          if (!repeatable) throw this.#unknown(id)
          uncertain = true
        }
        if (this.store.clock.elapsed() >= ends) throw this.#outrun(id)
        await this.#pause(attempt)
        found = await this.find(id, { strict: true })
        isOld = false
      }
    })
  }

  /**
   * Buries a record under a tombstone, also one that has expired and isn't swept yet: a write that was delayed at its
   * last instant must not outlive an acknowledged destroy. What can't be decoded is buried as well.
   */
  async bury(id: string, why: string): Promise<Burial> {
    return await this.#queue.run(id, async (place) => {
      place.newest = undefined
      const deadline = this.store.clock.elapsed() + this.store.deadline
      let mayBeMine: Burial = 'absent'
      for (let attempt = 0; ; attempt++) {
        const record = await this.store.read(this.key(id), { strict: true, expired: true })
        if (!record) return mayBeMine
        const envelope = this.#readable(record)
        if (envelope?.state === 'dead') return mayBeMine
        const ends = Math.min(record.expiresAt, envelope?.absolute ?? never)
        const burial: Burial = isLive({ expiresAt: ends }, this.now) ? 'buried' : 'absent'
        const written = await this.store.replace(this.#buried(record, envelope, why))
        if (written.status === 'done') {
          if (envelope) await this.#options.onBurial?.(id, envelope)
          return burial
        }
        if (written.status === 'unknown') mayBeMine = burial
        if (this.store.clock.elapsed() >= deadline) throw this.#outrun(id)
        await this.#pause(attempt)
      }
    })
  }

  /**
   * Prolongs a record. Where somebody has written it since it was read the newest copy is prolonged, because not every
   * write does that.
   *
   * @returns whether it is still there.
   */
  async touch({ record: { key, version } }: Entry, expiresAt: Instant): Promise<boolean> {
    const needed = upTo(expiresAt)
    const { now } = this
    const [outcome] = await this.store.touch([{ key, version, expiresAt }])
    return outcome === 'conflict' ? await this.#touchNewest(key, needed, now) : outcome === 'done'
  }

  /**
   * Like `touch`, but where the store gathers touches nobody waits for this one: it is in the store before the record
   * would expire there.
   *
   * @param onFailure Is told when a touch that nobody waited for could not be written.
   * @param needed Until when a newer copy is to live. @default as long, at most until its absolute end
   */
  async touchBehind(
    entry: Entry,
    expiresAt: Instant,
    onFailure: (cause: unknown) => void,
    needed: Needed = upTo(expiresAt),
  ): Promise<boolean> {
    const { key, version, expiresAt: by } = entry.record
    const { now } = this
    const deferred = await this.store.touchBehind({ key, version, expiresAt }, by)
    if (typeof deferred === 'string') {
      return deferred === 'conflict' ? await this.#touchNewest(key, needed, now) : deferred === 'done'
    }
    deferred.coming
      .then((outcome) => outcome === 'conflict' && this.#touchNewest(key, needed, now))
      .catch(onFailure)
    return true
  }

  /** Prolongs the newest copy, again while others are faster to write it. */
  async #touchNewest(key: Key, needed: Needed, touchedAt: number): Promise<boolean> {
    const ends = this.store.clock.elapsed() + this.store.deadline
    for (let attempt = 0; ; attempt++) {
      const found = await this.find(key.id, { strict: true })
      if (found.state !== 'live') return false
      const expiresAt = needed(found.entry)
      if (expiresAt === undefined) return true
      const { version } = found.entry.record
      const [outcome] = await this.store.touch([{ key, version, expiresAt, touchedAt }])
      if (outcome !== 'conflict') return outcome === 'done'
      if (this.store.clock.elapsed() >= ends) throw this.#outrun(key.id)
      await this.#pause(attempt)
    }
  }

  /** One page of records with all the labels. */
  async list(labels: readonly Label[], options: Omit<ListOptions, 'labels'> = {}): Promise<Page> {
    return await this.store.list(this.collection, { ...options, labels })
  }

  /** Refuses a store whose listings may miss records: a revocation by labels would be answered as done and isn't. */
  async needCompleteListing(): Promise<void> {
    const { capabilities, description } = await this.store.open()
    if (capabilities.listing === 'complete') return
    throw new NotSupported(
      `${description} cannot list all records of a label, so revoking by labels would miss some`,
      'listing',
    )
  }

  async #rewritten(found: Found, write: Rewritten): Promise<Entry | 'outrun' | 'unknown'> {
    if (found.state !== 'live' && found.state !== 'closed')
      throw new TypeError('only what is alive can be rewritten')
    const { record } = found.entry
    const value = this.store.codec.encode(record.key, packed(write.envelope))
    const touchedAt = Math.max(write.touchedAt ?? this.now, record.touchedAt)
    const written = await this.store.replace({
      key: record.key,
      expected: record.version,
      value,
      touchedAt,
      expiresAt: write.expiresAt,
      setsExpiry: write.setsExpiry ?? false,
      ...(write.labels ? { labels: write.labels } : {}),
    })
    if (written.status !== 'done') return written.status === 'unknown' ? 'unknown' : 'outrun'
    const labels = write.labels ? orderedLabels(write.labels) : record.labels
    const expiresAt = write.setsExpiry ? write.expiresAt : Math.max(record.expiresAt, write.expiresAt)
    return {
      record: { key: record.key, version: written.version, labels, value, expiresAt, touchedAt },
      envelope: write.envelope,
    }
  }

  #buried(record: StoredRecord, living: Living | undefined, why: string): Rewrite {
    const now = this.now
    const ends = Math.min(record.expiresAt, living?.absolute ?? never)
    const user = living?.user
    const tombstone: Tombstone = {
      state: 'dead',
      at: now,
      why,
      ends,
      ...(user === undefined ? {} : { user }),
    }
    return {
      key: record.key,
      expected: record.version,
      value: this.store.codec.encode(record.key, packed(tombstone)),
      labels: this.#options.tombstoneLabels(now),
      expiresAt: Math.min(now + this.#options.retention, Math.max(record.expiresAt, living?.latest ?? 0)),
      setsExpiry: true,
      expired: true,
    }
  }

  /** The envelope, for those who bury: what can't be opened is no reason to leave the record alive. */
  #readable(record: StoredRecord): Envelope | undefined {
    try {
      return unpacked(record, this.store.codec.decode(record.key, record.value))
    } catch {
      return undefined
    }
  }

  /** A copy to begin with. One that has expired is a reason to look: a touch elsewhere may have prolonged it. */
  #usable(entry: Entry | undefined): Found | undefined {
    if (!entry) return undefined
    const { record, envelope } = entry
    const ends = Math.min(record.expiresAt, envelope.absolute)
    return isLive({ expiresAt: ends }, this.now) ? { state: envelope.state, entry } : undefined
  }

  async #pause(attempt: number): Promise<void> {
    const ms = jittered(attempt)
    if (ms > 0) await this.store.clock.sleep(ms)
  }

  #unknown(id: string): OutcomeUnknown {
    return new OutcomeUnknown(`the change of ${this.collection}/${id} may or may not have happened`)
  }

  #outrun(id: string): DeadlineExceeded {
    return new DeadlineExceeded(`other changes of ${this.collection}/${id} were faster until the deadline`)
  }
}

function newer(a: Entry | undefined, b: Entry | undefined): Entry | undefined {
  if (!a || !b) return a ?? b
  return versionNumber(a.record.version) > versionNumber(b.record.version) ? a : b
}

/** Who writes prolongs as well, as a rule: then there is nothing left to do. */
function upTo(expiresAt: Instant): Needed {
  return ({ record, envelope }) => {
    const ends = Math.min(expiresAt, envelope.absolute)
    return record.expiresAt >= ends ? undefined : ends
  }
}
