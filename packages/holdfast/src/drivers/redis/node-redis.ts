/**
 * node-redis: `createClient()`, `createCluster()` and `createSentinel()`, version 5 or later.
 *
 * A single client and a cluster send nothing twice: what was on its way when the connection broke is rejected. A
 * Sentinel's client does send again, so it is only asked who the master is, and that one's client is used itself.
 */

import { AnswerLost, StoreReadOnly, StoreUnavailable } from '../../errors.ts'
import { failure } from './failure.ts'
import { Recall } from './recall.ts'
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

/** Settings of one command. */
export interface CommandOptions {
  /** Which reply types are given in which form. */
  readonly typeMapping?: { readonly [type: number]: unknown }
  /** 0: the client doesn't watch over how long the command waits to be sent. */
  readonly timeout?: number
  /** Takes the command back if it wasn't sent yet. */
  readonly abortSignal?: AbortSignal
}

/** A client of one server: `createClient()` of node-redis. */
export interface RedisClient {
  sendCommand(args: readonly Argument[], options?: CommandOptions): Promise<unknown>
  /** A second client of the same server, not connected yet. */
  duplicate(): RedisSubscriber
}

/** What a duplicated client must be able to do. */
export interface RedisSubscriber {
  connect(): Promise<unknown>
  subscribe(channels: string[], listener: (message: string, channel: string) => void): Promise<void>
  on(event: 'error' | 'end', listener: (cause: unknown) => void): unknown
  destroy(): void
}

/** One node of a cluster. */
export interface RedisNode {
  readonly address: string
}

/** A client of a cluster: `createCluster()` of node-redis. */
export interface RedisCluster {
  sendCommand(
    firstKey: Argument | undefined,
    isReadonly: boolean | undefined,
    args: Argument[],
    options?: CommandOptions,
  ): Promise<unknown>
  readonly masters: readonly RedisNode[]
  /** Who has which slot. */
  readonly slots?: readonly ({ readonly master: RedisNode } | undefined)[]
  nodeClient(node: RedisNode): RedisClient | Promise<RedisClient>
}

/** A client that Sentinel tells where the master is: `createSentinel()` of node-redis. */
export interface RedisSentinel {
  /** Runs a function with the master's client, again after a fail-over. */
  _execute<T>(isReadonly: boolean | undefined, run: (client: RedisClient) => Promise<T>): Promise<T>
  getMasterNode(): unknown
}

/** Replies of bytes are wanted as bytes, whatever the client was set to: RESP's type `$`. */
const typeMapping = { 36: Buffer }

/** Errors after which the command was certainly not sent. */
const unsentErrors = new Set([
  'ClientClosedError',
  'ClientOfflineError',
  'AbortError',
  'TimeoutError',
  'CommandTimeoutDuringMaintenanceError',
  'ConnectionTimeoutError',
  'RootNodesUnavailableError',
])

export function nodeRedisWire(client: RedisClient | RedisCluster | RedisSentinel): Wire {
  if ('nodeClient' in client) return clusterWire(client)
  return 'getMasterNode' in client ? sentinelWire(client) : serverWire(client)
}

function serverWire(client: RedisClient): Wire {
  const master = masterOf(client)
  return {
    cluster: false,
    send: (_, args, asker) => handedOver(asker, (options) => client.sendCommand(args, options)),
    masters: () => Promise.resolve([master]),
    owner: () => Promise.resolve(master),
  }
}

function clusterWire(cluster: RedisCluster): Wire {
  const master = async (node: RedisNode): Promise<Master> => {
    return masterOf(await answered(async () => await cluster.nodeClient(node)))
  }
  return {
    cluster: true,
    send: (name, args, asker) =>
      handedOver(asker, (options) => cluster.sendCommand(name, false, [...args], options)),
    masters: () => Promise.all(cluster.masters.map(master)),
    owner: async (name) => {
      const node = cluster.slots?.[slotOfName(name)]?.master
      if (!node) throw new StoreUnavailable('the slot has no master that this client knows')
      return await master(node)
    },
  }
}

function sentinelWire(sentinel: RedisSentinel): Wire {
  const current = new CurrentMaster(sentinel)
  const send = (args: readonly Argument[], asker?: Asker): Promise<unknown> =>
    current.use((client) => handedOver(asker, (options) => client.sendCommand(args, options)), asker)
  const master: Master = {
    send,
    subscribe: async (channels, audience) => {
      const connection = await current.use((client) => Promise.resolve(client.duplicate()))
      return await subscribed(connection, channels, audience)
    },
  }
  return {
    cluster: false,
    send: (_, args, asker) => send(args, asker),
    masters: () => Promise.resolve([master]),
    owner: () => Promise.resolve(master),
  }
}

/** The client of the master, borrowed from Sentinel's client as long as commands are under way. */
interface Loan {
  readonly client: Promise<RedisClient>
  readonly end: (cause?: unknown) => void
  users: number
  /** The client, once it is there. */
  lent?: RedisClient
}

const noMaster = 'Redis cannot be reached: Sentinel knows no master that answers'

class CurrentMaster {
  readonly #sentinel: RedisSentinel
  #loan: Loan | undefined

  constructor(sentinel: RedisSentinel) {
    this.#sentinel = sentinel
  }

  /** Runs once with the client of the master; not at all when there is none in time. */
  async use<T>(run: (client: RedisClient) => Promise<T>, asker?: Asker): Promise<T> {
    this.#loan ??= this.#borrowed()
    const loan = this.#loan
    loan.users++
    try {
      const client = loan.lent ?? (await this.#lent(loan, asker))
      return await answered(() => run(client))
    } catch (error) {
      // The master may be another one by now, so the next command asks anew.
      if (error instanceof StoreUnavailable || error instanceof StoreReadOnly || error instanceof AnswerLost)
        this.#end(loan, error.cause)
      throw error
    } finally {
      if (--loan.users === 0) this.#end(loan)
    }
  }

  async #lent(loan: Loan, asker: Asker | undefined): Promise<RedisClient> {
    const client = await inTime(loan.client, waitToSend, noMaster)
    if (asker?.signal.aborted) throw new StoreUnavailable('given up before it was sent')
    loan.lent = client
    return client
  }

  #borrowed(): Loan {
    let ended = false
    let end: Loan['end'] = () => undefined
    const inUse = new Promise<void>((resolve, reject) => {
      end = (cause) => {
        ended = true
        // Told of a failure, Sentinel's client looks for the master again.
        if (cause instanceof Error) reject(cause)
        else resolve()
      }
    })
    inUse.catch(() => undefined)
    const client = new Promise<RedisClient>((resolve, reject) => {
      const lend = async (lent: RedisClient): Promise<void> => {
        if (ended) return
        resolve(lent)
        await inUse
      }
      this.#sentinel._execute(false, lend).catch((error: unknown) => {
        reject(failure(error, () => true))
      })
    })
    client.catch(() => undefined)
    return { client, end, users: 0 }
  }

  #end(loan: Loan, cause?: unknown): void {
    if (this.#loan === loan) this.#loan = undefined
    loan.end(cause)
  }
}

function masterOf(client: RedisClient): Master {
  return {
    send: (args) => handedOver(undefined, (options) => client.sendCommand(args, options)),
    subscribe: (channels, audience) => subscribed(client.duplicate(), channels, audience),
  }
}

async function subscribed(
  connection: RedisSubscriber,
  channels: readonly string[],
  audience: Audience,
): Promise<Subscription> {
  let standing = false
  const lost = new Promise<never>((_, reject) => {
    const end = (cause: unknown): void => {
      reject(failure(cause, isUnsent))
      if (!standing) return
      standing = false
      audience.lost(cause)
    }
    connection.on('error', end)
    connection.on('end', end)
  })
  lost.catch(() => undefined)
  const told = (message: string): void => {
    audience.told(message)
  }
  try {
    const subscribing = async (): Promise<void> => {
      await connection.connect()
      if (channels.length > 0) await connection.subscribe([...channels], told)
    }
    await inTime(
      Promise.race([subscribing(), lost]),
      subscribingPatience,
      'Redis does not confirm a subscription',
    )
  } catch (error) {
    connection.destroy()
    throw failure(error, isUnsent)
  }
  standing = true
  return {
    close: () => {
      standing = false
      connection.destroy()
    },
  }
}

/** Hands a command over to the client, so that it is taken back when it can't be sent. */
async function handedOver(
  asker: Asker | undefined,
  send: (options: CommandOptions) => Promise<unknown>,
): Promise<unknown> {
  try {
    return await send({ typeMapping, timeout: 0, abortSignal: new Recall(asker) as unknown as AbortSignal })
  } catch (error) {
    throw failure(error, isUnsent)
  }
}

async function answered<T>(send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    throw failure(error, isUnsent)
  }
}

function isUnsent(error: Error): boolean {
  return unsentErrors.has(error.constructor.name) || error.message === 'The queue is full'
}
