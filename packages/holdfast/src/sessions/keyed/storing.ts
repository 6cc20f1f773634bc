/**
 * How sessions by secret id are stored: created, saved, ended. Every change is decided on the newest copy of the
 * record, never on the one that was read.
 */

import { ConflictingChange, SessionGone } from '../../errors.ts'
import { kept, keptNew } from '../../records/creating.ts'
import { type Epochs, firstEnvelope, type JsonObject, labelsOf, type Living } from '../../records/envelope.ts'
import { endForGood } from '../../records/forestalling.ts'
import type { Decision, Entry, Found, Records } from '../../records/records.ts'
import {
  applied,
  asJson,
  type Changes,
  conflicting,
  onceOnly,
  reapplied,
  storableData,
} from '../../records/saving.ts'
import { type Instant, type Label, label, never } from '../../store/record.ts'
import type { KeyedSettings } from './settings.ts'

/** What a session is, as it was read or written: the base of a later save. Nobody may change it. */
export interface Kept {
  /** Who goes on with what he has saved himself puts that here, without what others had added until then. */
  readonly data: JsonObject
  readonly expiresAt: Instant
  readonly entry: Entry
}

/** What a save came to. */
type Saved = 'gone' | Entry | { readonly conflicts: readonly string[] }

/** Whose a session becomes by a change, where that is somebody else than before. */
interface Person {
  readonly user: string | undefined
  readonly epochs: Epochs
  readonly labels: readonly Label[]
}

/** The entry as callers hold it. */
export function keptOf(entry: Entry): Kept {
  const { record, envelope } = entry
  return { data: envelope.data, expiresAt: Math.min(record.expiresAt, envelope.absolute), entry }
}

export class KeyedStoring {
  readonly #records: Records
  readonly #settings: KeyedSettings

  constructor(records: Records, settings: KeyedSettings) {
    this.#records = records
    this.#settings = settings
  }

  /**
   * Stores a new session.
   *
   * @param from The session that it continues under a new id.
   * @throws {SessionGone} @throws {ConflictingChange} @throws {RevokedMeanwhile}
   */
  async create(id: string, data: JsonObject, expiresAt: Instant, from?: Kept): Promise<Kept> {
    const envelope = from?.entry.envelope
    const isSameUser = envelope !== undefined && envelope.user === this.#settings.userOf(data)
    const entry = await this.born(id, data, expiresAt, isSameUser ? envelope.epochs : undefined, envelope)
    if (entry) return keptOf(entry)
    const found = await this.#records.find(id, { strict: true })
    if (found.state === 'live') throw new ConflictingChange(`there is a session ${id} already`, [])
    throw gone(id)
  }

  /**
   * Stores a new session; `undefined` when its id is taken, by a tombstone perhaps.
   *
   * @param epochs Those that it is created under. @default those of its user's marks as they are now
   * @throws {RevokedMeanwhile}
   */
  async born(
    id: string,
    given: JsonObject,
    expiresAt: Instant,
    epochs?: Epochs,
    from?: Living,
  ): Promise<Entry | undefined> {
    const records = this.#records
    const data = storableData(given, asJson)
    const user = this.#settings.userOf(data)
    const labels = labelsOf(user, [])
    const now = records.now
    const { longest } = this.#settings
    const absolute = from?.absolute ?? (longest === never ? never : now + longest)
    const envelope = firstEnvelope(now, {
      // The id is the digest of the secret.
      digest: id,
      ...(from && { createdAt: from.createdAt, authenticatedAt: from.authenticatedAt }),
      absolute,
      epochs: epochs ?? (labels.length === 0 ? {} : await records.marks.epochs(labels)),
      data,
      ...(user === undefined ? {} : { user }),
    })
    const entry = await records.create(id, envelope, labels, Math.min(expiresAt, absolute))
    return entry && (await keptNew(records, entry))
  }

  /**
   * Applies changes to the newest copy.
   *
   * @throws {SessionGone} @throws {ConflictingChange} @throws {OutcomeUnknown} @throws {RevokedMeanwhile}
   */
  async save(base: Kept, changes: Changes, expiresAt: Instant): Promise<Kept> {
    const { id } = base.entry.record.key
    const saved = await this.#records.amend<Saved>(
      id,
      base.entry,
      (found, uncertain) => this.#decide(found, base, changes, expiresAt, uncertain),
      { repeatable: true },
    )
    if (saved === 'gone') throw gone(id)
    if ('conflicts' in saved) throw conflicting(saved.conflicts)
    const isLogin = saved.envelope.user !== base.entry.envelope.user
    return keptOf(isLogin ? await kept(this.#records, saved) : saved)
  }

  /** Prolongs a session. Answers whether it is still there. */
  async touch(entry: Entry, expiresAt: Instant, onFailure: (cause: unknown) => void): Promise<boolean> {
    return await this.#records.touchBehind(entry, expiresAt, onFailure)
  }

  /**
   * Ends what there is under an id, and leaves a tombstone also where there is nothing yet: a first save or a takeover
   * may be under way.
   *
   * @returns whether it was alive.
   * @throws {DeadlineExceeded} when others were faster until the deadline.
   */
  async end(id: string, why: string): Promise<boolean> {
    return await endForGood(this.#records, id, { why, retention: this.#settings.retention })
  }

  /**
   * Takes no more changes from now on, because it goes on under another id. Answers with what was stored last;
   * `undefined` where it had ended.
   */
  async close({ entry }: Kept, successor: string): Promise<JsonObject | undefined> {
    return await this.#records.amend<JsonObject | undefined>(
      entry.record.key.id,
      entry,
      (found) => {
        if (found.state !== 'live') return { stop: closedFor(found, successor) }
        const { record, envelope } = found.entry
        return {
          // No secret opens it any more, and who lost the answer finds by this that it was he who closed it.
          write: {
            envelope: { ...envelope, state: 'closed', digest: successor },
            expiresAt: record.expiresAt,
          },
          answer: () => envelope.data,
        }
      },
      { repeatable: true },
    )
  }

  async #decide(
    found: Found,
    base: Kept,
    changes: Changes,
    expiresAt: Instant,
    uncertain: boolean,
  ): Promise<Decision<Saved>> {
    if (found.state !== 'live') return { stop: 'gone' }
    const { record, envelope } = found.entry
    const merged = this.#merged(found.entry, base, changes, uncertain)
    if (merged.conflicts) return { stop: merged }
    const person = await this.#becomes(found.entry, merged.data)
    if (person === 'revoked') return { stop: 'gone' }
    const setsExpiry = expiresAt < base.expiresAt
    const next: Living = {
      ...(person ? renamed(envelope, person, this.#records.now) : envelope),
      data: merged.data,
      latest: setsExpiry ? Math.max(envelope.latest, record.expiresAt) : envelope.latest,
    }
    return {
      write: { envelope: next, expiresAt, setsExpiry, ...(person ? { labels: person.labels } : {}) },
      answer: (entry) => entry,
    }
  }

  /** The changes on the newest copy. */
  #merged(fresh: Entry, base: Kept, changes: Changes, uncertain: boolean): ReturnType<typeof reapplied> {
    const isKnown =
      base.data === base.entry.envelope.data && fresh.record.version === base.entry.record.version
    if (isKnown) return { data: applied(base.data, changes) }
    const { conflicts } = this.#settings
    return reapplied(base.data, fresh.envelope.data, changes, uncertain ? onceOnly(conflicts) : conflicts)
  }

  /** Who the session belongs to with this data; `undefined`: to the same as before. */
  async #becomes(entry: Entry, data: JsonObject): Promise<Person | 'revoked' | undefined> {
    const { record, envelope } = entry
    const user = this.#settings.userOf(data)
    if (user === envelope.user) return undefined
    const { marks } = this.#records
    // A login must not bring back a session that was revoked and isn't buried yet.
    if (await marks.strikesStrictly(entry)) return 'revoked'
    const labels = labelsOf(user, record.labels)
    if (user === undefined) return { user, epochs: envelope.epochs, labels }
    const own = label('user', user)
    // An epoch that the session had before must not make up for one of this login.
    const carried = Object.entries(envelope.epochs).filter(([each]) => each !== own)
    return { user, epochs: { ...Object.fromEntries(carried), ...(await marks.epochs([own])) }, labels }
  }
}

/** The data of a session that was closed to go on under this id. */
function closedFor(found: Found, successor: string): JsonObject | undefined {
  const isMine = found.state === 'closed' && found.entry.envelope.digest === successor
  return isMine ? found.entry.envelope.data : undefined
}

function renamed({ user: _, ...envelope }: Living, { user, epochs }: Person, now: number): Living {
  if (user === undefined) return { ...envelope, epochs }
  return { ...envelope, epochs, user, authenticatedAt: now }
}

function gone(id: string): SessionGone {
  return new SessionGone(`session ${id} was destroyed or has expired`)
}
