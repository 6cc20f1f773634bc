/**
 * The few methods of a client that the driver uses, and the seam behind which clients differ: how a command is sent
 * to the server that owns a name. The types fit what `createClient()` and `createCluster()` of node-redis give.
 */

import { PartialAnswer } from '../../errors.ts'
import { failure } from './failure.ts'

/** One argument of a command. */
export type Argument = string | Buffer

/** Settings of one command, of node-redis. */
export interface CommandOptions {
  /** Which reply types are given in which form. */
  readonly typeMapping?: { readonly [type: number]: unknown }
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
  nodeClient(node: RedisNode): RedisClient | Promise<RedisClient>
}

/** One server that takes writes. */
export interface Master {
  send(args: readonly Argument[]): Promise<unknown>
  subscriber(): RedisSubscriber
}

/** How commands reach the servers. */
export interface Wire {
  readonly cluster: boolean
  /**
   * Sends one command to the master that owns `name`. Commands of one tick travel together.
   *
   * @param signal Takes back what wasn't sent yet: a write that the caller gave up must not happen later.
   */
  send(name: string, args: readonly Argument[], signal?: AbortSignal): Promise<unknown>
  masters(): Promise<readonly Master[]>
  /** Only a client of our own is connected and let go of. */
  connect?(): Promise<void>
  release?(): void
}

/** Replies of bytes are wanted as bytes, whatever the client was set to: RESP's type `$`. */
const typeMapping = { 36: Buffer }

/** The wire over a given client. */
export function wireOf(client: RedisClient | RedisCluster): Wire {
  return 'nodeClient' in client ? clusterWire(client) : serverWire(client)
}

function serverWire(client: RedisClient): Wire {
  const master: Master = {
    send: (args) => answered(() => client.sendCommand(args, { typeMapping })),
    subscriber: () => client.duplicate(),
  }
  return {
    cluster: false,
    send: (_, args, signal) => answered(() => client.sendCommand(args, options(signal))),
    masters: () => Promise.resolve([master]),
  }
}

function clusterWire(cluster: RedisCluster): Wire {
  return {
    cluster: true,
    send: (name, args, signal) =>
      answered(() => cluster.sendCommand(name, false, [...args], options(signal))),
    masters: () => Promise.all(cluster.masters.map((node) => answered(() => masterOf(cluster, node)))),
  }
}

async function masterOf(cluster: RedisCluster, node: RedisNode): Promise<Master> {
  const client = await cluster.nodeClient(node)
  return {
    send: (args) => answered(() => client.sendCommand(args, { typeMapping })),
    subscriber: () => client.duplicate(),
  }
}

function options(signal: AbortSignal | undefined): CommandOptions {
  return signal ? { typeMapping, abortSignal: signal } : { typeMapping }
}

async function answered<T>(send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    throw failure(error)
  }
}

/**
 * Waits for all answers. A part of them is not an answer.
 *
 * @throws {PartialAnswer} when some are missing; the error itself when all are, or when there is only one.
 */
export async function all<T>(what: string, pending: readonly Promise<T>[]): Promise<readonly T[]> {
  const [only, ...more] = pending
  if (only && more.length === 0) return [await only]
  const settled = await Promise.allSettled(pending)
  const failed = settled.filter((each) => each.status === 'rejected')
  const [first] = failed
  if (!first) return settled.map((each) => (each as PromiseFulfilledResult<T>).value)
  if (failed.length === settled.length) throw first.reason
  throw new PartialAnswer(
    `${what}: ${failed.length} of ${settled.length} were not answered`,
    settled.map((each) => (each.status === 'fulfilled' ? { answer: each.value } : undefined)),
    { cause: first.reason },
  )
}
