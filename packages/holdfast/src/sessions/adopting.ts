/**
 * Adopting: a session that another library has stored becomes one of ours when its client first comes with the other
 * library's cookie. Its record and its first secret are derived from that cookie, so that every request that brings it
 * meets in one record. What is there under that id is the answer, whatever it is; the other library's store is asked
 * only where there is nothing.
 */

import type { CredentialParts } from '../credentials/credential.ts'
import { digestOf } from '../credentials/digest.ts'
import { InvalidOption, RevokedMeanwhile } from '../errors.ts'
import { kept } from '../records/creating.ts'
import { firstEnvelope, type JsonObject, labelsOf } from '../records/envelope.ts'
import { endForGood } from '../records/forestalling.ts'
import type { Entry } from '../records/records.ts'
import { asJson, storableData } from '../records/saving.ts'
import { isLive } from '../store/record.ts'
import { absoluteEnd, expiryOf } from './expiry.ts'
import { withFacts } from './facts.ts'
import type { OldSession, OldSessionReader } from './keyed/old.ts'
import { namedUser } from './login.ts'
import type { SessionSettings } from './options.ts'
import { happening, type Storing } from './storing.ts'
import { opening, type Visit } from './visit.ts'

/** How the sessions of another library become ours. */
export interface Adoption {
  readonly from: OldSessionReader
  /** Who is logged in by what is stored there. */
  readonly user: (data: JsonObject) => string | undefined
  /** What of it goes on. */
  readonly data: (data: JsonObject) => object
}

/** What another library's cookie says, once its signature was verified. */
export interface OldCredential {
  /** The secret id of the session there. */
  readonly sid: string
  /** What it is here. */
  readonly parts: CredentialParts
}

/** Another library's cookie, as a request brought it. */
export interface OldArrival {
  readonly adoption: Adoption
  /** Verifies it, once, and first where that matters; `undefined`: it wasn't signed there. */
  credential(): OldCredential | undefined
}

/** What there is under an id, by the truth. */
type There = 'live' | 'ended' | 'nothing'

/** The same as the sessions of the drop-in are remembered for where it reads what another library has stored. */
const leastRetention = 90 * 86_400_000

/**
 * A tombstone is the only thing that keeps the other library's cookie, or a backup of its store, from logging somebody
 * in again. It is kept no longer than what it stands for could have lived, so a long retention costs next to nothing.
 *
 * @throws {InvalidOption}
 */
export function checkRetention({ retention }: SessionSettings): void {
  if (retention >= leastRetention) return
  throw new InvalidOption(
    '`adopt` needs sessions that remember what was logged out for as long as the cookies and backups of the other ' +
      "library can come back: new Sessions(store, { retention: '90d' }), or longer",
  )
}

export class Adopting {
  readonly #storing: Storing

  constructor(storing: Storing) {
    this.#storing = storing
  }

  /**
   * Sees to it that what the other library has stored is here, and not there any more.
   *
   * @returns what opens it here, which is still to be let in as any other session; `undefined` where nothing is here.
   * @throws what the reader throws: an outage there is never "not logged in".
   */
  async adopted(old: OldArrival, visit: Visit): Promise<CredentialParts | undefined> {
    const credential = old.credential()
    if (!credential) return undefined
    const { sid, parts } = credential
    const there = await this.#there(parts.id)
    const now = there === 'nothing' ? await this.#takenOver(old.adoption, credential, visit) : there
    if (now !== 'live') return undefined
    // Here first, and only then gone there. Also where it was here before: whoever created it may have got no further.
    await old.adoption.from.remove(sid)
    return parts
  }

  /**
   * Ends it here, so that the cookie which is left in the browser opens nothing, and removes it there.
   *
   * @param ended The id of what the caller has ended already.
   */
  async end(old: OldArrival, ended: string | undefined): Promise<void> {
    const given = old.credential()
    if (!given) return
    const { id } = given.parts
    const { records, settings } = this.#storing
    if (id !== ended) {
      const why = 'destroyed'
      const wasAlive = await endForGood(records, id, { why, retention: settings.retention })
      await records.acknowledge([id])
      if (wasAlive) settings.onEvent({ type: 'revoked', collection: settings.collection, id, why })
    }
    await old.adoption.from.remove(given.sid)
  }

  /** Tombstones and what has expired are answers too, so they are looked at as well. */
  async #there(id: string): Promise<There> {
    const { records } = this.#storing
    const record = await records.store.read(records.key(id), { strict: true, expired: true })
    if (!record) return 'nothing'
    return isLive(record, records.now) && records.opened(record).state === 'live' ? 'live' : 'ended'
  }

  async #takenOver(adoption: Adoption, credential: OldCredential, visit: Visit): Promise<There> {
    const { from } = adoption
    const { sid, parts } = credential
    const row = await from.read(sid)
    // Somebody may have taken it over, and removed the row, since we looked.
    if (!row || !isLive(row, this.#storing.records.now)) return await this.#there(parts.id)
    try {
      const entry = await this.#created(adoption, parts, row, visit)
      if (!entry) return await this.#there(parts.id)
      this.#storing.settings.onEvent({ ...happening(entry), type: 'created' })
      return 'live'
    } catch (error) {
      if (!(error instanceof RevokedMeanwhile)) throw error
      await from.remove(sid)
      return 'ended'
    }
  }

  /** @returns `undefined` when something is there under its id. @throws {RevokedMeanwhile} */
  async #created(
    adoption: Adoption,
    { id, secret }: CredentialParts,
    row: OldSession,
    visit: Visit,
  ): Promise<Entry | undefined> {
    const { records, settings } = this.#storing
    const { now } = records
    const user = namedUser(adoption.user(row.data))
    const plain = firstEnvelope(now, {
      digest: digestOf(secret),
      // Nobody has proved anything here, and nobody knows when they did so there: it is never fresh.
      authenticatedAt: 0,
      absolute: absoluteEnd(settings, false, now),
      // Its tombstone must outlive the row, not only the idle timeout: a backup may bring that one back.
      latest: row.expiresAt,
      // Nobody knows what was revoked since it was stored there: every mark of its user strikes it.
      epochs: {},
      data: storableData(adoption.data(row.data) as JsonObject, asJson),
      ...(user === undefined ? {} : { user }),
    })
    const envelope = withFacts(plain, opening(settings, visit, undefined, now))
    // A request that is a use of it prolongs it as it would have done there. By another it ends when it would have.
    const used = expiryOf(settings, envelope, now)
    const expiresAt = visit.keepAlive === false ? Math.min(row.expiresAt, used) : used
    const touchedAt = now - (used - expiresAt)
    const entry = await records.create(id, envelope, labelsOf(user, []), expiresAt, touchedAt)
    return entry && (await kept(records, entry))
  }
}
