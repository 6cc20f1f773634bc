/** Faults of reading, and of what comes back. */

import type { Driver } from '../../../packages/holdfast/src/store/contract.ts'
import type { StoredRecord } from '../../../packages/holdfast/src/store/record.ts'
import type { Sabotage } from './sabotage.ts'

export const reads: Readonly<Record<string, Sabotage>> = {
  'read answers in the order of the store': {
    caught: /answers many keys in their order/,
    breaks: (driver) => ({
      async read(keys, options, call) {
        return await driver.read(
          keys.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
          options,
          call,
        )
      },
    }),
  },
  'read leaves out what is missing': {
    caught: /answers many keys in their order|undefined for what is not there/,
    breaks: (driver) => ({
      async read(keys, options, call) {
        return (await driver.read(keys, options, call)).filter((record) => record !== undefined)
      },
    }),
  },
  'read loses the answers of one shard': {
    caught: /hundreds of keys in one call/,
    breaks: (driver) => ({
      async read(keys, options, call) {
        const records = await driver.read(keys, options, call)
        return keys.length < 10 ? records : records.map((record, i) => (i % 3 === 0 ? undefined : record))
      },
    }),
  },
  'read never shows the expired': {
    caught: /unless asked for the expired/,
    breaks: (driver) => ({
      read: (keys, options, call) => driver.read(keys, { ...options, expired: false }, call),
    }),
  },
  'read hands out the record itself, and keeps what it was given': {
    caught: /may be changed/,
    breaks: () => shallow(),
  },
  'values are text': {
    caught: /byte for byte/,
    breaks: (driver) => ({
      create: (record, call) =>
        driver.create({ ...record, value: Buffer.from(Buffer.from(record.value).toString()) }, call),
    }),
  },
  'values end at a zero byte': {
    caught: /byte for byte/,
    breaks: (driver) => ({
      create: (record, call) => driver.create({ ...record, value: upToZero(record.value) }, call),
      replace: (replacement, call) =>
        driver.replace({ ...replacement, value: upToZero(replacement.value) }, call),
    }),
  },
  'values are cut at 65,535 bytes': {
    caught: /every size/,
    breaks: (driver) => ({
      create: (record, call) => driver.create({ ...record, value: record.value.subarray(0, 65_535) }, call),
    }),
  },
  'values are the whole buffer behind a view': {
    caught: /byte for byte/,
    breaks: (driver) => ({
      replace: (replacement, call) =>
        driver.replace({ ...replacement, value: new Uint8Array(replacement.value.buffer) }, call),
    }),
  },
  'instants are 32 bits of seconds': {
    caught: /exactly/,
    breaks: (driver) => ({
      create: (record, call) =>
        driver.create({ ...record, expiresAt: Math.floor(record.expiresAt / 1_000) * 1_000 }, call),
    }),
  },
  'keys are one text without separators': {
    caught: /read alike when put together/,
    breaks: (driver) => ({
      create: (record, call) => driver.create({ ...record, key: oneText(record.key) }, call),
      async read(keys, options, call) {
        const records = await driver.read(keys.map(oneText), options, call)
        return records.map((record, i) => record && { ...record, key: keys[i] ?? record.key })
      },
    }),
  },
}

function upToZero(value: Uint8Array): Uint8Array {
  const zero = value.indexOf(0)
  return zero < 0 ? value : value.subarray(0, zero)
}

function oneText({ collection, id }: StoredRecord['key']): StoredRecord['key'] {
  return { collection: 'all', id: `${collection}-${id}` }
}

/** Keeps records by reference, with just enough of a driver to create, read and list them. */
function shallow(): Partial<Driver> {
  const records = new Map<string, StoredRecord>()
  const textOf = ({ collection, id }: StoredRecord['key']): string => `${collection}/${id}`
  return {
    create(record) {
      records.set(textOf(record.key), record)
      return 'done'
    },
    read: (keys) => keys.map((key) => records.get(textOf(key))),
  }
}
