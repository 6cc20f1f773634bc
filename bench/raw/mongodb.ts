/** MongoDB: one collection with an index by owner, the official driver with its default pool, majority writes. */

import { Binary, MongoClient } from 'mongodb'
import { idOf, ownerOf, valueOf } from '../filling.ts'
import { listed, parts, type Raw } from './raw.ts'

interface Row {
  readonly _id: string
  readonly owner: string
  readonly version: number
  readonly value: Binary
}

export async function rawMongodb(url: string): Promise<Raw> {
  const client = await MongoClient.connect(url, { writeConcern: { w: 'majority' } })
  const rows = client.db().collection<Row>('holdfast_raw')
  const versions: number[] = []
  return {
    note: 'the official driver with its default pool: findOne, updateOne, find by (owner, _id)',
    async fill(shape) {
      await rows.drop().catch(() => undefined)
      await rows.createIndexes([{ key: { owner: 1, _id: 1 } }])
      for (const numbers of parts(shape, 1_000)) {
        for (const i of numbers) versions[i] = 0
        await rows.insertMany(
          numbers.map((i) => ({
            _id: idOf(i),
            owner: ownerOf(i, shape),
            version: 0,
            value: new Binary(valueOf(i)),
          })),
          { ordered: false },
        )
      }
    },
    async read(i) {
      if (!(await rows.findOne({ _id: idOf(i) }))) throw new Error('a record was not read')
    },
    async save(i) {
      const version = versions[i] ?? 0
      const value = new Binary(valueOf(i, version + 1))
      const { matchedCount } = await rows.updateOne(
        { _id: idOf(i), version },
        { $set: { version: version + 1, value } },
      )
      if (matchedCount !== 1) throw new Error('a record was not saved')
      versions[i] = version + 1
    },
    async list(owner) {
      return (await rows.find({ owner }).sort({ _id: 1 }).limit(listed).toArray()).length
    },
    async end() {
      await rows.drop().catch(() => undefined)
      await client.close()
    },
  }
}
