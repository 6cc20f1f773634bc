/**
 * ioredis 5 or later and its fork iovalkey: `Redis`, also with `sentinels`, and `Cluster`.
 *
 * Both send again what was on its way when a connection broke (`autoResendUnfulfilledCommands`,
 * `retryDelayOnFailover`), and then answer for the second copy: a compare-and-swap that had happened would be told as
 * refused. So connections are watched, and when one breaks, every answer that is awaited counts as lost. Both also keep
 * commands for a connection that is away; nothing is given to them before it is ready.
 */

import { systemClock } from '../../clock.ts'
import { AnswerLost, StoreUnavailable } from '../../errors.ts'
import { failure } from './failure.ts'
import { slotOfName } from './slot.ts'
import {
  type Argument,
  type Asker,
  type Audience,
  inTime,
  type Master,
  subscribingPatience,
  type Subscription,
  waitToSend,
  type Wire,
} from './wire.ts'

/** What both kinds of clients can do. */
interface IoRedis {
  readonly status: string
  connect(): Promise<void>
  callBuffer(command: string, ...args: Argument[]): Promise<unknown>
}

/** A client of one server: `new Redis()` of ioredis or iovalkey. */
export interface IoRedisClient extends IoRedis {
  readonly options: object
  /** A second client of the same server. */
  duplicate(override?: IoRedisOverride): IoRedisSubscriber
  on(event: string, listener: (...args: unknown[]) => void): unknown
}

/** The settings with which a connection for a subscription differs. */
export interface IoRedisOverride {
  readonly lazyConnect: boolean
  readonly autoResubscribe: boolean
  readonly enableOfflineQueue: boolean
  readonly retryStrategy: () => null
}

/** What a duplicated client must be able to do. */
export interface IoRedisSubscriber {
  connect(): Promise<void>
  subscribe(...channels: string[]): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): unknown
  disconnect(): void
}

/** A client of a cluster: `new Cluster()` of ioredis or iovalkey. */
export interface IoRedisCluster extends IoRedis {
  /** For each slot the addresses of its nodes, `host:port`, the master first. */
  readonly slots: readonly (readonly string[])[]
  nodes(role: 'master' | 'all'): readonly IoRedisClient[]
  on(event: string, listener: (...args: unknown[]) => void): unknown
}

/** Messages of errors after which the command was certainly not sent. */
const unsentMessages = [
  "Stream isn't writeable and enableOfflineQueue options is false",
  "Cluster isn't ready and enableOfflineQueue options is false",
  'None of startup nodes is available',
  'Failed to refresh slots cache.',
  'Cluster is ended.',
]

/** What is known of a client besides what it tells, one for each, however many stores use it. */
const knowledge = new WeakMap<object, Connections>()

export function ioRedisWire(client: IoRedisClient | IoRedisCluster): Wire {
  const connections = connectionsOf(client)
  const send = (args: readonly Argument[], asker?: Asker): Promise<unknown> =>
    sent(client, connections, args, asker)
  if ('nodes' in client) return clusterWire(client, connections, send)
  const master = masterOf(client, connections)
  return {
    cluster: false,
    send: (_, args, asker) => send(args, asker),
    masters: () => Promise.resolve([master]),
    owner: () => Promise.resolve(master),
  }
}

function clusterWire(
  cluster: IoRedisCluster,
  connections: Connections,
  send: (args: readonly Argument[], asker?: Asker) => Promise<unknown>,
): Wire {
  return {
    cluster: true,
    send: (_, args, asker) => send(args, asker),
    masters: async () => {
      await connections.ready()
      return cluster.nodes('master').map((node) => masterOf(node, connectionsOf(node)))
    },
    owner: async (name) => {
      await connections.ready()
      const address = cluster.slots[slotOfName(name)]?.[0]
      const node = cluster.nodes('master').find((each) => addressOf(each) === address)
      if (!node) throw new StoreUnavailable('the slot has no master that this client knows')
      return masterOf(node, connectionsOf(node))
    },
  }
}

function masterOf(client: IoRedisClient, connections: Connections): Master {
  return {
    send: (args) => sent(client, connections, args),
    subscribe: (channels, audience) => subscribed(client, channels, audience),
  }
}

async function sent(
  client: IoRedis,
  connections: Connections,
  args: readonly Argument[],
  asker?: Asker,
): Promise<unknown> {
  // Without a pause where there is a connection: commands of one tick have to stay together, in their order.
  if (!connections.isReady) {
    await connections.ready()
    if (asker?.signal.aborted) throw new StoreUnavailable('given up before it was sent')
  }
  const [command = '', ...rest] = args
  return await new Promise((resolve, reject) => {
    const answered = connections.whenBroken(() => {
      reject(new AnswerLost('the connection broke, and what was on its way may be sent twice'))
    })
    client.callBuffer(String(command), ...rest).then(
      (answer) => {
        answered()
        resolve(answer)
      },
      (error: unknown) => {
        answered()
        reject(failure(error, isUnsent))
      },
    )
  })
}

/** Whether a client is connected, and who has to know when a connection of it breaks. */
class Connections {
  readonly #client: IoRedisClient | IoRedisCluster
  readonly #watched = new WeakSet<object>()
  #whenReady: Promise<void> | undefined
  readonly #breaks = new Set<() => void>()

  constructor(client: IoRedisClient | IoRedisCluster) {
    this.#client = client
    if (!('nodes' in client)) {
      this.#watch(client)
      return
    }
    for (const node of client.nodes('all')) this.#watch(node)
    client.on('+node', (node) => {
      this.#watch(node as IoRedisClient)
    })
  }

  get isReady(): boolean {
    return this.#client.status === 'ready'
  }

  /** Calls back when a connection breaks, until what this answers with is called. */
  whenBroken(broken: () => void): () => void {
    this.#breaks.add(broken)
    return () => this.#breaks.delete(broken)
  }

  /** @throws {StoreUnavailable} when it isn't in time */
  ready(): Promise<void> {
    if (this.isReady) return Promise.resolve()
    this.#whenReady ??= this.#wait().finally(() => (this.#whenReady = undefined))
    return this.#whenReady
  }

  async #wait(): Promise<void> {
    const pause = 10
    const ends = systemClock.elapsed() + waitToSend
    // Made with `lazyConnect`, it waits for its first command.
    if (this.#client.status === 'wait') this.#client.connect().catch(() => undefined)
    while (!this.isReady) {
      if (this.#client.status === 'end' || systemClock.elapsed() > ends)
        throw new StoreUnavailable(`Redis cannot be reached: the client is ${this.#client.status}`)
      await systemClock.sleep(pause)
    }
  }

  #watch(node: IoRedisClient): void {
    if (this.#watched.has(node)) return
    this.#watched.add(node)
    node.on('close', () => {
      for (const broken of this.#breaks) broken()
      this.#breaks.clear()
    })
  }
}

function connectionsOf(client: IoRedisClient | IoRedisCluster): Connections {
  const known = knowledge.get(client) ?? new Connections(client)
  knowledge.set(client, known)
  return known
}

async function subscribed(
  client: IoRedisClient,
  channels: readonly string[],
  audience: Audience,
): Promise<Subscription> {
  // A connection that came back by itself would be silent about what was missed meanwhile.
  const connection = client.duplicate({
    lazyConnect: true,
    autoResubscribe: false,
    enableOfflineQueue: true,
    retryStrategy: () => null,
  })
  let standing = false
  let cause: unknown
  connection.on('error', (error) => (cause = error))
  connection.on('message', (_, message) => {
    audience.told(String(message))
  })
  connection.on('close', () => {
    if (!standing) return
    standing = false
    audience.lost(cause ?? new StoreUnavailable('the connection was closed'))
  })
  try {
    const subscribing = async (): Promise<void> => {
      await connection.connect()
      if (channels.length > 0) await connection.subscribe(...channels)
    }
    await inTime(subscribing(), subscribingPatience, 'Redis does not confirm a subscription')
  } catch (error) {
    connection.disconnect()
    throw failure(cause ?? error, isUnsent)
  }
  standing = true
  return {
    close: () => {
      standing = false
      connection.disconnect()
    },
  }
}

function addressOf({ options }: IoRedisClient): string {
  const { host, port } = options as { readonly host?: unknown; readonly port?: unknown }
  return `${String(host)}:${String(port)}`
}

function isUnsent({ message }: Error): boolean {
  return unsentMessages.includes(message)
}
