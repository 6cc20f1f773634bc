/**
 * How sessions are stored: created, saved, given a new secret. Every change is decided on the newest copy of the
 * record, never on the one that was read, and only while the request's secret and principal are still right.
 */

import { mintSecret } from '../credentials/credential.ts'
import { digestOf } from '../credentials/digest.ts'
import { ConflictingChange, SessionGone } from '../errors.ts'
import { create, kept } from '../records/creating.ts'
import { type Epochs, type JsonObject, labelsOf, type Living } from '../records/envelope.ts'
import type { Decision, Entry, Found, Records } from '../records/records.ts'
import { cycled, recognise, rotated } from '../records/rotation.ts'
import { applied, type Changes, onceOnly, reapplied, storableData } from '../records/saving.ts'
import type { Instant, Label } from '../store/record.ts'
import { absoluteEnd, expiryOf, type SessionSettings } from './options.ts'

/** A login that has begun: made by `sessions.begin` before the credential is checked. Plain data, may be stored. */
export interface Login {
  readonly user: string
  /** The epochs of the user's marks when it began. */
  readonly epochs: Epochs
  /** When it began, milliseconds since 1970 UTC. */
  readonly at: number
  /** The other labels whose epochs were read. @default [] */
  readonly labels?: readonly Label[]
}

/** A session's record and the secret that its client carries from now on. */
export interface Held {
  readonly entry: Entry
  readonly secret: string
}

/** What a new session begins with. */
export interface Beginning {
  readonly login: Login | undefined
  readonly labels: readonly Label[]
  readonly changes: Changes
}

/** What a change came to. */
type Stored = 'gone' | Held | { readonly conflicts: readonly string[] }

/** Puts a new secret into an envelope. */
type SecretChange = (envelope: Living, id: string, current: string, next: string) => Living

export class Storing {
  readonly records: Records
  readonly settings: SessionSettings

  constructor(records: Records, settings: SessionSettings) {
    this.records = records
    this.settings = settings
  }

  /** Stores a new session. @throws {RevokedMeanwhile} */
  async create({ login, labels: others, changes }: Beginning): Promise<Held> {
    const { records, settings } = this
    const now = records.now
    const secret = mintSecret()
    const absolute = absoluteEnd(settings, now)
    const labels = labelsOf(login?.user, others)
    const envelope: Living = {
      state: 'live',
      digest: digestOf(secret),
      past: [],
      createdAt: now,
      authenticatedAt: now,
      absolute,
      latest: 0,
      epochs: await this.#epochs(labels, login),
      data: applied({}, changes),
      ...(login ? { user: login.user } : {}),
    }
    const entry = await create(records, { envelope, labels, expiresAt: expiryOf(settings, absolute, now) })
    return { entry, secret }
  }

  /** Applies changes. @throws {SessionGone} @throws {ConflictingChange} @throws {OutcomeUnknown} */
  async save(held: Held, changes: Changes): Promise<Held> {
    return await this.#amend(held, (found, uncertain) => this.#decideSave(found, held, changes, uncertain))
  }

  /** Runs a function on the newest data, again where another request was faster. @throws {SessionGone} */
  async update<R>(
    held: Held,
    change: (data: JsonObject) => R,
  ): Promise<{ readonly entry: Entry; readonly answer: R }> {
    const amended = await this.records.amend<{ entry: Entry; answer: R } | undefined>(
      held.entry.record.key.id,
      // What the function decides, to throw perhaps, must be decided on what is there now.
      undefined,
      (found) => {
        const fresh = this.#mine(found, held)
        if (!fresh) return { stop: undefined }
        const data = structuredClone(fresh.envelope.data)
        const answer = change(data)
        if (answer instanceof Promise) throw new TypeError('the function of update must not be asynchronous')
        const envelope = { ...fresh.envelope, data: storableData(data) }
        return { write: { envelope, ...this.#used(fresh) }, answer: (entry) => ({ entry, answer }) }
      },
      { repeatable: false },
    )
    if (!amended) throw gone(held.entry)
    return amended
  }

  /** A new principal: all earlier secrets end at once. @throws {SessionGone} @throws {ConflictingChange} */
  async login(held: Held, login: Login, changes: Changes): Promise<Held> {
    await this.#refuseStruck(held.entry)
    const now = this.records.now
    const logIn: SecretChange = (envelope, _id, _current, next) => ({
      ...cycled(envelope, next, now),
      user: login.user,
      authenticatedAt: now,
      absolute: absoluteEnd(this.settings, now),
      epochs: epochsAfter(login, envelope.epochs),
    })
    return await this.#ended(await this.#changeSecret(held, changes, logIn, { login }))
  }

  /** A login that was stored takes itself back where a revocation overlapped it. @throws {RevokedMeanwhile} */
  async keepLogin({ entry }: Held): Promise<void> {
    await kept(this.records, entry)
  }

  /** A new secret; the old one has a window. Somebody else's rotation since then is taken over instead. */
  async rotate(held: Held, changes: Changes): Promise<Held> {
    const { settings, records } = this
    const windows = { grace: settings.grace, cap: settings.graceCap }
    const rotate: SecretChange = (envelope, id, current, next) =>
      rotated(envelope, id, { current, next }, windows, records.now)
    return await this.#changeSecret(held, changes, rotate, { adopts: true })
  }

  /** A new secret, and no window for the old one. */
  async cycleKey(held: Held, changes: Changes): Promise<Held> {
    const cycle: SecretChange = (envelope, _id, _current, next) => cycled(envelope, next, this.records.now)
    return await this.#ended(await this.#changeSecret(held, changes, cycle))
  }

  /** The old secrets have ended: it is said when no cache takes them any more. */
  async #ended(held: Held): Promise<Held> {
    await this.records.acknowledge([held.entry.record.key.id])
    return held
  }

  // ── deciding on the newest copy ───────────────────────────────────────────────────────────────────────────

  async #amend(held: Held, decide: (found: Found, uncertain: boolean) => Decision<Stored>): Promise<Held> {
    const { entry } = held
    const stored = await this.records.amend<Stored>(entry.record.key.id, entry, decide, { repeatable: true })
    if (stored === 'gone') throw gone(entry)
    if ('conflicts' in stored) throw conflicting(stored.conflicts)
    return stored
  }

  #decideSave(found: Found, held: Held, changes: Changes, uncertain: boolean): Decision<Stored> {
    const fresh = this.#mine(found, held)
    if (!fresh) return { stop: 'gone' }
    const merged = this.#merged(fresh, held, changes, uncertain)
    if (merged.conflicts) return { stop: merged }
    return {
      write: { envelope: { ...fresh.envelope, data: merged.data }, ...this.#used(fresh) },
      answer: (entry) => ({ entry, secret: held.secret }),
    }
  }

  async #changeSecret(
    held: Held,
    changes: Changes,
    change: SecretChange,
    { login, adopts = false }: { readonly login?: Login; readonly adopts?: boolean } = {},
  ): Promise<Held> {
    const { id } = held.entry.record.key
    const next = mintSecret()
    const digest = digestOf(next)
    return await this.#amend(held, (found, uncertain) => {
      const fresh = this.#mine(found, { ...held, secret: isHolding(found, digest) ? next : held.secret })
      if (!fresh) return { stop: 'gone' }
      // A write whose answer was lost has happened after all: the new secret is there.
      if (fresh.envelope.digest === digest) return { stop: { entry: fresh, secret: next } }
      const recognition = recognise(fresh.envelope, id, held.secret, this.records.now)
      if (!('secret' in recognition)) return { stop: 'gone' }
      // Many requests that rotate at once must not push each other's secrets out of the record's memory.
      if (adopts && recognition.as === 'predecessor') {
        const adopted = { ...held, secret: recognition.secret }
        if (isEmpty(changes)) return { stop: { entry: fresh, secret: adopted.secret } }
        return this.#decideSave(found, adopted, changes, uncertain)
      }
      const merged = this.#merged(fresh, held, changes, uncertain)
      if (merged.conflicts) return { stop: merged }
      const envelope = { ...change(fresh.envelope, id, recognition.secret, next), data: merged.data }
      const labels = login ? { labels: labelsOf(login.user, fresh.record.labels) } : {}
      return {
        write: { envelope, expiresAt: this.#expiry(envelope), ...labels },
        answer: (entry) => ({ entry, secret: next }),
      }
    })
  }

  /** My changes on the newest copy. */
  #merged(
    fresh: Entry,
    { entry: base }: Held,
    changes: Changes,
    uncertain: boolean,
  ): ReturnType<typeof reapplied> {
    if (fresh.record.version === base.record.version) return { data: applied(fresh.envelope.data, changes) }
    const { conflicts } = this.settings
    return reapplied(
      base.envelope.data,
      fresh.envelope.data,
      changes,
      uncertain ? onceOnly(conflicts) : conflicts,
    )
  }

  /** The newest copy, if it is still the session that this request was let into: same secret, same principal. */
  #mine(found: Found, { entry, secret }: Held): Entry | undefined {
    if (found.state !== 'live') return undefined
    const { record, envelope } = found.entry
    if (record.version === entry.record.version) return found.entry
    if (envelope.user !== entry.envelope.user && envelope.digest !== digestOf(secret)) return undefined
    const recognition = recognise(envelope, record.key.id, secret, this.records.now)
    return 'secret' in recognition ? found.entry : undefined
  }

  /** A login must not bring back a session that was revoked and isn't buried yet. @throws {SessionGone} */
  async #refuseStruck(entry: Entry): Promise<void> {
    const { record, envelope } = entry
    const marked = { id: record.key.id, labels: record.labels, epochs: envelope.epochs }
    if (await this.records.marks.strikesStrictly(marked)) throw gone(entry)
  }

  /** The epochs of all its labels: those of the login as they were when it began. */
  async #epochs(labels: readonly Label[], login: Login | undefined): Promise<Epochs> {
    const known = login ? labelsOf(login.user, login.labels ?? []) : []
    const others = labels.filter((each) => !known.includes(each))
    return { ...(others.length > 0 ? await this.records.marks.epochs(others) : {}), ...login?.epochs }
  }

  /** A save prolongs like a touch, no more often: an expiry that stays spares the store an index. */
  #used({ record, envelope }: Entry): { readonly expiresAt: Instant; readonly touchedAt: number } {
    const { now } = this.records
    const { expiresAt, touchedAt } = record
    if (now - touchedAt < this.settings.touchAfter) return { expiresAt, touchedAt }
    return { expiresAt: this.#expiry(envelope), touchedAt: now }
  }

  #expiry(envelope: Living): Instant {
    return expiryOf(this.settings, envelope.absolute, this.records.now)
  }
}

/** What the login is about begins anew with it; an epoch that the session had before must not make up for it. */
function epochsAfter({ user, labels = [], epochs }: Login, before: Epochs): Epochs {
  const renewed = labelsOf(user, labels)
  const kept = Object.entries(before).filter(([each]) => !renewed.includes(each))
  return { ...Object.fromEntries(kept), ...epochs }
}

function isEmpty({ cleared, keys }: Changes): boolean {
  return !cleared && keys.size === 0
}

function isHolding(found: Found, digest: string): boolean {
  return found.state === 'live' && found.entry.envelope.digest === digest
}

function gone({ record }: Entry): SessionGone {
  return new SessionGone(`session ${record.key.id} was destroyed, has expired or was taken over by a login`)
}

function conflicting(keys: readonly string[]): ConflictingChange {
  return new ConflictingChange(
    `another request changed ${keys.map((each) => JSON.stringify(each)).join(', ')}`,
    keys,
  )
}
