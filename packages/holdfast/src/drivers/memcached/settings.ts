/** What the servers in front of us are and how they are set: asked at open, assumed never. */

import type { Clock } from '../../clock.ts'
import { StoreMisconfigured } from '../../errors.ts'
import type { Call, Capabilities, Opened } from '../../store/contract.ts'
import type { MemcachedClient, MemcachedServerReport } from './client/client.ts'
import { mostBytesBesideValue } from './layout.ts'

/** The most keys in one call. */
const mostKeys = 100
/** A server tells the time in whole seconds, and its own clock is up to a second behind. */
const coarseness = 2_000
/** What a key and the server's own overhead take, rounded up. */
const mostBytesBesideRecord = 512

/** What was found out. */
export interface Found {
  readonly opened: Opened
  /** Some server refuses what it has no room for, instead of dropping something else. */
  readonly refuses: boolean
}

/**
 * Asks every server for its settings.
 *
 * @throws {StoreMisconfigured} when the longest value would not fit into an item.
 */
export async function settingsOf(
  client: MemcachedClient,
  options: { readonly largest: number; readonly listing: Capabilities['listing']; readonly clock: Clock },
  call: Call,
): Promise<Found> {
  const { clock } = options
  const asked = clock.elapsed()
  const reports = await client.servers(call)
  const middle = call.now + (clock.elapsed() - asked) / 2
  const longestItem = Math.min(...reports.map((each) => each.longestItem))
  refuseTooSmall(options.largest, longestItem)
  return {
    opened: {
      capabilities: capabilitiesOf(options.listing),
      skew: skewOf(reports, middle),
      description: described(reports),
    },
    refuses: reports.some(({ evicts }) => !evicts),
  }
}

function refuseTooSmall(largest: number, longestItem: number): void {
  const needed = largest + mostBytesBesideValue + mostBytesBesideRecord
  if (needed <= longestItem) return
  throw new StoreMisconfigured(
    `values of up to ${largest} bytes need items of ${needed}, and a Memcached server here holds at most ` +
      `${longestItem}: start it with a greater -I, or lower the options "maxValue" and "maxIndex"`,
  )
}

/** The greatest difference of any server, in milliseconds; 0 where it is less than can be told. */
function skewOf(reports: readonly MemcachedServerReport[], now: number): number {
  const skews = reports.map(({ time }) => time * 1_000 + coarseness / 2 - now)
  const greatest = skews.reduce((most, skew) => (Math.abs(skew) > Math.abs(most) ? skew : most), 0)
  return Math.abs(greatest) < coarseness ? 0 : Math.round(greatest)
}

function capabilitiesOf(listing: Capabilities['listing']): Capabilities {
  return {
    // The servers go on without this process. Without them, nothing is left.
    durable: { process: true, machine: false, failover: false },
    shared: true,
    listing,
    scanning: false,
    counting: false,
    atomicBatch: false,
    atomicLabels: false,
    nativeExpiry: true,
    cheapTouch: false,
    cached: false,
    watch: false,
    maxBatch: mostKeys,
  }
}

function described(reports: readonly MemcachedServerReport[]): string {
  const versions = [...new Set(reports.map(({ version }) => version))].join(', ')
  const names = reports.map(({ name }) => name).join(', ')
  const drops = reports.some(({ evicts }) => evicts) ? 'may drop any record' : 'drops everything at a restart'
  return `Memcached ${versions} at ${names}, a cache that ${drops}`
}
