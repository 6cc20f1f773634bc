/**
 * Valkey GLIDE 2: `GlideClient` and `GlideClusterClient`.
 *
 * It has no way to take a command back, and its errors are worded by its core, which is undone here. A subscription
 * that it lost and found again is told to nobody, so nothing can be promised of a feed over it: there is none.
 */

import { AnswerLost, StoreUnavailable } from '../../errors.ts'
import { failure } from './failure.ts'
import { text } from './layout.ts'
import type { Argument, Master, Wire } from './wire.ts'

/** Settings of one command. */
export interface GlideOptions {
  /** `Decoder.Bytes`. */
  readonly decoder?: 0
  readonly route?: GlideRoute
}

/** To which node a command goes. */
export type GlideRoute =
  | { readonly type: 'primarySlotKey'; readonly key: string }
  | { readonly type: 'primarySlotId'; readonly id: number }
  | 'randomNode'

/** A client of one server: `GlideClient.createClient()`. */
export interface GlideClient {
  customCommand(args: Argument[], options?: Pick<GlideOptions, 'decoder'>): Promise<unknown>
}

/** A client of a cluster: `GlideClusterClient.createClient()`. */
export interface GlideCluster {
  customCommand(args: Argument[], options?: GlideOptions): Promise<unknown>
  /** Only a cluster's client has it. */
  invokeScriptWithRoute(...args: never[]): unknown
}

const deaf =
  'Valkey GLIDE does not tell when a subscription was interrupted, so changes could be missed unseen: to watch, give ' +
  'the store a client of node-redis, ioredis or iovalkey'

/** How GLIDE's core words the server's error codes. */
const wordings: readonly (readonly [RegExp, string])[] = [
  [/^An error was signalled by the server: - /, ''],
  [/^ResponseError: /, ''],
  [/^NoScriptError: /, 'NOSCRIPT '],
  [/^ReadOnly: /, 'READONLY '],
  [/^TryAgain: /, 'TRYAGAIN '],
  [/^Moved: /, 'MOVED '],
  [/^Ask: /, 'ASK '],
  [/^BusyLoadingError: /, 'LOADING '],
  [/^ClusterDown: /, 'CLUSTERDOWN '],
  [/^MasterDown: /, 'MASTERDOWN '],
  [/^CrossSlot: /, 'CROSSSLOT '],
  [/^([A-Z]{2,}): /, '$1 '],
]

export function glideWire(client: GlideClient | GlideCluster): Wire {
  return 'invokeScriptWithRoute' in client ? clusterWire(client) : serverWire(client)
}

function serverWire(client: GlideClient): Wire {
  const send = (args: readonly Argument[], signal?: AbortSignal): Promise<unknown> =>
    answered(() => client.customCommand([...args], { decoder: 0 }), signal)
  const master: Master = { send, subscribe }
  return {
    cluster: false,
    deaf,
    send: (_, args, signal) => send(args, signal),
    masters: () => Promise.resolve([master]),
    owner: () => Promise.resolve(master),
  }
}

function clusterWire(client: GlideCluster): Wire {
  const send = (route: GlideRoute, args: readonly Argument[], signal?: AbortSignal): Promise<unknown> =>
    answered(() => client.customCommand([...args], { decoder: 0, route }), signal)
  const masterAt = (route: GlideRoute): Master => ({ send: (args) => send(route, args), subscribe })
  return {
    cluster: true,
    roams: true,
    deaf,
    send: (name, args, signal) => send({ type: 'primarySlotKey', key: name }, args, signal),
    masters: async () => {
      const nodes = text(await send('randomNode', ['CLUSTER', 'NODES'])).split('\n')
      return nodes.flatMap((line) => mastersRoute(line) ?? []).map(masterAt)
    },
    owner: (name) => Promise.resolve(masterAt({ type: 'primarySlotKey', key: name })),
  }
}

function subscribe(): Promise<never> {
  return Promise.reject(new StoreUnavailable(deaf))
}

/**
 * A way to the master in a line of `CLUSTER NODES`, if it is one that has slots: by its first slot, because its address
 * may be another one for us.
 */
function mastersRoute(line: string): GlideRoute | undefined {
  const [, , flags = '', , , , , , ...slots] = line.trim().split(' ')
  const first = /^\d+/.exec(slots.find((range) => !range.startsWith('[')) ?? '')
  if (!flags.includes('master') || flags.includes('fail') || !first) return undefined
  return { type: 'primarySlotId', id: Number(first[0]) }
}

async function answered<T>(send: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal?.aborted) throw new StoreUnavailable('given up before it was sent')
  try {
    return await send()
  } catch (error) {
    throw failure(reworded(error), isUnsent)
  }
}

function reworded(error: unknown): Error {
  if (!(error instanceof Error)) return new AnswerLost('Redis did not answer', { cause: error })
  if (isUnsent(error)) return error
  const message = wordings.reduce((told, [wording, code]) => told.replace(wording, code), error.message)
  return new Error(message, { cause: error })
}

function isUnsent(error: Error): boolean {
  return error.name === 'ClosingError' || error.name === 'CircuitBreakerError'
}
