/** Clients and stores of one test over some servers, closed at its end. */

import { randomBytes } from 'node:crypto'
import {
  type MemcachedClient,
  memcachedClient,
  type MemcachedClientOptions,
  type MemcachedOptions,
  memcachedStore,
  type OwnMemcachedClient,
} from '../../../packages/holdfast/src/drivers/memcached.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { atEnd, type Ending } from '../redis/ending.ts'
import { stampKey } from './targets.ts'

export class Bench {
  readonly namespace = `test-${randomBytes(6).toString('hex')}`
  readonly stampKey = stampKey()
  readonly #servers: readonly string[]
  readonly #test: Ending

  constructor(test: Ending, servers: readonly string[]) {
    this.#test = test
    this.#servers = servers
  }

  client(options: MemcachedClientOptions = {}, servers = this.#servers): OwnMemcachedClient {
    const client = memcachedClient(servers, { stampKey: this.stampKey, ...options })
    atEnd(this.#test, () => client.close())
    return client
  }

  store(options: MemcachedOptions = {}, client: MemcachedClient = this.client()): Store {
    const store = memcachedStore(client, { namespace: this.namespace, role: 'cache', ...options })
    atEnd(this.#test, () => store.close())
    return store
  }
}
