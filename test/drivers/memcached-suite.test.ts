import { after, describe, it } from 'node:test'
import { memcachedClient, memcachedStore } from '../../packages/holdfast/src/drivers/memcached.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { stampKey, targets } from './memcached/targets.ts'

for (const { name, servers, skip } of targets) {
  for (const listing of ['none', 'partial'] as const) {
    describe(`Memcached, ${name}, listing ${listing}`, { skip }, () => {
      const stamp = { stampKey: stampKey() }
      const client = memcachedClient(skip === false ? servers : ['none'], stamp)
      const another = memcachedClient(skip === false ? servers : ['none'], stamp)
      after(() => {
        client.close()
        another.close()
      })
      storeSuite(
        { describe, it },
        {
          name: 'memcachedStore',
          make: (options) => memcachedStore(client, { ...options, listing, role: 'cache' }),
          another: (options) => memcachedStore(another, { ...options, listing, role: 'cache' }),
          reopen: (options) => memcachedStore(client, { ...options, listing, role: 'cache' }),
        },
      )
    })
  }
}
