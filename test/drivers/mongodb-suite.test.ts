import { after, before, describe, it } from 'node:test'
import type { MongoClient } from 'mongodb'
import { type MongodbOptions, mongodbStore } from '../../packages/holdfast/src/drivers/mongodb.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { type StoreSuiteOptions, storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import {
  clear,
  connected,
  databaseName,
  isAtomic,
  replicaSet,
  single,
  type Target,
} from './mongodb/targets.ts'

await suiteOver(single, {})
await suiteOver(replicaSet, { transactions: true, changeStreams: true })

async function suiteOver(target: Target, asked: MongodbOptions): Promise<void> {
  const shared = await isAtomic(target)
  describe(`MongoDB, ${target.name}`, { skip: target.skip }, () => {
    let client: MongoClient
    let second: MongoClient
    before(async () => {
      client = await connected(target.url)
      second = await connected(target.url)
    })
    after(async () => {
      await client.close()
      await second.close()
    })
    const over =
      (which: () => MongoClient): StoreSuiteOptions['make'] =>
      (options): Store =>
        mongodbStore(which().db(databaseName), { ...asked, ...options })
    storeSuite(
      { describe, it },
      {
        name: 'mongodbStore',
        make: over(() => client),
        ...(shared && { another: over(() => second) }),
        reopen: over(() => client),
        dispose: (namespace) => clear(client, namespace),
      },
    )
  })
}
