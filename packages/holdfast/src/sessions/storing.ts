/**
 * How sessions are stored: created, saved, given a new secret. Every change is decided on the newest copy of the
 * record, never on the one that was read, and only while the request's secret and principal are still right.
 */

import { mintSecret } from '../credentials/credential.ts'
import { digestOf } from '../credentials/digest.ts'
import { RevokedMeanwhile, SessionGone } from '../errors.ts'
import { create, kept } from '../records/creating.ts'
import { type Epochs, firstEnvelope, type JsonObject, labelsOf, type Living } from '../records/envelope.ts'
import type { Decision, Entry, Found, Records, Rewritten } from '../records/records.ts'
import { cycled, recognise, rotated } from '../records/rotation.ts'
import {
  type Applied,
  applied,
  type Changes,
  conflicting,
  isUnchanged,
  onceOnly,
  reapplied,
} from '../records/saving.ts'
import type { Awaitable } from '../store/contract.ts'
import type { Instant, Label } from '../store/record.ts'
import { changesOwn, parted, storableOwn } from './dictionary.ts'
import { absoluteEnd, expiryOf, wasUsed } from './expiry.ts'
import { type FactsChange, withFacts, withoutFacts } from './facts.ts'
import { besides, type Held, heldAs, seenAs } from './held.ts'
import type { SessionSettings } from './options.ts'
import { epochsAfter, isAnother, labelsAfter, labelsWith, type Login } from './login.ts'
import { checkData, migrated, type SessionSchema, seenThrough } from './schema.ts'
import { corrected, opening, seen, type Visit } from './visit.ts'

/** What a request changes. */
export interface Pending extends Changes {
  readonly facts: FactsChange
  readonly visit: Visit
}

/** What a new session begins with. */
export interface Beginning {
  readonly login: Login | undefined
  readonly labels: readonly Label[]
  readonly pending: Pending
}

/** When a session was last used, and when it ends therefore. */
interface Use {
  readonly expiresAt: Instant
  readonly touchedAt: number
}

/** What a change came to. */
type Stored = 'gone' | Held | { readonly conflicts: readonly string[] }

/** What is told of a session. */
type Told =
  | { readonly type: 'created' }
  | { readonly type: 'rotated'; readonly cycled: boolean }
  | { readonly type: 'revoked'; readonly why: string }

/** How a secret is changed. */
interface ChangeOptions {
  readonly login?: Login
  /** Takes over what somebody else has changed it to. @default false */
  readonly adopts?: boolean
  /** Whether somebody else had before the session was read. @default false */
  readonly hasSuccessor?: boolean
}

/** Puts a new secret into an envelope. */
type SecretChange = (envelope: Living, id: string, current: string, next: string) => Living

export class Storing {
  readonly records: Records
  readonly settings: SessionSettings

  constructor(records: Records, settings: SessionSettings) {
    this.records = records
    this.settings = settings
  }

  /** Stores a new session. @throws {RevokedMeanwhile} @throws {InvalidData} */
  async create({ login, labels: others, pending }: Beginning): Promise<Held> {
    const { records, settings } = this
    const now = records.now
    const secret = mintSecret()
    const labels = labelsWith(login, others)
    const plain = firstEnvelope(now, {
      digest: digestOf(secret),
      absolute: absoluteEnd(settings, pending.facts.remembered === true, now),
      epochs: await this.#epochs(labels, login),
      data: await this.#checked(applied({}, pending)),
      ...(login ? { user: login.user } : {}),
    })
    const envelope = withFacts(plain, {
      ...opening(settings, pending.visit, undefined, now),
      ...pending.facts,
    })
    const entry = await create(records, { envelope, labels, expiresAt: expiryOf(settings, envelope, now) })
    this.#tell({ type: 'created' }, entry)
    return { entry, secret }
  }

  /** Applies changes. @throws {SessionGone} @throws {ConflictingChange} @throws {OutcomeUnknown} @throws {InvalidData} */
  async save(held: Held, pending: Pending): Promise<Held> {
    return await this.#amend(held, (found, uncertain) => this.#decideSave(found, held, pending, uncertain))
  }

  /** Prolongs on purpose, or shortens: other than a touch, and in one write with the changes. @throws {SessionGone} */
  async refresh(held: Held, pending: Pending, age: number | undefined): Promise<Held> {
    if (age === 0) return await this.#endedNow(held)
    return await this.#amend(held, async (found, uncertain) => {
      const decision = await this.#decideSave(found, held, pending, uncertain)
      if (!('write' in decision)) return decision
      const now = this.records.now
      const { envelope } = decision.write
      if (age === undefined) {
        return setsExpiry(pending)
          ? decision
          : { ...decision, write: { envelope, ...this.#usedNow(envelope) } }
      }
      const until = now + age
      const written = {
        envelope: withFacts(envelope, { until }),
        expiresAt: Math.min(until, envelope.absolute),
        touchedAt: now,
      }
      return { ...decision, write: this.#ending(found, written) }
    })
  }

  /**
   * Stored data as the schema has it now: stored in its new form where it had an older one, hidden where the schema
   * refuses it. `undefined` for a session that has ended.
   */
  async migrate(held: Held, schema: SessionSchema): Promise<Held | undefined> {
    const { entry } = held
    const first = await migrated(schema, entry.envelope.data)
    if (!first || first.data === entry.envelope.data) return seenAs(held, first)
    return await this.records.amend<Held | undefined>(
      entry.record.key.id,
      entry,
      async (found) => {
        const fresh = this.#mine(found, held)
        if (!fresh) return { stop: undefined }
        const made = await migrated(schema, fresh.envelope.data)
        if (!made || made.data === fresh.envelope.data) {
          return { stop: seenAs({ ...held, entry: fresh }, made) }
        }
        const { expiresAt, touchedAt } = fresh.record
        return {
          write: { envelope: { ...fresh.envelope, data: made.data }, expiresAt, touchedAt },
          answer: (written) => seenAs({ ...held, entry: written }, made),
        }
      },
      { repeatable: true },
    )
  }

  /** Data as it is shown: in the schema's present form, and nothing where the schema refuses it. */
  async shown(data: JsonObject): Promise<JsonObject> {
    return (await seenThrough(this.settings.schema, data))[0]
  }

  /** Prolongs as a use does, and puts right what is noted of where it is used. `undefined` where it has ended. */
  async renew(held: Held, visit: Visit): Promise<Held | undefined> {
    const { entry } = held
    return await this.records.amend<Held | undefined>(
      entry.record.key.id,
      entry,
      (found) => {
        const fresh = this.#mine(found, held)
        if (!fresh) return { stop: undefined }
        const facts = corrected(this.settings, visit, fresh, this.records.now)
        const envelope = withFacts(fresh.envelope, facts)
        return {
          write: { envelope, ...this.#usedNow(envelope) },
          answer: (written) => ({ ...held, entry: written }),
        }
      },
      { repeatable: true },
    )
  }

  /** Runs a function on the newest data, again where another request was faster. @throws {SessionGone} */
  async update<R>(
    held: Held,
    change: (data: JsonObject) => R,
    visit: Visit,
  ): Promise<{ readonly held: Held; readonly answer: R }> {
    const amended = await this.records.amend<{ held: Held; answer: R } | undefined>(
      held.entry.record.key.id,
      // What the function decides, to throw perhaps, must be decided on what is there now.
      undefined,
      async (found) => {
        const fresh = this.#mine(found, held)
        if (!fresh) return { stop: undefined }
        const [shown, beside] = await seenThrough(this.settings.schema, fresh.envelope.data)
        const [data, reserved] = parted(shown)
        const given = structuredClone(data)
        const answer = change(given)
        if (answer instanceof Promise) throw new TypeError('the function of update must not be asynchronous')
        const own = storableOwn(given)
        const added = Object.keys(own).filter((name) => !Object.hasOwn(data, name))
        const next = await this.#checked({ ...beside, ...own, ...reserved }, added)
        const facts = seen(this.settings, visit, fresh, this.records.now)
        const envelope = withFacts({ ...fresh.envelope, data: next }, facts)
        return {
          write: { envelope, ...this.#used(fresh, visit) },
          answer: (entry) => ({ held: besides(entry, held.secret, Object.keys(beside)), answer }),
        }
      },
      { repeatable: false },
    )
    if (!amended) throw gone(held.entry)
    return amended
  }

  /** A new principal: all earlier secrets end at once. @throws {SessionGone} @throws {ConflictingChange} */
  async login(held: Held, login: Login, pending: Pending): Promise<Held> {
    await this.#refuseStruck(held.entry)
    const now = this.records.now
    const logIn: SecretChange = (envelope, _id, _current, next) => ({
      ...cycled(isAnother(envelope, login) ? withoutFacts(envelope) : envelope, next, now),
      user: login.user,
      authenticatedAt: now,
      absolute: absoluteEnd(this.settings, pending.facts.remembered === true, now),
      epochs: epochsAfter(login, envelope.epochs),
    })
    return await this.#ended((await this.#changeSecret(held, pending, logIn, { login })).stored)
  }

  /** A login that was stored takes itself back where a revocation overlapped it. @throws {RevokedMeanwhile} */
  async keepLogin({ entry }: Held): Promise<void> {
    try {
      await kept(this.records, entry)
    } catch (error) {
      if (error instanceof RevokedMeanwhile) this.#tell({ type: 'revoked', why: 'revoked meanwhile' }, entry)
      throw error
    }
  }

  /**
   * A new secret; the old one has a window. Somebody else's rotation since then is taken over instead.
   *
   * @param hasSuccessor Whether that was before the session was read.
   */
  async rotate(held: Held, pending: Pending, hasSuccessor: boolean): Promise<Held> {
    const { settings, records } = this
    const windows = { grace: settings.grace, cap: settings.graceCap }
    const rotate: SecretChange = (envelope, id, current, next) =>
      rotated(envelope, id, { current, next }, windows, records.now)
    const { stored, isMine } = await this.#changeSecret(held, pending, rotate, {
      adopts: true,
      hasSuccessor,
    })
    if (isMine) this.#tell({ type: 'rotated', cycled: false }, stored.entry)
    return stored
  }

  /** A new secret, and no window for the old one. */
  async cycleKey(held: Held, pending: Pending): Promise<Held> {
    const cycle: SecretChange = (envelope, _id, _current, next) => cycled(envelope, next, this.records.now)
    return await this.#ended((await this.#changeSecret(held, pending, cycle)).stored)
  }

  /** The old secrets have ended: it is said when no cache takes them any more. */
  async #ended(held: Held): Promise<Held> {
    await this.records.acknowledge([held.entry.record.key.id])
    this.#tell({ type: 'rotated', cycled: true }, held.entry)
    return held
  }

  // ── deciding on the newest copy ───────────────────────────────────────────────────────────────────────────

  async #amend(
    held: Held,
    decide: (found: Found, uncertain: boolean) => Awaitable<Decision<Stored>>,
  ): Promise<Held> {
    const { entry } = held
    const stored = await this.records.amend<Stored>(entry.record.key.id, entry, decide, { repeatable: true })
    if (stored === 'gone') throw gone(entry)
    if ('conflicts' in stored) throw conflicting(stored.conflicts)
    if (stored.entry.record.expiresAt < entry.record.expiresAt) await this.#shortened(stored)
    return stored
  }

  /** Ends it here and now. What was to be changed in it is of no use to anybody. @throws {SessionGone} */
  async #endedNow(held: Held): Promise<Held> {
    const { entry } = held
    await this.#amend(held, (found) => ({ stop: this.#mine(found, held) ? held : 'gone' }))
    const over = { ...held, entry: { ...entry, record: { ...entry.record, expiresAt: this.records.now } } }
    await this.#shortened(over)
    return over
  }

  /** That it ends earlier is said when no cache answers with the later end any more. */
  async #shortened({ entry }: Held): Promise<void> {
    const { id } = entry.record.key
    // A creation that was delayed on its way may take the place of what has expired, but never of a tombstone.
    const isOver = entry.record.expiresAt <= this.records.now
    if (isOver) await this.records.bury(id, 'expired at once')
    await this.records.acknowledge([id])
    if (isOver) this.#tell({ type: 'revoked', why: 'expired at once' }, entry)
  }

  #decideSave(found: Found, held: Held, pending: Pending, uncertain: boolean): Awaitable<Decision<Stored>> {
    const fresh = this.#mine(found, held)
    if (!fresh) return { stop: 'gone' }
    const decided = (merged: Applied): Decision<Stored> => {
      if (merged.conflicts) return { stop: merged }
      return {
        write: this.#changed(found, fresh, { ...fresh.envelope, data: merged.data }, pending),
        answer: (entry) => heldAs(held, entry, held.secret),
      }
    }
    const merged = this.#merged(fresh, held, pending, uncertain)
    return merged instanceof Promise ? merged.then(decided) : decided(merged)
  }

  async #changeSecret(
    held: Held,
    pending: Pending,
    change: SecretChange,
    { login, adopts = false, hasSuccessor = false }: ChangeOptions = {},
  ): Promise<{ readonly stored: Held; readonly isMine: boolean }> {
    const { id } = held.entry.record.key
    const next = mintSecret()
    const digest = digestOf(next)
    const stored = await this.#amend(held, async (found, uncertain) => {
      const fresh = this.#mine(found, { ...held, secret: isHolding(found, digest) ? next : held.secret })
      if (!fresh) return { stop: 'gone' }
      // A write whose answer was lost has happened after all: the new secret is there.
      if (fresh.envelope.digest === digest) return { stop: heldAs(held, fresh, next) }
      const recognition = recognise(fresh.envelope, id, held.secret, this.records.now)
      if (!('secret' in recognition)) return { stop: 'gone' }
      // Many requests that rotate at once must not push each other's secrets out of the record's memory.
      if (adopts && (hasSuccessor || recognition.as === 'predecessor')) {
        const adopted = { ...held, secret: recognition.secret }
        if (isEmpty(pending)) return { stop: heldAs(held, fresh, adopted.secret) }
        return await this.#decideSave(found, adopted, pending, uncertain)
      }
      // What somebody else left in it is not for who logs in now.
      const merged: Applied = isAnother(fresh.envelope, login)
        ? { data: await this.#checked(applied({}, pending)) }
        : await this.#merged(fresh, held, pending, uncertain)
      if (merged.conflicts) return { stop: merged }
      const changed = change(fresh.envelope, id, recognition.secret, next)
      const facts = this.#reopened({ ...fresh, envelope: changed }, pending)
      const envelope = withFacts({ ...changed, data: merged.data }, facts)
      const labels = login ? { labels: labelsAfter(login, fresh) } : {}
      const isEnding = login !== undefined || setsExpiry(pending)
      const when = isEnding ? this.#usedNow(envelope) : this.#cycledNow({ ...fresh, envelope }, pending.visit)
      const written = { envelope, ...when, ...labels }
      return {
        write: isEnding ? this.#ending(found, written) : written,
        answer: (entry) => heldAs(held, entry, next),
      }
    })
    return { stored, isMine: stored.secret === next }
  }

  /** What is noted where a session gets a new secret. */
  #reopened(entry: Entry, { facts, visit }: Pending): FactsChange {
    const { now } = this.records
    return { ...opening(this.settings, visit, entry, now), rotatedAt: now, ...facts }
  }

  /** My changes on the newest copy. @throws {InvalidData} */
  #merged(fresh: Entry, held: Held, changes: Changes, uncertain: boolean): Awaitable<Applied> {
    const { schema } = this.settings
    if (schema && changesOwn(changes)) return this.#checkedMerge(schema, fresh, held, changes, uncertain)
    return this.#merge(fresh, held, changes, uncertain)
  }

  async #checkedMerge(
    schema: SessionSchema,
    fresh: Entry,
    held: Held,
    changes: Changes,
    uncertain: boolean,
  ): Promise<Applied> {
    // What is hidden is replaced; but what another request has put in its place meanwhile is not.
    const isRefused = held.isHidden === true && !(await migrated(schema, fresh.envelope.data))
    const merged = isRefused
      ? { data: applied(parted(fresh.envelope.data)[1], changes) }
      : this.#merge(fresh, held, changes, uncertain)
    if (!merged.conflicts) await checkData(schema, merged.data, [...changes.keys.keys()])
    return merged
  }

  #merge(fresh: Entry, { entry: base }: Held, changes: Changes, uncertain: boolean): Applied {
    const isFresh = fresh.record.version === base.record.version
    if (isFresh && !hasOlderBase(changes)) return { data: applied(fresh.envelope.data, changes) }
    const { conflicts } = this.settings
    const policy = uncertain ? onceOnly(conflicts) : conflicts
    return reapplied(base.envelope.data, fresh.envelope.data, changes, policy)
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
    if (await this.records.marks.strikesStrictly(entry)) throw gone(entry)
  }

  /** The epochs of all its labels: those of the login as they were when it began. */
  async #epochs(labels: readonly Label[], login: Login | undefined): Promise<Epochs> {
    const known = login ? labelsOf(login.user, login.labels ?? []) : []
    const others = labels.filter((each) => !known.includes(each))
    return { ...(others.length > 0 ? await this.records.marks.epochs(others) : {}), ...login?.epochs }
  }

  /** How a save is written. */
  #changed(found: Found, fresh: Entry, changed: Living, pending: Pending): Rewritten {
    const noted = seen(this.settings, pending.visit, fresh, this.records.now)
    const envelope = withFacts(changed, { ...noted, ...pending.facts })
    if (!setsExpiry(pending)) return { envelope, ...this.#used({ ...fresh, envelope }, pending.visit) }
    return this.#ending(found, { envelope, ...this.#usedNow(envelope) })
  }

  /** A write that sets the expiry on purpose, also to an earlier one: then the tombstone must outlive the later. */
  #ending(found: Found, written: Rewritten): Rewritten {
    const before = found.state === 'live' ? found.entry.record.expiresAt : 0
    const latest = Math.max(written.envelope.latest, before > written.expiresAt ? before : 0)
    return { ...written, envelope: { ...written.envelope, latest }, setsExpiry: true }
  }

  /** A save prolongs like a touch, no more often: an expiry that stays spares the store an index. */
  #used(entry: Entry, { keepAlive = true }: Visit): Use {
    const { expiresAt, touchedAt } = entry.record
    const isRecent = wasUsed(this.settings, entry, this.records.now)
    return !keepAlive || isRecent ? { expiresAt, touchedAt } : this.#usedNow(entry.envelope)
  }

  /** A new secret counts as a use, unless the request is none. */
  #cycledNow({ record, envelope }: Entry, { keepAlive = true }: Visit): Use {
    const { expiresAt, touchedAt } = record
    return keepAlive ? this.#usedNow(envelope) : { expiresAt, touchedAt }
  }

  #usedNow(envelope: Living): Use {
    return { expiresAt: this.#expiry(envelope), touchedAt: this.records.now }
  }

  #expiry(envelope: Living): Instant {
    return expiryOf(this.settings, envelope, this.records.now)
  }

  /** @throws {InvalidData} */
  async #checked(data: JsonObject, set?: readonly string[]): Promise<JsonObject> {
    if (this.settings.schema) await checkData(this.settings.schema, data, set)
    return data
  }

  #tell(event: Told, entry: Entry): void {
    this.settings.onEvent({ ...happening(entry), ...event })
  }
}

/** What an event says of a session. */
export function happening({ record, envelope }: Entry): {
  readonly collection: string
  readonly id: string
  readonly user?: string
} {
  const { collection, id } = record.key
  return { collection, id, ...(envelope.user === undefined ? {} : { user: envelope.user }) }
}

function setsExpiry({ facts }: Pending): boolean {
  return 'expiry' in facts || 'remembered' in facts
}

function isEmpty(pending: Pending): boolean {
  return isUnchanged(pending) && Object.keys(pending.facts).length === 0
}

/** Whether something was changed inside of a value that another request may have replaced since it was taken out. */
function hasOlderBase({ keys }: Changes): boolean {
  for (const change of keys.values()) if (change !== 'deleted' && 'from' in change) return true
  return false
}

function isHolding(found: Found, digest: string): boolean {
  return found.state === 'live' && found.entry.envelope.digest === digest
}

function gone({ record }: Entry): SessionGone {
  return new SessionGone(`session ${record.key.id} was destroyed, has expired or was taken over by a login`)
}
