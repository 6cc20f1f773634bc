import { after, before, describe, it } from 'node:test'
import { redisStore } from '../../packages/holdfast/src/drivers/redis.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { type AnyClient, clear, connected, targets } from './redis/targets.ts'

for (const { name, urls, skip } of targets) {
  describe(`Redis, ${name}`, { skip }, () => {
    let client: AnyClient
    let another: AnyClient
    before(async () => {
      client = await connected(urls)
      another = await connected(urls)
    })
    after(() => {
      client.destroy()
      another.destroy()
    })
    storeSuite(
      { describe, it },
      {
        name: 'redisStore',
        make: (options) => redisStore(client, options),
        another: (options) => redisStore(another, options),
        reopen: (options) => redisStore(client, options),
        dispose: (namespace) => clear(client, namespace),
      },
    )
  })
}
