/**
 * Valkey GLIDE 2: `GlideClient` and `GlideClusterClient`.
 *
 * It has no way to take a command back, and its errors are worded by its core, which is undone here. A subscription
 * that it lost and found again is told to nobody, so nothing can be promised of a feed over it: there is none.
 */

import { AnswerLost, HoldfastError, StoreUnavailable } from '../../errors.ts'
import { failure } from './failure.ts'
import { text } from './layout.ts'
import type { Argument, Asker, Master, Wire } from './wire.ts'

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
  const room = roomOf(client)
  const send = (args: readonly Argument[], asker?: Asker): Promise<unknown> =>
    answered(room, () => client.customCommand([...args], { decoder: 0 }), asker)
  const master: Master = { send, subscribe }
  return {
    cluster: false,
    deaf,
    send: (_, args, asker) => send(args, asker),
    masters: () => Promise.resolve([master]),
    owner: () => Promise.resolve(master),
  }
}

function clusterWire(client: GlideCluster): Wire {
  const room = roomOf(client)
  const send = (route: GlideRoute, args: readonly Argument[], asker?: Asker): Promise<unknown> =>
    answered(room, () => client.customCommand([...args], { decoder: 0, route }), asker)
  const masterAt = (route: GlideRoute): Master => ({ send: (args) => send(route, args), subscribe })
  return {
    cluster: true,
    roams: true,
    deaf,
    send: (name, args, asker) => send({ type: 'primarySlotKey', key: name }, args, asker),
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

/** GLIDE refuses what is more than 1,000 commands in flight, unless it was set otherwise; others use the client too. */
const mostInFlight = 500

/** One for each client, however many stores use it. */
const rooms = new WeakMap<object, Room>()

/** How much is under way. What finds no room waits its turn: unsent, so that it can still be given up. */
class Room {
  #inFlight = 0
  /** Those who wait for their turn. */
  readonly #queue: (() => void)[] = []

  /** Whether there is room at once; otherwise wait for {@link turn}. */
  enter(): boolean {
    if (this.#inFlight >= mostInFlight) return false
    this.#inFlight++
    return true
  }

  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(resolve)
    })
  }

  /** Leaves the room to whoever is next. */
  leave(): void {
    const next = this.#queue.shift()
    if (next) next()
    else this.#inFlight--
  }
}

function roomOf(client: object): Room {
  const room = rooms.get(client) ?? new Room()
  rooms.set(client, room)
  return room
}

async function answered<T>(room: Room, send: () => Promise<T>, asker?: Asker): Promise<T> {
  if (!room.enter()) await room.turn()
  try {
    if (asker?.signal.aborted) throw new StoreUnavailable('given up before it was sent')
    return await send()
  } catch (error) {
    throw failure(reworded(error), isUnsent)
  } finally {
    room.leave()
  }
}

function reworded(error: unknown): Error {
  if (!(error instanceof Error)) return new AnswerLost('Redis did not answer', { cause: error })
  if (error instanceof HoldfastError || isUnsent(error)) return error
  const message = wordings.reduce((told, [wording, code]) => told.replace(wording, code), error.message)
  return new Error(message, { cause: error })
}

/** Others fill the client up. */
const tooMany = /Reached maximum inflight requests/i

function isUnsent(error: Error): boolean {
  return error.name === 'ClosingError' || error.name === 'CircuitBreakerError' || tooMany.test(error.message)
}
