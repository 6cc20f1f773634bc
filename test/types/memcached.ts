/** What fits as a client of Memcached, and what doesn't. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import type Memcached from 'memcached'
import {
  type MemcachedClient,
  memcachedClient,
  memcachedDriver,
  memcachedStore,
  openMemcachedStore,
  type OwnMemcachedClient,
} from '../../packages/holdfast/src/drivers/memcached.ts'
import type { Driver } from '../../packages/holdfast/src/store/contract.ts'
import type { OpenOptions, Store } from '../../packages/holdfast/src/store/store.ts'

const client = memcachedClient(['a', 'b:11211'], {
  timeout: '500ms',
  tls: { ca: 'PEM' },
  whenListChanged: 'flush',
})
expectTypeOf(client).toEqualTypeOf<OwnMemcachedClient>()
expectTypeOf(client).toExtend<MemcachedClient>()
expectTypeOf(
  memcachedStore(client, { listing: 'partial', role: 'cache', margin: '2h' }),
).toEqualTypeOf<Store>()
expectTypeOf(memcachedDriver(client)).toEqualTypeOf<Driver>()
expectTypeOf(
  openMemcachedStore('memcached://a', { tls: {}, client: { connections: 4 } }),
).toEqualTypeOf<Store>()
expectTypeOf<OpenOptions>().toExtend<NonNullable<Parameters<typeof openMemcachedStore>[1]>>()

// Anything with the four methods will do.
const other: MemcachedClient = {
  get: (keys) => Promise.resolve(keys.map(() => ({ value: new Uint8Array(), cas: '1' }))),
  set: () => Promise.resolve('stored'),
  delete: () => Promise.resolve(true),
  servers: () => Promise.resolve([]),
}
expectTypeOf(memcachedStore(other)).toEqualTypeOf<Store>()

// Its multi-get fails as a whole when one server is down, and its keys move to the other servers.
expectTypeOf<Memcached>().not.toExtend<MemcachedClient>()
// @ts-expect-error a listing of Memcached is never complete
memcachedStore(client, { listing: 'complete' })
// @ts-expect-error bare seconds are no duration
memcachedStore(client, { margin: '5' })
