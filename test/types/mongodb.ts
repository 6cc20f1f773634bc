/** The client of the package `mongodb` fits, however it was configured. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import { type Db, MongoClient } from 'mongodb'
import type { MongodbClient, MongodbDatabase } from '../../packages/holdfast/src/drivers/mongodb.ts'
import { mongodbStore, openMongodbStore } from '../../packages/holdfast/src/drivers/mongodb.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'

const client = new MongoClient('mongodb://localhost', { readPreference: 'secondary', useBigInt64: true })

expectTypeOf(client).toExtend<MongodbClient>()
expectTypeOf<Db>().toExtend<MongodbDatabase>()
expectTypeOf(mongodbStore(client, { margin: '2h', transactions: true })).toEqualTypeOf<Store>()
expectTypeOf(mongodbStore(client.db('app'), { changeStreams: true })).toEqualTypeOf<Store>()
expectTypeOf(
  openMongodbStore('mongodb://localhost', () => import('mongodb'), { tls: { servername: 'db' } }),
).toEqualTypeOf<Store>()

// @ts-expect-error something else is no client
mongodbStore({ db: () => 'a' })
// @ts-expect-error a collection is no database
mongodbStore(client.db('app').collection('sessions'))
// @ts-expect-error bare seconds are no duration
mongodbStore(client, { margin: '5' })
