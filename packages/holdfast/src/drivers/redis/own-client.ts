/**
 * The client that the store makes for itself from a URL, with the settings that we recommend: a command waits at most
 * a second for a lost connection, so that a server which is away is an error and never a wait; a connection over
 * which nothing comes, not even the answer to a ping, is given up.
 */

import { systemClock } from '../../clock.ts'
import { ClientMissing, StoreMisconfigured, StoreUnavailable } from '../../errors.ts'
import type { TlsOptions } from '../../store/store.ts'
import { type Address, parsed } from './address.ts'
import { failure } from './failure.ts'
import { text } from './layout.ts'
import { nodeRedisWire, type RedisClient, type RedisCluster, type RedisSentinel } from './node-redis.ts'
import type { Wire } from './wire.ts'

/** What is used of the package `redis`. */
interface Library {
  createClient(options: object): RedisClient & Life
  createCluster(options: object): RedisCluster & Life
  createSentinel(options: object): RedisSentinel & Life
}

interface Life {
  connect(): Promise<unknown>
  destroy(): unknown
  on(event: 'error' | 'node-error', listener: (cause: unknown) => void): unknown
}

/** Where the servers are, and how the connections to them are made. */
interface Place extends Address {
  readonly socket: object
}

/** A client and the wire over it. */
interface Held {
  readonly client: Life
  readonly wire: Wire
  /** Ends the signs of life. */
  readonly rest: () => void
}

const connectTimeout = 2_000
/** Milliseconds without a byte from the server after which a connection counts as dead. */
const socketTimeout = 5_000
/** Milliseconds between two signs of life, without which a connection that nobody uses would count as dead. */
const signEvery = 2_000
/** Milliseconds between two looks of our own at where Sentinel says that the master is. */
const scanInterval = 1_000

const socket = {
  connectTimeout,
  socketTimeout,
  reconnectStrategy: (retries: number): number => Math.min(20 * 2 ** retries, 500),
}

/** A wire over a client of our own, connected by `connect` and closed by `release`. */
export function ownWire(url: string, load: () => Promise<unknown>, tls?: TlsOptions): Wire {
  const address = parsed(url)
  if (tls && !address.secure)
    throw new StoreMisconfigured('the option "tls" needs a URL that begins with rediss: or valkeys:')
  const place: Place = { ...address, socket: address.secure ? { ...socket, ...tls, tls: true } : socket }
  let held: Held | undefined
  let connecting: Promise<void> | undefined
  const connect = async (): Promise<void> => {
    try {
      held = await heldFor(place, asLibrary(await load()))
    } finally {
      connecting = undefined
    }
  }
  const current = (): Wire => {
    if (!held) throw unconnected()
    return held.wire
  }
  return {
    get cluster() {
      return held?.wire.cluster ?? address.kind === 'cluster'
    },
    send: (name, args, asker) => (held ? held.wire.send(name, args, asker) : Promise.reject(unconnected())),
    masters: async () => await current().masters(),
    owner: async (name) => await current().owner(name),
    async connect() {
      if (held) return
      // An attempt that was given up may still be under way when the next one comes.
      connecting ??= connect()
      await connecting
    },
    release() {
      if (held) letGo(held)
      held = undefined
    },
  }
}

async function heldFor(place: Place, library: Library): Promise<Held> {
  if (place.kind === 'cluster') return await connected(clusterFor(place, library))
  if (place.kind === 'sentinel') return await connected(sentinelFor(place, library))
  const server = await connected(library.createClient(serverSettings(place)))
  if (!(await isOfCluster(server))) return server
  // The address of one node is enough to find the others.
  letGo(server)
  if (place.database !== 0) throw new StoreMisconfigured('a cluster has no database but 0')
  return await connected(clusterFor(place, library))
}

/** Whether one node is part of a cluster. */
async function isOfCluster(server: Held): Promise<boolean> {
  try {
    return text(await server.wire.send('', ['INFO', 'cluster'])).includes('cluster_enabled:1')
  } catch (error) {
    letGo(server)
    throw asUnavailable(error)
  }
}

function serverSettings(place: Place): object {
  const [{ host, port } = { host: '', port: 0 }] = place.hosts
  const { login, database } = place
  return { ...login, database, socket: { ...place.socket, host, port } }
}

function clusterFor(place: Place, library: Library): RedisCluster & Life {
  return library.createCluster({
    rootNodes: place.hosts.map(({ host, port }) => ({ socket: { host, port } })),
    defaults: { ...place.login, socket: place.socket },
    topologyRefreshOnReconnectionAttemptStrategy: 500,
  })
}

function sentinelFor(place: Place, library: Library): RedisSentinel & Life {
  const { login, database, hosts, master } = place
  return library.createSentinel({
    name: master,
    sentinelRootNodes: hosts,
    nodeClientOptions: { ...login, database, socket: place.socket },
    sentinelClientOptions: { socket: place.socket },
    scanInterval,
  })
}

/** Connects, or fails at the first error: later ones are the business of whoever sends a command. */
async function connected(client: (RedisClient | RedisCluster | RedisSentinel) & Life): Promise<Held> {
  try {
    await new Promise<void>((resolve, reject) => {
      client.on('node-error', () => undefined)
      client.on('error', (cause) => {
        reject(cause instanceof Error ? cause : new Error(String(cause)))
      })
      client.connect().then(() => {
        resolve()
      }, reject)
    })
  } catch (error) {
    letGo({ client, rest: () => undefined })
    throw asUnavailable(error)
  }
  const wire = nodeRedisWire(client)
  return { client, wire, rest: keptAwake(wire) }
}

/**
 * Has every master say something from time to time. The client could do so too, but after connections were cut its own
 * timers went on when it was destroyed, and kept the process from ending.
 */
function keptAwake(wire: Wire): () => void {
  let isOver = false
  let cancel = (): void => undefined
  const sign = async (): Promise<void> => {
    try {
      const masters = await wire.masters()
      await Promise.allSettled(masters.map((master) => master.send(['PING'])))
    } catch {
      // Told to whoever sends a command.
    }
    if (!isOver) later()
  }
  const later = (): void => {
    cancel = systemClock.timer(signEvery, () => void sign())
  }
  later()
  return () => {
    isOver = true
    cancel()
  }
}

/** Nothing but the greeting was sent, so nothing can have been changed. */
function asUnavailable(error: unknown): Error {
  const cause = failure(error, () => true)
  return cause instanceof StoreMisconfigured ? cause : new StoreUnavailable(cause.message, { cause: error })
}

function unconnected(): StoreUnavailable {
  return new StoreUnavailable('Redis is not connected')
}

/** However a client is closed: what it has to say at its end, also that it never was open, helps nobody. */
function letGo({ client, rest }: Pick<Held, 'client' | 'rest'>): void {
  rest()
  Promise.resolve()
    .then(() => client.destroy())
    .catch(() => undefined)
}

function asLibrary(loaded: unknown): Library {
  if (typeof loaded === 'object' && loaded && 'createClient' in loaded && 'createSentinel' in loaded) {
    return loaded as Library
  }
  throw new ClientMissing('this store needs the package redis, version 5 or later: npm install redis')
}
