/** The libraries whose clients fit, each with how to connect one. */

import { GlideClient, GlideClusterClient, Logger } from '@valkey/valkey-glide'
import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import type {
  AnyRedisClient,
  IoRedisClient,
  IoRedisCluster,
} from '../../../packages/holdfast/src/drivers/redis.ts'
import { connected } from './targets.ts'

/** A connected client, and how to let go of it. */
export interface Connected {
  readonly client: AnyRedisClient
  close(): void
}

/** A library and one kind of its clients. */
export interface Library {
  readonly name: string
  /** Tells of changes. */
  readonly watches: boolean
  connect(urls: readonly string[]): Promise<Connected>
}

/** node-redis. */
export const nodeRedis: Library = {
  name: 'node-redis',
  watches: true,
  async connect(urls) {
    const client = await connected(urls)
    return {
      client,
      close: () => {
        client.destroy()
      },
    }
  },
}

/** ioredis. */
export const ioredis: Library = {
  name: 'ioredis',
  watches: true,
  async connect(urls) {
    const client: IoClient =
      urls.length > 1
        ? new Cluster(urls.map(placeOf), { lazyConnect: true })
        : new Redis(urls[0] ?? '', { lazyConnect: true })
    return await connectedIo(client)
  },
}

/** iovalkey, a fork of ioredis 5. */
export const iovalkey: Library = {
  name: 'iovalkey',
  watches: true,
  async connect(urls) {
    const client: IoClient =
      urls.length > 1
        ? new ValkeyCluster(urls.map(placeOf), { lazyConnect: true })
        : new Valkey(urls[0] ?? '', { lazyConnect: true })
    return await connectedIo(client)
  },
}

/** Valkey GLIDE. */
export const glide: Library = {
  name: 'Valkey GLIDE',
  watches: false,
  async connect(urls) {
    Logger.setLoggerConfig('off')
    const settings = { addresses: urls.map(placeOf), requestTimeout: 5_000 }
    const client =
      urls.length > 1
        ? await GlideClusterClient.createClient(settings)
        : await GlideClient.createClient(settings)
    return {
      client,
      close: () => {
        client.close()
      },
    }
  },
}

type IoClient = (IoRedisClient | IoRedisCluster) & { connect(): Promise<void>; disconnect(): void }

async function connectedIo(client: IoClient): Promise<Connected> {
  client.on('error', () => undefined)
  await client.connect()
  return {
    client,
    close: () => {
      client.disconnect()
    },
  }
}

/** The host and port of a URL. */
export function placeOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}
