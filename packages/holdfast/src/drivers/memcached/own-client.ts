/** The client that the store makes for itself from a URL: made when it is needed, and again after it was let go of. */

import type { Asking } from './client/request.ts'
import {
  type MemcachedClient,
  memcachedClient,
  type MemcachedClientOptions,
  type MemcachedItem,
  type MemcachedServerReport,
  type MemcachedSetOptions,
  type OwnMemcachedClient,
} from './client/client.ts'

export class OwnClient implements MemcachedClient {
  readonly #make: () => OwnMemcachedClient
  #held: OwnMemcachedClient | undefined

  constructor(servers: readonly string[], options: MemcachedClientOptions) {
    this.#make = () => memcachedClient(servers, options)
    // What can't be right is refused now and not at the first request.
    this.#held = this.#make()
  }

  get(keys: readonly string[], asking?: Asking): Promise<readonly (MemcachedItem | undefined)[]> {
    return this.#now.get(keys, asking)
  }

  set(key: string, value: Uint8Array, options?: MemcachedSetOptions): ReturnType<MemcachedClient['set']> {
    return this.#now.set(key, value, options)
  }

  delete(key: string, asking?: Asking): Promise<boolean> {
    return this.#now.delete(key, asking)
  }

  servers(asking?: Asking): Promise<readonly MemcachedServerReport[]> {
    return this.#now.servers(asking)
  }

  release(): void {
    this.#held?.close()
    this.#held = undefined
  }

  get #now(): OwnMemcachedClient {
    this.#held ??= this.#make()
    return this.#held
  }
}
