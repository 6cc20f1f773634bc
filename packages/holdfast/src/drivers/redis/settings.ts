/** What the servers in front of us are and how they are set: asked at open, assumed never. */

import type { Clock } from '../../clock.ts'
import { ClockSkew, HoldfastError, StoreMisconfigured, StoreReadOnly } from '../../errors.ts'
import type { Call, Capabilities, Opened } from '../../store/contract.ts'
import { evicts, linesOf } from './eviction.ts'
import { text } from './layout.ts'
import type { Master, Wire } from './wire.ts'

/** What one server said about itself. */
interface Settings {
  readonly info: ReadonlyMap<string, string>
  /** Its clock minus ours, in milliseconds. */
  readonly skew: number
  /** It calls fsync before it answers. */
  readonly synced: boolean
}

/** The oldest version that is let in: older ones were not considered. */
const oldest = [6, 2]
/** The most keys in one call. */
const mostKeys = 1_000

/**
 * Asks every master for its settings.
 *
 * @param drift How far the masters' clocks may be apart, in milliseconds.
 * @throws {StoreMisconfigured} {StoreReadOnly} {ClockSkew}
 */
export async function settingsOf(wire: Wire, drift: number, clock: Clock, call: Call): Promise<Opened> {
  const started = clock.elapsed()
  const masters = await wire.masters()
  const all = await Promise.all(masters.map((master) => ask(master, call.now - started, clock)))
  for (const { info } of all) refuseUnfit(info, wire.cluster)
  const skews = all.map(({ skew }) => skew)
  const [least, most] = [Math.min(...skews), Math.max(...skews)]
  if (most - least > drift) {
    throw new ClockSkew(
      `the clocks of the masters of this cluster differ by ${most - least} ms, and ${drift} ms are permitted: ` +
        `set the clocks, or raise the option "promise"`,
      most - least,
    )
  }
  const skew = Math.abs(most) > Math.abs(least) ? most : least
  return {
    capabilities: { ...capabilitiesOf(all), watch: wire.deaf === undefined },
    skew,
    description: describe(wire, all),
  }
}

async function ask(master: Master, offset: number, clock: Clock): Promise<Settings> {
  const info = linesOf(text(await master.send(['INFO'])))
  const skew = await skewOf(master, offset, clock)
  const synced = info.get('aof_enabled') === '1' && (await appendFsync(master)) === 'always'
  // Adding 0 makes a rounded −0 plain.
  return { info, skew: skew + 0, synced }
}

/** How often a server is asked for its time: an answer that took long says little about when it was given. */
const timesAsked = 3

/** The master's clock minus ours in whole milliseconds, by the quickest of some answers. */
async function skewOf(master: Master, offset: number, clock: Clock): Promise<number> {
  let quickest = Number.POSITIVE_INFINITY
  let skew = 0
  for (let asked = 0; asked < timesAsked; asked++) {
    const sent = clock.elapsed()
    const reply = (await master.send(['TIME'])) as readonly unknown[]
    const took = clock.elapsed() - sent
    if (took >= quickest) continue
    quickest = took
    const [seconds = 0, microseconds = 0] = reply.map((part) => Number(text(part)))
    skew = Math.round(seconds * 1_000 + microseconds / 1_000 - (offset + sent + took / 2))
  }
  return skew
}

/** Many hosted servers forbid CONFIG. What can't be asked isn't promised. */
async function appendFsync(master: Master): Promise<string> {
  try {
    return last(await master.send(['CONFIG', 'GET', 'appendfsync']))
  } catch (error) {
    if (error instanceof HoldfastError) return ''
    throw error
  }
}

/** The last text of a reply: clients give a pair as an array, a Map, an object or an array of objects. */
function last(reply: unknown): string {
  if (typeof reply !== 'object' || reply === null || reply instanceof Uint8Array) return text(reply)
  return last(
    (reply instanceof Map ? [...(reply.values() as Iterable<unknown>)] : Object.values(reply)).at(-1),
  )
}

function refuseUnfit(info: ReadonlyMap<string, string>, cluster: boolean): void {
  const version = info.get('redis_version') ?? '0'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < (oldest[0] ?? 0) || (major === oldest[0] && minor < (oldest[1] ?? 0))) {
    throw new StoreMisconfigured(`Redis ${version} is too old: ${oldest.join('.')} or later is needed`)
  }
  if ((info.get('redis_mode') === 'cluster') !== cluster) {
    throw new StoreMisconfigured(
      cluster
        ? 'this server is not part of a cluster: give a client of a single server (createClient)'
        : 'this server is part of a cluster: give a client of the cluster (createCluster), or a URL that names several nodes',
    )
  }
  if (info.get('role') === 'slave')
    throw new StoreReadOnly('this Redis server is a replica: it can only be read')
}

function capabilitiesOf(all: readonly Settings[]): Omit<Capabilities, 'watch'> {
  const keepsAll = !all.some(({ info }) => evicts(info))
  return {
    // Replication is asynchronous: a replica that takes over may lack the last acknowledged writes.
    durable: { process: true, machine: all.every(({ synced }) => synced), failover: false },
    shared: true,
    // A server that evicts takes whole indexes with it, and a listing would silently miss what they held.
    listing: keepsAll ? 'complete' : 'none',
    scanning: keepsAll,
    counting: keepsAll,
    atomicBatch: false,
    atomicLabels: false,
    nativeExpiry: true,
    cheapTouch: true,
    cached: false,
    maxBatch: mostKeys,
  }
}

function describe(wire: Wire, all: readonly Settings[]): string {
  const info = all[0]?.info
  const valkey = info?.get('valkey_version')
  const product = valkey ? `Valkey ${valkey}` : `Redis ${info?.get('redis_version') ?? ''}`
  return wire.cluster
    ? `${product}, a cluster of ${all.length} masters`
    : `${product}, port ${info?.get('tcp_port') ?? ''}`
}
