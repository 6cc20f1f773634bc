/** How a request came, and what is noted of it. */

import type { Duration } from '../duration.ts'
import type { Entry } from '../records/records.ts'
import { bondsOf, differences, isOutgrown } from './binding.ts'
import { type Client, type Device, type Facts, type FactsChange, factsOf } from './facts.ts'
import type { SessionSettings } from './options.ts'

/** How a request came. */
export interface Visit {
  /** Whether it counts as a use: one that only looks for news must not keep a session alive. @default true */
  readonly keepAlive?: boolean
  /** Where it came from. Missing: bindings are not compared, and no device is noted. @default not known */
  readonly client?: Client
  /**
   * Whether the client can be given a new secret. Where it can't, as in the upgrade to a WebSocket, a binding whose
   * policy is `rotate` refuses. @default true
   */
  readonly canRotate?: boolean
  /**
   * One request after the other: waits until no other request holds the lock of the session, at most so long, and
   * holds it until `session.release()`. For routes that need strict order; nothing is lost without. @default no lock
   */
  readonly lock?: Duration
}

/** What is noted of where a new secret goes to. */
export function opening(
  settings: SessionSettings,
  visit: Visit,
  fresh: Entry | undefined,
  now: number,
): FactsChange {
  const held = bondsOf(settings.binding, visit.client)
  return { ...seen(settings, visit, fresh, now), ...(held ? { bonds: held } : {}) }
}

/** What is noted of the device, where it is another one than was noted, or has been kept for long enough. */
export function seen(
  { devices }: SessionSettings,
  { client }: Visit,
  fresh: Entry | undefined,
  now: number,
): FactsChange {
  const noted = fresh && factsOf(fresh.envelope).device
  if (devices === 0 || !client) return noted && now - noted.at >= devices ? { device: undefined } : {}
  const device = deviceOf(client, now)
  const isSame = noted && noted.address === device.address && noted.agent === device.agent
  return isSame && now - noted.at < devices ? {} : { device }
}

/**
 * Whether a use has something to put right in the record: a device that was kept for as long as it may be, or what it
 * is bound to, where that is compared in another way now.
 */
export function isOutdated(settings: SessionSettings, visit: Visit, entry: Entry, now: number): boolean {
  const facts = factsOf(entry.envelope)
  if (facts.device && now - facts.device.at >= settings.devices) return true
  return isBoundAnew(settings, visit, facts)
}

/** What a use puts right. */
export function corrected(settings: SessionSettings, visit: Visit, entry: Entry, now: number): FactsChange {
  const isAnew = isBoundAnew(settings, visit, factsOf(entry.envelope))
  return isAnew ? opening(settings, visit, entry, now) : seen(settings, visit, entry, now)
}

/** Whoever is suspected must not be what it is bound to. */
function isBoundAnew({ binding }: SessionSettings, { client }: Visit, facts: Facts): boolean {
  return (
    client !== undefined && isOutgrown(binding, facts) && differences(binding, facts, client).length === 0
  )
}

/** Long enough for any browser's; what is longer was made to fill the store. */
const longestAgent = 512

function deviceOf({ address, agent }: Client, at: number): Device {
  return {
    at,
    ...(address === undefined ? {} : { address: address.slice(0, longestAgent) }),
    ...(agent === undefined ? {} : { agent: agent.slice(0, longestAgent) }),
  }
}
