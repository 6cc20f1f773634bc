/** The servers that `npm test` has started, and clients and stores over them. */

import { randomBytes } from 'node:crypto'
import { createClient, createCluster, createSentinel } from 'redis'
import { type RedisOptions, redisStore } from '../../../packages/holdfast/src/drivers/redis.ts'
import { parsed } from '../../../packages/holdfast/src/drivers/redis/address.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { atEnd, type Ending } from './ending.ts'

/** A client of a single server. */
export type ServerClient = ReturnType<typeof createClient>
/** A client of a cluster. */
export type ClusterClient = ReturnType<typeof createCluster>
/** A client under Sentinel. */
export type SentinelClient = ReturnType<typeof createSentinel>
export type AnyClient = ServerClient | ClusterClient

/** One kind of server to run the same tests over. */
export interface Target {
  readonly name: string
  readonly urls: readonly string[]
  /** Why its tests are skipped; false when they aren't. */
  readonly skip: string | false
}

/** A single server, and a cluster. */
export const targets: readonly Target[] = [
  targetOf('a single server', 'HOLDFAST_TEST_REDIS'),
  targetOf('a cluster', 'HOLDFAST_TEST_REDIS_CLUSTER'),
]

function targetOf(name: string, variable: string): Target {
  const urls = (process.env[variable] ?? '').split(',').filter(Boolean)
  return { name, urls, skip: urls.length === 0 && `${variable} is not set: run this by \`npm test\`` }
}

/** Settings as `openStore` should use them: a server that is away is an error after a second, never a wait. */
export const clientOptions = {
  commandOptions: { timeout: 1_000 },
  socket: { connectTimeout: 2_000, reconnectStrategy: (retries: number) => Math.min(20 * 2 ** retries, 500) },
}

/** Connects to a single server, or to a cluster where there are several addresses. */
export async function connected(urls: readonly string[]): Promise<AnyClient> {
  if (urls.length === 1) return await connectedToServer(urls[0] ?? '')
  const client: ClusterClient = createCluster({
    rootNodes: urls.map((url) => ({ url })),
    commandOptions: clientOptions.commandOptions,
    defaults: { socket: clientOptions.socket },
    topologyRefreshOnReconnectionAttemptStrategy: 200,
  })
  client.on('error', () => undefined)
  client.on('node-error', () => undefined)
  await client.connect()
  return client
}

export async function connectedToServer(url: string): Promise<ServerClient> {
  const client: ServerClient = createClient({ url, ...clientOptions })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Connects by the URL of Sentinels, `redis+sentinel://host:port,…/master`. */
export async function connectedToSentinels(url: string): Promise<SentinelClient> {
  const { hosts, master } = parsed(url)
  const client: SentinelClient = createSentinel({
    name: master,
    sentinelRootNodes: [...hosts],
    commandOptions: clientOptions.commandOptions,
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

function isCluster(client: AnyClient): client is ClusterClient {
  return 'masters' in client
}

/** One command, at the owner of `key`. */
export async function command(client: AnyClient, key: string, ...args: string[]): Promise<unknown> {
  return isCluster(client) ? await client.sendCommand(key, false, args) : await client.sendCommand(args)
}

/** Sends a command to every server that takes writes. */
export async function everywhere(client: AnyClient, ...args: string[]): Promise<readonly unknown[]> {
  const servers = isCluster(client) ? await mastersOf(client) : [client]
  return await Promise.all(servers.map((server) => server.sendCommand(args)))
}

async function mastersOf(client: ClusterClient): Promise<readonly ServerClient[]> {
  return await Promise.all(client.masters.map((master) => client.nodeClient(master)))
}

/** A namespace that nobody else uses. */
export function freshNamespace(): string {
  return `test-${randomBytes(6).toString('hex')}`
}

/** Clients and stores of one test, and everything that they leave behind. */
export class Bench {
  readonly namespace = freshNamespace()
  readonly urls: readonly string[]
  readonly #clients: AnyClient[] = []
  readonly #stores: Store[] = []
  readonly #clears: boolean

  /** @param clears false for servers that are gone at the end */
  constructor(test: Ending, urls: readonly string[], { clears = true } = {}) {
    this.urls = urls
    this.#clears = clears
    atEnd(test, () => this.#end())
  }

  /** A client of its own, closed at the end. */
  async client(): Promise<AnyClient> {
    const client = await connected(this.urls)
    this.#clients.push(client)
    return client
  }

  /** A store over a client of its own, or over a given one. */
  async store(options: RedisOptions = {}, client?: AnyClient): Promise<Store> {
    const store = redisStore(client ?? (await this.client()), { namespace: this.namespace, ...options })
    this.#stores.push(store)
    return store
  }

  /** Removes everything of the namespace, and closes. */
  async #end(): Promise<void> {
    const [client] = this.#clients
    try {
      for (const store of this.#stores) await store.close()
      if (client && this.#clears) await clear(client, this.namespace)
    } finally {
      for (const each of this.#clients) each.destroy()
    }
  }
}

/** Removes everything of a namespace. */
export async function clear(client: AnyClient, namespace: string): Promise<void> {
  for (const server of isCluster(client) ? await mastersOf(client) : [client]) {
    let cursor = '0'
    do {
      const reply = await server.sendCommand(['SCAN', cursor, 'MATCH', `{${namespace}:*`, 'COUNT', '1000'])
      const [next, keys] = reply as unknown as [string, string[]]
      await Promise.all(keys.map((key) => server.sendCommand(['UNLINK', key])))
      cursor = next
    } while (cursor !== '0')
  }
}

/** A client that lets a test step in before a command is sent. */
export function intercepted<C extends AnyClient>(
  client: C,
  before: (args: readonly unknown[]) => Promise<void>,
): C {
  return new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'sendCommand') return value.bind(target) as unknown
      return async (...all: unknown[]): Promise<unknown> => {
        await before((all.find(Array.isArray) as readonly unknown[] | undefined) ?? [])
        return (await Reflect.apply(value, target, all)) as unknown
      }
    },
  })
}
