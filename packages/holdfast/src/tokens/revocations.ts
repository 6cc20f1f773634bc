/**
 * The revocation list. A revoked token's tombstone carries `state:revoked` and the hour in which it was revoked, and
 * nothing else: so the list and "since when" are listings, and the living are never slowed by the dead. Hours rather
 * than ascending ids, because an id that was drawn earlier may be committed later, and a reader would miss it.
 */

import { InvalidCursor, InvalidOption } from '../errors.ts'
import type { Records } from '../records/records.ts'
import type { Cursor } from '../store/contract.ts'
import type { Instant, Label } from '../store/record.ts'

/** One revoked token. */
export interface Revocation {
  readonly id: string
  readonly user?: string
  /** Milliseconds since 1970 UTC. */
  readonly revokedAt: number
  /** When it would have expired on its own, milliseconds since 1970 UTC, or `never`. */
  readonly expiresAt: Instant
  readonly why: string
}

const hour = 3_600_000
/** How many hours one page looks through at most, so that its work is bounded. */
const hoursPerPage = 48

/** What a tombstone of a token can be listed by. */
export function revocationLabels(at: number): readonly Label[] {
  return ['state:revoked', hourLabel(Math.floor(at / hour))]
}

export class RevocationList {
  readonly #records: Records
  readonly #retention: number

  /** @param retention How long tombstones are kept, in milliseconds: no hour before that has any. */
  constructor(records: Records, retention: number) {
    this.#records = records
    this.#retention = retention
  }

  async page(options: {
    readonly since?: number
    readonly after?: Cursor
    readonly limit?: number
  }): Promise<{ readonly revocations: readonly Revocation[]; readonly next?: Cursor }> {
    return options.since === undefined ? await this.#all(options) : await this.#since(options.since, options)
  }

  async #all({ after, limit }: { readonly after?: Cursor; readonly limit?: number }) {
    return await this.#listed('state:revoked', 0, {
      ...(after === undefined ? {} : { after }),
      limit: limit ?? 100,
    })
  }

  /** Walks the hours from the one before `since`: clocks of writers differ, up to the margin. */
  async #since(since: number, { after, limit = 100 }: { readonly after?: Cursor; readonly limit?: number }) {
    if (!Number.isSafeInteger(since)) {
      throw new InvalidOption('`since` is whole milliseconds since 1970')
    }
    const { margin } = this.#records.store
    const oldest = this.#records.now - this.#retention - margin
    const earliest = Math.max(0, Math.floor((Math.max(since, oldest) - margin) / hour))
    let { at, inHour } = after === undefined ? { at: earliest, inHour: undefined } : position(after)
    const last = Math.floor((this.#records.now + margin) / hour)
    for (let walked = 0; walked < hoursPerPage && at <= last; walked++) {
      const page = await this.#listed(hourLabel(at), since - margin, {
        limit,
        ...(inHour === undefined ? {} : { after: inHour }),
      })
      if (page.next !== undefined) return { revocations: page.revocations, next: `${at}:${page.next}` }
      at++
      inHour = undefined
      if (page.revocations.length > 0) {
        return at <= last
          ? { revocations: page.revocations, next: `${at}:` }
          : { revocations: page.revocations }
      }
    }
    return at <= last ? { revocations: [], next: `${at}:` } : { revocations: [] }
  }

  async #listed(by: Label, from: number, options: { readonly after?: Cursor; readonly limit: number }) {
    const page = await this.#records.list([by], options)
    const revocations = page.records.flatMap((record): Revocation[] => {
      const found = this.#records.opened(record)
      if (found.state !== 'dead') return []
      const { at, ends, user, why } = found.tombstone
      if (at < from || ends <= this.#records.now) return []
      return [
        { id: record.key.id, revokedAt: at, expiresAt: ends, why, ...(user === undefined ? {} : { user }) },
      ]
    })
    return { revocations, ...(page.next === undefined ? {} : { next: page.next }) }
  }
}

function hourLabel(hours: number): Label {
  return `revoked:${new Date(hours * hour).toISOString().slice(0, 13)}`
}

function position(cursor: Cursor): { at: number; inHour: Cursor | undefined } {
  const match = /^(\d{1,9}):(.*)$/s.exec(cursor)
  if (!match) throw new InvalidCursor('this cursor is not of a revocation list')
  return { at: Number(match[1]), inHour: match[2] === '' ? undefined : match[2] }
}
