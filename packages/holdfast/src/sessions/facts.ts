/** What a session keeps about itself, beside its data: how long it lives, how its user logged in, where it was opened. */

import type { JsonObject, Living } from '../records/envelope.ts'

/** Where a session is used from. */
export interface Client {
  /** The IP address. */
  readonly address?: string
  /** The `User-Agent`. */
  readonly agent?: string
}

/** A device, as "your sessions" pages show it. */
export interface Device extends Client {
  /** When it was noted, milliseconds since 1970 UTC. */
  readonly at: number
}

/** A session's facts. All of them are optional: one that nobody asked anything of has none. */
export interface Facts {
  /** Its own expiry: milliseconds since its last use, 0 for the browser's close, or an instant as an ISO 8601 text. */
  readonly expiry?: number | string
  /** It was prolonged until then, by `refresh`. */
  readonly until?: number
  /** Its user asked to be remembered: the longer timeouts count. */
  readonly remembered?: boolean
  /** When it was given its secret, where that was after its creation. */
  readonly rotatedAt?: number
  /** How its user proved who they are, and when: the names of RFC 8176 or of the application. */
  readonly methods?: Readonly<Record<string, number>>
  /** Digests of what it is bound to, each of the salt and the thing. */
  readonly bonds?: {
    readonly salt: string
    readonly address?: string
    readonly agent?: string
    /** How each was to be compared then. Missing in what was stored before it was noted. */
    readonly match?: { readonly address?: string; readonly agent?: string }
  }
  readonly device?: Device
}

/** Facts to be set; `undefined` takes one away. */
export type FactsChange = { readonly [Name in keyof Facts]?: Facts[Name] | undefined }

const none: Facts = {}

/** The facts of an envelope. Whoever may write to the store may have put anything there: what is used is checked. */
export function factsOf(envelope: Pick<Living, 'facts'>): Facts {
  return envelope.facts ?? none
}

/** What was noted of the device, as long as it is kept. @param kept In milliseconds. */
export function deviceKept(envelope: Pick<Living, 'facts'>, kept: number, now: number): Device | undefined {
  const { device } = factsOf(envelope)
  return device && now - device.at < kept ? { ...device } : undefined
}

/** The envelope with facts changed. */
export function withFacts(envelope: Living, change: FactsChange): Living {
  if (Object.keys(change).length === 0) return envelope
  const facts = Object.fromEntries(
    Object.entries({ ...envelope.facts, ...change }).filter(([, value]) => value !== undefined),
  ) as JsonObject
  const { facts: before, ...rest } = envelope
  if (before === undefined && Object.keys(facts).length === 0) return envelope
  return Object.keys(facts).length === 0 ? rest : { ...rest, facts }
}

/** The envelope without any: somebody else's are nobody's business. */
export function withoutFacts(envelope: Living): Living {
  const { facts: _, ...rest } = envelope
  return rest
}
