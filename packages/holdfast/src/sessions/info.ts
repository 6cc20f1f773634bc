/** A session in a list. */

import { copyOf, type JsonObject } from '../records/envelope.ts'
import type { Entry } from '../records/records.ts'
import type { Instant, Label } from '../store/record.ts'
import { parted } from './dictionary.ts'
import { type Device, deviceKept, factsOf } from './facts.ts'

/** A session as its owner or an operator sees it in a list. Holds no secret. */
export interface SessionInfo<Data extends object = JsonObject> {
  readonly id: string
  readonly user?: string
  readonly labels: readonly Label[]
  /** Milliseconds since 1970 UTC, as all instants. */
  readonly createdAt: number
  /** When its user last logged in; 0 where nobody knows, because it was adopted. */
  readonly authenticatedAt: number
  /** When it was last used, as exactly as `touchEvery` has it. */
  readonly touchedAt: number
  readonly expiresAt: Instant
  /** How its user proved who they are, and when, milliseconds since 1970 UTC by method. */
  readonly methods: Readonly<Record<string, number>>
  /** Where it was last seen, as long as `devices` has it kept. */
  readonly device?: Device
  readonly data: Partial<Data>
}

/**
 * @param shown Its data, as far as it is shown.
 * @param kept How long devices are kept, in milliseconds.
 */
export function infoOf<Data extends object>(
  { record, envelope }: Entry,
  shown: JsonObject,
  kept: number,
  now: number,
): SessionInfo<Data> {
  const { methods = {} } = factsOf(envelope)
  const device = deviceKept(envelope, kept, now)
  const [data] = parted(shown)
  return {
    id: record.key.id,
    labels: record.labels,
    createdAt: envelope.createdAt,
    authenticatedAt: envelope.authenticatedAt,
    touchedAt: record.touchedAt,
    expiresAt: Math.min(record.expiresAt, envelope.absolute),
    methods: { ...methods },
    data: copyOf(data) as Partial<Data>,
    ...(device ? { device } : {}),
    ...(envelope.user === undefined ? {} : { user: envelope.user }),
  }
}
