/**
 * The client that the store makes for itself from a URL, with the settings that we recommend: a command waits at most
 * a second for a lost connection, so that a server which is away is an error and never a wait; a connection over
 * which nothing comes, not even the answer to a ping, is given up.
 */

import { ClientMissing, StoreMisconfigured, StoreUnavailable } from '../../errors.ts'
import { type RedisClient, type RedisCluster, type Wire, wireOf } from './client.ts'
import { failure } from './failure.ts'

/** What is used of the package `redis`. */
interface Library {
  createClient(options: object): RedisClient & Life
  createCluster(options: object): RedisCluster & Life
}

interface Life {
  connect(): Promise<unknown>
  destroy(): void
  on(event: 'error' | 'node-error', listener: (cause: unknown) => void): unknown
}

/** Milliseconds that a command may wait to be sent. */
const waitToSend = 1_000
const connectTimeout = 2_000
const pingInterval = 2_000
/** Milliseconds without a byte from the server after which a connection counts as dead. */
const socketTimeout = 5_000

/** A wire over a client of our own, connected by `connect` and closed by `release`. */
export function ownWire(url: string, load: () => Promise<unknown>): Wire {
  const address = parsed(url)
  let held: { readonly client: Life; readonly wire: Wire } | undefined
  const current = (): Wire => {
    if (!held) throw new StoreUnavailable('Redis is not connected')
    return held.wire
  }
  return {
    cluster: address.hosts.length > 1,
    send: async (...command) => await current().send(...command),
    masters: async () => await current().masters(),
    async connect() {
      if (held) return
      const client = clientFor(address, asLibrary(await load()))
      await connected(client)
      held = { client, wire: wireOf(client) }
    },
    release() {
      held?.client.destroy()
      held = undefined
    },
  }
}

interface Address {
  readonly url: string
  readonly secure: boolean
  /** `user:password@`, or nothing. */
  readonly credentials: string
  readonly hosts: readonly string[]
}

/** Errors never repeat the URL: it may hold a password. */
function parsed(url: string): Address {
  const match = /^redis(s?):\/\/((?:[^@/]*@)?)([^@/]+)((?:\/\d{0,5})?)$/.exec(url)
  const [, secure = '', credentials = '', list = '', path = ''] = match ?? []
  const hosts = list.split(',')
  const valid = hosts.every((host) => URL.canParse(`redis://${credentials}${host}`))
  if (!match || !valid) {
    throw new StoreMisconfigured(
      'write redis://[user:password@]host[:port][/db], or several hosts with commas for a cluster; percent-encode the password',
    )
  }
  if (hosts.length > 1 && /[1-9]/.test(path)) throw new StoreMisconfigured('a cluster has no database but 0')
  return { url, secure: secure === 's', credentials, hosts }
}

function clientFor(address: Address, library: Library): (RedisClient | RedisCluster) & Life {
  const reconnectStrategy = (retries: number): number => Math.min(20 * 2 ** retries, 500)
  const socket = { connectTimeout, socketTimeout, reconnectStrategy }
  const commandOptions = { timeout: waitToSend }
  const [only, ...more] = address.hosts
  if (more.length === 0)
    return library.createClient({ url: address.url, pingInterval, socket, commandOptions })
  const { username, password } = new URL(`redis://${address.credentials}${only ?? ''}`)
  const login = {
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
  }
  return library.createCluster({
    rootNodes: address.hosts.map((host) => ({ url: `redis${address.secure ? 's' : ''}://${host}` })),
    defaults: { ...login, pingInterval, socket: address.secure ? { ...socket, tls: true } : socket },
    commandOptions,
    topologyRefreshOnReconnectionAttemptStrategy: 500,
  })
}

/** Connects, or fails at the first error: later ones are the business of whoever sends a command. */
async function connected(client: Life): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      client.on('node-error', () => undefined)
      client.on('error', (cause) => {
        reject(failure(cause))
      })
      client.connect().then(() => {
        resolve()
      }, reject)
    })
  } catch (error) {
    client.destroy()
    // Nothing but the greeting was sent, so nothing can have been changed.
    const cause = failure(error)
    throw cause instanceof StoreMisconfigured ? cause : new StoreUnavailable(cause.message, { cause: error })
  }
}

function asLibrary(loaded: unknown): Library {
  if (typeof loaded === 'object' && loaded && 'createClient' in loaded && 'createCluster' in loaded) {
    return loaded as Library
  }
  throw new ClientMissing('this store needs the package redis, version 5 or later: npm install redis')
}
